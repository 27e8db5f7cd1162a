//go:build !linux

package bounded

import "golang.org/x/sys/unix"

// isTerminal reports whether a descriptor is a terminal's.
func isTerminal(fd int) bool {
	_, err := unix.IoctlGetTermios(fd, unix.TIOCGETA)
	return err == nil
}
