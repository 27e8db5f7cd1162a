package ledger

import (
	"encoding/json"
	"slices"
	"time"

	"github.com/rekey-host/rekey/host/hashlog"
	"github.com/rekey-host/rekey/host/journal"
	"github.com/rekey-host/rekey/host/ledger/internal/rows"
	"github.com/rekey-host/rekey/sdk"
)

// Counts is how many users have which status.
type Counts struct {
	Total, Done, Failed, Skipped, Partial, Unknown, Pending, Held int64
}

// Add counts a user of a status.
func (c *Counts) Add(status journal.Status) {
	c.Total++
	switch status {
	case journal.Done:
		c.Done++
	case journal.Failed:
		c.Failed++
	case journal.Skipped:
		c.Skipped++
	case journal.Partial:
		c.Partial++
	case journal.Unresolved:
		c.Unknown++
	case journal.HeldPending:
		c.Held++
	default:
		c.Pending++
	}
}

// WaveCounts is one wave's counts. Users that the plan skips are in none.
type WaveCounts struct {
	Name string
	Counts
}

// statusNumber is how the database names a status. The numbers stand in
// ledgers: they are only ever added to.
type statusNumber int64

const (
	noStatus statusNumber = iota
	numDone
	numFailed
	numSkipped
	numPartial
	numUnknown
)

// finalStatuses are those that a Finished record may give.
var finalStatuses = map[journal.Status]statusNumber{journal.Done: numDone, journal.Failed: numFailed, journal.Skipped: numSkipped, journal.Partial: numPartial, journal.Unresolved: numUnknown}

// statusOfNumber is the other way round.
var statusOfNumber = map[statusNumber]journal.Status{numDone: journal.Done, numFailed: journal.Failed, numSkipped: journal.Skipped, numPartial: journal.Partial, numUnknown: journal.Unresolved}

// tally is how many users of a wave have which final status, by statusNumber.
type tally [numUnknown + 1]int64

// mostEvents is how many lines about its backends a run keeps at hand: all of
// them are in its records.
const mostEvents = 40

// standing is where a run stands. It is a pure function of the plan and the
// records, kept beside them so that they need not all be read.
type standing struct {
	State     journal.State `json:"state"`
	Hold      int           `json:"hold,omitempty"` // wave that holds, from 1; 0: none
	Approved  []string      `json:"approved,omitempty"`
	Forgot    bool          `json:"forgot,omitempty"`
	Cancelled string        `json:"cancelled,omitempty"` // why whoever waits is to be skipped; "": the run was not cancelled
	Waves     []tally       `json:"waves"`
	Starts    []Start       `json:"starts,omitempty"`
	Untold    int64         `json:"untold,omitempty"` // resets whose value only the target knows
	Events    []string      `json:"events,omitempty"` // the last ones of what happened to backends
	Last      *Applier      `json:"last,omitempty"`   // nil: a ledger from before it was kept
	// Unchanged is how many users are done without a change: only verified, say.
	// A done user is never put back, so it only grows.
	Unchanged int64 `json:"unchanged,omitempty"`
	Span      Span  `json:"span,omitzero"`

	Backends []journal.BackendPin `json:"backends,omitempty"` // that were accepted last; none: those of the header

	bounds []hashlog.Wave
}

// Start says on whose behalf everything from a record on was done.
type Start struct {
	Index        int64  `json:"index"` // of the Started record
	Requestor    string `json:"requestor,omitempty"`
	SourceSystem string `json:"source_system,omitempty"`
}

// Span is when a run was applied. It is what the records say, whenever it is
// asked for; a run of an older version has none.
type Span struct {
	Began time.Time     `json:"began,omitzero"`  // the first process
	Since time.Time     `json:"since,omitzero"`  // the last process
	Until time.Time     `json:"until,omitzero"`  // the last of what a process did to users
	Spent time.Duration `json:"spent,omitempty"` // of the processes before the last
}

// Took is how long the run was being applied, without the time between its
// processes.
func (s Span) Took() time.Duration { return s.Spent + max(s.Until.Sub(s.Since), 0) }

// add takes a record into account.
func (s *Span) add(r *journal.Record) {
	switch r.Kind {
	case journal.Started:
		s.Spent = s.Took()
		s.Since = r.At
		if s.Began.IsZero() {
			s.Began = r.At
		}
	case journal.Intent, journal.Outcome, journal.Answer, journal.Finished, journal.Held, journal.Stopped:
	default:
		return
	}
	s.Until = r.At
}

func (s Span) same(o Span) bool {
	return s.Began.Equal(o.Began) && s.Since.Equal(o.Since) && s.Until.Equal(o.Until) && s.Spent == o.Spent
}

func newStanding(bounds []hashlog.Wave) *standing {
	return &standing{State: journal.StatePlanned, Waves: make([]tally, len(bounds)), bounds: bounds}
}

// decode reads where a run is said to stand.
func (s *standing) decode(found *rows.State) error {
	if found == nil {
		return hashlog.NotAsWritten("the row of its state is missing")
	}
	if err := json.Unmarshal([]byte(found.Standing), s); err != nil {
		return hashlog.NotAsWritten("its state: %w", err)
	}
	if len(s.Waves) != len(s.bounds) {
		return hashlog.NotAsWritten("its state: %d waves, the plan has %d", len(s.Waves), len(s.bounds))
	}
	return nil
}

// same reports whether two standings are one.
func (s *standing) same(o *standing) bool {
	if s.State != o.State || s.Hold != o.Hold || s.Forgot != o.Forgot || s.Cancelled != o.Cancelled || s.Untold != o.Untold || s.Unchanged != o.Unchanged || !s.Span.same(o.Span) || len(s.Waves) != len(o.Waves) || !slices.Equal(s.Approved, o.Approved) || !slices.Equal(s.Starts, o.Starts) || !slices.Equal(s.Events, o.Events) ||
		!slices.EqualFunc(s.Backends, o.Backends, journal.BackendPin.Equal) {
		return false
	}
	if (s.Last == nil) != (o.Last == nil) || s.Last != nil && *s.Last != *o.Last {
		return false
	}
	for i := range s.Waves {
		if s.Waves[i] != o.Waves[i] {
			return false
		}
	}
	return true
}

// apply takes a record into account. was is the status that the user of a
// Reopened record had.
func (s *standing) apply(r *journal.Record, was statusNumber) {
	if r.Detail.Home != "" {
		s.Last = &Applier{At: r.At.UnixMicro(), Host: r.Detail.Host, OSUser: r.Detail.OSUser, Home: r.Detail.Home, Began: r.Kind != journal.Opened}
	}
	s.Span.add(r)
	switch r.Kind {
	case journal.Started:
		s.State = journal.StateRunning
		s.started(Start{r.Index, r.Detail.Requestor, r.Detail.SourceSystem})
	case journal.Ended:
		s.State = r.Detail.State
		s.Events = slices.Concat(s.Events, r.Detail.Events)
		s.Events = s.Events[max(0, len(s.Events)-mostEvents):]
	case journal.Held:
		s.Hold = s.wave(r.Detail.Wave) + 1
	case journal.Approved:
		if s.Hold > 0 {
			s.Approved = append(s.Approved, s.bounds[s.Hold-1].Name)
		}
		s.Hold = 0
		if s.State == journal.StateHeld {
			s.State = journal.StateInterrupted
		}
	case journal.Accepted:
		if len(r.Detail.Backends) > 0 {
			s.Backends = r.Detail.Backends
		}
	case journal.Forgot:
		s.Forgot = true
	case journal.Cancelled: // a process is at work on it, until it says Ended
		s.Cancelled, s.State = r.Detail.Message, journal.StateRunning
	case journal.Outcome:
		if r.Verb == string(sdk.Reset) && r.Sealed == nil && (r.Outcome == sdk.Applied || r.Outcome == sdk.AlreadyApplied) {
			s.Untold++
		}
	case journal.Finished:
		s.count(r.User, finalStatuses[r.Detail.Status], 1)
		if r.Detail.Unchanged {
			s.Unchanged++
		}
	case journal.Reopened:
		s.count(r.User, was, -1)
	}
}

// started keeps who asked for what follows, where that changes.
func (s *standing) started(now Start) {
	if n := len(s.Starts); n == 0 || s.Starts[n-1].Requestor != now.Requestor || s.Starts[n-1].SourceSystem != now.SourceSystem {
		s.Starts = append(s.Starts, now)
	}
}

func (s *standing) count(user int64, n statusNumber, by int64) {
	if w := hashlog.WaveAt(s.bounds, user); w >= 0 {
		s.Waves[w][n] += by
	}
}

// wave returns the index of the named wave, or -1.
func (s *standing) wave(name string) int {
	for i, w := range s.bounds {
		if w.Name == name {
			return i
		}
	}
	return -1
}

// counts sums the waves up. total is how many users the plan has, with those
// that it skips.
func (s *standing) counts(total int64) Counts {
	c := Counts{Total: total}
	due := int64(0)
	for i := range s.Waves {
		w := s.waveCounts(i)
		due += w.Total
		c.Done += w.Done
		c.Failed += w.Failed
		c.Skipped += w.Skipped
		c.Partial += w.Partial
		c.Unknown += w.Unknown
		c.Pending += w.Pending
		c.Held += w.Held
	}
	c.Skipped += total - due
	return c
}

func (s *standing) waveCounts(i int) Counts {
	t := s.Waves[i]
	c := Counts{Total: s.bounds[i].Size(), Done: t[numDone], Failed: t[numFailed], Skipped: t[numSkipped], Partial: t[numPartial], Unknown: t[numUnknown]}
	open := c.Total - c.Done - c.Failed - c.Skipped - c.Partial - c.Unknown
	if s.held(i) {
		c.Held = open
	} else {
		c.Pending = open
	}
	return c
}

// held reports whether the wave waits for an approval.
func (s *standing) held(wave int) bool { return s.Hold > 0 && wave >= s.Hold }

// state tells where the run stands, given whether a process applies it.
func (s *standing) state(total int64, alive bool) journal.State {
	if alive && s.State == journal.StateRunning {
		return journal.StateRunning
	}
	c := s.counts(total)
	switch {
	case s.State == journal.StateRunning:
		return journal.StateInterrupted
	case (s.State == journal.StateFinished || s.State == journal.StateUnsettled) && c.Pending+c.Held > 0:
		return journal.StateInterrupted
	}
	return s.State
}
