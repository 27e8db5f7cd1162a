package engine

import (
	"context"
	"sync"
	"testing"
	"time"

	"golang.org/x/time/rate"

	"github.com/rekey-host/rekey/sdk"
	"github.com/rekey-host/rekey/sdk/secret"
)

// TestWhatIsAbandonedIsNeverSent, and what was sent is not abandoned.
func TestWhatIsAbandonedIsNeverSent(t *testing.T) {
	l := &dispatcher{upstream: &committer{wake: make(chan struct{}, 1)}}
	l.cond = sync.NewCond(&l.mu)
	queued, early, sent := &request{}, &request{}, &request{sent: true}
	l.push(queued)
	if !l.abandon(queued) || !l.abandon(early) || l.abandon(sent) {
		t.Error("what was queued, and what was not durable yet, can be abandoned; what was sent cannot")
	}
	l.push(early) // its intent became durable meanwhile
	if n := len(l.queue); n != 0 || l.durable.Load() != 0 {
		t.Errorf("%d operations are queued, %d counted, want none", n, l.durable.Load())
	}
}

// queued is a dispatcher that nobody runs, with so many operations in its queue.
func queued(n int) *dispatcher {
	l := &dispatcher{backend: Backend{Concurrency: 1}, upstream: &committer{wake: make(chan struct{}, 1)}, semaphore: newSemaphore(0)}
	l.credit = int64(l.backend.credit())
	l.cond = sync.NewCond(&l.mu)
	l.circuit.init()
	for range n {
		l.push(&request{user: &permit{}, answer: make(chan reply, 1)})
	}
	return l
}

// TestADispatcherWaitsForRoomForAGoodFrame rather than sending crumbs.
func TestADispatcherWaitsForRoomForAGoodFrame(t *testing.T) {
	credit := Backend{Concurrency: 1}.credit()
	for _, c := range []struct{ queued, unanswered, want int }{
		{5, 0, 5}, {200, 0, frameSize}, {200, credit - credit/4, credit / 4}, {200, credit - credit/4 + 1, 0}, {200, credit, 0},
	} {
		l := queued(c.queued)
		l.inFlight, l.closed = c.unanswered, true // which returns at once
		frame, _, open := l.next(frameSize)
		if len(frame) != c.want || open || l.inFlight != c.unanswered+c.want {
			t.Errorf("%d queued, %d unanswered: %d are sent, want %d", c.queued, c.unanswered, len(frame), c.want)
		}
	}
}

// TestADispatcherRunsDryWhenItHasOneCredit, and wakes the committer as soon as it is.
func TestADispatcherRunsDryWhenItHasOneCredit(t *testing.T) {
	credit := Backend{Concurrency: 1}.credit()
	for _, c := range []struct {
		had, took      int
		runsDry, wakes bool
	}{
		{credit + 2, 1, false, false}, {credit + 2, 2, true, true}, {credit, 1, true, true}, {credit, 0, true, false}, {0, 0, true, false},
	} {
		l := queued(0)
		l.durable.Store(int64(c.had))
		l.took(c.took)
		if woken := len(l.upstream.(*committer).wake) > 0; woken != c.wakes || l.runsDry() != c.runsDry {
			t.Errorf("%d of %d left: runsDry %v, woken %v; want %v, %v", c.took, c.had, l.runsDry(), woken, c.runsDry, c.wakes)
		}
	}
}

// TestWhatIsLetThroughPassesAnOpenCircuit, one at a time, and others wait.
func TestWhatIsLetThroughPassesAnOpenCircuit(t *testing.T) {
	for _, c := range []struct {
		name          string
		through, pass bool
		want          int
	}{{"nothing", false, false, 0}, {"a probe that waited", true, false, 1}, {"a probe from the queue", false, true, 1}} {
		l := queued(3)
		l.queue[1].through = c.through
		for range circuitLimit {
			l.circuit.observe(sdk.Errorf(sdk.Unreachable, "gone"))
		}
		if c.pass {
			l.circuit.allowProbe()
		}
		if frame := l.pick(frameSize); len(frame) != c.want || c.through && !frame[0].through {
			t.Errorf("%s: %d pass, want %d", c.name, len(frame), c.want)
		}
	}
}

// TestAGoodAnswerEndsASilence: one that says what the target thinks of an
// operation, whatever that is.
func TestAGoodAnswerEndsASilence(t *testing.T) {
	for _, c := range []struct {
		name string
		said sdk.Receipt
		ends bool
	}{
		{"applied", sdk.OK(), true}, {"refused", sdk.Refuse(sdk.Errorf(sdk.AccountNotFound, "none")), true},
		{"busy", sdk.Refuse(sdk.Errorf(sdk.RateLimited, "later")), false}, {"lost", cut, false},
		{"lost for good", sdk.Lost(sdk.Errorf(sdk.TargetError, "odd")), false},
	} {
		l := queued(0)
		l.silence.since = time.Now()
		if l.observe(c.said); l.silence.since.IsZero() != c.ends {
			t.Errorf("%s: ended %v, want %v", c.name, !c.ends, c.ends)
		}
	}
}

// TestOfAFrameOnlyWhatIsDurableIsSent, and that is.
func TestOfAFrameOnlyWhatIsDurableIsSent(t *testing.T) {
	b := newBook(0)
	b.sealed["ann\x00x"] = true
	x := newTarget(t, b)
	l := queued(0)
	l.backend, l.inFlight = x.backend("a"), 2
	good := &request{op: sdk.Operation{Verb: sdk.Set, Account: "ann", Value: secret.New("x")}, answer: make(chan reply, 1), durable: true}
	bad := &request{op: sdk.Operation{Verb: sdk.Set, Account: "ben", Value: secret.New("y")}, answer: make(chan reply, 1)}
	l.submit([]*request{bad, good})
	if got, lost := <-good.answer, <-bad.answer; got.err != nil || lost.err == nil || x.n != 1 || l.inFlight != 0 {
		t.Errorf("durable: %v, not durable: %v, %d sent, %d unanswered", got.err, lost.err, x.n, l.inFlight)
	}
}

// TestACallIsMadeWithinTheRate.
func TestACallIsMadeWithinTheRate(t *testing.T) {
	l := queued(0)
	l.slots, l.limiter = make(chan struct{}, 1), rate.NewLimiter(rate.Inf, 1)
	made := 0
	call := func(context.Context) { made++ }
	if err := l.direct(t.Context(), call); err != nil || made != 1 {
		t.Errorf("%v, made %d times", err, made)
	}
	ended, end := context.WithCancel(t.Context())
	end()
	l.limiter = rate.NewLimiter(1, 1)
	if err := l.direct(ended, call); err == nil || made != 1 {
		t.Errorf("given up: %v, made %d times", err, made)
	}
}
