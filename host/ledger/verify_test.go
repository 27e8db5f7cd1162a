package ledger

import (
	"testing"
	"time"

	"github.com/rekey-host/rekey/host/hashlog"
	"github.com/rekey-host/rekey/host/journal"
)

// TestStandingsDifferInWhateverTheyDiffer: what is kept beside the log is
// compared with it whole.
func TestStandingsDifferInWhateverTheyDiffer(t *testing.T) {
	at := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	made := func() *standing {
		s := newStanding([]hashlog.Wave{{Name: "a", First: 1, Last: 2}, {Name: "b", First: 3, Last: 4}})
		s.State, s.Hold, s.Untold, s.Unchanged = journal.StateRunning, 1, 2, 3
		s.Approved, s.Starts = []string{"a"}, []Start{{Index: 2}}
		s.Backends = []journal.BackendPin{{Name: "ldap"}}
		s.Last = &Applier{Home: "x"}
		s.Span = Span{Began: at, Since: at, Until: at, Spent: 1}
		return s
	}
	if !made().same(made()) {
		t.Fatal("a standing is not itself")
	}
	for name, change := range map[string]func(s *standing){
		"state":       func(s *standing) { s.State = journal.StateFinished },
		"hold":        func(s *standing) { s.Hold++ },
		"forgot":      func(s *standing) { s.Forgot = true },
		"untold":      func(s *standing) { s.Untold++ },
		"unchanged":   func(s *standing) { s.Unchanged++ },
		"began":       func(s *standing) { s.Span.Began = at.Add(1) },
		"since":       func(s *standing) { s.Span.Since = at.Add(1) },
		"until":       func(s *standing) { s.Span.Until = at.Add(1) },
		"spent":       func(s *standing) { s.Span.Spent++ },
		"waves":       func(s *standing) { s.Waves = s.Waves[:1] },
		"first wave":  func(s *standing) { s.Waves[0][numDone]++ },
		"last wave":   func(s *standing) { s.Waves[1][numUnknown]++ },
		"approvals":   func(s *standing) { s.Approved = nil },
		"starts":      func(s *standing) { s.Starts[0].Requestor = "x" },
		"backends":    func(s *standing) { s.Backends[0].Name = "x" },
		"no applier":  func(s *standing) { s.Last = nil },
		"applier":     func(s *standing) { s.Last.Host = "x" },
		"no backends": func(s *standing) { s.Backends = nil },
	} {
		s := made()
		change(s)
		if s.same(made()) || made().same(s) {
			t.Errorf("%s: another standing is the same", name)
		}
	}
	none, also := made(), made()
	none.Last, also.Last = nil, nil
	if !none.same(also) {
		t.Error("two standings that nobody applied differ")
	}
}
