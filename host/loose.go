package host

import (
	"fmt"
	"slices"
	"time"

	"github.com/rekey-host/rekey/host/journal"
	"github.com/rekey-host/rekey/host/ledger"
)

// loose is what another run has lost on its way to a target that this one is
// about to change: requests that may still arrive there, after a newer value.
type loose struct {
	run    ledger.Summary
	target string // as messages show it
	users  int64
	until  time.Time // the last may come until then, as far as it is known
}

// String says whose requests may come, until when, and what to do first.
func (l loose) String() string {
	id, now := l.run.Header.ID, l.run.State == journal.StateRunning
	text := fmt.Sprintf("run %s has %s whose last request may still reach %s", id, countedUsers(l.users), l.target)
	if now {
		text = fmt.Sprintf("run %s is being applied now, and has %s whose last request may still reach %s", id, countedUsers(l.users), l.target)
	}
	if !l.until.IsZero() && !now {
		text += ", until " + l.until.Local().Format("2006-01-02 15:04:05") + " at least"
	}
	if now {
		return text + ": wait for its end"
	}
	return text + ": resume it first, rekey resume " + id
}

// looseEnds warns of the other runs that may still reach what the backends do.
func (h *Host) looseEnds(except string, b *backends) ([]string, error) {
	runs, err := h.store.Runs()
	if err != nil {
		return nil, err
	}
	var warnings []string
	for _, s := range runs {
		if s.Err != nil || s.Header.ID == except || s.State == journal.StatePlanned || !open(s) {
			continue
		}
		found, err := h.looseOf(s, b)
		if err != nil {
			return nil, err
		}
		for _, l := range found {
			warnings = append(warnings, l.String())
		}
	}
	return warnings, nil
}

// looseOf looks at one run.
func (h *Host) looseOf(s ledger.Summary, b *backends) ([]loose, error) {
	r, err := h.store.Read(s.Header.ID)
	if err != nil {
		return nil, nil // forgotten meanwhile
	}
	defer r.Close()
	pins, err := r.Backends()
	if err != nil {
		return nil, err
	}
	last, err := r.LastAt()
	if err != nil {
		return nil, err
	}
	var found []loose
	for i, mine := range b.pins {
		search := strays{run: s, last: last, late: b.list[i].Late(), now: h.Now()}
		for _, p := range pins {
			if p.SameTarget(mine) {
				search.labels = append(search.labels, p.Label)
			}
		}
		users, until, err := search.count(r)
		if err != nil {
			return nil, err
		}
		l := loose{s, target(mine), users, until}
		if users > 0 && !slices.ContainsFunc(found, func(o loose) bool { return o.target == l.target }) {
			found = append(found, l)
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

// count returns how many there are, and until when; zero: that has passed, or
// nobody knows. Of whoever is finished it is certain what he has.
func (s strays) count(r *ledger.Run) (users int64, until time.Time, err error) {
	if len(s.labels) == 0 {
		return 0, until, nil
	}
	unsettled := ledger.Filter{Status: []journal.Status{journal.Pending, journal.HeldPending, journal.Unresolved}}
	err = r.Each(unsettled, ledger.OrderApply, func(u ledger.User) error {
		if strays, late := s.of(u.History); strays {
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
	for _, c := range journal.Read(history).Touched() {
		if !slices.Contains(s.labels, c.Backend) {
			continue
		}
		doubtful := c.Open()
		for _, a := range c.Attempts {
			late := s.lateOf(a)
			if late.After(s.now) || slices.Contains(doubtful, a) {
				strays, until = true, latest(until, late)
			}
		}
	}
	return strays, until
}

// lateOf is until when the attempt's request may arrive. A process that was
// killed, and may have sent it again, has recorded nothing of that.
func (s strays) lateOf(a *journal.Attempt) (until time.Time) {
	if a.Outcome != nil && a.Outcome.Detail.Late != nil {
		until = *a.Outcome.Detail.Late
	}
	if a.Unknown() && (a.Outcome == nil || s.run.State == journal.StateInterrupted || s.run.State == journal.StateRunning) {
		until = latest(until, s.last.Add(s.late))
	}
	return until
}

func latest(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}
