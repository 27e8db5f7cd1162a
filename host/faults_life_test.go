package host_test

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"syscall"
	"time"

	"google.golang.org/grpc/test/bufconn"

	"github.com/rekey-host/rekey/host/engine"
	"github.com/rekey-host/rekey/host/journal"
	"github.com/rekey-host/rekey/host/ledger"
	"github.com/rekey-host/rekey/host/source"
	"github.com/rekey-host/rekey/sdk"
	"github.com/rekey-host/rekey/sdk/dial"
	"github.com/rekey-host/rekey/sdk/secret"
	"github.com/rekey-host/rekey/sdk/serve"
)

// lifeEnv holds the life of a child of the test, as JSON.
const lifeEnv = "REKEY_TEST_LIFE"

// The protections that the harness can do without, to show that it would
// notice. That of the disk's syncs is the file system's.
const (
	writeAhead     = "write-ahead"
	syncs          = "fsync"
	outcomeUnknown = "outcome unknown"
	redaction      = "redaction"
	cancellation   = "a cancellation is no answer" // the script goes on with it
	lateness       = "a lost attempt is settled"   // the plugin tries again, and tells nobody that an answer was lost
)

// life is what one process does: plan a run if there is none, apply it from
// where it stands, and end, by itself or by kill -9 at a point that it passes.
type life struct {
	State string // directory with state and identity
	Bank  string // file of what the accounts were given
	Seed  uint64
	Lose  int    // how many of a hundred answers are lost
	Point string // where it dies
	N     int    // at which passing of that point, from 1
	Pause bool   // it stops there instead, until it is continued
	Stop  int    // how often it is told to stop there, as by SIGINT, instead: at the second time it drops what is under way
	Later int    // how many points it passes between the first and the second time
	Hold  int    // how many of a hundred requests are held on their way
	Story string // what happens to a user: see tales
	New   bool   // it plans a run of its own
	Retry bool   // it puts failed users back first
	Exist bool   // the accounts that were missing are there now
	Off   string // the protection that is turned off
	Moved bool   // it goes on in a copy of the disk
	Count string // file that gets how often each point was passed, if it ends by itself
}

// Where things are, below the root of the disk: each in directories that have
// to be made.
const (
	stateDir     = "var/lib/rekey"
	identityFile = "etc/rekey/identity.txt"
)

// points counts how often each point was passed, and ends the process at one.
type points struct {
	mu     sync.Mutex
	spec   life
	passed map[string]int
}

func (p *points) at(name string) {
	p.mu.Lock()
	p.passed[name]++
	switch hit := name == p.spec.Point && p.passed[name] == p.spec.N; {
	case hit && p.spec.Pause:
		_ = syscall.Kill(os.Getpid(), syscall.SIGSTOP)
	case hit:
		die()
	}
	p.mu.Unlock()
}

// Points of the wire at which a process may end.
const (
	atSend    = "wire/send"
	atReceive = "wire/receive"
)

// wire counts what goes over a connection to a plugin.
type wire struct {
	net.Conn
	at func(string)
}

func (w wire) Write(b []byte) (int, error) {
	w.at(atSend)
	return w.Conn.Write(b)
}

func (w wire) Read(b []byte) (int, error) {
	n, err := w.Conn.Read(b)
	w.at(atReceive)
	return n, err
}

// liveAs is the child: it lives as the text says.
func liveAs(text string) error {
	var spec life
	if err := json.Unmarshal([]byte(text), &spec); err != nil {
		return err
	}
	p := &points{spec: spec, passed: map[string]int{}}
	if err := live(spec, p.at); err != nil {
		return err
	}
	if spec.Count == "" {
		return nil
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	data, err := json.Marshal(p.passed)
	if err != nil {
		return err
	}
	return os.WriteFile(spec.Count, data, 0o600)
}

func live(spec life, at func(string)) error {
	w, err := begin(spec, at)
	if err != nil {
		return err
	}
	defer w.end()
	id, err := w.run()
	if err != nil {
		return err
	}
	for first := true; ; first = false {
		done, err := w.apply(id, first)
		if done || err != nil {
			return err
		}
	}
}

// world is what a life works with.
type world struct {
	spec     life
	at       func(string)
	store    *ledger.Store
	keys     ledger.Keys
	backends []engine.Backend
	bank     *bank
	journal  func(*ledger.Run) engine.Journal
	stop     context.Context
	hard     context.Context
	closers  []func()
}

func begin(spec life, at func(string)) (w *world, err error) {
	w = &world{spec: spec, at: at, stop: context.Background(), hard: context.Background()}
	defer func() {
		if err != nil {
			w.end()
		}
	}()
	w.store, err = ledger.Open(filepath.Join(spec.State, stateDir), ledger.Options{Now: time.Now, Rand: rand.Reader, OSUser: "ann", Host: "test", Crash: at})
	if err != nil {
		return w, err
	}
	if w.keys, _, err = ledger.LoadKeys(filepath.Join(spec.State, identityFile), nil); err != nil {
		return w, err
	}
	if w.bank, err = openBank(spec, at); err != nil {
		return w, err
	}
	w.closers = append(w.closers, w.bank.close)
	w.journal = func(r *ledger.Run) engine.Journal {
		if spec.Off == writeAhead {
			return &eager{run: r}
		}
		return r
	}
	return w, w.connect(w.bank)
}

func (w *world) end() {
	for _, f := range slices.Backward(w.closers) {
		f()
	}
	if w.store != nil {
		_ = w.store.Close()
	}
}

// connect opens an instance of each label over the wire, which redacts;
// without redaction, directly.
func (w *world) connect(b *bank) error {
	var client *dial.Client
	if w.spec.Off != redaction {
		l := bufconn.Listen(1 << 16)
		stop := serve.On(l, b)
		c, hangUp, err := dial.Over(func(ctx context.Context) (net.Conn, error) {
			conn, err := l.DialContext(ctx)
			return wire{conn, w.at}, err
		}, dial.Options{})
		if err != nil {
			return err
		}
		w.closers = append(w.closers, stop, func() { _ = hangUp() })
		client = c
	}
	for _, label := range []string{vault, cloud, plain, desk} {
		i, err := w.instance(b, client, label)
		if err != nil {
			return err
		}
		d, abilities := describe(label)
		w.backends = append(w.backends, engine.Backend{Label: label, Description: d, Abilities: abilities, Instance: i,
			Concurrency: 4, Timeout: 10 * time.Second, Attempts: 3, Patience: time.Minute, StreamsVerify: true})
	}
	return nil
}

func (w *world) instance(b *bank, client *dial.Client, label string) (engine.Instance, error) {
	config := sdk.Config{Label: label, Concurrency: 4, Timeout: 10 * time.Second}
	if client == nil {
		i, err := b.Configure(context.Background(), config)
		return direct{i}, err
	}
	i, err := client.Configure(context.Background(), config)
	if err != nil {
		return nil, err
	}
	if w.spec.Off == outcomeUnknown {
		return sure{i}, nil
	}
	if w.spec.Off == lateness {
		return hasty{i}, nil
	}
	return i, nil
}

// sure is a host that takes a lost answer for a refusal.
type sure struct{ engine.Instance }

func (s sure) Submit(ops []sdk.Operation, answer func(int, sdk.Receipt)) {
	s.Instance.Submit(ops, func(n int, r sdk.Receipt) {
		if r.Outcome == sdk.Unknown {
			r = sdk.Refuse(sdk.Errorf(sdk.TargetError, "no answer"))
		}
		answer(n, r)
	})
}

// direct is an instance without a wire.
type direct struct{ sdk.Instance }

func (d direct) Submit(ops []sdk.Operation, answer func(int, sdk.Receipt)) {
	for n, op := range ops {
		go func() { answer(n, d.one(op)) }()
	}
}

func (d direct) one(op sdk.Operation) sdk.Receipt {
	if op.Verb != sdk.Verify {
		return d.Apply(context.Background(), op)
	}
	verdict, err := d.Verify(context.Background(), op.Account, op.Kind, op.Value)
	if err != nil {
		return sdk.Refuse(sdk.AsError(err, sdk.TargetError))
	}
	return sdk.Receipt{Outcome: sdk.Applied, Verdict: verdict}
}

func (d direct) Ask(ctx context.Context, op sdk.Operation) sdk.Receipt {
	return sdk.MethodOf(d.Instance, op.Verb)(ctx, op)
}
func (d direct) Find(ctx context.Context, account string) (sdk.Account, error) {
	return d.Instance.(sdk.Finder).Find(ctx, account)
}
func (direct) Policy(context.Context, string, string) (sdk.Policy, error) { return sdk.Policy{}, nil }
func (d direct) Verify(ctx context.Context, account, kind string, v secret.Value) (sdk.Verdict, error) {
	return d.Instance.(sdk.Verifier).Verify(ctx, account, kind, v)
}
func (d direct) Generate(ctx context.Context, kind string, n int) ([]secret.Value, error) {
	return d.Instance.(sdk.Generator).Generate(ctx, kind, n)
}
func (direct) Check(context.Context) []sdk.Finding { return nil }

// storyWaves are the waves: one that holds, and one that stops at each failure.
func storyWaves() []journal.WaveRule {
	return []journal.WaveRule{{Name: "canary", Hold: true, MaxFailures: -1, MaxPercent: -1}, {Name: "rest", Size: 4, MaxFailures: 0, MaxPercent: -1}}
}

// waves are those of the life's story. Of every other life the last one has room
// for failures: batches carry users only where they do not stop it.
func (w *world) waves() []journal.WaveRule {
	list := storyWaves()
	if w.spec.Seed%2 == 0 {
		list[1].MaxFailures = 5
	}
	return list
}

// run returns the run of the state directory, which it plans if there is none.
func (w *world) run() (string, error) {
	list, err := w.store.Runs()
	switch {
	case w.spec.New:
		return w.plan()
	case err != nil:
		return "", err
	case len(list) > 1:
		return "", fmt.Errorf("there are %d runs", len(list))
	case len(list) == 1:
		return list[0].Header.ID, list[0].Err
	}
	return w.plan()
}

func (w *world) plan() (string, error) {
	d, err := w.store.Draft(ledger.Header{Script: "faults.star", Created: time.Now(), OSUser: "ann"}, w.keys)
	if err != nil {
		return "", err
	}
	var list []any
	t := tales[w.spec.Story]
	for _, name := range t.names {
		list = append(list, name)
	}
	users, err := source.List(source.ListOptions{Items: list, Key: "login"})
	if err != nil {
		return "", err
	}
	first := func(_ context.Context, row source.Row) (string, error) {
		if row.Line <= 2 {
			return "canary", nil
		}
		return "rest", nil
	}
	_, err = engine.MakePlan(context.Background(), engine.PlanJob{Users: users, Wave: first, Waves: storyWaves(), Draft: d, Hooks: w.hooks(),
		Backends: w.backends, Random: rand.Reader})
	if err != nil {
		return "", errors.Join(err, d.Discard())
	}
	r, err := d.Freeze([]ledger.WavePlan{{Name: "canary"}, {Name: "rest"}})
	if err != nil {
		return "", err
	}
	return r.ID(), r.Close()
}

// apply locks the run, releases a hold, puts users back whose outcome is not
// known (once a life), and applies. It reports whether the run is settled.
func (w *world) apply(id string, first bool) (bool, error) {
	take := w.store.Lock
	if w.spec.Moved {
		take = w.store.LockMoved
	}
	r, err := take(id, w.keys)
	if err != nil {
		return false, err
	}
	defer r.Close()
	if err := w.prepare(r, first); err != nil {
		return false, err
	}
	c, err := r.Counts()
	if err != nil || c.Pending == 0 {
		return true, err
	}
	if err := r.Commit([]*journal.Record{{Kind: journal.Started, Detail: journal.Detail{Command: "resume"}}}); err != nil {
		return false, err
	}
	approved, err := r.Approvals()
	if err != nil {
		return false, err
	}
	journal := w.journal(r)
	ending, err := engine.Apply(w.hard, engine.Job{ID: id, Journal: journal, Vault: r, Plan: r, Backends: w.backends, Hooks: w.hooks(),
		Row:   func(u ledger.User) (source.Row, error) { return source.Row{Key: u.Key}, nil },
		Waves: w.waves(), Planned: []int64{2, int64(len(tales[w.spec.Story].names)) - 2}, Approved: func(name string) bool { return slices.Contains(approved, name) },
		Revert: true, Known: func(label, account, _ string) (secret.Value, bool, error) {
			return secret.New(before(label, account)), true, nil
		},
		Clock: hurried{bank: w.bank}, Random: rand.Reader, Stop: w.stop, Crash: w.at})
	if e, lazy := journal.(*eager); lazy {
		e.flush()
	}
	if err != nil {
		return false, err
	}
	return ending.Interrupted, errors.Join(leave(r, ending), r.Confirm())
}

func (w *world) prepare(r *ledger.Run, first bool) error {
	if wave, held, err := r.Hold(); err != nil || held {
		if err != nil {
			return err
		}
		if err := r.Commit([]*journal.Record{{Kind: journal.Approved, Detail: journal.Detail{Wave: wave}}}); err != nil {
			return err
		}
	}
	if !first {
		return nil
	}
	put := []journal.Status{journal.Unresolved}
	if w.spec.Retry {
		put = []journal.Status{journal.Failed, journal.Partial}
	}
	var back []*journal.Record
	err := r.Each(ledger.Filter{Status: put}, ledger.OrderApply, func(u ledger.User) error {
		back = append(back, &journal.Record{Kind: journal.Reopened, User: u.Pos})
		return nil
	})
	if err != nil {
		return err
	}
	return r.Commit(back)
}

// leave records how a process leaves the run.
func leave(r *ledger.Run, e engine.Ending) error {
	state := journal.StateFinished
	switch c, err := r.Counts(); {
	case err != nil:
		return err
	case e.Interrupted:
		state = journal.StateInterrupted
	case e.Stopped != "":
		state = journal.StateStopped
	case e.Held != "":
		state = journal.StateHeld
	case c.Unknown > 0:
		state = journal.StateUnsettled
	}
	return r.Commit([]*journal.Record{{Kind: journal.Ended, Detail: journal.Detail{State: state}}})
}

// eager is a journal without write-ahead: it says that records are durable and
// writes them a little later.
type eager struct {
	run  *ledger.Run
	mu   sync.Mutex
	late sync.WaitGroup
}

func (e *eager) Commit(recs []*journal.Record) error {
	copies := make([]*journal.Record, len(recs))
	for i, r := range recs {
		c := *r
		copies[i] = &c
	}
	e.flush()
	e.late.Go(func() {
		time.Sleep(20 * time.Millisecond)
		e.mu.Lock()
		defer e.mu.Unlock()
		_ = e.run.Commit(copies)
	})
	return nil
}

func (e *eager) flush() { e.late.Wait() }
