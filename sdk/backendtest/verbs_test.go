package backendtest

import (
	"slices"
	"strings"
	"testing"

	"github.com/rekey-host/rekey/sdk"
)

// TestEveryVerbHasAPromise: a plugin that can do a verb is tried with it.
func TestEveryVerbHasAPromise(t *testing.T) {
	for _, verb := range append(sdk.AskedVerbs(), sdk.Set, sdk.Change, sdk.Handover) {
		if !slices.ContainsFunc(checks(), func(check check) bool { return strings.HasPrefix(check.name, string(verb)+"/") }) {
			t.Errorf("no check tries the verb %s", verb)
		}
	}
}
