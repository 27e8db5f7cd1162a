package workflow

import (
	"context"
	"fmt"
	"runtime/metrics"
	"slices"
	"sync"
	"time"

	"go.starlark.net/starlark"

	"github.com/rekey-host/rekey/host/engine"
)

// Limits bound what one call of a hook, or the evaluation of one file, may
// take. Time that a step waits for its backend does not count. Memory is the
// process's: every call that computes while it grows so much is ended.
type Limits struct {
	Steps     uint64        // of the interpreter, in a hook; 0: 20 million
	LoadSteps uint64        // of the interpreter, at the top level of a file; 0: 50 million
	Compute   time.Duration // of computing; 0: 20 s; after as much again without an end the process ends
	Memory    uint64        // bytes by which the heap may grow; 0: 1 GiB; at twice as much the process ends
	PrintLine int           // lines that print() may write in the life of a Workflow; 0: 10,000
}

func (l Limits) orDefault() Limits {
	if l.Steps == 0 {
		l.Steps = 20_000_000
	}
	if l.LoadSteps == 0 {
		l.LoadSteps = 50_000_000
	}
	if l.Compute == 0 {
		l.Compute = 20 * time.Second
	}
	if l.Memory == 0 {
		l.Memory = 1 << 30
	}
	if l.PrintLine == 0 {
		l.PrintLine = 10_000
	}
	return l
}

// stateKey is where a thread keeps its state.
const stateKey = "rekey"

// stepChunk is after how many steps of the interpreter a thread looks whether
// it has been cancelled.
const stepChunk = 10_000

// stepper is what a rotate may do: *engine.Steps.
type stepper interface {
	Generate(context.Context, engine.GenerateStep) (*engine.Value, error)
	Do(context.Context, engine.Step) (engine.Result, error)
}

// state is what a thread works for. It is used by one call at a time.
type state struct {
	in     *interp
	thread *starlark.Thread
	watch  watch

	ctx    context.Context
	phase  phase
	hook   string // select, wave, rotate, row; or the file
	user   string // key of the user; "" at top level
	limit  uint64
	steps  stepper
	mute   bool  // what is printed is dropped
	raised error // the error of a step: nothing in a script can catch it
}

func stateOf(t *starlark.Thread) *state { return t.Local(stateKey).(*state) }

// newThread is the only place where threads are made: they inherit nothing.
func (in *interp) newThread() *state {
	s := &state{in: in, thread: &starlark.Thread{}}
	s.thread.SetLocal(stateKey, s)
	s.thread.Print = in.print
	s.thread.Load = in.loaded
	s.thread.OnMaxSteps = s.onSteps
	s.watch.state = s
	return s
}

// begin readies the thread for one call. It has been used before, maybe by a
// call that was cancelled.
func (s *state) begin(ctx context.Context, p phase, hook, user string, steps stepper) {
	s.ctx, s.phase, s.hook, s.user, s.steps, s.raised = ctx, p, hook, user, steps, nil
	s.limit = s.in.limits.Steps
	if p == atTop {
		s.limit = s.in.limits.LoadSteps
	}
	s.thread.Uncancel()
	s.thread.Steps = 0
	s.thread.SetMaxExecutionSteps(min(stepChunk, s.limit))
	s.watch.begin(s.in.limits)
	s.in.busy.enter(s)
}

func (s *state) end() {
	s.in.busy.leave(s)
	s.watch.end()
	s.ctx, s.steps, s.raised = nil, nil, nil
}

// onSteps is called by the interpreter after every chunk.
func (s *state) onSteps(t *starlark.Thread) {
	switch {
	case s.ctx.Err() != nil:
		s.watch.stop(stopCancelled)
	case t.Steps >= s.limit:
		s.watch.stop(stopSteps)
	default:
		t.SetMaxExecutionSteps(min(t.Steps+stepChunk, s.limit))
	}
}

// stopReason is why a thread was cancelled.
type stopReason uint8

const (
	notStopped stopReason = iota
	stopCancelled
	stopSteps
	stopTime
	stopMemory
)

// stopped is the error of a cancelled thread; nil if it was not.
func (s *state) stopped() error {
	switch why := s.watch.why(); why {
	case notStopped:
		return nil
	case stopCancelled:
		return context.Cause(s.ctx)
	default:
		return fmt.Errorf("%s %s", s.hook, s.exceeds(why))
	}
}

// exceeds says which limit a call has come to.
func (s *state) exceeds(why stopReason) string {
	switch why {
	case stopSteps:
		return fmt.Sprintf("takes more than %d steps of the interpreter", s.limit)
	case stopTime:
		return fmt.Sprintf("computes for more than %s", s.in.limits.Compute)
	case stopMemory:
		return fmt.Sprintf("was computing when the process took more than %d MiB of memory", s.in.limits.Memory>>20)
	default:
		return "computes although it was cancelled"
	}
}

// part is how often a call that computes is looked at. Its time is counted in
// parts: a process that was suspended sees one of them end, however long it
// slept. It is short, because a doubling list fills a machine in seconds.
const part = 50 * time.Millisecond

// watch measures how long a call computes, and how much memory the process has
// while it does. After the limit it cancels the thread; a call that goes on for
// as long again is deaf, as inside a multiplication of huge numbers, and only the
// end of the process stops it.
type watch struct {
	state *state

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

func (w *watch) begin(l Limits) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.most, w.memory = max(int(l.Compute/part), 1), l.Memory
	w.running, w.count, w.since, w.lowest, w.reason = true, 0, 0, w.state.in.heap.recent(), notStopped
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
	w.running, w.lowest = true, w.state.in.heap.recent()
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
		w.state.thread.Cancel("stopped")
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
			w.state.deaf(w.reason)
			return
		}
	case w.state.ctx.Err() != nil:
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

// busy are the calls that are under way.
type busy struct {
	mu    sync.Mutex
	calls map[*state]bool
}

func (b *busy) enter(s *state) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.calls == nil {
		b.calls = map[*state]bool{}
	}
	b.calls[s] = true
}

func (b *busy) leave(s *state) {
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.calls, s)
}

// Busy names the calls of hooks that compute and do not wait for a backend:
// what a process was doing if it ends now.
func (w *Workflow) Busy() []string {
	b := &w.in.busy
	b.mu.Lock()
	defer b.mu.Unlock()
	var list []string
	for s := range b.calls {
		if s.watch.computes() {
			list = append(list, s.who())
		}
	}
	slices.Sort(list)
	return list
}

func (w *watch) computes() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.running
}

// who is the hook and its user.
func (s *state) who() string {
	if s.user == "" {
		return s.hook
	}
	return fmt.Sprintf("%s of user %q", s.hook, s.user)
}

// deaf reports a call that does not end.
func (s *state) deaf(why stopReason) {
	who, next := s.who(), "mend it"
	if s.phase == inRotate {
		next += ", and rekey resume --accept-change goes on"
	}
	s.in.fatal(fmt.Sprintf("%s %s, and cannot be stopped: the process ends; %s", who, s.exceeds(why), next))
}

// call calls a function of the script. A panic is an error of this call only.
func (s *state) call(fn starlark.Value, args starlark.Tuple) (v starlark.Value, err error) {
	defer func() {
		if r := recover(); r != nil {
			v, err = nil, fmt.Errorf("defect in rekey: %v", r)
		}
	}()
	return starlark.Call(s.thread, fn, args, nil)
}
