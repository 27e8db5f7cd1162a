package definition

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"go.starlark.net/resolve"
	"go.starlark.net/starlark"
	"go.starlark.net/syntax"
)

// maxCompute bounds the time of one call.
const maxCompute = 2 * time.Second

// localKey is where a thread keeps what its builtins work for.
const localKey = "definition"

// newThread returns a thread that ends with the context, with its steps and with its
// time. It prints nothing and loads nothing. done ends the watch over it.
func newThread(ctx context.Context, works any) (thread *starlark.Thread, done func()) {
	thread = &starlark.Thread{Name: localKey, Print: func(*starlark.Thread, string) {}}
	thread.SetLocal(localKey, works)
	thread.SetMaxExecutionSteps(maxSteps)
	thread.OnMaxSteps = func(thread *starlark.Thread) {
		thread.Cancel(fmt.Sprintf("it takes more than %d steps; a definition makes a request and reads an answer", maxSteps))
	}
	ctx, cancel := context.WithTimeout(ctx, maxCompute)
	stop := context.AfterFunc(ctx, func() { thread.Cancel("it computes for too long") })
	return thread, func() { stop(); cancel() }
}

// place is a position as messages show it.
func place(at syntax.Position) string { return fmt.Sprintf("%s:%d", at.Filename(), at.Line) }

// unread is what keeps a file from being parsed or resolved.
func unread(err error) error {
	var parse syntax.Error
	var names resolve.ErrorList
	switch {
	case errors.As(err, &parse):
		return fmt.Errorf("%s: %s", place(parse.Pos), parse.Msg)
	case errors.As(err, &names) && len(names) > 0:
		return fmt.Errorf("%s: %s", place(names[0].Pos), names[0].Msg)
	}
	return err
}

// Fault is a mistake in a definition, or an answer that it did not expect.
type Fault struct {
	Place   string // file and line
	Message string
	cause   error
}

// Error returns the place and the message.
func (f *Fault) Error() string { return f.Place + ": " + f.Message }

// Unwrap returns what a builtin found.
func (f *Fault) Unwrap() error { return f.cause }

// failure says where in the file a call failed.
func failure(file, name string, err error) error {
	fault := &Fault{Place: file, Message: err.Error(), cause: err}
	var eval *starlark.EvalError
	if errors.As(err, &eval) {
		fault.Message, fault.cause = strings.TrimPrefix(eval.Msg, "Starlark computation cancelled: "), eval.Unwrap()
		for depth := range eval.CallStack {
			if at := eval.CallStack.At(depth).Pos; at.Filename() == file {
				fault.Place = place(at)
				break
			}
		}
	}
	if name != "" {
		fault.Message = name + ": " + fault.Message
	}
	return fault
}
