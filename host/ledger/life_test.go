package ledger

import (
	"testing"

	"pgregory.net/rapid"

	"github.com/rekey-host/rekey/host/journal"
	"github.com/rekey-host/rekey/sdk"
)

// TestLifeSaysWhatTheHistorySays: it is the same, in less memory.
func TestLifeSaysWhatTheHistorySays(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		var all lives
		u, h := all.begin(1), &journal.History{}
		for range rapid.IntRange(0, 12).Draw(t, "records") {
			r := drawRecord(t)
			was, ok := u.attempt(r.Step, r.Try)
			if r.Kind == journal.Intent && ok || r.Kind == journal.Outcome && ok && (was.settled || was.verb != r.Verb) {
				continue // not admitted
			}
			u.take(r)
			h.Add(bare(r))
			sameLife(t, u, h)
		}
		well := u.well()
		if a := h.Doubtful(); well && a != nil {
			t.Fatalf("all went well, and step %d is in doubt", a.Intent.Step)
		}
		if a, b := u.history(), h; (a.Doubtful() == nil) != (b.Doubtful() == nil) || (a.InForce() == nil) != (b.InForce() == nil) {
			t.Fatal("what is in doubt or in force differs")
		}
		sameLife(t, u, h)
		all.end(1)
		if again := all.begin(2); len(again.steps) > 0 || again.more != nil {
			t.Fatal("a life that begins has a past")
		}
	})
}

func drawRecord(t *rapid.T) *journal.Record {
	r := &journal.Record{
		Kind: rapid.SampledFrom([]journal.Kind{journal.Intent, journal.Outcome, journal.Outcome, journal.Answer}).Draw(t, "kind"),
		Step: rapid.IntRange(1, 3).Draw(t, "step"), Try: rapid.IntRange(0, 1).Draw(t, "try"),
		Verb: rapid.SampledFrom([]string{journal.Set, journal.Set, journal.Reset, journal.Revert, journal.Unlock, journal.Verify}).Draw(t, "verb"), Backend: "b",
		Account: rapid.SampledFrom([]string{"ann", "bob"}).Draw(t, "account"),
	}
	if r.Kind == journal.Intent {
		r.Detail.Bridge = rapid.IntRange(0, 5).Draw(t, "bridge") == 0
	} else {
		r.Outcome = rapid.SampledFrom([]sdk.Outcome{sdk.Applied, sdk.Applied, sdk.AlreadyApplied, sdk.Refused, sdk.Unknown}).Draw(t, "outcome")
	}
	return r
}

// sameLife compares all attempts.
func sameLife(t *rapid.T, u *life, h *journal.History) {
	for step := 1; step <= 3; step++ {
		for try := range 2 {
			got, ok := u.attempt(step, try)
			want := h.Attempt(step, try)
			if ok != (want != nil) || ok && (got.verb != want.Intent.Verb || got.settled != want.Settled()) {
				t.Fatalf("step %d try %d: %+v, %v, want %+v", step, try, got, ok, want)
			}
		}
	}
}
