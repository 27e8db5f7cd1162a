package ledger

import (
	"fmt"
	"os"

	"github.com/rekey-host/rekey/host/journal"
)

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
	w, err := newWriter(r)
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
	if err := w.db.OthersFold(); err != nil {
		return ofRun(id, err)
	}
	if err := w.commit([]*journal.Record{rec}); err != nil {
		return ofRun(id, err)
	}
	return nil
}
