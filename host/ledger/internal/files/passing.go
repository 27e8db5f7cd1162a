package files

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// Passing is a directory for copies of ledgers needed for a moment
// only. It is locked while its process lives: one that a killed process left
// behind is removed by the next that makes one like it there.
type Passing struct {
	Dir  string
	lock *os.File
}

// MakePassing makes a directory in parent, 0700, whose name is the prefix and a
// number.
func MakePassing(parent, prefix string) (*Passing, error) {
	sweepPassing(parent, prefix)
	for {
		dir, err := os.MkdirTemp(parent, prefix+"*")
		if err != nil {
			return nil, err
		}
		lock, err := HoldDir(dir)
		if !errors.Is(err, errSwept) { // without locks on its file system no process sweeps there
			return &Passing{dir, lock}, nil
		}
	}
}

// Remove removes the directory; what was renamed to where it belongs stays.
func (p *Passing) Remove() {
	_ = os.RemoveAll(p.Dir)
	_ = p.lock.Close() // nil without locks
}

// File returns the path of a file in the directory.
func (p *Passing) File(name string) string { return filepath.Join(p.Dir, name) }

// errSwept is that a directory is another process's to remove.
var errSwept = errors.New("is being removed")

// HoldDir locks a directory of this user unless it is held.
func HoldDir(dir string) (*os.File, error) {
	f, err := os.OpenFile(dir, os.O_RDONLY|unix.O_NOFOLLOW|unix.O_DIRECTORY, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, errSwept
	}
	if err != nil {
		return nil, err
	}
	err = unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
	if errors.Is(err, unix.EWOULDBLOCK) || err == nil && !stillAt(f, dir) {
		err = errSwept
	}
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

// stillAt reports whether the path is that of the open file, which is this
// user's.
func stillAt(f *os.File, path string) bool {
	var open unix.Stat_t
	if unix.Fstat(int(f.Fd()), &open) != nil || int(open.Uid) != os.Geteuid() {
		return false
	}
	now, err := Stat(path)
	return err == nil && now.Dev == open.Dev && now.Ino == open.Ino
}

// sweepPassing removes what killed processes left. What cannot be removed now
// is left to the next time.
func sweepPassing(parent, prefix string) {
	if parent == "" {
		parent = os.TempDir()
	}
	entries, err := os.ReadDir(parent)
	if err != nil {
		return
	}
	for _, e := range entries {
		number, is := strings.CutPrefix(e.Name(), prefix)
		if !is || !e.IsDir() || number == "" || strings.Trim(number, "0123456789") != "" {
			continue
		}
		dir := filepath.Join(parent, e.Name())
		if f, err := HoldDir(dir); err == nil {
			(&Passing{dir, f}).Remove()
		}
	}
}
