package workflow

import (
	"context"
	"slices"
	"testing"
	"time"

	"github.com/rekey-host/rekey/host/journal"
	"github.com/rekey-host/rekey/host/workflow/lang"
)

// watchedCall is a call that a watch measures.
type watchedCall struct {
	gone      bool // nobody waits for it any more
	cancelled int
	reported  []stopReason
}

func (c *watchedCall) isCancelled() bool              { return c.gone }
func (c *watchedCall) cancel()                        { c.cancelled++ }
func (c *watchedCall) uninterruptible(why stopReason) { c.reported = append(c.reported, why) }

// watching begins to measure a call that may take ten parts and a hundred
// bytes. No clock ticks but the test's.
func watching() (*watch, *watchedCall) {
	call := &watchedCall{}
	stopped := &clock{}
	stopped.wound.Store(true)
	w := &watch{call: call, clock: stopped}
	w.begin(Limits{Compute: 10 * part, Memory: 100})
	return w, call
}

// ticks ends parts, at whose end the heap has so many bytes.
func ticks(w *watch, n int, heap uint64) {
	for range n {
		w.tick(heap)
	}
}

func TestACallIsCancelledAfterItsTimeAndFatalAfterAsMuchAgain(t *testing.T) {
	w, call := watching()
	ticks(w, 10, 0) // the first part is not whole
	if w.why() != notStopped || call.cancelled != 0 {
		t.Errorf("after nine parts: %d, cancelled %d times", w.why(), call.cancelled)
	}
	ticks(w, 1, 0)
	if w.why() != stopTime || call.cancelled != 1 || call.reported != nil {
		t.Errorf("after ten parts: %d, cancelled %d times, uninterruptible %v", w.why(), call.cancelled, call.reported)
	}
	ticks(w, 9, 0)
	if call.reported != nil {
		t.Errorf("uninterruptible %v before it had as long again", call.reported)
	}
	if w.tick(0) || !slices.Equal(call.reported, []stopReason{stopTime}) {
		t.Errorf("uninterruptible %v, want once, for its time", call.reported)
	}
	if ticks(w, 5, 0); len(call.reported) != 1 || call.cancelled != 1 {
		t.Errorf("uninterruptible %v, cancelled %d times, want once", call.reported, call.cancelled)
	}
}

func TestACallIsCancelledForItsMemoryAndFatalAtTwiceAsMuch(t *testing.T) {
	w, call := watching()
	ticks(w, 2, 0)
	ticks(w, 1, 100)
	if w.why() != notStopped {
		t.Errorf("at its bound: %d", w.why())
	}
	ticks(w, 1, 101)
	if w.why() != stopMemory || call.cancelled != 1 {
		t.Errorf("above its bound: %d, cancelled %d times", w.why(), call.cancelled)
	}
	ticks(w, 1, 200)
	if call.reported != nil {
		t.Errorf("uninterruptible %v at twice as much", call.reported)
	}
	ticks(w, 1, 201)
	if !slices.Equal(call.reported, []stopReason{stopMemory}) {
		t.Errorf("uninterruptible %v above twice as much", call.reported)
	}
}

// TestMemoryThatWasThereBeforeIsNotTheCalls: it may be swept meanwhile.
func TestMemoryThatWasThereBeforeIsNotTheCalls(t *testing.T) {
	w, _ := watching()
	w.lowest = 1000
	ticks(w, 1, 1100)
	ticks(w, 1, 500)
	ticks(w, 1, 600)
	if w.why() != notStopped {
		t.Errorf("it grew by a hundred: %d", w.why())
	}
	if ticks(w, 1, 601); w.why() != stopMemory {
		t.Errorf("it grew by more: %d", w.why())
	}
}

func TestACallThatNobodyWaitsForIsCancelled(t *testing.T) {
	w, call := watching()
	call.gone = true
	if !w.tick(0) || w.why() != stopCancelled || call.cancelled != 1 {
		t.Errorf("why %d, cancelled %d times", w.why(), call.cancelled)
	}
	w.stop(stopSteps)
	if w.why() != stopCancelled || call.cancelled != 1 {
		t.Errorf("stopped again: why %d, cancelled %d times; the first reason stays", w.why(), call.cancelled)
	}
	w.begin(Limits{Compute: 10 * part, Memory: 100})
	if w.why() != notStopped {
		t.Errorf("begun anew: %d", w.why())
	}
}

func TestACallThatWaitsIsNotMeasured(t *testing.T) {
	w, call := watching()
	w.pause()
	for range 100 {
		if w.tick(1 << 40) {
			t.Fatal("a call that waits computes")
		}
	}
	if w.resume(); w.why() != notStopped || call.cancelled != 0 {
		t.Errorf("it waited: why %d, cancelled %d times", w.why(), call.cancelled)
	}
	if w.lowest = 0; !w.tick(0) {
		t.Error("a call that goes on does not compute")
	}
}

// TestTheClockRunsDown where no call computes, and is wound by the next.
func TestTheClockRunsDown(t *testing.T) {
	c, call := &clock{}, &watchedCall{}
	w := &watch{call: call, clock: c}
	c.add(w)
	w.begin(Limits{Compute: time.Hour, Memory: 1 << 60})
	if c.tick(); !c.wound.Load() {
		t.Error("a call computes, and the clock is not wound")
	}
	w.end()
	if c.tick(); c.wound.Load() {
		t.Error("no call computes, and the clock is wound")
	}
	if w.resume(); !c.wound.Load() || c.heap.Load() == 0 {
		t.Error("a call goes on, and the clock is not wound")
	}
	w.end()
}

// TestBusyNamesTheCallsThatCompute, and none that waits for a backend.
func TestBusyNamesTheCallsThatCompute(t *testing.T) {
	var w *Workflow
	var computing []string
	o := script(t, "target = backend(\"memory\")\ndef select(user):\n    print(\"x\")\n    return True\ndef rotate(user, step):\n    print(\"y\")\n    step.set(target, user.login, \"x\")\n"+
		"workflow(users = rows([\"ann\"], key = \"login\"), rotate = rotate, select = select)")
	o.Print = writerFunc(func([]byte) { computing = append(computing, w.Busy()...) })
	w = mustLoad(t, o)
	row := rowsOf(t, w)[0]
	waiting := []string{"nothing was asked"}
	steps := &fakeSteps{before: func(journal.Step) { waiting = w.Busy() }}
	if due, _, err := w.Select(context.Background(), row); !due || err != nil {
		t.Fatal(due, err)
	}
	if got := said(w.rotate(context.Background(), row, steps)); got != "returned" {
		t.Fatal(got)
	}
	if want := []string{`select of user "ann"`, `rotate of user "ann"`}; !slices.Equal(computing, want) {
		t.Errorf("while they compute: %q, want %q", computing, want)
	}
	if len(waiting) > 0 {
		t.Errorf("while it waits: %q", waiting)
	}
	if got := w.Busy(); len(got) > 0 {
		t.Errorf("after the last call: %q", got)
	}
}

// TestThreadsAreUsedAgain: there are as many as calls at the same time, however
// many users there are.
func TestThreadsAreUsedAgain(t *testing.T) {
	w := limitedWorkflow(t, "workflow(users = users, backend = target, select = lambda user: True)", Limits{}, nil)
	row, before := rowsOf(t, w)[0], len(w.in.threads.all)
	for range 50 {
		if _, _, err := w.Select(context.Background(), row); err != nil {
			t.Fatal(err)
		}
	}
	if got := len(w.in.threads.all) - before; got != 1 {
		t.Errorf("%d threads for one call at a time", got)
	}
}

// TestAThreadKeepsNothingOfItsLastCall: the next is another user's.
func TestAThreadKeepsNothingOfItsLastCall(t *testing.T) {
	w := limitedWorkflow(t, "def rotate(user, step):\n    step.set(target, user.login, \"x\")\nworkflow(users = users, rotate = rotate)", Limits{}, nil)
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	row := rowsOf(t, w)[0]
	if got := said(w.rotate(ctx, row, &fakeSteps{})); got != "raised: Cancelled: the run stops" {
		t.Fatal(got)
	}
	if got := said(w.rotate(context.Background(), row, &fakeSteps{})); got != "returned" {
		t.Errorf("after a call that was cancelled: %s", got)
	}
	s := w.in.threads.get()
	defer w.in.threads.put(s)
	if s.ctx != nil || s.steps != nil || s.raised != nil {
		t.Errorf("kept: %v, %v, %v", s.ctx, s.steps, s.raised)
	}
	s.begin(context.Background(), lang.InSelect, "select", "", nil)
	defer s.end()
	if s.who() != "select" || s.stopped() != nil || s.thread.Steps != 0 {
		t.Errorf("begun anew: %s, %v, %d steps", s.who(), s.stopped(), s.thread.Steps)
	}
}
