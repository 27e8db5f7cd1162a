package ldap

import (
	"context"
	"errors"
	"sync"

	"github.com/rekey-host/rekey/plugins/ldap/internal/ldapwire"
	"github.com/rekey-host/rekey/sdk"
)

// pool keeps connections for as long as the server does. It is safe for
// concurrent use; each connection has one user at a time.
type pool struct {
	open  func(context.Context) (*conn, *sdk.Error)
	slots chan struct{} // one a connection in use

	mu     sync.Mutex
	idle   []*conn // the last one used is the first one taken
	age    int     // a connection of another is not kept
	closed bool
}

func newPool(size int, open func(context.Context) (*conn, *sdk.Error)) *pool {
	return &pool{open: open, slots: make(chan struct{}, size)}
}

// use gives call a connection. If a kept one turns out to be dead before call has
// sent anything on it, call runs again on another.
func (p *pool) use(ctx context.Context, call func(*conn) error) *failure {
	select {
	case p.slots <- struct{}{}:
		defer func() { <-p.slots }()
	case <-ctx.Done():
		return &failure{err: wireFault(ctx.Err(), false)}
	}
	for {
		conn, kept, failed := p.take(ctx)
		if failed != nil {
			return &failure{err: failed}
		}
		before := conn.id
		err := call(conn)
		p.give(conn)
		var wire *wireError
		if !errors.As(err, &wire) {
			return asFailure(err)
		}
		if kept && !wire.sent && conn.id <= before+1 && ctx.Err() == nil {
			continue
		}
		return &failure{sent: wire.sent, err: wireFault(wire.err, wire.sent)}
	}
}

// ask sends one request. An answer that the login is gone is cured by a new
// connection, once.
func (p *pool) ask(ctx context.Context, op []byte, controls ...ldapwire.Control) (result, *failure) {
	var reply result
	for try := 0; ; try++ {
		failed := p.use(ctx, func(link *conn) (err error) {
			reply, err = link.ask(ctx, op, controls...)
			link.broken = link.broken || err == nil && reply.loggedOut()
			return err
		})
		if failed != nil || !reply.loggedOut() || try > 0 {
			return reply, failed
		}
	}
}

func (p *pool) take(ctx context.Context) (conn *conn, kept bool, failed *sdk.Error) {
	for {
		link := p.pop()
		if link == nil {
			conn, failed := p.fresh(ctx)
			return conn, false, failed
		}
		if !link.stale() {
			return link, true, nil
		}
		link.broken = true
		link.close()
	}
}

func (p *pool) fresh(ctx context.Context) (*conn, *sdk.Error) {
	p.mu.Lock()
	age := p.age
	p.mu.Unlock()
	conn, failed := p.open(ctx)
	if failed == nil {
		conn.age = age
	}
	return conn, failed
}

// renew ends the idle connections now, and those in use when they come back.
func (p *pool) renew() {
	p.mu.Lock()
	idle := p.idle
	p.idle, p.age = nil, p.age+1
	p.mu.Unlock()
	for _, conn := range idle {
		conn.close()
	}
}

func (p *pool) pop() *conn {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.idle) == 0 {
		return nil
	}
	conn := p.idle[len(p.idle)-1]
	p.idle = p.idle[:len(p.idle)-1]
	return conn
}

func (p *pool) give(conn *conn) {
	p.mu.Lock()
	keep := !p.closed && !conn.broken && conn.age == p.age
	if keep {
		p.idle = append(p.idle, conn)
	}
	p.mu.Unlock()
	if !keep {
		conn.close()
	}
}

// close ends the idle connections now and those in use when they come back.
func (p *pool) close() {
	p.mu.Lock()
	idle := p.idle
	p.idle, p.closed = nil, true
	p.mu.Unlock()
	for _, conn := range idle {
		conn.close()
	}
}
