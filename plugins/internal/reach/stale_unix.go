//go:build unix

package reach

import (
	"crypto/tls"
	"errors"
	"net"
	"syscall"
)

// HungUp reports whether there is anything to read, the end included. On a
// connection that waits for nothing both mean that it is over. It takes nothing
// away, and does not block, even while another goroutine reads: clients like to
// read ahead.
func HungUp(conn net.Conn) bool {
	if secured, ok := conn.(*tls.Conn); ok {
		conn = secured.NetConn()
	}
	plain, ok := conn.(syscall.Conn)
	if !ok {
		return false
	}
	raw, err := plain.SyscallConn()
	if err != nil {
		return true
	}
	found := false
	var one [1]byte
	err = raw.Control(func(fd uintptr) {
		_, _, err := syscall.Recvfrom(int(fd), one[:], syscall.MSG_PEEK|syscall.MSG_DONTWAIT)
		found = !errors.Is(err, syscall.EAGAIN) && !errors.Is(err, syscall.EINTR)
	})
	return found || err != nil
}
