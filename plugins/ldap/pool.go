package ldap

import (
	"context"
	"errors"
	"sync"

	"github.com/rekey-host/rekey/sdk"
)

// pool keeps connections for as long as the server does. It is safe for
// concurrent use; each connection has one user at a time.
type pool struct {
	open  func(context.Context) (*conn, *sdk.Error)
	slots chan struct{} // one a connection in use

	mu     sync.Mutex
	idle   []*conn // the last one used is the first one taken
	closed bool
}

func newPool(size int, open func(context.Context) (*conn, *sdk.Error)) *pool {
	return &pool{open: open, slots: make(chan struct{}, size)}
}

// failure is why a request has no answer. Sent says whether the server may
// have acted on it.
type failure struct {
	sent bool
	err  *sdk.Error
}

// receipt is Unknown if the server may have acted.
func (f *failure) receipt() sdk.Receipt {
	if f.sent {
		return sdk.Lost(f.err)
	}
	return sdk.Refuse(f.err)
}

// use gives f a connection. If a kept one turns out to be dead before f has
// sent anything on it, f runs again on another.
func (p *pool) use(ctx context.Context, f func(*conn) error) *failure {
	select {
	case p.slots <- struct{}{}:
		defer func() { <-p.slots }()
	case <-ctx.Done():
		return &failure{err: wireFault(ctx.Err(), false)}
	}
	for {
		c, kept, failed := p.take(ctx)
		if failed != nil {
			return &failure{err: failed}
		}
		before := c.id
		err := f(c)
		p.give(c)
		var wire *wireError
		if !errors.As(err, &wire) {
			return asFailure(err)
		}
		if kept && !wire.sent && c.id <= before+1 && ctx.Err() == nil {
			continue
		}
		return &failure{sent: wire.sent, err: wireFault(wire.err, wire.sent)}
	}
}

// asFailure is for errors that f made up itself; a target that answered has
// not failed.
func asFailure(err error) *failure {
	if err == nil {
		return nil
	}
	return &failure{err: sdk.AsError(err, sdk.Internal)}
}

// ask sends one request. An answer that the login is gone is cured by a new
// connection, once.
func (p *pool) ask(ctx context.Context, op, controls []byte) (result, *failure) {
	var r result
	for try := 0; ; try++ {
		failed := p.use(ctx, func(c *conn) (err error) {
			r, err = c.ask(ctx, op, controls)
			c.broken = c.broken || err == nil && r.loggedOut()
			return err
		})
		if failed != nil || !r.loggedOut() || try > 0 {
			return r, failed
		}
	}
}

func (p *pool) take(ctx context.Context) (c *conn, kept bool, failed *sdk.Error) {
	for {
		c := p.pop()
		if c == nil {
			c, failed := p.open(ctx)
			return c, false, failed
		}
		if !c.stale() {
			return c, true, nil
		}
		c.broken = true
		c.close()
	}
}

func (p *pool) pop() *conn {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.idle) == 0 {
		return nil
	}
	c := p.idle[len(p.idle)-1]
	p.idle = p.idle[:len(p.idle)-1]
	return c
}

func (p *pool) give(c *conn) {
	p.mu.Lock()
	keep := !p.closed && !c.broken
	if keep {
		p.idle = append(p.idle, c)
	}
	p.mu.Unlock()
	if !keep {
		c.close()
	}
}

// close ends the idle connections now and those in use when they come back.
func (p *pool) close() {
	p.mu.Lock()
	idle := p.idle
	p.idle, p.closed = nil, true
	p.mu.Unlock()
	for _, c := range idle {
		c.close()
	}
}
