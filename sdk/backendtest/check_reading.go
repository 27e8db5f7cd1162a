package backendtest

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/rekey-host/rekey/sdk"
	"github.com/rekey-host/rekey/sdk/secret"
)

func verifyTells(probe *probe) {
	subject, text, ctx := probe.open(), probe.target.Accounts[0], probe.t.Context()
	name := known(probe, subject, text)
	for what, x := range map[string]struct {
		value string
		want  []sdk.Verdict
	}{
		"the present value": {name, []sdk.Verdict{sdk.Accepted, sdk.AcceptedMustChange}},
		"another value":     {probe.value(), []sdk.Verdict{sdk.Rejected}},
	} {
		got, err := subject.verify(ctx, text, probe.kind(), secret.New(x.value))
		if err != nil || !slices.Contains(x.want, got) {
			probe.fail("Verify of %s: %v, %v, want %v", what, got, err, x.want)
		}
	}
	probe.wantHolds(text, name, "two verifies")
	if probe.target.Missing == "" {
		return
	}
	got, err := subject.verify(ctx, probe.target.Missing, probe.kind(), secret.New(name))
	if err == nil && (got == sdk.Accepted || got == sdk.AcceptedMustChange) {
		probe.fail("Verify of a missing account: %v", got)
	}
}

func verifyCannotTell(probe *probe) {
	subject, text := probe.open(), probe.target.Accounts[0]
	name := known(probe, subject, text)
	for _, value := range []string{name, probe.value()} {
		got, err := subject.verify(probe.t.Context(), text, probe.kind(), secret.New(value))
		if failure := sdk.AsError(err, ""); got != sdk.CannotTell || failure != nil && failure.Code != sdk.Unsupported && failure.Code != sdk.InvalidOperation {
			probe.fail("Verify of kind %q: %v, %v, want cannot-tell or Unsupported", probe.kind(), got, err)
		}
	}
}

func findKnows(probe *probe) {
	subject, text := probe.open(), probe.target.Accounts[0]
	probe.give(subject, text, probe.value())
	found, err := subject.find(probe.t.Context(), text)
	if err != nil {
		probe.stop("Find: %v", err)
	}
	if found.Account == "" {
		probe.fail("Find: Account is empty: operations have to name it")
	}
	if found.Status != sdk.StatusActive && found.Status != sdk.StatusUnknown {
		probe.fail("Find: status %v of an account that may be set", found.Status)
	}
	again, err := subject.find(probe.t.Context(), found.Account)
	if err != nil || again.ID != found.ID {
		probe.fail("Find of what Find calls the account: %q, %v, want the id %q", again.ID, err, found.ID)
	}
}

func resolveTells(probe *probe) {
	subject, names := probe.open(), probe.target.Accounts
	probe.give(subject, names[0], probe.value())
	asked := append(slices.Clone(names), names[0])
	found, err := subject.resolve(probe.t.Context(), asked)
	if err != nil || len(found) != len(asked) {
		probe.stop("Resolve of %d names: %d identities, %v", len(asked), len(found), err)
	}
	seen := map[[2]string]string{}
	for index, who := range found[:len(names)] {
		if who.Err != nil || who.ID == "" {
			probe.fail("Resolve of %q: id %q, %v", names[index], who.ID, who.Err)
		}
		if other, twice := seen[[2]string{who.Target, who.ID}]; twice {
			probe.fail("Resolve: %q and %q are one account", other, names[index])
		}
		seen[[2]string{who.Target, who.ID}] = names[index]
	}
	if last := found[len(names)]; last != found[0] {
		probe.fail("Resolve of %q twice: %+v and %+v", names[0], found[0], last)
	}
}

func resolveAliases(probe *probe) {
	subject := probe.open()
	for alias, account := range probe.target.Aliases {
		found, err := subject.resolve(probe.t.Context(), []string{alias, account})
		if err != nil || len(found) != 2 || found[0].ID == "" || found[0] != found[1] {
			probe.fail("Resolve of %q and %q, which are one account: %+v, %v", alias, account, found, err)
		}
	}
}

func stampsDiffer(probe *probe) {
	subject, text, ctx := probe.open(), probe.target.Accounts[0], probe.t.Context()
	seen := map[string]bool{}
	for range 3 {
		receipt := probe.give(subject, text, probe.value())
		if !probe.d.Does(sdk.Set) {
			return
		}
		found, err := subject.find(ctx, text)
		if err != nil {
			probe.stop("Find: %v", err)
		}
		again, err := subject.find(ctx, text)
		switch {
		case err != nil || again.Stamp != found.Stamp:
			probe.fail("Stamp: %q, then %q without a change (%v)", found.Stamp, again.Stamp, err)
		case found.Stamp == "":
			return // the target has nothing like it
		case seen[found.Stamp]:
			probe.fail("Stamp: %q again after another set", found.Stamp)
		case receipt.Stamp != "" && receipt.Stamp != found.Stamp:
			probe.fail("Stamp: the receipt says %q, Find %q", receipt.Stamp, found.Stamp)
		}
		seen[found.Stamp] = true
	}
}

// listed are the accounts that List yields.
func listed(probe *probe, subject subject) []sdk.Account {
	var all []sdk.Account
	if err := subject.list(probe.t.Context(), "", nil, func(account sdk.Account) error { all = append(all, account); return nil }); err != nil {
		probe.stop("List: %v", err)
	}
	return all
}

func listYieldsAll(probe *probe) {
	subject := probe.open()
	names := map[string]int{}
	for _, account := range listed(probe, subject) {
		names[account.Account]++
		names["login "+account.Login]++
		if names[account.Account] > 1 {
			probe.fail("List: account %q twice", account.Account)
		}
	}
	for _, text := range probe.target.Accounts {
		if names[text] == 0 && names["login "+text] == 0 {
			probe.fail("List: account %q is not there", text)
		}
	}
}

func listStops(probe *probe) {
	enough := errors.New("enough")
	calls := 0
	err := probe.open().list(probe.t.Context(), "", nil, func(sdk.Account) error { calls++; return enough })
	if !errors.Is(err, enough) || calls != 1 {
		probe.fail("List: %d more calls of yield after its error, and %v instead of it", calls-1, err)
	}
}

func listBreaks(probe *probe) {
	ctx, cancel := context.WithCancel(probe.t.Context())
	defer cancel()
	count := 0
	subject := probe.open()
	all := len(listed(probe, subject))
	err := subject.list(ctx, "", nil, func(sdk.Account) error { count++; cancel(); return nil })
	if err == nil && count < all {
		probe.fail("List: cancelled after the first account, it ended after %d of %d without an error", count, all)
	}
}

func policyAgrees(probe *probe) {
	subject, ctx := probe.open(), probe.t.Context()
	for _, text := range []string{probe.target.Accounts[0], ""} {
		pol, err := subject.policy(ctx, text, probe.kind())
		if err != nil {
			probe.fail("Policy of account %q: %v", text, err)
			continue
		}
		if pol.MaxLength > 0 && pol.MinLength > pol.MaxLength {
			probe.fail("Policy: lengths from %d to %d", pol.MinLength, pol.MaxLength)
		}
		if probe.target.History && pol.History == 0 && pol.Note == "" {
			probe.fail("Policy: says nothing of the history that the target keeps")
		}
		if probe.target.Weak != "" && pol.Note == "" {
			probe.policyKnowsWeak(subject, pol)
		}
		if pol.MinLength < 2 {
			continue
		}
		short := "aB3."[:min(4, pol.MinLength-1)]
		receipt := subject.apply(ctx, anyOp(probe, probe.target.Accounts[1], short))
		probe.wantRefused(receipt, fmt.Sprintf("a value of %d characters where Policy says at least %d", len(short), pol.MinLength), sdk.PolicyViolation)
	}
}

// policyKnowsWeak compares a policy with the rules that the target's refusal names.
func (p *probe) policyKnowsWeak(subject subject, pol sdk.Policy) {
	receipt := subject.apply(p.t.Context(), anyOp(p, p.target.Accounts[1], p.target.Weak))
	if receipt.Err == nil {
		return
	}
	said := map[sdk.Rule]bool{
		sdk.RuleMinLength: pol.MinLength > 0, sdk.RuleMaxLength: pol.MaxLength > 0 || pol.MaxBytes > 0, sdk.RuleLetters: pol.Letters > 0, sdk.RuleLower: pol.Lower > 0,
		sdk.RuleUpper: pol.Upper > 0, sdk.RuleDigits: pol.Digits > 0, sdk.RuleSymbols: pol.Symbols > 0, sdk.RuleNonLetters: pol.NonLetters > 0, sdk.RuleClasses: pol.Classes > 0,
	}
	for _, violation := range receipt.Err.Violations {
		if known, counted := said[violation.Rule]; counted && !known {
			p.fail("a weak value is refused by the rule %s, of which Policy says nothing", violation.Rule)
		}
	}
}

func generateGives(probe *probe) {
	subject, ctx, text := probe.open(), probe.t.Context(), probe.target.Accounts[0]
	values, err := subject.generate(ctx, probe.kind(), 5)
	if err != nil || len(values) != 5 {
		probe.stop("Generate: %d values, %v, want 5", len(values), err)
	}
	seen := map[string]bool{}
	for _, value := range values {
		if seen[value.Reveal()] || value.Empty() {
			probe.fail("Generate: a value twice, or an empty one")
		}
		seen[value.Reveal()] = true
	}
	probe.give(subject, text, values[0].Reveal())
	probe.wantHolds(text, values[0].Reveal(), "a set of a generated value")
}

func checkIsReady(probe *probe) {
	for _, finding := range probe.open().check(probe.t.Context()) {
		if finding.Severity == sdk.Bad {
			probe.fail("Check of a good target: %s: %s", finding.Code, finding.Message)
		}
		if finding.Message == "" {
			probe.fail("Check: a finding without a message")
		}
	}
}
