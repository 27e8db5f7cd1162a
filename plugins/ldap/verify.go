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
	t, failed := i.find(ctx, account)
	if failed != nil {
		return sdk.CannotTell, failed
	}
	return i.prove(ctx, t.dn, value)
}

// prove is one logon.
func (i *Instance) prove(ctx context.Context, dn string, value secret.Value) (sdk.Verdict, error) {
	var r result
	failed := i.guests.use(ctx, func(c *conn) (err error) {
		r, err = c.ask(ctx, bindRequest(dn, value.Reveal()), askPPolicy)
		return err
	})
	if failed != nil {
		return sdk.CannotTell, reading(failed)
	}
	return i.judge(ctx, dn, r)
}

// expired reports the answer to a right value that is too old or was set by
// somebody else.
func (r result) expired() bool {
	return r.code == resultInvalidLogin && (r.policy.code() == ppExpired || r.data() == "532" || r.data() == "773")
}

// judge says what the answer to a logon means. Servers like to answer 49 to
// everything: then the entry is looked at.
func (i *Instance) judge(ctx context.Context, dn string, r result) (sdk.Verdict, error) {
	switch {
	case r.code == resultSuccess && r.policy.code() == ppChangeAfterReset, r.expired():
		return sdk.AcceptedMustChange, nil
	case r.code == resultSuccess:
		return sdk.Accepted, nil
	case r.policy.code() == ppLocked, r.code == resultUnwilling, r.code == resultConstraint:
		return sdk.Blocked, nil // the last: 389 Directory Server's "retry limit"
	case r.code == resultInvalidLogin && states[r.data()] != sdk.StatusUnknown:
		return sdk.Blocked, nil
	case r.code == resultInappropriate:
		return sdk.CannotTell, r.error(sdk.NoCredential)
	case r.code == resultInvalidLogin:
		return i.rejected(ctx, dn)
	}
	return sdk.CannotTell, r.error(readMeaning(r))
}

// rejected tells a wrong value from an account that is locked or missing.
func (i *Instance) rejected(ctx context.Context, dn string) (sdk.Verdict, error) {
	found, err := i.Find(ctx, dn)
	if err != nil {
		if e := sdk.AsError(err, sdk.Internal); e.Code == sdk.AccountNotFound {
			return sdk.CannotTell, e
		}
		return sdk.Rejected, nil // it was; that bind_dn may not look is no reason to doubt it
	}
	switch found.Status {
	case sdk.StatusLocked, sdk.StatusDisabled:
		return sdk.Blocked, nil
	}
	return sdk.Rejected, nil
}
