package main_test

import (
	"net"
	"sync"
	"testing"
)

// direction is whose messages are meant.
type direction int

const (
	toServer direction = iota
	toClient
)

// relay stands before a server, and loses one message with its connection.
type relay struct {
	address string // HOST:PORT of its own

	target   string
	listener net.Listener
	running  sync.WaitGroup
	mu       sync.Mutex
	conns    map[net.Conn]bool
	passed   [2]int // messages, by direction, since count or strike
	strikeAt [2]int // the one that is lost; 0: none
	struck   func() // is called before that
}

// newRelay relays to HOST:PORT until the test ends.
func newRelay(t *testing.T, target string) *relay {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	made := &relay{address: listener.Addr().String(), target: target, listener: listener, conns: map[net.Conn]bool{}}
	made.running.Go(made.accept)
	t.Cleanup(made.stop)
	return made
}

// strike loses the nth message in a direction from now on, over all connections.
func (r *relay) strike(whose direction, nth int, call func()) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.passed, r.strikeAt, r.struck = [2]int{}, [2]int{}, call
	r.strikeAt[whose] = nth
}

// count counts from none, and loses no message.
func (r *relay) count() { r.strike(toServer, 0, func() {}) }

// counted is how many messages there were.
func (r *relay) counted() (sent, received int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.passed[toServer], r.passed[toClient]
}

func (r *relay) stop() {
	_ = r.listener.Close()
	r.mu.Lock()
	for conn := range r.conns {
		_ = conn.Close()
	}
	r.mu.Unlock()
	r.running.Wait()
}

func (r *relay) accept() {
	for {
		client, err := r.listener.Accept()
		if err != nil {
			return
		}
		server, err := net.Dial("tcp", r.target)
		if err != nil {
			_ = client.Close()
			continue
		}
		r.mu.Lock()
		r.conns[client], r.conns[server] = true, true
		r.mu.Unlock()
		r.running.Go(func() { r.copy(client, server, toServer) })
		r.running.Go(func() { r.copy(server, client, toClient) })
	}
}

// copy goes on until one side is gone, or a message is lost.
func (r *relay) copy(from, to net.Conn, whose direction) {
	defer r.end(from)
	defer r.end(to)
	buffer := make([]byte, 64<<10)
	for {
		count, err := from.Read(buffer)
		if err != nil || !r.passes(whose) {
			return
		}
		if _, err := to.Write(buffer[:count]); err != nil {
			return
		}
	}
}

// passes counts a message, and reports whether it arrives.
func (r *relay) passes(whose direction) bool {
	r.mu.Lock()
	r.passed[whose]++
	lost, call := r.passed[whose] == r.strikeAt[whose], r.struck
	r.mu.Unlock()
	if lost {
		call()
	}
	return !lost
}

func (r *relay) end(conn net.Conn) {
	_ = conn.Close()
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.conns, conn)
}
