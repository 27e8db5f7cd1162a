package engine

import (
	"sync"
	"time"
)

// tellAgain is how soon the operator is told of another silence, and remindAgain
// of the same one.
const (
	tellAgain   = time.Minute
	remindAgain = 10 * time.Minute
)

// silentFor is how long a backend may give nothing but refusals that pass, or
// no answers, before the operator is told why users wait.
const silentFor = 10 * time.Second

// silence notices that a backend gives no good answer.
type silence struct {
	mu    sync.Mutex
	since time.Time // of the first bad answer after a good one; zero: the last was good
	told  time.Time // the last time
}

// broken ends it: a good answer came. It reports whether the operator was told
// of it.
func (s *silence) broken() (told bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	told = !s.since.IsZero() && !s.told.Before(s.since)
	s.since = time.Time{}
	return told
}

// lasts returns whether to tell that it lasts: the operation waits before its
// next attempt.
func (s *silence) lasts(now time.Time, wait time.Duration) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.since.IsZero() {
		s.since = now
	}
	pause := tellAgain
	if !s.told.Before(s.since) {
		pause = remindAgain
	}
	if now.Sub(s.told) < pause || now.Sub(s.since) < silentFor && wait < silentFor {
		return false
	}
	s.told = now
	return true
}
