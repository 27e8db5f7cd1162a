package ledger

import (
	"github.com/rekey-host/rekey/host/journal"
	"github.com/rekey-host/rekey/sdk"
)

// lives are the known facts of the users in flight: what contradicts a history is
// noticed, without reading it again for that.
type lives struct {
	open map[int64]*life
	free []*life
}

// life is the history of a user as far as contradictions need it. While every
// step has been applied, all but the last one perhaps, as of nearly all users, it
// is a list of these; else it is a history.
type life struct {
	steps []step
	more  *journal.History // nil: the steps are all there is
}

// step is one attempt.
type step struct {
	step, try                    int
	verb, backend, account, cred string
	outcome                      sdk.Outcome
	applied                      bool // with the outcome; absent without one
}

// begin returns a life in which nothing has happened.
func (l *lives) begin(user int64) *life {
	var u *life
	if n := len(l.free); n > 0 {
		u, l.free = l.free[n-1], l.free[:n-1]
	} else {
		u = &life{}
	}
	if l.open == nil {
		l.open = map[int64]*life{}
	}
	l.open[user] = u
	return u
}

// maxFree is how many lives that have ended are used again.
const maxFree = 1 << 14

// end forgets a user.
func (l *lives) end(user int64) {
	u := l.open[user]
	delete(l.open, user)
	if u != nil && len(l.free) < maxFree {
		clear(u.steps)
		u.steps, u.more = u.steps[:0], nil
		l.free = append(l.free, u)
	}
}

// attempt is what became of one value.
type attempt struct {
	verb    string
	settled bool
	outcome sdk.Outcome
}

// attempt returns the attempt of a step and a try; ok is false without one.
func (u *life) attempt(step, try int) (a attempt, ok bool) {
	if u.more != nil {
		found := u.more.Attempt(step, try)
		if found == nil {
			return a, false
		}
		a.verb, a.settled = found.Intent.Verb, found.Settled()
		if found.Outcome != nil {
			a.outcome = found.Outcome.Outcome
		}
		return a, true
	}
	for i := len(u.steps) - 1; i >= 0; i-- {
		if s := &u.steps[i]; s.step == step && s.try == try {
			return attempt{s.verb, s.applied, s.outcome}, true
		}
	}
	return a, false
}

// well reports whether every begun attempt was applied, with values
// meant to stay.
func (u *life) well() bool {
	n := len(u.steps)
	return u.more == nil && (n == 0 || u.steps[n-1].applied)
}

// take takes a record over that contradicts nothing.
func (u *life) take(r *journal.Record) {
	switch {
	case u.more != nil:
		u.more.Add(bare(r))
	case r.Kind == journal.Answer && !changes(r.Verb): // it is of no attempt to change anything
	case r.Kind == journal.Intent && u.well() && !r.Detail.Bridge:
		u.steps = append(u.steps, step{step: r.Step, try: r.Try, verb: r.Verb, backend: r.Backend, account: r.Account, cred: r.Cred})
	case r.Kind == journal.Outcome && u.isLast(r) && (r.Outcome == sdk.Applied || r.Outcome == sdk.AlreadyApplied):
		last := &u.steps[len(u.steps)-1]
		last.outcome, last.applied = r.Outcome, true
	default:
		u.history().Add(bare(r))
	}
}

// isLast reports whether a record is the outcome that the last step waits for.
func (u *life) isLast(r *journal.Record) bool {
	if u.well() {
		return false
	}
	last := &u.steps[len(u.steps)-1]
	return last.step == r.Step && last.try == r.Try
}

func changes(verb string) bool {
	traits, _ := journal.TraitsOf(verb)
	return traits.Changes
}

// history makes the life a history, and returns it.
func (u *life) history() *journal.History {
	if u.more != nil {
		return u.more
	}
	u.more = &journal.History{}
	for _, s := range u.steps {
		r := journal.Record{Kind: journal.Intent, Step: s.step, Try: s.try, Verb: s.verb, Backend: s.backend, Account: s.account, Cred: s.cred}
		u.more.Add(&r)
		if s.applied {
			end := r
			end.Kind, end.Outcome = journal.Outcome, s.outcome
			u.more.Add(&end)
		}
	}
	u.steps = u.steps[:0]
	return u.more
}
