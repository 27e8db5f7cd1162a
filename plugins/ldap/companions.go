package ldap

import (
	"context"
	"strconv"
	"strings"
	"time"

	"github.com/rekey-host/rekey/plugins/ldap/internal/ldapwire"
	"github.com/rekey-host/rekey/sdk"
	"github.com/rekey-host/rekey/sdk/secret"
)

// companion is an attribute that goes with a value and is written once the value
// is set: the server makes it wrong, or leaves it as it was.
type companion struct {
	setting string // who wants it, for errors
	name    string
	never   string // a value of the attribute that no entry has
	values  func(plain string) []string
}

// fixed are the values of a companion that has nothing to do with the value.
func fixed(values ...string) func(string) []string {
	return func(string) []string { return values }
}

// companions are written with the values of accounts, as the settings say.
type companions struct {
	*server
}

// of returns what goes with op on an entry, after a rehearsal: once the value is
// set it is too late to find out that the rest may not be written.
func (c *companions) of(ctx context.Context, found target, op sdk.Operation) ([]companion, *sdk.Error) {
	if c.mode == modeAD || op.Verb == sdk.Unlock {
		return nil, nil
	}
	wanted, failed := c.wanted(ctx, found, op)
	if failed != nil {
		return nil, failed
	}
	var list []companion
	for _, one := range wanted {
		needed, failed := c.rehearse(ctx, found.dn, one)
		if failed != nil {
			failed.Message = one.setting + ": " + failed.Message
			return nil, failed
		}
		if needed {
			list = append(list, one)
		}
	}
	return list, nil
}

func (c *companions) wanted(ctx context.Context, found target, op sdk.Operation) ([]companion, *sdk.Error) {
	if failed := c.ineffective(ctx, found, op); failed != nil {
		return nil, failed
	}
	if found.hidden && (c.updateSamba || c.updateShadow) {
		return nil, sdk.Errorf(sdk.PermissionDenied, "account %q: bind_dn may not see the entry, so update_samba and update_shadow cannot be kept", found.dn)
	}
	var list []companion
	if op.MustChange != nil && !(op.Verb == sdk.Set && (c.mode == modeAttribute || op.HashFormat != "")) { // there it goes with the value
		list = append(list, mustChange(*op.MustChange))
	}
	if c.updateSamba && found.samba {
		if op.HashFormat != "" {
			return nil, sdk.Errorf(sdk.Unsupported, "update_samba: Samba's hash cannot be made from another hash; give the value itself")
		}
		list = append(list, ofSamba(op, c.now())...)
	}
	if c.updateShadow && found.shadow {
		list = append(list, ofShadow(op, c.now()))
	}
	if !c.keepLock {
		return list, nil
	}
	locks, failed := c.locks(ctx, found.dn)
	if failed != nil {
		return nil, failed
	}
	return append(list, c.lifted.keep(op, lock{found.dn, locks})...), nil
}

// ineffective is the refusal of a mark that the account's policy makes nothing
// of: the server would ask nobody. A policy that is not known, or not seen, is
// no reason.
func (c *companions) ineffective(ctx context.Context, found target, op sdk.Operation) *sdk.Error {
	if op.MustChange == nil || !*op.MustChange {
		return nil
	}
	ds, failed := c.is389(ctx)
	switch {
	case failed != nil:
		return failed
	case ds:
		return sdk.Errorf(sdk.Unsupported, "must_change: 389 Directory Server takes the mark and forgets it; it asks for another password after each set where its policy has passwordMustChange on, whatever is said here: leave must_change out")
	}
	dn := c.policyDN
	if item, failed := c.read(ctx, found.dn, []string{"pwdPolicySubentry"}); failed == nil {
		dn = either(item.First("pwdPolicySubentry"), dn)
	}
	if dn == "" {
		return nil
	}
	policy, failed := c.read(ctx, dn, []string{"objectClass", "pwdAttribute", "pwdMustChange"})
	if failed != nil || !policy.is("pwdPolicy") || policy.First("pwdAttribute") == "" || strings.EqualFold(policy.First("pwdMustChange"), "TRUE") {
		return nil
	}
	return sdk.Errorf(sdk.Unsupported, "must_change: the policy %q has not pwdMustChange TRUE, so the server would not ask for another password: have it set, or leave must_change out", dn)
}

// mustChange is the mark of policies, which the server's own rules may change
// when a value is set.
func mustChange(wanted bool) companion {
	made := companion{setting: "must_change", name: "pwdReset", never: "FALSE", values: fixed()}
	if wanted {
		made.values = fixed("TRUE")
	}
	return made
}

// ofSamba is what file servers go by. The older of its hashes is taken away: it
// would go on opening what takes it.
func ofSamba(op sdk.Operation, now time.Time) []companion {
	const noHash = "00000000000000000000000000000000"
	changed := strconv.FormatInt(now.Unix(), 10)
	if op.MustChange != nil && *op.MustChange {
		changed = "0"
	}
	return []companion{
		{setting: "update_samba", name: "sambaNTPassword", never: noHash, values: func(plain string) []string { return []string{ntHash(plain)} }},
		{setting: "update_samba", name: "sambaLMPassword", never: noHash, values: fixed()},
		{setting: "update_samba", name: "sambaPwdLastSet", never: "-1", values: fixed(changed)},
	}
}

// ofShadow is the day by which Linux counts the age of a value; 0 asks for another
// one at the next logon.
func ofShadow(op sdk.Operation, now time.Time) companion {
	day := strconv.FormatInt(now.Unix()/(24*60*60), 10)
	if op.MustChange != nil && *op.MustChange {
		day = "0"
	}
	return companion{setting: "update_shadow", name: "shadowLastChange", never: "-77", values: fixed(day)}
}

// lockAttributes are what servers that lift a lock with a set have of it, and
// values that they never have.
var lockAttributes = map[string]string{
	"pwdAccountLockedTime": "19700101000000Z",
	"accountUnlockTime":    "18000101000000Z", "passwordRetryCount": "-1", "retryCountResetTime": "18000101000000Z",
}

// locks are the attributes of the lock that an entry has now.
func (c *companions) locks(ctx context.Context, dn string) ([]companion, *sdk.Error) {
	var names []string
	for name := range lockAttributes {
		names = append(names, name)
	}
	found, failed := c.read(ctx, dn, names)
	if failed != nil {
		return nil, failed
	}
	if found.First("pwdAccountLockedTime") == "" && found.First("accountUnlockTime") == "" {
		return nil, nil
	}
	var list []companion
	for name, never := range lockAttributes {
		if values := found.All(name); len(values) > 0 {
			list = append(list, companion{setting: "keep_lock", name: name, never: never, values: fixed(values...)})
		}
	}
	return list, nil
}

// rehearse takes a value away that the entry does not have: that changes
// nothing, and is refused for another reason than that where bind_dn may not
// write. needed is false for a mark to be removed that the server does not know.
func (c *companions) rehearse(ctx context.Context, dn string, one companion) (needed bool, failed *sdk.Error) {
	result, lost := c.admin.ask(ctx, ldapwire.ModifyRequest(dn, ldapwire.Delete(one.name, one.never)))
	switch {
	case lost != nil:
		return false, reading(lost)
	case result.Code == resultUndefinedType && one.setting == "must_change" && len(one.values("")) == 0:
		return false, nil // without ppolicy nothing asks for a change
	case result.Code == resultSuccess, result.Code == resultNoSuchAttribute, result.Code == resultNoMatching:
		return true, nil
	}
	return false, result.receipt().Err
}

// finish writes what goes with a value that is set. Where it cannot, the value is
// the account's all the same, and the outcome is in doubt.
func (c *companions) finish(ctx context.Context, dn string, list []companion, value secret.Value, receipt sdk.Receipt) sdk.Receipt {
	if len(list) == 0 || receipt.Outcome != sdk.Applied && receipt.Outcome != sdk.AlreadyApplied {
		return receipt
	}
	if receipt.Value.Present() {
		value = receipt.Value
	}
	var mods []ldapwire.Modification
	var settings []string
	for _, one := range list {
		mods = append(mods, ldapwire.Replace(one.name, one.values(value.Reveal())...))
		settings = append(settings, one.setting)
	}
	if failed := c.insist(ctx, ldapwire.ModifyRequest(dn, mods...)); failed != nil {
		failed.Message = "the value is set, and what goes with it is not (" + strings.Join(settings, ", ") + "): " + failed.Message
		receipt.Outcome, receipt.Err = sdk.Unknown, failed
	}
	return receipt
}

// insist sends a request again where a connection fails: it may be sent as often
// as one likes.
func (c *companions) insist(ctx context.Context, request []byte) *sdk.Error {
	const most = 3
	for try := 1; ; try++ {
		result, lost := c.admin.ask(ctx, request)
		switch {
		case lost == nil:
			return result.receipt().Err
		case try == most || ctx.Err() != nil:
			return lost.err
		}
	}
}
