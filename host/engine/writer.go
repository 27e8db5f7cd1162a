package engine

import (
	"cmp"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/rekey-host/rekey/host/journal"
)

// Journal is where records become durable: *ledger.Run. Commit returns when
// its records are synced; it has one caller at a time.
type Journal interface {
	Commit(recs []*journal.Record) error
}

const (
	lazyCommit = 100 * time.Millisecond // the longest that a record waits
	groupLimit = 4096                   // the most records of one commit
	linger     = time.Millisecond       // how long a lane that runs dry waits for others to come along
	goodGroup  = 256                    // records that are worth a sync as soon as a lane runs dry
)

// entry is one record on its way to the ledger.
type entry struct {
	rec      *journal.Record
	lane     *lane  // whose operation waits for it; nil: nobody's
	pressing bool   // its user is inside a bounded gate, and others wait for that place
	then     waiter // told once it is durable, or cannot be; nil: nobody waits
}

// waiter is told that a record is durable, or why it cannot be. It must not
// block.
type waiter interface{ written(error) }

// call is a waiter that is a function.
type call func(error)

func (f call) written(err error) { f(err) }

// errClosed is what a record gets that comes after the last one.
var errClosed = errors.New("the ledger's writer is closed")

// guard is what a Journal may also be: asked before anything is sent whether
// the records that are durable are still where they will be looked for. It is
// safe for concurrent use, and cheap.
type guard interface {
	Intact() error
}

// writer commits records in groups. It commits lazily: an intent is worth a
// sync only when the plugin it is meant for would otherwise run dry, or when
// others wait for its user's place at the gate, and an outcome never is; a slow
// backend then costs a few syncs a second instead of one an answer. Where a
// plugin would run dry the writer lingers for a moment, so that users who come
// one by one, as after a verify, share a sync and a frame.
type writer struct {
	journal Journal
	crash   crash
	panics  panics
	guard   guard // nil: the journal cannot be lost
	urgent  *lane // of records that somebody waits for and that no operation follows

	mu      sync.Mutex
	queue   []entry
	waiting waiting // for the queue
	err     error   // why nothing can be written any more
	closed  bool

	wake chan struct{}
	done chan struct{}
}

func newWriter(j Journal, c crash, p panics) *writer {
	w := &writer{journal: j, crash: c, panics: p, urgent: &lane{}, wake: make(chan struct{}, 1), done: make(chan struct{})}
	w.guard, _ = j.(guard)
	go p.guarded(w.run)()
	return w
}

// intact returns why nothing may be sent any more, or nil.
func (w *writer) intact() error {
	if err := w.failed(); err != nil || w.guard == nil {
		return err
	}
	err := w.guard.Intact()
	if err != nil {
		w.fail(err)
	}
	return err
}

// fail lets nothing be written any more, and answers what waits.
func (w *writer) fail(err error) {
	w.mu.Lock()
	if w.err == nil {
		w.err = err
	}
	rest := w.queue
	w.queue = nil
	w.mu.Unlock()
	tell(rest, err)
}

// tell tells those who wait for records what became of them.
func tell(entries []entry, err error) {
	for _, e := range entries {
		if e.then != nil {
			e.then.written(err)
		}
	}
}

// add queues records. After a failed commit every further record fails too.
func (w *writer) add(entries ...entry) {
	w.mu.Lock()
	if w.err != nil || w.closed {
		err := cmp.Or(w.err, errClosed)
		w.mu.Unlock()
		tell(entries, err)
		return
	}
	was := len(w.queue)
	w.queue = append(w.queue, entries...)
	n, look := len(w.queue), false
	for _, e := range entries {
		w.waiting.add(e)
		look = look || e.pressing || n < goodGroup && e.lane != nil && e.lane.hungry()
	}
	look = look || was == 0 || was < goodGroup && n >= goodGroup || n >= groupLimit
	w.mu.Unlock()
	if look {
		w.kick()
	}
}

// write queues a record and waits until it is durable.
func (w *writer) write(rec *journal.Record) error {
	got := make(chan error, 1)
	w.add(entry{rec: rec, lane: w.urgent, then: call(func(err error) { got <- err })})
	return <-got
}

// kick makes the writer look at its queue.
func (w *writer) kick() {
	select {
	case w.wake <- struct{}{}:
	default:
	}
}

// failed returns why the ledger cannot be written, or nil.
func (w *writer) failed() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.err
}

// close commits what is queued and ends the writer.
func (w *writer) close() error {
	w.mu.Lock()
	w.closed = true
	w.mu.Unlock()
	w.kick()
	<-w.done
	return w.failed()
}

func (w *writer) run() {
	defer close(w.done)
	timer := time.NewTimer(lazyCommit)
	defer timer.Stop()
	var queued, starved time.Time // since when records wait, and since when somebody runs dry
	for {
		group, closed := w.take(since(queued), since(starved))
		if len(group) > 0 {
			w.commit(group)
			queued, starved = time.Time{}, time.Time{}
			continue
		}
		if closed {
			return
		}
		queued, starved = w.waitFor(queued, starved, timer)
	}
}

// since is how long ago something was; a zero time was not.
func since(t time.Time) time.Duration {
	if t.IsZero() {
		return 0
	}
	return time.Since(t)
}

// waitFor sleeps until there is something to look at, and returns since when
// the oldest record waits and since when somebody runs dry.
func (w *writer) waitFor(queued, starved time.Time, timer *time.Timer) (time.Time, time.Time) {
	w.mu.Lock()
	waits, starves := len(w.queue) > 0, w.starving()
	w.mu.Unlock()
	if !waits {
		<-w.wake
		return time.Time{}, time.Time{}
	}
	now := time.Now()
	if queued.IsZero() {
		queued = now
	}
	until := queued.Add(lazyCommit)
	if starves && starved.IsZero() {
		starved = now
	}
	if !starved.IsZero() {
		until = starved.Add(linger)
	}
	timer.Reset(time.Until(until))
	select {
	case <-w.wake:
	case <-timer.C:
	}
	return queued, starved
}

// take returns the group to commit now, or nothing if it can wait.
func (w *writer) take(queued, starved time.Duration) (group []entry, closed bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.queue) == 0 || !w.due(queued, starved) {
		return nil, w.closed && len(w.queue) == 0
	}
	n := min(len(w.queue), groupLimit)
	group = w.queue[:n:n]
	w.queue = append([]entry(nil), w.queue[n:]...)
	w.waiting = waiting{}
	for _, e := range w.queue {
		w.waiting.add(e)
	}
	return group, false
}

// due reports whether to commit now what is queued.
func (w *writer) due(queued, starved time.Duration) bool {
	switch {
	case w.closed, len(w.queue) >= groupLimit, queued >= lazyCommit, w.waiting.pressing:
		return true
	}
	return w.starving() && (len(w.queue) >= goodGroup || starved >= linger)
}

// starving reports whether a lane of a queued record would run dry.
func (w *writer) starving() bool {
	return slices.ContainsFunc(w.waiting.lanes, (*lane).hungry)
}

// waiting is who waits for the queued records.
type waiting struct {
	lanes    []*lane // each once
	pressing bool    // what a lane has may not be sent before one of the users is done
}

func (w *waiting) add(e entry) {
	w.pressing = w.pressing || e.pressing
	if e.lane != nil && !slices.Contains(w.lanes, e.lane) {
		w.lanes = append(w.lanes, e.lane)
	}
}

func (w *writer) commit(group []entry) {
	recs := make([]*journal.Record, len(group))
	for i := range group {
		recs[i] = group[i].rec
	}
	w.crash.at(CrashGroupTaken)
	err := w.journal.Commit(recs)
	w.crash.at(CrashGroupDurable)
	if err != nil {
		w.fail(err)
	}
	tell(group, err)
}
