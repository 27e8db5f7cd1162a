package workflow

import (
	"errors"
	"fmt"
	"strings"

	"go.starlark.net/starlark"
	"go.starlark.net/syntax"

	"github.com/rekey-host/rekey/host/diag"
	"github.com/rekey-host/rekey/host/workflow/lang"
	"github.com/rekey-host/rekey/host/workflow/tree"
)

// innermost returns the deepest evaluation error of a chain: its stack is the
// longest. nil: none.
func innermost(err error) *starlark.EvalError {
	var found *starlark.EvalError
	for {
		var next *starlark.EvalError
		if !errors.As(err, &next) {
			return found
		}
		found, err = next, next.Unwrap()
	}
}

// where returns the place in the script at which an error arose, and from
// where it was called, innermost first.
func where(failed *starlark.EvalError) (at syntax.Position, callers []string) {
	if failed == nil {
		return at, nil
	}
	for i := range failed.CallStack {
		frame := failed.CallStack.At(i)
		switch {
		case frame.Pos.Filename() == builtinFile:
		case !at.IsValid():
			at = frame.Pos
		default:
			callers = append(callers, fmt.Sprintf("%s:%d", frame.Pos.Filename(), frame.Pos.Line))
		}
	}
	return at, callers
}

// maxCallers is how many callers a one-line message names.
const maxCallers = 5

// problemOf turns the error of an evaluation into a problem at its place.
// what, if not "", stands before the message: whose call it was.
func problemOf(files map[string]*tree.File, err error, what string) diag.Problem {
	at, callers := where(innermost(err))
	message, fix := advice(files, err)
	problem := diag.Problem{Fix: fix}
	if what != "" {
		problem.Same = message
		message = what + ": " + message
	}
	if len(callers) > maxCallers {
		callers = append(callers[:maxCallers], "…")
	}
	if len(callers) > 0 {
		message += " (called from " + strings.Join(callers, ", from ") + ")"
	}
	problem.Message = message
	if file := files[at.Filename()]; file != nil && at.IsValid() {
		problem.File, problem.Line, problem.Column = file.Place(file.Start(at))
	}
	return problem
}

// advice is explain, with what can be said of the operation that failed.
func advice(files map[string]*tree.File, err error) (message, fix string) {
	message, fix = explain(err)
	if fix == "" {
		at, _ := where(innermost(err))
		fix = evaluationFix(message, files[at.Filename()].NodeAt(at))
	}
	return inPlainWords(message), fix
}

// explain returns what an error says, on one line, and what to do about it.
func explain(err error) (message, fix string) {
	var misuse *lang.Misuse
	if errors.As(err, &misuse) {
		return oneLine(misuse.Message), misuse.Fix
	}
	var evalError *starlark.EvalError
	if errors.As(err, &evalError) {
		err = evalError.Unwrap()
	}
	text := oneLine(err.Error())
	if cut, rest, ok := strings.Cut(text, " (did you mean "); ok {
		return cut, "did you mean " + fmt.Sprintf("%q?", strings.TrimPrefix(strings.TrimSuffix(rest, "?)"), "."))
	}
	return text, ""
}

// oneLine is a message that may hold what a script gave to fail().
func oneLine(text string) string {
	return harmless(strings.ReplaceAll(shorten(text, maxReason), "\n", " "))
}

// ofRow reports whether an error of the script comes of what the row holds:
// the same hook may well treat another user. Names, columns, arguments and
// a wrong type for one is wrong for all; but a None is an empty cell, or a
// pattern without a match.
func ofRow(err error) bool {
	text, _ := explain(err)
	if strings.HasPrefix(text, "fail: ") || strings.HasPrefix(text, "json.decode: ") || strings.HasPrefix(text, "json.indent: ") {
		return true
	}
	for _, part := range []string{"NoneType", " by zero", "out of range", " not in ", " not found", "missing key", "empty s", "empty dict", "literal", "to unpack",
		"string encodes", "excessive repeat", "repeat count", "shift count", "cannot convert float", "is longer than", "would be longer than", "would have more than", "too large for"} {
		if strings.Contains(text, part) {
			return true
		}
	}
	return false
}

// backtrace is the stack of an error as people read it.
func backtrace(err error) string {
	evalError := innermost(err)
	if evalError == nil {
		return ""
	}
	return shorten(evalError.Backtrace(), maxBacktrace)
}

// maxBacktrace is how many bytes of a backtrace are kept.
const maxBacktrace = 16 << 10
