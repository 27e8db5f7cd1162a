package output

import (
	"errors"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// makeDir makes a directory in another, 0700 whatever the umask, and opens it.
// One made by others meanwhile will do.
func makeDir(parent *os.File, name string, flags int) (*os.File, error) {
	made := unix.Mkdirat(int(parent.Fd()), name, 0o700)
	if made != nil && !errors.Is(made, unix.EEXIST) {
		return nil, made
	}
	fd, err := unix.Openat(int(parent.Fd()), name, flags, 0)
	if err != nil {
		return nil, err
	}
	dir := os.NewFile(uintptr(fd), filepath.Join(parent.Name(), name))
	if made == nil {
		err = dir.Chmod(0o700)
		if err == nil {
			err = parent.Sync()
		}
	}
	if err != nil {
		_ = dir.Close()
		return nil, err
	}
	return dir, nil
}
