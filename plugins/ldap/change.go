package ldap

import (
	"context"

	"github.com/rekey-host/rekey/sdk"
)

// change replaces op.Old by op.Value.
func (i *Instance) change(ctx context.Context, dn string, op sdk.Operation) sdk.Receipt {
	if i.mode == modeAD {
		return i.changeAD(ctx, dn, op)
	}
	result, bound, denied, failed := i.changeAsOwner(ctx, dn, op)
	switch {
	case failed != nil:
		return failed.receipt()
	case bound.expired():
		denied = true // the value is right, and too old to log on with
	case bound.code != resultSuccess:
		return i.notOwner(ctx, dn, op, bound)
	}
	if denied {
		result, failed = i.admin.ask(ctx, i.changeRequest(dn, op), askPPolicy)
		if failed != nil {
			return failed.receipt()
		}
	}
	return i.settle(ctx, dn, op, i.explain(result))
}

// changeAsOwner logs on with the old value and sends the request on that
// connection: only then does the server know that it was the owner. denied
// says that access rules keep owners from it; a policy that does is a refusal.
func (i *Instance) changeAsOwner(ctx context.Context, dn string, op sdk.Operation) (result, bound result, denied bool, failed *failure) {
	logon := true
	failed = i.guests.use(ctx, func(link *conn) (err error) {
		logon = true
		bound, err = link.ask(ctx, bindRequest(dn, op.Old.Reveal()), askPPolicy)
		if err != nil || bound.code != resultSuccess {
			return err
		}
		logon = false
		result, err = link.ask(ctx, i.changeRequest(dn, op), askPPolicy)
		return err
	})
	if failed != nil && logon {
		failed = &failure{err: reading(failed)} // a logon changes no value
	}
	switch result.meaning().code {
	case sdk.PermissionDenied, sdk.WrongCurrentPassword: // the latter was just proven wrong
		denied = !logon && result.code != resultSuccess
	}
	return result, bound, denied, failed
}

// changeRequest is the request, as the owner or as somebody who knows the old
// value. In mode attribute that has been proven before.
func (i *Instance) changeRequest(dn string, op sdk.Operation) []byte {
	if i.mode == modeAttribute {
		return i.setRequest(dn, op)
	}
	return passwordModify(dn, op.Old.Reveal(), op.Value.Reveal())
}

// notOwner says why the old value opened nothing. If an earlier attempt may
// have changed it, the new one is tried.
func (i *Instance) notOwner(ctx context.Context, dn string, op sdk.Operation, bound result) sdk.Receipt {
	if op.Attempt > 1 && bound.code == resultInvalidLogin {
		verdict, err := i.prove(ctx, dn, op.Value)
		switch {
		case err != nil:
			return sdk.Lost(sdk.AsError(err, sdk.Internal))
		case verdict == sdk.Accepted, verdict == sdk.AcceptedMustChange:
			return sdk.Receipt{Outcome: sdk.AlreadyApplied}
		}
	}
	verdict, err := i.judge(ctx, dn, bound)
	if err != nil {
		return sdk.Refuse(sdk.AsError(err, sdk.Internal))
	}
	if verdict == sdk.Blocked {
		return sdk.Refuse(i.blocked(ctx, dn, bound))
	}
	return sdk.Refuse(bound.error(sdk.WrongCurrentPassword))
}

// blocked is the refusal of an account that cannot be logged on to.
func (i *Instance) blocked(ctx context.Context, dn string, bound result) *sdk.Error {
	failure := bound.error(sdk.AccountStatus)
	if failure.AccountStatus != sdk.StatusUnknown {
		return failure
	}
	if found, err := i.Find(ctx, dn); err == nil {
		failure.AccountStatus = found.Status
	}
	return failure
}

// changeAD is one request: the server compares the old value.
func (i *Instance) changeAD(ctx context.Context, dn string, op sdk.Operation) sdk.Receipt {
	result, failed := i.admin.ask(ctx, modifyRequest(dn,
		modification{modDelete, "unicodePwd", []string{unicodePwd(op.Old.Reveal())}},
		modification{modAdd, "unicodePwd", []string{unicodePwd(op.Value.Reveal())}}), nil)
	if failed != nil {
		return failed.receipt()
	}
	receipt := result.receipt()
	if receipt.Err != nil && receipt.Err.Code == sdk.WrongCurrentPassword && op.Attempt > 1 {
		if verdict, err := i.prove(ctx, dn, op.Value); err != nil {
			return sdk.Lost(receipt.Err)
		} else if verdict == sdk.Accepted || verdict == sdk.AcceptedMustChange {
			return sdk.Receipt{Outcome: sdk.AlreadyApplied}
		}
	}
	return i.settle(ctx, dn, op, receipt)
}
