package engine

import (
	"math/rand/v2"
	"time"
)

// backoff is a wait that doubles each time, up to a limit.
type backoff struct{ next, most time.Duration }

// take returns how long to wait now.
func (b *backoff) take() time.Duration {
	wait := b.next
	b.next = min(2*wait, b.most)
	return wait
}

// retry counts the attempts at one thing that a moment may mend, and says how
// long to wait between them. Whoever tries decides what costs an attempt, and
// waits by the run's clock: for a circuit, for a stop, or not at all.
type retry struct {
	backoff
	left int // attempts
}

func newRetry(attempts int) retry {
	return retry{backoff{time.Second, time.Minute}, attempts}
}

// spend counts an attempt.
func (r *retry) spend() { r.left-- }

// spent reports whether no attempt is left.
func (r *retry) spent() bool { return r.left <= 0 }

// wait returns how long to wait before the next attempt: longer each time,
// spread between three quarters and five quarters of it, so that users who failed
// together do not come back together, and no less than the target asks for.
func (r *retry) wait(asked time.Duration) time.Duration {
	wait := r.take()
	return max(asked, wait*3/4+rand.N(wait/2))
}
