package engine

import (
	"errors"
	"fmt"

	"github.com/rekey-host/rekey/host/journal"
	"github.com/rekey-host/rekey/host/password"
	"github.com/rekey-host/rekey/sdk"
)

func misuse(format string, args ...any) *journal.Fault {
	return &journal.Fault{Code: sdk.InvalidOperation, Message: fmt.Sprintf(format, args...)}
}

// diverged is the fault of a hook that takes another step than the recorded one.
func diverged(err error) *journal.Fault {
	return &journal.Fault{Code: journal.Diverged, Message: err.Error()}
}

// cancelled is the fault of a user who goes back to pending.
func cancelled() *journal.Fault { return &journal.Fault{Code: sdk.Cancelled, Message: "the run stops"} }

// isCancelled reports whether err is that fault.
func isCancelled(err error) bool {
	var fault *journal.Fault
	return errors.As(err, &fault) && fault.Code == sdk.Cancelled
}

// static marks a fault that does not depend on the row.
func static(fault *journal.Fault) *journal.Fault { fault.Static = true; return fault }

func isContradiction(err error) bool {
	var contradiction *password.Contradiction
	var failure *sdk.Error
	return errors.As(err, &contradiction) || errors.As(err, &failure) && failure.Code == sdk.Unsupported
}

func generateFault(err error) *journal.Fault {
	var fault *journal.Fault
	if errors.As(err, &fault) {
		return fault
	}
	failure := sdk.AsError(err, sdk.PolicyViolation)
	return &journal.Fault{Code: failure.Code, Message: "generate: " + failure.Message, Static: isContradiction(err)}
}

func noKind(backend Backend, given string) *journal.Fault {
	if given == "" {
		return misuse("generate: kind is missing: backend %q has %s; give one, or name other targets", backend.Label, kindsOf(backend.Description))
	}
	return misuse("generate: backend %q has no credential of kind %q; it has %s", backend.Label, given, kindsOf(backend.Description))
}

// notMinted is the fault of a user for whom no further value could be made; a
// run that stops stays one.
func notMinted(err error, why string) error {
	if isCancelled(err) {
		return err
	}
	fault := *generateFault(err)
	fault.Message = why + ": " + fault.Message
	return &fault
}

// postponed is the fault of a user for whom no other value is sent in this
// process.
func postponed(backend, account string) *journal.Fault {
	return &journal.Fault{Code: sdk.ConnectionLost, Postponed: true, Message: fmt.Sprintf(
		"%s %s: an attempt got no answer and may still arrive; no other value is sent before it cannot: rekey resume goes on", backend, account)}
}

// raisedBy is the verdict of a hook that ends with a fault.
func raisedBy(err error) journal.Verdict {
	var fault *journal.Fault
	if !errors.As(err, &fault) {
		fault = &journal.Fault{Code: sdk.Internal, Message: err.Error()}
	}
	return journal.Verdict{Kind: journal.Raised, Fault: fault}
}

// uncancelled gives a call that a plugin gave up by itself another code: the run
// was not cancelled, and the call may be made again.
func uncancelled(err *sdk.Error) *sdk.Error {
	if err == nil || err.Code != sdk.Cancelled {
		return err
	}
	other := *err
	other.Code, other.Message = sdk.TargetUnavailable, "the plugin gave it up: "+err.Message
	return &other
}

// normalized is an answer as the engine reads it: a refusal has a reason, and a call
// that a plugin gave up by itself is not cancelled.
func normalized(receipt sdk.Receipt) sdk.Receipt {
	if receipt.Outcome == sdk.Refused && receipt.Err == nil {
		receipt.Err = sdk.Errorf(sdk.Internal, "the plugin refused it without a reason")
	}
	receipt.Err = uncancelled(receipt.Err)
	return receipt
}

// errStopped is the cause of a context that ends because the run stops.
var errStopped = errors.New("the run stops")

// pending reports whether a refusal of the code puts the user back.
func pending(code sdk.Code) bool { return code == sdk.Cancelled || code.StopsRun() }

// passing reports whether a question that failed with the code may be asked
// again.
func passing(code sdk.Code) bool { return code.Transient() || code == sdk.ConnectionLost }

// redone reports whether an attempt ended in a way that leaves the user
// pending: it is sent again with the same value.
func redone(attempt *journal.Attempt) bool { return attempt.Refused() && pending(attempt.Outcome.Code) }
