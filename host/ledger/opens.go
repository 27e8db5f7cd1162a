package ledger

import (
	"fmt"

	"github.com/rekey-host/rekey/host/hashlog"
	"github.com/rekey-host/rekey/host/journal"
)

// OpenAll opens every sealed value of the run's records, and its rows through
// cells, and adds to the audit what does not open. It shows nothing. It returns
// how many values of records open.
func (r *Run) OpenAll(a *hashlog.Audit, cells func(User) error) (opened int64, err error) {
	if err := r.Sealable(); err != nil {
		a.General("%v", r.sealErr)
		return 0, nil
	}
	err = r.Each(Filter{}, OrderApply, func(u User) error {
		if err := cells(u); err != nil {
			a.Add(hashlog.Problem{Index: -1, User: u.Pos, Key: u.Key, Message: fmt.Sprintf("a sealed cell of its row: %v", err)})
		}
		for i := range u.History {
			opened += r.openRecord(a, &u, &u.History[i])
		}
		return nil
	})
	return opened, err
}

// openRecord opens the values of one record.
func (r *Run) openRecord(a *hashlog.Audit, u *User, rec *journal.Record) (opened int64) {
	for _, part := range []struct {
		role   string
		sealed []byte
	}{{"value", rec.Sealed}, {"old", rec.SealedOld}} {
		if len(part.sealed) == 0 {
			continue
		}
		if _, err := r.Unseal(u.Pos, rec.Step, rec.Try, part.role, part.sealed); err != nil {
			a.Add(hashlog.Problem{Index: rec.Index, User: u.Pos, Key: u.Key, Step: rec.Step, Message: err.Error()})
			continue
		}
		opened++
	}
	return opened
}
