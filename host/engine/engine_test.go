package engine

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/rekey-host/rekey/host/journal"
	"github.com/rekey-host/rekey/host/source"
	"github.com/rekey-host/rekey/sdk"
	"github.com/rekey-host/rekey/sdk/secret"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func apply(t *testing.T, job Job) Ending {
	t.Helper()
	e, err := Apply(context.Background(), job)
	if err != nil {
		t.Fatalf("Apply: %v", err)
	}
	return e
}

func TestEveryUserGetsTheValueThatTheLedgerHolds(t *testing.T) {
	b := newBook(3000)
	x := newTarget(t, b)
	apply(t, jobOf(b, generateAndSet("a"), x.backend("a")))
	if n := b.counts()[journal.Done]; n != 3000 {
		t.Fatalf("%d done, want 3000", n)
	}
	for pos := int64(1); pos <= 3000; pos++ {
		if !b.holds(keyOf(pos), x.current(keyOf(pos))) {
			t.Fatalf("the ledger does not hold the value of %s", keyOf(pos))
		}
	}
}

// TestAnEndAtAnyMomentLosesNoValue cancels runs at random moments, some answers
// lost, and resumes them: each account ends with one value, which the ledger
// holds, and each user with one status.
func TestAnEndAtAnyMomentLosesNoValue(t *testing.T) {
	const users, rounds = 300, 30
	cuts := 0
	for round := range rounds {
		b := newBook(users)
		x, y := newTarget(t, b), newTarget(t, b)
		lossy := func(x *target) func(int, sdk.Operation) sdk.Receipt {
			return func(n int, op sdk.Operation) sdk.Receipt {
				x.take(op)
				if rand.IntN(10) == 0 {
					return sdk.Lost(sdk.Errorf(sdk.ConnectionLost, "cut"))
				}
				return sdk.OK()
			}
		}
		x.say, y.say = lossy(x), lossy(y)
		for {
			ctx, cancel := context.WithCancel(context.Background())
			job := jobOf(b, generateAndSet("a", "b"), x.backend("a"), y.backend("b"))
			job.Stop = ctx
			job.Finished = func(journal.Status, sdk.Code) {
				if rand.IntN(100) == 0 {
					cancel()
				}
			}
			e := apply(t, job)
			cancel()
			if !e.Interrupted {
				break
			}
			cuts++
		}
		if n := b.counts(); n[journal.Done] != users {
			t.Fatalf("round %d: %v, want %d done", round, n, users)
		}
		for pos := int64(1); pos <= users; pos++ {
			one, two := x.current(keyOf(pos)), y.current(keyOf(pos))
			if one != two || !b.holds(keyOf(pos), one) {
				t.Fatalf("round %d: %s has two values, or one that the ledger does not hold", round, keyOf(pos))
			}
		}
	}
	if cuts < rounds {
		t.Errorf("only %d interruptions in %d rounds: too few to prove anything", cuts, rounds)
	}
}

// TestAKilledProcessIsResumedWithTheSameValue drops the records behind a random
// point, as kill -9 does with what was not yet written.
func TestAKilledProcessIsResumedWithTheSameValue(t *testing.T) {
	for range 30 {
		b := newBook(200)
		x := newTarget(t, b)
		apply(t, jobOf(b, generateAndSet("a"), x.backend("a")))
		before := map[string]string{}
		cut := rand.IntN(len(b.records))
		for _, r := range b.records[:cut] {
			if r.Kind == journal.Intent {
				before[r.Account] = string(r.Sealed)
			}
		}
		b.records = b.records[:cut]
		apply(t, jobOf(b, generateAndSet("a"), x.backend("a")))
		for account, value := range before {
			if x.current(account) != value {
				t.Fatalf("%s was sent a second, different value after the kill", account)
			}
		}
		if n := b.counts()[journal.Done]; n != 200 {
			t.Fatalf("%d done after the resume, want 200", n)
		}
	}
}

func TestAWaveOverItsLimitStopsWithinTheBound(t *testing.T) {
	const limit = 10
	b := newBook(2000)
	x := newTarget(t, b)
	x.say = func(int, sdk.Operation) sdk.Receipt { return sdk.Refuse(sdk.Errorf(sdk.AccountNotFound, "none")) }
	job := jobOf(b, generateAndSet("a"), x.backend("a"))
	job.Waves[0].MaxFailures = limit
	e := apply(t, job)
	n := b.counts()
	if e.Stopped == "" || n[journal.Failed] <= limit || n[journal.Failed] > limit+1+4 {
		t.Errorf("stopped %q with %v failed, want %d to %d", e.Stopped, n[journal.Failed], limit+1, limit+1+4)
	}
	if n[journal.Pending] != 2000-n[journal.Failed] {
		t.Errorf("%v: the rest should be pending", n)
	}
}

func TestToleratedCodesDoNotStopAWave(t *testing.T) {
	b := newBook(50)
	x := newTarget(t, b)
	x.say = func(int, sdk.Operation) sdk.Receipt { return sdk.Refuse(sdk.Errorf(sdk.AccountNotFound, "none")) }
	job := jobOf(b, generateAndSet("a"), x.backend("a"))
	job.Waves[0].MaxFailures, job.Waves[0].Tolerate = 1, []sdk.Code{sdk.AccountNotFound}
	if e := apply(t, job); e.Stopped != "" {
		t.Errorf("stopped: %s", e.Stopped)
	}
}

func TestAStoppedRunDoesNotWaitForASlowRate(t *testing.T) {
	b := newBook(100)
	x := newTarget(t, b)
	be := x.backend("a")
	be.Rate = 1.0 / 3600
	ctx, cancel := context.WithCancel(context.Background())
	x.say = func(_ int, op sdk.Operation) sdk.Receipt {
		x.take(op)
		cancel()
		return sdk.OK()
	}
	job := jobOf(b, generateAndSet("a"), be)
	job.Stop = ctx
	if e := apply(t, job); !e.Interrupted || x.n != 1 || b.counts()[journal.Pending] != 99 {
		t.Errorf("interrupted %v after %d sends, %v", e.Interrupted, x.n, b.counts())
	}
}

func TestAnOpenCircuitGivesUpAfterItsPatience(t *testing.T) {
	b := newBook(500)
	x := newTarget(t, b)
	x.bad = true
	x.say = func(int, sdk.Operation) sdk.Receipt { return sdk.Refuse(sdk.Errorf(sdk.Unreachable, "away")) }
	be := x.backend("a")
	be.Abilities, be.Patience, be.Attempts = append(be.Abilities, sdk.CanCheck), 20*time.Millisecond, 1000
	e := apply(t, jobOf(b, generateAndSet("a"), be))
	if !strings.Contains(e.Stopped, "unreachable") || b.counts()[journal.Pending] != 500 {
		t.Errorf("stopped %q, %v; want unreachable and 500 pending", e.Stopped, b.counts())
	}
}

func TestAClosedCircuitGoesOn(t *testing.T) {
	b := newBook(200)
	x := newTarget(t, b)
	x.say = func(n int, op sdk.Operation) sdk.Receipt {
		if n <= 60 {
			return sdk.Refuse(sdk.Errorf(sdk.TargetUnavailable, "busy"))
		}
		x.take(op)
		return sdk.OK()
	}
	be := x.backend("a")
	be.Abilities, be.Attempts = append(be.Abilities, sdk.CanCheck), 61 // one user may have taken all
	apply(t, jobOf(b, generateAndSet("a"), be))
	if n := b.counts()[journal.Done]; n != 200 {
		t.Errorf("%v, want 200 done", b.counts())
	}
}

func TestRefusalsByCode(t *testing.T) {
	for _, c := range []struct {
		code   sdk.Code
		sends  int
		status journal.Status
	}{
		{sdk.AccountNotFound, 1, journal.Failed},
		{sdk.PermissionDenied, 1, journal.Failed},
		{sdk.Conflict, 3, journal.Failed},
		{sdk.RateLimited, 3, journal.Failed},
		{sdk.PolicyViolation, 4, journal.Failed},
		{sdk.SecondFactorNeeded, 1, journal.Pending},
		{sdk.InvalidConfig, 1, journal.Pending},
	} {
		b := newBook(1)
		x := newTarget(t, b)
		x.say = func(int, sdk.Operation) sdk.Receipt { return sdk.Refuse(sdk.Errorf(c.code, "no")) }
		apply(t, jobOf(b, generateAndSet("a"), x.backend("a")))
		if got := statusIn(b.user(1)); x.n != c.sends || got != c.status {
			t.Errorf("%s: sent %d times, %s; want %d, %s", c.code, x.n, got, c.sends, c.status)
		}
	}
}

// TestOnlyARefusalStopsARun: what is not known to have been refused may have been
// something else, and the others go on.
func TestOnlyARefusalStopsARun(t *testing.T) {
	for outcome, stops := range map[sdk.Outcome]bool{sdk.Refused: true, sdk.Unknown: false} {
		b := newBook(3)
		x := newTarget(t, b)
		x.say = func(_ int, op sdk.Operation) sdk.Receipt {
			if op.Account == keyOf(1) {
				return sdk.Receipt{Outcome: outcome, Err: sdk.Errorf(sdk.InvalidConfig, "no")}
			}
			x.take(op)
			return sdk.OK()
		}
		be := x.backend("a")
		be.Abilities, be.Attempts = nil, 1
		if ending := apply(t, jobOf(b, generateAndSet("a"), be)); (ending.Stopped != "") != stops {
			t.Errorf("%s: the run is stopped: %q, want %v", outcome, ending.Stopped, stops)
		}
		if done := b.counts()[journal.Done]; !stops && done != 2 {
			t.Errorf("%s: %v", outcome, b.counts())
		}
	}
}

// misconfigured answers every question as a backend does whose login is
// refused.
type misconfigured struct{ *target }

func (misconfigured) Find(context.Context, string) (sdk.Account, error) {
	return sdk.Account{}, sdk.Errorf(sdk.InvalidConfig, "check user and password")
}

func (misconfigured) Verify(context.Context, string, string, secret.Value) (sdk.Verdict, error) {
	return sdk.CannotTell, sdk.Errorf(sdk.SecondFactorNeeded, "check user and password")
}

func TestAReadThatWouldBeRefusedToEveryUserStopsTheRun(t *testing.T) {
	for _, verb := range []string{journal.Find, journal.Verify} {
		b := newBook(3)
		x := newTarget(t, b)
		be := x.backend("a")
		be.Instance, be.Abilities = misconfigured{x}, append(be.Abilities, sdk.CanFind, sdk.CanVerify)
		hooks := script(func(ctx context.Context, row source.Row, s *Steps) journal.Verdict {
			v, _ := s.Generate(ctx, GenerateStep{})
			if bad := must(s.Do(ctx, journal.Step{Verb: verb, Backend: "a", Account: row.Key, Value: v})); bad != nil {
				return *bad
			}
			return journal.Verdict{}
		})
		end := apply(t, jobOf(b, hooks, be))
		if n := b.counts()[journal.Pending]; n != 3 || !strings.Contains(end.Stopped, "check user and password") {
			t.Errorf("%s: %v, stopped for %q; want 3 pending, and what to check", verb, b.counts(), end.Stopped)
		}
	}
}

func TestARefusalByPolicyGetsAnotherValue(t *testing.T) {
	b := newBook(1)
	x := newTarget(t, b)
	x.say = func(n int, op sdk.Operation) sdk.Receipt {
		if n < 3 {
			return sdk.Refuse(&sdk.Error{Code: sdk.PolicyViolation, Violations: []sdk.Violation{{Rule: sdk.RuleHistory}}})
		}
		x.take(op)
		return sdk.OK()
	}
	var seen secret.Value
	hooks := script(func(ctx context.Context, row source.Row, s *Steps) journal.Verdict {
		v, _ := s.Generate(ctx, GenerateStep{})
		if bad := must(s.Do(ctx, journal.Step{Verb: journal.Set, Backend: "a", Account: row.Key, Value: v})); bad != nil {
			return *bad
		}
		seen = v.Secret()
		return journal.Verdict{}
	})
	apply(t, jobOf(b, hooks, x.backend("a")))
	if got := b.finished(1).Detail.Status; got != journal.Done || seen.Reveal() != x.current("user1") {
		t.Errorf("status %s; the script's handle stands for the applied value: %v", got, seen.Reveal() == x.current("user1"))
	}
}

func TestMinAgeIsNotAnsweredWithAnotherValue(t *testing.T) {
	b := newBook(1)
	x := newTarget(t, b)
	x.say = func(int, sdk.Operation) sdk.Receipt {
		return sdk.Refuse(&sdk.Error{Code: sdk.PolicyViolation, Violations: []sdk.Violation{{Rule: sdk.RuleMinAge}}})
	}
	apply(t, jobOf(b, generateAndSet("a"), x.backend("a")))
	if x.n != 1 {
		t.Errorf("sent %d times, want once", x.n)
	}
}

// changeTo is a change from a given value to a generated one.
func changeTo(label string) script {
	return func(ctx context.Context, row source.Row, s *Steps) journal.Verdict {
		v, err := s.Generate(ctx, GenerateStep{})
		if err != nil {
			return *must(journal.Result{}, err)
		}
		step := journal.Step{Verb: journal.Change, Backend: label, Account: row.Key, Old: journal.Given(secret.New("temp")), Value: v}
		if bad := must(s.Do(ctx, step)); bad != nil {
			return *bad
		}
		return journal.Verdict{}
	}
}

func TestALostChangeIsSettled(t *testing.T) {
	lost := sdk.Lost(sdk.Errorf(sdk.ConnectionLost, "cut"))
	for _, c := range []struct {
		name    string
		applied bool // the change took effect before its answer was lost
		verify  bool // the target can be asked
		recover sdk.Recovery
		pending bool // an administrative set is refused
		want    journal.Status
	}{
		{"applied, seen by a verify", true, true, sdk.NoRecovery, false, journal.Done},
		{"not applied, seen by a verify", false, true, sdk.NoRecovery, false, journal.Done},
		{"applied, nobody to ask", true, false, sdk.NoRecovery, false, journal.Unresolved},
		{"applied, set of the same value", true, false, sdk.SetThenChange, false, journal.Done},
		{"not applied, set of the same value", false, false, sdk.SetThenChange, false, journal.Done},
		{"applied, by a bridge", true, false, sdk.SetThenChange, true, journal.Done},
		{"not applied, by a bridge", false, false, sdk.SetThenChange, true, journal.Done},
	} {
		b := newBook(1)
		x := newTarget(t, b)
		first := ""
		x.say = func(n int, op sdk.Operation) sdk.Receipt {
			switch {
			case n == 1:
				first = op.Value.Reveal()
				if c.applied {
					x.take(op)
				}
				return lost
			case c.pending && op.Verb == sdk.Set && op.MustChange == nil:
				return sdk.Refuse(&sdk.Error{Code: sdk.AccountStatus, AccountStatus: sdk.StatusPending})
			}
			x.take(op)
			return sdk.OK()
		}
		be := x.backend("a")
		be.Description.Recover = c.recover
		if !c.verify {
			be.Abilities = nil
		}
		apply(t, jobOf(b, changeTo("a"), be))
		if got := statusIn(b.user(1)); got != c.want {
			t.Errorf("%s: %s, want %s", c.name, got, c.want)
		}
		if c.want == journal.Done && x.current("user1") != first {
			t.Errorf("%s: the account did not end with the value that the change began with", c.name)
		}
	}
}

func TestASecondUserOfAnAccountIsRefusedBeforeAnythingIsSent(t *testing.T) {
	b := newBook(2)
	x := newTarget(t, b)
	hooks := script(func(ctx context.Context, row source.Row, s *Steps) journal.Verdict {
		row.Key = "Shared"
		return generateAndSet("a")(ctx, row, s)
	})
	job := jobOf(b, hooks, x.backend("a"))
	job.Waves[0].Size = 1
	apply(t, job)
	if got := b.finished(2); got.Code != journal.DuplicateAccount || x.n != 1 {
		t.Errorf("second user: %s after %d sends, want DuplicateAccount after 1", got.Code, x.n)
	}
}

func TestOnFailureRevertSetsBackWhatWasChanged(t *testing.T) {
	b := newBook(1)
	x, y := newTarget(t, b), newTarget(t, b)
	y.say = func(int, sdk.Operation) sdk.Receipt { return sdk.Refuse(sdk.Errorf(sdk.AccountNotFound, "none")) }
	job := jobOf(b, generateAndSet("a", "b"), x.backend("a"), y.backend("b"))
	job.Revert = true
	job.Known = func(string, string, string) (secret.Value, bool, error) { return secret.New("before"), true, nil }
	apply(t, job)
	if got := b.finished(1).Detail.Status; got != journal.Failed || x.current("user1") != "before" {
		t.Errorf("%s with the old value back: %v; want failed, true", got, x.current("user1") == "before")
	}
}

func TestWithoutRevertAUserIsPartial(t *testing.T) {
	b := newBook(1)
	x, y := newTarget(t, b), newTarget(t, b)
	y.say = func(int, sdk.Operation) sdk.Receipt { return sdk.Refuse(sdk.Errorf(sdk.AccountNotFound, "none")) }
	apply(t, jobOf(b, generateAndSet("a", "b"), x.backend("a"), y.backend("b")))
	if got := b.finished(1); got.Detail.Status != journal.Partial || got.Code != sdk.AccountNotFound {
		t.Errorf("%s %s, want partial AccountNotFound", got.Detail.Status, got.Code)
	}
}

func TestARetryKeepsWhatIsAppliedAndItsValue(t *testing.T) {
	b := newBook(1)
	x, y := newTarget(t, b), newTarget(t, b)
	y.say = func(int, sdk.Operation) sdk.Receipt { return sdk.Refuse(sdk.Errorf(sdk.AccountNotFound, "none")) }
	job := jobOf(b, generateAndSet("a", "b"), x.backend("a"), y.backend("b"))
	apply(t, job)
	b.records = append(b.records, journal.Record{Kind: journal.Reopened, User: 1})
	y.say = nil
	apply(t, job)
	if got := b.finished(1).Detail.Status; got != journal.Done || x.n != 1 || x.current("user1") != y.current("user1") {
		t.Errorf("%s, first account sent %d times; want done, once, the same value", got, x.n)
	}
}

func TestADifferentStepAtTheSamePlaceIsADivergence(t *testing.T) {
	b := newBook(1)
	x := newTarget(t, b)
	apply(t, jobOf(b, generateAndSet("a"), x.backend("a")))
	for i, r := range b.records {
		if r.Kind == journal.Finished {
			b.records = b.records[:i]
			break
		}
	}
	other := script(func(ctx context.Context, row source.Row, s *Steps) journal.Verdict {
		row.Key = "somebody-else"
		return generateAndSet("a")(ctx, row, s)
	})
	apply(t, jobOf(b, other, x.backend("a")))
	got := b.finished(1)
	if got.Code != journal.Diverged || !strings.Contains(got.Detail.Message, "user1") || !strings.Contains(got.Detail.Message, "somebody-else") {
		t.Errorf("%s %q, want Diverged naming both", got.Code, got.Detail.Message)
	}
}

func TestAHoldStopsBeforeTheNextWave(t *testing.T) {
	b := newBook(10)
	b.waveOf = func(pos int64) int { return int(pos-1) / 5 }
	x := newTarget(t, b)
	job := jobOf(b, generateAndSet("a"), x.backend("a"))
	job.Waves = []journal.WaveRule{{Name: "canary", Hold: true, MaxFailures: -1, MaxPercent: -1}, {Name: "rest", MaxFailures: -1, MaxPercent: -1}}
	if e := apply(t, job); e.Held != "canary" || b.counts()[journal.Done] != 5 {
		t.Fatalf("held %q with %v", e.Held, b.counts())
	}
	job.Approved = func(string) bool { return true }
	if e := apply(t, job); e.Held != "" || b.counts()[journal.Done] != 10 {
		t.Errorf("after the approval: held %q, %v", e.Held, b.counts())
	}
}

func TestABrokenLedgerSendsNothing(t *testing.T) {
	b := newBook(100)
	b.broken = errors.New("no space left on device")
	x := newTarget(t, b)
	if _, err := Apply(context.Background(), jobOf(b, generateAndSet("a"), x.backend("a"))); err == nil || x.n != 0 {
		t.Errorf("Apply: %v after %d sends, want an error after none", err, x.n)
	}
}

func TestMisuseFailsTheUserOnly(t *testing.T) {
	b := newBook(3)
	x := newTarget(t, b)
	hooks := script(func(ctx context.Context, row source.Row, s *Steps) journal.Verdict {
		step := journal.Step{Verb: journal.Set, Backend: "a", Account: row.Key, Value: journal.Given(secret.New(""))}
		if row.Key == "user2" {
			step.Value = journal.Given(secret.New("fine"))
		}
		if bad := must(s.Do(ctx, step)); bad != nil {
			return *bad
		}
		return journal.Verdict{}
	})
	apply(t, jobOf(b, hooks, x.backend("a")))
	if b.finished(1).Code != sdk.InvalidOperation || b.finished(2).Detail.Status != journal.Done {
		t.Errorf("user1 %s, user2 %s", b.finished(1).Code, b.finished(2).Detail.Status)
	}
}

func TestAResetReturnsWhatTheBackendPicked(t *testing.T) {
	b := newBook(1)
	x := newTarget(t, b)
	hooks := script(func(ctx context.Context, row source.Row, s *Steps) journal.Verdict {
		r, err := s.Do(ctx, journal.Step{Verb: journal.Reset, Backend: "a", Account: row.Key})
		if bad := must(r, err); bad != nil {
			return *bad
		}
		if r.Value.Secret().Reveal() != "picked" {
			t.Error("the reset returned another value")
		}
		return journal.Verdict{}
	})
	apply(t, jobOf(b, hooks, x.backend("a")))
	if got := b.finished(1).Detail; got.Status != journal.Done || got.Message != "" {
		t.Errorf("%s %q, want done", got.Status, got.Message)
	}
}

// secretive keeps what it picks to itself.
type secretive struct{ *target }

func (secretive) Ask(context.Context, sdk.Operation) sdk.Receipt { return sdk.OK() }

func TestAResetWhoseValueNobodyTellsIsReportedSo(t *testing.T) {
	b := newBook(1)
	x := newTarget(t, b)
	be := x.backend("a")
	be.Instance = secretive{x}
	hooks := script(func(ctx context.Context, row source.Row, s *Steps) journal.Verdict {
		if bad := must(s.Do(ctx, journal.Step{Verb: journal.Reset, Backend: "a", Account: row.Key})); bad != nil {
			return *bad
		}
		return journal.Verdict{}
	})
	apply(t, jobOf(b, hooks, be))
	if got := b.finished(1).Detail; got.Status != journal.Done || got.Message != "the target picked a value and did not tell it" {
		t.Errorf("%s %q, want done, and that the value is not known", got.Status, got.Message)
	}
}

// BenchmarkApply is the pipeline without a ledger's disk or a plugin process.
func BenchmarkApply(bench *testing.B) {
	b := newBook(bench.N)
	x := &quiet{}
	be := (&target{}).backend("a")
	be.Instance, be.Concurrency = x, 64
	start := time.Now()
	if _, err := Apply(context.Background(), jobOf(b, generateAndSet("a"), be)); err != nil {
		bench.Fatal(err)
	}
	bench.ReportMetric(float64(bench.N)/time.Since(start).Seconds(), "users/s")
}

// quiet applies everything at once.
type quiet struct{ target }

func (*quiet) Submit(ops []sdk.Operation, answer func(int, sdk.Receipt)) {
	for n := range ops {
		answer(n, sdk.OK())
	}
}

func ExampleFault() {
	fmt.Println(&journal.Fault{Code: journal.ScriptError, Message: "division by zero"})
	// Output: ScriptError: division by zero
}
