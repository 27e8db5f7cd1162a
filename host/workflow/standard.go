package workflow

import (
	"context"
	"errors"

	"github.com/rekey-host/rekey/host/engine"
	"github.com/rekey-host/rekey/host/source"
	"github.com/rekey-host/rekey/sdk"
)

// standard is what a workflow without rotate does: generate, set, and verify
// where that is no logon attempt.
func standard(ctx context.Context, to *backendValue, row source.Row, steps stepper) engine.Verdict {
	value, err := steps.Generate(ctx, engine.GenerateStep{})
	if err != nil {
		return faulted(err)
	}
	step := engine.Step{Verb: "set", Backend: to.Label, Account: row.Key, Value: value}
	result, err := steps.Do(ctx, step)
	if v := verdictOf(result, err); v != nil {
		return *v
	}
	if !to.Desc.Can(sdk.CanVerify) || to.Desc.VerifyIsLogon {
		return engine.Verdict{}
	}
	step.Verb = "verify"
	result, err = steps.Do(ctx, step)
	var fault *engine.Fault
	if errors.As(err, &fault) && fault.Code == sdk.InvalidOperation {
		return engine.Verdict{} // the plugin can, this instance cannot
	}
	if v := verdictOf(result, err); v != nil {
		return *v
	}
	return engine.Verdict{}
}

// verdictOf is how a step ends a rotate; nil if it does not.
func verdictOf(r engine.Result, err error) *engine.Verdict {
	if err != nil {
		v := faulted(err)
		return &v
	}
	if r.OK() {
		return nil
	}
	return &engine.Verdict{Kind: engine.Raised, Refused: &r, Fault: &engine.Fault{Code: r.Code, Message: r.Message}}
}

func faulted(err error) engine.Verdict {
	var f *engine.Fault
	if !errors.As(err, &f) {
		f = &engine.Fault{Code: engine.ScriptError, Message: err.Error()}
	}
	return engine.Verdict{Kind: engine.Raised, Fault: f}
}
