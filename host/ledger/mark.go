package ledger

import (
	"encoding/hex"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/rekey-host/rekey/host/hashlog"
	"github.com/rekey-host/rekey/host/ledger/internal/files"
)

// marks are kept beside the runs, not among them: whoever puts an older file of
// a run back leaves its mark as it is. A mark says how far the run's log had
// come, and what stood there: size and frontier. It is written after each
// commit and not synced, so that it costs a microsecond and is never ahead of
// the ledger; after a power cut it may lag.
//
// Its file has three slots of a line each: the first is synced when the file is
// made, the others are written in turn. It names itself: a copy of it is not it.
const (
	markSlot   = 2048
	markSlots  = 3
	markFormat = "rekey-mark/1"
)

// markers know what the state directory is called, and how far its runs had come.
type markers struct{ *stateDir }

// mark is what one slot says.
type mark struct {
	run  string
	tree hashlog.Frontier
	self birth
}

// birth tells a file from its copies: its number, and when it was made where
// the file system knows. Numbers are used again, and moments are not.
type birth struct {
	ino  uint64
	born int64
}

func (b birth) String() string { return fmt.Sprintf("%d %d", b.ino, b.born) }

func birthOf(path string) (birth, error) {
	var st unix.Statx_t
	if err := unix.Statx(unix.AT_FDCWD, path, 0, unix.STATX_INO|unix.STATX_BTIME, &st); err != nil {
		return birth{}, &fs.PathError{Op: "statx", Path: path, Err: err}
	}
	b := birth{ino: st.Ino}
	if st.Mask&unix.STATX_BTIME != 0 {
		b.born = st.Btime.Sec*1e9 + int64(st.Btime.Nsec)
	}
	return b, nil
}

func (s *markers) markFile(id string) string { return filepath.Join(s.marks(), id) }

// line is the text of a slot: fields, and a sum against a torn one.
func (m *mark) line() []byte {
	text := fmt.Appendf(make([]byte, 0, markSlot), "%s %s %d %x %s", markFormat, m.run, m.tree.Size, m.tree.Bytes(), m.self)
	text = fmt.Appendf(text, " %08x", crc32.ChecksumIEEE(text))
	for len(text) < markSlot-1 {
		text = append(text, ' ')
	}
	return append(text, '\n')
}

// parseMark reads a slot.
func parseMark(slot []byte) (mark, error) {
	bad := errors.New("not a mark")
	text := strings.TrimRight(string(slot), " \n")
	body, sum, ok := cutLast(text, " ")
	if !ok || fmt.Sprintf("%08x", crc32.ChecksumIEEE([]byte(body))) != sum {
		return mark{}, bad
	}
	field := strings.Split(body, " ")
	if len(field) != 6 || field[0] != markFormat {
		return mark{}, bad
	}
	size, err1 := strconv.ParseInt(field[2], 10, 64)
	edges, err2 := hex.DecodeString(field[3])
	ino, err3 := strconv.ParseUint(field[4], 10, 64)
	born, err4 := strconv.ParseInt(field[5], 10, 64)
	if err := errors.Join(err1, err2, err3, err4); err != nil {
		return mark{}, bad
	}
	tree, err := hashlog.FrontierFrom(size, edges)
	return mark{run: field[1], tree: tree, self: birth{ino, born}}, err
}

func cutLast(s, sep string) (before, after string, found bool) {
	i := strings.LastIndex(s, sep)
	if i < 0 {
		return s, "", false
	}
	return s[:i], s[i+len(sep):], true
}

// readMark returns the newest sound slot of a mark's file and its number, or
// -1.
func readMark(f *os.File, run string) (newest mark, slot int) {
	slot = -1
	for i := range markSlots {
		b := make([]byte, markSlot)
		if n, _ := f.ReadAt(b, int64(i)*markSlot); n < markSlot {
			continue
		}
		m, err := parseMark(b)
		if err == nil && m.run == run && (slot < 0 || m.tree.Size > newest.tree.Size) {
			newest, slot = m, i
		}
	}
	return newest, slot
}

// marker writes the mark of one run.
type marker struct {
	f    *os.File
	run  string
	self birth
	next int // slot
}

// makeMark makes the file of a mark, durable when makeMark returns, in place of
// one that may be there.
func (s *markers) makeMark(run string, tree *hashlog.Frontier) error {
	if !files.Exists(s.marks()) {
		if err := makePrivateDir(s.marks()); err != nil {
			return err
		}
		if err := syncDir(s.dir); err != nil { // Open does it for one that died here
			return err
		}
	}
	err := placed(s.markFile(run), func(self birth) []byte {
		m := mark{run, *tree, self}
		return m.line()
	})
	if err != nil {
		return err
	}
	s.crash.at(CrashMarkMade)
	return syncDir(s.marks())
}

// dropMark removes the mark of a draft that did not become a run. One of a run
// once applied stays, whatever became of the run.
func (s *markers) dropMark(run string) {
	_ = os.Remove(newName(s.markFile(run)))
	mk, m, err := s.openMark(run, os.O_RDWR)
	if err != nil || mk == nil {
		return
	}
	mk.close()
	if m.tree.Size <= draftSize {
		_ = os.Remove(s.markFile(run))
	}
}

// draftSize is how many records a run has before it is applied.
const draftSize = 2

// openMark opens the mark of a run for writing, or nil.
func (s *markers) openMark(run string, flags int) (*marker, mark, error) {
	path := s.markFile(run)
	f, err := os.OpenFile(path, flags|unix.O_NOFOLLOW, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, mark{}, nil
	}
	if err != nil {
		return nil, mark{}, err
	}
	m, slot := readMark(f, run)
	self, err := birthOf(path)
	if err != nil || slot < 0 {
		_ = f.Close()
		return nil, mark{}, err
	}
	return &marker{f: f, run: run, self: self, next: nextSlot(slot)}, m, nil
}

// write notes where the log stands. What cannot be noted is not: a mark that
// lags is one.
func (m *marker) write(tree *hashlog.Frontier) {
	if m == nil {
		return
	}
	next := mark{m.run, *tree, m.self}
	if _, err := m.f.WriteAt(next.line(), int64(m.next)*markSlot); err == nil {
		m.next = nextSlot(m.next)
	}
}

// nextSlot is which slot is written after another: the first stays.
func nextSlot(slot int) int { return slot%(markSlots-1) + 1 }

func (m *marker) close() {
	if m != nil {
		_ = m.f.Close()
	}
}

// StaleError is returned when a run's ledger lacks records known to have been
// in it: an older copy was put back, or another one.
type StaleError struct{ Run, Message, Fix string }

// Error names the run and the known facts.
func (e *StaleError) Error() string { return fmt.Sprintf("run %s: %s; %s", e.Run, e.Message, e.Fix) }

func (s *markers) homeFile() string { return filepath.Join(s.dir, "state.id") }

// home returns the name of the state directory; "" if it has none, or has one
// of another process.
func (s *markers) home() string {
	text, err := os.ReadFile(s.homeFile())
	if err != nil {
		return ""
	}
	dir, err1 := birthOf(s.dir)
	self, err2 := birthOf(s.homeFile())
	id, _, _ := strings.Cut(strings.TrimPrefix(string(text), homeFormat+" "), " ")
	if errors.Join(err1, err2) != nil || string(text) != homeText(id, dir, self) {
		return ""
	}
	return id
}

// settleHome returns the name of the state directory and gives it one if it
// has none of its own. It is durable when settleHome returns.
func (s *markers) settleHome() (string, error) {
	if id := s.home(); id != "" {
		return id, nil
	}
	d, err := os.Open(s.dir)
	if err != nil {
		return "", err
	}
	defer d.Close()
	_ = unix.Flock(int(d.Fd()), unix.LOCK_EX) // one process at a time, where the file system can
	if id := s.home(); id != "" {
		return id, nil
	}
	id, err := s.nameHome()
	if err != nil {
		return "", err
	}
	s.crash.at(CrashHomeNamed)
	return id, d.Sync()
}

// nameHome gives the state directory a name.
func (s *markers) nameHome() (string, error) {
	var random [8]byte
	if _, err := io.ReadFull(s.rand, random[:]); err != nil {
		return "", err
	}
	id := hex.EncodeToString(random[:])
	dir, err := birthOf(s.dir)
	if err != nil {
		return "", err
	}
	return id, placed(s.homeFile(), func(self birth) []byte { return []byte(homeText(id, dir, self)) })
}
