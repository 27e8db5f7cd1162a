package workflow

import (
	"context"
	"errors"
	"fmt"

	"go.starlark.net/starlark"

	"github.com/rekey-host/rekey/host/diag"
	"github.com/rekey-host/rekey/host/journal"
	"github.com/rekey-host/rekey/host/source"
	"github.com/rekey-host/rekey/sdk"
)

// job is one call of a hook.
type job struct {
	in    *interp
	hook  *hook
	row   source.Row
	steps stepper
	mute  bool // its output is dropped
}

// run calls a hook on a thread of its own. work gets its result while
// the thread is still the call's.
func (j job) run(ctx context.Context, values offers, work func(call *state, value starlark.Value, err error)) {
	state := j.in.threads.get()
	state.begin(ctx, j.hook.phase, j.hook.name, j.row.Key, j.steps)
	state.mute = j.mute
	state.args = j.hook.args(state.args[:0], values)
	value, err := state.call(j.hook.fn, state.args)
	work(state, value, err)
	state.end()
	j.in.threads.put(state)
}

// failure is the error of a hook as a problem: of whose call, and where.
func (j job) failure(call *state, err error) error {
	stopped := call.stopped()
	if stopped != nil && call.ctx.Err() != nil {
		return stopped
	}
	what := fmt.Sprintf("%s(%q)", j.hook.name, j.row.Key)
	if j.row.File != "" {
		what += fmt.Sprintf(", %s:%d", j.row.File, j.row.Line)
	}
	problem := problemOf(j.in.files, err, what)
	if stopped != nil {
		problem.Message, problem.Fix, problem.Same = what+": "+stopped.Error(), "", ""
	}
	if problem.File == "" {
		problem.File, problem.Line, problem.Column = j.in.placeOf(j.hook.fn)
	}
	return &diag.Problems{List: []diag.Problem{problem}, Total: 1}
}

// raised is the verdict of a rotate that ended with an error.
func (j job) raised(call *state, err error) journal.Verdict {
	verdict := journal.Verdict{Kind: journal.Raised}
	var fault *journal.Fault
	var refused *refusal
	switch {
	case errors.As(call.raised, &refused):
		verdict.Refused = &refused.result
		verdict.Fault = &journal.Fault{Code: refused.result.Code, Message: refused.result.Message}
	case errors.As(call.raised, &fault):
		same := *fault // it says more than its fields
		verdict.Fault = &same
	case call.ctx.Err() != nil:
		verdict.Fault = &journal.Fault{Code: sdk.Cancelled, Message: "the run stops"}
	default:
		stopped := call.stopped()
		verdict.Fault = &journal.Fault{Code: journal.ScriptError, Message: j.said(stopped, err), OfRow: stopped != nil || ofRow(err)}
	}
	verdict.Fault.Backtrace = backtrace(err)
	verdict.Fault.File, verdict.Fault.Line, verdict.Fault.Column = j.place(err)
	return verdict
}

// said is the message of a defect of the script, with its place. stopped, if
// it is not nil, is why the hook was stopped: the interpreter only says that it
// was.
func (j job) said(stopped, err error) string {
	message, fix := advice(j.in.files, err)
	if stopped != nil {
		message, fix = stopped.Error(), ""
	}
	if fix != "" {
		message += "; " + fix
	}
	file, line, _ := j.place(err)
	return fmt.Sprintf("%s (%s:%d)", message, file, line)
}

// place is where an error of the hook arose; the hook itself, where that is not
// known.
func (j job) place(err error) (file string, line, column int) {
	at, _ := where(innermost(err))
	if !at.IsValid() {
		return j.in.placeOf(j.hook.fn)
	}
	if file := j.in.files[at.Filename()]; file != nil {
		return file.Place(file.Start(at))
	}
	return at.Filename(), int(at.Line), int(at.Col)
}
