package mysql

import (
	"context"
	"database/sql"
	"fmt"
	"net"
	"net/netip"
	"sync"
)

// thread is a session as its server has it: a number, which means another session
// on another server.
type thread struct {
	number int64
	node   string // the server
	direct bool   // there is nothing in between, so that it is this session's alone
}

// node tells servers apart that have one name. What a kind of server does not
// have is left out.
func (s *server) node() string {
	if s.maria {
		return "CONCAT_WS(' ', @@hostname, @@port, @@global.server_id, @@datadir, @@pid_file)"
	}
	return "CONCAT_WS(' ', @@hostname, @@port, @@server_uuid)"
}

// thread asks who a session is. A proxy may answer CONNECTION_ID() itself, and may
// send the next statement to another server or over another connection: only
// where the server sees the very connection that was made here, and takes writes,
// its number is known to be that of what follows.
func (i *Instance) thread(ctx context.Context, conn *sql.Conn, met *server) (thread, error) {
	var made thread
	var from, socket string
	var readOnly bool
	err := conn.QueryRowContext(ctx, "SELECT ID, HOST, "+met.node()+", @@socket, @@global.read_only FROM information_schema.PROCESSLIST WHERE ID = CONNECTION_ID()").
		Scan(&made.number, &from, &made.node, &socket, &readOnly)
	if err == sql.ErrNoRows {
		return thread{}, nil
	}
	if i.Network == "unix" {
		made.direct = socket == i.Address
	} else {
		made.direct = i.dialed.has(from)
	}
	made.direct = made.direct && !readOnly
	return made, err
}

// over ends the thread, asked over another connection, and reports whether it is
// known to be over.
func (t thread) over(ctx context.Context, conn *sql.Conn, met *server) bool {
	var node string
	if err := conn.QueryRowContext(ctx, "SELECT "+met.node()).Scan(&node); err != nil || !t.direct || node != t.node {
		return false // the number may be another session's
	}
	_, _ = conn.ExecContext(ctx, fmt.Sprintf("KILL %d", t.number)) // it may be gone by itself
	return gone(ctx, conn, t.number)
}

// dialed are this end's addresses of the connections that are open.
type dialed struct {
	mu   sync.Mutex
	open map[string]netip.Addr // by port
}

// add notes a connection for as long as it is open.
func (d *dialed) add(conn net.Conn) net.Conn {
	tcp, ok := conn.(*net.TCPConn)
	if !ok {
		return conn
	}
	address := tcp.LocalAddr().(*net.TCPAddr).AddrPort()
	port := fmt.Sprint(address.Port())
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.open == nil {
		d.open = map[string]netip.Addr{}
	}
	d.open[port] = address.Addr().Unmap()
	return &noted{TCPConn: tcp, closed: func() {
		d.mu.Lock()
		defer d.mu.Unlock()
		delete(d.open, port)
	}}
}

// has reports whether HOST:PORT, as a server tells it, is one of the connections. A
// host that is a name cannot be compared.
func (d *dialed) has(address string) bool {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return false
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	known, ok := d.open[port]
	if seen, err := netip.ParseAddr(host); ok && err == nil {
		return seen.Unmap() == known
	}
	return ok
}

// noted is a connection that is noted.
type noted struct {
	*net.TCPConn
	once   sync.Once
	closed func()
}

// Close ends the connection.
func (n *noted) Close() error {
	n.once.Do(n.closed)
	return n.TCPConn.Close()
}
