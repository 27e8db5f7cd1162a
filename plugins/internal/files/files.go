// Package files is what backends of files have in common: waiting for a lock,
// replacing a file by one that is like it, and what hinders that. It knows nothing
// of what stands in a file.
package files

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"github.com/rekey-host/rekey/sdk"
)

// ErrLocked says that another process holds the lock.
var ErrLocked = errors.New("another process holds the lock")

// Identity tells one state of a file from the next.
type Identity struct {
	device, inode     uint64
	size              int64
	modified, changed int64 // in nanoseconds
}

// Touched is when the file was changed last, in nanoseconds.
func (i Identity) Touched() int64 { return max(i.modified, i.changed) }

// Wait calls try until it returns no ErrLocked, or ctx ends. It polls: flock(2)
// cannot be told to give up at a deadline.
func Wait(ctx context.Context, try func() error) error {
	pause := time.NewTimer(0)
	defer pause.Stop()
	var held error
	for {
		select {
		case <-ctx.Done():
			return errors.Join(ctx.Err(), held)
		case <-pause.C:
		}
		if held = try(); !errors.Is(held, ErrLocked) {
			return held
		}
		pause.Reset(2 * time.Millisecond)
	}
}

// DraftName is the pattern of the names under which a file is written before
// it takes the place of target.
func DraftName(target string) string { return "." + filepath.Base(target) + ".rekey-*" }

// Sweep removes drafts that a killed process left. Under the lock nobody else
// has one.
func Sweep(target string) {
	dir := filepath.Dir(target)
	names, err := os.ReadDir(dir)
	if err != nil {
		return
	}
	prefix := DraftName(target)
	prefix = prefix[:len(prefix)-1]
	for _, dirEntry := range names {
		if len(dirEntry.Name()) > len(prefix) && dirEntry.Name()[:len(prefix)] == prefix {
			_ = os.Remove(filepath.Join(dir, dirEntry.Name())) // a leftover hinders nobody
		}
	}
}

// SyncDir makes what was renamed in a directory last.
func SyncDir(dir string) error {
	file, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer func() { _ = file.Close() }()
	return file.Sync()
}

// Error maps what the system says. It is nil for a nil err.
func Error(err error) *sdk.Error {
	var known *sdk.Error
	switch {
	case err == nil:
		return nil
	case errors.As(err, &known):
		return known
	case errors.Is(err, context.DeadlineExceeded):
		return sdk.Errorf(sdk.Timeout, "the file was not replaced in time")
	case errors.Is(err, context.Canceled):
		return sdk.Errorf(sdk.Cancelled, "given up before the file was replaced")
	}
	code := sdk.TargetError
	switch {
	case errors.Is(err, fs.ErrPermission):
		code = sdk.PermissionDenied
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, syscall.ENOTDIR), errors.Is(err, syscall.EISDIR), errors.Is(err, syscall.ELOOP):
		code = sdk.InvalidConfig
	case errors.Is(err, syscall.EROFS):
		code = sdk.ReadOnly
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT), errors.Is(err, syscall.EIO), errors.Is(err, syscall.EMFILE), errors.Is(err, syscall.ENFILE):
		code = sdk.TargetUnavailable
	}
	return &sdk.Error{Code: code, Message: err.Error(), Native: native(err)}
}

func native(err error) string {
	var errno syscall.Errno
	if errors.As(err, &errno) {
		return errno.Error()
	}
	return ""
}
