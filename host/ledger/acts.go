package ledger

import (
	"math"

	"github.com/rekey-host/rekey/host/hashlog"
	"github.com/rekey-host/rekey/host/journal"
)

// Acts returns the records about the run itself, in the order of the log: who planned
// it, began to apply it, approved, revealed, and when. It looks at all records.
func (r *progress) Acts() ([]journal.Record, error) {
	var acts []journal.Record
	err := r.reading(func(c storage) error {
		var dec hashlog.Decoder
		acts = nil // it may be read once more
		return eachRecord(c, 0, math.MaxInt64, func(found *hashlog.Stored) error {
			if found.Kind.AboutUser() {
				return nil
			}
			record, err := dec.Record(found.Body)
			acts = append(acts, record)
			return err
		})
	})
	if err != nil {
		return nil, ofRun(r.id, err)
	}
	return acts, nil
}
