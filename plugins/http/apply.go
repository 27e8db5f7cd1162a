package http

import (
	"context"
	"strings"

	"github.com/rekey-host/rekey/plugins/internal/definition"
	"github.com/rekey-host/rekey/sdk"
	"github.com/rekey-host/rekey/sdk/rest"
	"github.com/rekey-host/rekey/sdk/secret"
)

// Apply sets or changes the password of one account.
func (i *Instance) Apply(ctx context.Context, op sdk.Operation) sdk.Receipt {
	return i.perform(ctx, op)
}

// Reset lets the target pick the value.
func (i *Instance) Reset(ctx context.Context, op sdk.Operation) sdk.Receipt {
	op.Verb = sdk.Reset
	return i.perform(ctx, op)
}

// Unlock lifts a lock.
func (i *Instance) Unlock(ctx context.Context, op sdk.Operation) sdk.Receipt {
	op.Verb = sdk.Unlock
	return i.perform(ctx, op)
}

// Revoke ends the sessions of an account.
func (i *Instance) Revoke(ctx context.Context, op sdk.Operation) sdk.Receipt {
	op.Verb = sdk.Revoke
	return i.perform(ctx, op)
}

// perform has an operation done.
func (i *Instance) perform(ctx context.Context, op sdk.Operation) sdk.Receipt {
	if failure := i.admissible(op); failure != nil {
		return sdk.Refuse(failure)
	}
	ctx = rest.WithSecrets(ctx, op.Value, op.Old)
	got, failure := i.do(ctx, string(op.Verb), definition.Given{"account": op.Account, "value": op.Value, "old": op.Old, "must_change": op.MustChange,
		"attempt": op.Attempt, "requestor": op.Requestor, "source_system": op.SourceSystem})
	if failure != nil {
		return i.settled(ctx, op, failure)
	}
	receipt, ok := got.(sdk.Receipt)
	if !ok {
		return sdk.Lost(sdk.Errorf(sdk.TargetError, "%s: %s returned what is no outcome; return applied() or refused(), or a request", i.definition.File, op.Verb))
	}
	return receipt
}

// settled looks whether a refusal of a repeated operation comes from its own earlier
// success: the value is one that was used before because it is the present one, or the
// old one is wrong because it was changed. Nor does a code that would speak of the first
// attempt: it is only what the definition or the status calls this answer. Without a
// verify nobody knows.
func (i *Instance) settled(ctx context.Context, op sdk.Operation, failure *rest.Failure) sdk.Receipt {
	code := failure.Err.Code
	again := code == sdk.PolicyViolation || code == sdk.WrongCurrentPassword || code.Definite()
	if op.Attempt < 2 || failure.Outcome != sdk.Refused || !again {
		return failure.Receipt()
	}
	if !i.definition.Has("verify") {
		return sdk.Lost(failure.Err)
	}
	verdict, err := i.Verify(ctx, op.Account, op.Kind, op.Value)
	switch {
	case err == nil && (verdict == sdk.Accepted || verdict == sdk.AcceptedMustChange):
		return sdk.Receipt{Outcome: sdk.AlreadyApplied}
	case err == nil && verdict == sdk.Rejected:
		return failure.Receipt()
	}
	return sdk.Lost(failure.Err)
}

// admissible refuses what the definition cannot be asked.
func (i *Instance) admissible(op sdk.Operation) *sdk.Error {
	switch {
	case op.MustChange != nil && *op.MustChange && op.Verb != sdk.Set:
		return sdk.Errorf(sdk.Unsupported, "must_change: %s does not look at it", i.definition.File)
	case op.Verb == sdk.Change && op.Old.Empty():
		return sdk.Errorf(sdk.InvalidOperation, "the old password is empty")
	}
	return i.target(op.Account, op.Kind, true)
}

// target refuses what is no account. The one that rekey logs in as may be looked at.
func (i *Instance) target(account, kind string, writes bool) *sdk.Error {
	switch {
	case account == "":
		return sdk.Errorf(sdk.InvalidOperation, "the account is empty")
	case kind != "":
		return sdk.Errorf(sdk.InvalidOperation, "kind %q: an account has one password, whose kind is \"\"", kind)
	case writes && i.own != "" && strings.EqualFold(strings.TrimSpace(account), i.own):
		return sdk.Errorf(sdk.Protected, "is the account that rekey is logged in as")
	}
	return nil
}

// Verify asks the target whether it takes a value.
func (i *Instance) Verify(ctx context.Context, account, _ string, value secret.Value) (sdk.Verdict, error) {
	got, failure := i.attempt(rest.WithSecrets(ctx, value), "verify", definition.Given{"settings": i.settings, "account": account, "value": value})
	if failure != nil {
		return sdk.CannotTell, failure.AsError()
	}
	verdict, ok := got.(sdk.Verdict)
	if !ok {
		return sdk.CannotTell, i.wrong("verify", "accepted(), rejected(), blocked() or cannot_tell()")
	}
	return verdict, nil
}

// attempt does without the instance's own login if it can: where that is away, a value
// can still be tried, and rules that are known are asked of nobody. What comes to need
// it goes on from there.
func (i *Instance) attempt(ctx context.Context, verb string, given definition.Given) (any, *rest.Failure) {
	bare := &call{Instance: i, verb: verb, bare: true}
	got, failure := bare.run(ctx, given)
	if bare.waits != nil {
		bare.bare = false
		return i.carried(ctx, bare, given)
	}
	return got, failure
}

// wrong is a function that returned something of another kind.
func (i *Instance) wrong(verb, want string) *sdk.Error {
	return sdk.Errorf(sdk.TargetError, "%s: %s: return %s, or a request", i.definition.File, verb, want)
}
