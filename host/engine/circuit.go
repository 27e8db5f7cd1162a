package engine

import (
	"context"
	"sync"

	"github.com/rekey-host/rekey/sdk"
)

// circuitLimit is how many answers in a row that say the target is away open
// the circuit.
const circuitLimit = 20

// circuit keeps a run from spending its users' attempts on an absent
// target. While it is open nothing new is sent. It closes when the backend's Check
// finds the target back; of a backend without Check one operation at a time is
// let through to find out.
type circuit struct {
	mu     sync.Mutex
	away   int
	isOpen bool
	half   bool          // an operation was let through
	why    string        // of the answer that opened it
	opened chan struct{} // closed when it opens
	closed chan struct{} // closed when it closes again
	pass   chan struct{} // lets one operation through
}

func (c *circuit) init() {
	c.closed = make(chan struct{})
	close(c.closed)
	c.opened = make(chan struct{})
	c.pass = make(chan struct{}, 1)
}

// observe counts an answer; err is nil for a good one.
func (c *circuit) observe(err *sdk.Error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if err == nil || !err.Code.Away() {
		c.away = 0
		if c.isOpen && c.half {
			c.shut()
		}
		return
	}
	c.away++
	if c.away >= circuitLimit && !c.isOpen {
		c.isOpen, c.half, c.why = true, false, said(err)
		c.closed = make(chan struct{})
		close(c.opened)
	}
}

// said is a failure in one line: its code, and its words if it has any.
func said(err *sdk.Error) string {
	if err.Message == "" {
		return string(err.Code)
	}
	return string(err.Code) + " (" + err.Message + ")"
}

// reason is why the circuit opened the last time.
func (c *circuit) reason() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.why
}

// shut closes the circuit. The caller holds the lock.
func (c *circuit) shut() {
	c.isOpen, c.half, c.away = false, false, 0
	c.opened = make(chan struct{})
	select {
	case <-c.pass:
	default:
	}
	close(c.closed)
}

// holds reports whether the circuit is open.
func (c *circuit) holds() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.isOpen
}

// allowProbe lets one operation through an open circuit.
func (c *circuit) allowProbe() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.isOpen {
		return
	}
	c.half = true
	select {
	case c.pass <- struct{}{}:
	default:
	}
}

// waitClosed returns when the circuit is closed, or lets the caller through to
// find out whether it may be, or the context's cause.
func (c *circuit) waitClosed(ctx context.Context) (through bool, err error) {
	c.mu.Lock()
	closed := c.closed
	c.mu.Unlock()
	select {
	case <-closed:
		return false, nil
	default:
	}
	select {
	case <-closed:
		return false, nil
	case <-c.pass:
		return true, nil
	case <-ctx.Done():
		return false, context.Cause(ctx)
	}
}

// passes reports whether the one operation is free to go, and takes its place.
func (c *circuit) passes() bool {
	select {
	case <-c.pass:
		return true
	default:
		return false
	}
}

// opening returns a channel; it closes when the circuit opens.
func (c *circuit) opening() <-chan struct{} {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.opened
}

// reset closes the circuit.
func (c *circuit) reset() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.isOpen {
		c.shut()
	}
}
