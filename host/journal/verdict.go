package journal

import (
	"fmt"
	"strings"

	"github.com/rekey-host/rekey/sdk"
)

// VerdictKind is how a call of rotate ended.
type VerdictKind uint8

// The ways a call of rotate ends.
const (
	Returned   VerdictKind = iota // with nothing
	SaidDone                      // done()
	SaidFailed                    // failed(reason)
	SaidSkip                      // skip(reason)
	Raised                        // an error: of the script, or of a step
)

// Verdict is what a call of rotate came to.
type Verdict struct {
	Kind    VerdictKind
	Reason  string  // of SaidFailed and SaidSkip
	Fault   *Fault  // of Raised
	Refused *Result // of Raised, when a step without try_ was not applied: its result
}

// Fault is what always raises in a script: misuse, divergence, cancellation, a
// defect of the script itself.
type Fault struct {
	Code      sdk.Code
	Message   string
	Backtrace string
	// OfRow says of a ScriptError that another row may not have it: an index,
	// a key, a conversion.
	OfRow bool

	// File, Line and Column are the place in the script, which Message ends with too;
	// File is "" where it has none.
	File         string
	Line, Column int

	Static    bool // it does not depend on the row
	Postponed bool // the user goes on in another process, when no lost request can arrive any more
}

// Error returns the code and the message.
func (f *Fault) Error() string { return string(f.Code) + ": " + f.Message }

// Text returns the message without the place that it ends with.
func (f *Fault) Text() string {
	return strings.TrimSuffix(f.Message, fmt.Sprintf(" (%s:%d)", f.File, f.Line))
}

// isPostponed reports whether the user goes on in another process.
func (v Verdict) isPostponed() bool { return v.Kind == Raised && v.Fault != nil && v.Fault.Postponed }
