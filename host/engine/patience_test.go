package engine

import (
	"testing"
	"time"

	"github.com/rekey-host/rekey/host/journal"
	"github.com/rekey-host/rekey/sdk"
)

func TestWaitingAsAskedIsFreeUntilPatienceEnds(t *testing.T) {
	b := newBook(1)
	x := newTarget(t, b)
	x.say = func(int, sdk.Operation) sdk.Receipt {
		e := sdk.Errorf(sdk.RateLimited, "later")
		e.RetryAfter = 10 * time.Second
		return sdk.Refuse(e)
	}
	apply(t, jobOf(b, generateAndSet("a"), x.backend("a")))
	// A minute of patience is six waits; then the three attempts count.
	if got := statusIn(b.user(1)); x.n != 9 || got != journal.Failed {
		t.Errorf("sent %d times, %s; want 9, failed", x.n, got)
	}
}
