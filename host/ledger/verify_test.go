package ledger

import (
	"slices"
	"testing"
	"time"

	"github.com/rekey-host/rekey/host/journal"
)

func TestProblemSaysWhereItIs(t *testing.T) {
	for _, c := range []struct {
		p    Problem
		want string
	}{
		{Problem{Index: -1, Message: "m"}, "m"},
		{Problem{Index: 0, Message: "m"}, "record 0: m"},
		{Problem{Index: 17, User: 3, Key: "ann", Step: 1, Message: "m"}, `record 17 (user "ann", step 1): m`},
		{Problem{Index: 17, User: 3, Message: "m"}, "record 17 (user at position 3): m"},
		{Problem{Index: 17, Step: 2, Message: "m"}, "record 17 (step 2): m"},
		{Problem{Index: -1, User: 3, Key: "ann", Message: "m"}, `user "ann": m`},
		{Problem{Index: -1, Key: "ann", Message: "m"}, "m"},
	} {
		if got := c.p.String(); got != c.want {
			t.Errorf("%+v: %q, want %q", c.p, got, c.want)
		}
	}
}

func TestProblemsAreListedUpToABound(t *testing.T) {
	a := Audit{OK: true}
	for n := range maxProblems + 3 {
		a.general("%d", n)
	}
	if a.OK || len(a.Problems) != maxProblems || a.More != 3 {
		t.Errorf("OK %v, %d listed, %d more", a.OK, len(a.Problems), a.More)
	}
}

// TestTailThatMovedIsOneProblem: of records that stand one place on, all are.
func TestTailThatMovedIsOneProblem(t *testing.T) {
	var p places
	var got []bool
	for _, x := range [][2]int64{{0, 0}, {2, 1}, {3, 2}, {4, 3}, {1, 4}, {5, 5}, {6, 6}} {
		got = append(got, p.moved(x[0], x[1]))
	}
	if want := []bool{false, true, false, false, true, true, false}; !slices.Equal(got, want) {
		t.Errorf("moved: %v, want %v", got, want)
	}
}

// TestStandingsDifferInWhateverTheyDiffer: what is kept beside the log is
// compared with it whole.
func TestStandingsDifferInWhateverTheyDiffer(t *testing.T) {
	at := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	made := func() *standing {
		s := newStanding([]waveRow{{"a", 1, 2}, {"b", 3, 4}})
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
