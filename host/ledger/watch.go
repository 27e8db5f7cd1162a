package ledger

import (
	"github.com/rekey-host/rekey/host/journal"
)

// watch knows enough of the users in flight to notice a contradiction:
// their lives, dropped when the user is finished, and one bit for each that this
// process has finished.
type watch struct {
	known int64 // users behind it have no records from before
	lives lives
	done  bitset
	stale bool // rows that wait may be about a user to be looked up
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

// bare is a record without what no contradiction is about: histories live as
// long as their users are in flight.
func bare(r *journal.Record) *journal.Record {
	kept := *r
	kept.Detail = journal.Detail{Bridge: r.Detail.Bridge, Status: r.Detail.Status}
	return &kept
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
