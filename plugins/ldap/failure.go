package ldap

import (
	"context"
	"errors"

	"github.com/rekey-host/rekey/sdk"
)

// failure is why a request has no answer. Sent says whether the server may
// have acted on it.
type failure struct {
	sent bool
	err  *sdk.Error
}

// receipt is Unknown if the server may have acted.
func (f *failure) receipt() sdk.Receipt {
	if f.sent {
		return sdk.Lost(f.err)
	}
	return sdk.Refuse(f.err)
}

// asFailure is for errors that f made up itself; a target that answered has
// not failed.
func asFailure(err error) *failure {
	if err == nil {
		return nil
	}
	return &failure{err: sdk.AsError(err, sdk.Internal)}
}

// reading is the error of a search that has no answer: nothing was changed, so
// it is as if it had not been sent.
func reading(failure *failure) *sdk.Error {
	if failure.err.Code == sdk.ConnectionLost {
		return &sdk.Error{Code: sdk.Unreachable, Message: failure.err.Message}
	}
	return failure.err
}

// wireFault is the error of a connection that failed; sent says whether a
// request was under way on it.
func wireFault(err error, sent bool) *sdk.Error {
	var known *sdk.Error
	switch {
	case errors.As(err, &known):
		return known
	case errors.Is(err, context.DeadlineExceeded) && sent:
		return sdk.Errorf(sdk.Timeout, "the server did not answer in time")
	case errors.Is(err, context.DeadlineExceeded):
		return sdk.Errorf(sdk.Timeout, "the server was not reached in time")
	case errors.Is(err, context.Canceled) && sent:
		return sdk.Errorf(sdk.Cancelled, "given up before the server answered")
	case errors.Is(err, context.Canceled):
		return sdk.Errorf(sdk.Cancelled, "given up before anything was sent")
	case sent:
		return sdk.Errorf(sdk.ConnectionLost, "the connection was lost before the answer: %v", err)
	}
	return sdk.Errorf(sdk.Unreachable, "%v", err)
}
