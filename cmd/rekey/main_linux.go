package main

import "golang.org/x/sys/unix"

// harden keeps the memory of the process, which holds passwords, out of core
// files and from other processes of the same user.
func harden() {
	_ = unix.Prctl(unix.PR_SET_DUMPABLE, 0, 0, 0, 0)
	_ = unix.Setrlimit(unix.RLIMIT_CORE, &unix.Rlimit{})
}
