// Package files makes and copies files for this user alone.
package files

import (
	"errors"
	"io"
	"os"

	"golang.org/x/sys/unix"
)

// OpenPrivate opens a file for this user alone, whatever the umask.
func OpenPrivate(path string, flags int) (*os.File, error) {
	f, err := os.OpenFile(path, flags|unix.O_NOFOLLOW, 0o600)
	if err != nil {
		return nil, err
	}
	if err := f.Chmod(0o600); err != nil {
		_ = f.Close()
		return nil, err
	}
	return f, nil
}

// Copy copies a file into a new one, 0600.
func Copy(to, from string) error {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, in)
	return errors.Join(err, out.Close())
}

// Sync makes a file durable.
func Sync(path string) error {
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer f.Close()
	return f.Sync()
}

// Exists reports whether there is something at a path.
func Exists(path string) bool {
	_, err := os.Lstat(path)
	return err == nil
}

// Stat is that of the system, whatever interrupts it.
func Stat(path string) (unix.Stat_t, error) {
	var st unix.Stat_t
	for {
		err := unix.Stat(path, &st)
		if err != unix.EINTR {
			return st, err
		}
	}
}
