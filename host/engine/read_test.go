package engine

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/rekey-host/rekey/host/journal"
	"github.com/rekey-host/rekey/host/ledger"
	"github.com/rekey-host/rekey/host/source"
	"github.com/rekey-host/rekey/sdk"
	"github.com/rekey-host/rekey/sdk/secret"
)

// framed is a target that keeps how large its frames are.
type framed struct {
	*target
	mu     sync.Mutex
	frames []int
	calls  int // of Verify, outside a frame
}

func (f *framed) Submit(ops []sdk.Operation, answer func(int, sdk.Receipt)) {
	f.mu.Lock()
	f.frames = append(f.frames, len(ops))
	f.mu.Unlock()
	f.target.Submit(ops, answer)
}

func (f *framed) Verify(ctx context.Context, account, kind string, v secret.Value) (sdk.Verdict, error) {
	f.mu.Lock()
	f.calls++
	f.mu.Unlock()
	return f.target.Verify(ctx, account, kind, v)
}

// TestAVerifyTravelsInFramesWhereItMay, and says the same in both ways.
func TestAVerifyTravelsInFramesWhereItMay(t *testing.T) {
	set := journal.Step{Verb: journal.Set, Backend: "a", Value: given("value")}
	verify := journal.Step{Verb: journal.Verify, Backend: "a", Value: given("value")}
	for _, verdict := range []sdk.Verdict{sdk.Accepted, sdk.AcceptedMustChange, sdk.Rejected, sdk.Blocked, sdk.CannotTell} {
		var said [2]journal.Record
		for i, streams := range []bool{false, true} {
			b := newBook(40)
			x := &framed{target: newTarget(t, b)}
			x.verify = func(string, string) sdk.Verdict { return verdict }
			backend := x.backend("a")
			backend.Instance, backend.StreamsVerify = x, streams
			apply(t, jobOf(b, steps(set, verify), backend))
			for pos := int64(1); pos <= 40; pos++ {
				end := b.finished(pos)
				said[i] = journal.Record{Code: end.Code, Detail: journal.Detail{Status: end.Detail.Status, Message: end.Detail.Message}}
			}
			sent := 0
			for _, n := range x.frames {
				sent += n
			}
			if want := map[bool]int{false: 40, true: 80}[streams]; sent != want || x.calls != 80-want {
				t.Errorf("%s, streams %v: %d operations in frames and %d calls, want %d and %d", verdict, streams, sent, x.calls, want, 80-want)
			}
		}
		if said[0].Code != said[1].Code || said[0].Detail.Status != said[1].Detail.Status || said[0].Detail.Message != said[1].Detail.Message {
			t.Errorf("%s: by calls %v, in frames %v", verdict, said[0], said[1])
		}
	}
}

// TestAVerifyOfAFrameThatFailsIsAskedAgainWhereThatMayHelp, and counts once for
// the circuit.
func TestAVerifyOfAFrameThatFailsIsAskedAgainWhereThatMayHelp(t *testing.T) {
	for _, c := range []struct {
		code sdk.Code
		asks int
		want journal.Status
	}{{sdk.TargetUnavailable, 3, journal.Partial}, {sdk.ConnectionLost, 2, journal.Partial}, {sdk.Unsupported, 1, journal.Done}, {sdk.TargetError, 1, journal.Partial}} {
		b := newBook(1)
		x := &failing{target: newTarget(t, b), err: sdk.Errorf(c.code, "no")}
		backend := x.backend("a")
		backend.Instance, backend.StreamsVerify = x, true
		apply(t, jobOf(b, steps(journal.Step{Verb: journal.Set, Backend: "a", Value: given("value")}, journal.Step{Verb: journal.Verify, Backend: "a", Value: given("value")}), backend))
		if got := b.finished(1); got.Detail.Status != c.want || x.asks != c.asks {
			t.Errorf("%s: %s after %d, want %s after %d", c.code, got.Detail.Status, x.asks, c.want, c.asks)
		}
	}
}

// failing is a target whose verifies fail.
type failing struct {
	*target
	asks int
	err  *sdk.Error
}

func (f *failing) Submit(ops []sdk.Operation, answer func(int, sdk.Receipt)) {
	for n, op := range ops {
		if op.Verb != sdk.Verify {
			f.target.Submit([]sdk.Operation{op}, func(_ int, r sdk.Receipt) { answer(n, r) })
			continue
		}
		f.asks++
		go func() { time.Sleep(time.Millisecond); answer(n, sdk.Refuse(f.err)) }()
	}
}

// TestARefusedReadCountsOnceForTheCircuit, whichever way it went.
func TestARefusedReadCountsOnceForTheCircuit(t *testing.T) {
	for _, c := range []struct {
		verb    string
		streams bool
	}{{journal.Verify, false}, {journal.Verify, true}, {journal.Find, false}, {journal.Find, true}} {
		x := &restarting{target: newTarget(t, newBook(1)), err: sdk.Errorf(sdk.Unreachable, "gone")}
		x.left.Store(1)
		be := x.backend("a")
		be.Instance, be.Attempts, be.StreamsVerify = &unseen{x}, 1, c.streams
		cr := working(t, jobOf(x.book, nil, be))
		s := newSteps(cr, ledger.User{Pos: 1, Key: "ann"}, source.Row{Key: "ann"})
		if r, err := s.Do(t.Context(), journal.Step{Verb: c.verb, Backend: "a", Account: "ann", Value: given("x")}); err != nil || r.Code != sdk.Unreachable {
			t.Errorf("%s: %+v, %v", c.verb, r, err)
		}
		if got := cr.dispatchers["a"].circuit.away; got != 1 {
			t.Errorf("%s, in a frame %v: counted %d times", c.verb, c.streams, got)
		}
	}
}

// unseen is a target that is away for its first question, a verify too.
type unseen struct{ *restarting }

func (u *unseen) Submit(_ []sdk.Operation, answer func(int, sdk.Receipt)) {
	answer(0, sdk.Refuse(sdk.AsError(u.away(), sdk.Internal)))
}

func (u *unseen) Verify(context.Context, string, string, secret.Value) (sdk.Verdict, error) {
	return sdk.CannotTell, u.away()
}

// TestAReadOfARunThatEndsSaysNothing: who has sent nothing goes back to pending,
// and what comes with a cancellation is no answer.
func TestAReadOfARunThatEndsSaysNothing(t *testing.T) {
	for _, cancels := range []bool{true, false} {
		b := newBook(1)
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		cr := newRun(ctx, jobOf(b, nil))
		cr.committer = &committer{wake: make(chan struct{}, 1)}
		x := &ending{target: newTarget(t, b), end: cancel}
		l := queued(0)
		l.slots, l.backend, l.soft = make(chan struct{}, 1), x.backend("a"), cr.soft
		l.backend.Instance = x
		if !cancels {
			cr.softEnd(errStopped)
		}
		s := newSteps(cr, ledger.User{Pos: 1}, source.Row{})
		_, err := newReader(&s.userState, journal.Step{Verb: journal.Find, Backend: "a", Account: "ann"}, l, &journal.RecordedStep{}).read()
		if !isCancelled(err) || len(cr.committer.queue) != 0 || x.found != cancels {
			t.Errorf("cancelled %v: %v, %d records, asked %v", cancels, err, len(cr.committer.queue), x.found)
		}
	}
}

// ending is a target during whose answer the run is cancelled.
type ending struct {
	*target
	end   context.CancelFunc
	found bool
}

func (e *ending) Find(ctx context.Context, account string) (sdk.Account, error) {
	e.found = true
	e.end()
	return e.target.Find(ctx, account)
}

// TestAQuestionWaitsForACircuitThatOpensBeforeIt.
func TestAQuestionWaitsForACircuitThatOpensBeforeIt(t *testing.T) {
	cr := idle(t.Context())
	l := queued(0)
	l.slots, l.soft = make(chan struct{}, 1), cr.soft
	l.slots <- struct{}{} // somebody is before it
	made, asked := make(chan struct{}), make(chan error)
	go func() {
		asked <- newReader(&userState{run: cr}, journal.Step{}, l, &journal.RecordedStep{}).query(func(context.Context) { close(made) })
	}()
	time.Sleep(5 * time.Millisecond)
	for range circuitLimit {
		l.circuit.observe(sdk.Errorf(sdk.Unreachable, "gone"))
	}
	<-l.slots
	select {
	case <-made:
		t.Error("it was asked through an open circuit")
	case err := <-asked:
		t.Errorf("it was not asked: %v", err)
	case <-time.After(20 * time.Millisecond):
		l.circuit.reset()
		<-made
		if err := <-asked; err != nil {
			t.Error(err)
		}
	}
}

// TestAResetEntersTheSemaphore, and waits for what may still arrive; an unlock gives
// no value, and need not.
func TestAResetEntersTheSemaphore(t *testing.T) {
	for _, c := range []struct {
		name, verb    string
		lost, stopped bool
		waits         bool
	}{
		{"a reset", journal.Reset, false, false, false}, {"an unlock", journal.Unlock, false, false, false},
		{"a reset, after a lost set", journal.Reset, true, false, true}, {"an unlock, after a lost set", journal.Unlock, true, false, false},
		{"a reset of a run that stops", journal.Reset, false, true, true}, {"an unlock of a run that stops", journal.Unlock, false, true, true},
	} {
		b := newBook(1)
		x := newTarget(t, b)
		cr := working(t, jobOf(b, nil, x.backend("a")))
		s := newSteps(cr, ledger.User{Pos: 1, Key: "ann"}, source.Row{Key: "ann"})
		step := journal.Step{Verb: c.verb, Backend: "a", Account: "ann"}
		if c.lost {
			s.history.Add(&journal.Record{Kind: journal.Intent, User: 1, Step: 1, Verb: journal.Set, Backend: "a", Account: "ann", Sealed: []byte("x")})
			s.lost = map[*journal.Attempt]loss{s.history.Attempt(1, 0): {here: true, until: time.Now().Add(time.Hour)}}
		}
		if c.stopped {
			cr.softEnd(errStopped)
		}
		refusal, err := newResetter(&s.userState, step, cr.dispatchers["a"], &journal.RecordedStep{Call: step.Call(), Ordinal: 2}).mayAsk()
		if refusal != nil || (err != nil) != c.waits || s.permit.sent() == c.waits {
			t.Errorf("%s: %v, %v, inside %v", c.name, refusal, err, s.permit.sent())
		}
	}
}

// TestAResetIsTriedAsOftenAsAnOperation, each time as a later attempt.
func TestAResetIsTriedAsOftenAsAnOperation(t *testing.T) {
	b := newBook(1)
	x := &numbered{target: newTarget(t, b)}
	be := x.backend("a")
	be.Instance = x
	w := &stopwatch{}
	job := jobOf(b, steps(journal.Step{Verb: journal.Reset, Backend: "a"}), be)
	job.Clock = w
	apply(t, job)
	if got := b.finished(1); got.Detail.Status != journal.Failed || !slices.Equal(x.seen, []int{1, 2, 3}) || got.Detail.Attempt != 3 {
		t.Errorf("%s at attempts %v, %d in all; want failed at 1, 2 and 3", got.Detail.Status, x.seen, got.Detail.Attempt)
	}
	if len(w.waited) != 2 || w.waited[0] != time.Hour || w.waited[1] != time.Hour {
		t.Errorf("waited %v, want what the target asks for", w.waited)
	}
}

// numbered refuses resets for the moment and keeps their attempts.
type numbered struct {
	*target
	seen []int
}

func (n *numbered) Ask(_ context.Context, op sdk.Operation) sdk.Receipt {
	n.seen = append(n.seen, op.Attempt)
	return sdk.Refuse(&sdk.Error{Code: sdk.RateLimited, RetryAfter: time.Hour})
}

// TestAResetThatComesWithTheCancellation counts where it says what happened.
func TestAResetThatComesWithTheCancellation(t *testing.T) {
	for name, c := range map[string]struct {
		said   sdk.Receipt
		cancel bool
		want   error
	}{"applied": {sdk.OK(), true, nil}, "refused": {sdk.Refuse(nil), true, nil}, "unknown": {cut, true, errUnderWay}, "unknown, and the run goes on": {cut, false, nil}} {
		ctx, cancel := context.WithCancel(t.Context())
		cr := idle(ctx)
		x := &cancelling{target: newTarget(t, newBook(1)), said: c.said}
		if x.end = func() {}; c.cancel {
			x.end = cancel
		}
		l := queued(0)
		l.slots, l.backend = make(chan struct{}, 1), x.backend("a")
		l.backend.Instance = x
		got, err := newResetter(&userState{run: cr}, journal.Step{}, l, &journal.RecordedStep{}).askOnce(sdk.Operation{Verb: sdk.Reset})
		if !errors.Is(err, c.want) || got.Outcome != c.said.Outcome {
			t.Errorf("%s: %v, %v; want %v", name, got.Outcome, err, c.want)
		}
		cancel()
	}
}

// cancelling is a target during whose resets the run is cancelled.
type cancelling struct {
	*target
	said sdk.Receipt
	end  func()
}

func (c *cancelling) Ask(context.Context, sdk.Operation) sdk.Receipt {
	c.end()
	return c.said
}
