package output

import (
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// unnamed opens a file in a directory that has no name, if the file system has
// such files and they can be given one.
func unnamed(dir *os.File) (*os.File, error) {
	fd, err := unix.Openat(int(dir.Fd()), ".", unix.O_TMPFILE|unix.O_WRONLY|unix.O_CLOEXEC, 0o600)
	if err != nil {
		return nil, err
	}
	f := os.NewFile(uintptr(fd), "unnamed")
	if _, err := os.Stat(descriptor(f)); err != nil {
		_ = f.Close()
		return nil, err
	}
	return f, nil
}

// descriptor is the path by which a file without a name can be linked.
func descriptor(f *os.File) string { return fmt.Sprintf("/proc/self/fd/%d", f.Fd()) }

// linkUnnamed gives a file without a name one: EEXIST if something has it.
func linkUnnamed(f, dir *os.File, name string) error {
	return unix.Linkat(unix.AT_FDCWD, descriptor(f), int(dir.Fd()), name, unix.AT_SYMLINK_FOLLOW)
}
