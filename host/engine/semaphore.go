package engine

import (
	"context"
	"sync"
	"sync/atomic"
)

// semaphore bounds how many users are between their first send and their end. In a
// wave with max_failures the bound is the concurrency, so that when the wave stops
// no more than so many can still fail. Users of batches are outside: they are so
// many that the wave would not stop if all of them failed.
type semaphore struct {
	mu      sync.Mutex
	limit   int   // 0: no bound
	left    int64 // failures that the wave has room for
	active  int
	outside int
	release []func()
	freed   chan struct{} // closed and renewed at each release
}

// permit is one user's place at the semaphore.
type permit struct {
	admitted atomic.Bool
	outside  bool // the user takes no place: the threshold has room for its failure
}

// sent reports whether the user has sent something.
func (p *permit) sent() bool { return p.admitted.Load() }

func newSemaphore(limit int) *semaphore { return &semaphore{limit: limit, freed: make(chan struct{})} }

// onRelease adds a function to call when a user has ended.
func (s *semaphore) onRelease(call func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.release = append(s.release, call)
}

// bound sets the limit for the users to come, and how many of them may fail;
// no user is inside then.
func (s *semaphore) bound(limit int, left int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.limit, s.left = limit, left
}

// spare sets how many users may fail yet.
func (s *semaphore) spare(left int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.left = left
}

// full reports whether no other user may go in. The caller holds the lock.
func (s *semaphore) full() bool {
	if s.limit == 0 {
		return false
	}
	return s.active >= s.limit || int64(s.active+s.outside) >= int64(s.limit)+max(0, s.left)
}

// reserve returns how many of the users may be outside the semaphore, and counts
// them: so many that the wave does not stop if all who are under way fail.
func (s *semaphore) reserve(users int) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.limit > 0 {
		users = int(max(0, min(int64(users), s.left-int64(s.outside+s.active))))
	}
	s.outside += users
	return users
}

// giveUp takes back what reserve gave.
func (s *semaphore) giveUp(users int) {
	s.mu.Lock()
	s.outside -= users
	s.mu.Unlock()
	s.tell()
}

// pressing reports whether the user is inside while others have to wait.
func (s *semaphore) pressing(permit *permit) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.limit > 0 && permit.sent() && !permit.outside
}

// admit lets a user through if there is room or it is inside already.
func (s *semaphore) admit(permit *permit) bool {
	if permit.admitted.Load() {
		return true
	}
	if permit.outside {
		permit.admitted.Store(true)
		return true
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.full() {
		return false
	}
	s.active++
	permit.admitted.Store(true)
	return true
}

// room reports whether admit would let the user through just now: who asks
// first spends nothing else on a waiting user.
func (s *semaphore) room(permit *permit) bool {
	if permit.outside {
		return true
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return permit.admitted.Load() || !s.full()
}

// wait is admit that waits for room.
func (s *semaphore) wait(ctx context.Context, permit *permit) error {
	for {
		s.mu.Lock()
		freed := s.freed
		s.mu.Unlock()
		if s.admit(permit) {
			return nil
		}
		select {
		case <-freed:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// leave ends a user.
func (s *semaphore) leave(permit *permit) {
	if permit.outside || !permit.admitted.Load() {
		return
	}
	s.mu.Lock()
	s.active--
	s.mu.Unlock()
	s.tell()
}

// tell tells those who wait that there may be room.
func (s *semaphore) tell() {
	s.mu.Lock()
	bounded := s.limit > 0
	if bounded {
		close(s.freed)
		s.freed = make(chan struct{})
	}
	release := s.release
	s.mu.Unlock()
	if bounded {
		for _, call := range release {
			call()
		}
	}
}
