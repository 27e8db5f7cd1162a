package run

import (
	"errors"
	"os/exec"
	"syscall"

	"golang.org/x/sys/unix"
)

// apart puts a program in a session of its own: without a terminal, so that who
// asks one for a password reads standard input. The kernel kills it with us.
func apart() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setsid: true, Pdeathsig: syscall.SIGKILL}
}

// awaitExit returns when the program has ended, and leaves it to be reaped.
func awaitExit(cmd *exec.Cmd) {
	for errors.Is(unix.Waitid(unix.P_PID, cmd.Process.Pid, nil, unix.WEXITED|unix.WNOWAIT, nil), unix.EINTR) {
		continue
	}
}
