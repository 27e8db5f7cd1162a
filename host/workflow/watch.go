package workflow

import (
	"runtime/metrics"
	"sync"
	"time"
)

// part is how often a call that computes is looked at. Its time is counted in
// parts: a process that was suspended sees one of them end, however long it
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
	// deaf is told that the call does not end although it was cancelled.
	deaf(why stopReason)
}

// watch measures how long a call computes, and how much memory the process has
// while it does. After the limit it cancels the thread; a call that goes on for
// as long again is deaf, as inside a multiplication of huge numbers, and only the
// end of the process stops it.
type watch struct {
	call watched
	heap *gauge

	mu      sync.Mutex
	timer   *time.Timer
	most    int    // parts that a call may take
	memory  uint64 // bytes by which the heap may grow
	lowest  uint64 // bytes of the heap since the call began or went on
	running bool
	count   int        // parts since begin
	since   int        // parts since the cancellation
	reason  stopReason // why it was cancelled
}

func (w *watch) begin(limits Limits) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.most, w.memory = max(int(limits.Compute/part), 1), limits.Memory
	w.running, w.count, w.since, w.lowest, w.reason = true, 0, 0, w.heap.recent(), notStopped
	w.wind()
}

func (w *watch) wind() {
	if w.timer == nil {
		w.timer = time.AfterFunc(part, w.tick)
		return
	}
	w.timer.Reset(part)
}

// pause is for the time that a step waits.
func (w *watch) pause() { w.end() }

func (w *watch) resume() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.running, w.lowest = true, w.heap.recent()
	w.wind()
}

func (w *watch) end() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.running = false
	w.timer.Stop()
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

// tick ends one part of the time.
func (w *watch) tick() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if !w.running {
		return
	}
	w.count++
	grown := w.grown()
	switch {
	case w.reason != notStopped:
		if w.since++; w.since >= w.most || grown > 2*w.memory {
			w.running = false
			w.call.deaf(w.reason)
			return
		}
	case w.call.isCancelled():
		w.cancel(stopCancelled)
	case grown > w.memory:
		w.cancel(stopMemory)
	case w.count >= w.most:
		w.cancel(stopTime)
	}
	w.wind()
}

// grown is by how much the heap has grown while the call computed. What was there
// before is not its own: it may be another's, or dead and not swept yet.
func (w *watch) grown() uint64 {
	heap := heapBytes()
	w.lowest = min(w.lowest, heap)
	return heap - w.lowest
}

func (w *watch) computes() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.running
}

// gauge is what the heap had within the last part: calls are many, and short.
type gauge struct {
	mu    sync.Mutex
	at    time.Time
	bytes uint64
}

func (g *gauge) recent() uint64 {
	g.mu.Lock()
	defer g.mu.Unlock()
	if now := time.Now(); now.Sub(g.at) > part {
		g.at, g.bytes = now, heapBytes()
	}
	return g.bytes
}

// heapBytes is what the process's objects take, the dead that were not swept yet
// among them.
func heapBytes() uint64 {
	sample := []metrics.Sample{{Name: "/memory/classes/heap/objects:bytes"}}
	metrics.Read(sample)
	return sample[0].Value.Uint64()
}
