//go:build crashpoints

package main

import (
	"os"
	"strconv"
	"sync/atomic"
	"syscall"
)

// crashPoint notes each crash point in the file that REKEY_CRASH_LOG names, and ends
// the process like kill -9 at the one of REKEY_CRASH_POINT whose number among those
// is REKEY_CRASH_AT.
func crashPoint() func(point string) {
	path, of := os.Getenv("REKEY_CRASH_LOG"), os.Getenv("REKEY_CRASH_POINT")
	if path == "" {
		return nil
	}
	at, _ := strconv.ParseInt(os.Getenv("REKEY_CRASH_AT"), 10, 64) // 0: at none
	var passed atomic.Int64
	return func(point string) {
		if log, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600); err == nil {
			_, _ = log.WriteString(point + "\n")
			_ = log.Close()
		}
		if point == of && passed.Add(1) == at {
			_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
		}
	}
}
