package launch

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

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

// endOrphan ends a child, and the group that it may lead.
func endOrphan(pid int) {
	if group, err := syscall.Getpgid(pid); err == nil && group == pid {
		killGroup(pid)
	}
	_ = syscall.Kill(pid, syscall.SIGKILL)
	for {
		if _, err := syscall.Wait4(pid, nil, 0, nil); err != syscall.EINTR {
			return
		}
	}
}
