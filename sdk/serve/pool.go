package serve

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"

	"github.com/rekey-host/rekey/sdk"
)

// job is one call of the backend: an operation, or any other work.
type job struct {
	ctx    context.Context // the caller's: once it has ended no one wants the answer
	shared bool            // by the jobs of a stream, which tells of its end itself
	method string
	op     *sdk.Operation // of Apply
	work   func(context.Context) sdk.Receipt
	answer func(sdk.Receipt) // called once
	past   *outcomes         // told what came of the operation in the end; may be nil

	replied atomic.Bool
	room    sdk.Operation // where op is
}

// reply answers the caller and reports whether it is the first to do so.
func (j *job) reply(receipt sdk.Receipt) bool {
	if j.replied.Swap(true) {
		return false
	}
	j.answer(receipt)
	return true
}

// finish tells what came of the job and reports whether this is also its
// answer.
func (j *job) finish(receipt sdk.Receipt) bool {
	if j.past != nil {
		j.past.end(j.op, receipt)
	}
	return j.reply(receipt)
}

// pool runs jobs in the order of their arrival, at most size operations at once.
// A worker is made when there is work for one more, and stays until the pool is
// shut.
type pool struct {
	size  int
	batch int                   // the most operations of one call; 1: no batches
	do    func(*worker, []*job) // carries out one call

	waiting atomic.Int64 // len(queue), for those who do not want the lock

	mu      sync.Mutex
	queue   []*job
	free    int
	stuck   int // operations whose call ignores its deadline
	guests  int // calls that take no worker
	shutBy  chan struct{}
	workers []*worker
	idle    int        // workers that wait
	waking  bool       // one of them was told of work and has not looked yet
	more    *sync.Cond // of mu: work has come, or no more will
}

// worker is one goroutine of a pool.
type worker struct {
	calling atomic.Pointer[call] // nil: idle
}

func newPool(size int, do func(*worker, []*job)) *pool {
	made := &pool{size: size, free: size, batch: 1, do: do}
	made.more = sync.NewCond(&made.mu)
	return made
}

// push queues jobs; nil ones are left out. It never waits.
func (p *pool) push(jobs []*job) {
	p.mu.Lock()
	if p.shutBy != nil || p.stuck >= p.size {
		reason := p.refusal()
		p.mu.Unlock()
		refuse(jobs, reason)
		return
	}
	for _, job := range jobs {
		if job != nil {
			p.queue = append(p.queue, job)
		}
	}
	p.waiting.Store(int64(len(p.queue)))
	p.wake()
	p.mu.Unlock()
}

// wake has one more worker look for work, if there is some. Each that finds some
// wakes the next before it begins: work that takes no time is not handed to more
// workers than it needs, and work that does has all of them in a moment. The
// caller holds the lock.
func (p *pool) wake() {
	switch {
	case p.waking || p.free == 0 || len(p.queue) == 0:
	case p.idle > 0:
		p.waking = true
		p.more.Signal()
	case len(p.workers) < p.size:
		p.waking = true
		made := &worker{}
		p.workers = append(p.workers, made)
		go p.work(made)
	}
}

// work carries jobs out until the pool is shut.
func (p *pool) work(worker *worker) {
	var jobs []*job
	p.mu.Lock()
	p.waking = false
	for {
		jobs = p.take(jobs[:0])
		switch count := len(jobs); {
		case count > 0:
			p.wake()
			p.mu.Unlock()
			p.do(worker, jobs)
			clear(jobs)
			p.mu.Lock()
			p.free += count
			p.maybeIdle()
		case p.shutBy != nil:
			p.mu.Unlock()
			return
		default:
			p.idle++
			p.more.Wait()
			p.idle--
			p.waking = false
		}
	}
}

// calls returns the calls that run.
func (p *pool) calls() []*call {
	p.mu.Lock()
	defer p.mu.Unlock()
	var all []*call
	for _, worker := range p.workers {
		if call := worker.calling.Load(); call != nil {
			all = append(all, call)
		}
	}
	return all
}

// enter counts a call that takes no worker, if the pool is not shut.
func (p *pool) enter() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.shutBy != nil {
		return false
	}
	p.guests++
	return true
}

func (p *pool) leave() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.guests--
	p.maybeIdle()
}

// maybeIdle tells shut that nothing runs any more. The caller holds the lock.
func (p *pool) maybeIdle() {
	if p.shutBy != nil && p.free == p.size && p.guests == 0 {
		close(p.shutBy)
	}
}

// take adds the jobs of the next call to room and removes them from the queue:
// an empty list if all are taken or no worker is free. The caller holds the lock.
func (p *pool) take(room []*job) []*job {
	if p.free == 0 || len(p.queue) == 0 {
		return room
	}
	room = p.pick(room)
	p.free -= len(room)
	p.waiting.Store(int64(len(p.queue)))
	return room
}

// pick takes the first job and, for a batch, operations that come after it, no
// two on the same credential. The caller holds the lock.
func (p *pool) pick(jobs []*job) []*job {
	first := p.queue[0]
	p.queue[0] = nil
	p.queue = p.queue[1:]
	jobs = append(jobs, first)
	if p.batch == 1 || first.op == nil {
		return jobs
	}
	type credential struct{ account, kind string }
	most := min(p.batch, p.free)
	taken := map[credential]bool{{first.op.Account, first.op.Kind}: true}
	rest := p.queue[:0]
	for index, job := range p.queue {
		if len(jobs) == most {
			rest = append(rest, p.queue[index:]...)
			break
		}
		if job.op == nil || taken[credential{job.op.Account, job.op.Kind}] {
			rest = append(rest, job)
			continue
		}
		taken[credential{job.op.Account, job.op.Kind}] = true
		jobs = append(jobs, job)
	}
	clear(p.queue[len(rest):])
	p.queue = rest
	return jobs
}

// lose counts operations whose call ignores its deadline. When no worker is
// left, what waits is refused: it would wait for ever.
func (p *pool) lose(count int) {
	p.mu.Lock()
	p.stuck += count
	if p.stuck < p.size {
		p.mu.Unlock()
		return
	}
	jobs, reason := p.queue, p.refusal()
	p.queue = nil
	p.waiting.Store(0)
	p.mu.Unlock()
	refuse(jobs, reason)
}

// back counts operations whose call has come back after all.
func (p *pool) back(count int) {
	p.mu.Lock()
	p.stuck -= count
	p.mu.Unlock()
}

// shut refuses what waits and what will come. The channel is closed when
// nothing runs any more.
func (p *pool) shut() <-chan struct{} {
	p.mu.Lock()
	if p.shutBy != nil {
		defer p.mu.Unlock()
		return p.shutBy
	}
	p.shutBy = make(chan struct{})
	jobs, reason := p.queue, p.refusal()
	p.queue = nil
	p.waiting.Store(0)
	p.maybeIdle()
	p.more.Broadcast()
	p.mu.Unlock()
	refuse(jobs, reason)
	return p.shutBy
}

// refusal is why a job cannot be queued. The caller holds the lock.
func (p *pool) refusal() *sdk.Error {
	if p.shutBy != nil {
		return sdk.Errorf(sdk.Cancelled, "the backend is being closed")
	}
	return sdk.Errorf(sdk.Timeout, "not sent: all %d workers wait for calls that ignore their deadline", p.size)
}

// running returns the ids of the operations that run.
func (p *pool) running() []string {
	var ids []string
	for _, call := range p.calls() {
		for _, job := range call.jobs {
			if job.op != nil {
				ids = append(ids, job.op.ID)
			}
		}
	}
	return ids
}

func refuse(jobs []*job, failure *sdk.Error) {
	for _, job := range jobs {
		if job != nil {
			job.finish(sdk.Refuse(failure))
		}
	}
}

// expired returns why a job need not be started any more.
func (j *job) expired() *sdk.Error {
	if j.ctx == nil {
		return nil
	}
	switch err := j.ctx.Err(); {
	case err == nil:
		return nil
	case errors.Is(err, context.DeadlineExceeded):
		return sdk.Errorf(sdk.Timeout, "the deadline passed before it was sent")
	default:
		return sdk.Errorf(sdk.Cancelled, "given up before it was sent")
	}
}
