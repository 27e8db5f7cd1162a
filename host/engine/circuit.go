package engine

import (
	"context"
	"sync"
	"time"

	"github.com/rekey-host/rekey/sdk"
)

// circuitLimit is how many answers in a row that say the target is away open
// the circuit.
const circuitLimit = 20

// circuit keeps a run from spending its users' attempts on a target that is
// away. While it is open nothing new is sent; one caller probes.
type circuit struct {
	mu     sync.Mutex
	away   int
	opened chan struct{} // closed when it opens; nil while open
	closed chan struct{} // closed when it closes again
	isOpen bool
}

func (c *circuit) init() {
	c.closed = make(chan struct{})
	close(c.closed)
	c.opened = make(chan struct{})
}

// saw counts a receipt.
func (c *circuit) saw(r sdk.Receipt) {
	away := r.Err != nil && (r.Err.Code == sdk.Unreachable || r.Err.Code == sdk.TargetUnavailable)
	c.mu.Lock()
	defer c.mu.Unlock()
	if !away {
		c.away = 0
		return
	}
	c.away++
	if c.away >= circuitLimit && !c.isOpen {
		c.isOpen = true
		c.closed = make(chan struct{})
		close(c.opened)
	}
}

// waitClosed returns when the circuit is closed, or the context's cause.
func (c *circuit) waitClosed(ctx context.Context) error {
	c.mu.Lock()
	closed := c.closed
	c.mu.Unlock()
	select {
	case <-closed:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// opening returns a channel that is closed when the circuit opens.
func (c *circuit) opening() <-chan struct{} {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.opened
}

// reset closes the circuit.
func (c *circuit) reset() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.isOpen {
		return
	}
	c.isOpen, c.away = false, 0
	c.opened = make(chan struct{})
	close(c.closed)
}

// probe watches a lane's circuit until ctx ends: when it opens, the backend is
// checked every interval for its patience, then giveUp is called.
func (l *lane) probe(ctx context.Context, clock Clock, giveUp func(reason string)) {
	for {
		select {
		case <-l.circuit.opening():
		case <-ctx.Done():
			return
		}
		if !l.comesBack(ctx, clock) {
			if ctx.Err() == nil {
				giveUp("backend " + l.backend.Label + " stays unreachable")
			}
			return
		}
		l.circuit.reset()
	}
}

func (l *lane) comesBack(ctx context.Context, clock Clock) bool {
	end := clock.Now().Add(l.backend.Patience)
	for wait := time.Second; clock.Now().Before(end); wait = min(2*wait, 15*time.Second) {
		if clock.Sleep(ctx, wait) != nil {
			return false
		}
		if !l.backend.Can(sdk.CanCheck) || l.ready(ctx) {
			return true
		}
	}
	return false
}

func (l *lane) ready(ctx context.Context) bool {
	ctx, cancel := context.WithTimeout(ctx, l.backend.Timeout)
	defer cancel()
	for _, f := range l.backend.Instance.Check(ctx) {
		if f.Severity == sdk.Bad {
			return false
		}
	}
	return true
}
