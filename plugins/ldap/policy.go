package ldap

import (
	"context"
	"strconv"
	"strings"

	"github.com/rekey-host/rekey/sdk"
)

// Policy returns the rules for an account: those of the ppolicy entry or the
// Windows settings object that it names, else what holds for all. What bind_dn
// may not read is no rule.
func (i *Instance) Policy(ctx context.Context, account, _ string) (sdk.Policy, error) {
	if i.mode == modeAD {
		return i.windowsPolicy(ctx, account)
	}
	dn := i.policyDN
	if account != "" {
		t, failed := i.find(ctx, account)
		if failed != nil {
			return sdk.Policy{}, failed
		}
		e, failed := i.read(ctx, t.dn, []string{"pwdPolicySubentry"})
		if failed != nil {
			return sdk.Policy{}, failed
		}
		dn = either(e.first("pwdPolicySubentry"), dn)
	}
	p, err := i.ppolicies(ctx, dn)
	return i.own(p), err
}

// own adds the rules that are ours.
func (i *Instance) own(p sdk.Policy) sdk.Policy {
	p.MinLength = max(p.MinLength, 1)
	if i.mode == modeAttribute && i.hash == hashPlain {
		p.ForbidFirst = "{"
	}
	return p
}

// ppolicies reads the policy at dn, or what satisfies all policies under
// base_dn: a directory does not say which of them is its default.
func (i *Instance) ppolicies(ctx context.Context, dn string) (sdk.Policy, error) {
	attributes := []string{"pwdMinLength", "pwdMaxLength", "pwdInHistory", "pwdCheckQuality", "pwdCheckModule", "pwdUseCheckModule"}
	if dn != "" {
		e, failed := i.read(ctx, dn, attributes)
		if failed != nil && failed.Code == sdk.AccountNotFound {
			return sdk.Policy{}, nil
		}
		if failed != nil {
			return sdk.Policy{}, failed
		}
		return ppolicyOf(e), nil
	}
	if i.base == "" {
		return sdk.Policy{}, nil
	}
	all := sdk.Policy{}
	s := search{base: i.base, scope: scopeSubtree, filter: filterEqual("objectClass", "pwdPolicy"), attributes: attributes}
	_, failed := i.query(ctx, s, func(e entry) { all = strictest(all, ppolicyOf(e)) })
	if failed != nil {
		return sdk.Policy{}, failed
	}
	return all, nil
}

// ppolicyOf reads a pwdPolicy entry. Lengths are enforced only where quality
// is checked at all.
func ppolicyOf(e entry) sdk.Policy {
	number := func(name string) int {
		n, _ := strconv.Atoi(e.first(name))
		return max(n, 0)
	}
	p := sdk.Policy{History: number("pwdInHistory")}
	if number("pwdCheckQuality") > 0 {
		p.MinLength, p.MaxLength = number("pwdMinLength"), number("pwdMaxLength")
		if e.first("pwdCheckModule") != "" || strings.EqualFold(e.first("pwdUseCheckModule"), "TRUE") {
			p.Note = "a module of the server checks quality by rules that it does not tell"
		}
	}
	return p
}

// strictest satisfies both.
func strictest(a, b sdk.Policy) sdk.Policy {
	a.MinLength, a.History = max(a.MinLength, b.MinLength), max(a.History, b.History)
	if a.MaxLength == 0 || b.MaxLength > 0 && b.MaxLength < a.MaxLength {
		a.MaxLength = b.MaxLength
	}
	a.Note = either(a.Note, b.Note)
	return a
}

// complex is the bit of pwdProperties that asks for three of four classes.
const complex = 1

// windowsPolicy reads the domain's policy, or the settings object that holds
// for the account.
func (i *Instance) windowsPolicy(ctx context.Context, account string) (sdk.Policy, error) {
	root, failed := i.read(ctx, "", []string{"defaultNamingContext"})
	if failed != nil {
		return sdk.Policy{}, failed
	}
	names := [3]string{"minPwdLength", "pwdHistoryLength", "pwdProperties"}
	dn := root.first("defaultNamingContext")
	if account != "" {
		settings, failed := i.settingsObject(ctx, account)
		if failed != nil {
			return sdk.Policy{}, failed
		}
		if settings != "" {
			dn, names = settings, [3]string{"msDS-MinimumPasswordLength", "msDS-PasswordHistoryLength", "msDS-PasswordComplexityEnabled"}
		}
	}
	e, failed := i.read(ctx, dn, names[:])
	if failed != nil {
		return sdk.Policy{}, failed
	}
	return windowsPolicyOf(e, names), nil
}

func (i *Instance) settingsObject(ctx context.Context, account string) (string, *sdk.Error) {
	t, failed := i.find(ctx, account)
	if failed != nil {
		return "", failed
	}
	e, failed := i.read(ctx, t.dn, []string{"msDS-ResultantPSO"})
	return e.first("msDS-ResultantPSO"), failed
}

func windowsPolicyOf(e entry, names [3]string) sdk.Policy {
	number := func(name string) int {
		n, _ := strconv.Atoi(e.first(name))
		return n
	}
	p := sdk.Policy{MinLength: max(number(names[0]), 1), History: number(names[1])}
	if number(names[2])&complex != 0 || strings.EqualFold(e.first(names[2]), "TRUE") {
		p.Classes, p.NoAccountName = 3, true
	}
	return p
}
