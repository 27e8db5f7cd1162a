package redis

import (
	"context"
	"slices"
	"sync"
	"time"
)

// saver carries jobs out in rounds, one at a time. What comes while one is under
// way shares the next: its commands and its save are sent as one.
type saver struct {
	carry   func(context.Context, *round)
	mu      sync.Mutex
	next    *round        // that has not begun; nil: nothing waits
	work    chan struct{} // room for one: there is a next round
	begun   sync.Once
	running sync.WaitGroup
	ctx     context.Context
	stop    context.CancelFunc
}

// round is the jobs of some batches.
type round struct {
	mu     sync.Mutex
	jobs   []*job
	frozen bool          // what they change may be on its way
	done   chan struct{} // closed when each job has its receipt
}

func (r *round) add(jobs []*job) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.jobs = append(r.jobs, jobs...)
}

// waiting are the jobs that no one has given up.
func (r *round) waiting() []*job {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.jobs)
}

// freeze returns the jobs that stay.
func (r *round) freeze() []*job {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.frozen = true
	return r.jobs
}

// leave takes jobs out, and reports whether nothing of them is on its way.
func (r *round) leave(jobs []*job) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.frozen {
		r.jobs = slices.DeleteFunc(slices.Clone(r.jobs), func(one *job) bool { return slices.Contains(jobs, one) })
	}
	return !r.frozen
}

func newSaver(carry func(context.Context, *round)) *saver {
	made := &saver{carry: carry, work: make(chan struct{}, 1)}
	made.ctx, made.stop = context.WithCancel(context.Background()) // ends with close
	return made
}

// join returns the round that takes the jobs.
func (s *saver) join(jobs []*job) *round {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.next == nil {
		s.next = &round{done: make(chan struct{})}
	}
	s.next.add(jobs)
	s.begun.Do(func() { s.running.Go(s.loop) })
	select {
	case s.work <- struct{}{}:
	default: // it is known
	}
	return s.next
}

// do returns nil when each of the jobs is settled; otherwise why they are not,
// and they belong to the round.
func (s *saver) do(ctx context.Context, jobs []*job) *failure {
	mine := s.join(jobs)
	select {
	case <-mine.done:
		return nil
	case <-ctx.Done():
	}
	if mine.leave(jobs) {
		return &failure{err: notSent(ctx.Err())}
	}
	select {
	case <-mine.done:
		return nil
	case <-time.After(late):
		return &failure{sent: true, err: notSaved(ctx.Err())}
	}
}

func (s *saver) loop() {
	for {
		select {
		case <-s.work:
			s.one()
		case <-s.ctx.Done():
			return
		}
	}
}

// one carries the next round out, if one waits. It is bounded by itself: what
// has begun ends well although the instance is closed.
func (s *saver) one() {
	s.mu.Lock()
	round := s.next
	s.next = nil
	s.mu.Unlock()
	if round != nil {
		s.carry(context.WithoutCancel(s.ctx), round)
		close(round.done)
	}
}

// close waits for what is under way. What comes after it is not sent.
func (s *saver) close() {
	s.stop()
	s.running.Wait()
}
