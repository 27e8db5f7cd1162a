package host

import (
	"testing"
	"time"

	"github.com/rekey-host/rekey/host/journal"
	"github.com/rekey-host/rekey/host/ledger"
	"github.com/rekey-host/rekey/sdk"
)

// TestWhatMayStillArrive is a user's history, and whether a request of it may
// still reach the target, and until when.
func TestWhatMayStillArrive(t *testing.T) {
	now := time.Date(2026, 11, 30, 12, 0, 0, 0, time.UTC)
	in := func(d time.Duration) *time.Time { at := now.Add(d); return &at }
	sent := func(step int, backend string) journal.Record {
		return journal.Record{Kind: journal.Intent, User: 1, Step: step, Verb: string(sdk.Set), Backend: backend, Account: "ann", Sealed: []byte("x")}
	}
	came := func(step int, backend string, outcome sdk.Outcome, late *time.Time) journal.Record {
		r := sent(step, backend)
		r.Kind, r.Sealed, r.Outcome, r.Detail.Late = journal.Outcome, nil, outcome, late
		return r
	}
	const timeouts = 2 * time.Minute
	for name, x := range map[string]struct {
		state   journal.State
		history []journal.Record
		strays  bool
		until   time.Time
	}{
		"nothing was sent":             {journal.StateInterrupted, nil, false, time.Time{}},
		"sent, and killed":             {journal.StateInterrupted, []journal.Record{sent(1, "dir")}, true, now.Add(timeouts - time.Minute)},
		"applied":                      {journal.StateInterrupted, []journal.Record{sent(1, "dir"), came(1, "dir", sdk.Applied, nil)}, false, time.Time{}},
		"refused":                      {journal.StateInterrupted, []journal.Record{sent(1, "dir"), came(1, "dir", sdk.Refused, nil)}, false, time.Time{}},
		"unknown, and ended":           {journal.StateUnsettled, []journal.Record{sent(1, "dir"), came(1, "dir", sdk.Unknown, in(time.Second))}, true, now.Add(time.Second)},
		"unknown, and killed later":    {journal.StateInterrupted, []journal.Record{sent(1, "dir"), came(1, "dir", sdk.Unknown, in(-time.Hour))}, true, now.Add(timeouts - time.Minute)},
		"unknown for long":             {journal.StateUnsettled, []journal.Record{sent(1, "dir"), came(1, "dir", sdk.Unknown, in(-time.Hour))}, true, now.Add(-time.Hour)},
		"applied after one was lost":   {journal.StateUnsettled, []journal.Record{sent(1, "dir"), came(1, "dir", sdk.Applied, in(time.Second))}, true, now.Add(time.Second)},
		"lost, and replaced long ago":  {journal.StateUnsettled, []journal.Record{sent(1, "dir"), came(1, "dir", sdk.Unknown, in(-time.Hour)), sent(2, "dir"), came(2, "dir", sdk.Applied, nil)}, false, time.Time{}},
		"lost on the way to elsewhere": {journal.StateInterrupted, []journal.Record{sent(1, "elsewhere")}, false, time.Time{}},
	} {
		s := strays{run: ledger.Summary{State: x.state}, labels: []string{"dir"}, last: now.Add(-time.Minute), late: timeouts, now: now}
		got, until := s.of(x.history)
		if got != x.strays || got && !until.Equal(x.until) {
			t.Errorf("%s: %v until %s, want %v until %s", name, got, until, x.strays, x.until)
		}
	}
}
