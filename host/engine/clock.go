package engine

import (
	"context"
	"time"
)

// Clock tells and passes the time of pauses and back-offs.
type Clock interface {
	Now() time.Time
	// Sleep returns nil after d, or the context's cause.
	Sleep(ctx context.Context, d time.Duration) error
}

// SystemClock is the machine's.
type SystemClock struct{}

// Now returns the time.
func (SystemClock) Now() time.Time { return time.Now() }

// Sleep waits.
func (SystemClock) Sleep(ctx context.Context, span time.Duration) error {
	timer := time.NewTimer(span)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// moment is a time as the operator is told it: with its day if that is not within
// the next hours.
func moment(now, at time.Time) string {
	if at.Sub(now) > 12*time.Hour {
		return at.Local().Format(time.DateTime)
	}
	return at.Local().Format(time.TimeOnly)
}
