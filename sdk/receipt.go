package sdk

import (
	"errors"
	"fmt"
	"time"

	"github.com/rekey-host/rekey/sdk/secret"
)

// Outcome says whether the target changed. It is decided apart from the Code,
// which says why.
type Outcome uint8

// The outcomes. The zero value is Unknown, so that a receipt left empty
// claims nothing.
const (
	Unknown        Outcome = iota // sent, and whether it took effect is not known
	Applied                       // the target has the value
	AlreadyApplied                // an earlier attempt of the same operation did it
	Refused                       // certainly unchanged
)

// String returns unknown, applied, already-applied or refused.
func (o Outcome) String() string {
	switch o {
	case Applied:
		return "applied"
	case AlreadyApplied:
		return "already-applied"
	case Refused:
		return "refused"
	default:
		return "unknown"
	}
}

// Receipt is the answer to one operation.
type Receipt struct {
	Outcome Outcome
	Err     *Error       // why; nil when applied
	Value   secret.Value // of a reset, if the target tells it
	Ref     string       // the target's own reference, for its support
	Stamp   string       // differs after every credential change; "" if the target keeps no stamp
	Verdict Verdict      // of an Applied Verify, which means: the target was asked
}

// OK returns the receipt of an operation that took effect.
func OK() Receipt { return Receipt{Outcome: Applied} }

// Refuse returns the receipt of an operation that certainly changed nothing.
func Refuse(err *Error) Receipt { return Receipt{Outcome: Refused, Err: err} }

// Lost returns the receipt of a sent operation whose effect is
// not known.
func Lost(err *Error) Receipt { return Receipt{Outcome: Unknown, Err: err} }

// Error is a refusal or a fault, as a value that survives the wire.
type Error struct {
	Code          Code
	Message       string        // for people; never quotes a secret
	Native        string        // the target's own code: "53", "0000052D", "HTTP 429"
	Violations    []Violation   // with PolicyViolation: the rules that were broken
	AccountStatus Status        // with AccountStatus: which
	RetryAfter    time.Duration // how long the target asks to wait; 0: it does not say
}

// Error returns the code and the message.
func (e *Error) Error() string {
	if e.Message == "" {
		return string(e.Code)
	}
	return string(e.Code) + ": " + e.Message
}

// Is reports whether target is an *Error of the same code.
func (e *Error) Is(target error) bool {
	t, ok := target.(*Error)
	return ok && t.Code == e.Code && t.Message == ""
}

// Errorf returns an *Error of the code with a formatted message.
func Errorf(code Code, format string, args ...any) *Error {
	return &Error{Code: code, Message: fmt.Sprintf(format, args...)}
}

// AsError returns the *Error in err's chain, or one of the given code with
// err's text. It is nil for a nil err.
func AsError(err error, otherwise Code) *Error {
	if err == nil {
		return nil
	}
	var failure *Error
	if errors.As(err, &failure) {
		return failure
	}
	return &Error{Code: otherwise, Message: err.Error()}
}
