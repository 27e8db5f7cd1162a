package serve

import (
	"context"
	"sync/atomic"
	"time"
)

// grace is how long after its deadline a call may still answer.
const grace = 500 * time.Millisecond

// watch looks after the calls that run: it ends those whose deadline has come
// and abandons those that ignore it. One timer serves all: it is set for the
// earliest deadline when the first call begins, and looks for the next one when
// it fires, so that calls that answer in time never touch it.
type watch struct {
	timeout time.Duration
	calls   func() []*call    // that run
	abandon func(jobs []*job) // called once a call, at its deadline and grace

	set   atomic.Bool // the timer is
	timer *time.Timer
}

func newWatch(timeout time.Duration, calls func() []*call, abandon func([]*job)) *watch {
	w := &watch{timeout: timeout, calls: calls, abandon: abandon}
	w.timer = time.AfterFunc(time.Hour, w.look)
	w.timer.Stop()
	return w
}

// began tells of a call that calls returns already.
func (w *watch) began() {
	if !w.set.Load() && w.set.CompareAndSwap(false, true) {
		w.timer.Reset(w.timeout)
	}
}

// look ends and abandons what is due, and sets the timer for what is next.
func (w *watch) look() {
	if next := w.due(time.Now()); !next.IsZero() {
		w.timer.Reset(time.Until(next))
		return
	}
	w.set.Store(false)
	for _, c := range w.calls() { // one that began meanwhile took the timer for set
		if !c.given.Load() {
			w.began()
			return
		}
	}
}

// due deals with the calls whose time is over and returns when the next one's
// is; zero if there is none.
func (w *watch) due(now time.Time) (next time.Time) {
	for _, c := range w.calls() {
		if c.given.Load() {
			continue
		}
		at := c.deadline
		if !now.Before(at) {
			c.end(context.DeadlineExceeded)
			at = at.Add(grace)
		}
		if !now.Before(at) {
			c.given.Store(true)
			w.abandon(c.jobs)
			continue
		}
		if next.IsZero() || at.Before(next) {
			next = at
		}
	}
	return next
}

// close ends every call. Those that ignore it are abandoned in their time.
func (w *watch) close() {
	for _, c := range w.calls() {
		c.giveUp()
	}
}

// caller ends the calls of one that has gone.
func (w *watch) caller(gone context.Context) {
	for _, c := range w.calls() {
		if c.of(gone) {
			c.giveUp()
		}
	}
}
