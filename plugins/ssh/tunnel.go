package ssh

import (
	"io"
	"net"
)

// tunnel is a connection through a host on the way. Closed it is closed at once: a
// channel is closed only when the other end says so too, and a host that has gone
// silent never does.
type tunnel struct {
	net.Conn // our end of a pipe
	far      net.Conn
}

// newTunnel copies between a pipe and a channel, until either is closed. What reads
// from the channel ends with the connection below, at the latest.
func newTunnel(far net.Conn) net.Conn {
	ours, theirs := net.Pipe()
	go func() {
		_, _ = io.Copy(theirs, far)
		_ = theirs.Close()
	}()
	go func() {
		_, _ = io.Copy(far, theirs)
		_ = far.Close()
	}()
	return tunnel{ours, far}
}

// RemoteAddr is the channel's: known_hosts asks for one.
func (t tunnel) RemoteAddr() net.Addr { return t.far.RemoteAddr() }
