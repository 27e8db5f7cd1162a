package ldaptest

import (
	"bytes"
	"math/rand/v2"
	"net"
	"strings"
	"sync"
	"testing"
	"time"
)

// passwordModify is the extended operation that a Holder holds (RFC 3062).
var passwordModify = []byte("1.3.6.1.4.1.4203.1.11.1")

// Holder is a TCP relay before a server that holds back requests which change a
// password. They reach the server whatever becomes of the client meanwhile, in
// any order; who sent them gets no answer in time.
type Holder struct {
	URL string // ldap://127.0.0.1:PORT

	target   string
	listener net.Listener
	running  sync.WaitGroup

	mu      sync.Mutex
	percent int           // of the requests that are held
	longest time.Duration // that one is held; 0: until Release
	luck    *rand.Rand
	held    map[*wait]bool
	total   int
	seen    int
	conns   map[net.Conn]bool
}

// wait is one request that is held.
type wait struct {
	pass    chan struct{} // closed when it may go on
	settled chan struct{} // closed when the server has answered it, or is gone
	once    sync.Once
}

func (w *wait) release() { w.once.Do(func() { close(w.pass) }) }

// way is the connection to the server for one client.
type way struct {
	net.Conn
	mu      sync.Mutex
	waiting []*wait // that the server has, and has not answered
	gone    bool
}

// sent notes that the server has a request that was held.
func (y *way) sent(wait *wait) {
	y.mu.Lock()
	defer y.mu.Unlock()
	if y.gone {
		close(wait.settled)
		return
	}
	y.waiting = append(y.waiting, wait)
}

// heard notes that the server answered, or is gone.
func (y *way) heard(gone bool) {
	y.mu.Lock()
	defer y.mu.Unlock()
	for _, wait := range y.waiting {
		close(wait.settled)
	}
	y.waiting, y.gone = nil, gone
}

// StartHolder relays to a server's plain port until the test ends. It holds
// nothing until Hold is called.
func StartHolder(t testing.TB, server *Server, seed uint64) *Holder {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	holder := &Holder{URL: "ldap://" + listener.Addr().String(), target: strings.TrimPrefix(server.URL, "ldap://"), listener: listener,
		luck: rand.New(rand.NewPCG(seed, 1)), held: map[*wait]bool{}, conns: map[net.Conn]bool{}}
	holder.running.Go(holder.accept)
	t.Cleanup(holder.Stop)
	return holder
}

// Hold holds so many of a hundred requests from now on, each for a random time
// up to longest, or, where that is 0, until Release.
func (h *Holder) Hold(percent int, longest time.Duration) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.percent, h.longest = percent, longest
}

// Release lets everything that is held go on, in any order, and returns when
// the server has answered it.
func (h *Holder) Release() {
	h.mu.Lock()
	var all []*wait
	for wait := range h.held { // the order of a map is a random one
		all = append(all, wait)
	}
	h.mu.Unlock()
	for _, wait := range all {
		wait.release()
	}
	for _, wait := range all {
		<-wait.settled
	}
}

// Held is how many requests were held so far.
func (h *Holder) Held() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.total
}

// Seen is how many requests that change a password came so far.
func (h *Holder) Seen() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.seen
}

// Drop closes all connections of clients, as a firewall that forgets them
// would.
func (h *Holder) Drop() {
	h.mu.Lock()
	defer h.mu.Unlock()
	for conn := range h.conns {
		_ = conn.Close()
	}
}

// Stop ends the relay and waits for it.
func (h *Holder) Stop() {
	_ = h.listener.Close()
	h.Drop()
	h.Release()
	h.running.Wait()
}

func (h *Holder) accept() {
	for {
		client, err := h.listener.Accept()
		if err != nil {
			return
		}
		server, err := net.Dial("tcp", h.target)
		if err != nil {
			_ = client.Close()
			continue
		}
		h.mu.Lock()
		h.conns[client] = true
		h.mu.Unlock()
		made := &way{Conn: server}
		h.running.Go(func() { h.forth(client, made) })
		h.running.Go(func() { back(made, client) })
	}
}

// forth relays what a client sends. What comes behind a request that is held
// waits too, as on any connection.
func (h *Holder) forth(client net.Conn, server *way) {
	defer h.forget(client)
	defer time.AfterFunc(lingering, func() { _ = server.Close() })
	buffer := make([]byte, 64<<10)
	for {
		count, err := client.Read(buffer)
		if err != nil {
			return
		}
		var w *wait
		if bytes.Contains(buffer[:count], passwordModify) {
			w = h.keep()
		}
		_, err = server.Write(buffer[:count])
		if w != nil {
			server.sent(w)
		}
		if err != nil {
			return
		}
	}
}

// lingering is how long a connection stays whose client is gone: a server gives
// up what it has not begun when it is closed.
const lingering = 2 * time.Second

func (h *Holder) forget(client net.Conn) {
	_ = client.Close()
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.conns, client)
}

// keep returns when a request may go on, and what it waited for: mostly at once
// and nothing.
func (h *Holder) keep() *wait {
	h.mu.Lock()
	h.seen++
	if h.luck.IntN(100) >= h.percent {
		h.mu.Unlock()
		return nil
	}
	made := &wait{pass: make(chan struct{}), settled: make(chan struct{})}
	h.held[made] = true
	h.total++
	if h.longest > 0 {
		time.AfterFunc(time.Duration(h.luck.Int64N(int64(h.longest))), made.release)
	}
	h.mu.Unlock()
	<-made.pass
	go func() {
		<-made.settled
		h.mu.Lock()
		defer h.mu.Unlock()
		delete(h.held, made)
	}()
	return made
}

// back relays what the server sends; a client that is gone loses it.
func back(server *way, client net.Conn) {
	buffer := make([]byte, 64<<10)
	for {
		count, err := server.Read(buffer)
		server.heard(err != nil)
		if err != nil {
			_ = client.Close()
			return
		}
		_, _ = client.Write(buffer[:count])
	}
}
