package host_test

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"pgregory.net/rapid"

	"github.com/rekey-host/rekey/host/engine"
	"github.com/rekey-host/rekey/host/internal/faultfs"
	"github.com/rekey-host/rekey/host/journal"
	"github.com/rekey-host/rekey/host/ledger"
)

// mortal is a life inside the test's own process. At a point that it passes it
// dies: what is on the disk and in the bank then is copied, and from there on it
// changes nothing any more. That is kill -9 without a process, and so many times
// faster.
type mortal struct {
	spec life
	to   life // where the next one goes on

	stop   context.CancelFunc
	cancel context.CancelFunc
	mu     sync.Mutex
	bank   *bank
	passed map[string]int
	dead   bool
	broken error

	stopped bool           // told to
	dropped map[string]int // calls that were under way when it was told twice
	since   int            // points that were passed since
}

var errDead = errors.New("the process has ended")

// at passes a point.
func (m *mortal) at(point string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.passed[point]++
	switch {
	case m.dead:
		return
	case m.stopped:
		m.countdown()
		return
	case point != m.spec.Point || m.passed[point] != m.spec.N:
		return
	case m.spec.Stop > 0:
		m.stopped = true
		m.stop()
		m.countdown()
		return
	}
	m.dead = true
	m.broken = m.copy()
}

// countdown gives the second signal when enough was passed since the first.
func (m *mortal) countdown() {
	if m.spec.Stop > 1 && m.spec.Later == m.since && m.bank != nil {
		m.dropped = m.bank.underWay.now()
		m.cancel()
	}
	m.since++
}

// copy takes what is left. No account is given anything meanwhile, so that
// what the bank has, the disk knows of.
func (m *mortal) copy() error {
	if m.bank != nil {
		m.bank.mu.Lock()
		defer m.bank.mu.Unlock()
		m.bank.closed = true
	}
	image, err := faultfs.Load(m.spec.State)
	if err != nil {
		return err
	}
	for name := range image {
		if shared(name) {
			delete(image, name)
		}
	}
	if err := image.Save(m.to.State); err != nil {
		return err
	}
	given, err := os.ReadFile(m.spec.Bank)
	if err != nil && !os.IsNotExist(err) {
		return err
	}
	return os.WriteFile(m.to.Bank, given, 0o600)
}

func (m *mortal) isDead() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.dead
}

// dyingJournal is the run's, until the process is dead.
type dyingJournal struct {
	*ledger.Run
	m *mortal
}

func (j dyingJournal) Commit(recs []*journal.Record) error {
	if j.m.isDead() {
		return errDead
	}
	return j.Run.Commit(recs)
}

// history is one trial of the model: lives, one after the other, in
// directories of their own.
type history struct {
	dir  string
	n    int
	now  life
	hits map[string]int

	story      string         // see tales
	wired      bool           // the bank is behind a connection
	signalled  bool           // the last life was told to stop
	cancelled  bool           // twice
	held, late int            // requests that were held, or arrived while a process lived
	dropped    map[string]int // calls that were under way at a cancellation, by verb
}

func newHistory(dir string) *history {
	h := &history{dir: dir, hits: map[string]int{}, dropped: map[string]int{}}
	h.now = h.place()
	return h
}

// inMemory makes a directory in memory where there is such a place: deaths of
// processes lose nothing of the disk, so nobody has to wait for one.
func inMemory(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("/dev/shm", "rekey-test-")
	if err != nil {
		return t.TempDir()
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}

func (h *history) place() life {
	h.n++
	at := filepath.Join(h.dir, fmt.Sprint(h.n))
	return life{State: at, Bank: at + ".bank"}
}

// live lets a process live, to its death if it meets its point.
func (h *history) live(spec life) (died bool, err error) {
	spec.State, spec.Bank, spec.Story = h.now.State, h.now.Bank, h.story
	spec.Moved = h.n > 1 // it is a copy of the disk of the one before
	if !h.wired && spec.Off == "" {
		spec.Off = redaction
	}
	m := &mortal{spec: spec, to: h.place(), passed: map[string]int{}}
	err = m.live()
	h.remember(m)
	if !m.isDead() {
		return false, err
	}
	h.hits[spec.Point]++
	old := h.now
	h.now = m.to
	return true, errors.Join(m.broken, os.RemoveAll(old.State))
}

// live is the same life as that of a child process, with a journal that dies.
func (m *mortal) live() error {
	w, err := begin(m.spec, m.at)
	if err != nil {
		return err
	}
	defer w.end()
	w.stop, m.stop = context.WithCancel(context.Background())
	defer m.stop()
	w.hard, m.cancel = context.WithCancel(context.Background())
	defer m.cancel()
	m.mu.Lock()
	m.bank = w.bank
	m.mu.Unlock()
	w.journal = func(r *ledger.Run) engine.Journal { return dyingJournal{r, m} }
	id, err := w.run()
	for first := true; err == nil && !m.isDead(); first = false {
		done := false
		if done, err = w.apply(id, first); done {
			return err
		}
	}
	return err
}

// remember adds a life's counts to the history's.
func (h *history) remember(m *mortal) {
	m.mu.Lock()
	defer m.mu.Unlock()
	h.signalled, h.cancelled = m.stopped, m.dropped != nil
	for verb, n := range m.dropped {
		h.dropped[verb] += n
	}
	if m.bank != nil {
		m.bank.mu.Lock()
		defer m.bank.mu.Unlock()
		h.held, h.late = m.bank.holds, h.late+m.bank.late
	}
}

// look examines what the history has come to. x says what it knows of it.
func (h *history) look(x scene) ([]finding, error) {
	all, err := h.examined(x)
	if err != nil {
		return nil, err
	}
	return all.found, nil
}

// examined examines the ledger and the bank as it is when all that is held has
// arrived.
func (h *history) examined(x scene) (*examination, error) {
	image, err := faultfs.Load(h.now.State)
	if os.IsNotExist(err) {
		return &examination{pending: 1}, nil
	}
	if err != nil {
		return nil, err
	}
	entries, err := released(life{Bank: h.now.Bank, Exist: x.exist, Seed: uint64(h.n)})
	if err != nil {
		return nil, err
	}
	x.image, x.entries, x.guard, x.bare, x.story = image, entries, writeAhead, !h.wired, h.story
	return examined(x, filepath.Join(h.dir, "look"))
}

// everyPointOfAll are the points of the engine and the ledger.
func everyPointOfAll() []string { return append(engine.CrashPoints(), ledger.CrashPoints()...) }

// TestFaultsModelAnySequenceOfCrashesAndResumes draws lives with deaths at any
// point, with and without lost answers, and resumes, and lets the last one end.
func TestFaultsModelAnySequenceOfCrashesAndResumes(t *testing.T) {
	if err := flag.Set("rapid.checks", fmt.Sprint(scaleOf(t).draws)); err != nil {
		t.Fatal(err)
	}
	rapid.Check(t, func(rt *rapid.T) {
		h := newHistory(inMemory(t))
		x := scene{}
		for n := range rapid.IntRange(0, 5).Draw(rt, "lives") {
			spec := drawLife(rt)
			x.lossy, x.retried = x.lossy || spec.Lose > 0, x.retried || spec.Retry
			x.exist = x.exist || spec.Exist
			spec.Exist = x.exist
			if _, err := h.live(spec); err != nil {
				rt.Fatalf("life %d: %v", n+1, err)
			}
			check(rt, h, x)
		}
		// The second has what the first left unknown to settle, and where the
		// missing accounts are there now, they are tried again.
		for n := range 3 {
			if _, err := h.live(life{Exist: x.exist, Retry: n == 2 && x.exist}); err != nil {
				rt.Fatalf("the last lives: %v", err)
			}
		}
		x.settled, x.retried = true, x.retried || x.exist
		check(rt, h, x)
		if err := os.RemoveAll(h.dir); err != nil {
			rt.Fatalf("%v", err)
		}
	})
}

// drawLife draws a life that ends at a point: by a death or a stop, or, if it
// does not get there, by itself.
func drawLife(rt *rapid.T) life {
	return life{Point: rapid.SampledFrom(everyPointOfAll()).Draw(rt, "point"), N: rapid.IntRange(1, 30).Draw(rt, "passing"),
		Stop: rapid.SampledFrom([]int{0, 0, 0, 0, 1, 2}).Draw(rt, "stop"), Lose: rapid.SampledFrom([]int{0, 0, 30}).Draw(rt, "lose"),
		Retry: rapid.IntRange(0, 3).Draw(rt, "retry") == 3, Exist: rapid.IntRange(0, 7).Draw(rt, "exist") == 7, Seed: rapid.Uint64().Draw(rt, "seed")}
}

type failer interface{ Fatalf(string, ...any) }

func check(t failer, h *history, x scene) {
	found, err := h.look(x)
	if err != nil || len(found) > 0 {
		t.Fatalf("%v, %v", found, err)
	}
}

// deaths counts how often the model died at each point.
type deaths struct {
	mu sync.Mutex
	at map[string]int
}

func (d *deaths) add(hits map[string]int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for point, n := range hits {
		d.at[point] += n
	}
}

func (d *deaths) of(point string) int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.at[point]
}

// TestFaultsModelDiesAtEachPoint makes sure that the model passes what
// it is there for.
func TestFaultsModelDiesAtEachPoint(t *testing.T) {
	wanted, hits := max(1, scaleOf(t).points), &deaths{at: map[string]int{}}
	var jobs sync.WaitGroup
	slots := make(chan struct{}, 8) // they wait more than they work
	for i, point := range everyPointOfAll() {
		slots <- struct{}{}
		jobs.Go(func() {
			diesAt(t, point, wanted, rand.New(rand.NewPCG(uint64(i), 6)), hits)
			<-slots
		})
	}
	jobs.Wait()
	var parts []string
	total := 0
	for _, point := range everyPointOfAll() {
		total += hits.of(point)
		parts = append(parts, fmt.Sprintf("%s %d", point, hits.of(point)))
	}
	t.Logf("counts: model: %d deaths: %s", total, strings.Join(parts, ", "))
}

// diesAt makes histories until so many have died at the point.
func diesAt(t *testing.T, point string, wanted int, luck *rand.Rand, hits *deaths) {
	for n := 0; hits.of(point) < wanted; n++ {
		if n > 20*wanted+40 { // a bridge is rare: only the process after a loss makes one
			t.Errorf("crash point %s was hit %d times, want %d", point, hits.of(point), wanted)
			return
		}
		died, err := dies(inMemory(t), point, n%2 == 1, luck, min(4, 1+scaleOf(t).points))
		if err != nil {
			t.Errorf("%s, history %d: %v", point, n, err)
			return
		}
		hits.add(died)
	}
}

// dies makes a history that dies at a point as often as it gets there, and
// returns how often it died at each; resumed says that it has something to
// settle.
func dies(dir, point string, resumed bool, luck *rand.Rand, n int) (map[string]int, error) {
	h := newHistory(dir)
	defer os.RemoveAll(dir)
	lives := make([]life, n)
	for i := range lives {
		lives[i] = life{Point: point, N: 1 + luck.IntN(3), Lose: 40 * luck.IntN(2), Seed: luck.Uint64()}
		if neverCalm(point) {
			lives[i].N, lives[i].Lose = 1, 30
		}
	}
	if !resumed { // many points are passed once a process
		lives[0].N = 1
	}
	if point == engine.CrashBridgeSet { // sent by the first process, or hardly ever
		lives, resumed = lives[:1], false
	}
	if resumed {
		lives = append([]life{{Point: atAnswer, N: 1 + luck.IntN(25), Lose: 40, Seed: luck.Uint64()}}, lives...)
	}
	x := scene{lossy: true}
	for i, spec := range append(lives, life{}, life{}) {
		if _, err := h.live(spec); err != nil {
			return nil, fmt.Errorf("%+v: %w", spec, err)
		}
		x.settled = i == len(lives)+1
		if found, err := h.look(x); err != nil || len(found) > 0 {
			return nil, fmt.Errorf("after life %d, %+v: %v, %w", i+1, spec, found, err)
		}
	}
	return h.hits, nil
}
