package sdk_test

import (
	"slices"
	"testing"

	"github.com/rekey-host/rekey/sdk"
	"github.com/rekey-host/rekey/sdk/memory"
)

// TestTheVerbsThatAreAsked have an ability and a method of their own, which the
// bundled trial backend has for each.
func TestTheVerbsThatAreAsked(t *testing.T) {
	backend := memory.New()
	instance, err := backend.Configure(t.Context(), sdk.Config{Values: map[string]any{}})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = instance.Close() }()
	seen := map[sdk.Ability]sdk.Verb{}
	for _, verb := range sdk.AskedVerbs() {
		ability := verb.Ability()
		if ability == "" || seen[ability] != "" {
			t.Errorf("%s: the ability %q is empty or that of %s", verb, ability, seen[ability])
		}
		seen[ability] = verb
		if sdk.MethodOf(instance, verb) == nil || !slices.Contains(sdk.AbilitiesOf(instance), ability) || !backend.Describe().Does(verb) {
			t.Errorf("%s: the memory backend lacks %s", verb, verb.Method())
		}
	}
	for _, verb := range []sdk.Verb{"", sdk.Set, sdk.Change, sdk.Verify, "delete"} {
		if verb.Ability() != "" || sdk.MethodOf(instance, verb) != nil {
			t.Errorf("%q has an ability or a method", verb)
		}
	}
}
