package output

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
)

// maxLinks is how many links are followed from one to the next.
const maxLinks = 40

// forbidden is a path never written to, as it is on the disk now.
type forbidden struct {
	shown string
	real  string      // links followed, as far as there is anything
	info  fs.FileInfo // nil: nothing is there
}

func newForbidden(path string) forbidden {
	made := forbidden{shown: path, real: followed(path)}
	if info, err := os.Stat(made.real); err == nil {
		made.info = info
	}
	return made
}

// followed is where a path leads, whether anything is there or not.
func followed(path string) string {
	for range maxLinks {
		if real, err := filepath.EvalSymlinks(path); err == nil {
			return real
		}
		to, err := os.Readlink(path)
		if err != nil {
			return inParent(path)
		}
		if !filepath.IsAbs(to) {
			to = filepath.Join(followed(filepath.Dir(path)), to)
		}
		path = to
	}
	return path
}

// inParent follows the links of a path's directory.
func inParent(path string) string {
	path = filepath.Clean(path)
	dir := filepath.Dir(path)
	if dir == path {
		return path
	}
	return filepath.Join(followed(dir), filepath.Base(path))
}

// KeepsOff refuses a forbidden path, one inside it, or another name of
// it, for whatever is written by other means than a File. Relative paths are those
// of the process's working directory.
func KeepsOff(path string, forbidden []string) error {
	place, err := resolve(path, Options{})
	if err != nil {
		return err
	}
	info, err := os.Lstat(place.path())
	if err != nil {
		info = nil
	}
	for _, name := range forbidden {
		if err := place.keepsOff(name, info); err != nil {
			return err
		}
	}
	return nil
}

// holds reports whether a path is below the forbidden one, by its name or
// because a directory above it is the same one under another name.
func (f forbidden) holds(path string) bool {
	for dir := filepath.Dir(path); ; dir = filepath.Dir(dir) {
		if dir == f.real {
			return true
		}
		if info, err := os.Stat(dir); err == nil && f.info != nil && os.SameFile(info, f.info) {
			return true
		}
		if dir == filepath.Dir(dir) {
			return false
		}
	}
}

// isAlso reports whether the file at the path is the forbidden one, or one in
// the forbidden directory, under another name.
func (f forbidden) isAlso(path string, info fs.FileInfo) bool {
	if info == nil || f.info == nil {
		return false
	}
	if followed, err := os.Stat(path); err == nil {
		info = followed
	}
	if os.SameFile(info, f.info) {
		return true
	}
	return f.info.IsDir() && hasMoreNames(info) && f.lists(info)
}

// hasMoreNames reports whether a file has hard links.
func hasMoreNames(info fs.FileInfo) bool {
	stat, ok := info.Sys().(*syscall.Stat_t)
	return ok && uint64(stat.Nlink) > 1 && info.Mode().IsRegular()
}

// errFound ends a search.
var errFound = errors.New("found")

// lists reports whether the forbidden directory has a name of the file.
func (f forbidden) lists(file fs.FileInfo) bool {
	err := filepath.WalkDir(f.real, func(_ string, dirEntry fs.DirEntry, err error) error {
		if err != nil {
			return nil // what cannot be read there cannot be compared
		}
		if info, err := dirEntry.Info(); err == nil && os.SameFile(info, file) {
			return errFound
		}
		return nil
	})
	return errors.Is(err, errFound)
}
