package ledger

import (
	"time"

	"github.com/rekey-host/rekey/host/hashlog"
	"github.com/rekey-host/rekey/host/journal"
)

// progress tells where a run stands.
type progress struct{ *openRun }

// State tells where the run stands. A run in the state Running without a living
// process is interrupted; so is one that had ended, or was approved, and has
// users to apply.
func (r *progress) State() (journal.State, error) {
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
func (r *progress) Counts() (Counts, error) {
	s, err := r.standing()
	if err != nil {
		return Counts{}, err
	}
	return s.counts(r.total), nil
}

// WaveCounts counts the users of each wave by status, in the order of the
// waves.
func (r *progress) WaveCounts() ([]WaveCounts, error) {
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
func (r *progress) Hold() (wave string, open bool, err error) {
	s, err := r.standing()
	if err != nil || s.Hold == 0 {
		return "", false, err
	}
	return s.bounds[s.Hold-1].Name, true, nil
}

// Cancelled returns why whoever waits is to be skipped; "": the run was not cancelled.
func (r *progress) Cancelled() (string, error) {
	s, err := r.standing()
	if err != nil {
		return "", err
	}
	return s.Cancelled, nil
}

// Starts returns on whose behalf the run was applied, in order: one entry where
// that changed.
func (r *progress) Starts() ([]Start, error) {
	s, err := r.standing()
	if err != nil {
		return nil, err
	}
	return s.Starts, nil
}

// LastAt returns when the newest record was made.
func (r *progress) LastAt() (time.Time, error) {
	var at time.Time
	err := r.reading(func(c storage) error {
		last, _, err := c.Ends()
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
// label reaches never changes once a value was sent there: its present target
// is what all its values belong to.
func (r *progress) Backends() ([]journal.BackendPin, error) {
	s, err := r.standing()
	if err != nil || len(s.Backends) == 0 {
		return r.header.Backends, err
	}
	return s.Backends, nil
}

// Events returns the last lines of what happened to the run's backends while it was
// applied: restarts, breaches of the contract, waits.
func (r *progress) Events() ([]string, error) {
	s, err := r.standing()
	if err != nil {
		return nil, err
	}
	return s.Events, nil
}

// Untold is how many resets were applied whose value only the target knows.
func (r *progress) Untold() (int64, error) {
	s, err := r.standing()
	if err != nil {
		return 0, err
	}
	return s.Untold, nil
}

// Unchanged is how many of the done users had no change.
func (r *progress) Unchanged() (int64, error) {
	s, err := r.standing()
	if err != nil {
		return 0, err
	}
	return s.Unchanged, nil
}

// Span is when the run was applied.
func (r *progress) Span() (Span, error) {
	s, err := r.standing()
	if err != nil {
		return Span{}, err
	}
	return s.Span, nil
}

// Approvals returns the waves whose holds were released, in that order.
func (r *progress) Approvals() ([]string, error) {
	s, err := r.standing()
	if err != nil {
		return nil, err
	}
	return s.Approved, nil
}
