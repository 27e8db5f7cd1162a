package engine

import (
	"context"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rekey-host/rekey/host/journal"
	"github.com/rekey-host/rekey/host/source"
	"github.com/rekey-host/rekey/sdk"
	"github.com/rekey-host/rekey/sdk/secret"
)

func given(text string) *journal.Value { return journal.Given(secret.New(text)) }

// steps is a hook that takes steps, one after the other, and raises at the
// first that is not applied. Those without an account are the user's.
func steps(list ...journal.Step) script {
	return func(ctx context.Context, row source.Row, s *Steps) journal.Verdict {
		for _, step := range list {
			if step.Account == "" {
				step.Account = row.Key
			}
			if bad := must(s.Do(ctx, step)); bad != nil {
				return *bad
			}
		}
		return journal.Verdict{}
	}
}

// tries is steps for a script that raises at nothing.
func tries(list ...journal.Step) script {
	return func(ctx context.Context, row source.Row, s *Steps) journal.Verdict {
		for _, step := range list {
			if step.Account == "" {
				step.Account = row.Key
			}
			_, _ = s.Do(ctx, step)
		}
		return journal.Verdict{}
	}
}

// TestASetBackGivesTheValueOfBeforeTheRun, not one that the run itself set, or
// that a refused change named.
func TestASetBackGivesTheValueOfBeforeTheRun(t *testing.T) {
	change := func(old, value string) journal.Step {
		return journal.Step{Verb: journal.Change, Backend: "a", Old: given(old), Value: given(value)}
	}
	set := func(value string) journal.Step {
		return journal.Step{Verb: journal.Set, Backend: "a", Value: given(value)}
	}
	elsewhere := journal.Step{Verb: journal.Set, Backend: "b", Value: given("second")}
	for _, c := range []struct {
		name  string
		list  []journal.Step
		known string // of an earlier run; "": none is
		want  string
		ends  journal.Status
	}{
		{"two changes", []journal.Step{change("original", "first"), change("first", "second")}, "", "original", journal.Failed},
		{"set, then changed", []journal.Step{set("first"), change("first", "second")}, "original", "original", journal.Failed},
		{"set, then changed, nothing known", []journal.Step{set("first"), change("first", "second")}, "", "second", journal.Partial},
		{"a wrong old value, then a set", []journal.Step{change("wrong", "first"), set("second")}, "", "second", journal.Partial},
		{"a wrong old value, then a change", []journal.Step{change("wrong", "first"), change("original", "second")}, "", "original", journal.Failed},
	} {
		b := newBook(1)
		x, y := newTarget(t, b), newTarget(t, b)
		x.values["user1"] = []string{"original"}
		x.say = func(_ int, op sdk.Operation) sdk.Receipt {
			if list := x.values[op.Account]; op.Verb == sdk.Change && list[len(list)-1] != op.Old.Reveal() {
				return sdk.Refuse(sdk.Errorf(sdk.WrongCurrentPassword, "not this one"))
			}
			x.take(op)
			return sdk.OK()
		}
		y.say = func(int, sdk.Operation) sdk.Receipt { return sdk.Refuse(sdk.Errorf(sdk.AccountNotFound, "none")) }
		job := jobOf(b, tries(append(c.list, elsewhere)...), x.backend("a"), y.backend("b"))
		job.Revert = true
		if c.known != "" {
			job.Known = func(string, string, string) (secret.Value, bool, error) { return secret.New(c.known), true, nil }
		}
		apply(t, job)
		if got := statusIn(b.user(1)); got != c.ends || x.current("user1") != c.want {
			t.Errorf("%s: %s with %q, want %s with %q", c.name, got, x.current("user1"), c.ends, c.want)
		}
	}
}

// moving is a target whose stamps are others at every look.
type moving struct {
	*target
	looks atomic.Int32
}

func (m *moving) Find(_ context.Context, account string) (sdk.Account, error) {
	return sdk.Account{Account: account, Status: sdk.StatusActive, Stamp: string('a' + m.looks.Add(1))}, nil
}

// TestAnotherStampProvesNothingWhereItMayMoveWithOtherThings: a backend that can
// verify need not have stamps of its own for credentials, and a hashed value is
// not verified.
func TestAnotherStampProvesNothingWhereItMayMoveWithOtherThings(t *testing.T) {
	for _, verifies := range []bool{true, false} {
		b := newBook(1)
		x := newTarget(t, b)
		x.say = func(n int, _ sdk.Operation) sdk.Receipt {
			if n == 1 {
				return cut
			}
			return sdk.Refuse(sdk.Errorf(sdk.ReadOnly, "a replica"))
		}
		backend := x.backend("a")
		backend.Instance, backend.Description.HashFormats = &moving{target: x}, []string{"rfc2307"}
		want := journal.Unresolved
		if !verifies {
			backend.Abilities, want = []sdk.Ability{sdk.CanFind}, journal.Done
		}
		apply(t, jobOf(b, steps(journal.Step{Verb: journal.Find, Backend: "a"},
			journal.Step{Verb: journal.Set, Backend: "a", Value: given("{SSHA}x"), HashFormat: "rfc2307"}), backend))
		if got := statusIn(b.user(1)); got != want {
			t.Errorf("can verify %v: %s, want %s", verifies, got, want)
		}
	}
}

// TestALoweredTimeoutShortensNoWait: what an earlier process wrote of a request
// that it lost holds, whatever the settings are now.
func TestALoweredTimeoutShortensNoWait(t *testing.T) {
	now := time.Now()
	late := now.Add(4 * time.Hour)
	for name, record := range map[string]journal.Record{
		"unknown": {Outcome: sdk.Unknown, Code: sdk.Timeout}, "applied by a later attempt": {Outcome: sdk.Applied},
	} {
		b := newBook(1)
		w := &stopwatch{}
		x := newTarget(t, b)
		intent := journal.Record{Kind: journal.Intent, At: now, User: 1, Step: 1, Verb: journal.Set, Backend: "a", Account: "user1", Sealed: []byte("first")}
		record.Kind, record.At, record.User, record.Step, record.Verb, record.Backend, record.Account, record.Detail.Late =
			journal.Outcome, now, 1, 1, journal.Set, "a", "user1", &late
		b.records, b.sealed["user1\x00first"] = []journal.Record{intent, record}, true
		job := jobOf(b, steps(journal.Step{Verb: journal.Set, Backend: "a", Value: given("first")}, journal.Step{Verb: journal.Set, Backend: "a", Value: given("second")}), x.backend("a"))
		job.Clock, job.LastRecord = w, now
		apply(t, job)
		longest := time.Duration(0)
		for _, d := range w.waited {
			longest = max(longest, d)
		}
		if longest < 3*time.Hour || longest > 4*time.Hour {
			t.Errorf("%s: waited %v, want about 4h", name, longest)
		}
	}
}

// TestAnotherNameIsSeenBehindARefusal: the newest attempt says nothing of the
// value that the account has.
func TestAnotherNameIsSeenBehindARefusal(t *testing.T) {
	for name, second := range map[string]string{"refused by the host": "x", "refused by the target": "refused"} {
		b := newBook(1)
		x := newTarget(t, b)
		x.policy = sdk.Policy{MinLength: 5}
		x.resolve = func(names []string) ([]sdk.Identity, error) {
			list := make([]sdk.Identity, len(names))
			for i := range list {
				list[i].ID = "one"
			}
			return list, nil
		}
		x.say = func(_ int, op sdk.Operation) sdk.Receipt {
			if op.Value.Reveal() == "refused" {
				return sdk.Refuse(sdk.Errorf(sdk.PolicyViolation, "no"))
			}
			x.take(op)
			return sdk.OK()
		}
		backend := x.backend("a")
		backend.Abilities = append(backend.Abilities, sdk.CanResolve, sdk.CanPolicy)
		set := func(account, value string) journal.Step {
			return journal.Step{Verb: journal.Set, Backend: "a", Account: account, Value: given(value)}
		}
		apply(t, jobOf(b, tries(set("ann", "firstfirst"), set("ann", second), set("ann@x", "secondsecond")), backend))
		if got := b.finished(1); got.Detail.Status != journal.Partial || x.current("ann@x") != "" {
			t.Errorf("%s: %s, the other name has %q; want partial, and nothing sent", name, got.Detail.Status, x.current("ann@x"))
		}
	}
}

// TestARecordedVerifyIsOfTheValueThatItWasAskedOf: what is settled since is asked
// of again.
func TestARecordedVerifyIsOfTheValueThatItWasAskedOf(t *testing.T) {
	b := newBook(1)
	x := newTarget(t, b)
	lost := true
	x.say = func(_ int, op sdk.Operation) sdk.Receipt {
		if lost {
			return cut
		}
		x.take(op)
		return sdk.OK()
	}
	set := journal.Step{Verb: journal.Set, Backend: "a", Value: given("value")}
	verify := journal.Step{Verb: journal.Verify, Backend: "a", Value: given("value")}
	job := jobOf(b, tries(set, verify), x.backend("a"))
	apply(t, job)
	lost = false
	reopenUnknown(b)
	apply(t, job)
	if got := b.finished(1); got.Detail.Status != journal.Done {
		t.Errorf("%s %s, want done: the value works", got.Detail.Status, got.Code)
	}
}

// TestAHeldWaveIsHeldOnce: a user of it who is put back writes no second record.
func TestAHeldWaveIsHeldOnce(t *testing.T) {
	for _, c := range []struct {
		open  string // the hold in the ledger
		wrote int
	}{{"", 1}, {"canary", 0}} {
		b := newBook(2)
		b.waveOf = func(pos int64) int { return int(pos - 1) }
		x := newTarget(t, b)
		job := jobOf(b, generateAndSet("a"), x.backend("a"))
		job.Waves = []journal.WaveRule{{Name: "canary", Hold: true, MaxFailures: -1, MaxPercent: -1}, {Name: "rest", MaxFailures: -1, MaxPercent: -1}}
		job.Planned, job.Held = []int64{1, 1}, c.open
		ending, err := Apply(t.Context(), job)
		wrote := 0
		for _, r := range b.records {
			if r.Kind == journal.Held {
				wrote++
			}
		}
		if err != nil || ending.Held != "canary" || wrote != c.wrote {
			t.Errorf("open hold %q: %+v, %v, %d records; want canary held, %d", c.open, ending, err, wrote, c.wrote)
		}
	}
}

// slow is a target that takes a moment to say that it cannot tell its rules.
type slow struct {
	*target
	asked atomic.Int32
}

func (s *slow) Policy(context.Context, string, string) (sdk.Policy, error) {
	s.asked.Add(1)
	time.Sleep(100 * time.Millisecond)
	return sdk.Policy{}, sdk.Errorf(sdk.TargetError, "not today")
}

// TestRulesThatAreNotToldAreAskedForOnceByAllWhoWait.
func TestRulesThatAreNotToldAreAskedForOnceByAllWhoWait(t *testing.T) {
	b := newBook(64)
	x := &slow{target: newTarget(t, b)}
	backend := x.backend("a")
	backend.Instance, backend.Abilities = x, append(backend.Abilities, sdk.CanPolicy)
	apply(t, jobOf(b, steps(journal.Step{Verb: journal.Set, Backend: "a", Value: given("value")}), backend))
	if n := x.asked.Load(); n > 8 {
		t.Errorf("asked %d times for 64 users at once, want a few", n)
	}
}
