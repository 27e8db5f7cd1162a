package ldaptest

import (
	"os/exec"
	"syscall"
)

// detach keeps signals of the terminal from the server, and takes it down with
// a test that dies without stopping it.
func detach(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}
