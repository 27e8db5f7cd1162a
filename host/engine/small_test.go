package engine

import (
	"context"
	"errors"
	"math"
	"testing"
	"time"

	"github.com/rekey-host/rekey/host/diag"
	"github.com/rekey-host/rekey/host/journal"
	"github.com/rekey-host/rekey/host/source"
	"github.com/rekey-host/rekey/sdk"
	"github.com/rekey-host/rekey/sdk/secret"
)

// TestAFrameHasNoMoreThanItMay, and what is left waits in its order.
func TestAFrameHasNoMoreThanItMay(t *testing.T) {
	for _, n := range []int{0, 1, 3, 5, 9} {
		w := newCommitter(newBook(0), nil, nil)
		l := newDispatcher(t.Context(), &Job{}, Backend{Concurrency: 1}, w, newSemaphore(0))
		l.mu.Lock()
		for i := range 5 {
			l.queue = append(l.queue, &request{op: sdk.Operation{Attempt: i}, user: &permit{}, answer: make(chan reply, 1)})
		}
		frame := l.pick(n)
		rest := l.queue
		l.queue = nil
		l.mu.Unlock()
		if len(frame) != min(n, 5) || len(rest) != 5-len(frame) {
			t.Errorf("at most %d: took %d and left %d of 5", n, len(frame), len(rest))
		}
		for i, p := range append(frame, rest...) {
			if p.op.Attempt != i || p.sent != (i < len(frame)) {
				t.Errorf("at most %d: at place %d is operation %d, sent %v", n, i, p.op.Attempt, p.sent)
			}
		}
		l.close()
		if err := w.close(); err != nil {
			t.Error(err)
		}
	}
}

// TestAResetClaimsItsAccountAndAnUnlockDoesNot: an unlock gives nobody a value, nor
// does a revoke.
func TestAResetClaimsItsAccountAndAnUnlockDoesNot(t *testing.T) {
	for verb, refused := range map[string]int{journal.Reset: 1, journal.Unlock: 0, journal.Revoke: 0} {
		b := newBook(2)
		x := newTarget(t, b)
		apply(t, jobOf(b, tries(journal.Step{Verb: verb, Backend: "a", Account: "shared"}), x.backend("a")))
		n := 0
		for _, r := range b.records {
			if r.Code == journal.DuplicateAccount && r.Kind == journal.Answer {
				n++
			}
		}
		if n != refused {
			t.Errorf("%s of one account by two users: %d refused, want %d", verb, n, refused)
		}
	}
}

// TestTheValueOfBeforeIsOneThatIsKnown for certain.
func TestTheValueOfBeforeIsOneThatIsKnown(t *testing.T) {
	c := journal.Read([]journal.Record{
		{Kind: journal.Intent, Step: 1, Verb: journal.Set, Backend: "a", Account: "ann"},
		{Kind: journal.Outcome, Step: 1, Verb: journal.Set, Backend: "a", Account: "ann", Outcome: sdk.Applied},
	}).Touched()[0]
	broken := errors.New("unreadable")
	for _, r := range []struct {
		ok   bool
		err  error
		want bool
	}{{true, nil, true}, {false, nil, false}, {true, broken, false}, {false, broken, false}} {
		s := &reverter{userState: &userState{run: &run{Job: Job{Known: func(string, string, string) (secret.Value, bool, error) { return secret.New("before"), r.ok, r.err }}}}}
		if _, known := s.valueBefore(c); known != r.want {
			t.Errorf("found %v, %v: known %v, want %v", r.ok, r.err, known, r.want)
		}
	}
	if _, known := (&reverter{userState: &userState{run: &run{}}}).valueBefore(c); known {
		t.Error("where no ledger is asked nothing is known")
	}
}

// TestASetBackOfABackendThatIsGoneIsLeftOpen, and one that is known to have
// ended is not sent again.
func TestASetBackOfABackendThatIsGoneIsLeftOpen(t *testing.T) {
	back := func(outcome ...sdk.Outcome) []journal.Record {
		r := journal.Record{User: 1, Step: 3, Verb: journal.Revert, Backend: "a", Account: "user1", Sealed: []byte("before")}
		intent, end := r, r
		intent.Kind, end.Kind, end.Sealed = journal.Intent, journal.Outcome, nil
		if len(outcome) == 0 {
			return []journal.Record{intent}
		}
		end.Outcome = outcome[0]
		return []journal.Record{intent, end}
	}
	for _, c := range []struct {
		name    string
		records []journal.Record
		label   string
		sent    int
	}{{"open", back(), "a", 1}, {"unknown", back(sdk.Unknown), "a", 1}, {"applied", back(sdk.Applied), "a", 0}, {"open, the backend is gone", back(), "b", 0}} {
		b := newBook(1)
		x := newTarget(t, b)
		b.records, b.sealed["user1\x00before"] = c.records, true
		apply(t, jobOf(b, steps(), x.backend(c.label)))
		if x.n != c.sent {
			t.Errorf("%s: sent %d times, want %d", c.name, x.n, c.sent)
		}
	}
}

// TestIdentitiesAreOpaqueAndSayMoreThanNames, or are not there.
func TestIdentitiesAreOpaqueAndSayMoreThanNames(t *testing.T) {
	a, b := Backend{Label: "a", Description: sdk.Description{Name: "ldap"}}, Backend{Label: "b", Description: sdk.Description{Name: "ldap"}}
	who := func(id, target string) sdk.Identity { return sdk.Identity{ID: id, Target: target} }
	if got := identityOf(a, "ann", who("", "t")) + identityOf(a, "ann", who("ann", "")); got != "" {
		t.Errorf("no account, and one that is called what it is: %q, want nothing", got)
	}
	dn := identityOf(a, "ann", who("cn=ann", ""))
	same := identityOf(a, "ann", who("ann", "t"))
	for name, other := range map[string]string{"nothing": "", "another account": identityOf(a, "ann", who("cn=bob", "")), "another label": identityOf(b, "ann", who("cn=ann", "")), "a target": same} {
		if dn == other {
			t.Errorf("an account is taken for %s", name)
		}
	}
	if identityOf(b, "x", who("ann", "t")) != same || same == "" {
		t.Error("one account of one target has two identities under two labels")
	}
}

// TestNobodyWaitsBehindTheLastBatch: a pause is for those who come after it.
func TestNobodyWaitsBehindTheLastBatch(t *testing.T) {
	b := newBook(4)
	w := &stopwatch{}
	job := jobOf(b, generateAndSet("a"), newTarget(t, b).backend("a"))
	job.Waves = []journal.WaveRule{{Name: "all", Size: 2, Pause: time.Hour, MaxFailures: -1, MaxPercent: -1}}
	job.Clock = w
	apply(t, job)
	pauses := 0
	for _, d := range w.waited {
		if d == time.Hour {
			pauses++
		}
	}
	if pauses != 1 || b.counts()[journal.Done] != 4 {
		t.Errorf("%d pauses between two batches, %v; want one", pauses, b.counts())
	}
}

// TestBrokenRulesAreListed with their limits.
func TestBrokenRulesAreListed(t *testing.T) {
	for want, list := range map[string][]sdk.Violation{
		"min_length 12":                  {{Rule: sdk.RuleMinLength, Limit: 12}},
		"min_length 12, history":         {{Rule: sdk.RuleMinLength, Limit: 12}, {Rule: sdk.RuleHistory}},
		"history, min_length 8, history": {{Rule: sdk.RuleHistory}, {Rule: sdk.RuleMinLength, Limit: 8}, {Rule: sdk.RuleHistory}},
	} {
		if got := rulesOf(list); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

// TestOneFailureOfAHookIsToldOnce with how many users more it is about.
func TestOneFailureOfAHookIsToldOnce(t *testing.T) {
	p := &planner{again: map[defect]*int64{}}
	for range 3 {
		p.failed(diag.Problem{File: "w.star", Line: 3, Message: "no such column", Same: "column"})
	}
	p.failed(diag.Problem{File: "w.star", Line: 4, Message: "no such column", Same: "column"})
	for range 2 {
		p.failed(diag.Problem{File: "w.star", Line: 5, Message: "by itself"})
	}
	p.fold()
	want := []string{"no such column (and so for 2 more)", "no such column", "by itself", "by itself"}
	if len(p.problems.List) != len(want) {
		t.Fatalf("%d problems, want %d", len(p.problems.List), len(want))
	}
	for i, x := range p.problems.List {
		if x.Message != want[i] {
			t.Errorf("problem %d: %q, want %q", i, x.Message, want[i])
		}
	}
}

// TestWhatNothingCanSetBackIsCountedAtPlan: what a change replaces is known, and
// a user counts once a backend.
func TestWhatNothingCanSetBackIsCountedAtPlan(t *testing.T) {
	b := newBook(1)
	x := newTarget(t, b)
	set := journal.Step{Verb: journal.Set, Backend: "a", Value: given("value")}
	change := journal.Step{Verb: journal.Change, Backend: "a", Old: given("old"), Value: given("value")}
	for _, c := range []struct {
		name  string
		list  []journal.Step
		known bool
		want  int64
	}{
		{"a set", []journal.Step{set}, false, 1}, {"two", []journal.Step{set, set}, false, 1}, {"a set of a known one", []journal.Step{set}, true, 0},
		{"a change", []journal.Step{change}, false, 0}, {"nothing", nil, false, 0},
	} {
		p := &planner{lasting: map[string]int64{}, PlanJob: PlanJob{Hooks: steps(c.list...), Backends: []Backend{x.backend("a")},
			Known: func(string, string, string) bool { return c.known }}}
		p.setUp(context.Background())
		p.look(p.other(t.Context(), source.Row{Key: "ann"}).changes)
		if p.lasting["a"] != c.want {
			t.Errorf("%s: counted %d, want %d", c.name, p.lasting["a"], c.want)
		}
	}
}

// TestLimitsOfAWave are of the users that it plans, and no limit is none.
func TestLimitsOfAWave(t *testing.T) {
	for _, c := range []struct {
		rule journal.WaveRule
		want int64
	}{
		{journal.WaveRule{MaxFailures: -1, MaxPercent: -1}, -1}, {journal.WaveRule{MaxFailures: 0, MaxPercent: -1}, 0}, {journal.WaveRule{MaxFailures: 7, MaxPercent: -1}, 7},
		{journal.WaveRule{MaxFailures: -1, MaxPercent: 0}, 0}, {journal.WaveRule{MaxFailures: 7, MaxPercent: 2.5}, 5},
	} {
		if got := c.rule.Limit(200); got != c.want {
			t.Errorf("%+v: %d of 200, want %d", c.rule, got, c.want)
		}
	}
	if got := (journal.WaveRule{MaxPercent: 100}).Limit(math.MaxInt32); got != math.MaxInt32 {
		t.Errorf("all may fail: %d", got)
	}
}
