package ldap

import (
	"context"

	"github.com/rekey-host/rekey/sdk"
	"github.com/rekey-host/rekey/sdk/secret"
)

// Reset lets the server make the value, and returns it.
func (i *resetting) Reset(ctx context.Context, op sdk.Operation) sdk.Receipt {
	if op.Kind != "" || op.HashFormat != "" {
		return sdk.Refuse(sdk.Errorf(sdk.Unsupported, "a reset takes neither kind nor hash_format"))
	}
	return i.onEntry(ctx, op, i.reset)
}

func (i *resetting) reset(ctx context.Context, dn string, op sdk.Operation) sdk.Receipt {
	if op.MustChange != nil {
		if receipt := i.mark(ctx, dn, *op.MustChange); receipt.Outcome != sdk.Applied {
			return receipt
		}
	}
	result, failed := i.admin.ask(ctx, passwordModify(dn, "", ""), askPPolicy)
	if failed != nil {
		return failed.receipt()
	}
	receipt := i.explain(result)
	if receipt.Outcome != sdk.Applied {
		if receipt.Err.Code == sdk.PolicyViolation {
			receipt.Err.Message += "; the server's own values do not satisfy its policy: use set"
		}
		return receipt
	}
	if result.password != "" {
		receipt.Value = secret.New(result.password)
	}
	if op.MustChange != nil {
		if m := i.mark(ctx, dn, *op.MustChange); m.Outcome != sdk.Applied {
			receipt.Outcome, receipt.Err = sdk.Unknown, m.Err
		}
	}
	return receipt
}

// Unlock lifts a lock that wrong values caused, or that an administrator set
// with pwdAccountLockedTime. It does not enable a disabled account.
func (i *Instance) Unlock(ctx context.Context, op sdk.Operation) sdk.Receipt {
	return i.onEntry(ctx, op, i.unlock)
}

func (i *Instance) unlock(ctx context.Context, dn string, _ sdk.Operation) sdk.Receipt {
	made := modification{modReplace, "pwdAccountLockedTime", nil}
	if i.mode == modeAD {
		made = modification{modReplace, "lockoutTime", []string{"0"}}
	}
	result, failed := i.admin.ask(ctx, modifyRequest(dn, made), nil)
	if failed != nil {
		return failed.receipt()
	}
	return result.receipt()
}
