package htpasswd

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/rekey-host/rekey/plugins/internal/files"
	"github.com/rekey-host/rekey/sdk"
)

// rewrites lets batches share rewrites of the file: a rewrite takes the longer
// the larger the file, so it takes along whatever is ready when it begins, and
// none begins before the last one is several times as long ago as it took, while
// more is to come. So rewriting has a bounded share of the time, whatever the
// file's size and however small the batches.
type rewrites struct {
	turn   chan struct{} // held by the one that rewrites
	joined chan struct{} // somebody joined, or nobody else comes

	mu      sync.Mutex
	hashing int // batches that are to come
	waiting []*pass
	took    time.Duration // the last one
	ended   time.Time
}

// pass is a batch that waits for its rewrite.
type pass struct {
	ctx  context.Context
	jobs []*job
	done chan struct{} // closed when all are settled
}

func newRewrites() *rewrites {
	return &rewrites{turn: make(chan struct{}, 1), joined: make(chan struct{}, 1)}
}

// coming announces a batch that will join.
func (r *rewrites) coming() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.hashing++
}

// rewriter replaces the file with what jobs make of it. It settles those that the
// file does not allow; the others have its outcome.
type rewriter func(context.Context, []*job) (sdk.Outcome, *sdk.Error)

// join has do settle the jobs, alone or with those of others, and returns
// when they are. What has not begun when ctx ends is refused.
func (r *rewrites) join(ctx context.Context, jobs []*job, do rewriter) {
	made := &pass{ctx: ctx, jobs: jobs, done: make(chan struct{})}
	r.add(made)
	if len(jobs) == 0 {
		return
	}
	select {
	case <-made.done:
		return
	case r.turn <- struct{}{}:
		r.lead(made, do)
		<-r.turn
	case <-ctx.Done():
		if r.leave(made) {
			made.settle(sdk.Refused, files.Error(ctx.Err()))
		}
	}
	<-made.done
}

func (r *rewrites) add(pass *pass) {
	r.mu.Lock()
	r.hashing--
	if len(pass.jobs) > 0 {
		r.waiting = append(r.waiting, pass)
	}
	r.mu.Unlock()
	select {
	case r.joined <- struct{}{}:
	default:
	}
}

// leave takes a batch out, unless its rewrite has begun.
func (r *rewrites) leave(pass *pass) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	for index, w := range r.waiting {
		if w == pass {
			r.waiting = append(r.waiting[:index], r.waiting[index+1:]...)
			return true
		}
	}
	return false
}

// lead rewrites until the batch is done.
func (r *rewrites) lead(pass *pass, do rewriter) {
	for !pass.isDone() {
		r.gather(pass.ctx)
		began := time.Now()
		r.serve(r.take(), do)
		r.mu.Lock()
		r.ended = time.Now()
		r.took = r.ended.Sub(began)
		r.mu.Unlock()
	}
}

func (p *pass) isDone() bool {
	select {
	case <-p.done:
		return true
	default:
		return false
	}
}

// The share of the time that rewriting has is one in restFactor and one, unless
// that makes somebody wait longer than maxRest.
const (
	restFactor = 4
	maxRest    = 250 * time.Millisecond
)

// gather waits while more is to come and the last rewrite is not long ago; no
// longer than a quarter of the time that ctx leaves.
func (r *rewrites) gather(ctx context.Context) {
	r.mu.Lock()
	rest := time.Until(r.ended.Add(min(restFactor*r.took, maxRest)))
	r.mu.Unlock()
	if deadline, ok := ctx.Deadline(); ok {
		rest = min(rest, time.Until(deadline)/4)
	}
	if rest <= 0 {
		return
	}
	enough := time.NewTimer(rest)
	defer enough.Stop()
	for r.more() {
		select {
		case <-r.joined:
		case <-enough.C:
			return
		case <-ctx.Done():
			return
		}
	}
}

func (r *rewrites) more() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.hashing > 0
}

// take removes the batches of one rewrite from those that wait: all, but for
// those that change an account a second time.
func (r *rewrites) take() []*pass {
	r.mu.Lock()
	defer r.mu.Unlock()
	var group, later []*pass
	taken := map[string]bool{}
	for _, pass := range r.waiting {
		if pass.touches(taken) {
			later = append(later, pass)
		} else {
			group = append(group, pass)
		}
		for _, job := range pass.jobs {
			taken[job.op.Account] = true
		}
	}
	r.waiting = later
	return group
}

func (p *pass) touches(taken map[string]bool) bool {
	for _, job := range p.jobs {
		if taken[job.op.Account] {
			return true
		}
	}
	return false
}

// serve settles a group by one rewrite. A batch whose time ends before that is
// refused, and the others begin again without it.
func (r *rewrites) serve(group []*pass, do rewriter) {
	for len(group) > 0 {
		ctx, cancel := first(group)
		var jobs []*job
		for _, pass := range group {
			jobs = append(jobs, pass.jobs...)
		}
		outcome, failed := do(ctx, jobs)
		inVain := outcome == sdk.Refused && ctx.Err() != nil
		cancel()
		var again []*pass
		for _, pass := range group {
			if inVain && !pass.over() {
				again = append(again, pass)
			} else {
				pass.settle(outcome, failed)
			}
		}
		group = again
	}
}

// first returns a context that ends with the first of the batches' own.
func first(group []*pass) (context.Context, context.CancelFunc) {
	ctx, giveUp := context.WithCancel(context.Background())
	ends := []func(){giveUp}
	for _, pass := range group {
		stop := context.AfterFunc(pass.ctx, func() {
			if errors.Is(pass.ctx.Err(), context.Canceled) {
				giveUp()
			}
		})
		ends = append(ends, func() { stop() })
		if deadline, ok := pass.ctx.Deadline(); ok { // its reason is the deadline's
			var cancel context.CancelFunc
			ctx, cancel = context.WithDeadline(ctx, deadline)
			ends = append(ends, cancel)
		}
	}
	return ctx, func() {
		for _, end := range ends {
			end()
		}
	}
}

// over reports whether the batch's time has ended.
func (p *pass) over() bool {
	deadline, ok := p.ctx.Deadline()
	return p.ctx.Err() != nil || ok && !time.Now().Before(deadline)
}

// settle answers the jobs that have no answer of their own.
func (p *pass) settle(outcome sdk.Outcome, failed *sdk.Error) {
	for _, job := range p.jobs {
		if !job.settled {
			job.settled, job.receipt = true, sdk.Receipt{Outcome: outcome, Err: failed}
			if outcome == sdk.Applied {
				job.receipt.Stamp = stamp(job.hash)
			}
		}
	}
	close(p.done)
}
