package ldap

import (
	"context"

	"github.com/rekey-host/rekey/plugins/ldap/internal/ldapwire"
	"github.com/rekey-host/rekey/sdk"
	"github.com/rekey-host/rekey/sdk/secret"
)

// prover finds out by logons whether a value is an account's.
type prover struct {
	*server
	resolver *resolver
	reader   *reader
}

// verify logs on as the account, once. Must-change and expired answers, which
// a server gives only to the right value, are AcceptedMustChange.
func (p *prover) verify(ctx context.Context, account string, value secret.Value) (sdk.Verdict, error) {
	if value.Empty() {
		// Most servers let in anybody who gives no password, as nobody.
		return sdk.CannotTell, sdk.Errorf(sdk.InvalidOperation, "an empty value cannot be verified")
	}
	target, failed := p.resolver.find(ctx, account)
	if failed != nil {
		return sdk.CannotTell, failed
	}
	if p.lifted.isOpen(target.dn) {
		return sdk.CannotTell, sdk.Errorf(sdk.Conflict, "keep_lock: the lock of the entry is not put back yet")
	}
	verdict, err := p.prove(ctx, target.dn, value)
	if p.updateSamba && (verdict == sdk.Accepted || verdict == sdk.AcceptedMustChange) {
		return p.whole(ctx, target.dn, value, verdict)
	}
	return verdict, err
}

// whole is the verdict on a value that the directory takes, unless Samba is seen to
// take another one: an answer that was lost may have been that of the first half.
func (p *prover) whole(ctx context.Context, dn string, value secret.Value, verdict sdk.Verdict) (sdk.Verdict, error) {
	others := 0
	made := ldapwire.Search{Base: dn, Scope: ldapwire.ScopeBase, Attributes: []string{"1.1"},
		Filter: ldapwire.FilterAnd(ldapwire.FilterEqual("objectClass", "sambaSamAccount"), ldapwire.FilterNot(ldapwire.FilterEqual("sambaNTPassword", ntHash(value.Reveal()))))}
	if _, failed := p.query(ctx, made, func(entry) { others++ }); failed != nil {
		return sdk.CannotTell, failed
	}
	if others > 0 {
		return sdk.CannotTell, sdk.Errorf(sdk.Conflict, "update_samba: the directory takes the value, and sambaNTPassword is of another one")
	}
	return verdict, nil
}

// prove is one logon.
func (p *prover) prove(ctx context.Context, dn string, value secret.Value) (sdk.Verdict, error) {
	var reply result
	failed := p.guests.use(ctx, func(link *conn) (err error) {
		reply, err = link.ask(ctx, ldapwire.BindRequest(dn, value.Reveal()), ldapwire.AskPolicy())
		return err
	})
	if failed != nil {
		return sdk.CannotTell, reading(failed)
	}
	return p.judge(ctx, dn, reply)
}

// judge says what the answer to a logon means. Servers like to answer 49 to
// everything: then the entry is looked at.
func (p *prover) judge(ctx context.Context, dn string, result result) (sdk.Verdict, error) {
	switch {
	case result.Code == resultSuccess && result.Policy.Code() == ldapwire.PolicyChangeAfterReset, result.expired():
		return sdk.AcceptedMustChange, nil
	case result.Code == resultSuccess:
		return sdk.Accepted, nil
	case result.Policy.Code() == ldapwire.PolicyLocked, result.Code == resultUnwilling, result.Code == resultConstraint:
		return sdk.Blocked, nil // the last: 389 Directory Server's "retry limit"
	case result.Code == resultInvalidLogin && states[result.data()] != sdk.StatusUnknown:
		return sdk.Blocked, nil
	case result.Code == resultInappropriate:
		return sdk.CannotTell, result.error(sdk.NoCredential)
	case result.Code == resultInvalidLogin:
		return p.rejected(ctx, dn)
	}
	return sdk.CannotTell, result.error(result.readCode())
}

// rejected tells a wrong value from an account that is locked or missing.
func (p *prover) rejected(ctx context.Context, dn string) (sdk.Verdict, error) {
	found, err := p.reader.find(ctx, dn)
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
