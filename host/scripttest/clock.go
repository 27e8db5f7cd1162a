package scripttest

import (
	"context"
	"slices"
	"sync"
	"time"
)

// began is when the time of every run begins.
var began = time.Date(2030, time.January, 7, 9, 0, 0, 0, time.UTC)

// quiet is how long nothing has to happen before the clock jumps: longer than the
// engine lingers for company.
const quiet = 3 * time.Millisecond

// clock is the time of one run. It stands while anything is done, and jumps to the next
// moment that is waited for when nothing is.
type clock struct {
	mu       sync.Mutex
	now      time.Time
	sleepers []*sleeper
	events   int // what happened so far
	jumping  bool
}

// sleeper waits for a moment.
type sleeper struct {
	at   time.Time
	done chan struct{}
}

func newClock() *clock { return &clock{now: began} }

// Now returns the time.
func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

// advance lets time pass between two processes.
func (c *clock) advance(span time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(span)
}

// happens notes that something was done.
func (c *clock) happens() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.events++
}

// Sleep returns when the clock has jumped to the end of the span.
func (c *clock) Sleep(ctx context.Context, span time.Duration) error {
	if span <= 0 || ctx.Err() != nil {
		return context.Cause(ctx)
	}
	c.mu.Lock()
	made := &sleeper{c.now.Add(span), make(chan struct{})}
	c.sleepers = append(c.sleepers, made)
	c.events++
	if !c.jumping {
		c.jumping = true
		go c.jump()
	}
	c.mu.Unlock()
	select {
	case <-made.done:
		return nil
	case <-ctx.Done():
		c.leave(made)
		return context.Cause(ctx)
	}
}

func (c *clock) leave(gone *sleeper) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.sleepers = slices.DeleteFunc(c.sleepers, func(one *sleeper) bool { return one == gone })
}

// jump wakes the sleepers one after the other, as long as there are any.
func (c *clock) jump() {
	for seen := -1; ; {
		time.Sleep(quiet)
		c.mu.Lock()
		switch {
		case len(c.sleepers) == 0:
			c.jumping = false
			c.mu.Unlock()
			return
		case c.events == seen:
			c.wake()
		}
		seen = c.events
		c.mu.Unlock()
	}
}

// wake wakes who waits for the next moment. The caller holds the lock.
func (c *clock) wake() {
	next := slices.MinFunc(c.sleepers, func(a, b *sleeper) int { return a.at.Compare(b.at) }).at
	if next.After(c.now) {
		c.now = next
	}
	c.sleepers = slices.DeleteFunc(c.sleepers, func(one *sleeper) bool {
		due := !one.at.After(c.now)
		if due {
			close(one.done)
		}
		return due
	})
	c.events++
}
