package launch

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// reapOrphans has processes whose parents are gone come to this one. Without it
// they come to the first process, and stay.
func reapOrphans() { _ = unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) }

// childrenHere are the processes whose parent this one is.
func childrenHere() []int {
	var found []int
	tasks, _ := filepath.Glob("/proc/self/task/*/children")
	for _, task := range tasks {
		text, err := os.ReadFile(task)
		if err != nil {
			continue // a thread that ended
		}
		for _, field := range strings.Fields(string(text)) {
			if pid, err := strconv.Atoi(field); err == nil {
				found = append(found, pid)
			}
		}
	}
	return found
}

// environOf is what a process was started with; nil of one that has ended.
func environOf(pid int) []byte {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/environ", pid))
	if err != nil {
		return nil
	}
	return text
}

// inOwnGroup reports whether a process is in the group of this one.
func inOwnGroup(pid int) bool {
	group, err := syscall.Getpgid(pid)
	return err == nil && group == syscall.Getpgrp()
}

// endOrphan ends a child, and the group that it may lead, and reports whether it
// is gone. The kernel lets this process end none of another user, and one that
// waits for a disk ends later.
func endOrphan(pid int, until time.Time) bool {
	if group, err := syscall.Getpgid(pid); err == nil && group == pid {
		killGroup(pid)
	}
	if syscall.Kill(pid, syscall.SIGKILL) != nil {
		return false
	}
	for !buried(pid) {
		if time.Now().After(until) {
			return false
		}
		time.Sleep(time.Millisecond)
	}
	return true
}

// buried reaps a child that has ended, and reports whether it is gone. It does not
// wait.
func buried(pid int) bool {
	reaped, err := syscall.Wait4(pid, nil, syscall.WNOHANG, nil)
	return reaped == pid || errors.Is(err, syscall.ECHILD)
}
