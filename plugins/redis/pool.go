package redis

import (
	"context"
	"sync"
)

// pool keeps connections for as long as the server does. Each has one user at a
// time.
type pool struct {
	open  func(context.Context) (*link, error)
	slots chan struct{} // one a connection in use

	mu     sync.Mutex
	idle   []*link
	closed bool
}

func newPool(size int, open func(context.Context) (*link, error)) *pool {
	return &pool{open: open, slots: make(chan struct{}, size)}
}

// use gives call a connection; its errors, if call did not begin, are of before
// anything was sent.
func (p *pool) use(ctx context.Context, call func(*link) error) (begun bool, err error) {
	select {
	case p.slots <- struct{}{}:
		defer func() { <-p.slots }()
	case <-ctx.Done():
		return false, ctx.Err()
	}
	link := p.kept()
	if link == nil {
		if link, err = p.open(ctx); err != nil {
			return false, err
		}
	}
	err = call(link)
	p.give(link)
	return true, err
}

// kept is a connection that was used before and that the server has not ended.
func (p *pool) kept() *link {
	p.mu.Lock()
	defer p.mu.Unlock()
	for len(p.idle) > 0 {
		link := p.idle[len(p.idle)-1]
		p.idle = p.idle[:len(p.idle)-1]
		if !link.over() {
			return link
		}
		_ = link.Close() // it is over
	}
	return nil
}

func (p *pool) give(link *link) {
	p.mu.Lock()
	keep := !p.closed && link.Err() == nil
	if keep {
		p.idle = append(p.idle, link)
	}
	p.mu.Unlock()
	if !keep {
		_ = link.Close() // what was sent has been answered, or is lost
	}
}

// close ends the idle connections now and those in use when they come back.
func (p *pool) close() {
	p.mu.Lock()
	idle := p.idle
	p.idle, p.closed = nil, true
	p.mu.Unlock()
	for _, link := range idle {
		_ = link.Close() // nothing is under way on it
	}
}
