package ssh

import (
	"context"
	"errors"
	"sync"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/rekey-host/rekey/sdk"
)

// slots bound how many do something at once.
type slots chan struct{}

// begin takes a slot; it reports false if ctx ends before there is one.
func (s slots) begin(ctx context.Context) bool {
	select {
	case s <- struct{}{}:
		return true
	case <-ctx.Done():
		return false
	}
}

func (s slots) end() { <-s }

// fleet is the connections to all hosts.
type fleet struct {
	settings settings
	starting slots // handshakes

	mu       sync.Mutex
	hosts    map[account]*host
	machines map[address]string // what has said which machine it is
	closed   bool
}

func newFleet(settings settings) *fleet {
	return &fleet{settings: settings, starting: make(slots, starting), hosts: map[account]*host{}, machines: map[address]string{}}
}

// host is one login on one host, and its connection, if there is one.
type host struct {
	account
	via      *host // the last host on the way; nil: none
	dialing  slots // one: who connects
	channels slots
	writing  slots // one: chpasswd locks its files anyway

	mu     sync.Mutex // of what follows; and of fleet's use of it
	client *ssh.Client
	dead   chan struct{} // closed when client is
	said   *string       // which machine it is; nil: it was not asked yet
	users  int
	last   time.Time
}

// borrow returns the host of a login, which is kept until it is given back.
func (f *fleet) borrow(who account) *host {
	f.mu.Lock()
	defer f.mu.Unlock()
	made := f.host(who, len(f.settings.jump))
	made.mu.Lock()
	made.users++
	made.mu.Unlock()
	return made
}

// host returns the host of a login behind so many jumps.
func (f *fleet) host(who account, jumps int) *host {
	if known := f.hosts[who]; known != nil {
		return known
	}
	made := &host{account: who, dialing: make(slots, 1), channels: make(slots, channels), writing: make(slots, 1)}
	if jumps > 0 {
		made.via = f.host(f.settings.jump[jumps-1], jumps-1)
	}
	f.hosts[who] = made
	return made
}

// giveBack ends a loan, and closes what nobody uses if there is too much.
func (f *fleet) giveBack(used *host) {
	f.mu.Lock()
	defer f.mu.Unlock()
	used.mu.Lock()
	used.users--
	used.last = time.Now()
	used.mu.Unlock()
	f.shrink()
}

// shrink closes the connections that were not used for longest, until there are
// no more than may be kept. Those on the way to others stay.
func (f *fleet) shrink() {
	for {
		open, oldest := 0, (*host)(nil)
		for who, one := range f.hosts {
			one.mu.Lock()
			kept, idle := one.client != nil, one.users == 0 && !f.onTheWay(who)
			if kept {
				open++
			}
			if kept && idle && (oldest == nil || one.last.Before(oldest.last)) {
				oldest = one
			}
			one.mu.Unlock()
		}
		if open <= mostOpen || oldest == nil {
			return
		}
		oldest.drop()
		delete(f.hosts, oldest.account)
	}
}

func (f *fleet) onTheWay(who account) bool {
	for _, hop := range f.settings.jump {
		if hop == who {
			return true
		}
	}
	return false
}

// close ends all connections.
func (f *fleet) close() {
	f.mu.Lock()
	f.closed = true
	hosts := f.hosts
	f.hosts = map[account]*host{}
	f.mu.Unlock()
	for _, one := range hosts {
		one.drop()
	}
}

// drop closes the connection, if there is one, and waits until its reader has
// ended.
func (h *host) drop() {
	h.mu.Lock()
	client, dead := h.client, h.dead
	h.client, h.dead = nil, nil
	h.mu.Unlock()
	if client != nil {
		_ = client.Close()
		<-dead
	}
}

// live returns the connection if it is alive.
func (h *host) live() *ssh.Client {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.client == nil {
		return nil
	}
	select {
	case <-h.dead:
		return nil
	default:
		return h.client
	}
}

// connected returns the connection to a host, made anew if need be.
func (f *fleet) connected(ctx context.Context, to *host) (*ssh.Client, *sdk.Error) {
	if client := to.live(); client != nil {
		return client, nil
	}
	if !to.dialing.begin(ctx) {
		return nil, unsent(ctx)
	}
	defer to.dialing.end()
	if client := to.live(); client != nil {
		return client, nil
	}
	to.drop()
	client, failure := f.logIn(ctx, to)
	if failure != nil {
		return nil, failure
	}
	return client, f.keep(to, client)
}

// logIn logs in as rekey itself.
func (f *fleet) logIn(ctx context.Context, to *host) (*ssh.Client, *sdk.Error) {
	if own, ok := f.settings.own(); ok && to.account == own && len(f.settings.login.Values()) > 1 {
		client, _, failure := f.enterAny(ctx, to)
		return client, failure
	}
	auth, failure := f.settings.auth()
	if failure != nil {
		return nil, failure
	}
	return f.dial(ctx, to, login{user: to.user, auth: auth})
}

// keep notes a new connection, unless all are being closed.
func (f *fleet) keep(to *host, client *ssh.Client) *sdk.Error {
	dead := make(chan struct{})
	go func() {
		_ = client.Wait()
		close(dead)
	}()
	f.mu.Lock()
	closed := f.closed
	f.mu.Unlock()
	to.mu.Lock()
	to.client, to.dead, to.said = client, dead, nil
	to.mu.Unlock()
	if closed {
		to.drop()
		return sdk.Errorf(sdk.Cancelled, "the connections are being closed")
	}
	return nil
}

// unsent is why an operation ended before anything was sent.
func unsent(ctx context.Context) *sdk.Error {
	if errors.Is(ctx.Err(), context.Canceled) {
		return sdk.Errorf(sdk.Cancelled, "given up before anything was sent")
	}
	return sdk.Errorf(sdk.Timeout, "the time was over before anything was sent")
}
