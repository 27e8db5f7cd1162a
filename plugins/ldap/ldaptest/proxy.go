package ldaptest

import (
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
)

// Fault is what a Proxy does to the next request that it sees.
type Fault int32

// The faults. Each strikes once; what comes after it passes.
const (
	Pass       Fault = iota
	CutRequest       // the request is swallowed and the connection closed: the server never saw it
	CutAnswer        // the server gets the request; the connection is closed instead of the answer
	BlackHole        // the server gets the request; its answer is swallowed, the connection stays
)

// Proxy is a TCP relay before a server that cuts connections when told to.
type Proxy struct {
	URL string // ldap://127.0.0.1:PORT

	target   string
	listener net.Listener
	fault    atomic.Int32
	wait     atomic.Int32
	running  sync.WaitGroup
	mu       sync.Mutex
	conns    map[net.Conn]bool
	accepted int
}

// StartProxy relays to a server's plain port until the test ends.
func StartProxy(t testing.TB, s *Server) *Proxy {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &Proxy{URL: "ldap://" + l.Addr().String(), target: strings.TrimPrefix(s.URL, "ldap://"), listener: l, conns: make(map[net.Conn]bool)}
	p.running.Go(p.accept)
	t.Cleanup(p.Stop)
	return p
}

// Next arms a fault for the next request on any connection.
func (p *Proxy) Next(f Fault) { p.fault.Store(int32(f)) }

// After makes the fault that is armed next wait until n requests have passed.
func (p *Proxy) After(n int) { p.wait.Store(int32(n)) }

// Connections is how many clients have connected so far.
func (p *Proxy) Connections() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.accepted
}

// Drop closes all connections, as a firewall that forgets them would.
func (p *Proxy) Drop() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for c := range p.conns {
		_ = c.Close()
	}
}

// Stop ends the relay and waits for it.
func (p *Proxy) Stop() {
	_ = p.listener.Close()
	p.Drop()
	p.running.Wait()
}

func (p *Proxy) accept() {
	for {
		client, err := p.listener.Accept()
		if err != nil {
			return
		}
		server, err := net.Dial("tcp", p.target)
		if err != nil {
			_ = client.Close()
			continue
		}
		p.keep(client, server)
		answers := new(atomic.Int32)
		p.running.Go(func() { p.relay(client, server, p.requests(answers)) })
		p.running.Go(func() { p.relay(server, client, func() Fault { return Fault(answers.Load()) }) })
	}
}

func (p *Proxy) keep(conns ...net.Conn) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.accepted++
	for _, c := range conns {
		p.conns[c] = true
	}
}

// requests says what becomes of a request, and arms what becomes of its answer.
func (p *Proxy) requests(answers *atomic.Int32) func() Fault {
	return func() Fault {
		if Fault(p.fault.Load()) != Pass && p.wait.Add(-1) >= 0 {
			return Pass
		}
		f := Fault(p.fault.Swap(int32(Pass)))
		if f == CutAnswer || f == BlackHole {
			answers.Store(int32(f))
			return Pass
		}
		return f
	}
}

// relay copies until one side is gone. It treats what it reads in one go as
// one message, which holds for a client that waits for each answer.
func (p *Proxy) relay(from, to net.Conn, fate func() Fault) {
	defer func() { _ = from.Close() }() // it was only read, or nobody could do anything about it
	defer func() { _ = to.Close() }()   // it was only read, or nobody could do anything about it
	buffer := make([]byte, 64<<10)
	for {
		n, err := from.Read(buffer)
		if err != nil {
			return
		}
		switch fate() {
		case CutRequest, CutAnswer:
			return
		case BlackHole:
			continue
		}
		if _, err := to.Write(buffer[:n]); err != nil {
			return
		}
	}
}
