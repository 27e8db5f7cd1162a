package ldap

import (
	"context"
	"strconv"
	"strings"
	"time"

	goldap "github.com/go-ldap/ldap/v3"

	"github.com/rekey-host/rekey/plugins/ldap/internal/ldapwire"
	"github.com/rekey-host/rekey/sdk"
)

// reader tells what the directory knows of accounts.
type reader struct {
	*server
	dialect  dialect
	resolver *resolver
}

// wanted are the attributes that tell of an account.
func (r *reader) wanted() []string {
	return append([]string{r.loginAttribute, "cn", "displayName", "mail"}, r.dialect.stateAttributes()...)
}

// find returns what the directory tells of one account. ID is the DN.
func (r *reader) find(ctx context.Context, account string) (sdk.Account, error) {
	target, failed := r.resolver.find(ctx, account)
	if failed != nil {
		return sdk.Account{}, failed
	}
	entry, failed := r.read(ctx, target.dn, r.wanted())
	if failed != nil && failed.Code == sdk.AccountNotFound && target.known {
		r.resolver.names.forget(account)
		return r.find(ctx, account)
	}
	if failed != nil {
		return sdk.Account{}, failed
	}
	found := r.account(entry)
	found.Account = account
	if found.Status == sdk.StatusLocked && entry.First("pwdAccountLockedTime") != "" && !r.stillLocked(ctx, entry) {
		found.Status = sdk.StatusActive
	}
	return found, nil
}

// account reads an entry; Account is its DN.
func (r *reader) account(entry entry) sdk.Account {
	account := sdk.Account{
		Account: entry.DN, ID: entry.DN,
		Login: entry.First(r.loginAttribute), Name: either(entry.First("displayName"), entry.First("cn")), Mail: entry.First("mail"),
		Status: sdk.StatusActive,
	}
	r.dialect.state(&account, entry, r.now())
	return account
}

// forGood is the pwdAccountLockedTime of a lock that no time lifts.
const forGood = "000001010000Z"

// stillLocked reports whether a lock has not run out under the account's
// policy. A policy that cannot be read lifts none.
func (r *reader) stillLocked(ctx context.Context, entry entry) bool {
	since := entry.First("pwdAccountLockedTime")
	dn := either(entry.First("pwdPolicySubentry"), r.policyDN)
	if since == forGood || dn == "" {
		return true
	}
	policy, failed := r.read(ctx, dn, []string{"pwdLockoutDuration"})
	if failed != nil {
		return true
	}
	seconds, err := strconv.Atoi(policy.First("pwdLockoutDuration"))
	if err != nil || seconds == 0 {
		return true
	}
	return r.now().Before(generalizedTime(since).Add(time.Duration(seconds) * time.Second))
}

// list calls yield for the entries under base_dn that filter selects, a page
// at a time; an empty filter selects those that have a login. Values that are
// not text are base 64.
func (r *reader) list(ctx context.Context, filter string, attributes []string, yield func(sdk.Account) error) error {
	if r.base == "" {
		return sdk.Errorf(sdk.InvalidConfig, "base_dn: missing")
	}
	for _, text := range attributes {
		if secretAttribute(text) {
			return sdk.Errorf(sdk.InvalidOperation, "attribute %q: holds credentials", text)
		}
	}
	compiled, failed := r.filter(filter)
	if failed != nil {
		return failed
	}
	made := ldapwire.Search{Base: r.base, Scope: ldapwire.ScopeSubtree, Filter: compiled, Attributes: append(r.wanted(), attributes...)}
	return r.pages(ctx, made, func(item entry) error {
		if item.isAlias() {
			return nil // the entry that it stands for is there by itself
		}
		account := r.account(item)
		account.Attributes, account.Lists = item.texts(attributes), item.lists(attributes)
		return yield(account)
	})
}

// secretAttribute reports the attributes that are what this package is there
// to keep from being seen.
func secretAttribute(name string) bool {
	name, _, _ = strings.Cut(strings.ToLower(name), ";")
	switch name {
	case "userpassword", "unicodepwd", "pwdhistory", "sambantpassword", "sambalmpassword", "krbprincipalkey", "*", "+":
		return true
	}
	return false
}

// filter returns the filter in the protocol's form.
func (r *reader) filter(text string) ([]byte, *sdk.Error) {
	if text == "" {
		return r.dialect.everyone(), nil
	}
	if !strings.HasPrefix(text, "(") {
		text = "(" + text + ")"
	}
	packet, err := goldap.CompileFilter(text)
	if err != nil {
		return nil, sdk.Errorf(sdk.InvalidOperation, "filter %q: %v", text, err)
	}
	return packet.Bytes(), nil
}
