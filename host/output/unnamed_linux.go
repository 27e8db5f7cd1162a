package output

import (
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// unnamed opens a file without a name in a directory, if the file system has
// such files and they can be given one.
func unnamed(dir *os.File) (*os.File, error) {
	fd, err := unix.Openat(int(dir.Fd()), ".", unix.O_TMPFILE|unix.O_WRONLY|unix.O_CLOEXEC, 0o600)
	if err != nil {
		return nil, err
	}
	file := os.NewFile(uintptr(fd), "unnamed")
	if _, err := os.Stat(descriptor(file)); err != nil {
		_ = file.Close()
		return nil, err
	}
	return file, nil
}

// descriptor is the path by which a file without a name can be linked.
func descriptor(file *os.File) string { return fmt.Sprintf("/proc/self/fd/%d", file.Fd()) }

// linkUnnamed gives a file without a name one: EEXIST if something has it.
func linkUnnamed(file, dir *os.File, name string) error {
	return unix.Linkat(unix.AT_FDCWD, descriptor(file), int(dir.Fd()), name, unix.AT_SYMLINK_FOLLOW)
}
