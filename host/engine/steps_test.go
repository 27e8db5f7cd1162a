package engine

import (
	"errors"
	"fmt"
	"testing"

	"github.com/rekey-host/rekey/host/journal"
	"github.com/rekey-host/rekey/sdk"
)

// TestAStepNeedsABackendThatCanTakeIt, and a kind that it has.
func TestAStepNeedsABackendThatCanTakeIt(t *testing.T) {
	be := Backend{Label: "a", Abilities: []sdk.Ability{sdk.CanFind}, Description: sdk.Description{Name: "fake", Verbs: []sdk.Verb{sdk.Set}, Kinds: []sdk.Kind{{Name: "sip"}}}}
	for _, c := range []struct {
		verb, kind string
		want       bool
	}{
		{journal.Set, "sip", true}, {journal.Set, "web", false}, {journal.Change, "sip", false}, {journal.Find, "", true}, {journal.Verify, "sip", false},
		{"rename", "sip", false},
	} {
		if err := needs(be, journal.Step{Verb: c.verb, Kind: c.kind}); (err == nil) != c.want {
			t.Errorf("%s of kind %q: %v", c.verb, c.kind, err)
		}
	}
}

// TestOnlyAUserWhoGoesBackIsCancelled.
func TestOnlyAUserWhoGoesBackIsCancelled(t *testing.T) {
	for _, c := range []struct {
		err  error
		want bool
	}{{nil, false}, {cancelled(), true}, {fmt.Errorf("generate: %w", cancelled()), true}, {misuse("no"), false}, {errors.New("odd"), false}, {sdk.Errorf(sdk.Cancelled, "given up"), false}} {
		if got := isCancelled(c.err); got != c.want {
			t.Errorf("%v: %v, want %v", c.err, got, c.want)
		}
	}
}
