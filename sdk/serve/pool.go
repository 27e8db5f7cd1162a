package serve

import (
	"context"
	"sync"
	"sync/atomic"

	"github.com/rekey-host/rekey/sdk"
)

// job is one call of the backend: an operation, or any other work.
type job struct {
	ctx    context.Context // the caller's: once it has ended nobody wants the answer
	method string
	op     *sdk.Operation // of Apply
	work   func(context.Context) sdk.Receipt
	answer func(sdk.Receipt) // called once
	over   func(sdk.Receipt) // told what came of it in the end; may be nil

	replied atomic.Bool
}

// reply answers the caller and reports whether nobody did before.
func (j *job) reply(r sdk.Receipt) bool {
	if j.replied.Swap(true) {
		return false
	}
	j.answer(r)
	return true
}

// finish tells what came of the job and reports whether that is also its
// answer.
func (j *job) finish(r sdk.Receipt) bool {
	if j.over != nil {
		j.over(r)
	}
	return j.reply(r)
}

// pool runs jobs in the order of their arrival, at most size operations at once.
// Workers live while there is work.
type pool struct {
	size  int
	batch int          // the most operations of one call; 1: no batches
	do    func([]*job) // carries out one call

	waiting atomic.Int64 // len(queue), for those who do not want the lock

	mu     sync.Mutex
	queue  []*job
	free   int
	stuck  int // operations whose call ignores its deadline
	guests int // calls that take no worker
	shutBy chan struct{}
	active map[*job]struct{}
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
	for _, j := range jobs {
		if j != nil {
			p.queue = append(p.queue, j)
		}
	}
	for {
		next := p.take()
		if next == nil {
			break
		}
		go p.work(next)
	}
	p.mu.Unlock()
}

// work carries jobs out until none is left that may run now.
func (p *pool) work(jobs []*job) {
	for jobs != nil {
		n := len(jobs)
		mine := append([]*job(nil), jobs...)
		p.do(jobs)
		jobs = p.next(mine, n)
	}
}

func (p *pool) next(done []*job, n int) []*job {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.free += n
	for _, j := range done {
		delete(p.active, j)
	}
	p.maybeIdle()
	return p.take()
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

// take removes the jobs of the next call from the queue, nil if there are none
// or no worker is free. The caller holds the lock.
func (p *pool) take() []*job {
	if p.free == 0 || len(p.queue) == 0 {
		p.waiting.Store(int64(len(p.queue)))
		return nil
	}
	jobs := p.pick()
	p.free -= len(jobs)
	if p.active == nil {
		p.active = map[*job]struct{}{}
	}
	for _, j := range jobs {
		p.active[j] = struct{}{}
	}
	p.waiting.Store(int64(len(p.queue)))
	return jobs
}

// pick takes the first job and, for a batch, operations that come after it, no
// two on the same credential. The caller holds the lock.
func (p *pool) pick() []*job {
	first := p.queue[0]
	p.queue[0] = nil
	p.queue = p.queue[1:]
	jobs := []*job{first}
	if p.batch == 1 || first.op == nil {
		return jobs
	}
	type credential struct{ account, kind string }
	most := min(p.batch, p.free)
	taken := map[credential]bool{{first.op.Account, first.op.Kind}: true}
	rest := p.queue[:0]
	for n, j := range p.queue {
		if len(jobs) == most {
			rest = append(rest, p.queue[n:]...)
			break
		}
		if j.op == nil || taken[credential{j.op.Account, j.op.Kind}] {
			rest = append(rest, j)
			continue
		}
		taken[credential{j.op.Account, j.op.Kind}] = true
		jobs = append(jobs, j)
	}
	clear(p.queue[len(rest):])
	p.queue = rest
	return jobs
}

// lose counts operations whose call ignores its deadline. When no worker is
// left, what waits is refused: it would wait for ever.
func (p *pool) lose(n int) {
	p.mu.Lock()
	p.stuck += n
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
func (p *pool) back(n int) {
	p.mu.Lock()
	p.stuck -= n
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
	p.mu.Lock()
	defer p.mu.Unlock()
	var ids []string
	for j := range p.active {
		if j.op != nil {
			ids = append(ids, j.op.ID)
		}
	}
	return ids
}

func refuse(jobs []*job, e *sdk.Error) {
	for _, j := range jobs {
		if j != nil {
			j.finish(sdk.Refuse(e))
		}
	}
}
