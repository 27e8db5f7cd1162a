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
func StartProxy(t testing.TB, server *Server) *Proxy {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	proxy := &Proxy{URL: "ldap://" + listener.Addr().String(), target: strings.TrimPrefix(server.URL, "ldap://"), listener: listener, conns: make(map[net.Conn]bool)}
	proxy.running.Go(proxy.accept)
	t.Cleanup(proxy.Stop)
	return proxy
}

// Next arms a fault for the next request on any connection.
func (p *Proxy) Next(fault Fault) { p.fault.Store(int32(fault)) }

// After makes the fault that is armed next wait until count requests have passed.
func (p *Proxy) After(count int) { p.wait.Store(int32(count)) }

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
	for conn := range p.conns {
		_ = conn.Close()
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
	for _, conn := range conns {
		p.conns[conn] = true
	}
}

// requests says what becomes of a request, and arms what becomes of its answer.
func (p *Proxy) requests(answers *atomic.Int32) func() Fault {
	return func() Fault {
		if Fault(p.fault.Load()) != Pass && p.wait.Add(-1) >= 0 {
			return Pass
		}
		fault := Fault(p.fault.Swap(int32(Pass)))
		if fault == CutAnswer || fault == BlackHole {
			answers.Store(int32(fault))
			return Pass
		}
		return fault
	}
}

// relay copies until one side is gone. It treats what it reads in one go as
// one message, which holds for a client that waits for each answer.
func (p *Proxy) relay(from, to net.Conn, fate func() Fault) {
	defer func() { _ = from.Close() }() // it was only read, or nobody could do anything about it
	defer func() { _ = to.Close() }()   // it was only read, or nobody could do anything about it
	buffer := make([]byte, 64<<10)
	for {
		count, err := from.Read(buffer)
		if err != nil {
			return
		}
		switch fate() {
		case CutRequest, CutAnswer:
			return
		case BlackHole:
			continue
		}
		if _, err := to.Write(buffer[:count]); err != nil {
			return
		}
	}
}
