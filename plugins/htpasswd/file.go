package htpasswd

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/rekey-host/rekey/plugins/internal/files"
	"github.com/rekey-host/rekey/sdk"
)

// file is the password file. Its methods may be called concurrently, in any
// number of processes.
type file struct {
	path   string
	create bool

	foreign bool // hashes of kinds that no server of this format reads may be replaced
}

// snapshot is what the file was at one moment.
type snapshot struct {
	target  string      // the file behind symbolic links
	info    fs.FileInfo // nil: there is none yet
	content []byte
}

// read returns the file as it is. A missing file is an empty one if it may be
// made, else InvalidConfig.
func (f file) read() (snapshot, *sdk.Error) {
	target, err := filepath.EvalSymlinks(f.path)
	if err != nil {
		return f.missing(err)
	}
	opened, err := files.OpenNow(target) // a pipe would wait for its writer
	if err != nil {
		return snapshot{}, files.Error(err)
	}
	defer shut(opened)
	info, err := opened.Stat()
	if err != nil {
		return snapshot{}, files.Error(err)
	}
	if !info.Mode().IsRegular() {
		return snapshot{}, sdk.Errorf(sdk.InvalidConfig, "path: %q is not a regular file", f.path)
	}
	var content bytes.Buffer
	content.Grow(int(info.Size()) + bytes.MinRead)
	if _, err := content.ReadFrom(opened); err != nil {
		return snapshot{}, files.Error(err)
	}
	return snapshot{target: target, info: info, content: content.Bytes()}, nil
}

func (f file) missing(err error) (snapshot, *sdk.Error) {
	if !errors.Is(err, fs.ErrNotExist) {
		return snapshot{}, files.Error(err)
	}
	if _, err := os.Lstat(f.path); err == nil {
		return snapshot{}, sdk.Errorf(sdk.InvalidConfig, "path: %q is a symbolic link to nothing", f.path)
	}
	if !f.create {
		return snapshot{}, sdk.Errorf(sdk.InvalidConfig, "path: %q does not exist; create = True makes it", f.path)
	}
	return snapshot{target: f.path}, nil
}

// canonical is the one name of the file, whether it exists yet or not.
func (f file) canonical() string {
	if target, err := filepath.EvalSymlinks(f.path); err == nil {
		return target
	}
	dir, err := filepath.EvalSymlinks(filepath.Dir(f.path))
	if err != nil {
		return filepath.Clean(f.path)
	}
	return filepath.Join(dir, filepath.Base(f.path))
}

// glance returns what the file is, without reading it; nil where a look will say
// why not. It opens the file: over a network only that asks the server.
func (f file) glance() fs.FileInfo {
	opened, err := files.OpenNow(f.path)
	if err != nil {
		return nil
	}
	defer shut(opened)
	info, err := opened.Stat()
	if err != nil || !info.Mode().IsRegular() {
		return nil
	}
	return info
}

// shut closes a file that was only read or locked: nothing can be lost by that.
func shut(file *os.File) { _ = file.Close() }

// lock waits for the lock that all rekey processes take on the directory of
// the file. Not on the file: that is replaced, and may not exist yet.
func (f file) lock(ctx context.Context) (unlock func(), failed *sdk.Error) {
	if ctx.Err() != nil {
		return nil, files.Error(ctx.Err())
	}
	target, err := filepath.EvalSymlinks(f.path)
	if err != nil {
		target = f.path
	}
	dir := filepath.Dir(target)
	if f.create {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return nil, files.Error(err)
		}
	}
	held, err := os.Open(dir)
	if err != nil {
		return nil, files.Error(err)
	}
	if err := files.Wait(ctx, func() error { return files.Flock(held) }); err != nil {
		shut(held)
		return nil, f.stillLocked(err)
	}
	files.Sweep(target)
	return func() { shut(held) }, nil
}

// stillLocked says what was waited for in vain: another process that is
// changing the file, if it is not the system that refuses the lock.
func (f file) stillLocked(err error) *sdk.Error {
	failure := files.Error(err)
	if errors.Is(err, files.ErrLocked) {
		failure.Message = fmt.Sprintf("%q: another process is changing it and has not let go of its lock in time; nothing was written", f.path)
	}
	return failure
}

// parse takes a content apart.
func (f file) parse(content []byte) *view {
	made := &view{content: content, index: map[string]int{}, fault: f.fault(content)}
	for entry := range entries(content, nil) {
		name := string(entry.name)
		if _, twice := made.index[name]; !twice {
			made.index[name] = len(made.places)
			made.places = append(made.places, place{entry.start, entry.end})
		}
	}
	return made
}

// fault is the first flaw that keeps the file from being replaced, nil if there
// is none.
func (f file) fault(content []byte) *sdk.Error {
	for _, flaw := range flaws(content, f.foreign) {
		if !flaw.mild && !flaw.lost {
			return sdk.Errorf(sdk.InvalidConfig, "%s:%d: %s; %s", f.path, flaw.line, flaw.why, flaw.fix)
		}
	}
	return nil
}

var errChanged = errors.New("it has changed since it was read")

// draft is a file that is to take the place of another.
type draft struct {
	path string
	time time.Time // that it was given
}

// discard removes it, if it is still there.
func (d draft) discard() { _ = os.Remove(d.path) } // a leftover is swept at the next update

// stamped reports whether the file is the draft: it has its time, which the file
// system keeps to the nanosecond.
func (d draft) stamped(info fs.FileInfo) bool {
	return info.ModTime().Equal(d.time) && d.time.Nanosecond()%1000 != 0
}

// draft writes a file beside the old one that is like it in all but its content.
// Where none existed it stays as private as CreateTemp made it.
func (s snapshot) draft(content []byte) (draft, error) {
	file, err := os.CreateTemp(filepath.Dir(s.target), files.DraftName(s.target))
	if err != nil {
		return draft{}, err
	}
	made := draft{path: file.Name()}
	if made.time, err = s.fill(file, content); err != nil {
		made.discard()
		return draft{}, err
	}
	return made, nil
}

// fill writes a draft and returns the time that it gave it.
func (s snapshot) fill(file *os.File, content []byte) (at time.Time, err error) {
	defer shut(file) // in vain after the one that counts
	if _, err := file.Write(content); err != nil {
		return at, err
	}
	if s.info != nil {
		if err := files.Likeness(file, s.target, s.info); err != nil {
			return at, err
		}
	}
	if at = time.Now(); at.Nanosecond()%1000 == 0 {
		at = at.Add(1)
	}
	_ = os.Chtimes(file.Name(), time.Time{}, at) // a file that does not take it is read again, no more
	if err := file.Sync(); err != nil {
		return at, err
	}
	return at, file.Close()
}

// unchanged is errChanged if a program that takes no lock has written.
func (s snapshot) unchanged() error {
	now, err := os.Stat(s.target)
	switch {
	case s.info == nil && errors.Is(err, fs.ErrNotExist):
		return nil
	case s.info == nil && err == nil:
		return errChanged
	case err != nil:
		return err
	case files.IdentityOf(now) != files.IdentityOf(s.info):
		return errChanged
	}
	return nil
}
