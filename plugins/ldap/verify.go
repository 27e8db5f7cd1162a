package ldap

import (
	"context"

	"github.com/rekey-host/rekey/sdk"
	"github.com/rekey-host/rekey/sdk/secret"
)

// Verify logs on as the account, once. Must-change and expired answers, which
// a server gives only to the right value, are AcceptedMustChange.
func (i *Instance) Verify(ctx context.Context, account, _ string, value secret.Value) (sdk.Verdict, error) {
	if value.Empty() {
		// Most servers let in anybody who gives no password, as nobody.
		return sdk.CannotTell, sdk.Errorf(sdk.InvalidOperation, "an empty value cannot be verified")
	}
	target, failed := i.find(ctx, account)
	if failed != nil {
		return sdk.CannotTell, failed
	}
	return i.prove(ctx, target.dn, value)
}

// prove is one logon.
func (i *Instance) prove(ctx context.Context, dn string, value secret.Value) (sdk.Verdict, error) {
	var reply result
	failed := i.guests.use(ctx, func(link *conn) (err error) {
		reply, err = link.ask(ctx, bindRequest(dn, value.Reveal()), askPPolicy)
		return err
	})
	if failed != nil {
		return sdk.CannotTell, reading(failed)
	}
	return i.judge(ctx, dn, reply)
}

// expired reports the answer to a right value that is too old or was set by
// somebody else.
func (r result) expired() bool {
	return r.code == resultInvalidLogin && (r.policy.code() == ppExpired || r.data() == "532" || r.data() == "773")
}

// judge says what the answer to a logon means. Servers like to answer 49 to
// everything: then the entry is looked at.
func (i *Instance) judge(ctx context.Context, dn string, result result) (sdk.Verdict, error) {
	switch {
	case result.code == resultSuccess && result.policy.code() == ppChangeAfterReset, result.expired():
		return sdk.AcceptedMustChange, nil
	case result.code == resultSuccess:
		return sdk.Accepted, nil
	case result.policy.code() == ppLocked, result.code == resultUnwilling, result.code == resultConstraint:
		return sdk.Blocked, nil // the last: 389 Directory Server's "retry limit"
	case result.code == resultInvalidLogin && states[result.data()] != sdk.StatusUnknown:
		return sdk.Blocked, nil
	case result.code == resultInappropriate:
		return sdk.CannotTell, result.error(sdk.NoCredential)
	case result.code == resultInvalidLogin:
		return i.rejected(ctx, dn)
	}
	return sdk.CannotTell, result.error(readMeaning(result))
}

// rejected tells a wrong value from an account that is locked or missing.
func (i *Instance) rejected(ctx context.Context, dn string) (sdk.Verdict, error) {
	found, err := i.Find(ctx, dn)
	if err != nil {
		if failure := sdk.AsError(err, sdk.Internal); failure.Code == sdk.AccountNotFound {
			return sdk.CannotTell, failure
		}
		return sdk.Rejected, nil // it was; that bind_dn may not look is no reason to doubt it
	}
	switch found.Status {
	case sdk.StatusLocked, sdk.StatusDisabled:
		return sdk.Blocked, nil
	}
	return sdk.Rejected, nil
}
