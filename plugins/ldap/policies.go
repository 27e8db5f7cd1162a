package ldap

import (
	"context"
	"fmt"
	"strings"

	"github.com/rekey-host/rekey/plugins/ldap/internal/ldapwire"
	"github.com/rekey-host/rekey/sdk"
)

// policies reads the rules that hold for accounts.
type policies struct {
	*server
	resolver *resolver
}

// of returns the rules for an account: those of the ppolicy entry or the
// Windows settings object that it names, else what holds for all.
func (p *policies) of(ctx context.Context, account string) (sdk.Policy, error) {
	if p.mode == modeAD {
		return p.windowsPolicy(ctx, account)
	}
	ds, failed := p.is389(ctx)
	if failed != nil {
		return sdk.Policy{}, failed
	}
	dn := p.policyDN
	if dn == "" && ds {
		dn = "cn=config"
	}
	if account != "" {
		target, failed := p.resolver.find(ctx, account)
		if failed != nil {
			return sdk.Policy{}, failed
		}
		entry, failed := p.read(ctx, target.dn, []string{"pwdPolicySubentry"})
		if failed != nil {
			return sdk.Policy{}, failed
		}
		dn = either(entry.First("pwdPolicySubentry"), dn)
	}
	if ds {
		policy, err := p.policy389(ctx, dn)
		return p.own(policy), err
	}
	policy, err := p.ppolicies(ctx, dn)
	return p.own(policy), err
}

// policy389 reads a policy of 389 Directory Server: the one of all accounts stands
// in its configuration, which few may see.
func (p *policies) policy389(ctx context.Context, dn string) (sdk.Policy, error) {
	item, failed := p.read(ctx, dn, []string{"passwordCheckSyntax", "passwordMinLength", "passwordMinDigits", "passwordMinAlphas", "passwordMinUppers", "passwordMinLowers",
		"passwordMinSpecials", "passwordMinCategories", "passwordMaxRepeats", "passwordHistory", "passwordInHistory"})
	if failed != nil && failed.Code != sdk.AccountNotFound && failed.Code != sdk.PermissionDenied {
		return sdk.Policy{}, failed
	}
	if failed != nil || len(item.Attributes) == 0 {
		return sdk.Policy{Note: fmt.Sprintf("bind_dn may not see the rules in %q", dn)}, nil
	}
	number := func(name string) int { return max(int(item.number(name)), 0) }
	policy := sdk.Policy{}
	if strings.EqualFold(item.First("passwordHistory"), "on") {
		policy.History = number("passwordInHistory")
	}
	if strings.EqualFold(item.First("passwordCheckSyntax"), "on") {
		policy.MinLength, policy.Digits, policy.Letters = number("passwordMinLength"), number("passwordMinDigits"), number("passwordMinAlphas")
		policy.Upper, policy.Lower, policy.Symbols = number("passwordMinUppers"), number("passwordMinLowers"), number("passwordMinSpecials")
		policy.Classes, policy.MaxRepeat = min(number("passwordMinCategories"), 4), number("passwordMaxRepeats")
		policy.NoAccountName = true
		policy.Note = "nothing that stands in the entry as a name or an address may be part of a value"
	}
	return policy, nil
}

// own adds the rules that are ours.
func (p *policies) own(policy sdk.Policy) sdk.Policy {
	policy.MinLength = max(policy.MinLength, 1)
	if p.mode == modeAttribute && p.hash == hashPlain {
		policy.ForbidFirst = "{"
	}
	return policy
}

// ppolicies reads the policy at dn, or what satisfies all policies under
// base_dn: a directory does not say which of them is its default.
func (p *policies) ppolicies(ctx context.Context, dn string) (sdk.Policy, error) {
	attributes := []string{"pwdMinLength", "pwdMaxLength", "pwdInHistory", "pwdCheckQuality", "pwdCheckModule", "pwdUseCheckModule"}
	if dn != "" {
		entry, failed := p.read(ctx, dn, attributes)
		if failed != nil && failed.Code == sdk.AccountNotFound {
			return sdk.Policy{}, nil
		}
		if failed != nil {
			return sdk.Policy{}, failed
		}
		return ppolicyOf(entry), nil
	}
	if p.base == "" {
		return sdk.Policy{}, nil
	}
	all := sdk.Policy{}
	made := ldapwire.Search{Base: p.base, Scope: ldapwire.ScopeSubtree, Filter: ldapwire.FilterEqual("objectClass", "pwdPolicy"), Attributes: attributes}
	_, failed := p.query(ctx, made, func(item entry) { all = strictest(all, ppolicyOf(item)) })
	if failed != nil {
		return sdk.Policy{}, failed
	}
	return all, nil
}

// ppolicyOf reads a pwdPolicy entry. Lengths are enforced only where quality
// is checked at all.
func ppolicyOf(entry entry) sdk.Policy {
	number := func(name string) int { return max(int(entry.number(name)), 0) }
	policy := sdk.Policy{History: number("pwdInHistory")}
	if number("pwdCheckQuality") > 0 {
		policy.MinLength, policy.MaxLength = number("pwdMinLength"), number("pwdMaxLength")
		if entry.First("pwdCheckModule") != "" || strings.EqualFold(entry.First("pwdUseCheckModule"), "TRUE") {
			policy.Note = "a module of the server checks quality by rules that it does not tell"
		}
	}
	return policy
}

// strictest satisfies both.
func strictest(policy, b sdk.Policy) sdk.Policy {
	policy.MinLength, policy.History = max(policy.MinLength, b.MinLength), max(policy.History, b.History)
	if policy.MaxLength == 0 || b.MaxLength > 0 && b.MaxLength < policy.MaxLength {
		policy.MaxLength = b.MaxLength
	}
	policy.Note = either(policy.Note, b.Note)
	return policy
}

// complex is the bit of pwdProperties that asks for three of four classes.
const complex = 1

// windowsPolicy reads the domain's policy, or the settings object that holds
// for the account.
func (p *policies) windowsPolicy(ctx context.Context, account string) (sdk.Policy, error) {
	root, failed := p.read(ctx, "", []string{"defaultNamingContext"})
	if failed != nil {
		return sdk.Policy{}, failed
	}
	names := [3]string{"minPwdLength", "pwdHistoryLength", "pwdProperties"}
	dn := root.First("defaultNamingContext")
	if account != "" {
		settings, failed := p.settingsObject(ctx, account)
		if failed != nil {
			return sdk.Policy{}, failed
		}
		if settings != "" {
			dn, names = settings, [3]string{"msDS-MinimumPasswordLength", "msDS-PasswordHistoryLength", "msDS-PasswordComplexityEnabled"}
		}
	}
	entry, failed := p.read(ctx, dn, names[:])
	if failed != nil && failed.Code != sdk.AccountNotFound && failed.Code != sdk.PermissionDenied {
		return sdk.Policy{}, failed
	}
	policy := windowsPolicyOf(entry, names)
	if entry.First(names[0]) == "" { // settings objects are for administrators to see, unless that is changed
		policy.Note = fmt.Sprintf("bind_dn may not see the rules in %q", dn)
	}
	return policy, nil
}

func (p *policies) settingsObject(ctx context.Context, account string) (string, *sdk.Error) {
	target, failed := p.resolver.find(ctx, account)
	if failed != nil {
		return "", failed
	}
	entry, failed := p.read(ctx, target.dn, []string{"msDS-ResultantPSO"})
	return entry.First("msDS-ResultantPSO"), failed
}

func windowsPolicyOf(entry entry, names [3]string) sdk.Policy {
	number := func(name string) int { return int(entry.number(name)) }
	policy := sdk.Policy{MinLength: max(number(names[0]), 1), History: number(names[1])}
	if number(names[2])&complex != 0 || strings.EqualFold(entry.First(names[2]), "TRUE") {
		policy.Classes, policy.NoAccountName = 3, true
	}
	return policy
}
