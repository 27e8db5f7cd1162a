package journal

import (
	"testing"

	"github.com/rekey-host/rekey/sdk"
)

// TestAGeneratedValueIsInUseWhileAnAccountMayHaveIt.
func TestAGeneratedValueIsInUseWhileAnAccountMayHaveIt(t *testing.T) {
	intent := func(step, origin int, backend string) Record {
		return Record{Kind: Intent, Step: step, Origin: origin, Backend: backend, Account: "ann", Verb: Set}
	}
	outcome := func(step int, o sdk.Outcome, verb, backend string) Record {
		return Record{Kind: Outcome, Step: step, Outcome: o, Backend: backend, Account: "ann", Verb: verb}
	}
	for _, c := range []struct {
		name string
		log  []Record
		want bool
	}{
		{"nothing was sent", nil, false},
		{"open", []Record{intent(2, 1, "a")}, true},
		{"another value", []Record{intent(2, 4, "a"), outcome(2, sdk.Applied, Set, "a")}, false},
		{"refused", []Record{intent(2, 1, "a"), outcome(2, sdk.Refused, Set, "a")}, false},
		{"applied", []Record{intent(2, 1, "a"), outcome(2, sdk.Applied, Set, "a")}, true},
		{"unknown", []Record{intent(2, 1, "a"), outcome(2, sdk.Unknown, Set, "a")}, true},
		{"applied at one, refused at the other", []Record{intent(2, 1, "a"), outcome(2, sdk.Applied, Set, "a"), intent(3, 1, "b"), outcome(3, sdk.Refused, Set, "b")}, true},
		{"reverted", []Record{intent(2, 1, "a"), outcome(2, sdk.Applied, Set, "a"), outcome(4, sdk.Applied, Revert, "a")}, false},
		{"reverted elsewhere", []Record{intent(2, 1, "a"), outcome(2, sdk.Applied, Set, "a"), outcome(4, sdk.Applied, Revert, "b")}, true},
		{"a revert of unknown end", []Record{intent(2, 1, "a"), outcome(2, sdk.Applied, Set, "a"), outcome(4, sdk.Unknown, Revert, "a")}, true},
	} {
		if got := Read(c.log).InUse(1); got != c.want {
			t.Errorf("%s: %v, want %v", c.name, got, c.want)
		}
	}
}
