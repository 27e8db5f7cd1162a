package output

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// open opens the directory of the file, making those that are missing.
func (p place) open() (*os.File, error) {
	const flags = unix.O_RDONLY | unix.O_DIRECTORY | unix.O_NOFOLLOW | unix.O_CLOEXEC
	fd, err := unix.Open(p.exists, flags, 0)
	if err != nil {
		return nil, p.refuse(elsewhere, "cannot open %s: %v", p.exists, err)
	}
	dir := os.NewFile(uintptr(fd), p.exists)
	for _, name := range p.missing {
		child, err := makeDir(dir, name, flags)
		_ = dir.Close()
		if err != nil {
			return nil, p.refuse(elsewhere, "cannot make %s: %v", filepath.Join(dir.Name(), name), err)
		}
		dir = child
	}
	return dir, nil
}

// makeDir makes a directory in another, 0700 whatever the umask, and opens it.
// One that has come up meanwhile will do.
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

// publish gives the file its name. What is at the path is looked at again
// right before: it may have come up since Create.
func (f *File) publish() error {
	for range 3 {
		if err := f.stays(); err != nil {
			return err
		}
		old, err := f.place.permits(f.options)
		if err != nil {
			return err
		}
		if old != nil {
			err = f.replace()
		} else {
			err = f.link()
		}
		if !errors.Is(err, unix.EEXIST) {
			return f.named(err)
		}
	}
	return f.place.refuse("run again", "comes and goes while it is written")
}

func (f *File) named(err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s: %w", f.place.shown, err)
}

// stays checks that the directory that the file was made in is still the one
// that the path names.
func (f *File) stays() error {
	now, err := resolve(f.place.shown, f.options)
	if err != nil {
		return err
	}
	held, err := f.dir.Stat()
	if err != nil {
		return f.named(err)
	}
	there, err := os.Stat(now.directory())
	if err != nil || now.path() != f.place.path() || !os.SameFile(held, there) {
		return f.place.refuse("run again", "its directory was replaced while it was written")
	}
	return nil
}

// link gives the file its name if nothing has it: EEXIST if something does.
func (f *File) link() error {
	dir := int(f.dir.Fd())
	if f.temp == "" {
		return linkUnnamed(f.file, f.dir, f.place.base)
	}
	err := unix.Linkat(dir, f.temp, dir, f.place.base, 0)
	switch {
	case err == nil:
		return f.remove()
	case errors.Is(err, unix.EPERM) || errors.Is(err, unix.EOPNOTSUPP) || errors.Is(err, unix.ENOSYS):
		return f.rename() // a file system without links
	}
	return err
}

// replace puts the file in the place of another.
func (f *File) replace() error {
	if f.temp == "" {
		name := f.tempName()
		if err := linkUnnamed(f.file, f.dir, name); err != nil {
			return err
		}
		f.temp = name
	}
	return f.rename()
}

func (f *File) rename() error {
	dir := int(f.dir.Fd())
	if err := unix.Renameat(dir, f.temp, dir, f.place.base); err != nil {
		return err
	}
	f.temp = ""
	return nil
}
