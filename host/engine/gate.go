package engine

import (
	"context"
	"sync"
	"sync/atomic"
)

// gate bounds how many users are between their first send and their end. In a
// wave with max_failures that is the concurrency, so that when the wave stops
// no more than so many can still fail. Users of batches are outside: they are so
// many that the wave would not stop if all of them failed.
type gate struct {
	mu      sync.Mutex
	limit   int   // 0: no bound
	left    int64 // failures that the wave has room for
	active  int
	outside int
	release []func()
	freed   chan struct{} // closed and renewed at each release
}

// ticket is one user's place at the gate.
type ticket struct {
	admitted atomic.Bool
	outside  bool // the user takes no place: the threshold has room for its failure
}

// sent reports whether the user has sent something.
func (t *ticket) sent() bool { return t.admitted.Load() }

func newGate(limit int) *gate { return &gate{limit: limit, freed: make(chan struct{})} }

// onRelease adds a function to call when a user has ended.
func (g *gate) onRelease(f func()) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.release = append(g.release, f)
}

// bound sets the limit for the users to come, and how many of them may fail;
// nobody is inside then.
func (g *gate) bound(limit int, left int64) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.limit, g.left = limit, left
}

// spare sets how many users may fail yet.
func (g *gate) spare(left int64) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.left = left
}

// full reports whether nobody else may go in. The caller holds the lock.
func (g *gate) full() bool {
	if g.limit == 0 {
		return false
	}
	return g.active >= g.limit || int64(g.active+g.outside) >= int64(g.limit)+max(0, g.left)
}

// reserve returns how many of the users may be outside the gate, and counts
// them: so many that the wave does not stop if all who are under way fail.
func (g *gate) reserve(users int) int {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.limit > 0 {
		users = int(max(0, min(int64(users), g.left-int64(g.outside+g.active))))
	}
	g.outside += users
	return users
}

// giveUp takes back what reserve gave.
func (g *gate) giveUp(users int) {
	g.mu.Lock()
	g.outside -= users
	g.mu.Unlock()
	g.tell()
}

// pressing reports whether the user is inside while others have to wait.
func (g *gate) pressing(t *ticket) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.limit > 0 && t.sent() && !t.outside
}

// admit lets a user through if there is room or it is inside already.
func (g *gate) admit(t *ticket) bool {
	if t.admitted.Load() {
		return true
	}
	if t.outside {
		t.admitted.Store(true)
		return true
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.full() {
		return false
	}
	g.active++
	t.admitted.Store(true)
	return true
}

// room reports whether admit would let the user through just now: who asks
// first spends nothing else on a user that has to wait.
func (g *gate) room(t *ticket) bool {
	if t.outside {
		return true
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	return t.admitted.Load() || !g.full()
}

// wait is admit that waits for room.
func (g *gate) wait(ctx context.Context, t *ticket) error {
	for {
		g.mu.Lock()
		freed := g.freed
		g.mu.Unlock()
		if g.admit(t) {
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
func (g *gate) leave(t *ticket) {
	if t.outside || !t.admitted.Load() {
		return
	}
	g.mu.Lock()
	g.active--
	g.mu.Unlock()
	g.tell()
}

// tell tells those who wait that there may be room.
func (g *gate) tell() {
	g.mu.Lock()
	bounded := g.limit > 0
	if bounded {
		close(g.freed)
		g.freed = make(chan struct{})
	}
	release := g.release
	g.mu.Unlock()
	if bounded {
		for _, f := range release {
			f()
		}
	}
}
