package ldap

import (
	"context"

	"github.com/rekey-host/rekey/plugins/ldap/internal/ldapwire"
	"github.com/rekey-host/rekey/sdk"
)

// changer replaces values that are known by new ones.
type changer struct {
	*server
	dialect dialect
	reader  *reader
	prover  *prover
	writer  *writer
}

// change replaces op.Old by op.Value.
func (c *changer) change(ctx context.Context, dn string, op sdk.Operation) sdk.Receipt {
	if request := c.dialect.swap(dn, op); request != nil {
		return c.swap(ctx, dn, op, request)
	}
	result, bound, denied, failed := c.changeAsOwner(ctx, dn, op)
	switch {
	case failed != nil:
		return failed.receipt()
	case bound.expired():
		denied = true // the value is right, and too old to log on with
	case bound.Code != resultSuccess:
		return c.notOwner(ctx, dn, op, bound)
	}
	if denied {
		result, failed = c.admin.ask(ctx, c.changeRequest(dn, op), ldapwire.AskPolicy())
		if failed != nil {
			return failed.receipt()
		}
	}
	return c.writer.settle(ctx, dn, op, c.writer.explain(result))
}

// changeAsOwner logs on with the old value and sends the request on that
// connection: only then does the server know that it was the owner. denied
// says that access rules keep owners from it; a policy that does is a refusal.
func (c *changer) changeAsOwner(ctx context.Context, dn string, op sdk.Operation) (result, bound result, denied bool, failed *failure) {
	logon := true
	failed = c.guests.use(ctx, func(link *conn) (err error) {
		logon = true
		bound, err = link.ask(ctx, ldapwire.BindRequest(dn, op.Old.Reveal()), ldapwire.AskPolicy())
		if err != nil || bound.Code != resultSuccess {
			return err
		}
		logon = false
		result, err = link.ask(ctx, c.changeRequest(dn, op), ldapwire.AskPolicy())
		return err
	})
	if failed != nil && logon {
		failed = &failure{err: reading(failed)} // a logon changes no value
	}
	switch result.meaning().code {
	case sdk.PermissionDenied, sdk.WrongCurrentPassword: // the latter was just proven wrong
		denied = !logon && result.Code != resultSuccess
	}
	return result, bound, denied, failed
}

// changeRequest is the request, as the owner or as somebody who knows the old
// value. In mode attribute that has been proven before.
func (c *changer) changeRequest(dn string, op sdk.Operation) []byte {
	if c.mode == modeAttribute {
		return c.dialect.set(dn, op)
	}
	return ldapwire.PasswordModify(dn, op.Old.Reveal(), op.Value.Reveal())
}

// notOwner says why the old value opened nothing. If an earlier attempt may
// have changed it, the new one is tried.
func (c *changer) notOwner(ctx context.Context, dn string, op sdk.Operation, bound result) sdk.Receipt {
	if op.Attempt > 1 && bound.Code == resultInvalidLogin {
		verdict, err := c.prover.prove(ctx, dn, op.Value)
		switch {
		case err != nil:
			return sdk.Lost(sdk.AsError(err, sdk.Internal))
		case verdict == sdk.Accepted, verdict == sdk.AcceptedMustChange:
			return sdk.Receipt{Outcome: sdk.AlreadyApplied}
		}
	}
	verdict, err := c.prover.judge(ctx, dn, bound)
	if err != nil {
		return sdk.Refuse(sdk.AsError(err, sdk.Internal))
	}
	if verdict == sdk.Blocked {
		return sdk.Refuse(c.blocked(ctx, dn, bound))
	}
	return sdk.Refuse(bound.error(sdk.WrongCurrentPassword))
}

// blocked is the refusal of an account that cannot be logged on to.
func (c *changer) blocked(ctx context.Context, dn string, bound result) *sdk.Error {
	failure := bound.error(sdk.AccountStatus)
	if failure.AccountStatus != sdk.StatusUnknown {
		return failure
	}
	if found, err := c.reader.find(ctx, dn); err == nil {
		failure.AccountStatus = found.Status
	}
	return failure
}

// swap sends the one request with which the server compares the old value.
func (c *changer) swap(ctx context.Context, dn string, op sdk.Operation, request []byte) sdk.Receipt {
	result, failed := c.admin.ask(ctx, request)
	if failed != nil {
		return failed.receipt()
	}
	receipt := result.receipt()
	if receipt.Err != nil && receipt.Err.Code == sdk.WrongCurrentPassword && op.Attempt > 1 {
		if verdict, err := c.prover.prove(ctx, dn, op.Value); err != nil {
			return sdk.Lost(receipt.Err)
		} else if verdict == sdk.Accepted || verdict == sdk.AcceptedMustChange {
			return sdk.Receipt{Outcome: sdk.AlreadyApplied}
		}
	}
	return c.writer.settle(ctx, dn, op, receipt)
}
