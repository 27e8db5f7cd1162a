package launch

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	"github.com/rekey-host/rekey/sdk/strict"
)

// The bounds of a log file. One that is full becomes NAME.log.1, that before
// it NAME.log.2, and so on.
const (
	mostLog = 10 << 20 // bytes
	oldLogs = 4
)

// Logs are files of what plugins print, NAME.log for each, in one directory:
// mode 0600, scrubbed, rotated. It is safe for concurrent use, and several hosts
// may write to one directory.
type Logs struct {
	dir string
	now func() time.Time

	mu    sync.Mutex
	files map[string]*os.File
	err   error // the first
}

// OpenLogs makes the directory if it has to. One in which another user could put
// files, or read them under another name, is refused.
func OpenLogs(dir string, now func() time.Time) (*Logs, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	if _, err := strict.Keep(dir, os.Geteuid()); err != nil {
		return nil, err
	}
	probe, err := os.CreateTemp(dir, ".rekey-*")
	if err != nil {
		return nil, err
	}
	return &Logs{dir: dir, now: now, files: map[string]*os.File{}}, errors.Join(probe.Close(), os.Remove(probe.Name()))
}

// Close ends all files. It returns the first error of writing any of them.
func (l *Logs) Close() error {
	if l == nil {
		return nil
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, file := range l.files {
		_ = file.Close() // every write was told already
	}
	clear(l.files)
	return l.err
}

// line adds a scrubbed line of a plugin's process. A log that cannot be written
// stops nothing; Close tells.
func (l *Logs) line(name string, pid int, text string) {
	if l == nil {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	file, err := l.file(name)
	if err == nil {
		_, err = fmt.Fprintf(file, "%s [%d] %s\n", l.now().UTC().Format("2006-01-02T15:04:05.000Z"), pid, shorten(printable(text), maxLine))
	}
	if err != nil && l.err == nil {
		l.err = err
	}
}

// file returns the file of a plugin, rotated if it is full.
func (l *Logs) file(name string) (*os.File, error) {
	if file := l.files[name]; file != nil {
		info, err := file.Stat()
		if err == nil && info.Size() < mostLog {
			return file, nil
		}
		delete(l.files, name)
		_ = file.Close()
	}
	path := filepath.Join(l.dir, name+".log")
	if info, err := os.Lstat(path); err == nil && info.Size() >= mostLog {
		if err := rotate(path); err != nil {
			return nil, err
		}
	}
	file, err := os.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_WRONLY|syscall.O_NOFOLLOW, 0o600)
	if err == nil {
		err = file.Chmod(0o600)
	}
	if err != nil {
		return nil, err
	}
	l.files[name] = file
	return file, nil
}

// rotate makes room for a new file at a path.
func rotate(path string) error {
	old := func(n int) string { return fmt.Sprintf("%s.%d", path, n) }
	for n := oldLogs - 1; n > 0; n-- {
		if err := os.Rename(old(n), old(n+1)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return os.Rename(path, old(1))
}
