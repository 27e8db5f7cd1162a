package engine

import (
	"context"
	"sync"
)

// keyLocks are turns by key: whoever asks a backend for what others want too has
// them wait, and never for another key. They are safe for concurrent use.
type keyLocks[K comparable] struct {
	mu    sync.Mutex
	turns map[K]chan struct{}
}

// take waits for the key's turn. The caller ends it with done.
func (c *keyLocks[K]) take(ctx context.Context, key K) (done func(), err error) {
	turn := c.of(key)
	select {
	case turn <- struct{}{}:
		return func() { <-turn }, nil
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

func (c *keyLocks[K]) of(key K) chan struct{} {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.turns == nil {
		c.turns = map[K]chan struct{}{}
	}
	if c.turns[key] == nil {
		c.turns[key] = make(chan struct{}, 1)
	}
	return c.turns[key]
}
