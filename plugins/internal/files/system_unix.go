//go:build unix

package files

import (
	"errors"
	"io/fs"
	"os"
	"slices"
	"syscall"

	"github.com/rekey-host/rekey/sdk"
)

// Flock takes the lock, or returns ErrLocked at once. Closing file lets it go, as
// the end of the process does.
func Flock(file *os.File) error {
	err := syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	if errors.Is(err, syscall.EWOULDBLOCK) {
		return ErrLocked
	}
	return os.NewSyscallError("flock "+file.Name(), err)
}

// Likeness gives draft the owner, the access lists and the mode of the file at
// path.
func Likeness(draft *os.File, path string, info fs.FileInfo) error {
	st := info.Sys().(*syscall.Stat_t)
	if mine, err := draft.Stat(); err != nil {
		return err
	} else if own := mine.Sys().(*syscall.Stat_t); own.Uid != st.Uid || own.Gid != st.Gid {
		if err := draft.Chown(int(st.Uid), int(st.Gid)); err != nil {
			return err
		}
	}
	if err := copyAttributes(draft, path); err != nil {
		return err
	}
	return draft.Chmod(info.Mode().Perm())
}

// IdentityOf is what the system tells of a file's state.
func IdentityOf(info fs.FileInfo) Identity {
	st := info.Sys().(*syscall.Stat_t)
	return Identity{device: uint64(st.Dev), inode: st.Ino, size: info.Size(), modified: info.ModTime().UnixNano(), changed: changedAt(st)}
}

// OpenNow opens a file for reading and waits for nobody.
func OpenNow(path string) (*os.File, error) {
	return os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
}

// Obstacles returns what will hinder a replacement of the file at path in dir;
// info is nil if it is to be made.
func Obstacles(dir, path string, info fs.FileInfo) []sdk.Finding {
	const write, search = 2, 1
	var found []sdk.Finding
	if err := syscall.Access(dir, write|search); err != nil {
		failure := Error(&fs.PathError{Op: "write to", Path: dir, Err: err})
		found = append(found, sdk.Finding{Severity: sdk.Bad, Code: failure.Code, Message: failure.Message, Fix: "let rekey create files in the directory"})
	}
	if info == nil {
		return found
	}
	if err := syscall.Access(path, write); err != nil {
		failure := Error(&fs.PathError{Op: "write", Path: path, Err: err})
		found = append(found, sdk.Finding{Severity: sdk.Bad, Code: failure.Code, Message: failure.Message, Fix: "the file is there to be read only; let rekey write it"})
	}
	found = append(found, pinned(dir, path)...)
	st := info.Sys().(*syscall.Stat_t)
	if !canGive(st) {
		found = append(found, sdk.Finding{Severity: sdk.Bad, Code: sdk.PermissionDenied,
			Message: "the file belongs to another user or group, which a replacement could not keep", Fix: "run rekey as its owner"})
	}
	if st.Nlink > 1 {
		found = append(found, sdk.Finding{Severity: sdk.Warning,
			Message: "the file has hard links: they will keep showing the old one", Fix: "use a symbolic link"})
	}
	return found
}

// canGive reports whether this process may make a file of that owner.
func canGive(st *syscall.Stat_t) bool {
	me := os.Geteuid()
	if me == 0 {
		return true
	}
	groups, err := os.Getgroups()
	mine := err == nil && slices.Contains(append(groups, os.Getegid()), int(st.Gid))
	return int(st.Uid) == me && mine
}
