package engine

import (
	"context"
	"sync"
	"sync/atomic"
)

// gate bounds how many users are between their first send and their end. In a
// wave with max_failures that is the concurrency, so that when the wave stops
// no more than so many can still fail.
type gate struct {
	mu      sync.Mutex
	limit   int // 0: no bound
	active  int
	release []func()
	freed   chan struct{} // closed and renewed at each release
}

// ticket is one user's place at the gate.
type ticket struct {
	admitted atomic.Bool
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

// bound sets the limit for the users to come; nobody is inside then.
func (g *gate) bound(limit int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.limit = limit
}

// pressing reports whether the user is inside while others have to wait.
func (g *gate) pressing(t *ticket) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.limit > 0 && t.sent()
}

// admit lets a user through if there is room or it is inside already.
func (g *gate) admit(t *ticket) bool {
	if t.admitted.Load() {
		return true
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.limit > 0 && g.active >= g.limit {
		return false
	}
	g.active++
	t.admitted.Store(true)
	return true
}

// room reports whether admit would let the user through just now: who asks
// first spends nothing else on a user that has to wait.
func (g *gate) room(t *ticket) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return t.admitted.Load() || g.limit == 0 || g.active < g.limit
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
	if !t.admitted.Load() {
		return
	}
	g.mu.Lock()
	g.active--
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
