package launch

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
)

// runDir is a private directory for the sockets of one process, with a lock
// beside it that says that its owner lives.
type runDir struct {
	path string
	lock *os.File
}

// maxSocket is what a socket's path may have of bytes, on the systems with the
// least; go-plugin adds two names of its own below a runDir.
const (
	maxSocket = 103
	below     = len("/plugin-dir0123456789/plugin0123456789")
)

// newRunDir makes a directory below base, after it swept away those of hosts
// now gone.
func newRunDir(base string) (*runDir, error) {
	base, err := baseDir(base)
	if err != nil {
		return nil, err
	}
	sweep(base)
	for range 100 {
		runDir, err := tryRunDir(base)
		if err != nil || runDir != nil {
			return runDir, err
		}
	}
	return nil, fmt.Errorf("%s: no directory for sockets can be made", base)
}

// baseDir returns the directory of all of this user's hosts.
func baseDir(base string) (string, error) {
	if base != "" {
		if count := len(base) + len("/r0123456789") + below; count > maxSocket {
			return "", fmt.Errorf("%s: too long a path for sockets by %d bytes", base, count-maxSocket)
		}
		return base, os.MkdirAll(base, 0o700)
	}
	temp := os.TempDir()
	if len(temp) > 24 {
		temp = "/tmp"
	}
	base = filepath.Join(temp, fmt.Sprintf("rekey-%d", os.Getuid()))
	if err := os.Mkdir(base, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return "", err
	}
	if !private(base) { // another process was first
		return os.MkdirTemp(temp, "rk")
	}
	return base, nil
}

func private(dir string) bool {
	info, err := os.Lstat(dir)
	if err != nil || !info.IsDir() || info.Mode().Perm()&0o077 != 0 {
		return false
	}
	owner, ok := info.Sys().(*syscall.Stat_t)
	return ok && int(owner.Uid) == os.Getuid()
}

// tryRunDir returns nil if a sweeper was faster.
func tryRunDir(base string) (*runDir, error) {
	lock, err := os.CreateTemp(base, "r*")
	if err != nil {
		return nil, err
	}
	path := lock.Name() + "d"
	if syscall.Flock(int(lock.Fd()), syscall.LOCK_EX|syscall.LOCK_NB) != nil || !linked(lock) {
		return nil, lock.Close()
	}
	if err := os.Mkdir(path, 0o700); err != nil {
		_ = os.Remove(lock.Name())
		return nil, errors.Join(err, lock.Close())
	}
	return &runDir{path: path, lock: lock}, nil
}

func linked(file *os.File) bool {
	now, err := os.Stat(file.Name())
	if err != nil {
		return false
	}
	own, err := file.Stat()
	return err == nil && os.SameFile(own, now)
}

func (d *runDir) remove() {
	_ = os.RemoveAll(d.path)
	_ = os.Remove(d.lock.Name())
	_ = d.lock.Close()
}

// sweep removes the directories whose lock is free.
func sweep(base string) {
	entries, err := os.ReadDir(base)
	if err != nil {
		return
	}
	for _, dirEntry := range entries {
		if dirEntry.Type().IsRegular() && strings.HasPrefix(dirEntry.Name(), "r") {
			sweepOne(filepath.Join(base, dirEntry.Name()))
		}
	}
}

func sweepOne(name string) {
	file, err := os.OpenFile(name, os.O_RDWR, 0)
	if err != nil {
		return
	}
	defer func() { _ = file.Close() }()
	if syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB) == nil && linked(file) {
		_ = os.RemoveAll(name + "d")
		_ = os.Remove(name)
	}
}
