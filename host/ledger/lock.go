package ledger

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/rekey-host/rekey/host/ledger/internal/files"
)

// LockedError is returned when another process applies the run.
type LockedError struct {
	Run string
	PID int // 0: it has not written it yet
}

// Error names the run and the process.
func (e *LockedError) Error() string {
	if e.PID == 0 {
		return fmt.Sprintf("run %s is being applied by another process", e.Run)
	}
	return fmt.Sprintf("run %s is being applied by process %d", e.Run, e.PID)
}

// lock is the exclusive right to apply a run. It is an open file description
// lock: the kernel drops it with the process however that ends, and asking who
// holds it takes nothing from anybody.
type lock struct{ f *os.File }

// takeLock takes the lock at path and signs it, or returns a *LockedError
// without a run.
func takeLock(path string) (*lock, error) {
	l, err := holdLock(path)
	if err != nil {
		return nil, err
	}
	if err := l.sign(strconv.Itoa(os.Getpid())); err != nil {
		l.release()
		return nil, err
	}
	return l, nil
}

// holdLock takes the lock at path without a signature.
func holdLock(path string) (*lock, error) {
	for {
		f, err := files.OpenPrivate(path, os.O_RDWR|os.O_CREATE)
		if err != nil {
			return nil, err
		}
		want := unix.Flock_t{Type: unix.F_WRLCK}
		err = unix.FcntlFlock(f.Fd(), unix.F_OFD_SETLK, &want)
		if errors.Is(err, unix.EAGAIN) || errors.Is(err, unix.EACCES) {
			defer f.Close()
			return nil, &LockedError{PID: pidIn(f)}
		}
		if err != nil {
			_ = f.Close()
			return nil, &fs.PathError{Op: "lock", Path: path, Err: err}
		}
		if !isAt(f, path) { // another process swept it away in between
			_ = f.Close()
			continue
		}
		return &lock{f}, nil
	}
}

// sign leaves a line for who wants to know.
func (l *lock) sign(line string) error {
	if err := l.f.Truncate(0); err != nil {
		return err
	}
	_, err := l.f.WriteAt([]byte(line), 0)
	return err
}

func (l *lock) release() {
	_ = l.sign("")
	_ = l.f.Close()
}

// remove deletes the lock's file and releases it.
func (l *lock) remove() {
	_ = os.Remove(l.f.Name())
	_ = l.f.Close()
}

// lockHeld reports whether a living process holds the lock at path, and has
// signed it: it applies the run.
func lockHeld(path string) (bool, error) {
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	defer f.Close()
	ask := unix.Flock_t{Type: unix.F_WRLCK}
	if err := unix.FcntlFlock(f.Fd(), unix.F_OFD_GETLK, &ask); err != nil {
		return false, &fs.PathError{Op: "lock", Path: path, Err: err}
	}
	return ask.Type != unix.F_UNLCK && pidIn(f) != 0, nil
}

func pidIn(f *os.File) int {
	var b [32]byte
	n, _ := f.ReadAt(b[:], 0)
	pid, _ := strconv.Atoi(strings.TrimSpace(string(b[:n])))
	return pid
}

func isAt(f *os.File, path string) bool {
	have, err := f.Stat()
	if err != nil {
		return false
	}
	want, err := os.Lstat(path)
	return err == nil && os.SameFile(have, want)
}

// makePrivateDir makes a directory for this user alone, whatever the
// umask, and its parents.
func makePrivateDir(path string) error {
	if info, err := os.Stat(path); err == nil && info.IsDir() {
		return nil
	}
	if up := filepath.Dir(path); up != path {
		if err := makePrivateDir(up); err != nil {
			return err
		}
	}
	switch err := os.Mkdir(path, 0o700); {
	case errors.Is(err, fs.ErrExist): // another process was faster, or it is a file
		info, serr := os.Stat(path)
		if serr == nil && info.IsDir() {
			return nil
		}
		return err
	case err != nil:
		return err
	}
	return os.Chmod(path, 0o700)
}

// syncDir makes the names in a directory durable.
func syncDir(path string) error {
	d, err := os.Open(path)
	if err != nil {
		return err
	}
	defer d.Close()
	return d.Sync()
}

// syncOwn makes the names in a directory durable, which a killed
// process may not have come to. What cannot be written is as durable as it is.
func syncOwn(path string) error {
	err := syncDir(path)
	for _, harmless := range []error{fs.ErrPermission, unix.EROFS, unix.EINVAL, unix.ENOTSUP} {
		if errors.Is(err, harmless) {
			return nil
		}
	}
	return err
}

// syncUp is syncOwn for the directory and all above it.
func syncUp(path string) error {
	for {
		if err := syncOwn(path); err != nil {
			return err
		}
		up := filepath.Dir(path)
		if up == path {
			return nil
		}
		path = up
	}
}
