package backendtest

import (
	"fmt"
	"slices"

	"github.com/rekey-host/rekey/sdk"
	"github.com/rekey-host/rekey/sdk/secret"
)

// declared are the abilities of the Description that cross the wire: batches are the sdk's affair.
func declared(probe *probe) []sdk.Ability {
	var list []sdk.Ability
	for _, ability := range probe.d.Abilities {
		if probe.can(ability) && (probe.near || ability != sdk.CanBatch) {
			list = append(list, ability)
		}
	}
	slices.Sort(list)
	return list
}

func abilitiesAreDeclared(probe *probe) {
	have := slices.Clone(probe.open().abilities())
	if !probe.near {
		have = slices.DeleteFunc(have, func(ability sdk.Ability) bool { return ability == sdk.CanBatch })
	}
	slices.Sort(have)
	if want := declared(probe); !slices.Equal(have, want) {
		probe.fail("the instance has the abilities %q, the Description declares %q", have, want)
	}
}

func othersAreUnsupported(probe *probe) {
	subject, ctx, account := probe.open(), probe.t.Context(), probe.target.Accounts[0]
	lacks := func(ability sdk.Ability) bool { return !slices.Contains(subject.abilities(), ability) }
	want := func(ability sdk.Ability, err error) {
		if lacks(ability) {
			probe.wantCode(err, string(ability)+", which the instance lacks", sdk.Unsupported)
		}
	}
	receipt := func(receipt sdk.Receipt) error {
		if receipt.Outcome != sdk.Refused || receipt.Err == nil {
			return fmt.Errorf("%s", said(receipt))
		}
		return receipt.Err
	}
	for _, verb := range sdk.AskedVerbs() {
		if lacks(verb.Ability()) {
			want(verb.Ability(), receipt(subject.ask(ctx, probe.op(verb, account, ""))))
		}
	}
	if lacks(sdk.CanFind) {
		_, err := subject.find(ctx, account)
		want(sdk.CanFind, err)
	}
	if lacks(sdk.CanList) {
		want(sdk.CanList, subject.list(ctx, "", nil, func(sdk.Account) error { return nil }))
	}
	if lacks(sdk.CanResolve) {
		_, err := subject.resolve(ctx, []string{account})
		want(sdk.CanResolve, err)
	}
	if lacks(sdk.CanPolicy) {
		_, err := subject.policy(ctx, account, probe.kind())
		want(sdk.CanPolicy, err)
	}
	if lacks(sdk.CanVerify) {
		_, err := subject.verify(ctx, account, probe.kind(), secret.New("x"))
		want(sdk.CanVerify, err)
	}
	if lacks(sdk.CanGenerate) {
		_, err := subject.generate(ctx, probe.kind(), 1)
		want(sdk.CanGenerate, err)
	}
}
