package engine

import (
	"context"
	"errors"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rekey-host/rekey/host/journal"
	"github.com/rekey-host/rekey/host/source"
	"github.com/rekey-host/rekey/sdk"
	"github.com/rekey-host/rekey/sdk/secret"
)

// mute takes operations and never answers them.
type mute struct {
	*target
	once  sync.Once
	taken chan struct{} // closed when it has the first
}

func (m *mute) Submit(ops []sdk.Operation, _ func(int, sdk.Receipt)) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, op := range ops {
		m.take(op)
	}
	m.once.Do(func() { close(m.taken) })
}

func TestACancelledRunWaitsForNoAnswer(t *testing.T) {
	b := newBook(200)
	m := &mute{target: newTarget(t, b), taken: make(chan struct{})}
	backend := m.backend("mute")
	backend.Instance = m
	job := jobOf(b, generateAndSet("mute"), backend)
	ctx, cancel := context.WithCancel(t.Context())
	go func() { <-m.taken; cancel() }()
	ending, err := Apply(ctx, job)
	if err != nil || !ending.Interrupted {
		t.Fatalf("got %+v, %v", ending, err)
	}
	if done := b.counts()[journal.Done]; done != 0 {
		t.Errorf("%d users are done, nobody answered", done)
	}
	for pos := int64(1); pos <= 200; pos++ {
		for _, rec := range b.user(pos) {
			if sent := m.current(keyOf(pos)) != ""; rec.Kind == journal.Outcome && (rec.Outcome == sdk.Unknown) != sent {
				t.Errorf("%s: sent %v, recorded as %s", keyOf(pos), sent, rec.Outcome)
			}
		}
	}
}

// deaf is a target whose calls last until they are cancelled, and then say so.
type deaf struct {
	*target
	cancel context.CancelFunc
	after  int // calls that are answered before
	calls  int
}

// wait answers, or cancels the run and reports that the call was given up.
func (d *deaf) wait(ctx context.Context) *sdk.Error {
	d.mu.Lock()
	d.calls++
	ends := d.calls > d.after
	d.mu.Unlock()
	if !ends {
		return nil
	}
	d.cancel()
	<-ctx.Done()
	return sdk.Errorf(sdk.Cancelled, "given up")
}

func (d *deaf) Find(ctx context.Context, account string) (sdk.Account, error) {
	if err := d.wait(ctx); err != nil {
		return sdk.Account{}, err
	}
	return d.target.Find(ctx, account)
}

func (d *deaf) Verify(ctx context.Context, account, kind string, v secret.Value) (sdk.Verdict, error) {
	if err := d.wait(ctx); err != nil {
		return sdk.CannotTell, err
	}
	return d.target.Verify(ctx, account, kind, v)
}

func (d *deaf) Generate(ctx context.Context, kind string, n int) ([]secret.Value, error) {
	if err := d.wait(ctx); err != nil {
		return nil, err
	}
	return d.target.Generate(ctx, kind, n)
}

func (d *deaf) Ask(ctx context.Context, op sdk.Operation) sdk.Receipt {
	switch err := d.wait(ctx); {
	case err != nil && op.Verb == sdk.Unlock:
		return sdk.Refuse(err)
	case err != nil:
		return sdk.Lost(err)
	}
	return d.target.Ask(ctx, op)
}

func (d *deaf) Submit(ops []sdk.Operation, answer func(int, sdk.Receipt)) {
	for n, op := range ops {
		go func() {
			ctx, cancel := context.WithTimeout(context.Background(), 10*time.Millisecond)
			defer cancel()
			if err := d.wait(ctx); err != nil {
				answer(n, sdk.Lost(err))
				return
			}
			answer(n, d.target.one(op))
		}()
	}
}

// TestACancellationIsNeverAnAnswer: whatever verb is cancelled, with or without
// try_, nothing is recorded of the call, and the next process ends every user.
func TestACancellationIsNeverAnAnswer(t *testing.T) {
	given := journal.Given(secret.New("given"))
	steps := map[string]journal.Step{
		"set": {Verb: journal.Set, Value: given}, "change": {Verb: journal.Change, Value: given, Old: journal.Given(secret.New("old"))},
		"reset": {Verb: journal.Reset}, "unlock": {Verb: journal.Unlock}, "revoke": {Verb: journal.Revoke}, "find": {Verb: journal.Find}, "verify": {Verb: journal.Verify, Value: given},
		"generate": {Verb: "generate"},
	}
	for name, step := range steps {
		for after := range 3 {
			for _, tries := range []bool{false, true} {
				checkCancelled(t, name, step, after, tries)
			}
		}
	}
}

// branching is a hook that takes a step, and ends for good if it was refused.
func branching(step journal.Step, tries bool) script {
	return func(ctx context.Context, row source.Row, s *Steps) journal.Verdict {
		step := step
		step.Backend, step.Account = "a", row.Key
		if step.Verb == "generate" {
			v, err := s.Generate(ctx, GenerateStep{Generator: "a"})
			if err != nil {
				return *must(journal.Result{}, err)
			}
			step.Verb, step.Value = journal.Set, v
		}
		r, err := s.Do(ctx, step)
		if bad := must(r, err); bad != nil && (err != nil || !tries) {
			return *bad
		}
		if !r.OK() {
			return journal.Verdict{Kind: journal.SaidSkip, Reason: string(r.Code)}
		}
		if bad := must(s.Do(ctx, journal.Step{Verb: journal.Set, Backend: "a", Account: row.Key, Value: journal.Given(secret.New("given"))})); bad != nil {
			return *bad
		}
		return journal.Verdict{}
	}
}

func checkCancelled(t *testing.T, name string, step journal.Step, after int, tries bool) {
	t.Helper()
	b := newBook(5)
	ctx, cancel := context.WithCancel(t.Context())
	d := &deaf{target: newTarget(t, b), cancel: cancel, after: after}
	d.verify = func(string, string) sdk.Verdict { return sdk.Accepted }
	backend := d.backend("a")
	backend.Instance = d
	job := jobOf(b, branching(step, tries), backend)
	if _, err := Apply(ctx, job); err != nil {
		t.Fatal(err)
	}
	for _, r := range b.records {
		unsent := r.Kind == journal.Outcome && r.Outcome == sdk.Refused // certain: it never left
		if r.Code == sdk.Cancelled && !unsent || r.Kind == journal.Finished && r.Detail.Status != journal.Done {
			t.Errorf("%s, %d answered, try %v: recorded %s %s %s %s", name, after, tries, r.Kind, r.Verb, r.Code, r.Detail.Status)
		}
	}
	d.mu.Lock()
	d.after = 1 << 30
	d.mu.Unlock()
	apply(t, job)
	if n := b.counts()[journal.Done]; n != 5 {
		t.Errorf("%s, %d answered, try %v: %v after a resume, want 5 done", name, after, tries, b.counts())
	}
}

// TestAnAnswerThatComesWithTheCancellation counts where it says what happened.
func TestAnAnswerThatComesWithTheCancellation(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	s := &userState{run: &run{hard: ctx}}
	for name, c := range map[string]struct {
		answer sdk.Receipt
		want   error
	}{"applied": {sdk.OK(), nil}, "refused": {sdk.Refuse(nil), nil}, "unknown": {cut, errUnderWay}} {
		for range 20 { // which of the two is seen first is not fixed
			p := &request{answer: make(chan reply, 1), sent: true}
			p.answer <- reply{receipt: c.answer}
			got := s.await(&dispatcher{}, p)
			if !errors.Is(got.err, c.want) || got.err == nil && got.receipt.Outcome == sdk.Refused && got.receipt.Err == nil {
				t.Fatalf("%s: %+v, want %v", name, got, c.want)
			}
		}
	}
}

// TestAPanicNamesItsUser: whoever ends the process for it can say where.
func TestAPanicNamesItsUser(t *testing.T) {
	type panicked struct {
		user   string
		reason any
		stack  bool
	}
	got := make(chan panicked, 1)
	p := panics(func(user string, reason any, stack []byte) {
		got <- panicked{user, reason, strings.Contains(string(stack), "TestAPanicNamesItsUser")}
		runtime.Goexit()
	})
	go func() {
		defer p.guard("ann")
		panic("boom")
	}()
	if p := <-got; p != (panicked{"ann", "boom", true}) {
		t.Errorf("got %+v", p)
	}
}
