package backendtest

import (
	"fmt"
	"slices"
	"strings"

	"github.com/rekey-host/rekey/sdk"
	"github.com/rekey-host/rekey/sdk/secret"
)

func missingAccount(probe *probe) {
	subject := probe.open()
	probe.wantRefused(subject.apply(probe.t.Context(), anyOp(probe, probe.target.Missing, probe.value())), "an operation on a missing account", sdk.AccountNotFound)
	if probe.can(sdk.CanReset) {
		probe.wantRefused(subject.ask(probe.t.Context(), probe.op(sdk.Reset, probe.target.Missing, "")), "reset of a missing account", sdk.AccountNotFound)
	}
	if probe.can(sdk.CanFind) {
		_, err := subject.find(probe.t.Context(), probe.target.Missing)
		probe.wantCode(err, "Find of a missing account", sdk.AccountNotFound)
	}
}

func refusingAccounts(probe *probe) {
	subject := probe.open()
	for account, code := range probe.target.Refusing {
		receipt := subject.apply(probe.t.Context(), anyOp(probe, account, probe.value()))
		probe.wantRefused(receipt, fmt.Sprintf("an operation on account %q", account), code)
		if code == sdk.AccountStatus && receipt.Err != nil && receipt.Err.AccountStatus == sdk.StatusUnknown {
			probe.fail("account %q: AccountStatus does not say which", account)
		}
	}
}

var rules = []sdk.Rule{sdk.RuleMinLength, sdk.RuleMaxLength, sdk.RuleLetters, sdk.RuleLower, sdk.RuleUpper, sdk.RuleDigits, sdk.RuleSymbols,
	sdk.RuleNonLetters, sdk.RuleClasses, sdk.RuleForbidden, sdk.RuleMaxRepeat, sdk.RuleMaxSequence, sdk.RuleContainsName, sdk.RuleContainsWord,
	sdk.RuleSameAsCurrent, sdk.RuleHistory, sdk.RuleMinAge, sdk.RuleChangeCount, sdk.RuleDictionary, sdk.RuleQuality, sdk.RuleEncoding, sdk.RuleOpaque, sdk.RuleCustom}

func weakValue(probe *probe) {
	subject, text := probe.open(), probe.target.Accounts[0]
	was := known(probe, subject, text)
	op := probe.set(text, probe.target.Weak)
	if !probe.d.Does(sdk.Set) {
		op = probe.change(text, was, probe.target.Weak)
	}
	receipt := subject.apply(probe.t.Context(), op)
	probe.wantRefused(receipt, "a weak value", sdk.PolicyViolation)
	probe.wantHolds(text, was, "a refusal by policy")
	if receipt.Err == nil {
		return
	}
	for _, violation := range receipt.Err.Violations {
		if !slices.Contains(rules, violation.Rule) {
			probe.fail("violation of %q: the contract has no such rule; use custom and Native", violation.Rule)
		}
	}
}

func historyIsKept(probe *probe) {
	subject, text := probe.open(), probe.target.Accounts[0]
	first := known(probe, subject, text)
	last := probe.value()
	next := func(old, value string) sdk.Operation {
		if probe.d.Does(sdk.Set) {
			return probe.set(text, value)
		}
		return probe.change(text, old, value)
	}
	if receipt := subject.apply(probe.t.Context(), next(first, last)); !ok(receipt) {
		probe.stop("a second value: %s, want applied", said(receipt))
	}
	r := subject.apply(probe.t.Context(), next(last, first))
	probe.wantRefused(r, "a value from before", sdk.PolicyViolation)
	if r.Err != nil && !remembered(r) {
		probe.fail("a value from before: violations %+v, want the rule history", r.Err.Violations)
	}
	probe.wantHolds(text, last, "a refusal by history")
}

// remembered reports whether a refusal may be about a value from before.
func remembered(receipt sdk.Receipt) bool {
	return receipt.Err != nil && slices.ContainsFunc(receipt.Err.Violations, func(violation sdk.Violation) bool {
		return slices.Contains([]sdk.Rule{sdk.RuleHistory, sdk.RuleSameAsCurrent, sdk.RuleOpaque}, violation.Rule)
	})
}

func nonsense(probe *probe) {
	subject, text := probe.open(), probe.target.Accounts[0]
	was := known(probe, subject, text)
	edit := func(call func(*sdk.Operation)) sdk.Operation {
		op := anyOp(probe, text, probe.value())
		call(&op)
		return op
	}
	for what, op := range map[string]sdk.Operation{
		"an empty account":        edit(func(op *sdk.Operation) { op.Account = "" }),
		"an unknown verb":         edit(func(op *sdk.Operation) { op.Verb = "delete" }),
		"an unknown kind":         edit(func(op *sdk.Operation) { op.Kind = "no-such-kind" }),
		"an unknown hash format":  edit(func(op *sdk.Operation) { op.HashFormat = "no-such-format" }),
		"an absent value":         edit(func(op *sdk.Operation) { op.Value = secret.Value{} }),
		"an empty value":          edit(func(op *sdk.Operation) { op.Value = secret.New("") }),
		"a verb without its data": edit(func(op *sdk.Operation) { op.Verb, op.Value = sdk.Unlock, secret.Value{} }),
	} {
		probe.wantRefused(subject.apply(probe.t.Context(), op), what, sdk.InvalidOperation, sdk.Unsupported, sdk.PolicyViolation, sdk.AccountNotFound)
		probe.wantHolds(text, was, what)
	}
	for _, verb := range []sdk.Verb{sdk.Set, sdk.Change} {
		if !probe.d.Does(verb) {
			op := probe.change(text, was, probe.value())
			op.Verb = verb
			probe.wantRefused(subject.apply(probe.t.Context(), op), string(verb)+", which is not declared", sdk.Unsupported)
		}
	}
}

// hostile are names that mean something to careless code.
func hostile(account string) []string {
	runes := []rune(account)
	cut := string(runes[:len(runes)-1])
	return []string{"%", cut + "_", cut + "?", cut, "^" + account, ".*", "*", "", " ", account + " ", " " + account, account + "*", account + "\n", account + ":x", account + ",dc=x", account + "/../" + account,
		`x" OR "1"="1`, "x' OR '1'='1", `x'; DROP TABLE users; --`, ")(uid=*", "../../../../etc/passwd", "%00", "%2e%2e/", "$(id)", "<a>&amp;", strings.Repeat("n", 5000), "-h", "\u202enna"}
}

func hostileNames(probe *probe) {
	subject := probe.open()
	held := map[string]string{}
	for _, text := range probe.target.Accounts {
		if probe.d.Does(sdk.Set) {
			held[text] = known(probe, subject, text)
		} else {
			held[text] = probe.target.Present
		}
	}
	for _, name := range hostile(probe.target.Accounts[0]) {
		if slices.Contains(probe.target.Accounts, name) {
			continue
		}
		receipt := subject.apply(probe.t.Context(), anyOp(probe, name, probe.value()))
		if receipt.Outcome == sdk.Unknown {
			probe.fail("account %.40q: %s, want applied or refused", name, said(receipt))
		}
		if probe.can(sdk.CanFind) {
			if found, err := subject.find(probe.t.Context(), name); err == nil && slices.Contains(probe.target.Accounts, found.Account) {
				probe.fail("Find of account %.40q found %q", name, found.Account)
			}
		}
	}
	for text, value := range held {
		probe.wantHolds(text, value, "operations on accounts with hostile names")
	}
}
