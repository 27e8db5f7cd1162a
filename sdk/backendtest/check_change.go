package backendtest

import (
	"fmt"
	"strings"

	"github.com/rekey-host/rekey/sdk"
	"github.com/rekey-host/rekey/sdk/secret"
)

func setTakesEffect(p *probe) {
	s, v := p.open(), p.value()
	r := p.give(s, p.target.Accounts[0], v)
	if r.Outcome != sdk.Applied {
		p.fail("a first set: %v, want applied", r.Outcome)
	}
	p.wantHolds(p.target.Accounts[0], v, "a set")
}

func setReplaces(p *probe) {
	s, a, old, v := p.open(), p.target.Accounts[0], p.value(), p.value()
	p.give(s, a, old)
	p.give(s, a, v)
	p.wantHolds(a, v, "a second set")
	if p.holds(a, p.kind(), old) {
		p.fail("after a second set the first value is still accepted")
	}
}

func othersAreLeftAlone(p *probe) {
	s, v, w := p.open(), p.value(), p.value()
	p.give(s, p.target.Accounts[1], v)
	p.give(s, p.target.Accounts[0], w)
	p.wantHolds(p.target.Accounts[1], v, "a set of another account")
}

// awkward are values that careless code cuts, quotes or decodes.
func awkward() []string {
	return []string{canary, "4A-trailing space ", " leading space-4A", "4A-colon:slash/hash#$1{}", "4A-percent%20%s%n", "4A-dollar$(id)`id`", "4Aa üñí 漢字 🔑", strings.Repeat("long4A-", 12)}
}

func everyCharacterIsKept(p *probe) {
	s, a := p.open(), p.target.Accounts[0]
	was := p.value()
	p.give(s, a, was)
	for _, v := range awkward() {
		op := p.set(a, v)
		if !p.d.Does(sdk.Set) {
			op = p.change(a, was, v)
		}
		r := s.apply(p.t.Context(), op)
		if ok(r) {
			p.wantHolds(a, v, fmt.Sprintf("a value of %d bytes with odd characters (%.8q…)", len(v), v))
			was = v
			continue
		}
		p.wantRefused(r, fmt.Sprintf("a value with odd characters (%.8q…)", v), sdk.PolicyViolation, sdk.InvalidOperation)
	}
}

func everyKind(p *probe) {
	s, a := p.open(), p.target.Accounts[0]
	given := map[string]string{}
	for _, k := range p.d.Kinds {
		op := p.set(a, p.valueOf(k.Name))
		op.Kind, given[k.Name] = k.Name, op.Value.Reveal()
		if r := s.apply(p.t.Context(), op); !ok(r) {
			p.stop("set of kind %q: %s, want applied", k.Name, said(r))
		}
	}
	for kind, v := range given {
		if !p.holds(a, kind, v) {
			p.fail("kind %q: the target does not accept its value after all kinds were set", kind)
		}
	}
}

func hashedValues(p *probe) {
	s, a := p.open(), p.target.Accounts[0]
	for format, h := range p.target.Hashed {
		op := p.set(a, h.Hash)
		op.HashFormat = format
		if r := s.apply(p.t.Context(), op); !ok(r) {
			p.fail("set of a value hashed as %q: %s, want applied", format, said(r))
			continue
		}
		p.wantHolds(a, h.Value, "a set of a value hashed as "+format)
	}
}

func mustChange(p *probe) {
	s, a, yes := p.open(), p.target.Accounts[0], true
	op := p.set(a, p.value())
	op.MustChange = &yes
	r := s.apply(p.t.Context(), op)
	if !ok(r) {
		p.wantRefused(r, "a set with must_change", sdk.Unsupported, sdk.InvalidOperation)
		return
	}
	if !p.can(sdk.CanFind) {
		return
	}
	found, err := s.find(p.t.Context(), a)
	if err != nil {
		p.stop("Find: %v", err)
	}
	if found.MustChange != nil && !*found.MustChange {
		p.fail("after a set with must_change Find says that the owner need not change it")
	}
}

func changeTakesEffect(p *probe) {
	s, a, v := p.open(), p.target.Accounts[0], p.value()
	old := p.start(s, a)
	r := s.apply(p.t.Context(), p.change(a, old, v))
	if !ok(r) {
		p.stop("change from the present value: %s, want applied", said(r))
	}
	p.wantHolds(a, v, "a change")
}

// start makes sure that the account's present value is known.
func (p *probe) start(s subject, account string) string {
	if !p.d.Does(sdk.Set) {
		return p.target.Present
	}
	v := p.value()
	p.give(s, account, v)
	return v
}

func changeNeedsOld(p *probe) {
	s, a := p.open(), p.target.Accounts[0]
	old, v := p.start(s, a), p.value()
	r := s.apply(p.t.Context(), p.change(a, p.value(), v))
	p.wantRefused(r, "change from a value that is not the present one", sdk.WrongCurrentPassword)
	p.wantHolds(a, old, "a refused change")
	op := p.change(a, old, v)
	op.Old = secret.Value{}
	p.wantRefused(s.apply(p.t.Context(), op), "change without the old value", sdk.InvalidOperation, sdk.WrongCurrentPassword, sdk.Unsupported)
}

func resetTells(p *probe) {
	s, a := p.open(), p.target.Accounts[0]
	old := ""
	if p.d.Does(sdk.Set) {
		old = p.start(s, a)
	}
	r := s.reset(p.t.Context(), p.op(sdk.Reset, a, ""))
	switch {
	case !ok(r):
		p.stop("reset: %s, want applied", said(r))
	case r.Value.Present():
		p.wantHolds(a, r.Value.Reveal(), "a reset, by the value that it told")
	case old != "" && p.holds(a, p.kind(), old):
		p.fail("after a reset the value from before is still accepted")
	}
}

func unlockUnlocks(p *probe) {
	s, v := p.open(), p.value()
	if r := s.unlock(p.t.Context(), p.op(sdk.Unlock, p.target.Locked, "")); !ok(r) {
		p.stop("unlock: %s, want applied", said(r))
	}
	p.give(s, p.target.Locked, v)
	p.wantHolds(p.target.Locked, v, "an unlock and a set")
	if p.target.Missing != "" {
		p.wantRefused(s.unlock(p.t.Context(), p.op(sdk.Unlock, p.target.Missing, "")), "unlock of a missing account", sdk.AccountNotFound)
	}
}

// anyOp is a set where there is one, else a change.
func (p *probe) anyOp(account, value string) sdk.Operation {
	if p.d.Does(sdk.Set) {
		return p.set(account, value)
	}
	return p.change(account, p.target.Present, value)
}
