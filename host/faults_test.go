package host_test

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/rekey-host/rekey/host/internal/faultfs"
)

// scale is how much of everything the harness does. One in so many of the
// places where a fault can be is taken, in the order of a shuffled list; 1 is
// all of them.
type scale struct {
	kills   int // one in so many: kills
	points  int // kills at each crash point, at least; 0: the model passes them
	nested  int // trials with a fault in what follows a fault
	errors  int // one in so many: errors of the file system
	cuts    int // power cuts
	losses  int // trials in which answers are lost
	disks   int // sizes of a disk that fills
	pauses  int // points at which a second process meets the first
	draws   int // sequences of the model
	signals int // signals at each crash point, at least
	holds   int // histories with held requests for each story
	wantAll int // kills that must have hit
}

// scales are what REKEY_FAULTS may be: unset in make test.
var scales = map[string]scale{
	"":      {kills: 90, points: 0, nested: 5, errors: 400, cuts: 5, losses: 2, disks: 2, pauses: 3, draws: 12, signals: 1, holds: 3, wantAll: 20},
	"short": {kills: 45, points: 3, nested: 15, errors: 250, cuts: 12, losses: 6, disks: 5, pauses: 8, draws: 40, signals: 2, holds: 9, wantAll: 90},
	"full":  {kills: 2, points: 20, nested: 500, errors: 6, cuts: 150, losses: 100, disks: 60, pauses: 40, draws: 1000, signals: 20, holds: 150, wantAll: 1200},
}

// harness makes trials on as many stands as there are processors.
type harness struct {
	t      *testing.T
	tell   *tally
	stands chan *stand
	jobs   sync.WaitGroup
	luck   *rand.Rand
	seed   uint64
}

func newHarness(t *testing.T) *harness {
	t.Helper()
	h := &harness{t: t, tell: newTally(), stands: make(chan *stand, 16), seed: harnessSeed(t)}
	h.luck = rand.New(rand.NewPCG(h.seed, 2))
	for range min(cap(h.stands), max(2, runtime.GOMAXPROCS(0))) {
		h.stands <- newStand(t, h.tell)
	}
	return h
}

// harnessSeed is REKEY_FAULTS_SEED, 1 if it is unset.
func harnessSeed(t *testing.T) uint64 {
	t.Helper()
	text := os.Getenv("REKEY_FAULTS_SEED")
	if text == "" {
		return 1
	}
	n, err := strconv.ParseUint(text, 10, 64)
	if err != nil {
		t.Fatalf("REKEY_FAULTS_SEED: %v", err)
	}
	return n
}

// on runs a job on the next stand that is free.
func (h *harness) on(job func(s *stand)) {
	s := <-h.stands
	h.jobs.Go(func() {
		job(s)
		h.stands <- s
	})
}

// try queues a trial.
func (h *harness) try(t trial) {
	h.on(func(s *stand) { h.now(s, t) })
}

// now makes a trial and notes what is wrong.
func (h *harness) now(s *stand, t trial) ended {
	end, found, err := s.try(t)
	if err != nil {
		h.t.Errorf("%s: %v", t, err)
	}
	if n := h.tell.note(t, found); n%500 == 0 {
		h.t.Logf("%d runs", n)
	}
	return end
}

// some returns one in n of a list, shuffled.
func some[T any](luck *rand.Rand, list []T, n int) []T {
	luck.Shuffle(len(list), func(i, j int) { list[i], list[j] = list[j], list[i] })
	return list[:(len(list)+n-1)/n]
}

// kills are all places at which a run that meets nothing else can be killed:
// each operation of the file system, each piece on the wire, each crash point
// at each passing.
func kills(r ended) []fault {
	var list []fault
	for _, op := range faultfs.Ops() {
		for n := 1; n <= r.ops[op]; n++ {
			list = append(list, fault{op: op, n: n})
		}
	}
	for _, point := range slices.Sorted(maps.Keys(r.passed)) {
		for n := 1; n <= r.passed[point]; n++ {
			list = append(list, fault{point: point, n: n})
		}
	}
	return list
}

// failures are all ways in which one operation, or all from one on, can fail.
func failures(r ended) []fault {
	var list []fault
	for _, op := range faultfs.Ops() {
		for n := 1; n <= r.ops[op]; n++ {
			for _, errno := range []syscall.Errno{syscall.EIO, syscall.ENOSPC} {
				list = append(list, fault{op: op, n: n, errno: errno}, fault{op: op, n: n, errno: errno, forever: true})
			}
		}
	}
	return list
}

// TestFaultsLoseNothing meets a small run with every fault that a machine has,
// at every place, and with faults in what follows a fault. REKEY_FAULTS=short
// and REKEY_FAULTS=full make more of it, REKEY_FAULTS_SEED another of it.
func TestFaultsLoseNothing(t *testing.T) {
	size := scaleOf(t)
	start := time.Now()
	h := newHarness(t)
	s := <-h.stands
	calm := h.now(s, trial{lives: []fault{{}}})
	h.stands <- s
	if len(calm.passed) == 0 {
		t.Fatal("a run without a fault does not end")
	}
	for _, f := range some(h.luck, kills(calm), size.kills) {
		h.try(trial{lives: []fault{f}, seed: h.luck.Uint64()})
	}
	h.everyPoint(calm, size.points)
	h.nested(calm, size.nested)
	for _, f := range some(h.luck, failures(calm), size.errors) {
		f.cut = h.luck.IntN(3) == 0
		h.try(trial{lives: []fault{f}, seed: h.luck.Uint64()})
	}
	h.powerCuts(calm, size.cuts)
	for i := range size.losses {
		h.try(trial{lives: []fault{{lose: 5 + 45*i/size.losses}}, seed: h.luck.Uint64()})
	}
	for i := range size.disks {
		h.try(trial{lives: []fault{{capacity: int64(4000 + 400_000*i/size.disks)}}, seed: h.luck.Uint64()})
	}
	h.jobs.Wait()
	h.verdict(size, start)
}

func scaleOf(t *testing.T) scale {
	t.Helper()
	level := os.Getenv("REKEY_FAULTS")
	size, ok := scales[level]
	if !ok {
		t.Fatalf("REKEY_FAULTS is %q; leave it unset, or make it short or full", level)
	}
	return size
}

// everyPoint kills at each crash point until it was hit so often.
func (h *harness) everyPoint(calm ended, wanted int) {
	for _, point := range everyPointOfAll() {
		luck := rand.New(rand.NewPCG(h.luck.Uint64(), 3))
		h.on(func(s *stand) {
			for n := 0; n < 8*wanted+8 && h.hits(point) < wanted; n++ {
				f := fault{point: point, n: 1, lose: 30 * (n % 2)}
				if passed := calm.passed[point]; passed > 0 {
					f.n += luck.IntN(passed)
				}
				lives := []fault{f}
				if n%4 > 1 || calm.passed[point] == 0 { // in what follows a crash
					f.n, f.lose = 1, 40
					lives = []fault{{point: atAnswer, n: 1 + luck.IntN(calm.passed[atAnswer]), lose: 40}, f}
				}
				h.now(s, trial{lives: lives, seed: luck.Uint64()})
			}
		})
	}
}

func (h *harness) hits(point string) int {
	h.tell.mu.Lock()
	defer h.tell.mu.Unlock()
	return h.tell.kills[point]
}

// nested meets the recovery from a fault with a fault, once or twice.
func (h *harness) nested(calm ended, n int) {
	places := kills(calm)
	errors := failures(calm)
	pick := func() fault {
		f := places[h.luck.IntN(len(places))]
		if h.luck.IntN(5) == 0 {
			f = errors[h.luck.IntN(len(errors))]
		}
		if h.luck.IntN(4) == 0 {
			f.cut, f.luck = true, h.someLuck()
		}
		f.lose = 20 * h.luck.IntN(2)
		return f
	}
	for range n {
		lives := []fault{pick()}
		for range 1 + h.luck.IntN(3) {
			f := pick()
			f.n = 1 + f.n/(2+h.luck.IntN(6)) // what is left of the run is shorter
			lives = append(lives, f)
		}
		h.try(trial{lives: lives, seed: h.luck.Uint64()})
	}
}

func (h *harness) someLuck() *rand.Rand {
	if h.luck.IntN(3) == 0 {
		return nil
	}
	return rand.New(rand.NewPCG(h.luck.Uint64(), 4))
}

// powerCuts cuts the power at any operation, and when something is in force.
func (h *harness) powerCuts(calm ended, n int) {
	all := 0
	for _, c := range calm.ops {
		all += c
	}
	for i := range n {
		f := fault{op: anyOp, n: 1 + h.luck.IntN(all), cut: true, luck: h.someLuck()}
		if i%2 == 0 {
			f = fault{point: atAnswer, n: 1 + h.luck.IntN(calm.passed[atAnswer]), cut: true, luck: h.someLuck()}
		}
		h.try(trial{lives: []fault{f}, seed: h.luck.Uint64()})
	}
}

// verdict prints the counts and fails for what must not be, and for too little
// of what there must be.
func (h *harness) verdict(size scale, start time.Time) {
	t, c := h.t, h.tell
	for _, text := range c.firsts {
		t.Error(text)
	}
	least := 1 << 30
	for _, point := range everyPointOfAll() {
		least = min(least, c.kills[point])
		if c.kills[point] < size.points {
			t.Errorf("crash point %s was hit %d times, want %d", point, c.kills[point], size.points)
		}
	}
	if c.killed() < size.wantAll || c.cuts < size.cuts || c.errors == 0 || c.full == 0 || c.nested < size.nested/2 {
		t.Errorf("too little load: %d kills that hit, want %d; %d power cuts, want %d; %d errors, %d full disks, %d nested faults, want %d",
			c.killed(), size.wantAll, c.cuts, size.cuts, c.errors, c.full, c.nested, size.nested/2)
	}
	t.Logf("seed %d, %s", h.seed, time.Since(start).Round(time.Second))
	t.Logf("kills by place: %s", byPlace(c.kills))
	t.Logf("counts: runs %d · processes %d · kills %d · power cuts %d · errors of the disk %d · full disks %d · faults after a fault %d · processes that lost answers %d · each of %d crash points hit %d times or more",
		c.trials, c.lives, c.killed(), c.cuts, c.errors, c.full, c.nested, c.lostOnes, len(everyPointOfAll()), least)
	t.Logf("counts: lost = %d · doubled values = %d · rows without a status = %d · leaks = %d · otherwise wrong = %d",
		c.findings[lost], c.findings[doubled], c.findings[noStatus], c.findings[leaked], c.findings[wrong])
}

func byPlace(kills map[string]int) string {
	var parts []string
	for _, name := range slices.Sorted(maps.Keys(kills)) {
		parts = append(parts, fmt.Sprintf("%s %d", name, kills[name]))
	}
	return strings.Join(parts, ", ")
}
