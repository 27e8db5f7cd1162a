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
	linger     = time.Millisecond       // how long a dispatcher that runs dry waits for others to come along
	goodGroup  = 256                    // records worth a sync as soon as a dispatcher runs dry
)

// entry is one record on its way to the ledger.
type entry struct {
	rec      *journal.Record
	backlog  *backlog // which its operation joins; nil: none
	pressing bool     // its user holds a permit, and others wait for one
	then     waiter   // told once it is durable, or cannot be; nil: none
}

// waiter is told that a record is durable, or why it cannot be. It must not
// block.
type waiter interface{ written(error) }

// waiterFunc makes a waiter of a function.
type waiterFunc func(error)

func (f waiterFunc) written(err error) { f(err) }

// errClosed is what a record gets that comes after the last one.
var errClosed = errors.New("the ledger's committer is closed")

// guard is what a Journal may also be: asked before anything is sent whether
// the durable records are still where readers will look for them. It is
// safe for concurrent use, and cheap.
type guard interface {
	Intact() error
}

// committer commits records in groups. It commits lazily: an intent is worth a
// sync only when the plugin it is meant for would otherwise run dry, or when
// others wait for its user's place at the semaphore, and an outcome never is; a slow
// backend then costs a few syncs a second instead of one an answer. Where a
// plugin would run dry the committer lingers for a moment, so that users who come
// one by one, as after a verify, share a sync and a frame.
type committer struct {
	journal Journal
	crash   crash
	panics  panics
	guard   guard   // nil: the journal cannot be lost
	urgent  backlog // of records that users wait for, without an operation to follow: it is always dry

	spare []entry           // memory of groups that were written
	recs  []*journal.Record // of the group that is

	mu      sync.Mutex
	queue   []entry
	waiting waiting // for the queue
	err     error   // why nothing can be written any more
	closed  bool

	wake chan struct{}
	done chan struct{}
}

func newCommitter(j Journal, crash crash, panics panics) *committer {
	made := &committer{journal: j, crash: crash, panics: panics, wake: make(chan struct{}, 1), done: make(chan struct{})}
	made.guard, _ = j.(guard)
	go panics.guarded(made.run)()
	return made
}

// intact returns why nothing may be sent any more, or nil.
func (c *committer) intact() error {
	if err := c.failed(); err != nil || c.guard == nil {
		return err
	}
	err := c.guard.Intact()
	if err != nil {
		c.fail(err)
	}
	return err
}

// fail lets nothing be written any more, and answers what waits.
func (c *committer) fail(err error) {
	c.mu.Lock()
	if c.err == nil {
		c.err = err
	}
	rest := c.queue
	c.queue = nil
	c.mu.Unlock()
	tell(rest, err)
}

// tell tells those who wait for records what became of them.
func tell(entries []entry, err error) {
	for _, entry := range entries {
		if entry.then != nil {
			entry.then.written(err)
		}
	}
}

// add queues records. After a failed commit every further record fails too.
func (c *committer) add(entries ...entry) {
	c.mu.Lock()
	if c.err != nil || c.closed {
		err := cmp.Or(c.err, errClosed)
		c.mu.Unlock()
		tell(entries, err)
		return
	}
	was := len(c.queue)
	c.queue = append(c.queue, entries...)
	count, look := len(c.queue), false
	for _, entry := range entries {
		c.waiting.add(entry)
		look = look || entry.pressing || count < goodGroup && entry.backlog != nil && entry.backlog.runsDry()
	}
	look = look || was == 0 || was < goodGroup && count >= goodGroup || count >= groupLimit
	c.mu.Unlock()
	if look {
		c.kick()
	}
}

// write queues a record and waits until it is durable.
func (c *committer) write(rec *journal.Record) error {
	got := make(chan error, 1)
	c.add(entry{rec: rec, backlog: &c.urgent, then: waiterFunc(func(err error) { got <- err })})
	return <-got
}

// kick makes the committer look at its queue.
func (c *committer) kick() {
	select {
	case c.wake <- struct{}{}:
	default:
	}
}

// failed returns why the ledger cannot be written, or nil.
func (c *committer) failed() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.err
}

// close commits the queue and ends the committer.
func (c *committer) close() error {
	c.mu.Lock()
	c.closed = true
	c.mu.Unlock()
	c.kick()
	<-c.done
	return c.failed()
}

func (c *committer) run() {
	defer close(c.done)
	timer := time.NewTimer(lazyCommit)
	defer timer.Stop()
	var queued, starved time.Time // since when records wait, and since when a dispatcher runs dry
	for {
		group, closed := c.take(since(queued), since(starved))
		if len(group) > 0 {
			c.commit(group)
			queued, starved = time.Time{}, time.Time{}
			continue
		}
		if closed {
			return
		}
		queued, starved = c.waitFor(queued, starved, timer)
	}
}

// since is how long ago something was; a zero time was not.
func since(at time.Time) time.Duration {
	if at.IsZero() {
		return 0
	}
	return time.Since(at)
}

// waitFor sleeps until there is something to look at, and returns since when
// the oldest record waits and since when a dispatcher runs dry.
func (c *committer) waitFor(queued, starved time.Time, timer *time.Timer) (time.Time, time.Time) {
	c.mu.Lock()
	waits, starves := len(c.queue) > 0, c.starving()
	c.mu.Unlock()
	if !waits {
		<-c.wake
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
	case <-c.wake:
	case <-timer.C:
	}
	return queued, starved
}

// take returns the group to commit now, or nothing if it can wait.
func (c *committer) take(queued, starved time.Duration) (group []entry, closed bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.queue) == 0 || !c.due(queued, starved) {
		return nil, c.closed && len(c.queue) == 0
	}
	count := min(len(c.queue), groupLimit)
	group = c.queue[:count:count]
	c.queue = append(c.spare[:0], c.queue[count:]...)
	c.spare = nil
	c.waiting = waiting{}
	for _, entry := range c.queue {
		c.waiting.add(entry)
	}
	return group, false
}

// due reports whether to commit the queue now.
func (c *committer) due(queued, starved time.Duration) bool {
	switch {
	case c.closed, len(c.queue) >= groupLimit, queued >= lazyCommit, c.waiting.pressing:
		return true
	}
	return c.starving() && (len(c.queue) >= goodGroup || starved >= linger)
}

// starving reports whether a dispatcher of a queued record would run dry.
func (c *committer) starving() bool {
	return slices.ContainsFunc(c.waiting.backlogs, (*backlog).runsDry)
}

// waiting is who waits for the queued records.
type waiting struct {
	backlogs []*backlog // each once
	pressing bool       // what a dispatcher has may not be sent before one of the users is done
}

func (w *waiting) add(entry entry) {
	w.pressing = w.pressing || entry.pressing
	if entry.backlog != nil && !slices.Contains(w.backlogs, entry.backlog) {
		w.backlogs = append(w.backlogs, entry.backlog)
	}
}

func (c *committer) commit(group []entry) {
	c.recs = c.recs[:0]
	for i := range group {
		c.recs = append(c.recs, group[i].rec)
	}
	c.crash.at(CrashGroupTaken)
	err := c.journal.Commit(c.recs)
	c.crash.at(CrashGroupDurable)
	if err != nil {
		c.fail(err)
	}
	tell(group, err)
	clear(group)
	clear(c.recs)
	c.spare = group
}
