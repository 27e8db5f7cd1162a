//go:build !linux

package launch

import "syscall"

// ownGroup puts the process in a group of its own.
func ownGroup() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setpgid: true} }

// awaitExit cannot wait without reaping here.
func awaitExit(int) bool { return false }

func killGroup(pid int) { _ = syscall.Kill(-pid, syscall.SIGKILL) }

// descriptorPath knows no name for an open file here.
func descriptorPath(int) string { return "" }

// changeTime is not known here: the content has to do.
func changeTime(*syscall.Stat_t) syscall.Timespec { return syscall.Timespec{} }
