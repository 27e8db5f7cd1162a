package reachtest

import (
	"fmt"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
)

// Fault is what a Relay does to the next message of a client.
type Fault int32

// The faults. Each strikes once; what comes after it passes.
const (
	Pass       Fault = iota
	CutRequest       // it is swallowed and the connection closed: the server never saw it
	CutAnswer        // the server gets it; the connection is closed instead of the answer
)

// Relay stands before a server, on a port of its own.
type Relay struct {
	Port string

	target   string
	listener net.Listener
	running  sync.WaitGroup
	mu       sync.Mutex
	conns    map[net.Conn]bool
	announce bool   // who the client is, to the server
	word     string // what a message holds that the fault is for
	before   func() // is called once, before the message passes; nil: not
	fault    atomic.Int32
}

// NewRelay relays to HOST:PORT, or to a socket's path, until the test ends.
func NewRelay(t testing.TB, target string) *Relay {
	t.Helper()
	listener, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", FreePort(t)))
	if err != nil {
		t.Fatal(err)
	}
	_, port, _ := net.SplitHostPort(listener.Addr().String())
	relay := &Relay{Port: port, target: target, listener: listener, conns: map[net.Conn]bool{}}
	relay.running.Go(relay.accept)
	t.Cleanup(relay.Stop)
	return relay
}

// Announce has the server told which address a client has, by the PROXY protocol.
func (r *Relay) Announce() *Relay {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.announce = true
	return r
}

// Next arms a fault for the next message that holds word.
func (r *Relay) Next(fault Fault, word string) {
	r.mu.Lock()
	r.word = word
	r.mu.Unlock()
	r.fault.Store(int32(fault))
}

// Before has call called before the next message that holds word passes.
func (r *Relay) Before(word string, call func()) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.word, r.before = word, call
}

// Drop closes all connections. Both sides know it when it returns: a close alone waits
// for the reader of the connection.
func (r *Relay) Drop() {
	r.mu.Lock()
	defer r.mu.Unlock()
	for conn := range r.conns {
		if tcp, ok := conn.(*net.TCPConn); ok {
			_ = tcp.CloseWrite()
		}
		_ = conn.Close()
	}
}

// Stop ends the relay and waits for it: the server is gone.
func (r *Relay) Stop() {
	_ = r.listener.Close()
	r.Drop()
	r.running.Wait()
}

func (r *Relay) accept() {
	for {
		client, err := r.listener.Accept()
		if err != nil {
			return
		}
		network := "tcp"
		if strings.HasPrefix(r.target, "/") {
			network = "unix"
		}
		server, err := net.Dial(network, r.target)
		if err != nil {
			_ = client.Close()
			continue
		}
		r.mu.Lock()
		r.conns[client], r.conns[server] = true, true
		if r.announce {
			from, to := client.RemoteAddr().(*net.TCPAddr), server.RemoteAddr().(*net.TCPAddr)
			_, _ = fmt.Fprintf(server, "PROXY TCP4 %s %s %d %d\r\n", from.IP, to.IP, from.Port, to.Port)
		}
		r.mu.Unlock()
		swallow := new(atomic.Bool)
		r.running.Go(func() { r.copy(client, server, func(text string) bool { return r.requests(text, swallow) }) })
		r.running.Go(func() { r.copy(server, client, func(string) bool { return !swallow.Load() }) })
	}
}

// requests reports whether a message of a client passes.
func (r *Relay) requests(text string, swallow *atomic.Bool) bool {
	r.mu.Lock()
	word, before := r.word, r.before
	found := strings.Contains(text, word)
	if found {
		r.before = nil
	}
	r.mu.Unlock()
	if found && before != nil {
		before()
	}
	if Fault(r.fault.Load()) == Pass || !found {
		return true
	}
	fault := Fault(r.fault.Swap(int32(Pass)))
	swallow.Store(fault == CutAnswer)
	return fault != CutRequest
}

// copy goes on until one side is gone, or a message may not pass.
func (r *Relay) copy(from, to net.Conn, passes func(string) bool) {
	defer r.end(from)
	defer r.end(to)
	buffer := make([]byte, 64<<10)
	for {
		count, err := from.Read(buffer)
		if err != nil || !passes(string(buffer[:count])) {
			return
		}
		if _, err := to.Write(buffer[:count]); err != nil {
			return
		}
	}
}

func (r *Relay) end(conn net.Conn) {
	_ = conn.Close()
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.conns, conn)
}
