package backendtest

import (
	"fmt"
	"slices"
	"strings"

	"github.com/rekey-host/rekey/sdk"
	"github.com/rekey-host/rekey/sdk/secret"
)

func missingAccount(p *probe) {
	s := p.open()
	p.wantRefused(s.apply(p.t.Context(), p.anyOp(p.target.Missing, p.value())), "an operation on a missing account", sdk.AccountNotFound)
	if p.can(sdk.CanReset) {
		p.wantRefused(s.reset(p.t.Context(), p.op(sdk.Reset, p.target.Missing, "")), "reset of a missing account", sdk.AccountNotFound)
	}
	if p.can(sdk.CanFind) {
		_, err := s.find(p.t.Context(), p.target.Missing)
		p.wantCode(err, "Find of a missing account", sdk.AccountNotFound)
	}
}

func refusingAccounts(p *probe) {
	s := p.open()
	for account, code := range p.target.Refusing {
		r := s.apply(p.t.Context(), p.anyOp(account, p.value()))
		p.wantRefused(r, fmt.Sprintf("an operation on account %q", account), code)
		if code == sdk.AccountStatus && r.Err != nil && r.Err.AccountStatus == sdk.StatusUnknown {
			p.fail("account %q: AccountStatus does not say which", account)
		}
	}
}

var rules = []sdk.Rule{sdk.RuleMinLength, sdk.RuleMaxLength, sdk.RuleLetters, sdk.RuleLower, sdk.RuleUpper, sdk.RuleDigits, sdk.RuleSymbols,
	sdk.RuleNonLetters, sdk.RuleClasses, sdk.RuleForbidden, sdk.RuleMaxRepeat, sdk.RuleMaxSequence, sdk.RuleContainsName, sdk.RuleContainsWord,
	sdk.RuleSameAsCurrent, sdk.RuleHistory, sdk.RuleMinAge, sdk.RuleChangeCount, sdk.RuleDictionary, sdk.RuleQuality, sdk.RuleEncoding, sdk.RuleOpaque, sdk.RuleCustom}

func weakValue(p *probe) {
	s, a := p.open(), p.target.Accounts[0]
	was := p.start(s, a)
	op := p.set(a, p.target.Weak)
	if !p.d.Does(sdk.Set) {
		op = p.change(a, was, p.target.Weak)
	}
	r := s.apply(p.t.Context(), op)
	p.wantRefused(r, "a weak value", sdk.PolicyViolation)
	p.wantHolds(a, was, "a refusal by policy")
	if r.Err == nil {
		return
	}
	for _, v := range r.Err.Violations {
		if !slices.Contains(rules, v.Rule) {
			p.fail("violation of %q: the contract has no such rule; use custom and Native", v.Rule)
		}
	}
}

func historyIsKept(p *probe) {
	s, a := p.open(), p.target.Accounts[0]
	first := p.start(s, a)
	last := p.value()
	next := func(old, v string) sdk.Operation {
		if p.d.Does(sdk.Set) {
			return p.set(a, v)
		}
		return p.change(a, old, v)
	}
	if r := s.apply(p.t.Context(), next(first, last)); !ok(r) {
		p.stop("a second value: %s, want applied", said(r))
	}
	r := s.apply(p.t.Context(), next(last, first))
	p.wantRefused(r, "a value from before", sdk.PolicyViolation)
	if r.Err != nil && !remembered(r) {
		p.fail("a value from before: violations %+v, want the rule history", r.Err.Violations)
	}
	p.wantHolds(a, last, "a refusal by history")
}

// remembered reports whether a refusal may be about a value from before.
func remembered(r sdk.Receipt) bool {
	return r.Err != nil && slices.ContainsFunc(r.Err.Violations, func(v sdk.Violation) bool {
		return slices.Contains([]sdk.Rule{sdk.RuleHistory, sdk.RuleSameAsCurrent, sdk.RuleOpaque}, v.Rule)
	})
}

func nonsense(p *probe) {
	s, a := p.open(), p.target.Accounts[0]
	was := p.start(s, a)
	edit := func(f func(*sdk.Operation)) sdk.Operation {
		op := p.anyOp(a, p.value())
		f(&op)
		return op
	}
	for what, op := range map[string]sdk.Operation{
		"an empty account":        edit(func(o *sdk.Operation) { o.Account = "" }),
		"an unknown verb":         edit(func(o *sdk.Operation) { o.Verb = "delete" }),
		"an unknown kind":         edit(func(o *sdk.Operation) { o.Kind = "no-such-kind" }),
		"an unknown hash format":  edit(func(o *sdk.Operation) { o.HashFormat = "no-such-format" }),
		"an absent value":         edit(func(o *sdk.Operation) { o.Value = secret.Value{} }),
		"an empty value":          edit(func(o *sdk.Operation) { o.Value = secret.New("") }),
		"a verb without its data": edit(func(o *sdk.Operation) { o.Verb, o.Value = sdk.Unlock, secret.Value{} }),
	} {
		p.wantRefused(s.apply(p.t.Context(), op), what, sdk.InvalidOperation, sdk.Unsupported, sdk.PolicyViolation, sdk.AccountNotFound)
		p.wantHolds(a, was, what)
	}
	for _, v := range []sdk.Verb{sdk.Set, sdk.Change} {
		if !p.d.Does(v) {
			op := p.change(a, was, p.value())
			op.Verb = v
			p.wantRefused(s.apply(p.t.Context(), op), string(v)+", which is not declared", sdk.Unsupported)
		}
	}
}

// hostile are names that mean something to careless code.
func hostile(account string) []string {
	return []string{"*", "", " ", account + " ", " " + account, account + "*", account + "\n", account + ":x", account + ",dc=x", account + "/../" + account,
		`x" OR "1"="1`, "x' OR '1'='1", `x'; DROP TABLE users; --`, ")(uid=*", "../../../../etc/passwd", "%00", "%2e%2e/", "$(id)", "<a>&amp;", strings.Repeat("n", 5000), "-h", "\u202enna"}
}

func hostileNames(p *probe) {
	s := p.open()
	held := map[string]string{}
	for _, a := range p.target.Accounts {
		if p.d.Does(sdk.Set) {
			held[a] = p.start(s, a)
		} else {
			held[a] = p.target.Present
		}
	}
	for _, name := range hostile(p.target.Accounts[0]) {
		if slices.Contains(p.target.Accounts, name) {
			continue
		}
		r := s.apply(p.t.Context(), p.anyOp(name, p.value()))
		if r.Outcome == sdk.Unknown {
			p.fail("account %.40q: %s, want applied or refused", name, said(r))
		}
		if p.can(sdk.CanFind) {
			if found, err := s.find(p.t.Context(), name); err == nil && slices.Contains(p.target.Accounts, found.Account) {
				p.fail("Find of account %.40q found %q", name, found.Account)
			}
		}
	}
	for a, v := range held {
		p.wantHolds(a, v, "operations on accounts with hostile names")
	}
}
