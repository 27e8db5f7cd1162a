package engine

import (
	"sync"
	"time"
)

// Wait is what a run waited for on one backend.
type Wait struct {
	Backend string
	Times   int
	Total   time.Duration
	Why     string // the last time
}

// stays adds up what is waited for on one backend.
type stays struct {
	mu   sync.Mutex
	sum  Wait
	open time.Time // since when it waits now; zero: it does not
	why  string
}

// begin notes that a wait begins, if none is under way.
func (s *stays) begin(now time.Time, why string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.open.IsZero() {
		s.open, s.why = now, why
	}
}

// end notes that it is over.
func (s *stays) end(now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.open.IsZero() {
		return
	}
	s.sum.Times++
	s.sum.Total += max(0, now.Sub(s.open))
	s.sum.Why, s.open = s.why, time.Time{}
}

// all returns what the backend was waited for, up to now.
func (s *stays) all(label string, now time.Time) Wait {
	s.end(now)
	s.mu.Lock()
	defer s.mu.Unlock()
	sum := s.sum
	sum.Backend = label
	return sum
}
