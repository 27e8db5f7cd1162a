package host

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strings"

	"github.com/rekey-host/rekey/host/diag"
	"github.com/rekey-host/rekey/host/output"
)

// Exit codes, by design section 4.
const (
	ExitDone        = 0
	ExitUnexpected  = 1
	ExitUsage       = 2
	ExitFailures    = 3
	ExitStopped     = 4
	ExitUnknown     = 5
	ExitHeld        = 6
	ExitReport      = 7 // applied, but a report could not be written
	ExitInterrupted = 130
)

// UsageError is what the user can mend: nothing was changed, exit code 2.
type UsageError diag.Problem

// Error returns the message and the fix.
func (e *UsageError) Error() string { return diag.Problem(*e).Text() }

func usagef(format string, args ...any) *UsageError {
	return &UsageError{Message: fmt.Sprintf(format, args...)}
}

// usageOf makes a refused path the user's to mend.
func usageOf(err error) error {
	var refusal *output.Refusal
	if errors.As(err, &refusal) {
		return &UsageError{Message: refusal.File + ": " + refusal.Message, Fix: refusal.Fix}
	}
	return err
}

// ReportError says which reports could not be written, one a line. What was
// applied is in the ledger.
type ReportError struct{ Lines []string }

// Error returns the lines.
func (e *ReportError) Error() string { return strings.Join(e.Lines, "\n") }

// PartError ends a command that could show only a part of the
// records.
type PartError struct{ error }

// Unwrap names the missing part, and the cause.
func (e *PartError) Unwrap() error { return e.error }

// ErrInterrupted is the end of a command that a signal reached before anything
// was changed, exit code 130.
var ErrInterrupted = errors.New("interrupted: nothing was changed")

// interrupted returns what an error means after the first signal.
func interrupted(stop context.Context, err error) error {
	if stop.Err() != nil {
		return ErrInterrupted
	}
	return err
}

// reasonOf returns why a file cannot be used, without its name.
func reasonOf(err error) error {
	var at *fs.PathError
	if errors.As(err, &at) {
		return at.Err
	}
	return err
}
