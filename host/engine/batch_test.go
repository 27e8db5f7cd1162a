package engine

import (
	"context"
	"fmt"
	"math/rand/v2"
	"reflect"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/rekey-host/rekey/host/journal"
	"github.com/rekey-host/rekey/host/source"
	"github.com/rekey-host/rekey/sdk"
	"github.com/rekey-host/rekey/sdk/secret"
)

// moods are how a target treats an account: its answers in order, the last of
// them for ever.
var moods = []struct {
	name    string
	answers []sdk.Receipt
	verdict sdk.Verdict
}{
	{"well", []sdk.Receipt{sdk.OK()}, sdk.Accepted},
	{"must change", []sdk.Receipt{sdk.OK()}, sdk.AcceptedMustChange},
	{"refuses", []sdk.Receipt{sdk.Refuse(sdk.Errorf(sdk.PermissionDenied, "no"))}, sdk.Accepted},
	{"busy once", []sdk.Receipt{sdk.Refuse(sdk.Errorf(sdk.TargetUnavailable, "busy")), sdk.OK()}, sdk.Accepted},
	{"busy", []sdk.Receipt{sdk.Refuse(sdk.Errorf(sdk.TargetUnavailable, "busy"))}, sdk.Accepted},
	{"another value helps", []sdk.Receipt{sdk.Refuse(&sdk.Error{Code: sdk.PolicyViolation, Violations: []sdk.Violation{{Rule: sdk.RuleDictionary}}}), sdk.OK()}, sdk.Accepted},
	{"lost, then applied before", []sdk.Receipt{sdk.Lost(sdk.Errorf(sdk.Timeout, "slow")), {Outcome: sdk.AlreadyApplied}}, sdk.Accepted},
	{"lost", []sdk.Receipt{sdk.Lost(sdk.Errorf(sdk.Timeout, "slow"))}, sdk.CannotTell},
	{"contradicts itself", []sdk.Receipt{{Outcome: sdk.AlreadyApplied}}, sdk.CannotTell},
	{"does not accept it", []sdk.Receipt{sdk.OK()}, sdk.Rejected},
	{"does not tell", []sdk.Receipt{sdk.OK()}, sdk.CannotTell},
	{"locked", []sdk.Receipt{sdk.OK()}, sdk.Blocked},
	{"gives up", []sdk.Receipt{sdk.Refuse(sdk.Errorf(sdk.Cancelled, "given up")), sdk.OK()}, sdk.Accepted},
}

// moody is a target whose accounts have moods, by the number in their names.
type moody struct {
	*target
	mu    sync.Mutex
	asked map[string]int
}

func moodOf(account string) int {
	n := 0
	_, _ = fmt.Sscanf(strings.TrimPrefix(account, "user"), "%d", &n)
	return n % len(moods)
}

func (m *moody) Submit(ops []sdk.Operation, answer func(int, sdk.Receipt)) {
	for n, op := range ops {
		go func() { answer(n, m.one(op)) }()
	}
}

func (m *moody) one(op sdk.Operation) sdk.Receipt {
	mood := moods[moodOf(op.Account)]
	if op.Verb == sdk.Verify {
		return sdk.Receipt{Outcome: sdk.Applied, Verdict: mood.verdict}
	}
	if !m.book.holds(op.Account, op.Value.Reveal()) {
		m.t.Errorf("%s of %s was sent before its value was durable", op.Verb, op.Account)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	n := m.asked[op.Account]
	m.asked[op.Account]++
	return mood.answers[min(n, len(mood.answers)-1)]
}

func (m *moody) Verify(_ context.Context, account, _ string, _ secret.Value) (sdk.Verdict, error) {
	return moods[moodOf(account)].verdict, nil
}

// generateSetVerify is a rotate of two steps.
func generateSetVerify(ctx context.Context, row source.Row, s *Steps) journal.Verdict {
	v, err := s.Generate(ctx, GenerateStep{})
	if err != nil {
		return *must(journal.Result{}, err)
	}
	for _, verb := range []string{journal.Set, journal.Verify} {
		if bad := must(s.Do(ctx, journal.Step{Verb: verb, Backend: "a", Account: row.Key, Value: v})); bad != nil {
			return *bad
		}
	}
	return journal.Verdict{}
}

// TestAUserEndsInABatchAsAlone, whatever the target says: with the same status,
// for the same reason, after as many attempts, and the same records.
func TestAUserEndsInABatchAsAlone(t *testing.T) {
	const users = 150
	told := func(batch int) []string {
		b := newBook(users)
		x := &moody{target: newTarget(t, b), asked: map[string]int{}}
		be := x.backend("a")
		be.Instance, be.StreamsVerify = x, true
		job := jobOf(b, script(generateSetVerify), be)
		job.Batch = batch
		apply(t, job)
		var list []string
		for pos := int64(1); pos <= users; pos++ {
			list = append(list, storyOf(b.user(pos)))
		}
		return list
	}
	alone, together := told(1), told(64)
	for i := range alone {
		if alone[i] != together[i] {
			t.Errorf("%s: alone\n%s\nin a batch\n%s", moods[(i+1)%len(moods)].name, alone[i], together[i])
		}
	}
}

// storyOf is what records say, without the values and the clock.
func storyOf(records []journal.Record) string {
	var b strings.Builder
	for _, r := range records {
		fmt.Fprintf(&b, "%s %d.%d %s %s %s %v %d %q %s\n", r.Kind, r.Step, r.Try, r.Verb, r.Outcome, r.Code, r.Origin, r.Detail.Attempt, r.Detail.Message, r.Detail.Status+journal.Status(r.Detail.Verdict))
	}
	return b.String()
}

// TestAHookThatIsNotForABatchIsServedAlone, and what it prints is printed once.
func TestAHookThatIsNotForABatchIsServedAlone(t *testing.T) {
	for name, c := range map[string]struct {
		hook script
		want int32 // calls for each user
	}{
		"sets": {generateAndSet("a"), 1},
		"prints": {func(ctx context.Context, row source.Row, s *Steps) journal.Verdict {
			s.Printed()
			return generateAndSet("a")(ctx, row, s)
		}, 2},
		"looks first": {func(ctx context.Context, row source.Row, s *Steps) journal.Verdict {
			if bad := must(s.Do(ctx, journal.Step{Verb: journal.Find, Backend: "a", Account: row.Key})); bad != nil {
				return *bad
			}
			return generateAndSet("a")(ctx, row, s)
		}, 2},
		"skips": {skips, 2},
	} {
		b := newBook(5)
		var loud, calls atomic.Int32
		job := jobOf(b, script(func(ctx context.Context, row source.Row, s *Steps) journal.Verdict {
			calls.Add(1)
			if !s.Quiet() {
				loud.Add(1)
			}
			return c.hook(ctx, row, s)
		}), newTarget(t, b).backend("a"))
		apply(t, job)
		if calls.Load() != 5*c.want || loud.Load() != 5*(c.want-1) {
			t.Errorf("%s: %d calls, %d of them print; want %d, %d", name, calls.Load(), loud.Load(), 5*c.want, 5*(c.want-1))
		}
	}
}

// TestBatchesAreGivenUpWhereTheyCarryFew: a hook that never fits is not tried for
// every user. As many batches as may be under way are begun before the last of
// those that tell is looked at.
func TestBatchesAreGivenUpWhereTheyCarryFew(t *testing.T) {
	const users, most = 10_000, (manyLeft + batchesUnderWay) * batchLimit
	b := newBook(users)
	var tried atomic.Int32
	apply(t, jobOf(b, script(func(ctx context.Context, row source.Row, s *Steps) journal.Verdict {
		if s.Quiet() {
			tried.Add(1)
		}
		return skips(ctx, row, s)
	}), newTarget(t, b).backend("a")))
	if n := tried.Load(); n == 0 || n > most {
		t.Errorf("%d of %d users were tried, want some, and %d at most", n, users, most)
	}
}

// TestAnAccountOfTwoUsersIsRefusedInABatch: the second one's is not sent.
func TestAnAccountOfTwoUsersIsRefusedInABatch(t *testing.T) {
	b := newBook(40)
	x := newTarget(t, b)
	apply(t, jobOf(b, script(func(ctx context.Context, row source.Row, s *Steps) journal.Verdict {
		row.Key = "shared"
		return generateAndSet("a")(ctx, row, s)
	}), x.backend("a")))
	refused := 0
	for pos := int64(1); pos <= 40; pos++ {
		if b.finished(pos).Code == journal.DuplicateAccount {
			refused++
		}
	}
	if done := b.counts()[journal.Done]; done != 1 || refused != 39 || len(x.values["shared"]) != 1 {
		t.Errorf("%d done, %d refused, %d values sent", done, refused, len(x.values["shared"]))
	}
}

// TestTheSemaphoreLeavesRoomForBatches: of those who are outside and those who are
// inside no more can fail than the wave allows, and the concurrency.
func TestTheSemaphoreLeavesRoomForBatches(t *testing.T) {
	luck := rand.New(rand.NewPCG(1, 2))
	for range 200 {
		limit, left := luck.IntN(6), luck.Int64N(40)
		g := newSemaphore(0)
		g.bound(limit, left)
		var inside []*permit
		for range 60 {
			if luck.IntN(2) == 0 {
				g.reserve(luck.IntN(8))
			} else if p := (&permit{}); g.room(p) != g.admit(p) {
				t.Fatal("room and admit differ")
			} else if p.sent() {
				inside = append(inside, p)
			}
			if under := int64(g.outside + g.active); limit > 0 && (under > left+int64(limit) || int64(g.outside) > left) {
				t.Fatalf("limit %d, room for %d failures: %d outside, %d inside", limit, left, g.outside, g.active)
			}
			if len(inside) > 0 && luck.IntN(4) == 0 {
				g.leave(inside[0])
				inside = inside[1:]
			}
		}
	}
}

// TestACopyOfARecordHasAllThatTheLedgerDoesNotAdd, also fields to come.
func TestACopyOfARecordHasAllThatTheLedgerDoesNotAdd(t *testing.T) {
	full := journal.Record{Index: 1, Kind: 1, At: fastClock{}.Now(), User: 1, Step: 1, Try: 1, Verb: "x", Backend: "x", Account: "x", Cred: "x",
		Origin: 1, Outcome: 1, Code: "x", Sealed: []byte{1}, SealedOld: []byte{1}, Detail: journal.Detail{Message: "x"}}
	from, to := reflect.ValueOf(full), reflect.ValueOf(unwritten(&full))
	for i := range from.NumField() {
		name := from.Type().Field(i).Name
		if from.Field(i).IsZero() {
			t.Errorf("the test lacks %s", name)
		}
		if added := name == "Index" || name == "At"; to.Field(i).IsZero() != added {
			t.Errorf("%s: copied %v", name, !to.Field(i).IsZero())
		}
	}
}
