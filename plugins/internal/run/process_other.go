//go:build unix && !linux

package run

import (
	"os/exec"
	"syscall"
)

// apart puts a program in a session of its own: without a terminal, so that who
// asks one for a password reads standard input.
func apart() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setsid: true} }

// awaitExit reaps the program, where no system call waits without that.
func awaitExit(cmd *exec.Cmd) { _ = cmd.Wait() }

// onlyZombies is not known here.
func onlyZombies(int) bool { return false }
