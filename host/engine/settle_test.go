package engine

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rekey-host/rekey/host/journal"
	"github.com/rekey-host/rekey/host/ledger"
	"github.com/rekey-host/rekey/sdk"
)

var cut = sdk.Lost(sdk.Errorf(sdk.ConnectionLost, "cut"))

// TestWhatARecoverySendsIsALaterAttempt: a plugin looks before it reports a
// refusal only where it is told that the value may be there already.
func TestWhatARecoverySendsIsALaterAttempt(t *testing.T) {
	b := newBook(1)
	x := newTarget(t, b)
	var sent []string
	x.say = func(n int, op sdk.Operation) sdk.Receipt {
		sent = append(sent, fmt.Sprintf("%s %d", op.Verb, op.Attempt))
		switch {
		case n == 1:
			return cut
		case op.Verb == sdk.Set && op.MustChange == nil:
			return sdk.Refuse(&sdk.Error{Code: sdk.AccountStatus, AccountStatus: sdk.StatusPending})
		}
		x.take(op)
		return sdk.OK()
	}
	be := x.backend("a")
	be.Description.Recover, be.Abilities = sdk.SetThenChange, nil
	apply(t, jobOf(b, changeTo("a"), be))
	if got, want := strings.Join(sent, ", "), "change 1, set 2, set 2, change 2"; got != want {
		t.Errorf("sent %s; want %s", got, want)
	}
}

// TestARefusalForHistoryOfARepeatedValueIsSettledByAVerify: a generated value
// that the target remembers was put there by the attempt whose answer was lost.
func TestARefusalForHistoryOfARepeatedValueIsSettledByAVerify(t *testing.T) {
	history := sdk.Refuse(&sdk.Error{Code: sdk.PolicyViolation, Violations: []sdk.Violation{{Rule: sdk.RuleHistory}}})
	for _, c := range []struct {
		name    string
		verb    string
		abled   bool // the target can be asked
		verdict sdk.Verdict
		want    ledger.Status
		sends   int
	}{
		{"in force", journal.Set, true, sdk.Accepted, ledger.Done, 2},
		{"overtaken by somebody else", journal.Set, true, sdk.Rejected, ledger.Unresolved, 2},
		{"nobody to ask", journal.Set, false, sdk.CannotTell, ledger.Unresolved, 2},
		{"locked", journal.Set, true, sdk.Blocked, ledger.Unresolved, 2},
		{"a change, seen as not in force", journal.Change, true, sdk.Rejected, ledger.Unresolved, 2},
	} {
		b := newBook(1)
		x := newTarget(t, b)
		x.verify = func(string, string) sdk.Verdict { return c.verdict }
		x.say = func(n int, op sdk.Operation) sdk.Receipt {
			if n > 1 {
				return history
			}
			x.take(op)
			return cut
		}
		be := x.backend("a")
		if !c.abled {
			be.Abilities = nil
		}
		hooks := generateAndSet("a")
		if c.verb == journal.Change {
			hooks = changeTo("a")
		}
		apply(t, jobOf(b, hooks, be))
		values := map[string]bool{}
		for _, r := range b.user(1) {
			if r.Kind == ledger.Intent {
				values[string(r.Sealed)] = true
			}
		}
		if got := statusIn(b.user(1)); got != c.want || x.n != c.sends || len(values) != 1 {
			t.Errorf("%s: %s after %d sends of %d values; want %s, %d, 1", c.name, got, x.n, len(values), c.want, c.sends)
		}
	}
}

// TestAWaitThatTheTargetAsksForIsFreeOfAttempts, and the plugin is told that it
// has seen the operation before.
func TestAWaitThatTheTargetAsksForIsFreeOfAttempts(t *testing.T) {
	b := newBook(1)
	x := newTarget(t, b)
	last := 0
	x.say = func(n int, op sdk.Operation) sdk.Receipt {
		last = op.Attempt
		if n < 8 {
			return sdk.Refuse(&sdk.Error{Code: sdk.RateLimited, RetryAfter: 1})
		}
		x.take(op)
		return sdk.OK()
	}
	apply(t, jobOf(b, generateAndSet("a"), x.backend("a")))
	if got := statusIn(b.user(1)); got != ledger.Done || last != 8 {
		t.Errorf("%s at attempt %d, want done at attempt 8", got, last)
	}
}

// TestWhatALaterRoundSettledStaysSettled: a process that ends after it settled
// what an earlier round had left unknown is followed by one that knows.
func TestWhatALaterRoundSettledStaysSettled(t *testing.T) {
	interrupted := 0
	for n := 1; ; n++ {
		b := newBook(1)
		x, y := newTarget(t, b), newTarget(t, b)
		x.say = func(_ int, op sdk.Operation) sdk.Receipt { x.take(op); return cut }
		blind := x.backend("a")
		blind.Description.ReplaySafe, blind.Abilities = nil, nil
		job := jobOf(b, generateAndSet("a", "b"), blind, y.backend("b"))
		apply(t, job)
		if got := statusIn(b.user(1)); got != ledger.Unresolved {
			t.Fatalf("%s, want unknown", got)
		}
		b.records = append(b.records, ledger.Record{Kind: ledger.Reopened, User: 1})
		x.say = func(_ int, op sdk.Operation) sdk.Receipt { x.take(op); return sdk.OK() }
		seeing := x.backend("a")
		seeing.Description.ReplaySafe = nil
		job.Backends[0], job.Journal = seeing, &short{b, n}
		_, err := Apply(context.Background(), job)
		if err != nil {
			interrupted++
			job.Journal = b
			apply(t, job)
		}
		settled := 0
		for _, r := range b.user(1) {
			if r.Kind == ledger.Outcome && r.Backend == "a" && r.Outcome == sdk.Applied {
				settled++
			}
		}
		if got := statusIn(b.user(1)); got != ledger.Done || settled != 1 || x.n != 1 || x.current("user1") != y.current("user1") {
			t.Errorf("broken at commit %d: %s, settled %d times after %d sends; want done, once, 1", n, got, settled, x.n)
		}
		if err == nil {
			break
		}
	}
	if interrupted == 0 {
		t.Error("it was never interrupted")
	}
}

// TestACancelledRunBelievesNoEvidence: what is under way when a run is cancelled
// may take effect after the target has been asked.
func TestACancelledRunBelievesNoEvidence(t *testing.T) {
	b := newBook(1)
	x := newTarget(t, b)
	ctx, cancel := context.WithCancel(context.Background())
	late := make(chan struct{})
	x.verify = func(string, string) sdk.Verdict { return sdk.Rejected }
	x.say = func(int, sdk.Operation) sdk.Receipt {
		cancel()
		<-late // the operation is under way until the run has ended
		return sdk.OK()
	}
	be := x.backend("a")
	be.Description.ReplaySafe = nil
	_, _ = Apply(ctx, jobOf(b, generateAndSet("a"), be))
	close(late)
	for _, r := range b.user(1) {
		if r.Kind == ledger.Outcome && r.Outcome != sdk.Unknown {
			t.Errorf("%s %s: what became of the operation is not known", r.Outcome, r.Code)
		}
	}
	if got := statusIn(b.user(1)); got == ledger.Failed {
		t.Errorf("%s, want unknown or pending", got)
	}
}

// stopwatch keeps what it was asked to wait.
type stopwatch struct {
	fastClock
	mu     sync.Mutex
	waited []time.Duration
}

func (w *stopwatch) Sleep(ctx context.Context, d time.Duration) error {
	w.mu.Lock()
	w.waited = append(w.waited, d)
	w.mu.Unlock()
	return w.fastClock.Sleep(ctx, d)
}

// TestWaitsDoubleToAMinute: each within a quarter of what it should be, and none
// is nothing.
func TestWaitsDoubleToAMinute(t *testing.T) {
	for _, answer := range []sdk.Receipt{sdk.Refuse(&sdk.Error{Code: sdk.Conflict}), cut} {
		b := newBook(1)
		x := newTarget(t, b)
		x.say = func(int, sdk.Operation) sdk.Receipt { return answer }
		w := &stopwatch{}
		backend := x.backend("a")
		backend.Attempts, backend.Abilities = 9, nil
		job := jobOf(b, generateAndSet("a"), backend)
		job.Clock = w
		apply(t, job)
		want := []time.Duration{1, 2, 4, 8, 16, 32, 60, 60}
		if len(w.waited) != len(want) || x.n != 9 {
			t.Fatalf("%s: %d attempts, waits of %v, want 9 and 8 waits", answer.Outcome, x.n, w.waited)
		}
		for i, d := range w.waited {
			if base := want[i] * time.Second; d < base*3/4 || d > base*5/4 {
				t.Errorf("%s: wait %d is %v, want %v within a quarter", answer.Outcome, i+1, d, base)
			}
		}
	}
}
