package serve_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rekey-host/rekey/sdk"
	"github.com/rekey-host/rekey/sdk/secret"
)

func TestOperationsAndQuestionsShareTheWorkers(t *testing.T) {
	const size = 3
	var running, most atomic.Int64
	full := make(chan struct{})
	var once sync.Once
	i := serving(t, able{&fake{apply: func(context.Context, sdk.Operation) sdk.Receipt {
		now := running.Add(1)
		defer running.Add(-1)
		for m := most.Load(); now > m && !most.CompareAndSwap(m, now); m = most.Load() {
		}
		if now == size {
			once.Do(func() { close(full) })
		}
		<-full                       // the first ones wait until all workers are taken
		time.Sleep(time.Millisecond) // so that one too many would be seen
		return sdk.OK()
	}}}, sdk.Config{Concurrency: size})
	var wg sync.WaitGroup
	ctx, op := t.Context(), sdk.Operation{ID: "q", Verb: sdk.Reset, Account: "q"}
	for range 5 {
		wg.Go(func() { submit(t, i, sets("a", "b", "c")).wait() })
		wg.Go(func() { i.Ask(ctx, as(op, sdk.Reset)) })
		wg.Go(func() { i.Ask(ctx, as(op, sdk.Unlock)) })
		wg.Go(func() { _, _ = i.Find(ctx, "f") })
		wg.Go(func() { _, _ = i.Policy(ctx, "p", "") })
		wg.Go(func() { _, _ = i.Verify(ctx, "v", "", secret.New("x")) })
		wg.Go(func() { _, _ = i.Generate(ctx, "g", 1) })
	}
	wg.Wait()
	if got := most.Load(); got != size {
		t.Errorf("%d calls at once, want %d", got, size)
	}
}

func TestACheckWaitsForNoWorker(t *testing.T) {
	entered, release := make(chan struct{}), make(chan struct{})
	i := serving(t, able{&fake{apply: func(_ context.Context, op sdk.Operation) sdk.Receipt {
		if op.Account != "check" {
			close(entered)
			<-release
		}
		return sdk.OK()
	}}}, sdk.Config{Concurrency: 1})
	p := submit(t, i, sets("busy"))
	<-entered
	if findings := i.Check(t.Context()); len(findings) > 0 {
		t.Errorf("got %v", findings)
	}
	close(release)
	p.wait()
}

func TestADeadlineStartsWhenAWorkerTakesTheOperation(t *testing.T) {
	const timeout = 300 * time.Millisecond
	i := serving(t, &fake{apply: func(ctx context.Context, _ sdk.Operation) sdk.Receipt {
		end, ok := ctx.Deadline()
		if left := time.Until(end); !ok || left < timeout/2 || left > timeout {
			return sdk.Refuse(sdk.Errorf(sdk.Internal, "%v are left of %v", left, timeout))
		}
		<-ctx.Done()
		return sdk.Lost(sdk.Errorf(sdk.Timeout, "in its own time"))
	}}, sdk.Config{Concurrency: 1, Timeout: timeout})
	for n, r := range submit(t, i, sets("a", "b", "c", "d")).wait() {
		if r.Outcome != sdk.Unknown || r.Err.Message != "in its own time" {
			t.Errorf("operation %d: %v %v", n, r.Outcome, r.Err)
		}
	}
}

func TestACallThatIgnoresItsDeadlineIsUnknownAndHoldsNobodyForEver(t *testing.T) {
	release, back := make(chan struct{}), make(chan struct{})
	i := serving(t, &fake{apply: func(_ context.Context, op sdk.Operation) sdk.Receipt {
		if op.Account != "deaf" {
			return sdk.OK()
		}
		<-release
		close(back)
		return sdk.OK()
	}}, sdk.Config{Concurrency: 1, Timeout: 20 * time.Millisecond})
	r := submit(t, i, sets("deaf", "behind it")).wait()
	if r[0].Outcome != sdk.Unknown || r[0].Err.Code != sdk.Timeout || !strings.Contains(r[0].Err.Message, "the call goes on") {
		t.Errorf("the deaf one: %v %v", r[0].Outcome, r[0].Err)
	}
	if r[1].Outcome != sdk.Refused || r[1].Err.Code != sdk.Timeout {
		t.Errorf("the one behind it: %v %v, want refused Timeout", r[1].Outcome, r[1].Err)
	}
	if r := submit(t, i, sets("later")).wait()[0]; r.Outcome != sdk.Refused || r.Err.Code != sdk.Timeout {
		t.Errorf("later: %v %v, want refused Timeout", r.Outcome, r.Err)
	}
	close(release)
	<-back
	for { // its worker is back in a moment
		if r := submit(t, i, []sdk.Operation{{ID: fmt.Sprint(time.Now()), Verb: sdk.Set, Account: "u", Value: secret.New("a value")}}).wait()[0]; r.Outcome == sdk.Applied {
			break
		}
	}
	again := submit(t, i, sets("deaf")).wait()[0]
	if again.Outcome != sdk.AlreadyApplied {
		t.Errorf("its late answer is forgotten: %v %v", again.Outcome, again.Err)
	}
}

func TestAPanicIsUnknownAndShowsNothing(t *testing.T) {
	i := serving(t, able{&fake{apply: func(_ context.Context, op sdk.Operation) sdk.Receipt {
		panic("with " + op.Account + op.Value.Reveal())
	}}}, sdk.Config{Concurrency: 2})
	op := sdk.Operation{ID: "1", Verb: sdk.Set, Account: "u", Value: secret.New(canary)}
	_, found := i.Find(t.Context(), "f")
	_, read := i.Policy(t.Context(), "p", "")
	_, verified := i.Verify(t.Context(), "v", "", op.Value)
	for name, c := range map[string]struct {
		err    error
		method string
	}{
		"apply":  {submit(t, i, []sdk.Operation{op}).wait()[0].Err, "Apply"},
		"reset":  {i.Ask(t.Context(), as(op, sdk.Reset)).Err, "Reset"},
		"unlock": {i.Ask(t.Context(), as(op, sdk.Unlock)).Err, "Unlock"},
		"revoke": {i.Ask(t.Context(), as(op, sdk.Revoke)).Err, "Revoke"},
		"find":   {found, "Find"}, "policy": {read, "Policy"}, "verify": {verified, "Verify"},
	} {
		want := "Internal: the backend panicked in " + c.method + " (string); its log has the rest"
		if c.err == nil || c.err.Error() != want {
			t.Errorf("%s: %v, want %s", name, c.err, want)
		}
	}
	if f := i.Check(t.Context()); len(f) != 1 || f[0].Severity != sdk.Bad || f[0].Code != sdk.Internal {
		t.Errorf("check: %v", f)
	}
}

func TestAnOperationSentAgainIsDoneOnce(t *testing.T) {
	var calls atomic.Int64
	entered, release := make(chan struct{}, 9), make(chan struct{})
	i := serving(t, &fake{apply: func(_ context.Context, op sdk.Operation) sdk.Receipt {
		calls.Add(1)
		entered <- struct{}{}
		<-release
		if op.Account == "refused" {
			return sdk.Refuse(sdk.Errorf(sdk.Conflict, "no"))
		}
		return sdk.Receipt{Outcome: sdk.Applied, Ref: "r1", Stamp: "s1"}
	}}, sdk.Config{Concurrency: 4})
	op := sdk.Operation{ID: "1", Verb: sdk.Set, Account: "u", Value: secret.New("a value")}
	first := submit(t, i, []sdk.Operation{op})
	<-entered
	joined := submit(t, i, []sdk.Operation{op, op})
	other := submit(t, i, []sdk.Operation{{ID: "1", Verb: sdk.Set, Account: "other", Value: secret.New("a value")}}).wait()[0]
	close(release)
	if r := first.wait()[0]; r.Outcome != sdk.Applied || r.Ref != "r1" {
		t.Errorf("first: %v %q", r.Outcome, r.Ref)
	}
	for _, r := range append(joined.wait(), submit(t, i, []sdk.Operation{op}).wait()...) {
		if r.Outcome != sdk.AlreadyApplied || r.Ref != "r1" || r.Stamp != "s1" {
			t.Errorf("again: %v %q %q, want already applied with the first's", r.Outcome, r.Ref, r.Stamp)
		}
	}
	if other.Outcome != sdk.Refused || other.Err.Code != sdk.InvalidOperation {
		t.Errorf("the id for another account: %v %v", other.Outcome, other.Err)
	}
	if n := calls.Load(); n != 1 {
		t.Errorf("%d calls, want 1", n)
	}
	for range 2 { // what was refused is tried again
		if r := submit(t, i, sets("refused")).wait()[0]; r.Outcome != sdk.Refused {
			t.Errorf("refused: %v", r.Outcome)
		}
	}
	if n := calls.Load(); n != 3 {
		t.Errorf("%d calls, want 3", n)
	}
}

func TestBatchesHoldACredentialOnceAndAnswerAll(t *testing.T) {
	var mu sync.Mutex
	var sizes []int
	entered, release := make(chan struct{}), make(chan struct{})
	i := serving(t, batching{&fake{limits: sdk.Limits{Batch: 4}}, func(ops []sdk.Operation) []sdk.Receipt {
		mu.Lock()
		sizes = append(sizes, len(ops))
		first := len(sizes) == 1
		mu.Unlock()
		if first {
			close(entered)
			<-release
		}
		seen := map[string]bool{}
		var out []sdk.Receipt
		for _, op := range ops {
			if seen[op.Account] {
				panic("twice in a batch")
			}
			seen[op.Account] = true
			switch op.Account {
			case "panic":
				panic("of all of it")
			case "short":
				return nil
			}
			out = append(out, sdk.Receipt{Outcome: sdk.Applied, Ref: op.Account})
		}
		return out
	}}, sdk.Config{Concurrency: 8})
	first := submit(t, i, sets("first"))
	<-entered
	rest := submit(t, i, sets("a", "b", "a", "c", "d", "a", "e"))
	close(release)
	first.wait()
	for n, r := range rest.wait() {
		if r.Outcome != sdk.Applied || r.Ref != string("abacdae"[n]) {
			t.Errorf("operation %d: %v %q %v", n, r.Outcome, r.Ref, r.Err)
		}
	}
	for _, n := range sizes {
		if n > 4 {
			t.Errorf("batches of %v, want at most 4", sizes)
		}
	}
	for _, account := range []string{"panic", "short"} {
		for _, r := range submit(t, i, sets(account)).wait() {
			if r.Outcome != sdk.Unknown || r.Err.Code != sdk.Internal {
				t.Errorf("%s: %v %v, want unknown Internal", account, r.Outcome, r.Err)
			}
		}
	}
}

func TestCloseRefusesWhatWaitsAndReleasesAfterTheLastCall(t *testing.T) {
	entered := make(chan struct{})
	var running, closed atomic.Int64
	i := serving(t, &fake{
		apply: func(ctx context.Context, _ sdk.Operation) sdk.Receipt {
			running.Add(1)
			defer running.Add(-1)
			close(entered)
			<-ctx.Done()
			return sdk.Lost(sdk.Errorf(sdk.Cancelled, "cut short"))
		},
		close: func() error {
			if running.Load() > 0 {
				t.Error("it was released while a call ran")
			}
			closed.Add(1)
			return nil
		},
	}, sdk.Config{Concurrency: 1})
	p := submit(t, i, sets("runs", "waits"))
	<-entered
	if err := i.CloseWithin(10 * time.Millisecond); err != nil {
		t.Error(err)
	}
	r := p.wait()
	if r[0].Outcome != sdk.Unknown || r[0].Err.Code != sdk.Cancelled {
		t.Errorf("the running one: %v %v, want unknown Cancelled", r[0].Outcome, r[0].Err)
	}
	if r[1].Outcome != sdk.Refused || r[1].Err.Code != sdk.Cancelled {
		t.Errorf("the waiting one: %v %v, want refused Cancelled", r[1].Outcome, r[1].Err)
	}
	if closed.Load() != 1 {
		t.Errorf("it was released %d times", closed.Load())
	}
}

func TestWhatABackendCannotDoIsUnsupported(t *testing.T) {
	i := serving(t, &fake{apply: func(context.Context, sdk.Operation) sdk.Receipt { return sdk.OK() }}, sdk.Config{Concurrency: 1})
	_, found := i.Find(t.Context(), "f")
	_, verified := i.Verify(t.Context(), "v", "", secret.New("x"))
	listed := i.List(t.Context(), "", nil, func(sdk.Account) error { return nil })
	for name, err := range map[string]error{"find": found, "verify": verified, "list": listed, "reset": i.Ask(t.Context(), sdk.Operation{ID: "1", Verb: sdk.Reset, Account: "u"}).Err} {
		if e := sdk.AsError(err, ""); e == nil || e.Code != sdk.Unsupported {
			t.Errorf("%s: %v, want Unsupported", name, err)
		}
	}
	r := submit(t, i, []sdk.Operation{{ID: "1", Verb: sdk.Reset}}).wait()[0]
	if r.Outcome != sdk.Refused || r.Err.Code != sdk.InvalidOperation {
		t.Errorf("a reset on the stream: %v %v, want refused InvalidOperation", r.Outcome, r.Err)
	}
}

// TestEachCallHasItsOwnDeadline: one timer serves them all.
func TestEachCallHasItsOwnDeadline(t *testing.T) {
	const timeout = 200 * time.Millisecond
	i := serving(t, &fake{apply: func(ctx context.Context, op sdk.Operation) sdk.Receipt {
		end, _ := ctx.Deadline()
		derived, cancel := context.WithTimeout(ctx, time.Hour)
		defer cancel()
		<-derived.Done()
		if late := time.Since(end); late < 0 || late > timeout/2 || !errors.Is(derived.Err(), context.DeadlineExceeded) {
			return sdk.Refuse(sdk.Errorf(sdk.Internal, "%s ended %v after its deadline: %v", op.Account, late, derived.Err()))
		}
		return sdk.Lost(sdk.Errorf(sdk.Timeout, "in its own time"))
	}}, sdk.Config{Concurrency: 3, Timeout: timeout})
	var all []*pending
	for n := range 6 {
		all = append(all, submit(t, i, sets(fmt.Sprint("u", n))))
		time.Sleep(timeout / 5)
	}
	for _, p := range all {
		if r := p.wait()[0]; r.Err == nil || r.Err.Message != "in its own time" {
			t.Errorf("%v %v", r.Outcome, r.Err)
		}
	}
}

// TestAHostThatGoesAwayCancelsWhatRuns, what it sent by the stream and what it
// asked.
func TestAHostThatGoesAwayCancelsWhatRuns(t *testing.T) {
	began, ended := make(chan struct{}, 3), make(chan error, 3)
	b := able{&fake{apply: func(ctx context.Context, _ sdk.Operation) sdk.Receipt {
		began <- struct{}{}
		<-ctx.Done()
		ended <- ctx.Err()
		return sdk.Lost(sdk.Errorf(sdk.Cancelled, "cut short"))
	}}}
	i, hangUp := connected(t, b, sdk.Config{Concurrency: 4, Timeout: time.Minute})
	submit(t, i, sets("a", "b"))
	var asked sync.WaitGroup
	asked.Go(func() { i.Ask(context.Background(), sdk.Operation{ID: "r", Verb: sdk.Reset, Account: "r"}) })
	for range cap(began) {
		<-began
	}
	hangUp()
	for range cap(ended) {
		if err := <-ended; !errors.Is(err, context.Canceled) {
			t.Errorf("a call ended with %v", err)
		}
	}
	asked.Wait()
}

// TestWorkersStayAndLeaveWithTheirInstance: at most one is made for each
// operation at once, and none is left in the end.
func TestWorkersStayAndLeaveWithTheirInstance(t *testing.T) {
	const size = 4
	i := serving(t, &fake{apply: func(context.Context, sdk.Operation) sdk.Receipt {
		time.Sleep(time.Millisecond)
		return sdk.OK()
	}}, sdk.Config{Concurrency: size})
	for round := range 5 {
		submit(t, i, sets(fmt.Sprint(round, "a"), fmt.Sprint(round, "b"), fmt.Sprint(round, "c"), fmt.Sprint(round, "d"), fmt.Sprint(round, "e"))).wait()
	}
	if n := workers(); n != size {
		t.Errorf("%d workers wait for more, want %d", n, size)
	}
	if err := i.CloseWithin(0); err != nil {
		t.Error(err)
	}
	for end := time.Now().Add(10 * time.Second); workers() > 0; time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("%d workers are left", workers())
		}
	}
}

// workers counts the goroutines of pools.
func workers() int {
	stacks := make([]byte, 1<<20)
	return strings.Count(string(stacks[:runtime.Stack(stacks, true)]), "serve.(*pool).work(")
}

// TestAVerifyOfAStreamIsWhatVerifySays, whatever its id.
func TestAVerifyOfAStreamIsWhatVerifySays(t *testing.T) {
	i := serving(t, able{&fake{apply: func(_ context.Context, op sdk.Operation) sdk.Receipt {
		switch op.Account {
		case "missing":
			return sdk.Refuse(sdk.Errorf(sdk.AccountNotFound, "no"))
		case "panic":
			panic("oh")
		}
		return sdk.OK()
	}}}, sdk.Config{Concurrency: 4})
	ops := sets("ann", "missing", "panic", "ann")
	for n := range ops[:3] {
		ops[n].Verb, ops[n].ID = sdk.Verify, "the same for all"
	}
	for n, r := range submit(t, i, ops).wait() {
		said := fmt.Sprint(r.Outcome, " ", r.Verdict)
		if r.Err != nil {
			said += " " + r.Err.Error()
		}
		want := []string{"applied accepted", "refused cannot-tell AccountNotFound: no",
			"unknown cannot-tell Internal: the backend panicked in Verify (string); its log has the rest", "applied cannot-tell"}[n]
		if said != want {
			t.Errorf("operation %d: %s, want %s", n, said, want)
		}
	}
	none := serving(t, &fake{}, sdk.Config{Concurrency: 1})
	if r := submit(t, none, ops[:1]).wait()[0]; r.Outcome != sdk.Refused || r.Err.Code != sdk.Unsupported {
		t.Errorf("without the ability: %v %v", r.Outcome, r.Err)
	}
}

// as is the operation with another verb.
func as(op sdk.Operation, verb sdk.Verb) sdk.Operation {
	op.Verb = verb
	return op
}

// TestEveryVerbIsAskedOfTheBackend: a verb without a handler is not the
// backend's to refuse.
func TestEveryVerbIsAskedOfTheBackend(t *testing.T) {
	i := serving(t, &fake{}, sdk.Config{})
	for _, verb := range sdk.AskedVerbs() {
		r := i.Ask(t.Context(), sdk.Operation{ID: "1", Verb: verb, Account: "ann"})
		if r.Err == nil || r.Err.Message != "this backend has no "+string(verb) {
			t.Errorf("%s: %v; service.go has no handler of %s", verb, r.Err, verb.Method())
		}
	}
}

// TestAVerifyThatIsNotDeclaredReachesNoBackend, neither by a call nor among operations.
func TestAVerifyThatIsNotDeclaredReachesNoBackend(t *testing.T) {
	i := serving(t, able{&fake{apply: func(_ context.Context, op sdk.Operation) sdk.Receipt {
		t.Errorf("a verify of account %q reached the backend", op.Account)
		return sdk.OK()
	}}}, sdk.Config{Concurrency: 1})
	value := secret.New(canary)
	for name, op := range map[string]sdk.Operation{
		"no account":   {Value: value},
		"another kind": {Account: "ann", Kind: "pin", Value: value},
		"no value":     {Account: "ann"},
		"an empty one": {Account: "ann", Value: secret.New("")},
	} {
		op.ID, op.Verb = name, sdk.Verify
		verdict, err := i.Verify(t.Context(), op.Account, op.Kind, op.Value)
		if failure := sdk.AsError(err, sdk.Internal); verdict != sdk.CannotTell || failure == nil || failure.Code != sdk.InvalidOperation {
			t.Errorf("%s: %v, %v, want InvalidOperation", name, verdict, err)
		}
		receipt := submit(t, i, []sdk.Operation{op}).wait()[0]
		if receipt.Outcome != sdk.Refused || receipt.Err.Code != sdk.InvalidOperation {
			t.Errorf("%s, among operations: %v %v, want refused InvalidOperation", name, receipt.Outcome, receipt.Err)
		}
	}
}
