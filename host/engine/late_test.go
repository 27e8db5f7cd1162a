package engine

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/rekey-host/rekey/host/journal"
	"github.com/rekey-host/rekey/host/source"
	"github.com/rekey-host/rekey/sdk"
	"github.com/rekey-host/rekey/sdk/secret"
)

// network stands between the engine and a target: it holds some requests back,
// whose answers are lost, and lets them arrive whenever it likes.
type network struct {
	*target
	dice  *rand.Rand
	calm  bool // it holds nothing
	held  []sdk.Operation
	holds int
}

func newNetwork(t *testing.T, b *book, dice *rand.Rand) *network {
	n := &network{target: newTarget(t, b), dice: dice}
	n.say = n.pass
	return n
}

// pass is one request: it may be held, some that were held may arrive before
// it, and the target may refuse it for a state that changes.
func (n *network) pass(_ int, op sdk.Operation) sdk.Receipt {
	if !n.calm && n.dice.IntN(4) == 0 {
		n.arrive()
	}
	switch {
	case n.calm:
	case n.dice.IntN(4) == 0:
		n.held = append(n.held, op)
		n.holds++
		return cut
	case n.dice.IntN(5) == 0:
		codes := []sdk.Code{sdk.PermissionDenied, sdk.ReadOnly, sdk.PolicyViolation, sdk.AccountStatus, sdk.Protected, sdk.Conflict}
		return sdk.Refuse(sdk.Errorf(codes[n.dice.IntN(len(codes))], "not now"))
	}
	return n.apply(op)
}

// apply is what the target does with a request that has arrived.
func (n *network) apply(op sdk.Operation) sdk.Receipt {
	if op.Verb == sdk.Change && n.latest(op.Account) != op.Old.Reveal() {
		return sdk.Refuse(sdk.Errorf(sdk.WrongCurrentPassword, "not this one"))
	}
	n.take(op)
	return sdk.OK()
}

// latest is current for who holds the lock.
func (n *network) latest(account string) string {
	if list := n.values[account]; len(list) > 0 {
		return list[len(list)-1]
	}
	return "old"
}

// arrive lets everything that is held arrive, in any order.
func (n *network) arrive() {
	n.dice.Shuffle(len(n.held), func(i, j int) { n.held[i], n.held[j] = n.held[j], n.held[i] })
	for _, op := range n.held {
		n.apply(op)
	}
	n.held = nil
}

func (n *network) now(account string) string {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.latest(account)
}

// The rotates whose claims are looked at, by what they are called.
var lateScripts = map[string]script{
	"set": generateAndSet("a"),
	"two values": func(ctx context.Context, row source.Row, s *Steps) journal.Verdict {
		if v := generateAndSet("a")(ctx, row, s); v.Kind == journal.Raised {
			return v
		}
		return generateAndSet("a")(ctx, row, s)
	},
	"change then set": func(ctx context.Context, row source.Row, s *Steps) journal.Verdict {
		if v := changeTo("a")(ctx, row, s); v.Kind == journal.Raised {
			return v
		}
		return generateAndSet("a")(ctx, row, s)
	},
	"two servers": generateAndSet("a", "b"),
}

// lateJob is a job over two networks with a script of the table.
func lateJob(t *testing.T, name string, seed uint64) (*book, Job, [2]*network) {
	b, dice := newBook(6), rand.New(rand.NewPCG(seed, 1))
	b.at = func() time.Time { return time.Now() }
	nets := [2]*network{newNetwork(t, b, rand.New(rand.NewPCG(seed, 2))), newNetwork(t, b, rand.New(rand.NewPCG(seed, 3)))}
	var backends []Backend
	for i, label := range []string{"a", "b"} {
		backend := nets[i].backend(label)
		backend.Instance, backend.Timeout, backend.Concurrency = nets[i], time.Millisecond, 1
		if dice.IntN(3) == 0 {
			backend.Abilities = slices.DeleteFunc(backend.Abilities, func(a sdk.Ability) bool { return a == sdk.CanVerify })
		}
		if dice.IntN(3) == 0 {
			backend.Description.ReplaySafe = nil
		}
		nets[i].verify = func(account, value string) sdk.Verdict {
			if nets[i].now(account) == value {
				return sdk.Accepted
			}
			return sdk.Rejected
		}
		backends = append(backends, backend)
	}
	hooks := lateScripts[name]
	if name == "revert" {
		hooks = lateScripts["two servers"]
	}
	job := jobOf(b, hooks, backends...)
	job.Revert = name == "revert"
	job.Known = func(string, string, string) (secret.Value, bool, error) { return secret.New("old"), true, nil }
	return b, job, nets
}

// reopenUnknown puts the users with an unknown outcome back, as resume does.
func reopenUnknown(b *book) {
	for pos := int64(1); pos <= int64(b.users); pos++ {
		if statusIn(b.user(pos)) == journal.Unresolved {
			b.records = append(b.records, journal.Record{Kind: journal.Reopened, User: pos})
		}
	}
}

// TestWhatArrivesLateMakesNoClaimUntrue: requests are held back beyond the end
// of the process that sent them, and arrive in any order. Who is done has the
// last value that the ledger calls applied; who failed has the value of before,
// or one that the ledger calls applied.
func TestWhatArrivesLateMakesNoClaimUntrue(t *testing.T) {
	holds, finals, unknowns := 0, map[journal.Status]int{}, 0
	for _, name := range []string{"set", "two values", "change then set", "two servers", "revert"} {
		for seed := range uint64(150) {
			b, job, nets := lateJob(t, name, seed)
			for process := range 8 {
				reopenUnknown(b)
				apply(t, job)
				for _, n := range nets {
					n.arrive() // beyond the end of the process that gave it up
					n.calm = process > 1
					holds, n.holds = holds+n.holds, 0
				}
				unknowns += b.counts()[journal.Unresolved]
				checkClaims(t, fmt.Sprintf("%s, seed %d, process %d", name, seed, process), b, nets)
			}
			for status, n := range b.counts() {
				finals[status] += n
			}
		}
	}
	t.Logf("%d requests were held, %d users ended unknown on the way; in the end %v", holds, unknowns, finals)
	if holds < 1000 || unknowns < 200 || finals[journal.Done] < 500 || finals[journal.Failed] < 50 {
		t.Error("too little happened to prove anything")
	}
}

// checkClaims compares what is said of each user with what the targets have.
func checkClaims(t *testing.T, where string, b *book, nets [2]*network) {
	t.Helper()
	for pos := int64(1); pos <= int64(b.users); pos++ {
		status := statusIn(b.user(pos))
		for _, c := range journal.Read(b.user(pos)).Touched() {
			has := nets[map[string]int{"a": 0, "b": 1}[c.Backend]].now(c.Account)
			claimed := "old"
			for _, a := range c.Attempts {
				if a.Applied() {
					claimed = string(a.Intent.Sealed)
				}
			}
			known := has == "old" || b.holds(c.Account, has)
			final := status == journal.Done || status == journal.Failed || status == journal.Partial && c.State != journal.AttemptsDoubtful
			if !known || final && has != claimed {
				t.Errorf("%s: user %d is %s, %s has a value that the ledger knows: %v, the one that is claimed: %v", where, pos, status, c.Credential, known, has == claimed)
			}
		}
	}
}

// TestAnAttemptOfAnEarlierProcessIsWaitedFor before another value is sent, and
// no longer than from the start of this process.
func TestAnAttemptOfAnEarlierProcessIsWaitedFor(t *testing.T) {
	for _, c := range []struct {
		name string
		ago  time.Duration // of the newest record of the earlier process
		want time.Duration
	}{
		{"just now", 0, 4 * time.Second}, {"a while ago", 3 * time.Second, time.Second}, {"long ago", time.Hour, 0},
		{"by a clock of the future", -time.Hour, 4 * time.Second},
	} {
		b := newBook(1)
		x := newTarget(t, b)
		w := &stopwatch{}
		job := jobOf(b, lateScripts["two values"], x.backend("a"))
		now := time.Now()
		job.Clock, job.LastRecord = w, now.Add(-c.ago)
		var told []string
		job.Notice = func(text string) { told = append(told, text) }
		b.records = []journal.Record{{Kind: journal.Intent, At: now.Add(-c.ago), User: 1, Step: 2, Verb: journal.Set, Backend: "a", Account: "user1", Origin: 1, Sealed: []byte("first")}}
		b.sealed["user1\x00first"] = true
		apply(t, job)
		var waited time.Duration
		for _, d := range w.waited {
			waited += d
		}
		if got := statusIn(b.user(1)); got != journal.Done || (waited-c.want).Abs() > 500*time.Millisecond || (len(told) > 0) != (c.want > 0) {
			t.Errorf("%s: %s after waiting %v, told %d times; want done after %v", c.name, got, waited, len(told), c.want)
		}
	}
}

// TestARefusalOfWhatAKilledProcessSentIsBelievedWhenNothingCanArrive: not
// before, unless the refusal itself shows that the attempt has arrived.
func TestARefusalOfWhatAKilledProcessSentIsBelievedWhenNothingCanArrive(t *testing.T) {
	history := &sdk.Error{Code: sdk.PolicyViolation, Violations: []sdk.Violation{{Rule: sdk.RuleHistory}}}
	for _, c := range []struct {
		name   string
		answer *sdk.Error
		origin int
		want   journal.Status
		waited time.Duration
	}{
		{"denied", sdk.Errorf(sdk.PermissionDenied, "no"), 1, journal.Failed, 4 * time.Second},
		{"a generated value that it remembers", history, 1, journal.Unresolved, 0},
		{"a given value that it remembers", history, 0, journal.Failed, 4 * time.Second},
		{"no such account", sdk.Errorf(sdk.AccountNotFound, "no"), 1, journal.Failed, 0},
	} {
		b := newBook(1)
		x := newTarget(t, b)
		x.say = func(int, sdk.Operation) sdk.Receipt { return sdk.Refuse(c.answer) }
		x.verify = func(string, string) sdk.Verdict { return sdk.Rejected }
		w := &stopwatch{}
		hooks := script(func(ctx context.Context, row source.Row, s *Steps) journal.Verdict {
			value := journal.Given(secret.New("first"))
			if c.origin != 0 {
				value, _ = s.Generate(ctx, GenerateStep{})
			}
			if bad := must(s.Do(ctx, journal.Step{Verb: journal.Set, Backend: "a", Account: row.Key, Value: value})); bad != nil {
				return *bad
			}
			return journal.Verdict{}
		})
		job := jobOf(b, hooks, x.backend("a"))
		job.Clock = w
		step := 1 + c.origin
		b.records = []journal.Record{{Kind: journal.Intent, At: time.Now(), User: 1, Step: step, Verb: journal.Set, Backend: "a", Account: "user1", Origin: c.origin, Sealed: []byte("first")}}
		b.sealed["user1\x00first"] = true
		apply(t, job)
		var waited time.Duration
		for _, d := range w.waited {
			waited += d
		}
		if got := statusIn(b.user(1)); got != c.want || (waited-c.waited).Abs() > 500*time.Millisecond {
			t.Errorf("%s: %s after waiting %v, want %s after %v", c.name, got, waited, c.want, c.waited)
		}
	}
}

// TestAnAttemptThatAKilledProcessMadeAgainIsWaitedFor: a process that is killed
// leaves no record of the attempts that it made of an older intent.
func TestAnAttemptThatAKilledProcessMadeAgainIsWaitedFor(t *testing.T) {
	ago := time.Now().Add(-time.Hour)
	intent := journal.Record{Kind: journal.Intent, At: ago, User: 1, Step: 2, Verb: journal.Set, Backend: "a", Account: "user1", Origin: 1, Sealed: []byte("first")}
	unknown := intent
	unknown.Kind, unknown.Sealed, unknown.Outcome, unknown.Code, unknown.Detail.Late = journal.Outcome, nil, sdk.Unknown, sdk.ConnectionLost, &ago
	for _, c := range []struct {
		name    string
		records []journal.Record
		last    time.Time
		want    time.Duration
	}{
		{"open, killed", []journal.Record{intent}, time.Time{}, 4 * time.Second},
		{"unknown, then killed while it was sent again", []journal.Record{intent, unknown}, time.Time{}, 4 * time.Second},
		{"unknown, and ended long ago", []journal.Record{intent, unknown}, ago, 0},
	} {
		b := newBook(1)
		x := newTarget(t, b)
		w := &stopwatch{}
		job := jobOf(b, lateScripts["two values"], x.backend("a"))
		job.Clock, job.LastRecord = w, c.last
		b.records, b.sealed["user1\x00first"] = c.records, true
		apply(t, job)
		var waited time.Duration
		for _, d := range w.waited {
			waited += d
		}
		if got := statusIn(b.user(1)); got != journal.Done || (waited-c.want).Abs() > 500*time.Millisecond {
			t.Errorf("%s: %s after waiting %v, want done after %v", c.name, got, waited, c.want)
		}
	}
}

// TestARefusalAfterALostAttemptSaysNothingOfThatOne whatever its code: a target that
// took the value refuses the same value again, and a plugin may give any code to
// that.
func TestARefusalAfterALostAttemptSaysNothingOfThatOne(t *testing.T) {
	for _, code := range sdk.Codes() {
		if code.Transient() || pending(code) {
			continue
		}
		b := newBook(1)
		x := newTarget(t, b)
		x.say = func(n int, _ sdk.Operation) sdk.Receipt {
			if n == 1 {
				return cut
			}
			return sdk.Refuse(sdk.Errorf(code, "no"))
		}
		apply(t, jobOf(b, generateAndSet("a"), x.backend("a")))
		if got := statusIn(b.user(1)); got != journal.Unresolved {
			t.Errorf("%s after a lost attempt: %s, want unknown", code, got)
		}
	}
}

// liar says of operations that they were applied before.
func liar(x *target, applies bool) func(int, sdk.Operation) sdk.Receipt {
	return func(_ int, op sdk.Operation) sdk.Receipt {
		if applies {
			x.take(op)
		}
		return sdk.Receipt{Outcome: sdk.AlreadyApplied}
	}
}

// TestAlreadyAppliedIsBelievedOnlyAfterALostAttempt, also over processes.
func TestAlreadyAppliedIsBelievedOnlyAfterALostAttempt(t *testing.T) {
	first := func(r sdk.Receipt) func(*target) func(int, sdk.Operation) sdk.Receipt {
		return func(x *target) func(int, sdk.Operation) sdk.Receipt {
			lie := liar(x, false)
			return func(n int, op sdk.Operation) sdk.Receipt {
				if n == 1 {
					return r
				}
				return lie(n, op)
			}
		}
	}
	for _, c := range []struct {
		name string
		say  func(*target) func(int, sdk.Operation) sdk.Receipt
		want journal.Status
		code sdk.Code
	}{
		{"at once", func(x *target) func(int, sdk.Operation) sdk.Receipt { return liar(x, true) }, journal.Unresolved, sdk.Internal},
		{"after a refusal", first(sdk.Refuse(sdk.Errorf(sdk.Conflict, "busy"))), journal.Unresolved, sdk.Internal},
		{"after a lost attempt", first(cut), journal.Done, ""},
	} {
		b := newBook(1)
		x := newTarget(t, b)
		x.say = c.say(x)
		job := jobOf(b, generateAndSet("a"), x.backend("a"))
		for range 3 {
			apply(t, job)
			if got := b.finished(1); got.Detail.Status != c.want || got.Code != c.code {
				t.Errorf("%s: %s %s, want %s %s", c.name, got.Detail.Status, got.Code, c.want, c.code)
			}
			reopenUnknown(b)
		}
	}
}

// TestAResetOfWhichAnAttemptWasLostMayStillPickAnotherValue.
func TestAResetOfWhichAnAttemptWasLostMayStillPickAnotherValue(t *testing.T) {
	b := newBook(1)
	x := &resets{target: newTarget(t, b), answers: []sdk.Receipt{cut, {Outcome: sdk.Applied, Value: secret.New("picked")}, {Outcome: sdk.Applied, Value: secret.New("final")}}}
	backend := x.backend("a")
	backend.Instance = x
	job := jobOf(b, script(func(ctx context.Context, row source.Row, s *Steps) journal.Verdict {
		if bad := must(s.Do(ctx, journal.Step{Verb: journal.Reset, Backend: "a", Account: row.Key})); bad != nil {
			return *bad
		}
		return journal.Verdict{}
	}), backend)
	for i, want := range []journal.Status{journal.Unresolved, journal.Done} {
		apply(t, job)
		if got := statusIn(b.user(1)); got != want {
			t.Errorf("process %d: %s, want %s", i+1, got, want)
		}
		reopenUnknown(b)
	}
}

// resets is a target whose resets come to what is written.
type resets struct {
	*target
	mu      sync.Mutex
	answers []sdk.Receipt
}

func (r *resets) Ask(context.Context, sdk.Operation) sdk.Receipt {
	r.mu.Lock()
	defer r.mu.Unlock()
	next := r.answers[0]
	r.answers = r.answers[1:]
	return next
}

// TestALostChangeMattersOnlyToTheValueItChangesFrom: arriving late it finds
// another value, and the target refuses it; after a set-back it finds its own.
func TestALostChangeMattersOnlyToTheValueItChangesFrom(t *testing.T) {
	for _, c := range []struct {
		name, next string
		want       journal.Status
	}{{"another value", "third", journal.Done}, {"the value of before", "old", journal.Unresolved}} {
		b := newBook(1)
		x := newTarget(t, b)
		x.say = func(n int, op sdk.Operation) sdk.Receipt {
			if n == 1 {
				return cut
			}
			x.take(op)
			return sdk.OK()
		}
		job := jobOf(b, script(func(ctx context.Context, row source.Row, s *Steps) journal.Verdict {
			change := journal.Step{Verb: journal.Change, Backend: "a", Account: row.Key, Old: journal.Given(secret.New("old")), Value: journal.Given(secret.New("new"))}
			set := journal.Step{Verb: journal.Set, Backend: "a", Account: row.Key, Value: journal.Given(secret.New(c.next))}
			for _, step := range []journal.Step{change, set} {
				if bad := must(s.Do(ctx, step)); bad != nil {
					return *bad
				}
			}
			return journal.Verdict{}
		}), x.backend("a"))
		apply(t, job)
		if got := statusIn(b.user(1)); got != c.want {
			t.Errorf("%s: %s, want %s", c.name, got, c.want)
		}
		reopenUnknown(b)
		apply(t, job)
		if got := statusIn(b.user(1)); got != journal.Done || x.current("user1") != c.next {
			t.Errorf("%s, resumed: %s with %q, want done with %q", c.name, got, x.current("user1"), c.next)
		}
	}
}

// TestALostResetIsOvertakenByNoValue: it may still pick another one.
func TestALostResetIsOvertakenByNoValue(t *testing.T) {
	b := newBook(1)
	x := &resets{target: newTarget(t, b), answers: []sdk.Receipt{cut, {Outcome: sdk.Applied}}}
	backend := x.backend("a")
	backend.Instance = x
	job := jobOf(b, script(func(ctx context.Context, row source.Row, s *Steps) journal.Verdict {
		if bad := must(s.Do(ctx, journal.Step{Verb: journal.Reset, Backend: "a", Account: row.Key})); bad != nil {
			return *bad
		}
		return generateAndSet("a")(ctx, row, s)
	}), backend)
	for i, want := range []journal.Status{journal.Unresolved, journal.Done} {
		reopenUnknown(b)
		apply(t, job)
		if got := statusIn(b.user(1)); got != want || (x.n > 0) != (i == 1) {
			t.Errorf("process %d: %s after %d sets, want %s", i+1, got, x.n, want)
		}
	}
}

// frozen is a clock that stands still.
type frozen struct {
	stopwatch
	now time.Time
}

func (f *frozen) Now() time.Time { return f.now }

// TestWhatWasLostIsWaitedForAsLongAsItMayCome, and no moment longer.
func TestWhatWasLostIsWaitedForAsLongAsItMayCome(t *testing.T) {
	now := time.Now()
	for _, c := range []struct {
		name string
		lost loss
		want time.Duration // 0: not at all
		late bool          // another process has to go on
	}{
		{"nothing", loss{}, 0, false}, {"long ago", loss{until: now.Add(-time.Hour)}, 0, false}, {"until now", loss{until: now}, 0, false},
		{"for a while", loss{until: now.Add(time.Hour)}, time.Hour, false}, {"here", loss{here: true, until: now.Add(time.Hour)}, 0, true},
	} {
		clock, told := &frozen{now: now}, 0
		cr := idle(t.Context())
		cr.Clock, cr.Notice = clock, func(string) { told++ }
		s := &userState{run: cr, history: journal.Read(nil)}
		err := newExecutor(s, journal.Step{}, queued(0), &journal.RecordedStep{}).outwait(c.lost)
		if (err != nil) != c.late || (told == 1) != (c.want > 0) || len(clock.waited) != told || told == 1 && clock.waited[0] != c.want {
			t.Errorf("%s: %v, waited %v, told %d times; want %v", c.name, err, clock.waited, told, c.want)
		}
	}
}

// TestWhatCannotReplaceAValue is the same value, or a change from another one.
func TestWhatCannotReplaceAValue(t *testing.T) {
	for _, c := range []struct {
		name          string
		sealed, old   string
		op            string
		value         string
		cannotReplace bool
	}{
		{"the same value", "new", "", "", "new", true}, {"another one", "other", "", "", "new", false}, {"one that the target picks", "", "", "", "new", false},
		{"a value, before one that the target picks", "other", "", "", "", false}, {"a change from it", "other", "new", "", "new", false},
		{"a change, before one that the target picks", "other", "old", "", "", false},
		{"a change from another one", "other", "old", "", "new", true}, {"a change that goes on by a set", "other", "old", "set", "new", false},
	} {
		intent := &journal.Record{Detail: journal.Detail{Op: c.op}}
		if c.sealed != "" {
			intent.Sealed = []byte(c.sealed)
		}
		if c.old != "" {
			intent.SealedOld = []byte(c.old)
		}
		value := secret.Value{}
		if c.value != "" {
			value = secret.New(c.value)
		}
		cr := idle(t.Context())
		cr.Vault = newBook(0)
		if got, err := newExecutor(&userState{run: cr}, journal.Step{}, nil, &journal.RecordedStep{}).cannotOvertake(intent, value); got != c.cannotReplace || err != nil {
			t.Errorf("%s: %v, %v; want %v", c.name, got, err, c.cannotReplace)
		}
	}
}
