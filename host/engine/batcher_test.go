package engine

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rekey-host/rekey/host/journal"
	"github.com/rekey-host/rekey/host/ledger"
	"github.com/rekey-host/rekey/host/source"
	"github.com/rekey-host/rekey/sdk"
)

// numberOf is the number in a user's key.
func numberOf(key string) (n int) {
	_, _ = fmt.Sscanf(key, "user%d", &n)
	return n
}

// TestUsersOfABatchThatAreDoneEndARow: where every other user is refused, none of
// the rows is long.
func TestUsersOfABatchThatAreDoneEndARow(t *testing.T) {
	for _, batch := range []int{1, 0} {
		b := newBook(600)
		x := newTarget(t, b)
		x.say = func(_ int, op sdk.Operation) sdk.Receipt {
			if numberOf(op.Account)%2 == 0 {
				return sdk.Refuse(sdk.Errorf(sdk.PermissionDenied, "no"))
			}
			return sdk.OK()
		}
		job := jobOf(b, generateAndSet("a"), x.backend("a"))
		job.Waves[0].InARow, job.Batch = journal.InARow, batch
		if end := apply(t, job); end.Stopped != "" {
			t.Errorf("batches of %d: %s: %v", batch, end.Stopped, b.counts())
		}
	}
}

// TestAnAccountIsClaimedByWhoSends: a user who fails before he comes to it leaves
// it to others.
func TestAnAccountIsClaimedByWhoSends(t *testing.T) {
	for _, batch := range []int{1, 0} {
		b := newBook(40)
		x, y := newTarget(t, b), newTarget(t, b)
		x.say = func(int, sdk.Operation) sdk.Receipt { return sdk.Refuse(sdk.Errorf(sdk.AccountNotFound, "no")) }
		job := jobOf(b, script(func(ctx context.Context, row source.Row, s *Steps) journal.Verdict {
			v, err := s.Generate(ctx, GenerateStep{})
			if err != nil {
				return *must(journal.Result{}, err)
			}
			n := numberOf(row.Key)
			if n%2 == 1 {
				if bad := must(s.Do(ctx, journal.Step{Verb: journal.Set, Backend: "a", Account: row.Key, Value: v})); bad != nil {
					return *bad
				}
			}
			account := fmt.Sprintf("shared%d", (n+1)/2)
			if bad := must(s.Do(ctx, journal.Step{Verb: journal.Set, Backend: "b", Account: account, Value: v})); bad != nil {
				return *bad
			}
			return journal.Verdict{}
		}), x.backend("a"), y.backend("b"))
		job.Batch = batch
		apply(t, job)
		if c := b.counts(); c[journal.Done] != 20 || c[journal.Failed] != 20 {
			t.Errorf("batches of %d: %v; user2: %+v", batch, c, b.finished(2))
		}
	}
}

// TestBatchesAreTriedAgainInTheNextWave: a hook that prints for the users of one
// wave may carry those of the next one.
func TestBatchesAreTriedAgainInTheNextWave(t *testing.T) {
	const size, first, second = 16, 40 * 16, 64 * 16
	for _, c := range []struct {
		name  string
		waves func(pos int64) int
		want  func(printing, silent int64) bool
	}{
		{"two waves", func(pos int64) int { return int(min(1, (pos-1)/first)) }, func(printing, silent int64) bool { return printing < first && silent == second }},
		{"one wave", func(int64) int { return 0 }, func(printing, silent int64) bool { return printing < first && silent == 0 }},
	} {
		b := newBook(first + second)
		b.waveOf = c.waves
		var printing, silent atomic.Int64
		hook := generateAndSet("a")
		job := jobOf(b, script(func(ctx context.Context, row source.Row, s *Steps) journal.Verdict {
			prints := numberOf(row.Key) <= first
			switch {
			case s.Quiet() && prints:
				printing.Add(1)
				s.Printed()
			case s.Quiet():
				silent.Add(1)
			}
			return hook(ctx, row, s)
		}), newTarget(t, b).backend("a"))
		job.Batch, job.Waves, job.Planned = size, append(all(), all()...), []int64{first, second}
		apply(t, job)
		if n := b.counts()[journal.Done]; n != first+second || !c.want(printing.Load(), silent.Load()) {
			t.Errorf("%s: %d done; tried in batches: %d of %d who print, %d of %d who do not", c.name, n, printing.Load(), first, silent.Load(), second)
		}
	}
}

// TestBatchesAreTriedAgainAfterManyUsers, one at a time.
func TestBatchesAreTriedAgainAfterManyUsers(t *testing.T) {
	b := &batcher{limit: batchLimit}
	next := func() (alone int) {
		for ; !b.takes(ledger.User{}) && alone < 2*asideFor; alone++ {
		}
		return alone
	}
	for range manyLeft {
		if alone := next(); alone > 0 {
			t.Fatalf("%d users are served alone after %d batches", alone, b.useless.Load())
		}
		b.judge(0, 1)
	}
	for range 3 {
		if alone := next(); alone != asideFor {
			t.Errorf("%d users were served alone, want %d", alone, asideFor)
		}
		b.judge(0, 1)
	}
	next()
	b.judge(1, 1)
	b.judge(0, 1)
	if alone := next(); alone > 0 {
		t.Errorf("%d users are served alone after a batch that carried all", alone)
	}
}

// rude is a target that does not tell its rules.
type rude struct{ *target }

func (rude) Policy(context.Context, string, string) (sdk.Policy, error) {
	return sdk.Policy{}, sdk.Errorf(sdk.Unreachable, "away")
}

// TestABackendThatDoesNotTellItsRulesLeavesThoseOfOthers in force.
func TestABackendThatDoesNotTellItsRulesLeavesThoseOfOthers(t *testing.T) {
	b := newBook(40)
	x, y := newTarget(t, b), rude{newTarget(t, b)}
	x.policy = sdk.Policy{MinLength: 8}
	strict, silent := x.backend("a"), y.backend("b")
	strict.Abilities = append(strict.Abilities, sdk.CanPolicy)
	silent.Abilities, silent.Instance = append(silent.Abilities, sdk.CanPolicy), y
	apply(t, jobOf(b, script(func(ctx context.Context, row source.Row, s *Steps) journal.Verdict {
		for _, to := range []struct{ label, value string }{{"b", "long enough"}, {"a", "short"}} {
			if bad := must(s.Do(ctx, journal.Step{Verb: journal.Set, Backend: to.label, Account: row.Key, Value: given(to.value)})); bad != nil {
				return *bad
			}
		}
		return journal.Verdict{}
	}), strict, silent))
	if len(x.values) > 0 {
		t.Errorf("%d values were sent that break a rule that was told", len(x.values))
	}
}

// waits is a clock whose sleepers wait until it is let go.
type waits struct {
	fastClock
	sleeping atomic.Int64
	most     atomic.Int64
	letGo    chan struct{}
}

func (w *waits) Sleep(ctx context.Context, _ time.Duration) error {
	n := w.sleeping.Add(1)
	defer w.sleeping.Add(-1)
	for {
		most := w.most.Load()
		if n <= most || w.most.CompareAndSwap(most, n) {
			break
		}
	}
	select {
	case <-w.letGo:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// TestUsersThatLeaveBatchesAreBounded: a target that asks everybody to come again
// is not asked by everybody.
func TestUsersThatLeaveBatchesAreBounded(t *testing.T) {
	const users = 8000
	b := newBook(users)
	x := newTarget(t, b)
	var first sync.Map
	x.say = func(_ int, op sdk.Operation) sdk.Receipt {
		if _, again := first.LoadOrStore(op.Account, true); again {
			return sdk.OK()
		}
		return sdk.Refuse(sdk.Errorf(sdk.RateLimited, "later"))
	}
	w := &waits{letGo: make(chan struct{})}
	job := jobOf(b, generateAndSet("a"), x.backend("a"))
	job.Clock = w
	go func() {
		for was := int64(-1); w.sleeping.Load() == 0 || w.sleeping.Load() != was; time.Sleep(500 * time.Millisecond) {
			was = w.sleeping.Load()
		}
		close(w.letGo)
	}()
	apply(t, job)
	if most := w.most.Load(); most > window+batchLimit*batchesUnderWay {
		t.Errorf("%d users waited at once", most)
	}
	done := 0
	for _, r := range b.records {
		if r.Kind == journal.Finished && r.Detail.Status == journal.Done {
			done++
		}
	}
	if done != users {
		t.Errorf("%d of %d are done", done, users)
	}
}

// ordered is a ledger that notes an outcome without an intent.
type ordered struct {
	*book
	t *testing.T
}

func (o ordered) Commit(recs []*journal.Record) error {
	o.mu.Lock()
	known := map[[3]int64]bool{}
	for _, r := range o.records {
		if r.Kind == journal.Intent {
			known[[3]int64{r.User, int64(r.Step), int64(r.Try)}] = true
		}
	}
	for _, r := range recs {
		place := [3]int64{r.User, int64(r.Step), int64(r.Try)}
		switch {
		case r.Kind == journal.Intent:
			known[place] = true
		case r.Kind == journal.Outcome && !known[place]:
			o.t.Errorf("user %d step %d: an outcome before its intent", r.User, r.Step)
		}
	}
	o.mu.Unlock()
	return o.book.Commit(recs)
}

// TestARunThatIsCancelledRecordsOutcomesBehindIntents, whenever it is.
func TestARunThatIsCancelledRecordsOutcomesBehindIntents(t *testing.T) {
	b := newBook(64)
	x := newTarget(t, b)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	job := jobOf(b, script(func(ctx context.Context, row source.Row, s *Steps) journal.Verdict {
		for i := range 1 + numberOf(row.Key)%2 {
			if bad := must(s.Do(ctx, journal.Step{Verb: journal.Set, Backend: "a", Account: row.Key, Value: given(fmt.Sprint("value ", i))})); bad != nil {
				return *bad
			}
		}
		return journal.Verdict{}
	}), x.backend("a"))
	job.Journal = ordered{b, t}
	var once sync.Once
	job.Finished = func(journal.Status, sdk.Code) { // a worker is between the users that are done and those that go on
		once.Do(func() {
			cancel()
			time.Sleep(100 * time.Millisecond)
		})
	}
	if _, err := Apply(ctx, job); err != nil {
		t.Fatal(err)
	}
}

// sluggish is a ledger that cancels the run while it writes.
type sluggish struct {
	*book
	cancel context.CancelFunc
}

func (s sluggish) Commit(recs []*journal.Record) error {
	s.cancel()
	time.Sleep(100 * time.Millisecond)
	return s.book.Commit(recs)
}

// TestARunThatIsCancelledLeavesTheRecordsToTheLedger that writes them just then:
// the race detector looks on.
func TestARunThatIsCancelledLeavesTheRecordsToTheLedger(t *testing.T) {
	b := newBook(64)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	job := jobOf(b, generateAndSet("a"), newTarget(t, b).backend("a"))
	job.Journal = sluggish{b, cancel}
	if _, err := Apply(ctx, job); err != nil {
		t.Fatal(err)
	}
}

// TestAValueThatCannotBeMadeIsMissingWhereItIs, and not where another one is made.
func TestAValueThatCannotBeMadeIsMissingWhereItIs(t *testing.T) {
	for _, batch := range []int{1, 0} {
		b := newBook(20)
		x, y := newTarget(t, b), forbidding{newTarget(t, b)}
		silent := y.backend("b")
		silent.Abilities, silent.Instance = append(silent.Abilities, sdk.CanPolicy), y
		job := jobOf(b, script(func(ctx context.Context, row source.Row, s *Steps) journal.Verdict {
			for _, label := range []string{"a", "b"} {
				v, err := s.Generate(ctx, GenerateStep{Targets: []string{label}})
				if err != nil {
					return *must(journal.Result{}, err)
				}
				if bad := must(s.Do(ctx, journal.Step{Verb: journal.Set, Backend: label, Account: row.Key, Value: v})); bad != nil {
					return *bad
				}
			}
			return journal.Verdict{}
		}), x.backend("a"), silent)
		job.Batch = batch
		apply(t, job)
		if c := b.counts(); c[journal.Partial] != 20 {
			t.Errorf("batches of %d: %v", batch, c)
		}
	}
}

// forbidding is a target that may not be asked for its rules.
type forbidding struct{ *target }

func (forbidding) Policy(context.Context, string, string) (sdk.Policy, error) {
	return sdk.Policy{}, sdk.Errorf(sdk.PermissionDenied, "no")
}
