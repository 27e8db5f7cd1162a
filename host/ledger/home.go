package ledger

import (
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/rekey-host/rekey/host/ledger/internal/files"
)

// A state directory has a name that no other has: a random one, kept in a file
// that also says which directory and which file these are. A copy of the
// directory, or one that was put back from a copy, has the file and is not what
// the file says: its name is another.
const homeFormat = "rekey-state/1"

func (s *Store) homeFile() string { return filepath.Join(s.dir, "state.id") }

// home returns the name of the state directory; "" if it has none, or has one
// that is another's.
func (s *Store) home() string {
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

func homeText(id string, dir, self birth) string {
	return fmt.Sprintf("%s %s %s %s\n", homeFormat, id, dir, self)
}

// settleHome returns the name of the state directory and gives it one if it
// has none of its own. It is durable when settleHome returns.
func (s *Store) settleHome() (string, error) {
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
func (s *Store) nameHome() (string, error) {
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

func newName(path string) string {
	return filepath.Join(filepath.Dir(path), "."+filepath.Base(path)+".new")
}

// placed puts a file that names itself at a path, synced, in place of one that
// may be there. The name that it has until then is the same each time: what a
// crash leaves is used again.
func placed(path string, text func(self birth) []byte) error {
	temp := newName(path)
	f, err := files.OpenPrivate(temp, os.O_WRONLY|os.O_CREATE|os.O_TRUNC)
	if err != nil {
		return err
	}
	defer f.Close()
	self, err := birthOf(temp)
	if err == nil {
		_, err = f.Write(text(self))
	}
	if err == nil {
		err = f.Sync()
	}
	if err == nil {
		err = os.Rename(temp, path)
	}
	return err
}

// Applier is who applied a run last, or planned it if nobody did.
type Applier struct {
	At     int64  `json:"at"` // µs since 1970
	Host   string `json:"host,omitempty"`
	OSUser string `json:"os_user,omitempty"`
	Home   string `json:"home"`            // name of the state directory
	Began  bool   `json:"began,omitempty"` // it applied
}

// String says when and by whom.
func (a *Applier) String() string {
	what := "planned"
	if a.Began {
		what = "applied"
	}
	text := fmt.Sprintf("it was last %s at %s", what, time.UnixMicro(a.At).UTC().Format(time.RFC3339))
	if a.OSUser != "" {
		text += " by " + a.OSUser
	}
	if a.Host != "" {
		text += " on host " + a.Host
	}
	return text
}

// MovedError is returned for a run that was last applied elsewhere: going on
// with it here gives accounts a second value, unless nobody goes on with it
// there.
type MovedError struct {
	Run string
	Why string
}

// Error says where and when.
func (e *MovedError) Error() string { return "run " + e.Run + ": " + e.Why }

// elsewhere returns why this is not where the run was last applied, or "".
func (r *Run) elsewhere(mk *marker, m *mark) string {
	last := r.writer.now.Last
	if last == nil {
		return ""
	}
	by := last.String()
	switch home := r.store.home(); {
	case last.Host != "" && last.Host != r.store.host:
		return by + ", and this is " + r.store.host
	case home == "":
		return by + ", in a state directory of which this is a copy, or that was put back from one"
	case home != last.Home:
		return by + ", with another state directory"
	case mk == nil:
		return by + ", and what the state directory knew of it is gone"
	case m.self != mk.self:
		return by + ", and what the state directory knows of it was copied, or put back"
	}
	return ""
}
