package ledger

import (
	"fmt"
	"os"
	"sync"
	"time"

	"filippo.io/age"

	"github.com/rekey-host/rekey/host/hashlog"
	"github.com/rekey-host/rekey/host/journal"
	"github.com/rekey-host/rekey/host/ledger/internal/files"
	"github.com/rekey-host/rekey/host/ledger/internal/sqlite"
	"github.com/rekey-host/rekey/sdk/secret"
)

// Run is one frozen run, open for reading or locked for applying. Reading is
// safe for concurrent use, also beside a Commit; Commit and SignHead have one
// caller at a time.
type Run struct {
	store   *Store
	id      string
	header  Header
	total   int64
	ordered bool // the plan is in the order of the source
	names   hashlog.NamesKey
	bounds  []hashlog.Wave

	seal    *sealer
	sealErr error // why there is none

	lock    *lock    // nil: open for reading
	writer  *writer  // nil: open for reading
	footing *footing // nil: open for reading

	mu     sync.Mutex
	closed bool

	rest      *rescue // nil: what is damaged is an error
	salvaged  bool
	uncovered int64
	idle      []storage // for reading
	known     int64     // users behind it had no records when it was locked
}

// Lock opens a run for applying. It returns a *LockedError when another
// process, or another Run of this one, does so. That the keys do not open its
// values is no error yet: see Sealable.
//
// It returns a *StaleError for a ledger that lacks what it had, and a
// *MovedError for one that was last applied elsewhere.
func (s *Store) Lock(id string, k Keys) (*Run, error) { return s.lock(id, k, false) }

// LockMoved is Lock for a run that is known to have been moved here: where it
// was last applied elsewhere, that is recorded, and this is its place.
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

// settle compares a locked run with what is known of it here.
func (r *Run) settle(moved bool) error {
	mk, m, err := r.store.openMark(r.id, os.O_RDWR)
	if err != nil {
		return ofRun(r.id, err)
	}
	r.writer.mark = mk
	if err := r.writer.known(mk, &m); err != nil {
		return err
	}
	if err := r.keyFits(r.writer.db, r.writer.now.Forgot); err != nil {
		return ofRun(r.id, err)
	}
	why := r.elsewhere(mk, &m)
	if why != "" && !moved {
		return &MovedError{r.id, why}
	}
	if why != "" || mk == nil {
		if err := r.moveIn(why); err != nil {
			return err
		}
	}
	if r.writer.now.Forgot {
		_ = r.writer.foldIn() // in case the process that forgot did not come to it
	}
	return nil
}

// moveIn makes this the place of the run. Of one that was applied elsewhere it
// is recorded why.
func (r *Run) moveIn(why string) error {
	home, err := r.store.settleHome()
	if err == nil {
		err = r.store.makeMark(r.id, &r.writer.tree)
	}
	if err == nil {
		r.writer.mark.close()
		r.writer.mark, _, err = r.store.openMark(r.id, os.O_RDWR)
	}
	if err != nil {
		return ofRun(r.id, err)
	}
	if why == "" {
		return nil
	}
	return r.Commit([]*journal.Record{{Kind: journal.Accepted, Detail: journal.Detail{Message: "moved: " + why, Home: home, Host: r.store.host, OSUser: r.store.osUser}}})
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

// openOn opens a run for applying and notes which files that are. The name of
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
	if r.footing, err = s.standOn(id); err != nil {
		return r, err
	}
	if !r.footing.has(s.runFile(id), before) {
		return r, gone(s.runFile(id), "was replaced by another file")
	}
	r.lock = l
	return r, nil
}

// knows notes how far the run has been applied.
func (r *Run) knows(c storage) (err error) {
	r.known, err = c.LastUser()
	return err
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
// not open them is no error yet: see Sealable.
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
	r := &Run{store: s, id: id, sealErr: ErrNoKey, rest: rest}
	err := r.reading(r.load)
	if err != nil {
		_ = r.Close()
		return nil, s.unreadable(id, missing(id, err))
	}
	return r, nil
}

// load reads what never changes.
func (r *Run) load(c storage) error {
	found, err := c.Run()
	if err != nil {
		return err
	}
	if r.header, err = decodeHeader([]byte(found.Header)); err != nil {
		return err
	}
	r.names, r.total, r.ordered, r.bounds = found.Names, found.Total, found.Ordered, found.Waves
	return nil
}

// unlockValues opens the data key. A key that does not open is remembered, not
// returned.
func (r *Run) unlockValues(identities []age.Identity) error {
	var wrapped []byte
	err := r.reading(func(c storage) (err error) {
		wrapped, _, err = c.Key()
		return err
	})
	if err != nil {
		return ofRun(r.id, err)
	}
	key, err := unwrap(wrapped, identities)
	defer clear(key)
	if err == nil {
		r.seal, err = newSealer(r.id, key, r.store.rand)
	}
	r.sealErr = err
	return nil
}

// Close gives up the lock and the files. A run that nobody else has open is one
// whole file then. It is safe to call again.
func (r *Run) Close() error {
	r.closeIdle()
	var err error
	if r.writer != nil {
		err = r.closeWriter()
	} else if !r.closed {
		r.store.tidy(r.id)
	}
	r.rest.close()
	r.closed = true
	if r.lock != nil {
		r.lock.release()
		r.lock = nil
	}
	return err
}

// ID returns the run's name.
func (r *Run) ID() string { return r.id }

// Header returns what the run was planned from.
func (r *Run) Header() Header { return r.header }

// Sealable returns nil if values of the run can be sealed and opened, else
// ErrNoKey or ErrForgotten with the run's name.
func (r *Run) Sealable() error {
	if r.seal != nil {
		return nil
	}
	return ofRun(r.id, r.sealErr)
}

// Seal seals a value of a step, bound to its place; role is "value" or "old".
// An absent value is nil. Without the key it is nil too, and Commit refuses
// the intent. It is safe for concurrent use.
func (r *Run) Seal(user int64, step, try int, role string, v secret.Value) []byte {
	if r.seal == nil {
		return nil
	}
	return r.seal.seal(r.seal.valuePlace(user, step, try, role), v)
}

// Unseal opens what Seal made. It is safe for concurrent use.
func (r *Run) Unseal(user int64, step, try int, role string, sealed []byte) (secret.Value, error) {
	if err := r.Sealable(); err != nil {
		return secret.Value{}, err
	}
	return r.seal.open(r.seal.valuePlace(user, step, try, role), sealed)
}

// UnsealCell opens what Draft.Seal made. It is safe for concurrent use.
func (r *Run) UnsealCell(role string, seq int64, sealed []byte) (secret.Value, error) {
	if err := r.Sealable(); err != nil {
		return secret.Value{}, err
	}
	return r.seal.open(r.seal.cellPlace(role, seq), sealed)
}

// reading calls fn with a connection for reading. Where that finds damage, and
// what there is of the run is wanted, it calls fn again, for a copy of that.
func (r *Run) reading(fn func(c storage) error) error {
	err := r.readingOnce(fn)
	if err == nil || !r.rescued(err) {
		return err
	}
	if err := r.readingOnce(r.load); err != nil {
		return err
	}
	return r.readingOnce(fn)
}

func (r *Run) readingOnce(fn func(c storage) error) error {
	c, err := r.reader()
	if err != nil {
		return err
	}
	if err := fn(c); err != nil {
		_ = c.Close()
		return err
	}
	r.mu.Lock()
	r.idle = append(r.idle, c)
	r.mu.Unlock()
	return nil
}

func (r *Run) reader() (storage, error) {
	r.mu.Lock()
	if n := len(r.idle); n > 0 {
		c := r.idle[n-1]
		r.idle = r.idle[:n-1]
		r.mu.Unlock()
		c.Again()
		return c, nil
	}
	r.mu.Unlock()
	return sqlite.Open(r.file(), r.store.temp())
}

// standing reads where the run stands.
func (r *Run) standing() (*standing, error) {
	var s *standing
	err := r.reading(func(c storage) error {
		s = newStanding(r.bounds)
		found, err := c.State()
		if err != nil {
			return err
		}
		return s.decode(found)
	})
	if err != nil {
		return nil, ofRun(r.id, err)
	}
	return s, nil
}

// State tells where the run stands. A run that is Running without a living
// process is interrupted; so is one that had ended, or was approved, and has
// users to apply.
func (r *Run) State() (journal.State, error) {
	s, err := r.standing()
	if err != nil {
		return "", err
	}
	alive := r.lock != nil
	if !alive {
		if alive, err = lockHeld(r.store.lockFile(r.id)); err != nil {
			return "", ofRun(r.id, err)
		}
	}
	return s.state(r.total, alive), nil
}

// Counts counts the users by status.
func (r *Run) Counts() (Counts, error) {
	s, err := r.standing()
	if err != nil {
		return Counts{}, err
	}
	return s.counts(r.total), nil
}

// WaveCounts counts the users of each wave by status, in the order of the
// waves.
func (r *Run) WaveCounts() ([]WaveCounts, error) {
	s, err := r.standing()
	if err != nil {
		return nil, err
	}
	list := make([]WaveCounts, len(s.bounds))
	for i, w := range s.bounds {
		list[i] = WaveCounts{w.Name, s.waveCounts(i)}
	}
	return list, nil
}

// Hold returns the wave whose hold waits for an approval.
func (r *Run) Hold() (wave string, open bool, err error) {
	s, err := r.standing()
	if err != nil || s.Hold == 0 {
		return "", false, err
	}
	return s.bounds[s.Hold-1].Name, true, nil
}

// Starts returns on whose behalf the run was applied, in order: one entry where
// that changed.
func (r *Run) Starts() ([]Start, error) {
	s, err := r.standing()
	if err != nil {
		return nil, err
	}
	return s.Starts, nil
}

// LastAt returns when the newest record was made.
func (r *Run) LastAt() (time.Time, error) {
	var at time.Time
	err := r.reading(func(c storage) error {
		last, err := c.Last()
		if err != nil {
			return err
		}
		body, err := recordAt(c, last)
		if err != nil || body == nil {
			return err
		}
		var dec hashlog.Decoder
		newest, err := dec.Record(body)
		at = newest.At
		return err
	})
	if err != nil {
		return time.Time{}, ofRun(r.id, err)
	}
	return at, nil
}

// Backends returns the backends as they were planned, or accepted since. What a
// label reaches never changes once a value was sent there: what it reaches now
// is what all its values belong to.
func (r *Run) Backends() ([]journal.BackendPin, error) {
	s, err := r.standing()
	if err != nil || len(s.Backends) == 0 {
		return r.header.Backends, err
	}
	return s.Backends, nil
}

// Untold is how many resets were applied whose value only the target knows.
func (r *Run) Untold() (int64, error) {
	s, err := r.standing()
	if err != nil {
		return 0, err
	}
	return s.Untold, nil
}

// Unchanged is how many of the users that are done had no change.
func (r *Run) Unchanged() (int64, error) {
	s, err := r.standing()
	if err != nil {
		return 0, err
	}
	return s.Unchanged, nil
}

// Span is when the run was applied.
func (r *Run) Span() (Span, error) {
	s, err := r.standing()
	if err != nil {
		return Span{}, err
	}
	return s.Span, nil
}

// Approvals returns the waves whose holds were released, in that order.
func (r *Run) Approvals() ([]string, error) {
	s, err := r.standing()
	if err != nil {
		return nil, err
	}
	return s.Approved, nil
}
