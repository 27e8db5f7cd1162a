package workflow

import (
	"context"
	"errors"

	"github.com/rekey-host/rekey/host/engine"
	"github.com/rekey-host/rekey/host/journal"
	"github.com/rekey-host/rekey/host/source"
	"github.com/rekey-host/rekey/sdk"
)

// standard is what a workflow without rotate does: generate, set, and verify
// unless it counts as a logon attempt.
func standard(ctx context.Context, to *backendValue, row source.Row, steps stepper) journal.Verdict {
	value, err := steps.Generate(ctx, engine.GenerateStep{})
	if err != nil {
		return faulted(err)
	}
	step := journal.Step{Verb: "set", Backend: to.Label, Account: row.Key, Value: value}
	result, err := steps.Do(ctx, step)
	if verdict := verdictOf(result, err); verdict != nil {
		return *verdict
	}
	if !to.Desc.Can(sdk.CanVerify) || to.Desc.VerifyIsLogon {
		return journal.Verdict{}
	}
	step.Verb = "verify"
	result, err = steps.Do(ctx, step)
	var fault *journal.Fault
	if errors.As(err, &fault) && fault.Code == sdk.InvalidOperation {
		return journal.Verdict{} // the plugin can, this instance cannot
	}
	if verdict := verdictOf(result, err); verdict != nil {
		return *verdict
	}
	return journal.Verdict{}
}

// verdictOf is how a step ends a rotate; nil if it does not.
func verdictOf(result journal.Result, err error) *journal.Verdict {
	if err != nil {
		verdict := faulted(err)
		return &verdict
	}
	if result.OK() {
		return nil
	}
	return &journal.Verdict{Kind: journal.Raised, Refused: &result, Fault: &journal.Fault{Code: result.Code, Message: result.Message}}
}

func faulted(err error) journal.Verdict {
	var fault *journal.Fault
	if !errors.As(err, &fault) {
		fault = &journal.Fault{Code: journal.ScriptError, Message: err.Error()}
	}
	return journal.Verdict{Kind: journal.Raised, Fault: fault}
}
