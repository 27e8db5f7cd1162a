//go:build unix

package ldap

import (
	"errors"
	"net"
	"syscall"
)

// hungUp reports whether there is anything to read, the end included. On a
// connection that waits for nothing both mean that it is over. It does not
// block and takes nothing away.
func hungUp(conn net.Conn) bool {
	s, ok := conn.(syscall.Conn)
	if !ok {
		return false
	}
	raw, err := s.SyscallConn()
	if err != nil {
		return true
	}
	found := false
	var one [1]byte
	err = raw.Read(func(fd uintptr) bool {
		_, _, err := syscall.Recvfrom(int(fd), one[:], syscall.MSG_PEEK|syscall.MSG_DONTWAIT)
		found = !errors.Is(err, syscall.EAGAIN) && !errors.Is(err, syscall.EINTR)
		return true
	})
	return found || err != nil
}
