// Package bounded reads files that people name, whatever they are: pipes
// without a writer, devices without an end, files that grow while they are
// read. Reading ends, at the latest with its context.
package bounded

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

const (
	// patience is how long a pipe may be without anybody who writes to it.
	patience = 10 * time.Second
	// glance is how long a wait goes on before its context is looked at.
	glance = 50 * time.Millisecond
)

// What keeps a file from being read, beside what the system says.
var (
	ErrDirectory    = errors.New("is a directory")
	ErrDevice       = errors.New("is a device, not a file")
	ErrSocket       = errors.New("is a socket, not a file")
	ErrNobodyWrites = fmt.Errorf("is a pipe that nothing writes to; rekey has waited for %s", patience)
	ErrGrew         = errors.New("grew while it was being read")
)

// File is an open file. Its methods are not safe for concurrent use.
type File struct {
	ctx  context.Context
	file *os.File
	fd   int // of a pipe, which is read without the runtime
	info fs.FileInfo
	read int64

	writers bool // the pipe has a writer, or had one
	since   time.Time
}

// Open opens a file for reading until the context ends. It does not wait for
// the writer of a pipe: Read does.
func Open(ctx context.Context, path string) (*File, error) {
	return withinOr(ctx, func() (*File, error) { return open(ctx, path) }, func(file *File) { _ = file.Close() })
}

func open(ctx context.Context, path string) (*File, error) {
	fd, err := unix.Open(path, unix.O_RDONLY|unix.O_NONBLOCK|unix.O_CLOEXEC|unix.O_NOCTTY, 0)
	if errors.Is(err, unix.ENXIO) {
		err = ErrSocket
	}
	var file *File
	if err == nil {
		file, err = newFile(ctx, fd, path)
	}
	if err != nil {
		return nil, &fs.PathError{Op: "open", Path: path, Err: err}
	}
	return file, nil
}

// newFile finds out what was opened.
func newFile(ctx context.Context, fd int, path string) (*File, error) {
	err := unix.SetNonblock(fd, false) // so that the runtime takes it for a file that never waits
	if err != nil {
		_ = unix.Close(fd)
		return nil, err
	}
	file := &File{ctx: ctx, fd: fd, file: os.NewFile(uintptr(fd), path), since: time.Now()}
	if file.info, err = file.file.Stat(); err == nil {
		err = file.acceptable()
	}
	if err == nil && file.isPipe() {
		file.writers = isAnonymous(fd)
		err = unix.SetNonblock(fd, true)
	}
	if err != nil {
		_ = file.file.Close()
		return nil, err
	}
	return file, nil
}

// acceptable refuses directories and sockets, and devices other than terminals and
// the empty one.
func (f *File) acceptable() error {
	null, err := os.Stat(os.DevNull)
	switch {
	case f.info.IsDir():
		return ErrDirectory
	case f.info.Mode()&fs.ModeDevice == 0, isTerminal(f.fd), err == nil && os.SameFile(null, f.info):
		return nil
	}
	return ErrDevice
}

func (f *File) isPipe() bool { return f.info.Mode()&fs.ModeNamedPipe != 0 }

// isAnonymous reports whether a pipe has no name: no new writer can come to
// it who does not already.
func isAnonymous(fd int) bool {
	name, err := os.Readlink(fmt.Sprintf("/proc/self/fd/%d", fd))
	return err == nil && strings.HasPrefix(name, "pipe:")
}

// Stat returns what was found when the file was opened.
func (f *File) Stat() (fs.FileInfo, error) { return f.info, nil }

// Close closes the file.
func (f *File) Close() error { return f.file.Close() }

// ReadAt reads a regular file from a place on, whatever was read before.
func (f *File) ReadAt(data []byte, at int64) (int, error) { return f.file.ReadAt(data, at) }

// Read reads from the file. Its error is that of the context once ended.
func (f *File) Read(data []byte) (int, error) {
	if err := f.ctx.Err(); err != nil {
		return 0, context.Cause(f.ctx)
	}
	switch {
	case len(data) == 0:
		return 0, nil
	case f.isPipe():
		return f.readPipe(data)
	case !f.info.Mode().IsRegular():
		if err := readable(f.ctx, f.fd); err != nil {
			return 0, err
		}
	}
	count, err := read(f.ctx, f.file, data)
	f.read += int64(count)
	if size := f.info.Size(); size > 0 && f.read > size { // of a file of the kernel's it is 0
		return 0, ErrGrew
	}
	return count, err
}

// readPipe waits for what comes out of a pipe, or for its end.
func (f *File) readPipe(data []byte) (int, error) {
	for {
		count, err := unix.Read(f.fd, data)
		switch {
		case count > 0:
			f.writers = true
			return count, nil
		case errors.Is(err, unix.EAGAIN), errors.Is(err, unix.EINTR):
			f.writers = f.writers || errors.Is(err, unix.EAGAIN)
		case err != nil:
			return 0, err
		case f.writers:
			return 0, io.EOF
		case time.Since(f.since) > patience:
			return 0, ErrNobodyWrites
		}
		if err := f.wait(); err != nil {
			return 0, err
		}
	}
}

// wait waits for a moment, or until there is something to read or the last who
// wrote is gone.
func (f *File) wait() error {
	if f.ctx.Err() != nil {
		return context.Cause(f.ctx)
	}
	events, err := poll(f.fd)
	if err == nil && events&unix.POLLHUP != 0 && events&unix.POLLIN == 0 {
		f.writers = true
	}
	return err
}

// poll returns what happened to a descriptor within a glance; 0: nothing.
func poll(fd int) (int16, error) {
	fds := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}
	_, err := unix.Poll(fds, int(glance.Milliseconds()))
	if errors.Is(err, unix.EINTR) {
		err = nil
	}
	return fds[0].Revents, err
}

// readable waits until a read would not, or the context ends.
func readable(ctx context.Context, fd int) error {
	for {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if events, err := poll(fd); err != nil || events != 0 {
			return err
		}
	}
}

// Until reads from another reader, until the context ends. If it is a
// file, such as standard input, waiting for it ends too.
func Until(ctx context.Context, r io.Reader) io.Reader { return until{ctx, r} }

type until struct {
	ctx context.Context
	r   io.Reader
}

// Read reads.
func (u until) Read(data []byte) (int, error) {
	if u.ctx.Err() != nil {
		return 0, context.Cause(u.ctx)
	}
	if file, ok := u.r.(*os.File); ok {
		if err := readable(u.ctx, int(file.Fd())); err != nil {
			return 0, err
		}
		return read(u.ctx, file, data)
	}
	return u.r.Read(data)
}

// ReadFile returns a whole file, which has to be small.
func ReadFile(ctx context.Context, path string, most int64) ([]byte, error) {
	file, err := Open(ctx, path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	text, err := io.ReadAll(io.LimitReader(file, most+1))
	switch {
	case err != nil:
		return nil, &fs.PathError{Op: "read", Path: path, Err: err}
	case int64(len(text)) > most:
		return nil, &fs.PathError{Op: "read", Path: path, Err: fmt.Errorf("is larger than %d KiB", most>>10)}
	}
	return text, nil
}
