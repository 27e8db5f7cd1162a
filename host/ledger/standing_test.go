package ledger

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/rekey-host/rekey/host/hashlog"
	"github.com/rekey-host/rekey/host/journal"
	"github.com/rekey-host/rekey/sdk"
)

// TestUntoldIsAResetThatWasAppliedAndIsNotSealed: only the target knows its
// value.
func TestUntoldIsAResetThatWasAppliedAndIsNotSealed(t *testing.T) {
	for _, c := range []struct {
		verb    string
		sealed  []byte
		outcome sdk.Outcome
		want    int64
	}{
		{"reset", nil, sdk.Applied, 1},
		{"reset", nil, sdk.AlreadyApplied, 1},
		{"reset", nil, sdk.Refused, 0},
		{"reset", nil, sdk.Unknown, 0},
		{"reset", []byte("x"), sdk.Applied, 0},
		{"set", nil, sdk.Applied, 0},
	} {
		s := newStanding(nil)
		s.apply(&journal.Record{Kind: journal.Outcome, Verb: c.verb, Sealed: c.sealed, Outcome: c.outcome}, noStatus)
		if s.Untold != c.want {
			t.Errorf("%s, sealed %v, %s: %d untold", c.verb, c.sealed != nil, c.outcome, s.Untold)
		}
	}
}

// TestUnchangedAreThoseWhoAreDoneWithoutAChange.
func TestUnchangedAreThoseWhoAreDoneWithoutAChange(t *testing.T) {
	s := newStanding([]hashlog.Wave{{Name: "a", First: 1, Last: 9}})
	for user, unchanged := range []bool{true, false, true} {
		rec := finished(int64(user+1), journal.Done, "")
		rec.Detail.Unchanged = unchanged
		s.apply(rec, noStatus)
	}
	if s.Unchanged != 2 {
		t.Errorf("%d, want 2", s.Unchanged)
	}
}

// TestAnApprovalIsOfTheHoldThatIsOpen, and a run that was held then goes on.
func TestAnApprovalIsOfTheHoldThatIsOpen(t *testing.T) {
	s := newStanding([]hashlog.Wave{{Name: "a", First: 1, Last: 2}, {Name: "b", First: 3, Last: 4}, {Name: "c", First: 5, Last: 6}})
	held := func(wave string) *journal.Record {
		return &journal.Record{Kind: journal.Held, Detail: journal.Detail{Wave: wave}}
	}
	for _, c := range []struct {
		rec      *journal.Record
		approved []string
		state    journal.State
		waits    []bool
	}{
		{&journal.Record{Kind: journal.Approved}, nil, journal.StatePlanned, []bool{false, false, false}},
		{held("a"), nil, journal.StatePlanned, []bool{false, true, true}},
		{&journal.Record{Kind: journal.Ended, Detail: journal.Detail{State: journal.StateHeld}}, nil, journal.StateHeld, []bool{false, true, true}},
		{&journal.Record{Kind: journal.Approved}, []string{"a"}, journal.StateInterrupted, []bool{false, false, false}},
		{held("b"), []string{"a"}, journal.StateInterrupted, []bool{false, false, true}},
		{&journal.Record{Kind: journal.Ended, Detail: journal.Detail{State: journal.StateStopped}}, []string{"a"}, journal.StateStopped, []bool{false, false, true}},
		{&journal.Record{Kind: journal.Approved}, []string{"a", "b"}, journal.StateStopped, []bool{false, false, false}},
	} {
		s.apply(c.rec, noStatus)
		if !slices.Equal(s.Approved, c.approved) || s.State != c.state {
			t.Errorf("after %s: approved %q, %s; want %q, %s", c.rec.Kind, s.Approved, s.State, c.approved, c.state)
		}
		for wave, want := range c.waits {
			if s.held(wave) != want {
				t.Errorf("after %s: wave %d waits %v, want %v", c.rec.Kind, wave, s.held(wave), want)
			}
		}
	}
}

// TestWhoAppliedLastIsWhoSaidAHome: a process that begins, or that takes a run
// over; who planned it has not applied it.
func TestWhoAppliedLastIsWhoSaidAHome(t *testing.T) {
	s := newStanding(nil)
	at := time.UnixMicro(7).UTC()
	if s.apply(&journal.Record{Kind: journal.Reported, Detail: journal.Detail{Host: "h"}}, noStatus); s.Last != nil {
		t.Errorf("a report: %+v", s.Last)
	}
	for kind, began := range map[journal.Kind]bool{journal.Opened: false, journal.Started: true, journal.Accepted: true} {
		s.apply(&journal.Record{Kind: kind, At: at, Detail: journal.Detail{Home: "x", Host: "h", OSUser: "ann"}}, noStatus)
		if want := (Applier{At: 7, Host: "h", OSUser: "ann", Home: "x", Began: began}); s.Last == nil || *s.Last != want {
			t.Errorf("%s: %+v, want %+v", kind, s.Last, want)
		}
	}
	s.apply(&journal.Record{Kind: journal.Started, Detail: journal.Detail{Host: "other"}}, noStatus)
	if s.Last.Host != "h" {
		t.Error("who says no home has applied it")
	}
}

func TestStartsAreKeptWhereWhoAskedChanges(t *testing.T) {
	s := newStanding(nil)
	for i, who := range [][2]string{{"ann", "x"}, {"ann", "x"}, {"bob", "x"}, {"bob", "y"}, {"bob", "y"}, {"ann", "x"}} {
		s.started(Start{int64(i), who[0], who[1]})
	}
	var at []int64
	for _, x := range s.Starts {
		at = append(at, x.Index)
	}
	if !slices.Equal(at, []int64{0, 2, 3, 5}) {
		t.Errorf("starts at %v", at)
	}
}

func TestCountsAddUp(t *testing.T) {
	s := newStanding([]hashlog.Wave{{Name: "a", First: 1, Last: 10}, {Name: "b", First: 11, Last: 15}})
	s.Waves[0] = tally{0, 1, 2, 1, 1, 1}
	s.Waves[1] = tally{0, 1, 0, 0, 0, 0}
	for _, c := range []struct {
		hold int
		want Counts
	}{
		{0, Counts{Total: 18, Done: 2, Failed: 2, Skipped: 4, Partial: 1, Unknown: 1, Pending: 8}},
		{1, Counts{Total: 18, Done: 2, Failed: 2, Skipped: 4, Partial: 1, Unknown: 1, Pending: 4, Held: 4}},
	} {
		s.Hold = c.hold
		if got := s.counts(18); got != c.want {
			t.Errorf("hold %d: %+v, want %+v", c.hold, got, c.want)
		}
	}
}

// TestRunThatHadEndedAndHasUsersToApplyIsInterrupted, and no other.
func TestRunThatHadEndedAndHasUsersToApplyIsInterrupted(t *testing.T) {
	for _, c := range []struct {
		kept  journal.State
		open  int64
		alive bool
		want  journal.State
	}{
		{journal.StateRunning, 1, true, journal.StateRunning},
		{journal.StateRunning, 1, false, journal.StateInterrupted},
		{journal.StateRunning, 0, false, journal.StateInterrupted},
		{journal.StateFinished, 0, false, journal.StateFinished},
		{journal.StateFinished, 1, false, journal.StateInterrupted},
		{journal.StateFinished, 1, true, journal.StateInterrupted},
		{journal.StateUnsettled, 0, false, journal.StateUnsettled},
		{journal.StateUnsettled, 1, false, journal.StateInterrupted},
		{journal.StateStopped, 1, false, journal.StateStopped},
		{journal.StatePlanned, 1, false, journal.StatePlanned},
		{journal.StateHeld, 1, false, journal.StateHeld},
	} {
		s := newStanding([]hashlog.Wave{{Name: "a", First: 1, Last: 1}})
		s.State, s.Waves[0][numDone] = c.kept, 1-c.open
		if got := s.state(1, c.alive); got != c.want {
			t.Errorf("%s with %d open, alive %v: %s, want %s", c.kept, c.open, c.alive, got, c.want)
		}
	}
}

func TestSpanIsOfTheProcessesNotOfWhatIsBetween(t *testing.T) {
	start := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	var s Span
	for _, c := range []struct {
		kind journal.Kind
		at   int
		took time.Duration
	}{
		{journal.Opened, -5, 0}, {journal.Started, 0, 0}, {journal.Intent, 3, 3 * time.Second}, {journal.Revealed, 9, 3 * time.Second},
		{journal.Started, 100, 3 * time.Second}, {journal.Outcome, 104, 7 * time.Second}, {journal.Finished, 105, 8 * time.Second}, {journal.Stopped, 106, 9 * time.Second}, {journal.Ended, 200, 9 * time.Second},
	} {
		s.add(&journal.Record{Kind: c.kind, At: start.Add(time.Duration(c.at) * time.Second)})
		if got := s.Took(); got != c.took {
			t.Errorf("after %s at %d: took %v, want %v", c.kind, c.at, got, c.took)
		}
	}
	if !s.Began.Equal(start) || !s.Since.Equal(start.Add(100*time.Second)) {
		t.Errorf("Span = %+v", s)
	}
}

func TestSetOfNumbers(t *testing.T) {
	var b bitset
	b.set(70, false) // nothing is made for what is not in it
	if len(b) != 0 || b.has(0) || b.has(70) {
		t.Errorf("an empty set has %v", b)
	}
	in := map[int64]bool{}
	for _, n := range []int64{0, 1, 63, 64, 127, 128, 1023, 1024, 5000} {
		b.set(n, true)
		in[n] = true
	}
	for _, n := range []int64{1, 64, 9999} {
		b.set(n, false)
		delete(in, n)
	}
	for n := range int64(6000) {
		if b.has(n) != in[n] {
			t.Errorf("%d is in it: %v", n, b.has(n))
		}
	}
	if b.has(1 << 40) {
		t.Error("a number beyond all is in it")
	}
}

// TestContradictionNamesItsPlace: user, step and try where there are any.
func TestContradictionNamesItsPlace(t *testing.T) {
	for _, c := range []struct {
		rec  journal.Record
		want string
	}{
		{journal.Record{Kind: journal.Held}, "held: no"},
		{journal.Record{Kind: journal.Finished, User: 3}, "finished of user 3: no"},
		{journal.Record{Kind: journal.Intent, User: 3, Step: 1}, "intent of user 3 step 1 try 0: no"},
	} {
		if got, want := contradiction(&c.rec, "no").Error(), fmt.Sprintf("%v: %s", ErrContradiction, c.want); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}
