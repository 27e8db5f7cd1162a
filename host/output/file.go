package output

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io/fs"
	"math/rand/v2"
	"os"

	"golang.org/x/sys/unix"
)

const (
	defaultMode = fs.FileMode(0o600)
	bufferSize  = 64 << 10
)

// File is a file being written, before it gets its name. Its
// methods are not safe for concurrent use. Commit or Abort ends it; Abort
// after Commit does nothing, so it can be deferred.
type File struct {
	options Options
	place   place
	dir     *os.File // where it will be; held open, so that no link can move it
	file    *os.File
	temp    string // its name in dir until it is complete; "": it has none
	sum     hash.Hash
	buf     []byte
	err     error // the first of a Write: the file cannot become whole
	sync    func() error
}

// Create begins a file that Commit will put at the path. Directories
// missing are made, 0700. The error is a *Refusal where the path is not to be
// written to.
func Create(path string, options Options) (*File, error) {
	place, err := resolve(path, options)
	if err != nil {
		return nil, err
	}
	if _, err := place.permits(options); err != nil {
		return nil, err
	}
	file := &File{options: options, place: place, sum: sha256.New(), buf: make([]byte, 0, bufferSize)}
	if file.dir, err = place.open(); err != nil {
		return nil, err
	}
	if err := file.begin(); err != nil {
		_ = file.dir.Close()
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	file.sync = file.file.Sync
	return file, nil
}

// Path returns where the file will be: absolute, symbolic links of its
// directories resolved.
func (f *File) Path() string { return f.place.path() }

// Replaces reports whether there is a file in the file's place now.
func (f *File) Replaces() bool {
	_, err := os.Lstat(f.Path())
	return err == nil
}

// Divert puts the file beside its place instead, under the same name with a
// suffix. The error is a *Refusal for a path not to be written to.
func (f *File) Divert(suffix string) error {
	beside := f.place
	beside.shown += suffix
	beside.base += suffix
	if _, err := beside.permits(f.options); err != nil {
		return err
	}
	f.place = beside
	return nil
}

// begin opens the file without a name, or else under one of its own. It is
// locked, so that a Sweep leaves it alone.
func (f *File) begin() error {
	file, err := unnamed(f.dir)
	if err == nil {
		f.file = file
		return lock(file)
	}
	return f.beginNamed()
}

func (f *File) beginNamed() error {
	for range 100 {
		name := f.tempName()
		fd, err := unix.Openat(int(f.dir.Fd()), name, unix.O_WRONLY|unix.O_CREAT|unix.O_EXCL|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0o600)
		if errors.Is(err, unix.EEXIST) {
			continue
		}
		if err != nil {
			return err
		}
		f.file, f.temp = os.NewFile(uintptr(fd), name), name
		if err := lock(f.file); err != nil {
			return errors.Join(err, f.remove(), f.file.Close())
		}
		var here, there unix.Stat_t
		if unix.Fstat(fd, &here) == nil && unix.Fstatat(int(f.dir.Fd()), name, &there, unix.AT_SYMLINK_NOFOLLOW) == nil && here.Ino == there.Ino {
			return nil
		}
		_ = f.file.Close() // swept before it was locked
	}
	return fmt.Errorf("%w: no free name for a file that is not complete", fs.ErrExist)
}

// lock marks a file as in use for as long as it is open. Without
// locks, no Sweep removes anything either.
func lock(file *os.File) error {
	err := unix.Flock(int(file.Fd()), unix.LOCK_EX|unix.LOCK_NB)
	if errors.Is(err, unix.EOPNOTSUPP) || errors.Is(err, unix.ENOLCK) || errors.Is(err, unix.ENOSYS) {
		return nil
	}
	return err
}

// tempName is a name for an incomplete file. It need not be secret:
// no existing file is opened by it.
func (f *File) tempName() string {
	run := f.options.Run
	if run == "" {
		run = "0"
	}
	return fmt.Sprintf("%s%s-%016x", tempPrefix, run, rand.Uint64())
}

// Write appends to the file. After an error Commit fails with it.
func (f *File) Write(data []byte) (int, error) {
	if f.err == nil && f.file == nil {
		f.err = fs.ErrClosed
	}
	if f.err != nil {
		return 0, f.err
	}
	written := len(data)
	for len(f.buf)+len(data) > cap(f.buf) {
		count := cap(f.buf) - len(f.buf)
		f.buf = append(f.buf, data[:count]...)
		data = data[count:]
		if err := f.flush(); err != nil {
			return 0, err
		}
	}
	f.buf = append(f.buf, data...)
	return written, nil
}

func (f *File) flush() error {
	if f.err != nil {
		return f.err
	}
	f.sum.Write(f.buf)
	if _, err := f.file.Write(f.buf); err != nil {
		f.err = fmt.Errorf("%s: %w", f.place.shown, reason(err))
	}
	clear(f.buf)
	f.buf = f.buf[:0]
	return f.err
}

// Commit makes the file whole, durable and visible under its path, in this
// order, and returns its digest for Options.Owns. If it fails, what was at the
// path is untouched, and nothing is left behind; except for an error about the
// directory, which says so: then the file is in place, and only a power cut
// can undo it. It fails with a *Refusal where the path has become one
// not to be written to.
func (f *File) Commit() (digest string, err error) {
	if f.file == nil {
		return "", fs.ErrClosed
	}
	defer f.Abort()
	if err := f.complete(); err != nil {
		return "", err
	}
	digest = hex.EncodeToString(f.sum.Sum(nil))
	if f.options.Writes != nil {
		if err := f.options.Writes(f.Path(), digest); err != nil {
			return "", err
		}
	}
	if err := f.publish(); err != nil {
		return "", err
	}
	if err := f.dir.Sync(); err != nil {
		return "", fmt.Errorf("%s: is written, but its directory could not be synced: %w", f.place.shown, reason(err))
	}
	return digest, nil
}

// complete brings everything to disk. A failed sync is not tried again: the
// kernel may have forgotten a failed write.
func (f *File) complete() error {
	if err := f.flush(); err != nil {
		return err
	}
	mode := f.options.Mode
	if mode == 0 {
		mode = defaultMode
	}
	if err := f.file.Chmod(mode); err != nil {
		return fmt.Errorf("%s: %w", f.place.shown, reason(err))
	}
	if err := f.sync(); err != nil {
		return fmt.Errorf("%s: %w", f.place.shown, reason(err))
	}
	return nil
}

// Abort gives the file up. The path is untouched.
func (f *File) Abort() {
	if f.file == nil {
		return
	}
	clear(f.buf[:cap(f.buf)])
	if f.temp != "" {
		_ = f.remove() // else the next Sweep does
	}
	_ = f.file.Close()
	_ = f.dir.Close()
	f.file = nil
}

// remove takes the name away that the file has until it is complete.
func (f *File) remove() error {
	name := f.temp
	f.temp = ""
	return unix.Unlinkat(int(f.dir.Fd()), name, 0)
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
