package ldaptest

import (
	"os/exec"
	"syscall"
)

// detach keeps signals of the terminal from the server, and takes it down with
// a test that dies without stopping it.
func detach(c *exec.Cmd) {
	c.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}
