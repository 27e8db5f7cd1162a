package engine

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rekey-host/rekey/host/journal"
	"github.com/rekey-host/rekey/host/source"
	"github.com/rekey-host/rekey/sdk"
	"github.com/rekey-host/rekey/sdk/secret"
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
		want    journal.Status
		sends   int
	}{
		{"in force", journal.Set, true, sdk.Accepted, journal.Done, 2},
		{"overtaken by somebody else", journal.Set, true, sdk.Rejected, journal.Unresolved, 2},
		{"nobody to ask", journal.Set, false, sdk.CannotTell, journal.Unresolved, 2},
		{"locked", journal.Set, true, sdk.Blocked, journal.Unresolved, 2},
		{"a change, seen as not in force", journal.Change, true, sdk.Rejected, journal.Unresolved, 2},
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
			if r.Kind == journal.Intent {
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
	if got := statusIn(b.user(1)); got != journal.Done || last != 8 {
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
		if got := statusIn(b.user(1)); got != journal.Unresolved {
			t.Fatalf("%s, want unknown", got)
		}
		b.records = append(b.records, journal.Record{Kind: journal.Reopened, User: 1})
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
			if r.Kind == journal.Outcome && r.Backend == "a" && r.Outcome == sdk.Applied {
				settled++
			}
		}
		if got := statusIn(b.user(1)); got != journal.Done || settled != 1 || x.n != 1 || x.current("user1") != y.current("user1") {
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
		if r.Kind == journal.Outcome && r.Outcome != sdk.Unknown {
			t.Errorf("%s %s: what became of the operation is not known", r.Outcome, r.Code)
		}
	}
	if got := statusIn(b.user(1)); got == journal.Failed {
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

// TestAValueThatTheTargetRemembersWasPutThereByTheLostAttempt, if the host made
// it, and if that is what the refusal says.
func TestAValueThatTheTargetRemembersWasPutThereByTheLostAttempt(t *testing.T) {
	broken := func(rules ...sdk.Rule) *sdk.Error {
		e := &sdk.Error{Code: sdk.PolicyViolation}
		for _, rule := range rules {
			e.Violations = append(e.Violations, sdk.Violation{Rule: rule})
		}
		return e
	}
	conflict := broken(sdk.RuleHistory)
	conflict.Code = sdk.Conflict
	for _, c := range []struct {
		name   string
		origin int
		said   sdk.Receipt
		want   bool
	}{
		{"history", 1, sdk.Refuse(broken(sdk.RuleHistory)), true}, {"the same as now", 1, sdk.Refuse(broken(sdk.RuleMinLength, sdk.RuleSameAsCurrent)), true},
		{"too short", 1, sdk.Refuse(broken(sdk.RuleMinLength)), false}, {"no rule", 1, sdk.Refuse(broken()), false},
		{"a given value", 0, sdk.Refuse(broken(sdk.RuleHistory)), false}, {"lost", 1, sdk.Lost(broken(sdk.RuleHistory)), false},
		{"no reason", 1, sdk.Receipt{Outcome: sdk.Refused}, false}, {"another reason", 1, sdk.Refuse(conflict), false},
	} {
		if got := remembered(&journal.Attempt{Intent: &journal.Record{Origin: c.origin}}, c.said); got != c.want {
			t.Errorf("%s: %v, want %v", c.name, got, c.want)
		}
	}
}

// TestABridgeIsForTargetsThatRefuseTheWay, not the value or the account.
func TestABridgeIsForTargetsThatRefuseTheWay(t *testing.T) {
	for _, c := range []struct {
		outcome sdk.Outcome
		code    sdk.Code
		want    bool
	}{
		{sdk.Refused, sdk.Unsupported, true}, {sdk.Refused, sdk.AccountStatus, true}, {sdk.Refused, sdk.PermissionDenied, false},
		{sdk.Unknown, sdk.AccountStatus, false}, {sdk.Applied, "", false}, {sdk.Unknown, "open", false},
	} {
		if got := bridgeable(tried(1, 1, c.outcome, c.code)); got != c.want {
			t.Errorf("%s %s: %v, want %v", c.outcome, c.code, got, c.want)
		}
	}
}

// TestARecoveryGoesAsFarAsItIsLet: what was refused for good is followed by
// nothing, and what was sent is said to be a later attempt.
func TestARecoveryGoesAsFarAsItIsLet(t *testing.T) {
	denied, pending := sdk.Refuse(sdk.Errorf(sdk.PermissionDenied, "no")), sdk.Refuse(&sdk.Error{Code: sdk.AccountStatus, AccountStatus: sdk.StatusPending})
	for _, c := range []struct {
		name string
		says []sdk.Receipt
		want string
	}{
		{"the set is taken", []sdk.Receipt{cut, sdk.OK()}, "change, set"}, {"the set is refused", []sdk.Receipt{cut, denied}, "change, set"},
		{"the bridge is refused", []sdk.Receipt{cut, pending, denied}, "change, set, set"},
		{"the bridge is taken", []sdk.Receipt{cut, pending, sdk.OK(), sdk.OK()}, "change, set, set, change"},
	} {
		b := newBook(1)
		x := newTarget(t, b)
		var sent []string
		x.say = func(n int, op sdk.Operation) sdk.Receipt {
			sent = append(sent, string(op.Verb))
			if n > len(c.says) {
				return denied
			}
			return c.says[n-1]
		}
		be := x.backend("a")
		be.Description.Recover, be.Abilities = sdk.SetThenChange, nil
		apply(t, jobOf(b, changeTo("a"), be))
		if got := strings.Join(sent, ", "); got != c.want {
			t.Errorf("%s: sent %s, want %s", c.name, got, c.want)
		}
	}
}

// TestARecoveryThatWasKilledNotesWhatItLost before it goes on.
func TestARecoveryThatWasKilledNotesWhatItLost(t *testing.T) {
	b := newBook(1)
	x := newTarget(t, b)
	r := journal.Record{User: 1, Step: 1, Verb: journal.Change, Backend: "a", Account: "user1"}
	change, lost, set := r, r, r
	change.Kind, change.Sealed, change.SealedOld = journal.Intent, []byte("new"), []byte("old")
	lost.Kind, lost.Outcome, lost.Code = journal.Outcome, sdk.Unknown, sdk.Timeout
	set.Kind, set.Try, set.Sealed, set.Detail.Op = journal.Intent, 1, []byte("new"), "set"
	b.records, b.sealed["user1\x00new"] = []journal.Record{change, lost, set}, true
	be := x.backend("a")
	be.Description.Recover, be.Abilities = sdk.SetThenChange, nil
	apply(t, jobOf(b, steps(journal.Step{Verb: journal.Change, Backend: "a", Old: given("old"), Value: given("new")}), be))
	var of []sdk.Outcome
	for _, r := range b.user(1) {
		if r.Kind == journal.Outcome && r.Try == 1 {
			of = append(of, r.Outcome)
		}
	}
	if len(of) != 1 || of[0] != sdk.Unknown || statusIn(b.user(1)) != journal.Done || x.current("user1") != "new" {
		t.Errorf("the set that was lost came to %v, the user is %s with %q; want unknown, done, new", of, statusIn(b.user(1)), x.current("user1"))
	}
}

// TestAnAttemptOfAKilledProcessIsSettledByWhatTheTargetSaysInTheEnd: it may have
// arrived while the value was sent once more.
func TestAnAttemptOfAKilledProcessIsSettledByWhatTheTargetSaysInTheEnd(t *testing.T) {
	denied := sdk.Refuse(sdk.Errorf(sdk.PermissionDenied, "no"))
	for _, c := range []struct {
		name    string
		said    sdk.Receipt // to the value that is sent once more
		then    sdk.Verdict // behind a refusal
		want    journal.Status
		asked   int
		attempt int
	}{
		{"applied", sdk.OK(), sdk.CannotTell, journal.Done, 1, 2}, {"refused, and it has arrived", denied, sdk.Accepted, journal.Done, 2, 2},
		{"refused, and it has not", denied, sdk.Rejected, journal.Failed, 2, 2}, {"refused, and nobody can tell", denied, sdk.CannotTell, journal.Unresolved, 2, 2},
		{"refused as no operation, and it has arrived", sdk.Refuse(sdk.Errorf(sdk.InvalidOperation, "no")), sdk.Accepted, journal.Done, 2, 2},
		{"lost again", cut, sdk.Accepted, journal.Unresolved, 1, 2},
	} {
		b := newBook(1)
		x := newTarget(t, b)
		asked, attempt := 0, 0
		x.verify = func(string, string) sdk.Verdict {
			if asked++; asked == 1 {
				return sdk.Rejected
			}
			return c.then
		}
		x.say = func(_ int, op sdk.Operation) sdk.Receipt { attempt = op.Attempt; return c.said }
		be := x.backend("a")
		be.Description.ReplaySafe = nil
		b.records = []journal.Record{{Kind: journal.Intent, User: 1, Step: 1, Verb: journal.Set, Backend: "a", Account: "user1", Sealed: []byte("first")}}
		b.sealed["user1\x00first"] = true
		apply(t, jobOf(b, steps(journal.Step{Verb: journal.Set, Backend: "a", Value: given("first")}), be))
		if got := statusIn(b.user(1)); got != c.want || asked != c.asked || attempt <= c.attempt || x.n != 1 {
			t.Errorf("%s: %s, asked %d times, sent %d times, last as attempt %d; want %s, %d, once, above %d", c.name, got, asked, x.n, attempt, c.want, c.asked, c.attempt)
		}
	}
}

// TestAVerifyTellsOfPlainValuesOnly, where the backend can, and the run is not
// cancelled.
func TestAVerifyTellsOfPlainValuesOnly(t *testing.T) {
	for _, c := range []struct {
		name, hash      string
		able, cancelled bool
		want            sdk.Verdict
	}{
		{"plain", "", true, false, sdk.Accepted}, {"hashed", "rfc2307", true, false, sdk.CannotTell},
		{"it cannot", "", false, false, sdk.CannotTell}, {"cancelled", "", true, true, sdk.CannotTell},
	} {
		ctx, cancel := context.WithCancel(t.Context())
		x := newTarget(t, newBook(1))
		asked := false
		x.verify = func(string, string) sdk.Verdict { asked = true; return sdk.Accepted }
		l := queued(0)
		l.slots, l.backend = make(chan struct{}, 1), x.backend("a")
		if !c.able {
			l.backend.Abilities = nil
		}
		if c.cancelled {
			cancel()
		}
		got := newExecutor(&userState{run: idle(ctx)}, journal.Step{Account: "ann", HashFormat: c.hash}, l, &journal.RecordedStep{}).verdictOn(secret.New("x"))
		if got != c.want || asked != (c.want == sdk.Accepted) {
			t.Errorf("%s: %s, asked %v; want %s", c.name, got, asked, c.want)
		}
		cancel()
	}
}

// TestARecordedOperationIsMadeAnewAsItWas: a change with its old value.
func TestARecordedOperationIsMadeAnewAsItWas(t *testing.T) {
	for verb, old := range map[string]string{journal.Change: "old", journal.Set: ""} {
		cr := idle(t.Context())
		cr.Vault = newBook(0)
		s := &userState{run: cr, history: journal.Read([]journal.Record{{Kind: journal.Intent, Step: 1, Verb: verb, Backend: "a", Account: "ann", Sealed: []byte("new")}})}
		step := journal.Step{Verb: verb, Backend: "a", Account: "ann", Value: given("another"), Old: given("old")}
		d, err := newExecutor(s, step, queued(0), &journal.RecordedStep{Call: step.Call(), Ordinal: 1}).reopened(s.history.Attempt(1, 0))
		if err != nil || string(d.op.Verb) != verb || d.op.Value.Reveal() != "new" || d.op.Old.Present() != (old != "") || old != "" && d.op.Old.Reveal() != old || d.op.Attempt < 2 {
			t.Errorf("%s: %s from an old value: %v, attempt %d, %v", verb, d.op.Verb, d.op.Old.Present(), d.op.Attempt, err)
		}
	}
}

// TestWhatDidNotLeaveIsRefusedAndWhatMayHaveIsLeftOpen: nothing else is certain
// of an attempt that a run cannot go on with.
func TestWhatDidNotLeaveIsRefusedAndWhatMayHaveIsLeftOpen(t *testing.T) {
	full := errors.New("no space left on device")
	lost := loss{here: true, until: time.Now().Add(time.Hour)}
	for _, c := range []struct {
		name    string
		lost    loss
		err     error
		records int
		fatal   error
	}{
		{"never sent", loss{}, errNotSent, 1, nil}, {"sent before, and lost", lost, errNotSent, 0, nil}, {"under way", loss{}, errUnderWay, 0, nil},
		{"no ledger", loss{}, full, 0, full}, {"no ledger, and lost", lost, full, 0, full},
	} {
		cr := idle(t.Context())
		s := &userState{run: cr, history: journal.Read([]journal.Record{{Kind: journal.Intent, Step: 1, Verb: journal.Set, Backend: "a", Account: "ann"}})}
		err := newExecutor(s, journal.Step{}, queued(0), &journal.RecordedStep{}).unsent(delivery{attempt: s.history.Attempt(1, 0), lost: c.lost}, c.err)
		if !isCancelled(err) || len(cr.committer.queue) != c.records || !errors.Is(cr.fatal, c.fatal) {
			t.Errorf("%s: %v, %d records, the run ends with %v; want %d, %v", c.name, err, len(cr.committer.queue), cr.fatal, c.records, c.fatal)
			continue
		}
		if c.records == 1 {
			if r := cr.committer.queue[0].rec; r.Outcome != sdk.Refused || r.Code != sdk.Cancelled || r.Detail.Late != nil {
				t.Errorf("%s: %s %s", c.name, r.Outcome, r.Code)
			}
		}
	}
}

// TestWhatTookEffectHasNoCode, whatever a plugin says beside.
func TestWhatTookEffectHasNoCode(t *testing.T) {
	for outcome, want := range map[sdk.Outcome]sdk.Code{sdk.Applied: "", sdk.AlreadyApplied: "", sdk.Refused: sdk.Conflict, sdk.Unknown: sdk.Conflict} {
		cr := idle(t.Context())
		s := &userState{run: cr, history: journal.Read([]journal.Record{{Kind: journal.Intent, Step: 1, Verb: journal.Set, Backend: "a", Account: "ann"}})}
		r := sdk.Receipt{Outcome: outcome, Err: sdk.Errorf(sdk.Conflict, "odd")}
		if err := newExecutor(s, journal.Step{}, queued(0), &journal.RecordedStep{}).conclude(delivery{attempt: s.history.Attempt(1, 0)}, r); err != nil {
			t.Fatal(err)
		}
		if got := cr.committer.queue[0].rec; got.Outcome != outcome || got.Code != want {
			t.Errorf("%s: recorded as %s %q, want %q", outcome, got.Outcome, got.Code, want)
		}
	}
}

// TestWhoHasLostAnAttemptGoesOnWhenTheRunStops, as whoever has changed something,
// and the attempts are counted.
func TestWhoHasLostAnAttemptGoesOnWhenTheRunStops(t *testing.T) {
	for _, c := range []struct {
		name  string
		first sdk.Receipt
		want  journal.Status
		sent  int
	}{{"lost", cut, journal.Done, 2}, {"refused for the moment", sdk.Refuse(sdk.Errorf(sdk.Conflict, "busy")), journal.Pending, 1}} {
		b := newBook(1)
		x := newTarget(t, b)
		ctx, cancel := context.WithCancel(t.Context())
		x.say = func(n int, op sdk.Operation) sdk.Receipt {
			if n == 1 {
				return c.first
			}
			x.take(op)
			return sdk.OK()
		}
		job := jobOf(b, generateAndSet("a"), x.backend("a"))
		job.Stop, job.Clock = ctx, stopping{stop: cancel}
		apply(t, job)
		if got := b.finished(1); statusIn(b.user(1)) != c.want || x.n != c.sent || c.want == journal.Done && got.Detail.Attempt != c.sent {
			t.Errorf("%s: %s after %d sends, %d counted; want %s, %d", c.name, statusIn(b.user(1)), x.n, got.Detail.Attempt, c.want, c.sent)
		}
	}
}

// TestAMarkIsNotProvenByTheValue: where the answer to a set with must_change is lost, a
// verify that says no more than that the value works leaves the user unknown.
func TestAMarkIsNotProvenByTheValue(t *testing.T) {
	yes, no := true, false
	for _, c := range []struct {
		name    string
		must    *bool
		verdict sdk.Verdict
		want    journal.Status
	}{
		{"marked", &yes, sdk.AcceptedMustChange, journal.Done},
		{"marked, and not said to be", &yes, sdk.Accepted, journal.Unresolved},
		{"without a mark", &no, sdk.Accepted, journal.Done},
		{"by the backend's default", nil, sdk.Accepted, journal.Done},
	} {
		b := newBook(1)
		x := newTarget(t, b)
		x.say = func(_ int, op sdk.Operation) sdk.Receipt {
			x.take(op)
			return sdk.Lost(sdk.Errorf(sdk.ConnectionLost, "cut"))
		}
		x.verify = func(string, string) sdk.Verdict { return c.verdict }
		hook := script(func(ctx context.Context, row source.Row, s *Steps) journal.Verdict {
			v, err := s.Generate(ctx, GenerateStep{})
			if err != nil {
				return *must(journal.Result{}, err)
			}
			if bad := must(s.Do(ctx, journal.Step{Verb: journal.Set, Backend: "a", Account: row.Key, Value: v, MustChange: c.must})); bad != nil {
				return *bad
			}
			return journal.Verdict{}
		})
		backend := x.backend("a")
		backend.Description.ReplaySafe = nil
		apply(t, jobOf(b, hook, backend))
		if got := b.finished(1); got.Detail.Status != c.want {
			t.Errorf("%s: %s %q, want %s", c.name, got.Detail.Status, got.Detail.Message, c.want)
		}
	}
}
