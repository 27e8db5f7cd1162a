package backendtest

import (
	"fmt"
	"net"
	"os"
	"strings"
	"sync"
	"syscall"
	"time"
)

// fault is what a relay does to one exchange.
type fault int

// The faults.
const (
	passes     fault = iota
	refuses          // the connection ends, and no other is taken
	cutsBefore       // what the backend sent is lost, and the connection ends
	cutsAfter        // the server gets it; its answer is lost, and the connection ends
	withholds        // the server gets it; its answer never comes
	stalls           // the server gets it when the backend has long given up
)

// String names the fault in a message.
func (f fault) String() string {
	return [...]string{"no fault", "a refused connection", "a cut before the server got it", "a cut after the server did it", "an answer that never comes", "a request that comes late"}[f]
}

// relay stands between a backend and its server, and knows neither's language. An
// exchange begins when the backend sends after the server has spoken, or first, and
// lasts until the server speaks again. One of them meets with the fault.
type relay struct {
	closed   int          // the socket that is bound and not yet listened on; -1: it is
	listener net.Listener // nil: there is none yet
	number   int          // of its port
	server   string
	fault    fault
	at       int           // the exchange that meets with the fault, from 0
	release  chan struct{} // closed: what is held goes on
	held     sync.WaitGroup
	all      sync.WaitGroup

	mu        sync.Mutex
	delay     time.Duration // of everything that the backend sends
	conns     map[net.Conn]bool
	exchanges int
	open      int // exchanges that wait for the server
	most      int // the most of them at once
	fired     bool
	away      bool
}

// startRelay listens on the server's kind of network, on this machine.
func startRelay(server string, fault fault, at int) (*relay, error) {
	made := &relay{server: server, fault: fault, at: at, release: make(chan struct{}), conns: map[net.Conn]bool{}}
	if err := made.bind(); err != nil {
		return nil, err
	}
	made.away = fault == refuses && at == 0
	made.fired = made.away
	if made.away {
		return made, nil
	}
	return made, made.listen()
}

// bind takes a port. Until listen, the system refuses connections to it, and gives
// it to no other.
func (r *relay) bind() error {
	socket, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	r.closed = socket
	if err := syscall.Bind(socket, &syscall.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		return err
	}
	name, err := syscall.Getsockname(socket)
	if err != nil {
		return err
	}
	r.number = name.(*syscall.SockaddrInet4).Port
	return nil
}

// listen takes connections from now on.
func (r *relay) listen() error {
	if err := syscall.Listen(r.closed, 128); err != nil {
		return err
	}
	file := os.NewFile(uintptr(r.closed), "relay")
	defer func() { _ = file.Close() }()
	listener, err := net.FileListener(file)
	if err != nil {
		return err
	}
	r.listener, r.closed = listener, -1
	r.all.Go(r.accept)
	return nil
}

// address is where the backend finds the relay, under the server's own host name:
// the server's certificate is of that.
func (r *relay) address() string {
	host, _, err := net.SplitHostPort(r.server)
	if err != nil {
		host = "127.0.0.1"
	}
	return net.JoinHostPort(host, r.port())
}

func (r *relay) port() string {
	return fmt.Sprint(r.number)
}

func (r *relay) accept() {
	for {
		client, err := r.listener.Accept()
		if err != nil {
			return
		}
		if !r.keep(client) {
			_ = client.Close()
			continue
		}
		r.all.Go(func() { r.carry(client) })
	}
}

// keep notes a connection, unless there are to be none.
func (r *relay) keep(conn net.Conn) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.away {
		return false
	}
	r.conns[conn] = true
	return true
}

// repair lets everything pass from now on.
func (r *relay) repair() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.fault, r.away = passes, false
	if r.listener != nil {
		return nil
	}
	return r.listen()
}

// slow delays everything that the backend sends from now on.
func (r *relay) slow(delay time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.delay = delay
}

func (r *relay) pause() time.Duration {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.delay
}

// busiest is how many exchanges waited for the server at once, at most.
func (r *relay) busiest() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.most
}

// met reports whether an exchange has met with the fault.
func (r *relay) met() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.fired
}

// settle lets what is held go on, and returns when the server has had all of it and
// is done.
func (r *relay) settle() {
	r.mu.Lock()
	select {
	case <-r.release:
	default:
		close(r.release)
	}
	r.fault = passes // nothing more is held
	r.mu.Unlock()
	r.held.Wait()
}

func (r *relay) close() {
	r.settle()
	r.mu.Lock()
	if r.listener != nil {
		_ = r.listener.Close()
	} else {
		_ = syscall.Close(r.closed)
	}
	for conn := range r.conns {
		_ = conn.Close()
	}
	r.mu.Unlock()
	r.all.Wait()
}

// turn is whose word it is on one connection.
type turn struct {
	mu      sync.Mutex
	waiting bool // an exchange waits for the server
	drops   bool // the backend gets nothing more
	cuts    bool // the connection ends with the server's next word
}

// carry carries one connection.
func (r *relay) carry(client net.Conn) {
	defer func() { _ = client.Close() }()
	server, err := net.DialTimeout("tcp", r.server, 5*time.Second)
	if err != nil {
		return
	}
	defer func() { _ = server.Close() }()
	if !r.keep(server) {
		return
	}
	turn := &turn{}
	done := make(chan struct{})
	go func() {
		defer close(done)
		r.down(server, client, turn)
		_ = client.Close()
	}()
	r.up(client, server, turn)
	if tcp, ok := server.(*net.TCPConn); ok {
		_ = tcp.CloseWrite() // what was sent is still carried out
	}
	select {
	case <-done:
	case <-time.After(2 * time.Second):
	}
	r.answered(turn)
}

// up carries what the backend sends.
func (r *relay) up(client, server net.Conn, turn *turn) {
	buffer := make([]byte, 1<<16)
	for {
		count, err := client.Read(buffer)
		if count > 0 && !r.forward(buffer[:count], client, server, turn) {
			return
		}
		if err != nil {
			return
		}
	}
}

// forward passes on what was read, or does what the fault says; false: that was all.
func (r *relay) forward(data []byte, client, server net.Conn, turn *turn) bool {
	switch r.begin(turn) {
	case refuses, cutsBefore:
		_ = client.Close()
		_ = server.Close()
		return false
	case cutsAfter:
		turn.set(func() { turn.cuts = true })
	case withholds:
		turn.set(func() { turn.drops = true })
	case stalls:
		turn.set(func() { turn.drops = true })
		defer r.held.Done()
		<-r.release
		_, _ = server.Write(data)
		if tcp, ok := server.(*net.TCPConn); ok {
			_ = tcp.CloseWrite()
		}
		drain(server)
		return false
	}
	time.Sleep(r.pause())
	_, err := server.Write(data)
	return err == nil
}

// drain waits until the server is done with a connection that the backend has left.
func drain(server net.Conn) {
	_ = server.SetReadDeadline(time.Now().Add(2 * time.Second))
	buffer := make([]byte, 1<<12)
	for {
		if _, err := server.Read(buffer); err != nil {
			return
		}
	}
}

func (t *turn) set(change func()) {
	t.mu.Lock()
	defer t.mu.Unlock()
	change()
}

// begin counts an exchange, if one begins, and returns its fault.
func (r *relay) begin(turn *turn) fault {
	turn.mu.Lock()
	begins := !turn.waiting
	turn.waiting = true
	turn.mu.Unlock()
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.away {
		return refuses
	}
	if !begins {
		return passes
	}
	r.open++
	r.most = max(r.most, r.open)
	number := r.exchanges
	r.exchanges++
	if number != r.at || r.fault == passes || r.fired {
		return passes
	}
	r.fired, r.away = true, r.fault == refuses
	if r.fault == stalls {
		r.held.Add(1)
	}
	return r.fault
}

// answered ends an exchange, if one waits.
func (r *relay) answered(turn *turn) {
	turn.mu.Lock()
	waited := turn.waiting
	turn.waiting = false
	turn.mu.Unlock()
	if waited {
		r.mu.Lock()
		r.open--
		r.mu.Unlock()
	}
}

// down carries what the server says.
func (r *relay) down(server, client net.Conn, turn *turn) {
	buffer := make([]byte, 1<<16)
	for {
		count, err := server.Read(buffer)
		if err != nil {
			return
		}
		turn.mu.Lock()
		drops, cuts := turn.drops, turn.cuts
		turn.mu.Unlock()
		switch {
		case cuts:
			_ = server.Close()
			return
		case drops:
			continue
		}
		r.answered(turn)
		if _, err := client.Write(buffer[:count]); err != nil {
			return
		}
	}
}

// through is a setting that says where the server is, with the relay in its place;
// false: the server does not stand there.
func (r *relay) through(value any) (any, bool) {
	_, port, _ := net.SplitHostPort(r.server)
	switch value := value.(type) {
	case string:
		return strings.ReplaceAll(value, r.server, r.address()), strings.Contains(value, r.server)
	case []string:
		var list []string
		found := false
		for _, one := range value {
			found = found || strings.Contains(one, r.server)
			list = append(list, strings.ReplaceAll(one, r.server, r.address()))
		}
		return list, found
	case int64:
		return int64(r.number), fmt.Sprint(value) == port
	}
	return nil, false
}
