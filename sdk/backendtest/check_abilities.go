package backendtest

import (
	"fmt"
	"slices"

	"github.com/rekey-host/rekey/sdk"
	"github.com/rekey-host/rekey/sdk/secret"
)

// farAbilities are those that cross the wire: batches are the sdk's affair.
func (p *probe) declared() []sdk.Ability {
	var list []sdk.Ability
	for _, a := range p.d.Abilities {
		if p.can(a) && (p.near || a != sdk.CanBatch) {
			list = append(list, a)
		}
	}
	slices.Sort(list)
	return list
}

func abilitiesAreDeclared(p *probe) {
	have := slices.Clone(p.open().abilities())
	if !p.near {
		have = slices.DeleteFunc(have, func(a sdk.Ability) bool { return a == sdk.CanBatch })
	}
	slices.Sort(have)
	if want := p.declared(); !slices.Equal(have, want) {
		p.fail("the instance has the abilities %q, the Description declares %q", have, want)
	}
}

func othersAreUnsupported(p *probe) {
	s, ctx, account := p.open(), p.t.Context(), p.target.Accounts[0]
	lacks := func(a sdk.Ability) bool { return !slices.Contains(s.abilities(), a) }
	want := func(a sdk.Ability, err error) {
		if lacks(a) {
			p.wantCode(err, string(a)+", which the instance lacks", sdk.Unsupported)
		}
	}
	receipt := func(r sdk.Receipt) error {
		if r.Outcome != sdk.Refused || r.Err == nil {
			return fmt.Errorf("%s", said(r))
		}
		return r.Err
	}
	if lacks(sdk.CanReset) {
		want(sdk.CanReset, receipt(s.reset(ctx, p.op(sdk.Reset, account, ""))))
	}
	if lacks(sdk.CanUnlock) {
		want(sdk.CanUnlock, receipt(s.unlock(ctx, p.op(sdk.Unlock, account, ""))))
	}
	if lacks(sdk.CanFind) {
		_, err := s.find(ctx, account)
		want(sdk.CanFind, err)
	}
	if lacks(sdk.CanList) {
		want(sdk.CanList, s.list(ctx, "", nil, func(sdk.Account) error { return nil }))
	}
	if lacks(sdk.CanResolve) {
		_, err := s.resolve(ctx, []string{account})
		want(sdk.CanResolve, err)
	}
	if lacks(sdk.CanPolicy) {
		_, err := s.policy(ctx, account, p.kind())
		want(sdk.CanPolicy, err)
	}
	if lacks(sdk.CanVerify) {
		_, err := s.verify(ctx, account, p.kind(), secret.New("x"))
		want(sdk.CanVerify, err)
	}
	if lacks(sdk.CanGenerate) {
		_, err := s.generate(ctx, p.kind(), 1)
		want(sdk.CanGenerate, err)
	}
}
