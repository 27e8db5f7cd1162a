//go:build !linux

package serve

import (
	"os"
	"syscall"
)

// takeStdout returns the real standard output, for the handshake, and makes
// what everybody else writes there go to standard error.
func takeStdout() (*os.File, error) {
	fd, err := syscall.Dup(1)
	if err != nil {
		return nil, err
	}
	syscall.CloseOnExec(fd)
	if err := syscall.Dup2(2, 1); err != nil {
		return nil, err
	}
	return os.NewFile(uintptr(fd), "handshake"), nil
}

// forbidDumps keeps the memory of the process from core files.
func forbidDumps() { _ = syscall.Setrlimit(syscall.RLIMIT_CORE, &syscall.Rlimit{}) }
