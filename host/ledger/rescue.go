package ledger

import (
	"encoding/json"
	"sync"

	"github.com/rekey-host/rekey/host/hashlog"
	"github.com/rekey-host/rekey/host/journal"
	"github.com/rekey-host/rekey/host/ledger/internal/files"
	"github.com/rekey-host/rekey/host/ledger/internal/rows"
)

// rescue is what there is of a damaged run.
type rescue struct {
	mu    sync.Mutex
	made  *files.Passing // where the copy is, or nil
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

// sense is what the rows of a damaged run mean, while they are copied.
type sense struct {
	id  string
	now *standing
}

// Header returns the header to keep of a run. Without one the run has no owner and no
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
