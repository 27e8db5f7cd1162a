package host

import (
	"fmt"
	"slices"
	"time"

	"github.com/rekey-host/rekey/host/journal"
	"github.com/rekey-host/rekey/host/ledger"
)

// unresolved is what another run has lost on its way to a target that this one is
// about to change: requests that may still arrive there, after a newer value.
type unresolved struct {
	run    ledger.Summary
	target string // as messages show it
	users  int64
	until  time.Time // the last may come until then, as far as it is known
}

// String says whose requests may come, until when, and what to do first.
func (u unresolved) String() string {
	id, now := u.run.Header.ID, u.run.State == journal.StateRunning
	text := fmt.Sprintf("run %s has %s whose last request may still reach %s", id, countedUsers(u.users), u.target)
	if now {
		text = fmt.Sprintf("run %s is being applied now, and has %s whose last request may still reach %s", id, countedUsers(u.users), u.target)
	}
	if !u.until.IsZero() && !now {
		text += ", until " + u.until.Local().Format("2006-01-02 15:04:05") + " at least"
	}
	if now {
		return text + ": wait for its end"
	}
	return text + ": resume it first, rekey resume " + id
}

// strayRuns is a search for runs that may still reach what the backends do.
type strayRuns struct {
	store    *ledger.Store
	now      time.Time
	backends *backends
	except   string // the run about to be applied
}

// warnings describes the requests of other runs that may still arrive.
func (a strayRuns) warnings() ([]string, error) {
	list, err := a.store.Runs()
	if err != nil {
		return nil, err
	}
	var warnings []string
	for _, run := range list {
		if run.Err != nil || run.Header.ID == a.except || run.State == journal.StatePlanned || !open(run) {
			continue
		}
		found, err := a.of(run)
		if err != nil {
			return nil, err
		}
		for _, one := range found {
			warnings = append(warnings, one.String())
		}
	}
	return warnings, nil
}

// of looks at one run.
func (a strayRuns) of(summary ledger.Summary) ([]unresolved, error) {
	run, err := a.store.Read(summary.Header.ID)
	if err != nil {
		return nil, nil // forgotten meanwhile
	}
	defer run.Close()
	pins, err := run.Backends()
	if err != nil {
		return nil, err
	}
	last, err := run.LastAt()
	if err != nil {
		return nil, err
	}
	var found []unresolved
	for i, mine := range a.backends.pins {
		search := strays{run: summary, last: last, late: a.backends.list[i].Late(), now: a.now}
		for _, pin := range pins {
			if pin.SameTarget(mine) {
				search.labels = append(search.labels, pin.Label)
			}
		}
		users, until, err := search.count(run)
		if err != nil {
			return nil, err
		}
		one := unresolved{summary, target(mine), users, until}
		if users > 0 && !slices.ContainsFunc(found, func(other unresolved) bool { return other.target == one.target }) {
			found = append(found, one)
		}
	}
	return found, nil
}

// strays is a search for the users of a run whose requests may still arrive.
type strays struct {
	run    ledger.Summary
	labels []string      // of the run's backends that reach the target
	last   time.Time     // the run's newest record
	late   time.Duration // how long a request may be under way
	now    time.Time
}

// count returns how many there are, and until when; zero: the time has passed, or
// is unknown. A finished user's password is certain.
func (s strays) count(run *ledger.Run) (users int64, until time.Time, err error) {
	if len(s.labels) == 0 {
		return 0, until, nil
	}
	unsettled := ledger.Filter{Status: []journal.Status{journal.Pending, journal.HeldPending, journal.Unresolved}}
	err = run.Each(unsettled, ledger.OrderApply, func(user ledger.User) error {
		if strays, late := s.of(user.History); strays {
			users++
			until = latest(until, late)
		}
		return nil
	})
	if !until.After(s.now) {
		until = time.Time{}
	}
	return users, until, err
}

// of reports whether something of a user may still arrive, and until when.
func (s strays) of(history []journal.Record) (strays bool, until time.Time) {
	for _, credential := range journal.Read(history).Touched() {
		if !slices.Contains(s.labels, credential.Backend) {
			continue
		}
		doubtful := credential.Open()
		for _, attempt := range credential.Attempts {
			late := s.lateOf(attempt)
			if late.After(s.now) || slices.Contains(doubtful, attempt) {
				strays, until = true, latest(until, late)
			}
		}
	}
	return strays, until
}

// lateOf is until when the attempt's request may arrive. A killed
// process may have sent it again, and has recorded nothing of that.
func (s strays) lateOf(attempt *journal.Attempt) (until time.Time) {
	if attempt.Outcome != nil && attempt.Outcome.Detail.Late != nil {
		until = *attempt.Outcome.Detail.Late
	}
	if attempt.Unknown() && (attempt.Outcome == nil || s.run.State == journal.StateInterrupted || s.run.State == journal.StateRunning) {
		until = latest(until, s.last.Add(s.late))
	}
	return until
}

func latest(first, second time.Time) time.Time {
	if first.After(second) {
		return first
	}
	return second
}
