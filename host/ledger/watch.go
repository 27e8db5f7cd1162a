package ledger

import (
	"github.com/rekey-host/rekey/host/hashlog"
	"github.com/rekey-host/rekey/host/journal"
)

// watch knows of the users in flight what is needed to notice a contradiction:
// their lives, dropped when the user is finished, and one bit for each that this
// process has finished.
type watch struct {
	known int64 // users behind it have no records from before
	lives lives
	done  bitset
	stale bool // rows that wait may be about a user that has to be looked up
}

// bitset is a set of small numbers.
type bitset []uint64

func (b *bitset) set(n int64, on bool) {
	for int64(len(*b)) <= n/64 {
		if !on {
			return
		}
		*b = append(*b, make([]uint64, max(16, len(*b)))...)
	}
	if on {
		(*b)[n/64] |= 1 << (n % 64)
	} else {
		(*b)[n/64] &^= 1 << (n % 64)
	}
}

func (b bitset) has(n int64) bool {
	return n/64 < int64(len(b)) && b[n/64]&(1<<(n%64)) != 0
}

// admitUser checks a record about a user.
func (w *writer) admitUser(r *journal.Record) (was statusNumber, err error) {
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

// bare is a record without what no contradiction is about: histories live as
// long as their users are in flight.
func bare(r *journal.Record) *journal.Record {
	kept := *r
	kept.Detail = journal.Detail{Bridge: r.Detail.Bridge, Status: r.Detail.Status}
	return &kept
}

// userOf returns what is known of the user, or a contradiction if the user has
// a status already.
func (w *writer) userOf(r *journal.Record) (*life, error) {
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
func (w *writer) lookUp(r *journal.Record, u *life) error {
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
			old, err := dec.Record(records[i].Body)
			if err != nil {
				return err
			}
			u.history().Add(bare(&old))
		}
		return nil
	})
	if err == nil && u.more != nil && u.more.Finished() != nil {
		return contradiction(r, "the user has a status already, and the table of users lacks it")
	}
	return err
}

func (w *writer) admitIntent(r *journal.Record, u *life) error {
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

// carriesValue reports whether intents of the verb have a value to lose.
func carriesValue(verb string) bool {
	traits, _ := journal.TraitsOf(verb)
	return traits.Carries
}

func admitOutcome(r *journal.Record, u *life) error {
	a, ok := u.attempt(r.Step, r.Try)
	switch {
	case !ok && carriesValue(r.Verb):
		return contradiction(r, "there is no intent")
	case !ok:
		return nil
	case a.verb != r.Verb:
		return contradiction(r, "verb %q, the intent's is %q", r.Verb, a.verb)
	case a.settled:
		return contradiction(r, "it has one already: %s", a.outcome)
	}
	return nil
}

func (w *writer) admitFinished(r *journal.Record, u *life) error {
	if r.Detail.Status != journal.Done || !u.well() {
		if err := admitEnd(r, u.history()); err != nil {
			return err
		}
	}
	w.watch.lives.end(r.User)
	w.watch.done.set(r.User, true)
	return nil
}

// admitEnd checks a status of a user with whom not all went well.
func admitEnd(r *journal.Record, u *journal.History) error {
	if finalStatuses[r.Detail.Status] == noStatus {
		return contradiction(r, "%q is not a final status", r.Detail.Status)
	}
	if a := u.Doubtful(); a != nil && r.Detail.Status != journal.Unresolved {
		return contradiction(r, "%s, but it is not known what became of step %d try %d", r.Detail.Status, a.Intent.Step, a.Intent.Try)
	}
	if a := u.InForce(); a != nil && r.Detail.Status == journal.Skipped {
		return contradiction(r, "skipped, but step %d try %d took effect", a.Intent.Step, a.Intent.Try)
	}
	return nil
}

func (w *writer) admitReopened(r *journal.Record) (statusNumber, error) {
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
