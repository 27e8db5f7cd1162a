package ledger

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/rekey-host/rekey/host/diag"
	"github.com/rekey-host/rekey/host/hashlog"
	"github.com/rekey-host/rekey/host/journal"
	"github.com/rekey-host/rekey/host/ledger/internal/files"
	"github.com/rekey-host/rekey/host/ledger/internal/rows"
)

// Options is what a Store uses of the machine. The zero value is usable.
type Options struct {
	Now    func() time.Time // nil: the system's clock
	Rand   io.Reader        // nil: crypto/rand; has to be good enough for keys
	OSUser string           // whose newest run is "last"; "": of the process
	Host   string           // in the name of the audit key; "": the machine's

	Crash func(point string) // called at each crash point, by any goroutine; nil outside tests
	// Fault is asked before that many records are committed; an error is what the
	// commit fails with. nil outside tests.
	Fault func(records int) error
}

// Store is the runs of one state directory. It is safe for concurrent use, by
// any number of processes.
type Store struct {
	*stateDir
	*markers
	*outputs
	*keyring
	*catalog
	*targets
}

// storeAt returns the store of a place.
func storeAt(p *stateDir) *Store {
	p.kept = newKeeper(p.temp())
	s := &Store{stateDir: p, markers: &markers{p}, outputs: &outputs{p}, keyring: &keyring{stateDir: p}}
	s.catalog, s.targets = &catalog{p, s}, &targets{store: s}
	return s
}

// Open opens the state directory, makes missing parts of it (0700), and
// removes the drafts of processes that have died. It refuses one that others
// than root and this user could put files into: the error is a *strict.Problem.
func Open(dir string, o Options) (*Store, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return nil, err
	}
	s := storeAt(&stateDir{dir: dir, now: o.Now, rand: o.Rand, osUser: o.OSUser, host: o.Host, crash: o.Crash, fault: o.Fault})
	s.fill()
	if err := s.trusted(); err != nil {
		return nil, err
	}
	if err := s.makeDirs(); err != nil && !isDir(s.runs()) {
		return nil, fmt.Errorf("state directory: %w", err)
	}
	return s, s.sweep()
}

// isDir reports whether runs can be looked for there: that something beside them
// cannot be made keeps no one from reading.
func isDir(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.IsDir()
}

// Close releases what the store holds. Runs that it gave out stay usable.
func (s *Store) Close() error {
	s.targets.close()
	return nil
}

// letters are those of run names: none easily taken for another.
const letters = "23456789abcdefghjkmnpqrstuvwxyz"

var validID = regexp.MustCompile(`^[a-z0-9][a-z0-9-]{0,62}$`)

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

// Summary is one run in a list.
type Summary struct {
	Header Header // without texts of script and modules
	State  journal.State
	Counts Counts
	Err    error // why the run cannot be read; of Header only the ID is certain to be there
}

// missing turns a missing file into ErrNoRun.
func missing(id string, err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%w: %q", ErrNoRun, id)
	}
	return fmt.Errorf("run %s: %w", id, err)
}

// Backup copies the state directory: each run as of one moment and as one
// file, also while it is applied, the audit key, the record of outputs, and
// the marks of the copies. identity is a file to copy too, last; "" for none. dir
// must not exist, or be empty: it is there whole, 0700, or not at all. What a
// killed process leaves beside it is removed by the next backup there; one that
// ctx ends leaves nothing.
func (s *Store) Backup(ctx context.Context, dir, identity string) (Backup, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return Backup{}, err
	}
	if err := vacant(dir); err != nil {
		return Backup{}, err
	}
	if err := makePrivateDir(filepath.Dir(dir)); err != nil {
		return Backup{}, err
	}
	made, err := files.MakePassing(filepath.Dir(dir), ".rekey-backup-")
	if err != nil {
		return Backup{}, err
	}
	defer made.Remove()
	b := Backup{Dir: dir}
	if err := (&backingUp{s}).backUp(ctx, made.Dir, identity, &b); err != nil {
		return b, err
	}
	if err := unix.Rename(made.Dir, dir); err != nil { // an empty directory is replaced
		return b, fmt.Errorf("%s: %w; give a directory in it that does not exist", dir, err)
	}
	return b, syncDir(filepath.Dir(dir))
}

// Note records an act on a run by a process that does not apply it: that it
// revealed values, or wrote a report. It is durable when Note returns, and
// works while another process applies the run.
func (s *Store) Note(id string, rec *journal.Record) error {
	if rec.Kind != journal.Revealed && rec.Kind != journal.Reported {
		return fmt.Errorf("run %s: a record of kind %d needs the run's lock", id, rec.Kind)
	}
	r, err := s.Read(id)
	if err != nil {
		return err
	}
	defer r.Close()
	w, err := r.writerInPassing()
	if err != nil {
		return ofRun(id, err)
	}
	defer w.db.Close()
	mk, m, err := s.openMark(id, os.O_RDWR)
	if err != nil {
		return ofRun(id, err)
	}
	defer mk.close()
	if err := w.known(mk, &m); err != nil { // nothing is added to an older copy
		return err
	}
	w.mark = mk
	if err := w.commit([]*journal.Record{rec}); err != nil {
		return ofRun(id, err)
	}
	return nil
}

// Lock opens a run for applying. It returns a *LockedError when another
// process, or another Run of this one, does so. That the keys do not open its
// values is not an error yet: see Sealable.
//
// It returns a *StaleError for a ledger that lacks earlier records, and a
// *MovedError for one last applied elsewhere.
func (s *Store) Lock(id string, k Keys) (*Run, error) { return s.lock(id, k, false) }

// LockMoved is Lock for a run known to have been moved here: where it
// was last applied elsewhere, the move is recorded, and this is its place.
func (s *Store) LockMoved(id string, k Keys) (*Run, error) { return s.lock(id, k, true) }

func (s *Store) lock(id string, k Keys, moved bool) (*Run, error) {
	if !files.Exists(s.runFile(id)) {
		return nil, missing(id, os.ErrNotExist)
	}
	l, err := waitLock(s.lockFile(id))
	if err != nil {
		return nil, ofRun(id, err)
	}
	s.crash.at(CrashLocked)
	if err := syncOwn(s.runs()); err != nil { // whoever planned it may have ended before that
		l.release()
		return nil, ofRun(id, err)
	}
	r, err := s.openLocked(id, l)
	if err != nil {
		return nil, err
	}
	err = r.unlockValues(k.Identities)
	if err == nil {
		err = r.settle(moved)
	}
	if err != nil {
		_ = r.Close()
		return nil, err
	}
	s.crash.at(CrashOpened)
	return r, nil
}

// openLocked opens a run whose lock is held. After an error the lock is free.
func (s *Store) openLocked(id string, l *lock) (*Run, error) {
	r, err := s.openOn(id, l)
	if err != nil {
		if r != nil {
			_ = r.Close()
		}
		l.release()
		return nil, ofRun(id, err)
	}
	return r, nil
}

// openOn opens a run for applying and notes its files. The name of
// its database may not change its meaning meanwhile.
func (s *Store) openOn(id string, l *lock) (*Run, error) {
	before, err := files.Stat(s.runFile(id))
	if err != nil {
		return nil, err
	}
	r, err := s.open(id)
	if err != nil {
		return nil, err
	}
	if err = r.reading(r.knows); err != nil {
		return r, err
	}
	if r.writer, err = newWriter(r); err != nil {
		return r, err
	}
	if r.footing, err = standOn(s.stateDir, id); err != nil {
		return r, err
	}
	if !r.footing.has(s.runFile(id), before) {
		return r, gone(s.runFile(id), "was replaced by another file")
	}
	r.lock = l
	return r, nil
}

// Read opens a run for reading. It always works, also while another process
// applies the run. Its sealed values stay sealed.
func (s *Store) Read(id string) (*Run, error) {
	r, err := s.open(id)
	if err != nil {
		return nil, err
	}
	r.sealErr = ErrNoKey
	return r, nil
}

// ReadWith opens a run for reading with the keys to its values. That they do
// not open them is not an error yet: see Sealable.
func (s *Store) ReadWith(id string, k Keys) (*Run, error) {
	r, err := s.open(id)
	if err != nil {
		return nil, err
	}
	if err := r.unlockValues(k.Identities); err != nil {
		_ = r.Close()
		return nil, err
	}
	return r, nil
}

func (s *Store) open(id string) (*Run, error) { return s.openAs(id, nil) }

func (s *Store) openAs(id string, rest *rescue) (*Run, error) {
	if !validID.MatchString(id) || !files.Exists(s.runFile(id)) {
		return nil, missing(id, os.ErrNotExist)
	}
	if info, err := os.Stat(s.runFile(id)); err == nil && !info.Mode().IsRegular() { // a FIFO would never open
		return nil, fmt.Errorf("run %s: %s is not a regular file", id, s.runFile(id))
	}
	r := runOf(s, id, rest)
	err := r.reading(r.load)
	if err != nil {
		_ = r.Close()
		return nil, s.unreadable(id, missing(id, err))
	}
	return r, nil
}

// Draft begins a run: it makes its data key and seals that to the recipients.
// An empty Header.ID is filled with a new name.
func (s *Store) Draft(h Header, k Keys) (*Draft, error) {
	if h.Created.IsZero() {
		h.Created = s.now()
	}
	h.Created = h.Created.UTC()
	d := &Draft{store: s, waves: map[int]int64{}, keys: newTwins(s.temp()), front: front{tree: hashlog.Frontier{Keeps: true}, sheet: hashlog.SheetWriter{Sheet: hashlog.Sheet{First: 1}}}}
	d.enc.Key = &d.names
	var err error
	if d.lock, err = s.nameRun(&h); err != nil {
		return nil, err
	}
	d.header = h
	if d.home, err = s.settleHome(); err == nil {
		err = d.begin(k)
	}
	if err != nil {
		_ = d.Discard()
		return nil, fmt.Errorf("draft of run %s: %w", h.ID, err)
	}
	return d, nil
}

// nameRun gives the run its name and takes its lock.
func (s *Store) nameRun(h *Header) (*lock, error) {
	if h.ID == "" {
		id, l, err := s.newID()
		h.ID = id
		return l, err
	}
	if !validID.MatchString(h.ID) {
		return nil, fmt.Errorf("run %q: not a name; use lower-case letters, digits and hyphens", h.ID)
	}
	l, err := takeLock(s.lockFile(h.ID))
	if err != nil {
		return nil, ofRun(h.ID, err)
	}
	if files.Exists(s.runFile(h.ID)) {
		l.release()
		return nil, fmt.Errorf("run %s exists already", h.ID)
	}
	return l, nil
}

// sizeNow is how many records a run has, whatever of it was opened before.
func (s *Store) sizeNow(id string) (int64, error) {
	c, err := s.kept.Open(s.runFile(id), rows.Live)
	if err != nil {
		return 0, err
	}
	defer c.Close()
	return sizeOf(c)
}

// tidy folds in what a killed process left, or one that a reader kept from
// doing it. It is for whoever owns the run's file, and does nothing while the
// run is applied.
func (s *Store) tidy(id string) {
	path := s.runFile(id)
	if !files.Exists(path+"-wal") || !mine(path) {
		return
	}
	l, err := holdLock(s.lockFile(id))
	if err != nil {
		return
	}
	defer l.release()
	s.kept.Tidy(path)
}

// readPlan begins to read the plan of a run.
func (s *Store) readPlan(id string, names hashlog.NamesKey, bounds []hashlog.Wave) *planReading {
	p := &planReading{bounds: bounds, tree: hashlog.Frontier{Keeps: true}, audit: hashlog.Audit{OK: true}, done: make(chan struct{})}
	go func() {
		defer close(p.done)
		c, err := s.kept.Open(s.runFile(id), rows.Live)
		if err != nil {
			p.err = err
			return
		}
		defer c.Close()
		p.err = p.read(c, &names)
	}()
	return p
}

// Rest opens a run as Read does, for whoever wants what there is of it: where
// its file is damaged, the readable parts are copied aside, and the copy is read. What
// is missing then is in Damage.
func (s *Store) Rest(id string) (*Run, error) { return s.openRest(id) }

// RestWith opens a run as ReadWith does, and otherwise as Rest.
func (s *Store) RestWith(id string, k Keys) (*Run, error) {
	r, err := s.openRest(id)
	if err != nil {
		return nil, err
	}
	err = r.unlockValues(k.Identities)
	if err == nil {
		err = r.keyIsWhole()
	}
	if err != nil {
		_ = r.Close()
		return nil, err
	}
	return r, nil
}

func (s *Store) openRest(id string) (*Run, error) { return s.openAs(id, &rescue{}) }

// Verify reads a run from end to end, computes every hash anew and names what
// does not fit: records that were changed, dropped, moved, cut off or put in,
// rows of the plan, statuses of users, signed heads. checkpoint is what was
// kept elsewhere: "SIZE:HASH", a hash alone, or the text of a signed head;
// with "" only consistency is proved. The error is for a run that cannot be
// read at all, or a text that is not a checkpoint.
//
// Verify works while the run is being applied: it sees it as of one moment.
func (s *Store) Verify(id, checkpoint string) (hashlog.Audit, error) {
	v := &verification{store: s, id: id}
	v.Audit = hashlog.Audit{Run: id, OK: true}
	v.Tree.Keeps = true
	v.Rules = v
	var err error
	if v.Kept, err = hashlog.ParseCheckpoint(checkpoint); err != nil {
		return v.Audit, err
	}
	path := s.runFile(id)
	if !validID.MatchString(id) || !files.Exists(path) {
		return v.Audit, missing(id, os.ErrNotExist)
	}
	if err := v.readMark(); err != nil {
		return v.Audit, ofRun(id, err)
	}
	c, err := s.kept.Open(path, rows.Live)
	if err != nil {
		return v.Audit, ofRun(id, err)
	}
	defer s.tidy(id)
	defer c.Close()
	defer func() { v.plan.wait() }()
	v.c = c
	if err := c.Moment(v.all); err != nil { // one for everything read
		return v.Audit, ofRun(id, err)
	}
	return v.Audit, nil
}

// unreadable is the error of a run that does not open, in words.
func (s *Store) unreadable(id string, err error) error {
	if !Damaged(err) || errors.As(err, new(*Damage)) || errors.As(err, new(*unreadable)) {
		return err
	}
	return &unreadable{id, s.runFile(id), err}
}

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
	s.kept.Remove(s.draftFile(id))
	if files.Exists(s.runFile(id)) {
		l.release()
		return
	}
	s.dropMark(id)
	l.remove()
}
