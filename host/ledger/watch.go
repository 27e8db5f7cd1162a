package ledger

import (
	"hash/maphash"
	"slices"

	"github.com/rekey-host/rekey/sdk"
)

// watch knows of the users in flight what is needed to notice a contradiction:
// a few words a user, dropped when the user is finished, and one bit for each
// that this process has finished.
type watch struct {
	known int64 // users behind it have no records from before
	open  map[int64]*userWatch
	seed  maphash.Seed
	done  bitset
	stale bool // rows that wait may be about a user that has to be looked up
}

// userWatch is the tries of one user.
type userWatch struct{ tries []tryWatch }

// tryWatch is one value on its way.
type tryWatch struct {
	step, try int
	verb      string
	cred      uint64 // stands for the credential
	bridge    bool
	answered  bool
	outcome   sdk.Outcome
}

// applied reports whether the credential has the value, for good.
func (t *tryWatch) applied() bool {
	return t.answered && !t.bridge && (t.outcome == sdk.Applied || t.outcome == sdk.AlreadyApplied)
}

// credential makes one number of what a record is about.
func (w *watch) credential(r *Record) uint64 {
	var h maphash.Hash
	h.SetSeed(w.seed)
	for _, part := range [...]string{r.Backend, r.Account, r.Cred} {
		h.WriteString(part)
		h.WriteByte(0)
	}
	return h.Sum64()
}

// settled reports whether nothing more can be said of the try.
func (t *tryWatch) settled() bool { return t.answered && t.outcome != sdk.Unknown }

func (u *userWatch) at(step, try int) *tryWatch {
	for i := range u.tries {
		if u.tries[i].step == step && u.tries[i].try == try {
			return &u.tries[i]
		}
	}
	return nil
}

// unsettled returns a value of which it is not known whether it is in force, nil
// if there is none. A value that is applied settles what came before it.
func (u *userWatch) unsettled() *tryWatch {
	for i := range u.tries {
		t := &u.tries[i]
		if !valueVerb(t.verb) || t.answered && t.outcome == sdk.Refused || t.applied() {
			continue
		}
		later := u.tries[i+1:]
		if !slices.ContainsFunc(later, func(x tryWatch) bool { return x.cred == t.cred && x.applied() }) {
			return t
		}
	}
	return nil
}

// inForce returns a value that took effect, nil if there is none.
func (u *userWatch) inForce() *tryWatch {
	for i := range u.tries {
		if t := &u.tries[i]; valueVerb(t.verb) && t.applied() {
			return t
		}
	}
	return nil
}

// read takes a recorded record over.
func (u *userWatch) read(r *Record, cred uint64) {
	switch r.Kind {
	case Intent:
		u.tries = append(u.tries, tryWatch{step: r.Step, try: r.Try, verb: r.Verb, cred: cred, bridge: r.Detail.Bridge})
	case Outcome:
		if t := u.at(r.Step, r.Try); t != nil {
			t.answered, t.outcome = true, r.Outcome
		}
	}
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
func (w *writer) admitUser(r *Record) (was statusNumber, err error) {
	if r.Kind == Reopened {
		return w.admitReopened(r)
	}
	u, err := w.userOf(r)
	if err != nil {
		return 0, err
	}
	switch r.Kind {
	case Intent:
		return 0, w.admitIntent(r, u)
	case Outcome:
		return 0, admitOutcome(r, u)
	case Finished:
		return 0, w.admitFinished(r, u)
	}
	return 0, nil
}

// userOf returns what is known of the user, or a contradiction if the user has
// a status already.
func (w *writer) userOf(r *Record) (*userWatch, error) {
	if u := w.watch.open[r.User]; u != nil {
		return u, nil
	}
	if w.watch.done.has(r.User) {
		return nil, contradiction(r, "the user has a status already")
	}
	u := &userWatch{}
	if r.User <= w.watch.known {
		if err := w.lookUp(r, u); err != nil {
			return nil, err
		}
	}
	w.watch.open[r.User] = u
	return u, nil
}

// lookUp reads the user's records of earlier processes.
func (w *writer) lookUp(r *Record, u *userWatch) error {
	if w.watch.stale {
		if err := w.flush(); err != nil {
			return err
		}
		w.watch.stale = false
	}
	status, err := w.db.count("SELECT status FROM user WHERE pos = ?", r.User)
	if err != nil {
		return err
	}
	if status != 0 {
		return contradiction(r, "the user is %s already", statusOfNumber[statusNumber(status)])
	}
	if err := w.makeIndex(); err != nil {
		return err
	}
	var dec decoder
	return w.db.each("SELECT body FROM rec INDEXED BY rec_user WHERE user = ? ORDER BY id", func(found row) error {
		old, err := dec.record(found.bytes(0))
		if err == nil {
			u.read(&old, w.watch.credential(&old))
		}
		return err
	}, r.User)
}

// makeIndex builds the index by user, once, when it is first needed: a first
// apply goes without and is faster for it.
func (w *writer) makeIndex() error {
	if w.run.indexed() {
		return nil
	}
	if err := w.db.run(createIndex); err != nil {
		return err
	}
	w.run.setIndexed()
	w.run.store.crash.at(CrashIndexMade)
	return nil
}

func (w *writer) admitIntent(r *Record, u *userWatch) error {
	switch {
	case w.now.Forgot:
		return contradiction(r, "the key to the run's values is destroyed")
	case r.Step < 1:
		return contradiction(r, "it has no step")
	case u.at(r.Step, r.Try) != nil:
		return contradiction(r, "there is one already")
	case carriesValue(r.Verb) && len(r.Sealed) == 0:
		if err := w.run.Sealable(); err != nil {
			return err
		}
		return contradiction(r, "its value is not in the ledger")
	}
	u.read(r, w.watch.credential(r))
	return nil
}

// carriesValue reports whether intents of the verb have a value to lose.
func carriesValue(verb string) bool { return verb == "set" || verb == "change" || verb == "revert" }

func admitOutcome(r *Record, u *userWatch) error {
	t := u.at(r.Step, r.Try)
	switch {
	case t == nil && carriesValue(r.Verb):
		return contradiction(r, "there is no intent")
	case t == nil:
		return nil
	case t.verb != r.Verb:
		return contradiction(r, "verb %q, the intent's is %q", r.Verb, t.verb)
	case t.settled():
		return contradiction(r, "it has one already: %s", t.outcome)
	}
	u.read(r, t.cred)
	return nil
}

func (w *writer) admitFinished(r *Record, u *userWatch) error {
	if finalStatuses[r.Detail.Status] == noStatus {
		return contradiction(r, "%q is not a final status", r.Detail.Status)
	}
	if t := u.unsettled(); t != nil && r.Detail.Status != Unresolved {
		return contradiction(r, "%s, but it is not known what became of step %d try %d", r.Detail.Status, t.step, t.try)
	}
	if t := u.inForce(); t != nil && r.Detail.Status == Skipped {
		return contradiction(r, "skipped, but step %d try %d took effect", t.step, t.try)
	}
	delete(w.watch.open, r.User)
	w.watch.done.set(r.User, true)
	return nil
}

func (w *writer) admitReopened(r *Record) (statusNumber, error) {
	if len(w.users) > 0 {
		if err := w.flush(); err != nil {
			return 0, err
		}
	}
	n, err := w.db.count("SELECT status FROM user WHERE pos = ?", r.User)
	if err != nil {
		return 0, err
	}
	if n == 0 {
		return 0, contradiction(r, "the user has no status")
	}
	w.watch.done.set(r.User, false)
	w.watch.known = max(w.watch.known, r.User)
	w.watch.stale = true
	return statusNumber(n), nil
}
