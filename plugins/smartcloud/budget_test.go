package smartcloud

import (
	"context"
	"testing"
	"time"

	"github.com/rekey-host/rekey/sdk"
)

func TestTheSumOfWeightsStartsAnewEachPeriod(t *testing.T) {
	b, err := parseBudget("10/m", []string{"changepassword=4"})
	if err != nil {
		t.Fatal(err)
	}
	start := time.Unix(1000, 0)
	tests := []struct {
		at     time.Duration
		weight string
		want   time.Duration // 0: taken
	}{
		{0, "changepassword", 0}, {0, "changepassword", 0}, {time.Second, "changepassword", 59 * time.Second},
		{time.Second, "subscriber", 0}, {time.Second, "subscriber", 0}, {time.Second, "subscriber", 59 * time.Second},
		{time.Minute, "changepassword", 0},
	}
	for n, test := range tests {
		if got := b.take(b.weights[test.weight], start.Add(test.at)); got != test.want {
			t.Errorf("%d: got %v, want %v", n, got, test.want)
		}
	}
}

func TestABudgetSpentBeyondTheDeadlineIsRateLimited(t *testing.T) {
	b, _ := parseBudget("1/h", nil)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if f := b.spend(ctx, "subscriber"); f != nil {
		t.Fatal(f)
	}
	if f := b.spend(ctx, "subscriber"); f == nil || f.Err.Code != sdk.RateLimited || f.Err.RetryAfter < 59*time.Minute {
		t.Errorf("got %+v, want RateLimited for an hour", f)
	}
}

func TestAWeightAboveTheBudgetIsRefused(t *testing.T) {
	if _, err := parseBudget("3/s", []string{"subscriber=4"}); err == nil {
		t.Error("a request that never fits was accepted")
	}
}
