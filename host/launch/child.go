package launch

import (
	"os"
	"os/exec"
	"runtime"
	"sync"
	"time"
)

// child is the process of a plugin, from its start until it is reaped.
type child struct {
	cmd      *exec.Cmd
	files    []*os.File // of the child, closed here once it has them
	liveness *os.File   // held open as long as this process lives
	outputs  []*os.File // that the child writes to, read here

	brood   *Brood // of this process; may be nil
	scratch string // the directory of its socket
	bundled bool   // see Command

	pid     int
	exited  chan struct{} // closed when the process is reaped
	state   *os.ProcessState
	killing sync.Mutex // of pid, killed and reaped, and of signals against them
	killed  bool
	reaped  bool
	readers sync.WaitGroup // of outputs
}

// live starts the process and stays until it is reaped. It keeps its thread for
// that long: the kernel takes the end of the thread for the end of the host.
func (c *child) live(started chan<- error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	if err := c.brood.start(c); err != nil {
		started <- err
		return
	}
	c.started()
	started <- nil
	c.reap()
}

func (c *child) closeFiles() {
	for _, file := range c.files {
		_ = file.Close()
	}
	c.files = nil
}

// started notes the process, and kills it if asked to already.
func (c *child) started() {
	c.killing.Lock()
	defer c.killing.Unlock()
	c.pid = c.cmd.Process.Pid
	if c.killed {
		killGroup(c.pid)
	}
}

// reap reaps the process and ends its descendants.
func (c *child) reap() {
	if awaitExit(c.pid) {
		c.killGroup() // its descendants: unreaped, the leader keeps the group's number theirs
		c.killing.Lock()
		_ = c.cmd.Wait()
	} else {
		_ = c.cmd.Wait()
		c.killing.Lock()
	}
	c.state, c.reaped = c.cmd.ProcessState, true
	c.killing.Unlock()
	c.brood.left(c)
	deadline := time.Now().Add(pipeGrace)
	for _, output := range c.outputs {
		_ = output.SetReadDeadline(deadline)
	}
	_ = c.liveness.Close()
	close(c.exited)
}

// killGroup kills the process and its descendants; one not started yet
// as soon as it is. Afterwards it does nothing.
func (c *child) killGroup() {
	c.killing.Lock()
	defer c.killing.Unlock()
	c.killed = true
	if c.pid > 0 && !c.reaped {
		killGroup(c.pid)
	}
}

// wait waits until the process is reaped and its pipes are read.
func (c *child) wait() {
	if c.pid > 0 {
		<-c.exited
	}
	c.readers.Wait()
}

func (c *child) hasExited() bool {
	select {
	case <-c.exited:
		return true
	default:
		return false
	}
}

// endsWithin waits for the end of the process and reports whether it came.
func (c *child) endsWithin(span time.Duration) bool {
	timer := time.NewTimer(span)
	defer timer.Stop()
	select {
	case <-c.exited:
		return true
	case <-timer.C:
		return false
	}
}

// pipeGrace is how long descendants of a dead plugin may hold its pipes.
const pipeGrace = 500 * time.Millisecond
