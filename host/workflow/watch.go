package workflow

import (
	"runtime/metrics"
	"sync"
	"sync/atomic"
	"time"
)

// part is how often a call that computes is looked at. Its time is counted in
// parts: a suspended process sees one of them end, however long it
// slept. It is short, because a doubling list fills a machine in seconds.
const part = 50 * time.Millisecond

// stopReason is why a thread was cancelled.
type stopReason uint8

const (
	notStopped stopReason = iota
	stopCancelled
	stopSteps
	stopTime
	stopMemory
)

// watched is the call that a watch measures.
type watched interface {
	isCancelled() bool
	cancel()
	// uninterruptible is told that the call does not end although it was cancelled.
	uninterruptible(why stopReason)
}

// watch measures how long a call computes, and how much memory the process has
// while it does. After the limit it cancels the thread; a call that goes on for
// as long again is uninterruptible, as inside a multiplication of huge numbers, and only the
// end of the process stops it.
type watch struct {
	call  watched
	clock *clock

	mu      sync.Mutex
	most    int    // parts that a call may take
	memory  uint64 // bytes by which the heap may grow
	lowest  uint64 // bytes of the heap since the call began or went on
	running bool
	fresh   bool       // it began or went on within the part
	count   int        // whole parts since begin
	since   int        // parts since the cancellation
	reason  stopReason // why it was cancelled
}

func (w *watch) begin(limits Limits) {
	w.mu.Lock()
	w.most, w.memory = max(int(limits.Compute/part), 1), limits.Memory
	w.count, w.since, w.reason = 0, 0, notStopped
	w.mu.Unlock()
	w.resume()
}

// pause is for the time that a step waits.
func (w *watch) pause() { w.end() }

func (w *watch) resume() {
	heap := w.clock.wind()
	w.mu.Lock()
	w.running, w.fresh, w.lowest = true, true, heap
	w.mu.Unlock()
	w.clock.wind() // it may have run down before it could see that the call runs
}

func (w *watch) end() {
	w.mu.Lock()
	w.running = false
	w.mu.Unlock()
}

func (w *watch) why() stopReason {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.reason
}

// stop cancels the thread.
func (w *watch) stop(why stopReason) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.cancel(why)
}

func (w *watch) cancel(why stopReason) {
	if w.reason == notStopped {
		w.reason = why
		w.call.cancel()
	}
}

// tick ends one part of the time, at whose end the heap has so many bytes, and
// reports whether the call computes.
func (w *watch) tick(heap uint64) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if !w.running {
		return false
	}
	if !w.fresh {
		w.count++
	}
	w.fresh = false
	grown := w.grown(heap)
	switch {
	case w.reason != notStopped:
		if w.since++; w.since >= w.most || grown > 2*w.memory {
			w.running = false
			w.call.uninterruptible(w.reason)
		}
	case w.call.isCancelled():
		w.cancel(stopCancelled)
	case grown > w.memory:
		w.cancel(stopMemory)
	case w.count >= w.most:
		w.cancel(stopTime)
	}
	return w.running
}

// grown is by how much the heap has grown while the call computed. What was there
// before is not its own: it may be another's, or dead and not swept yet.
func (w *watch) grown(heap uint64) uint64 {
	w.lowest = min(w.lowest, heap)
	return heap - w.lowest
}

// clock ends the parts for all calls of a script: calls are many, and short, and a
// timer for each would cost more than they do. It runs down where no call
// computes.
type clock struct {
	wound atomic.Bool
	heap  atomic.Uint64 // its size within the last part

	mu    sync.Mutex
	timer *time.Timer
	calls []*watch // all that there ever were: as many as ran at the same time
}

func (c *clock) add(watch *watch) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.calls = append(c.calls, watch)
}

// wind sees to it that the part ends, and returns the bytes of the heap.
func (c *clock) wind() uint64 {
	if c.wound.Load() {
		return c.heap.Load()
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.wound.Load() {
		return c.heap.Load()
	}
	c.heap.Store(heapBytes())
	if c.timer == nil {
		c.timer = time.AfterFunc(part, c.tick)
	} else {
		c.timer.Reset(part)
	}
	c.wound.Store(true)
	return c.heap.Load()
}

// tick ends a part. Whoever begins while it looks at the calls winds the clock
// anew, so that none is overlooked.
func (c *clock) tick() {
	c.wound.Store(false)
	heap := heapBytes()
	c.heap.Store(heap)
	c.mu.Lock()
	calls := c.calls
	c.mu.Unlock()
	computes := false
	for _, watch := range calls {
		computes = watch.tick(heap) || computes
	}
	if computes {
		c.wind()
	}
}

// heapBytes is what the process's objects take, the dead that were not swept yet
// among them.
func heapBytes() uint64 {
	sample := []metrics.Sample{{Name: "/memory/classes/heap/objects:bytes"}}
	metrics.Read(sample)
	return sample[0].Value.Uint64()
}
