package ledger

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"os"
	"os/user"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/rekey-host/rekey/host/ledger/internal/files"
	"github.com/rekey-host/rekey/sdk/strict"
	"golang.org/x/sys/unix"
)

// stateDir is a state directory: where it is, and what of the machine is used there.
type stateDir struct {
	dir    string
	now    func() time.Time
	rand   io.Reader
	osUser string
	host   string
	crash  crash
	fault  func(records int) error // see Options.Fault
	kept   keeper                  // of the runs
}

// trusted refuses a state directory in which others than root and this user
// could put other files: itself, the directories above it, and those in it.
// A missing part is made for this user alone, and no one can put anything
// on a read-only medium. An unreadable one is found later,
// by whoever needs it.
func (s *stateDir) trusted() error {
	if s.ReadOnly() {
		return nil
	}
	for _, dir := range []string{s.dir, s.runs(), s.marks(), s.temp(), filepath.Join(s.dir, "files"), filepath.Join(s.dir, "cache")} {
		_, err := strict.Keep(dir, os.Geteuid())
		var p *strict.Problem
		if errors.As(err, &p) {
			return fmt.Errorf("state directory %s: %w", s.dir, s.mended(p))
		}
	}
	return nil
}

// mended is the problem with a fix that mends all of the state directory: where
// it could be written, its content may be writable too.
func (s *stateDir) mended(p *strict.Problem) *strict.Problem {
	inside := p.Path == s.dir || strings.HasPrefix(p.Path, s.dir+string(filepath.Separator))
	verb, rest, ok := strings.Cut(p.Fix, " ")
	what, named := strings.CutSuffix(rest, " "+p.Path)
	if !inside || !ok || !named || strings.HasPrefix(what, "-") {
		return p
	}
	return &strict.Problem{Path: p.Path, Message: p.Message, Fix: fmt.Sprintf("%s -R %s %s", verb, what, s.dir)}
}

// makeDirs makes missing directories. The directory of runs comes last: where it
// is, the names above it are on the disk.
func (s *stateDir) makeDirs() error {
	for _, d := range []string{s.dir, s.temp()} {
		if err := makePrivateDir(d); err != nil {
			return err
		}
	}
	if !files.Exists(s.runs()) {
		if err := syncUp(s.dir); err != nil {
			return err
		}
	}
	if err := makePrivateDir(s.runs()); err != nil {
		return err
	}
	return syncOwn(s.dir)
}

// ReadOnly reports whether the state directory is on a medium mounted
// read-only.
func (s *stateDir) ReadOnly() bool {
	var at unix.Statfs_t
	return unix.Statfs(s.dir, &at) == nil && at.Flags&unix.ST_RDONLY != 0
}

// Dir returns the absolute path of the state directory.
func (s *stateDir) Dir() string { return s.dir }

// Scratch returns the directory for files without a name: it is as private as the
// state directory.
func (s *stateDir) Scratch() string { return s.temp() }

func (s *stateDir) marks() string { return filepath.Join(s.dir, "marks") }
func (s *stateDir) runs() string  { return filepath.Join(s.dir, "runs") }

func (s *stateDir) temp() string { return filepath.Join(s.dir, "tmp") }

func (s *stateDir) runFile(id string) string { return filepath.Join(s.runs(), id+".db") }

func (s *stateDir) lockFile(id string) string { return filepath.Join(s.runs(), id+".lock") }

func (s *stateDir) draftFile(id string) string { return filepath.Join(s.runs(), "."+id+".draft") }

func (s *stateDir) fill() {
	if s.now == nil {
		s.now = time.Now
	}
	switch s.rand {
	case nil, rand.Reader:
		s.rand = rand.Reader
	default:
		s.rand = &oneAtATime{r: s.rand}
	}
	if s.osUser == "" {
		s.osUser = fmt.Sprint(os.Getuid())
		if u, err := user.Current(); err == nil {
			s.osUser = u.Username
		}
	}
	if s.host == "" {
		s.host, _ = os.Hostname()
	}
}

// oneAtATime makes a source of randomness safe for concurrent use.
type oneAtATime struct {
	mu sync.Mutex
	r  io.Reader
}

func (o *oneAtATime) Read(b []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.r.Read(b)
}
