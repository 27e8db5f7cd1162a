package backendtest

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/rekey-host/rekey/sdk"
	"github.com/rekey-host/rekey/sdk/secret"
)

func verifyTells(p *probe) {
	s, a, ctx := p.open(), p.target.Accounts[0], p.t.Context()
	v := p.start(s, a)
	for what, x := range map[string]struct {
		value string
		want  []sdk.Verdict
	}{
		"the present value": {v, []sdk.Verdict{sdk.Accepted, sdk.AcceptedMustChange}},
		"another value":     {p.value(), []sdk.Verdict{sdk.Rejected}},
	} {
		got, err := s.verify(ctx, a, p.kind(), secret.New(x.value))
		if err != nil || !slices.Contains(x.want, got) {
			p.fail("Verify of %s: %v, %v, want %v", what, got, err, x.want)
		}
	}
	p.wantHolds(a, v, "two verifies")
	if p.target.Missing == "" {
		return
	}
	got, err := s.verify(ctx, p.target.Missing, p.kind(), secret.New(v))
	if err == nil && (got == sdk.Accepted || got == sdk.AcceptedMustChange) {
		p.fail("Verify of a missing account: %v", got)
	}
}

func verifyCannotTell(p *probe) {
	s, a := p.open(), p.target.Accounts[0]
	v := p.start(s, a)
	for _, value := range []string{v, p.value()} {
		got, err := s.verify(p.t.Context(), a, p.kind(), secret.New(value))
		if e := sdk.AsError(err, ""); got != sdk.CannotTell || e != nil && e.Code != sdk.Unsupported && e.Code != sdk.InvalidOperation {
			p.fail("Verify of kind %q: %v, %v, want cannot-tell or Unsupported", p.kind(), got, err)
		}
	}
}

func findKnows(p *probe) {
	s, a := p.open(), p.target.Accounts[0]
	p.give(s, a, p.value())
	found, err := s.find(p.t.Context(), a)
	if err != nil {
		p.stop("Find: %v", err)
	}
	if found.Account == "" {
		p.fail("Find: Account is empty: operations have to name it")
	}
	if found.Status != sdk.StatusActive && found.Status != sdk.StatusUnknown {
		p.fail("Find: status %v of an account that may be set", found.Status)
	}
	again, err := s.find(p.t.Context(), found.Account)
	if err != nil || again.ID != found.ID {
		p.fail("Find of what Find calls the account: %q, %v, want the id %q", again.ID, err, found.ID)
	}
}

func resolveTells(p *probe) {
	s, names := p.open(), p.target.Accounts
	p.give(s, names[0], p.value())
	asked := append(slices.Clone(names), names[0])
	found, err := s.resolve(p.t.Context(), asked)
	if err != nil || len(found) != len(asked) {
		p.stop("Resolve of %d names: %d identities, %v", len(asked), len(found), err)
	}
	seen := map[[2]string]string{}
	for n, who := range found[:len(names)] {
		if who.Err != nil || who.ID == "" {
			p.fail("Resolve of %q: id %q, %v", names[n], who.ID, who.Err)
		}
		if other, twice := seen[[2]string{who.Target, who.ID}]; twice {
			p.fail("Resolve: %q and %q are one account", other, names[n])
		}
		seen[[2]string{who.Target, who.ID}] = names[n]
	}
	if last := found[len(names)]; last != found[0] {
		p.fail("Resolve of %q twice: %+v and %+v", names[0], found[0], last)
	}
}

func resolveAliases(p *probe) {
	s := p.open()
	for alias, account := range p.target.Aliases {
		found, err := s.resolve(p.t.Context(), []string{alias, account})
		if err != nil || len(found) != 2 || found[0].ID == "" || found[0] != found[1] {
			p.fail("Resolve of %q and %q, which are one account: %+v, %v", alias, account, found, err)
		}
	}
}

func stampsDiffer(p *probe) {
	s, a, ctx := p.open(), p.target.Accounts[0], p.t.Context()
	seen := map[string]bool{}
	for range 3 {
		r := p.give(s, a, p.value())
		if !p.d.Does(sdk.Set) {
			return
		}
		found, err := s.find(ctx, a)
		if err != nil {
			p.stop("Find: %v", err)
		}
		again, err := s.find(ctx, a)
		switch {
		case err != nil || again.Stamp != found.Stamp:
			p.fail("Stamp: %q, then %q without a change (%v)", found.Stamp, again.Stamp, err)
		case found.Stamp == "":
			return // there is no such thing
		case seen[found.Stamp]:
			p.fail("Stamp: %q again after another set", found.Stamp)
		case r.Stamp != "" && r.Stamp != found.Stamp:
			p.fail("Stamp: the receipt says %q, Find %q", r.Stamp, found.Stamp)
		}
		seen[found.Stamp] = true
	}
}

// listed are the accounts that List yields.
func (p *probe) listed(s subject) []sdk.Account {
	var all []sdk.Account
	if err := s.list(p.t.Context(), "", nil, func(a sdk.Account) error { all = append(all, a); return nil }); err != nil {
		p.stop("List: %v", err)
	}
	return all
}

func listYieldsAll(p *probe) {
	s := p.open()
	names := map[string]int{}
	for _, a := range p.listed(s) {
		names[a.Account]++
		names["login "+a.Login]++
		if names[a.Account] > 1 {
			p.fail("List: account %q twice", a.Account)
		}
	}
	for _, a := range p.target.Accounts {
		if names[a] == 0 && names["login "+a] == 0 {
			p.fail("List: account %q is not there", a)
		}
	}
}

func listStops(p *probe) {
	enough := errors.New("enough")
	calls := 0
	err := p.open().list(p.t.Context(), "", nil, func(sdk.Account) error { calls++; return enough })
	if !errors.Is(err, enough) || calls != 1 {
		p.fail("List: %d more calls of yield after its error, and %v instead of it", calls-1, err)
	}
}

func listBreaks(p *probe) {
	ctx, cancel := context.WithCancel(p.t.Context())
	defer cancel()
	n := 0
	s := p.open()
	all := len(p.listed(s))
	err := s.list(ctx, "", nil, func(sdk.Account) error { n++; cancel(); return nil })
	if err == nil && n < all {
		p.fail("List: cancelled after the first account, it ended after %d of %d without an error", n, all)
	}
}

func policyAgrees(p *probe) {
	s, ctx := p.open(), p.t.Context()
	for _, a := range []string{p.target.Accounts[0], ""} {
		pol, err := s.policy(ctx, a, p.kind())
		if err != nil {
			p.fail("Policy of account %q: %v", a, err)
			continue
		}
		if pol.MaxLength > 0 && pol.MinLength > pol.MaxLength {
			p.fail("Policy: lengths from %d to %d", pol.MinLength, pol.MaxLength)
		}
		if p.target.History && pol.History == 0 && pol.Note == "" {
			p.fail("Policy: says nothing of the history that the target keeps")
		}
		if pol.MinLength < 2 {
			continue
		}
		short := "aB3."[:min(4, pol.MinLength-1)]
		r := s.apply(ctx, p.anyOp(p.target.Accounts[1], short))
		p.wantRefused(r, fmt.Sprintf("a value of %d characters where Policy says at least %d", len(short), pol.MinLength), sdk.PolicyViolation)
	}
}

func generateGives(p *probe) {
	s, ctx, a := p.open(), p.t.Context(), p.target.Accounts[0]
	values, err := s.generate(ctx, p.kind(), 5)
	if err != nil || len(values) != 5 {
		p.stop("Generate: %d values, %v, want 5", len(values), err)
	}
	seen := map[string]bool{}
	for _, v := range values {
		if seen[v.Reveal()] || v.Empty() {
			p.fail("Generate: a value twice, or an empty one")
		}
		seen[v.Reveal()] = true
	}
	p.give(s, a, values[0].Reveal())
	p.wantHolds(a, values[0].Reveal(), "a set of a generated value")
}

func checkIsReady(p *probe) {
	for _, f := range p.open().check(p.t.Context()) {
		if f.Severity == sdk.Bad {
			p.fail("Check of a good target: %s: %s", f.Code, f.Message)
		}
		if f.Message == "" {
			p.fail("Check: a finding without a message")
		}
	}
}

func lostTarget(p *probe) {
	s, a := p.open(), p.target.Accounts[0]
	p.start(s, a)
	p.target.Down()
	r := s.apply(p.t.Context(), p.anyOp(a, p.value()))
	// InvalidConfig is what a file that is gone looks like; it too stops a run.
	lost := []sdk.Code{sdk.Unreachable, sdk.TargetUnavailable, sdk.TargetError, sdk.ConnectionLost, sdk.Timeout, sdk.InvalidConfig}
	if ok(r) || r.Err == nil || !slices.Contains(lost, r.Err.Code) {
		p.fail("an operation on a target that is gone: %s, want one of %v", said(r), lost)
	}
	if !p.can(sdk.CanCheck) {
		return
	}
	if !slices.ContainsFunc(s.check(p.t.Context()), func(f sdk.Finding) bool { return f.Severity == sdk.Bad }) {
		p.fail("Check of a target that is gone: nothing bad")
	}
}
