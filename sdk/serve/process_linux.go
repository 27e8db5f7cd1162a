package serve

import (
	"os"

	"golang.org/x/sys/unix"
)

// takeStdout returns the real standard output, for the handshake, and makes
// what everybody else writes there go to standard error: the descriptor and not
// only os.Stdout, because children and C libraries print too.
func takeStdout() (*os.File, error) {
	fd, err := unix.FcntlInt(1, unix.F_DUPFD_CLOEXEC, 3)
	if err != nil {
		return nil, err
	}
	if err := unix.Dup3(2, 1, 0); err != nil {
		return nil, err
	}
	return os.NewFile(uintptr(fd), "handshake"), nil
}

// forbidDumps keeps the memory of the process from core files and from other
// processes of the same user. Where it cannot be, serving goes on.
func forbidDumps() {
	_ = unix.Setrlimit(unix.RLIMIT_CORE, &unix.Rlimit{})
	_ = unix.Prctl(unix.PR_SET_DUMPABLE, 0, 0, 0, 0)
}
