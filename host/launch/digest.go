package launch

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
)

// Most of what the folder of a script may hold.
const (
	mostFiles = 20_000
	mostBytes = 512 << 20
)

// FolderPrefix is what the name of a folder begins with that was made for one
// plugin alone.
const FolderPrefix = ".rekey-plugin-"

// Digest returns the SHA-256 of a plugin's program in hex. A script is what its
// interpreter finds beside it too: in a folder of its own its digest is that of the folder,
// all files with their names and modes, but for the caches of Python, which is told not
// to use them. Files that links in the folder lead to are read, other directories
// are not. Elsewhere what lies beside it may be anything, what it writes too: there
// the digest is that of the script alone.
func Digest(path string) (digest string, script bool, err error) {
	file, err := os.Open(path)
	if err != nil {
		return "", false, err
	}
	defer func() { _ = file.Close() }()
	return digestOf(file)
}

// IsProgram reports whether a file is what the kernel runs without an
// interpreter.
func IsProgram(path string) (bool, error) {
	file, err := os.Open(path)
	if err != nil {
		return false, err
	}
	return isProgram(file), file.Close()
}

// digestOf is Digest of an open program, which the caller started or will start.
func digestOf(file *os.File) (digest string, script bool, err error) {
	if isProgram(file) {
		digest, err = sum(file)
		return digest, false, err
	}
	real, err := filepath.EvalSymlinks(file.Name())
	if err != nil {
		return "", true, err
	}
	made := folder{dir: filepath.Dir(real)}
	if made.own() {
		digest, err = made.digest()
	} else {
		digest, err = sum(file)
	}
	return digest, true, err
}

func sum(file io.Reader) (string, error) {
	sum := sha256.New()
	if _, err := io.Copy(sum, file); err != nil {
		return "", err
	}
	return hex.EncodeToString(sum.Sum(nil)), nil
}

// folder is that of a script.
type folder struct {
	dir   string
	files int
	bytes int64
}

// own reports whether the folder was made for one plugin alone.
func (f *folder) own() bool { return strings.HasPrefix(filepath.Base(f.dir), FolderPrefix) }

func (f *folder) digest() (string, error) { return f.sum(f.line) }

// IsCache reports whether an entry of a folder is what an interpreter keeps there for
// itself: it is in no digest, and no part of the plugin.
func IsCache(entry fs.DirEntry) bool { return entry.IsDir() && entry.Name() == "__pycache__" }

// sum is the SHA-256 of what is said of each entry.
func (f *folder) sum(say func(path string, entry fs.DirEntry) (string, error)) (string, error) {
	whole := sha256.New()
	err := filepath.WalkDir(f.dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if IsCache(entry) {
			return fs.SkipDir
		}
		line, err := say(path, entry)
		if err == nil {
			_, err = io.WriteString(whole, line)
		}
		return err
	})
	if err != nil {
		return "", err
	}
	return hex.EncodeToString(whole.Sum(nil)), nil
}

// line says what an entry is: its name, quoted, its mode, and the SHA-256 of a
// file or where a link leads.
func (f *folder) line(path string, entry fs.DirEntry) (string, error) {
	rel, err := filepath.Rel(f.dir, path)
	if err != nil {
		return "", err
	}
	info, err := entry.Info()
	if err != nil {
		return "", err
	}
	what := ""
	if info.Mode()&fs.ModeSymlink != 0 {
		if what, err = os.Readlink(path); err != nil {
			return "", err
		}
		if info, err = os.Stat(path); err != nil {
			return fmt.Sprintf("%q link %q to nothing\n", rel, what), nil
		}
	}
	if !info.Mode().IsRegular() {
		return fmt.Sprintf("%q %s %q\n", rel, info.Mode().Type(), what), nil
	}
	digest, err := f.file(path, info)
	return fmt.Sprintf("%q %o %q %s\n", rel, info.Mode().Perm(), what, digest), err
}

func (f *folder) file(path string, info fs.FileInfo) (string, error) {
	f.files++
	f.bytes += info.Size()
	if f.files > mostFiles || f.bytes > mostBytes {
		return "", fmt.Errorf("its folder %s has more than %d files or %d MiB, and all of them may be part of the script; leave out of it what is not", f.dir, mostFiles, mostBytes>>20)
	}
	file, err := os.Open(path)
	if err != nil {
		return "", err
	}
	digest, err := sum(file)
	return digest, errors.Join(err, file.Close())
}

// Surroundings tells one state of what lies around a script outside a folder of
// its own from another: its interpreter may find anything there. It reads no file, and
// is "" of a program and of a script whose digest is that of its folder. An
// error says that it cannot be told.
func Surroundings(path string) (string, error) {
	file, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer func() { _ = file.Close() }()
	if isProgram(file) {
		return "", nil
	}
	real, err := filepath.EvalSymlinks(path)
	if err != nil {
		return "", err
	}
	made := folder{dir: filepath.Dir(real)}
	if made.own() {
		return "", nil
	}
	return made.sum(made.stamp)
}

// stamp says of an entry what differs after each change of it.
func (f *folder) stamp(path string, entry fs.DirEntry) (string, error) {
	if f.files++; f.files > mostFiles {
		return "", errors.New("too many files lie beside it")
	}
	info, err := os.Stat(path) // what a link leads to
	if errors.Is(err, fs.ErrNotExist) {
		info, err = entry.Info()
	}
	if err != nil {
		return "", err
	}
	if info.IsDir() {
		return fmt.Sprintf("%q\n", path), nil // its entries say what changed
	}
	changed := changedAt(info)
	return fmt.Sprintf("%q %d %d.%d\n", path, info.Size(), changed.Sec, changed.Nsec), nil
}

// changedAt is when anything about a file changed last: it cannot be set back.
func changedAt(info fs.FileInfo) syscall.Timespec {
	stat, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return syscall.Timespec{}
	}
	return changeTime(stat)
}

// isProgram reports whether the file is what the kernel runs without an
// interpreter.
func isProgram(file *os.File) bool {
	magic := make([]byte, 4)
	if _, err := file.ReadAt(magic, 0); err != nil {
		return false
	}
	switch {
	case bytes.Equal(magic, []byte("\x7fELF")), bytes.HasPrefix(magic, []byte("MZ")):
		return true
	}
	return bytes.Equal(magic, []byte("\xcf\xfa\xed\xfe")) || bytes.Equal(magic, []byte("\xca\xfe\xba\xbe")) // of macOS
}
