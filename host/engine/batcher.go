package engine

import (
	"context"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rekey-host/rekey/host/ledger"
)

const (
	batchLimit      = 256                    // the most users of a batch
	batchesUnderWay = 16                     // the most batches at once
	briefBatch      = 50 * time.Millisecond  // one that ends sooner may be larger
	longBatch       = 250 * time.Millisecond // and one that lasts longer smaller: outcomes are to be recorded soon
	answerWait      = 5 * time.Millisecond   // the longest that answers wait for others
	manyLeft        = 8                      // batches in a row of which most users left before they sent anything
	asideFor        = 1 << 16                // users who are served alone after those, before another batch is tried
)

// batcher carries users who have no records yet in batches.
type batcher struct {
	run     *run
	limit   int // users of a batch; below 2: batches are off
	least   int
	size    atomic.Int64  // of the next batch
	useless atomic.Int64  // batches in a row that carried few
	aside   int           // users who were served alone for that; used by the scheduler only
	endsRow atomic.Bool   // a user was done since the last one left with an answer
	left    atomic.Int64  // users who have left batches and not ended
	fewer   chan struct{} // told when they become fewer

	pending []ledger.User // of the next batch; used by the scheduler only
	free    chan *batch
	work    chan *batch
	all     []*batch
	serveOn func(fallback) // serves a user who has left a batch
	users   sync.WaitGroup // of batches, and those who left them
	workers sync.WaitGroup
	stop    chan struct{}
	detach  func() bool
}

func newBatcher(run *run, limit int, serveOn func(fallback)) *batcher {
	made := &batcher{run: run, serveOn: serveOn, limit: min(limit, batchLimit), free: make(chan *batch, batchesUnderWay),
		work: make(chan *batch, batchesUnderWay), stop: make(chan struct{}), fewer: make(chan struct{}, 1)}
	credit := 0
	for _, backend := range run.Backends {
		credit += backend.credit()
	}
	made.least = min(made.limit, max(16, 2*credit/batchesUnderWay))
	made.size.Store(int64(made.least))
	for range batchesUnderWay {
		x := &batch{of: made}
		made.all = append(made.all, x)
		made.free <- x
	}
	for range min(4, max(2, runtime.GOMAXPROCS(0))) {
		made.workers.Go(run.panics.guarded(made.serve))
	}
	made.workers.Go(run.panics.guarded(made.remind))
	made.detach = context.AfterFunc(run.hard, run.panics.guarded(func() {
		for _, batch := range made.all {
			batch.giveUp()
		}
	}))
	return made
}

// close ends the batcher when all its users have ended.
func (b *batcher) close() {
	b.users.Wait()
	b.detach()
	close(b.stop)
	close(b.work)
	b.workers.Wait()
}

// takes reports whether a batch may carry the user. Where batches carried few the
// others are served alone, until so many were that another batch is worth a try.
func (b *batcher) takes(user ledger.User) bool {
	if b.limit < 2 || len(user.History) > 0 {
		return false
	}
	if b.useless.Load() < manyLeft {
		return true
	}
	if b.aside++; b.aside >= asideFor {
		b.tryAgain()
	}
	return false
}

// tryAgain lets one more batch be tried where batches carried few: the users to
// come may be others, as those of another wave.
func (b *batcher) tryAgain() {
	b.aside = 0
	if b.useless.Load() >= manyLeft {
		b.useless.Store(manyLeft - 1)
	}
}

// put adds a user to the next batch, and begins that when it is full. It returns
// users whom no batch may carry just now, and false when the run stops.
func (b *batcher) put(user ledger.User) (rest []ledger.User, ok bool) {
	b.pending = append(b.pending, user)
	if len(b.pending) < int(b.size.Load()) {
		return nil, true
	}
	return b.flush()
}

// flush begins a batch of the users that wait for one.
func (b *batcher) flush() (rest []ledger.User, ok bool) {
	users := b.pending
	b.pending = users[:0] // a batch copies them, and who goes alone is served before the next comes
	if len(users) == 0 {
		return nil, true
	}
	if !b.roomy() {
		return nil, false
	}
	count := 0
	if !b.away() {
		count = b.run.semaphore.reserve(len(users))
	}
	if count == 0 {
		return users, true
	}
	select {
	case batch := <-b.free:
		b.users.Add(count)
		batch.load(users[:count])
		b.work <- batch
		return users[count:], true
	case <-b.run.soft.Done():
		b.run.semaphore.giveUp(count)
		return nil, false
	}
}

// roomy waits while as many users have left batches as are served alone at
// once: what each of them waits for is not to be asked for by all others too. It
// returns false when the run stops.
func (b *batcher) roomy() bool {
	for b.left.Load() >= window {
		select {
		case <-b.fewer:
		case <-b.run.soft.Done():
			return false
		}
	}
	return true
}

// away reports whether a backend is: whoever is sent there waits by himself.
func (b *batcher) away() bool {
	for _, dispatcher := range b.run.dispatchers {
		if dispatcher.circuit.holds() {
			return true
		}
	}
	return false
}

// serve is a worker: it tries hooks, and takes answers over.
func (b *batcher) serve() {
	for batch := range b.work {
		batch.visit()
	}
}

// remind has answers looked at that wait for others.
func (b *batcher) remind() {
	tick := time.NewTicker(answerWait)
	defer tick.Stop()
	for {
		select {
		case <-b.stop:
			return
		case <-tick.C:
			for _, batch := range b.all {
				batch.nudge()
			}
		}
	}
}

// judge notes whether batches carry anybody: a hook never fit for one is not
// tried for each user.
func (b *batcher) judge(carried, users int) {
	if 2*carried >= users {
		b.useless.Store(0)
		return
	}
	b.useless.Add(1)
}

// handOver serves a user by himself who has left a batch.
func (b *batcher) handOver(fallback fallback) {
	run := b.run
	b.left.Add(1)
	go func() {
		defer b.gone()
		defer run.panics.guard(fallback.user.Key)
		if run.soft.Err() != nil && !fallback.sent {
			run.pools.demand.ended(1)
			return
		}
		b.serveOn(fallback)
	}()
}

// gone notes that a user has ended who had left a batch.
func (b *batcher) gone() {
	b.left.Add(-1)
	select {
	case b.fewer <- struct{}{}:
	default:
	}
	b.ended(1)
}

// ended notes that users have ended, here or by themselves.
func (b *batcher) ended(users int) {
	if users == 0 {
		return
	}
	b.run.semaphore.giveUp(users)
	b.users.Add(-users)
}

// giveBack takes a batch back whose users have ended and whose records are
// durable. Those of a cancelled run are not used again: answers may yet come.
func (b *batcher) giveBack(batch *batch) {
	if b.run.hard.Err() != nil {
		return
	}
	switch took := time.Since(batch.began); {
	case took < briefBatch:
		b.size.Store(min(2*b.size.Load(), int64(b.limit)))
	case took > longBatch:
		b.size.Store(max(b.size.Load()/2, int64(b.least)))
	}
	b.free <- batch
}
