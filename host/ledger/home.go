package ledger

import (
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/rekey-host/rekey/host/ledger/internal/files"
)

// A state directory has a name that no other has: a random one, kept in a file
// that also says which directory and which file these are. A copy of the
// directory, or one put back from a copy, has the file and is not what
// the file says: its name is another.
const homeFormat = "rekey-state/1"

func homeText(id string, dir, self birth) string {
	return fmt.Sprintf("%s %s %s %s\n", homeFormat, id, dir, self)
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

// Applier is who applied a run last, or who planned it.
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

// MovedError is returned for a run last applied elsewhere: going on
// with it here gives accounts a second value, unless the run is given up
// there.
type MovedError struct {
	Run string
	Why string
}

// Error says where and when.
func (e *MovedError) Error() string { return "run " + e.Run + ": " + e.Why }
