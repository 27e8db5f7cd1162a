package journal

import (
	"slices"
	"testing"

	"github.com/rekey-host/rekey/sdk"
)

// table is what design says of every verb.
var table = []Traits{
	{Verb: "set", Operation: sdk.Set, Kinded: true, Carries: true, Changes: true},
	{Verb: "change", Operation: sdk.Change, Kinded: true, Carries: true, Changes: true},
	{Verb: "reset", Operation: sdk.Reset, Ability: sdk.CanReset, Kinded: true, Changes: true},
	{Verb: "verify", Ability: sdk.CanVerify, Kinded: true, Ages: true},
	{Verb: "find", Ability: sdk.CanFind, Looks: true},
	{Verb: "unlock", Operation: sdk.Unlock, Ability: sdk.CanUnlock},
	{Verb: "revoke", Operation: sdk.Revoke, Ability: sdk.CanRevoke, Ages: true},
	{Verb: "handover", Operation: sdk.Handover, Kinded: true, Carries: true, Changes: true},
	{Verb: "revert", Operation: sdk.Set, Kinded: true, Carries: true, Changes: true},
}

func TestEveryVerbHasItsTraits(t *testing.T) {
	for _, want := range table {
		if got, ok := TraitsOf(want.Verb); !ok || got != want {
			t.Errorf("%s: got %+v %v, want %+v", want.Verb, got, ok, want)
		}
	}
	if len(verbs) != len(table) {
		t.Errorf("there are %d verbs, the test knows %d", len(verbs), len(table))
	}
}

// TestEveryVerbOfPluginsIsAStep: what plugins can do, a script can ask for.
func TestEveryVerbOfPluginsIsAStep(t *testing.T) {
	for _, verb := range append(sdk.AskedVerbs(), sdk.Set, sdk.Change, sdk.Handover) {
		if !slices.ContainsFunc(verbs[:], func(traits Traits) bool { return traits.Operation == verb && traits.Ability == verb.Ability() }) {
			t.Errorf("no verb of steps is carried out by %s", verb)
		}
	}
}

func TestAnUnknownVerbDoesNothing(t *testing.T) {
	for _, verb := range []string{"", "generate", "Set", "delete"} {
		if got, ok := TraitsOf(verb); ok || got != (Traits{Verb: verb}) {
			t.Errorf("%q: %+v %v", verb, got, ok)
		}
	}
}

// TestAStepThatCarriesAValueChangesACredentialOfAKind: what is sealed must be
// what a credential may have.
func TestAStepThatCarriesAValueChangesACredentialOfAKind(t *testing.T) {
	for _, v := range verbs {
		if v.Carries && !v.Changes || v.Changes && (!v.Kinded || v.Operation == "") || v.Looks && (v.Kinded || v.Changes) {
			t.Errorf("%+v", v)
		}
	}
}

// TestAnInstanceCanDoWhatItsPluginDescribes: by its verbs where the verb needs
// no ability, and by the ability alone where it does.
func TestAnInstanceCanDoWhatItsPluginDescribes(t *testing.T) {
	for _, c := range []struct {
		verb      string
		does      []sdk.Verb
		abilities []sdk.Ability
		want      bool
	}{
		{Set, []sdk.Verb{sdk.Set}, nil, true},
		{Set, []sdk.Verb{sdk.Change}, []sdk.Ability{sdk.CanVerify, sdk.CanReset}, false},
		{Revert, []sdk.Verb{sdk.Set}, nil, true},
		{Handover, []sdk.Verb{sdk.Set}, nil, false},
		{Handover, []sdk.Verb{sdk.Handover}, nil, true},
		{Change, []sdk.Verb{sdk.Set}, nil, false},
		{Change, []sdk.Verb{sdk.Set, sdk.Change}, nil, true},
		{Reset, []sdk.Verb{sdk.Reset}, nil, false},
		{Reset, []sdk.Verb{sdk.Reset}, []sdk.Ability{sdk.CanReset}, true},
		{Verify, nil, []sdk.Ability{sdk.CanFind, sdk.CanVerify}, true},
		{Verify, nil, []sdk.Ability{sdk.CanFind}, false},
		{Find, nil, []sdk.Ability{sdk.CanFind}, true},
		{Find, nil, nil, false},
		{Unlock, []sdk.Verb{sdk.Unlock}, nil, false},
		{Unlock, nil, []sdk.Ability{sdk.CanUnlock}, true},
	} {
		traits, _ := TraitsOf(c.verb)
		if got := traits.Can(sdk.Description{Verbs: c.does}, c.abilities); got != c.want {
			t.Errorf("%s with %v and %v: %v, want %v", c.verb, c.does, c.abilities, got, c.want)
		}
	}
}

// TestTheHostsCodesAreItsOwn: they never change, and no plugin may answer with
// one.
func TestTheHostsCodesAreItsOwn(t *testing.T) {
	want := []sdk.Code{"ScriptError", "ScriptFailed", "Diverged", "DuplicateAccount"}
	if got := HostCodes(); !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	for _, code := range want {
		if slices.Contains(sdk.Codes(), code) {
			t.Errorf("a plugin may answer %s too", code)
		}
		if code.Unsent() || code.Transient() || code.Definite() {
			t.Errorf("%s is said to pass, or to speak of what was sent", code)
		}
	}
}
