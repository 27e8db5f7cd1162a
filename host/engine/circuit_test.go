package engine

import (
	"context"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rekey-host/rekey/host/journal"
	"github.com/rekey-host/rekey/host/source"
	"github.com/rekey-host/rekey/sdk"
	"github.com/rekey-host/rekey/sdk/secret"
)

// skipClock passes the time that is slept, and no other.
type skipClock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *skipClock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *skipClock) Sleep(ctx context.Context, d time.Duration) error {
	c.mu.Lock()
	c.now = c.now.Add(max(d, 0) / 16) // many sleep at once
	c.mu.Unlock()
	time.Sleep(time.Millisecond)
	return context.Cause(ctx)
}

// away is a target that is not there for its first calls, of whatever kind.
type away struct {
	*target
	mu    sync.Mutex
	until int
	calls int
	whom  map[string]bool // accounts that were asked for
}

func (a *away) gone(account string) *sdk.Error {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.calls++
	a.whom[account] = true
	if a.calls > a.until {
		return nil
	}
	return sdk.Errorf(sdk.Unreachable, "connection refused")
}

func (a *away) Submit(ops []sdk.Operation, answer func(int, sdk.Receipt)) {
	for n, op := range ops {
		go func() {
			if err := a.gone(op.Account); err != nil {
				answer(n, sdk.Refuse(err))
				return
			}
			answer(n, a.one(op))
		}()
	}
}

func (a *away) Find(ctx context.Context, account string) (sdk.Account, error) {
	if err := a.gone(account); err != nil {
		return sdk.Account{}, err
	}
	return a.target.Find(ctx, account)
}

// findAndSet looks the account up before it sets a value.
func findAndSet(ctx context.Context, row source.Row, s *Steps) journal.Verdict {
	if bad := must(s.Do(ctx, journal.Step{Verb: journal.Find, Backend: "a", Account: row.Key})); bad != nil {
		return *bad
	}
	return generateAndSet("a")(ctx, row, s)
}

// TestACircuitHoldsWithoutCheck: a backend that is away stops the run after its
// patience, nobody fails for it, and one that comes back is found by one
// operation at a time.
func TestACircuitHoldsWithoutCheck(t *testing.T) {
	const users = 500
	for _, c := range []struct {
		name  string
		hooks script
		gone  int
		back  bool
	}{
		{"sets, for good", generateAndSet("a"), 1 << 30, false}, {"sets, for a while", generateAndSet("a"), 90, true},
		{"finds, for good", findAndSet, 1 << 30, false}, {"finds, for a while", findAndSet, 30, true},
	} {
		b := newBook(users)
		x := &away{target: newTarget(t, b), until: c.gone, whom: map[string]bool{}}
		backend := x.backend("a")
		backend.Instance, backend.Attempts = x, circuitLimit+1 // the circuit opens before anybody has spent them
		if c.back {
			backend.Patience = time.Hour
		}
		job := jobOf(b, c.hooks, backend)
		job.Clock = &skipClock{now: time.Now()}
		var told []string
		var mu sync.Mutex
		job.Notice = func(text string) { mu.Lock(); defer mu.Unlock(); told = append(told, text) }
		ending := apply(t, job)
		n := b.counts()
		switch {
		case c.back && (ending.Stopped != "" || n[journal.Done] != users):
			t.Errorf("%s: %q, %v; want %d done", c.name, ending.Stopped, n, users)
		case !c.back && (!strings.Contains(ending.Stopped, "unreachable") || n[journal.Pending] != users):
			t.Errorf("%s: %q, %v; want a stop and %d pending", c.name, ending.Stopped, n, users)
		}
		said := func(word string) int {
			return len(slices.DeleteFunc(slices.Clone(told), func(s string) bool { return !strings.Contains(s, word) }))
		}
		if aways, backs := said("is away"), said("is back"); aways < 1 || aways > 10 || c.back && backs != aways {
			t.Errorf("%s: told %d times that it is away and %d that it is back: %q", c.name, aways, backs, told)
		}
		if !c.back && x.calls > 200 {
			t.Errorf("%s: %d calls of a target that is away", c.name, x.calls)
		}
	}
}

// TestWhatIsWaitedForIsSaidOnce, until the backend answers well again.
func TestWhatIsWaitedForIsSaidOnce(t *testing.T) {
	b := newBook(50)
	x := newTarget(t, b)
	x.say = func(n int, op sdk.Operation) sdk.Receipt {
		if n <= 120 {
			return sdk.Refuse(&sdk.Error{Code: sdk.RateLimited, Message: "slow down", RetryAfter: 30 * time.Second})
		}
		x.take(op)
		return sdk.OK()
	}
	backend := x.backend("a")
	backend.Patience = time.Hour
	job := jobOf(b, generateAndSet("a"), backend)
	var mu sync.Mutex
	told := 0
	job.Notice = func(string) { mu.Lock(); defer mu.Unlock(); told++ }
	ending := apply(t, job)
	if w := ending.Waits; len(w) != 1 || w[0].Times != 1 || !strings.HasPrefix(w[0].Why, "RateLimited (slow down)") {
		t.Errorf("it tells that it waited: %+v", w)
	}
	if told != 1 || b.counts()[journal.Done] != 50 {
		t.Errorf("told %d times, %v; want once, 50 done", told, b.counts())
	}
}

// TestAVerifyThatCannotTellIsNoRefusal: who got a value is done, and the note
// says that it is not proven.
func TestAVerifyThatCannotTellIsNoRefusal(t *testing.T) {
	for _, c := range []struct {
		name    string
		verdict sdk.Verdict
		err     error
		status  journal.Status
		note    bool
	}{
		{"cannot tell", sdk.CannotTell, nil, journal.Done, true},
		{"unsupported for this account", sdk.CannotTell, sdk.Errorf(sdk.Unsupported, "trusts everybody"), journal.Done, true},
		{"accepted", sdk.Accepted, nil, journal.Done, false},
		{"rejected", sdk.Rejected, nil, journal.Partial, false},
		{"away", sdk.CannotTell, sdk.Errorf(sdk.Unreachable, "gone"), journal.Partial, false},
	} {
		b := newBook(1)
		x := &verifies{newTarget(t, b), c.verdict, c.err}
		backend := x.backend("a")
		backend.Instance = x
		job := jobOf(b, script(func(ctx context.Context, row source.Row, s *Steps) journal.Verdict {
			v := journal.Given(secret.New("given"))
			for _, verb := range []string{journal.Set, journal.Verify} {
				if bad := must(s.Do(ctx, journal.Step{Verb: verb, Backend: "a", Account: row.Key, Value: v})); bad != nil {
					return *bad
				}
			}
			return journal.Verdict{}
		}), backend)
		apply(t, job)
		if got := b.finished(1); got.Detail.Status != c.status || (got.Detail.Message == journal.NotProven) != c.note {
			t.Errorf("%s: %s %q, want %s, a note: %v", c.name, got.Detail.Status, got.Detail.Message, c.status, c.note)
		}
	}
}

// verifies is a target whose verifies come to what is written.
type verifies struct {
	*target
	verdict sdk.Verdict
	err     error
}

func (v *verifies) Verify(context.Context, string, string, secret.Value) (sdk.Verdict, error) {
	return v.verdict, v.err
}

// stamping is a target that cannot verify, and stamps what changes.
type stamping struct{ *target }

func (s *stamping) Find(_ context.Context, account string) (sdk.Account, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return sdk.Account{Account: account, Status: sdk.StatusActive, Stamp: "changes: " + strings.Repeat("i", len(s.values[account]))}, nil
}

// TestAChangeStampSettlesALostAnswer where the account's stamp was read before,
// without a logon attempt.
func TestAChangeStampSettlesALostAnswer(t *testing.T) {
	for _, c := range []struct {
		name  string
		took  bool // the lost attempt took effect
		hooks script
		want  journal.Status
		sends int
	}{
		{"it took effect", true, findAndSet, journal.Done, 1},
		{"it did not", false, findAndSet, journal.Done, 2},
		{"no stamp from before", true, generateAndSet("a"), journal.Unresolved, 1},
	} {
		b := newBook(1)
		x := &stamping{newTarget(t, b)}
		x.say = func(n int, op sdk.Operation) sdk.Receipt {
			if n > 1 || c.took {
				x.take(op)
			}
			if n == 1 {
				return cut
			}
			return sdk.OK()
		}
		backend := x.backend("a")
		backend.Instance, backend.Description.ReplaySafe = x, nil
		backend.Abilities = []sdk.Ability{sdk.CanFind}
		apply(t, jobOf(b, c.hooks, backend))
		if got := statusIn(b.user(1)); got != c.want || x.n != c.sends {
			t.Errorf("%s: %s after %d sends, want %s after %d", c.name, got, x.n, c.want, c.sends)
		}
	}
}

// TestAnAttemptIsFreeWhileAllWait for a target that is away, and at no other
// time: a run that stops would never end.
func TestAnAttemptIsFreeWhileAllWait(t *testing.T) {
	gone, no := sdk.Errorf(sdk.Unreachable, "gone"), sdk.Errorf(sdk.PermissionDenied, "no")
	for _, c := range []struct {
		name          string
		open, stopped bool
		err           *sdk.Error
		want          bool
	}{
		{"closed", false, false, gone, false}, {"open", true, false, gone, true}, {"open, another refusal", true, false, no, false},
		{"open, applied", true, false, nil, false}, {"open, and the run stops", true, true, gone, false},
	} {
		soft, stop := context.WithCancel(context.Background())
		l := &dispatcher{soft: soft}
		l.circuit.init()
		for range circuitLimit {
			if c.open {
				l.circuit.observe(gone)
			}
		}
		if c.stopped {
			stop()
		}
		if got := l.free(c.err); got != c.want {
			t.Errorf("%s: %v, want %v", c.name, got, c.want)
		}
		stop()
	}
}

// opened is a circuit that is open.
func opened() *circuit {
	var c circuit
	c.init()
	for range circuitLimit {
		c.observe(sdk.Errorf(sdk.Unreachable, "gone"))
	}
	return &c
}

// TestACircuitClosesForTheAnswerOfWhatItLetThrough: a good answer of an operation
// that was sent before it opened tells nothing of the target now.
func TestACircuitClosesForTheAnswerOfWhatItLetThrough(t *testing.T) {
	c := opened()
	c.observe(nil)
	if !c.holds() {
		t.Error("it was closed by an answer from before")
	}
	c.allowProbe()
	if !c.passes() || c.passes() {
		t.Error("it lets one operation through, and no second one")
	}
	c.observe(nil)
	if c.holds() || c.passes() {
		t.Error("the answer of what it let through closes it, and nothing passes for itself then")
	}
	c.allowProbe()
	if c.passes() {
		t.Error("a closed circuit has nothing to let through")
	}
}

// TestWhoWaitsForACircuitKnowsWhetherItIsTheProbe.
func TestWhoWaitsForACircuitKnowsWhetherItIsTheProbe(t *testing.T) {
	ended, end := context.WithCancel(t.Context())
	end()
	shut := opened()
	shut.reset()
	probed, back := opened(), opened()
	probed.allowProbe()
	time.AfterFunc(5*time.Millisecond, back.reset)
	for _, c := range []struct {
		name    string
		circuit *circuit
		ctx     context.Context
		through bool
		fails   bool
	}{
		{"closed", shut, t.Context(), false, false}, {"closed, and the run stops", shut, ended, false, false},
		{"open, one is let through", probed, t.Context(), true, false}, {"closed while it waits", back, t.Context(), false, false},
		{"open until the run stops", opened(), ended, false, true},
	} {
		if through, err := c.circuit.waitClosed(c.ctx); through != c.through || (err != nil) != c.fails {
			t.Errorf("%s: through %v, %v", c.name, through, err)
		}
	}
}

// TestATargetIsLookedAtUntilItIsBack, the patience ends, or the run does.
func TestATargetIsLookedAtUntilItIsBack(t *testing.T) {
	ended, end := context.WithCancel(t.Context())
	end()
	for _, c := range []struct {
		name   string
		ctx    context.Context
		closed bool // by an answer meanwhile
		bad    bool // says Check
		checks bool
		want   bool
	}{
		{"back by Check", t.Context(), false, false, true, true}, {"away", t.Context(), false, true, true, false},
		{"back by an answer", t.Context(), true, true, true, true}, {"nobody to ask", t.Context(), false, false, false, false},
		{"the run has ended", ended, false, false, true, false},
	} {
		x := newTarget(t, newBook(0))
		x.bad = c.bad
		l := &dispatcher{backend: x.backend("a")}
		l.cond = sync.NewCond(&l.mu)
		if l.circuit.init(); !c.closed {
			for range circuitLimit {
				l.circuit.observe(sdk.Errorf(sdk.Unreachable, "gone"))
			}
		}
		if c.checks {
			l.backend.Abilities = append(l.backend.Abilities, sdk.CanCheck)
		}
		clock := &skipClock{now: time.Now()}
		if got := l.waitForTarget(c.ctx, clock, clock.now.Add(time.Second)); got != c.want {
			t.Errorf("%s: %v, want %v", c.name, got, c.want)
		}
	}
}

// TestATargetThatIsAwayCostsNoUserAnAttemptTooMany: of 2,000 users, five attempts
// each and no Check, nobody fails for a target that is away: the circuit opens
// after twenty answers, the run stops, and another process finishes it when the
// target is back. What is waited for is said once, with why and until when.
func TestATargetThatIsAwayCostsNoUserAnAttemptTooMany(t *testing.T) {
	const users = 2000
	b := newBook(users)
	x := &away{target: newTarget(t, b), until: 1 << 30, whom: map[string]bool{}}
	backend := x.backend("a")
	backend.Instance, backend.Attempts, backend.Concurrency = x, 5, 16
	job := jobOf(b, generateAndSet("a"), backend)
	job.Clock = &skipClock{now: time.Now()}
	var told []string
	var mu sync.Mutex
	job.Notice = func(text string) { mu.Lock(); defer mu.Unlock(); told = append(told, text) }
	ending := apply(t, job)
	if n := b.counts(); !strings.Contains(ending.Stopped, "backend a stays unreachable") || n[journal.Pending] != users {
		t.Fatalf("%q, %v; want a stop and %d pending", ending.Stopped, n, users)
	}
	if x.calls > 200 {
		t.Errorf("%d calls of a target that is away", x.calls)
	}
	if len(told) != 1 || !strings.Contains(told[0], "is away: Unreachable (connection refused); nothing new is sent to it; it is looked at again until ") {
		t.Errorf("told %q", told)
	}
	if w := ending.Waits; len(w) != 1 || w[0].Backend != "a" || w[0].Times != 1 || w[0].Total < backend.Patience || w[0].Why != "Unreachable (connection refused)" {
		t.Errorf("it tells that it waited: %+v", w)
	}
	x.until = 0
	job.Clock = SystemClock{}
	if ending := apply(t, job); ending.Stopped != "" || b.counts()[journal.Done] != users {
		t.Errorf("when it is back: %q, %v", ending.Stopped, b.counts())
	}
}

// TestATimeFarAwayIsToldWithItsDay: a target may ask to be left alone for a year.
func TestATimeFarAwayIsToldWithItsDay(t *testing.T) {
	now := time.Now()
	if got := moment(now, now.Add(time.Minute)); len(got) != len(time.TimeOnly) {
		t.Errorf("got %s", got)
	}
	if got := moment(now, now.AddDate(1, 0, 0)); len(got) != len(time.DateTime) {
		t.Errorf("got %s", got)
	}
}
