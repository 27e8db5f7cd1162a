package ledger

import (
	"encoding/json"
	"testing"
	"time"
)

// TestASpanIsWhenARunWasApplied: not when it was planned, not the night between
// its processes, and not when somebody looked.
func TestASpanIsWhenARunWasApplied(t *testing.T) {
	day := time.Date(2026, 11, 30, 8, 0, 0, 0, time.UTC)
	var s Span
	for _, r := range []struct {
		kind Kind
		at   time.Duration
	}{
		{Opened, 0}, {Planned, 0},
		{Started, time.Hour}, {Intent, time.Hour + time.Second}, {Finished, time.Hour + 5*time.Second}, {Reported, 90 * time.Minute}, {Ended, 90 * time.Minute},
		{Started, 20 * time.Hour}, {Reopened, 21 * time.Hour}, {Outcome, 20*time.Hour + 7*time.Second}, {Ended, 22 * time.Hour}, {Revealed, 23 * time.Hour}, {Reported, 24 * time.Hour},
	} {
		s.add(&Record{Kind: r.kind, At: day.Add(r.at)})
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
