package ledger

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/user"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/rekey-host/rekey/host/diag"
	"github.com/rekey-host/rekey/host/hashlog"
	"github.com/rekey-host/rekey/host/journal"
	"github.com/rekey-host/rekey/host/ledger/internal/files"
	"github.com/rekey-host/rekey/host/ledger/internal/sqlite"
)

// Options is what a Store uses of the machine. The zero value is usable.
type Options struct {
	Now    func() time.Time // nil: the system's clock
	Rand   io.Reader        // nil: crypto/rand; has to be good enough for keys
	OSUser string           // whose newest run is "last"; "": of the process
	Host   string           // in the name of the audit key; "": the machine's

	Crash func(point string) // called at each crash point, by any goroutine; nil outside tests
}

// Store is the runs of one state directory. It is safe for concurrent use, by
// any number of processes.
type Store struct {
	dir    string
	now    func() time.Time
	rand   io.Reader
	osUser string
	host   string
	crash  crash

	mu     sync.Mutex
	signer *hashlog.Signer // read on first use
	past   map[string]*past
}

// Open opens the state directory, makes what is missing of it (0700), and
// removes the drafts of processes that have died. It refuses one that others
// than root and this user could put files into: the error is a *strict.Problem.
func Open(dir string, o Options) (*Store, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return nil, err
	}
	s := &Store{dir: dir, now: o.Now, rand: o.Rand, osUser: o.OSUser, host: o.Host, crash: o.Crash}
	s.fill()
	sqlite.Init()
	if err := s.trusted(); err != nil {
		return nil, err
	}
	if err := s.makeDirs(); err != nil && !isDir(s.runs()) {
		return nil, fmt.Errorf("state directory: %w", err)
	}
	return s, s.sweep()
}

// isDir reports whether runs can be looked for there: that something beside them
// cannot be made keeps nobody from reading.
func isDir(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.IsDir()
}

// makeDirs makes what is missing. The directory of runs comes last: where it
// is, the names above it are on the disk.
func (s *Store) makeDirs() error {
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

func (s *Store) fill() {
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

// Close releases what the store holds. Runs that it gave out stay usable.
func (s *Store) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, p := range s.past {
		p.close()
	}
	s.past = nil
	return nil
}

// ReadOnly reports whether the state directory is on a medium that is mounted
// read-only.
func (s *Store) ReadOnly() bool {
	var at unix.Statfs_t
	return unix.Statfs(s.dir, &at) == nil && at.Flags&unix.ST_RDONLY != 0
}

// Dir returns the absolute path of the state directory.
func (s *Store) Dir() string { return s.dir }

// Scratch returns the directory for files without a name: it is as private as the
// state directory.
func (s *Store) Scratch() string { return s.temp() }

func (s *Store) runs() string               { return filepath.Join(s.dir, "runs") }
func (s *Store) temp() string               { return filepath.Join(s.dir, "tmp") }
func (s *Store) runFile(id string) string   { return filepath.Join(s.runs(), id+".db") }
func (s *Store) lockFile(id string) string  { return filepath.Join(s.runs(), id+".lock") }
func (s *Store) draftFile(id string) string { return filepath.Join(s.runs(), "."+id+".draft") }

// sweep removes drafts, and locks without a run, that no process holds.
func (s *Store) sweep() error {
	entries, err := os.ReadDir(s.runs())
	if err != nil {
		return err
	}
	for _, e := range entries {
		id, draft := strings.CutPrefix(e.Name(), ".")
		if i := strings.Index(id, ".draft"); draft && i > 0 {
			s.sweepOne(id[:i])
			continue
		}
		if id, isLock := strings.CutSuffix(e.Name(), ".lock"); isLock && !files.Exists(s.runFile(id)) {
			s.sweepOne(id)
		}
	}
	return nil
}

// sweepOne removes what a dead process left of a draft. What cannot be removed
// now is left to the next time.
func (s *Store) sweepOne(id string) {
	l, err := takeLock(s.lockFile(id))
	if err != nil {
		return
	}
	sqlite.Remove(s.draftFile(id))
	if files.Exists(s.runFile(id)) {
		l.release()
		return
	}
	s.dropMark(id)
	l.remove()
}

// letters are those of run names: none that is taken for another.
const letters = "23456789abcdefghjkmnpqrstuvwxyz"

var validID = regexp.MustCompile(`^[a-z0-9][a-z0-9-]{0,62}$`)

// newID makes a name that no run has, and takes its lock.
func (s *Store) newID() (string, *lock, error) {
	for range 1000 {
		var b [5]byte
		if _, err := io.ReadFull(s.rand, b[:]); err != nil {
			return "", nil, err
		}
		for i := range b {
			b[i] = letters[int(b[i])%len(letters)]
		}
		id := "r" + string(b[:])
		if files.Exists(s.runFile(id)) || files.Exists(s.lockFile(id)) {
			continue
		}
		l, err := takeLock(s.lockFile(id))
		var held *LockedError
		if errors.As(err, &held) {
			continue
		}
		return id, l, err
	}
	return "", nil, errors.New("state directory: no free name for a run")
}

// ids returns the names of all runs, sorted.
func (s *Store) ids() ([]string, error) {
	entries, err := os.ReadDir(s.runs())
	if err != nil {
		return nil, err
	}
	var list []string
	for _, e := range entries {
		if id, ok := strings.CutSuffix(e.Name(), ".db"); ok && validID.MatchString(id) {
			list = append(list, id)
		}
	}
	return list, nil
}

// Resolve returns the run that a name means: a run's own, a beginning of it
// that no other run shares, or "last", the newest run of this OS user.
func (s *Store) Resolve(name string) (string, error) {
	list, err := s.ids()
	if err != nil {
		return "", err
	}
	if name == "last" {
		return s.last()
	}
	var found []string
	for _, id := range list {
		if id == name {
			return id, nil
		}
		if name != "" && strings.HasPrefix(id, name) {
			found = append(found, id)
		}
	}
	switch len(found) {
	case 1:
		return found[0], nil
	case 0:
		return "", notFound(name, list)
	default:
		return "", fmt.Errorf("run %q could be %s", name, strings.Join(found, " or "))
	}
}

// ErrNoRun is what Resolve and others return for a run that does not exist.
var ErrNoRun = errors.New("no such run")

func notFound(name string, list []string) error {
	closest := slices.MinFunc(append([]string{""}, list...), func(a, b string) int {
		return diag.Distance(a, name) - diag.Distance(b, name)
	})
	if closest == "" || diag.Distance(closest, name) > 2 {
		return fmt.Errorf("%w: %q; rekey runs lists them", ErrNoRun, name)
	}
	return fmt.Errorf("%w: %q; did you mean %s?", ErrNoRun, name, closest)
}

func (s *Store) last() (string, error) {
	list, err := s.Runs()
	if err != nil {
		return "", err
	}
	for _, r := range list {
		if r.Header.OSUser == s.osUser {
			return r.Header.ID, nil
		}
	}
	var nobodys []string // whose header is lost
	for _, r := range list {
		if r.Err != nil && r.Header.OSUser == "" {
			nobodys = append(nobodys, r.Header.ID)
		}
	}
	switch len(nobodys) {
	case 0:
	case 1:
		return nobodys[0], nil
	default:
		return "", fmt.Errorf("last could be run %s, none of which can be read; name the run", strings.Join(nobodys, " or "))
	}
	return "", fmt.Errorf("%w: %s has not run anything here yet", ErrNoRun, s.osUser)
}

// ResolveToApply is Resolve for a command that changes something. "last" has to
// be certain: a run that cannot be read, and was written to after the newest
// one that can was made, may be the one that is meant, and that another is
// finished would be taken for its end.
func (s *Store) ResolveToApply(name string) (string, error) {
	id, err := s.Resolve(name)
	if err != nil || name != "last" {
		return id, err
	}
	list, err := s.Runs()
	if err != nil {
		return "", err
	}
	var made time.Time
	for _, r := range list {
		if r.Header.ID == id {
			made = r.Header.Created
		}
	}
	return id, s.noneNewer(id, made, list)
}

// noneNewer returns an error if another run than that one cannot be read, and was
// written to after a time.
func (s *Store) noneNewer(id string, made time.Time, list []Summary) error {
	for _, r := range list {
		if r.Err == nil || r.Header.ID == id || !r.Header.Created.IsZero() {
			continue
		}
		info, err := os.Lstat(s.runFile(r.Header.ID))
		if err == nil && info.ModTime().After(made) {
			return fmt.Errorf("last could be run %s, which cannot be read: %w; name the run, rekey runs lists them", r.Header.ID, r.Err)
		}
	}
	return nil
}

// Summary is one run in a list.
type Summary struct {
	Header Header // without texts of script and modules
	State  journal.State
	Counts Counts
	Err    error // why the run cannot be read; of Header only the ID is certain to be there
}

// Runs returns all runs, newest first. A run that cannot be read is listed
// last, with the reason.
func (s *Store) Runs() ([]Summary, error) {
	ids, err := s.ids()
	if err != nil {
		return nil, err
	}
	list := make([]Summary, 0, len(ids))
	for _, id := range ids {
		list = append(list, s.summary(id))
	}
	slices.SortStableFunc(list, func(a, b Summary) int {
		return b.Header.Created.Compare(a.Header.Created)
	})
	return list, nil
}

func (s *Store) summary(id string) Summary {
	r, err := s.Read(id)
	if err != nil {
		return Summary{Header: s.headerOf(id, err), Err: err}
	}
	defer r.Close()
	out := Summary{Header: r.Header()}
	out.Header.ScriptText, out.Header.Modules = nil, nil
	if out.State, err = r.State(); err == nil {
		out.Counts, err = r.Counts()
	}
	out.Err = err
	return out
}

// headerOf is what there is of the header of a run that cannot be read: which
// run is the last does not depend on what was damaged.
func (s *Store) headerOf(id string, why error) Header {
	if !Damaged(why) {
		return Header{ID: id}
	}
	r, err := s.Rest(id)
	if err != nil {
		return Header{ID: id}
	}
	defer r.Close()
	head := r.Header()
	head.ScriptText, head.Modules = nil, nil
	return head
}

// missing turns a file that is not there into ErrNoRun.
func missing(id string, err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%w: %q", ErrNoRun, id)
	}
	return fmt.Errorf("run %s: %w", id, err)
}
