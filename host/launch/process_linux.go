package launch

import (
	"errors"
	"fmt"
	"syscall"

	"golang.org/x/sys/unix"
)

// ownGroup puts the process in a group of its own and has the kernel kill it
// when the thread that started it ends.
func ownGroup() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}

// awaitExit returns when the process has ended and is not reaped yet. It reports
// whether it could wait for that.
func awaitExit(pid int) bool {
	for {
		err := unix.Waitid(unix.P_PID, pid, nil, unix.WEXITED|unix.WNOWAIT, nil)
		if !errors.Is(err, unix.EINTR) {
			return err == nil
		}
	}
}

func killGroup(pid int) { _ = syscall.Kill(-pid, syscall.SIGKILL) }

// descriptorPath names an open file of the process that looks it up.
func descriptorPath(fd int) string { return fmt.Sprintf("/proc/self/fd/%d", fd) }

func changeTime(stat_t *syscall.Stat_t) syscall.Timespec { return stat_t.Ctim }
