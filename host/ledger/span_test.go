package ledger

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/rekey-host/rekey/host/journal"
)

// TestASpanIsWhenARunWasApplied: not when it was planned, not the night between
// its processes, and not when somebody looked.
func TestASpanIsWhenARunWasApplied(t *testing.T) {
	day := time.Date(2026, 11, 30, 8, 0, 0, 0, time.UTC)
	var s Span
	for _, r := range []struct {
		kind journal.Kind
		at   time.Duration
	}{
		{journal.Opened, 0}, {journal.Planned, 0},
		{journal.Started, time.Hour}, {journal.Intent, time.Hour + time.Second}, {journal.Finished, time.Hour + 5*time.Second}, {journal.Reported, 90 * time.Minute}, {journal.Ended, 90 * time.Minute},
		{journal.Started, 20 * time.Hour}, {journal.Reopened, 21 * time.Hour}, {journal.Outcome, 20*time.Hour + 7*time.Second}, {journal.Ended, 22 * time.Hour}, {journal.Revealed, 23 * time.Hour}, {journal.Reported, 24 * time.Hour},
	} {
		s.add(&journal.Record{Kind: r.kind, At: day.Add(r.at)})
		text, err := json.Marshal(s) // as it is kept
		var kept Span
		if err != nil || json.Unmarshal(text, &kept) != nil || !kept.same(s) {
			t.Fatalf("%+v is kept as %s", s, text)
		}
		s = kept
	}
	if !s.Began.Equal(day.Add(time.Hour)) || !s.Until.Equal(day.Add(20*time.Hour+7*time.Second)) || s.Took() != 12*time.Second {
		t.Errorf("from %s to %s, took %s", s.Began, s.Until, s.Took())
	}
	if (Span{}).Took() != 0 {
		t.Error("a run that was never applied took some time")
	}
}
