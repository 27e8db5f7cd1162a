package ledger

import (
	"encoding/json"
	"errors"
	"os"
	"sync"

	"golang.org/x/sys/unix"

	"github.com/rekey-host/rekey/host/hashlog"
	"github.com/rekey-host/rekey/host/journal"
	"github.com/rekey-host/rekey/host/ledger/internal/files"
	"github.com/rekey-host/rekey/host/ledger/internal/rows"
	"github.com/rekey-host/rekey/host/ledger/internal/sqlite"
)

// Rest opens a run as Read does, for whoever wants what there is of it: where
// its file is damaged, what can be read is copied aside, and that is read. What
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

// keyIsWhole tells a key that is damaged from one that was destroyed, and from
// one that another identity opens.
func (r *Run) keyIsWhole() error {
	if r.seal != nil {
		return nil
	}
	s, err := r.standing()
	if err != nil {
		return err
	}
	err = r.reading(func(c storage) error { return r.keyFits(c, s.Forgot) })
	if errors.Is(err, errOtherKey) {
		r.sealErr, err = errOtherKey, nil
	}
	return err
}

func (s *Store) openRest(id string) (*Run, error) { return s.openAs(id, &rescue{}) }

// Damage returns a *Damage for a run that was opened with Rest and of which
// something could not be read; nil for others.
func (r *Run) Damage() error {
	if r.rest == nil || r.rest.found == nil {
		return nil
	}
	return r.rest.found
}

// rescue is what there is of a damaged run.
type rescue struct {
	mu    sync.Mutex
	made  *files.Passing // where the copy is; nil: there is none
	found *Damage
}

func (x *rescue) close() {
	if x != nil && x.made != nil {
		x.made.Remove()
		x.made = nil
	}
}

// copied reports whether a copy is read.
func (x *rescue) copied() bool { return x != nil && x.found != nil }

// file is what is read of a run.
func (r *Run) file() string {
	if r.rest.copied() {
		return r.copied(r.rest.made)
	}
	return r.store.runFile(r.id)
}

// rescued copies what can be read, once, and reports whether it did.
func (r *Run) rescued(cause error) bool {
	if r.rest == nil || !Damaged(cause) {
		return false
	}
	r.rest.mu.Lock()
	defer r.rest.mu.Unlock()
	if r.rest.copied() {
		return false
	}
	found, err := r.copyRest(cause)
	if err != nil {
		r.rest.close()
		return false
	}
	r.closeIdle()
	r.rest.found = found
	return true
}

// copyRest copies what can be read of a run into a directory of its own.
func (r *Run) copyRest(cause error) (*Damage, error) {
	parent := r.store.temp()
	if unix.Access(parent, unix.W_OK) != nil {
		parent = ""
	}
	made, err := files.MakePassing(parent, "rekey-rest-")
	if err != nil {
		return nil, err
	}
	r.rest.made = made
	lost, err := sqlite.Rescue(&sqlite.Wreck{Path: r.store.runFile(r.id), Temp: r.store.temp(), Dir: made.Dir, Copy: r.copied(made), Marked: r.marked(), Rules: &sense{id: r.id}})
	return &Damage{Run: r.id, File: r.store.runFile(r.id), Cause: cause, Lost: lost}, err
}

// copied is where the copy of a damaged run is.
func (r *Run) copied(made *files.Passing) string { return made.File(r.id + ".db") }

// marked is how far the log had come here.
func (r *Run) marked() int64 {
	mk, m, err := r.store.openMark(r.id, os.O_RDONLY)
	if err != nil || mk == nil {
		return 0
	}
	mk.close()
	return m.tree.Size
}

// sense is what the rows of a damaged run mean, while they are copied.
type sense struct {
	id  string
	now *standing
}

// Header returns the header to keep of a run. Without one it is nobody's, of no
// script.
func (s *sense) Header(text string) (kept string, whole bool, err error) {
	if h, err := decodeHeader([]byte(text)); err == nil && h.ID == s.id {
		return text, true, nil
	}
	empty, _, err := (&Header{ID: s.id, Script: "a script that cannot be read"}).encode()
	return string(empty), false, err
}

// Waves takes the waves.
func (s *sense) Waves(list []hashlog.Wave) { s.now = newStanding(list) }

// Number is that of the status that a record gives.
func (s *sense) Number(r *journal.Record) int64 { return int64(finalStatuses[r.Detail.Status]) }

// Done is the number of users who are done.
func (s *sense) Done() int64 { return int64(numDone) }

// Final reports whether a number is that of a status.
func (s *sense) Final(number int64) bool { return statusOfNumber[statusNumber(number)] != "" }

// Apply takes a record into account.
func (s *sense) Apply(r *journal.Record, was int64) { s.now.apply(r, statusNumber(was)) }

// Count takes a status into account whose record is lost.
func (s *sense) Count(user, number int64) { s.now.count(user, statusNumber(number), 1) }

// Keeps reports whether a text says where the run stands.
func (s *sense) Keeps(text string) bool {
	kept := newStanding(s.now.bounds)
	return kept.decode(&rows.State{Standing: text}) == nil && kept.Hold <= len(s.now.bounds)
}

// Standing says where the run stands, as far as the records tell.
func (s *sense) Standing() (string, error) {
	text, err := json.Marshal(s.now)
	return string(text), err
}
