package ledger

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/rekey-host/rekey/host/ledger/internal/files"
)

// ErrGone is in the chain of what Commit, Intact and Confirm return when the
// files of an open run are not what their names say any more, or do not hold
// what was written. This process then has open what is not the ledger any more.
var ErrGone = errors.New("the ledger is not where it was")

// goneError says what happened to which file.
type goneError struct{ path, what string }

func (e *goneError) Error() string        { return e.path + " " + e.what }
func (e *goneError) Is(target error) bool { return target == ErrGone }

func gone(path, format string, args ...any) error {
	return &goneError{path, fmt.Sprintf(format, args...)}
}

// fileID tells a file from others.
type fileID struct{ dev, ino uint64 }

// footing is what the names of an open run's files meant when it was opened.
// SQLite goes on with its open files, whatever becomes of the names; whatever it
// writes then is lost with the process. It is safe for concurrent use, and
// opens only the write-ahead file: closing a descriptor of another one would drop
// SQLite's locks.
type footing struct {
	mu    sync.Mutex
	files []standsOn
	asked time.Time
	lost  error // what was found once; it stays, whatever the names say later
}

// standsOn is one file, or the directory of all.
type standsOn struct {
	path  string
	id    fileID
	holds bool // records: it never shrinks, and no other process writes to it unseen
	ahead bool // the write-ahead file: it begins as one, or is empty
	size  int64
	wrote unix.Timespec // when something was last written to it
}

// settle notes how the files are after this process has written to them.
func (f *footing) settle() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	for i := range f.files {
		if x := &f.files[i]; x.holds {
			st, err := files.Stat(x.path)
			if err != nil {
				return x.missing(err)
			}
			x.size, x.wrote = st.Size, st.Mtim
		}
	}
	return nil
}

// check compares the files of the names now with those of before. touched reports
// that another process wrote to a file with records: whether it harmed them
// has to be read.
func (f *footing) check() (touched bool, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.lost == nil {
		touched, f.lost = f.compare()
		f.asked = time.Now()
	}
	return touched, f.lost
}

func (f *footing) compare() (touched bool, err error) {
	for i := range f.files {
		x := &f.files[i]
		st, err := files.Stat(x.path)
		switch {
		case err != nil:
			return touched, x.missing(err)
		case fileID{uint64(st.Dev), st.Ino} != x.id:
			return touched, gone(x.path, "was replaced by another file")
		case x.holds && st.Size < x.size:
			return touched, gone(x.path, "was cut off: it has %d bytes, and had %d", st.Size, x.size)
		case x.ahead && st.Size > 0 && !beginsAsLog(x.path):
			return touched, gone(x.path, "was cut off, and written to since: its beginning is lost")
		case x.holds && (st.Mtim != x.wrote || st.Size != x.size):
			touched = true
		}
	}
	return touched, nil
}

// beginsAsLog reports whether a write-ahead file has its first bytes. One
// cut off while a commit is under way grows again behind a hole: its size tells
// nothing.
func beginsAsLog(path string) bool {
	f, err := os.Open(path)
	if err != nil {
		return !errors.Is(err, fs.ErrNotExist) // of descriptors that ran out, say: not known
	}
	defer f.Close()
	var magic [4]byte
	_, err = f.ReadAt(magic[:], 0)
	return err == nil && binary.BigEndian.Uint32(magic[:])&^1 == 0x377f0682
}

func (x *standsOn) missing(err error) error {
	if errors.Is(err, unix.ENOENT) || errors.Is(err, unix.ENOTDIR) {
		return gone(x.path, "was removed, or moved elsewhere")
	}
	return gone(x.path, "cannot be looked at: %v", err)
}

// checkEvery is how long an answer of glance holds.
const checkEvery = 5 * time.Millisecond

// glance is check for who asks all the time.
func (f *footing) glance() error {
	f.mu.Lock()
	fresh, lost := time.Since(f.asked) < checkEvery, f.lost
	f.mu.Unlock()
	if fresh {
		return lost
	}
	_, err := f.check()
	return err
}

// is reports whether the name still means the open file.
func (f *footing) is(path string) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, x := range f.files {
		if x.path == path {
			st, err := files.Stat(path)
			return err == nil && fileID{uint64(st.Dev), st.Ino} == x.id
		}
	}
	return false
}

// has reports whether the path is noted as the file that st is of.
func (f *footing) has(path string, st unix.Stat_t) bool {
	for _, x := range f.files {
		if x.path == path {
			return x.id == fileID{uint64(st.Dev), st.Ino}
		}
	}
	return false
}

// standOn notes the files of a run whose database is open.
func standOn(s *stateDir, id string) (*footing, error) {
	db := s.runFile(id)
	f := &footing{files: []standsOn{
		{path: s.runs()}, {path: db, holds: true}, {path: db + "-wal", holds: true, ahead: true}, {path: db + "-shm"}, {path: s.lockFile(id)},
	}}
	for i := range f.files {
		st, err := files.Stat(f.files[i].path)
		if err != nil {
			return nil, gone(f.files[i].path, "cannot be looked at: %v", err)
		}
		f.files[i].id = fileID{uint64(st.Dev), st.Ino}
	}
	return f, f.settle()
}
