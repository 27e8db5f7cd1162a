package serve

import (
	"context"
	"sync"
	"sync/atomic"
	"time"
)

// call is one call of the backend, and its context: that of an operation costs
// no timer and no goroutine. It ends at its deadline, with the instance, with
// the caller, and when the call returns.
type call struct {
	jobs     []*job // not changed: a late call is looked at from outside
	deadline time.Time
	given    atomic.Bool // abandoned

	mu     sync.Mutex
	err    error
	inner  context.Context // made when a caller waits for the end
	cancel context.CancelFunc

	one [1]*job // room for jobs
}

var _ context.Context = (*call)(nil)

func newCall(jobs []*job, deadline time.Time) *call {
	made := &call{deadline: deadline}
	made.jobs = append(made.one[:0], jobs...)
	return made
}

// Deadline is the operation's.
func (c *call) Deadline() (time.Time, bool) { return c.deadline, true }

// Done is closed when the call has to end.
func (c *call) Done() <-chan struct{} { return c.waited().Done() }

// Err is nil until then.
func (c *call) Err() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.err
}

// Value knows nothing.
func (c *call) Value(any) any { return nil }

// AfterFunc spares a context derived from this one its goroutine.
func (c *call) AfterFunc(call func()) (stop func() bool) { return context.AfterFunc(c.waited(), call) }

func (c *call) waited() context.Context {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.inner == nil {
		c.inner, c.cancel = context.WithCancel(context.Background())
		if c.err != nil {
			c.cancel()
		}
	}
	return c.inner
}

// end ends the context, unless it has ended.
func (c *call) end(why error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err != nil {
		return
	}
	c.err = why
	if c.cancel != nil {
		c.cancel()
	}
}

// giveUp ends the context for a caller that went away.
func (c *call) giveUp() { c.end(context.Canceled) }

// of reports whether the call is of that caller alone: the others of a batch
// still want their answers.
func (c *call) of(caller context.Context) bool { return len(c.jobs) == 1 && c.jobs[0].ctx == caller }
