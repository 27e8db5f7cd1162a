package engine

import (
	"cmp"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/rekey-host/rekey/host/ledger"
)

// Journal is where records become durable: *ledger.Run. Commit returns when
// its records are synced; it has one caller at a time.
type Journal interface {
	Commit(recs []*ledger.Record) error
}

const (
	lazyCommit = 100 * time.Millisecond // the longest that a record waits
	groupLimit = 4096                   // the most records of one commit
)

// entry is one record on its way to the ledger.
type entry struct {
	rec      *ledger.Record
	lane     *lane       // whose operation waits for it; nil: nobody's
	pressing bool        // its user is inside a bounded gate, and others wait for that place
	then     func(error) // called once it is durable, or cannot be; must not block
}

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
// backend then costs a few syncs a second instead of one an answer.
type writer struct {
	journal Journal
	crash   crash
	guard   guard // nil: the journal cannot be lost
	urgent  *lane // of records that somebody waits for and that no operation follows

	mu     sync.Mutex
	queue  []entry
	err    error // why nothing can be written any more
	closed bool

	wake chan struct{}
	done chan struct{}
}

func newWriter(j Journal, c crash) *writer {
	w := &writer{journal: j, crash: c, urgent: &lane{}, wake: make(chan struct{}, 1), done: make(chan struct{})}
	w.guard, _ = j.(guard)
	go w.run()
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
	for _, e := range rest {
		if e.then != nil {
			e.then(err)
		}
	}
}

// add queues a record. After a failed commit every further record fails too.
func (w *writer) add(e entry) {
	w.mu.Lock()
	if w.err != nil || w.closed {
		err := cmp.Or(w.err, errClosed)
		w.mu.Unlock()
		if e.then != nil {
			e.then(err)
		}
		return
	}
	w.queue = append(w.queue, e)
	first, full := len(w.queue) == 1, len(w.queue) >= groupLimit
	w.mu.Unlock()
	if first || full || e.worthwhile() {
		w.kick()
	}
}

// write queues a record and waits until it is durable.
func (w *writer) write(rec *ledger.Record) error {
	got := make(chan error, 1)
	w.add(entry{rec: rec, lane: w.urgent, then: func(err error) { got <- err }})
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
	var oldest time.Time
	for {
		due := !oldest.IsZero() && time.Since(oldest) >= lazyCommit
		group, closed := w.take(due)
		if len(group) > 0 {
			w.commit(group)
			oldest = time.Time{}
			continue
		}
		if closed {
			return
		}
		oldest = w.waitFor(oldest, timer)
	}
}

// waitFor sleeps until there is something to look at and returns since when
// the oldest record waits.
func (w *writer) waitFor(oldest time.Time, timer *time.Timer) time.Time {
	w.mu.Lock()
	queued := len(w.queue) > 0
	w.mu.Unlock()
	if !queued {
		<-w.wake
		return time.Time{}
	}
	if oldest.IsZero() {
		oldest = time.Now()
	}
	timer.Reset(time.Until(oldest.Add(lazyCommit)))
	select {
	case <-w.wake:
	case <-timer.C:
	}
	return oldest
}

// take returns the group to commit now, or nothing if it can wait.
func (w *writer) take(due bool) (group []entry, closed bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.queue) == 0 || !(due || w.closed || len(w.queue) >= groupLimit || w.starving()) {
		return nil, w.closed && len(w.queue) == 0
	}
	n := min(len(w.queue), groupLimit)
	group = w.queue[:n:n]
	w.queue = append([]entry(nil), w.queue[n:]...)
	return group, false
}

// starving reports whether an intent is queued that is worth a sync.
func (w *writer) starving() bool {
	return slices.ContainsFunc(w.queue, entry.worthwhile)
}

// worthwhile reports whether the record should not wait for others: its lane
// would run dry, or what the lane has may not be sent before this user is done.
func (e entry) worthwhile() bool {
	return e.pressing || e.lane != nil && e.lane.hungry()
}

func (w *writer) commit(group []entry) {
	recs := make([]*ledger.Record, len(group))
	for i := range group {
		recs[i] = group[i].rec
	}
	w.crash.at(CrashGroupTaken)
	err := w.journal.Commit(recs)
	w.crash.at(CrashGroupDurable)
	if err != nil {
		w.fail(err)
	}
	for _, e := range group {
		if e.then != nil {
			e.then(err)
		}
	}
}
