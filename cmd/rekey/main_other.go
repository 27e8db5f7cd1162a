//go:build !linux

package main

import "syscall"

// harden keeps the memory of the process, which holds passwords, out of core
// files.
func harden() { _ = syscall.Setrlimit(syscall.RLIMIT_CORE, &syscall.Rlimit{}) }
