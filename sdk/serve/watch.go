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
	made := &watch{timeout: timeout, calls: calls, abandon: abandon}
	made.timer = time.AfterFunc(time.Hour, made.look)
	made.timer.Stop()
	return made
}

// began tells of a call that calls returns already.
func (w *watch) began() {
	if !w.set.Load() && w.set.CompareAndSwap(false, true) {
		w.timer.Reset(w.timeout)
	}
}

// look ends and abandons due calls, and sets the timer for the next.
func (w *watch) look() {
	if next := w.due(time.Now()); !next.IsZero() {
		w.timer.Reset(time.Until(next))
		return
	}
	w.set.Store(false)
	for _, call := range w.calls() { // one that began meanwhile took the timer for set
		if !call.given.Load() {
			w.began()
			return
		}
	}
}

// due deals with the calls whose time is over and returns when the next one's
// is; zero without one.
func (w *watch) due(now time.Time) (next time.Time) {
	for _, call := range w.calls() {
		if call.given.Load() {
			continue
		}
		at := call.deadline
		if !now.Before(at) {
			call.end(context.DeadlineExceeded)
			at = at.Add(grace)
		}
		if !now.Before(at) {
			call.given.Store(true)
			w.abandon(call.jobs)
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
	for _, call := range w.calls() {
		call.giveUp()
	}
}

// caller ends the calls of one that has gone.
func (w *watch) caller(gone context.Context) {
	for _, call := range w.calls() {
		if call.of(gone) {
			call.giveUp()
		}
	}
}
