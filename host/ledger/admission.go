package ledger

import (
	"github.com/rekey-host/rekey/host/hashlog"
	"github.com/rekey-host/rekey/host/journal"
	"github.com/rekey-host/rekey/host/ledger/internal/rows"
)

// admission refuses what would make the ledger contradict itself.
type admission struct{ *writer }

// statusOf returns the status of a user; those that wait are not looked at.
func (w *admission) statusOf(user int64) (statusNumber, error) {
	if is, err := w.done.has(user); is || err != nil {
		return numDone, err
	}
	is := noStatus
	err := w.db.Statuses(rows.One(user), func(found rows.Status) error {
		is = statusNumber(found.Number)
		return nil
	}, nil)
	return is, err
}

// admit checks that the record fits what is there. was is the status of a user
// to put back.
func (w *admission) admit(r *journal.Record) (was statusNumber, err error) {
	if r.User < 0 || r.User > w.run.total {
		return 0, contradiction(r, "the plan has %d users", w.run.total)
	}
	if r.Kind.AboutUser() != (r.User > 0) {
		return 0, contradiction(r, "user %d", r.User)
	}
	if r.User == 0 {
		return 0, w.admitRun(r)
	}
	if hashlog.WaveAt(w.run.bounds, r.User) < 0 {
		return 0, contradiction(r, "the plan skips the user")
	}
	return w.admitUser(r)
}

// admitRun checks a record about the run.
func (w *admission) admitRun(r *journal.Record) error {
	switch r.Kind {
	case journal.Started, journal.Stopped, journal.Revealed, journal.Reported, journal.Accepted, journal.Settled:
	case journal.Ended:
		if r.Detail.State == "" {
			return contradiction(r, "it names no state")
		}
	case journal.Held:
		if w.now.Hold > 0 {
			return contradiction(r, "the run is held already")
		}
		if w.now.wave(r.Detail.Wave) < 0 {
			return contradiction(r, "there is no wave %q", r.Detail.Wave)
		}
	case journal.Approved:
		if w.now.Hold == 0 {
			return contradiction(r, "the run is not held")
		}
	case journal.Cancelled:
		if w.now.Cancelled != "" {
			return contradiction(r, "the run is cancelled already")
		}
		if r.Detail.Message == "" {
			return contradiction(r, "it says no reason")
		}
	case journal.Forgot:
		if w.now.Forgot {
			return contradiction(r, "the key is destroyed already")
		}
	default:
		return contradiction(r, "records of kind %d are not for Commit", r.Kind)
	}
	return nil
}

// admitUser checks a record about a user.
func (w *admission) admitUser(r *journal.Record) (was statusNumber, err error) {
	if r.Kind == journal.Reopened {
		return w.admitReopened(r)
	}
	u, err := w.userOf(r)
	if err != nil {
		return 0, err
	}
	switch r.Kind {
	case journal.Intent:
		err = w.admitIntent(r, u)
	case journal.Outcome:
		err = admitOutcome(r, u)
	case journal.Finished:
		return 0, w.admitFinished(r, u)
	}
	if err == nil {
		u.take(r)
	}
	return 0, err
}

// userOf returns the life of the user, or a contradiction if the user has
// a status already.
func (w *admission) userOf(r *journal.Record) (*life, error) {
	if u := w.watch.lives.open[r.User]; u != nil {
		return u, nil
	}
	if w.watch.done.has(r.User) {
		return nil, contradiction(r, "the user has a status already")
	}
	u := w.watch.lives.begin(r.User)
	if r.User <= w.watch.known {
		return u, w.lookUp(r, u)
	}
	return u, nil
}

// lookUp reads the user's records of earlier processes.
func (w *admission) lookUp(r *journal.Record, u *life) error {
	if w.watch.stale {
		if err := w.flush(); err != nil {
			return err
		}
		w.watch.stale = false
	}
	status, err := w.statusOf(r.User)
	if err != nil {
		return err
	}
	if status != noStatus {
		return contradiction(r, "the user is %s already", statusOfNumber[status])
	}
	var dec hashlog.Decoder
	err = w.db.Histories([]int64{r.User}, nil, func(_ int64, records []hashlog.Stored) error {
		for i := range records {
			f, err := dec.Split(records[i].Body)
			if err == nil {
				err = f.Records(&journal.Record{}, func(old *journal.Record) error {
					u.history().Add(bare(old))
					return nil
				})
			}
			if err != nil {
				return err
			}
		}
		return nil
	})
	if err == nil && u.more != nil && u.more.Finished() != nil {
		return contradiction(r, "the user has a status already, and the table of users lacks it")
	}
	return err
}

func (w *admission) admitIntent(r *journal.Record, u *life) error {
	_, again := u.attempt(r.Step, r.Try)
	switch {
	case w.now.Forgot:
		return contradiction(r, "the key to the run's values is destroyed")
	case r.Step < 1:
		return contradiction(r, "it has no step")
	case again:
		return contradiction(r, "there is one already")
	case carriesValue(r.Verb) && len(r.Sealed) == 0:
		if err := w.run.Sealable(); err != nil {
			return err
		}
		return contradiction(r, "its value is not in the ledger")
	}
	return nil
}

func (w *admission) admitFinished(r *journal.Record, u *life) error {
	if r.Detail.Status != journal.Done || !u.well() {
		if err := admitEnd(r, u.history()); err != nil {
			return err
		}
	}
	w.watch.lives.end(r.User)
	w.watch.done.set(r.User, true)
	return nil
}

func (w *admission) admitReopened(r *journal.Record) (statusNumber, error) {
	if len(w.users) > 0 {
		if err := w.flush(); err != nil {
			return 0, err
		}
	}
	n, err := w.statusOf(r.User)
	if err != nil {
		return 0, err
	}
	if n == noStatus {
		return 0, contradiction(r, "the user has no status")
	}
	w.watch.done.set(r.User, false)
	w.watch.known = max(w.watch.known, r.User)
	w.watch.stale = true
	return n, nil
}
