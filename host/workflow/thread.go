package workflow

import (
	"context"
	"fmt"
	"slices"
	"sync"

	"go.starlark.net/starlark"

	"github.com/rekey-host/rekey/host/engine"
	"github.com/rekey-host/rekey/host/journal"
	"github.com/rekey-host/rekey/host/workflow/lang"
)

// stateKey is where a thread keeps its state.
const stateKey = "rekey"

// stepChunk is after how many steps of the interpreter a thread looks whether
// it has been cancelled.
const stepChunk = 10_000

// stepper is what a rotate may do: *engine.Steps.
type stepper interface {
	Generate(context.Context, engine.GenerateStep) (*journal.Value, error)
	Do(context.Context, journal.Step) (journal.Result, error)
}

// threads make the threads of one script. They are safe for concurrent use.
type threads struct {
	limits Limits
	clock  clock
	out    *printer
	load   func(*starlark.Thread, string) (starlark.StringDict, error)
	fatal  func(line string) // ends the process
	run    func() string     // the run under way; "": none; nil: never any

	mu   sync.Mutex
	all  []*state
	idle []*state // whose calls have ended
}

// start is the only place where threads are made: they inherit nothing.
func (ts *threads) start() *state {
	made := &state{threads: ts, thread: &starlark.Thread{}}
	made.thread.SetLocal(stateKey, made)
	made.thread.Print = ts.print
	made.thread.Load = ts.load
	made.thread.OnMaxSteps = made.onSteps
	made.watch.clock, made.watch.call = &ts.clock, made
	ts.clock.add(&made.watch)
	ts.mu.Lock()
	ts.all = append(ts.all, made)
	ts.mu.Unlock()
	return made
}

// get returns a used thread, or a new one.
func (ts *threads) get() *state {
	ts.mu.Lock()
	if last := len(ts.idle) - 1; last >= 0 {
		state := ts.idle[last]
		ts.idle = ts.idle[:last]
		ts.mu.Unlock()
		return state
	}
	ts.mu.Unlock()
	return ts.start()
}

func (ts *threads) put(call *state) {
	ts.mu.Lock()
	ts.idle = append(ts.idle, call)
	ts.mu.Unlock()
}

// busy names the calls that compute and do not wait for a backend.
func (ts *threads) busy() []string {
	ts.mu.Lock()
	all := slices.Clone(ts.all)
	ts.mu.Unlock()
	var list []string
	for _, state := range all {
		if who, computes := state.computes(); computes {
			list = append(list, who)
		}
	}
	slices.Sort(list)
	return list
}

// print is print() of every thread.
func (ts *threads) print(thread *starlark.Thread, text string) {
	if state := stateOf(thread); state.mute {
		if steps, ok := state.steps.(interface{ Printed() bool }); ok && steps.Printed() {
			state.cancel()
		}
		return
	}
	place := ""
	for depth := range thread.CallStackDepth() {
		if position := thread.CallFrame(depth).Pos; position.Filename() != builtinFile { // sorted(x, key = print) is a builtin too
			place = fmt.Sprintf("%s:%d: ", position.Filename(), position.Line)
			break
		}
	}
	ts.out.line(place, text)
}

// builtinFile is what the interpreter gives as the file of a builtin's frame.
const builtinFile = "<builtin>"

// state is what a thread works for. It is used by one call at a time.
type state struct {
	threads *threads
	thread  *starlark.Thread
	watch   watch

	ctx    context.Context
	phase  lang.Phase
	hook   string // select, wave, rotate, row; or the file
	user   string // key of the user; "" at top level
	limit  uint64
	steps  stepper
	mute   bool           // its output is dropped
	args   starlark.Tuple // of the hook
	raised error          // the error of a step: nothing in a script can catch it
	spare  []*arguments
}

// take returns arguments to unpack. A hook's are used again; the top level hands
// them on.
func (s *state) take() *arguments {
	if last := len(s.spare) - 1; last >= 0 && s.phase != lang.AtTop {
		arguments := s.spare[last]
		s.spare = s.spare[:last]
		return arguments
	}
	return &arguments{}
}

// give takes arguments back after their last use.
func (s *state) give(a *arguments) {
	if s.phase == lang.AtTop {
		return
	}
	clear(a.args)
	*a = arguments{args: a.args[:0]}
	s.spare = append(s.spare, a)
}

func stateOf(thread *starlark.Thread) *state { return thread.Local(stateKey).(*state) }

// begin readies the thread for one call. It has been used before, maybe by a
// cancelled call.
func (s *state) begin(ctx context.Context, phase lang.Phase, hook, user string, steps stepper) {
	s.ctx, s.phase, s.hook, s.user, s.steps, s.raised = ctx, phase, hook, user, steps, nil
	s.limit = s.threads.limits.Steps
	if phase == lang.AtTop {
		s.limit = s.threads.limits.LoadSteps
	}
	s.thread.Uncancel()
	s.thread.Steps = 0
	s.thread.SetMaxExecutionSteps(min(stepChunk, s.limit))
	s.watch.begin(s.threads.limits)
}

func (s *state) end() {
	s.watch.end()
	s.ctx, s.steps, s.raised = nil, nil, nil
	clear(s.args)
}

// onSteps is called by the interpreter after every chunk.
func (s *state) onSteps(thread *starlark.Thread) {
	switch {
	case s.ctx.Err() != nil:
		s.watch.stop(stopCancelled)
	case thread.Steps >= s.limit:
		s.watch.stop(stopSteps)
	default:
		thread.SetMaxExecutionSteps(min(thread.Steps+stepChunk, s.limit))
	}
}

// isCancelled reports whether the call was given up.
func (s *state) isCancelled() bool { return s.ctx.Err() != nil }

// cancel has the interpreter stop where it can.
func (s *state) cancel() { s.thread.Cancel("stopped") }

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
		return fmt.Sprintf("computes for more than %s", s.threads.limits.Compute)
	case stopMemory:
		return fmt.Sprintf("was computing when the process took more than %d MiB of memory", s.threads.limits.Memory>>20)
	default:
		return "computes although it was cancelled"
	}
}

// who is the hook and its user.
func (s *state) who() string {
	if s.user == "" {
		return s.hook
	}
	return fmt.Sprintf("%s of user %q", s.hook, s.user)
}

// computes reports whether the call does, and not wait for a backend, and who it
// is: that does not change meanwhile.
func (s *state) computes() (who string, yes bool) {
	s.watch.mu.Lock()
	defer s.watch.mu.Unlock()
	if !s.watch.running {
		return "", false
	}
	return s.who(), true
}

// uninterruptible reports a call that does not end.
func (s *state) uninterruptible(why stopReason) {
	who, next := s.who(), "mend it"
	if s.phase == lang.InRotate && s.threads.run != nil && s.threads.run() != "" {
		next += ", and rekey resume " + s.threads.run() + " --accept-change goes on"
	}
	s.threads.fatal(fmt.Sprintf("%s %s, and cannot be stopped: the process ends; %s", who, s.exceeds(why), next))
}

// call calls a function of the script. A panic is an error of this call only.
func (s *state) call(fn starlark.Value, args starlark.Tuple) (value starlark.Value, err error) {
	defer func() {
		if item := recover(); item != nil {
			value, err = nil, fmt.Errorf("defect in rekey: %v", item)
		}
	}()
	return starlark.Call(s.thread, fn, args, nil)
}
