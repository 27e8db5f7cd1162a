package output

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/rekey-host/rekey/host/diag"
)

// Options says what may be written, and how.
type Options struct {
	Dir       string      // that paths are relative to; "": the process's working directory
	Mode      fs.FileMode // of the complete file; 0: 0600; the umask does not count
	Overwrite bool        // replace a file of others, or a changed one
	Run       string      // in the names of incomplete files; letters and digits
	Forbidden []string    // absolute paths never written to, nor anything inside them
	// Owns returns the digests that the file of that path may have if no one
	// but our runs wrote it: that of the last Commit, and those that Writes was
	// told since. The path is File.Path's. None, or nil: it is not ours.
	Owns func(path string) (digests []string)
	// Kind names the content, in words. A file of ours of another kind, by
	// KindOf, is not replaced. Either may be absent: then it is unknown.
	Kind   string
	KindOf func(path string) string
	// Writes is told what the path is about to get, by Commit, and has
	// remembered it for Owns when it returns: a process may be killed right
	// after. An error of it is Commit's. May be nil.
	Writes func(path, digest string) error
}

// Refusal says why a path is not written to. It is found before anything is
// changed there.
type Refusal diag.Problem

// Error returns path: message; fix.
func (r *Refusal) Error() string { return r.File + ": " + diag.Problem(*r).Text() }

const (
	elsewhere = "choose another path"
	overwrite = "move it away, or give --overwrite"
)

// Check reports whether Create and Commit would write to the path now, and
// where: File.Path, also of a refused one if it leads anywhere. It
// changes nothing. The error is a *Refusal, or
// that the path cannot be looked at.
func Check(path string, options Options) (where string, err error) {
	place, err := resolve(path, options)
	if err != nil {
		return "", err
	}
	if _, err := place.permits(options); err != nil {
		return place.path(), err
	}
	return place.path(), place.writable()
}

// place is a path with its directory resolved: no part of it but the last can
// be a symbolic link.
type place struct {
	shown   string   // as it was given
	exists  string   // the existing part of the directory
	missing []string // the missing directories
	base    string
}

// path is where the file will be, absolute, links resolved.
func (p place) path() string { return filepath.Join(p.directory(), p.base) }

func (p place) directory() string {
	return filepath.Join(append([]string{p.exists}, p.missing...)...)
}

func (p place) refuse(fix, format string, args ...any) *Refusal {
	return &Refusal{File: p.shown, Message: fmt.Sprintf(format, args...), Fix: fix}
}

// resolve finds what of the path is there.
func resolve(path string, options Options) (place, error) {
	made := place{shown: path}
	if path == "" || strings.ContainsRune(path, 0) {
		return made, made.refuse(elsewhere, "is not a path")
	}
	if options.Mode&^0o666 != 0 {
		return made, made.refuse("", "mode %v is refused: what is written is data, not a program", options.Mode)
	}
	whole := path
	if !filepath.IsAbs(whole) {
		whole = filepath.Join(options.Dir, whole)
	}
	whole, err := filepath.Abs(whole)
	if err != nil {
		return made, err
	}
	if strings.HasSuffix(path, "/") || whole == "/" {
		return made, made.refuse(elsewhere, "is a directory")
	}
	dir := filepath.Dir(whole)
	made.base = filepath.Base(whole)
	for {
		made.exists, err = filepath.EvalSymlinks(dir)
		if err == nil {
			return made, made.isDirectory()
		}
		if _, there := os.Lstat(dir); there == nil || !errors.Is(err, fs.ErrNotExist) {
			return made, made.refuse(elsewhere, "%s leads nowhere: %v", dir, reason(err))
		}
		made.missing = append([]string{filepath.Base(dir)}, made.missing...)
		dir = filepath.Dir(dir)
	}
}

func (p place) isDirectory() error {
	info, err := os.Stat(p.exists)
	if err != nil {
		return err
	}
	if !info.IsDir() {
		return p.refuse(elsewhere, "%s is not a directory", p.exists)
	}
	return nil
}

// reason is an error without the path, which the message has already.
func reason(err error) error {
	var path *fs.PathError
	if errors.As(err, &path) {
		return path.Err
	}
	return err
}

// writable reports whether files can be made where the path is.
func (p place) writable() error {
	if err := unix.Access(p.exists, unix.W_OK|unix.X_OK); err != nil {
		return p.refuse(elsewhere, "cannot write to %s: %v", p.exists, err)
	}
	return nil
}

// permits reports whether the path may be written to, and the file there that
// would be replaced, or nil.
func (p place) permits(options Options) (fs.FileInfo, error) {
	info, err := os.Lstat(p.path())
	if errors.Is(err, fs.ErrNotExist) {
		info, err = nil, nil
	}
	if err != nil {
		return nil, err
	}
	for _, name := range options.Forbidden {
		if err := p.keepsOff(name, info); err != nil {
			return nil, err
		}
	}
	switch {
	case info == nil:
		return nil, nil
	case info.IsDir():
		return nil, p.refuse(elsewhere, "is a directory")
	case info.Mode()&fs.ModeSymlink != 0:
		if err := p.leadsToAFile(); err != nil {
			return nil, err
		}
		if !options.Overwrite {
			return nil, p.refuse("remove the link, or give --overwrite to replace it", "is a symbolic link")
		}
		return info, nil
	case !info.Mode().IsRegular():
		return nil, p.refuse(elsewhere, "is not a regular file")
	case options.Overwrite:
		return info, nil
	}
	return info, p.isOurs(options)
}

// leadsToAFile refuses a link to a device or a pipe, /dev/stdout for one,
// which no user wants replaced by a file.
func (p place) leadsToAFile() error {
	info, err := os.Stat(p.path())
	if err == nil && !info.Mode().IsRegular() {
		return p.refuse("choose another path; - is standard output", "leads to what is not a regular file")
	}
	return nil
}

// isOurs checks that the file there is one that we wrote, as we wrote it.
func (p place) isOurs(options Options) error {
	var want []string
	if options.Owns != nil {
		want = options.Owns(p.path())
	}
	if len(want) == 0 {
		return p.refuse(overwrite, "is there already and was not written by a run")
	}
	if kind := options.kindOf(p.path()); kind != "" && options.Kind != "" && kind != options.Kind {
		return p.refuse(overwrite, "is a %s that a run wrote, not a %s", kind, options.Kind)
	}
	have, err := digestOf(p.path())
	if err != nil {
		return err
	}
	if !slices.Contains(want, have) {
		return p.refuse(overwrite, "was changed since a run wrote it")
	}
	return nil
}

// keepsOff checks that the path is neither a forbidden one, nor inside it, nor
// another name of it or of a file inside it. A link to it counts as it,
// whatever it is replaced by. info is what is at the path; nil: nothing.
func (p place) keepsOff(path string, info fs.FileInfo) error {
	forbidden := newForbidden(path)
	for _, mine := range []string{p.path(), followed(p.path())} {
		switch {
		case mine == forbidden.real, forbidden.info == nil && strings.EqualFold(mine, forbidden.real):
			return p.refuse(elsewhere, "is %s, which rekey needs", forbidden.shown)
		case forbidden.holds(mine):
			return p.refuse(elsewhere, "is inside %s, which rekey needs", forbidden.shown)
		}
	}
	if forbidden.isAlso(p.path(), info) {
		return p.refuse(elsewhere, "is another name of %s, which rekey needs", forbidden.shown)
	}
	return nil
}

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

func (o Options) kindOf(path string) string {
	if o.KindOf == nil {
		return ""
	}
	return o.KindOf(path)
}

// digestOf returns the digest of a regular file.
func digestOf(path string) (string, error) {
	file, err := os.OpenFile(path, os.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0)
	if err != nil {
		return "", err
	}
	defer file.Close()
	sum := sha256.New()
	if _, err := io.Copy(sum, file); err != nil {
		return "", err
	}
	return hex.EncodeToString(sum.Sum(nil)), nil
}
