package engine

import (
	"testing"

	"github.com/rekey-host/rekey/host/ledger"
	"github.com/rekey-host/rekey/sdk"
)

// TestAGeneratedValueIsInUseWhileAnAccountMayHaveIt.
func TestAGeneratedValueIsInUseWhileAnAccountMayHaveIt(t *testing.T) {
	intent := func(step, origin int, backend string) ledger.Record {
		return ledger.Record{Kind: ledger.Intent, Step: step, Origin: origin, Backend: backend, Account: "ann", Verb: verbSet}
	}
	outcome := func(step int, o sdk.Outcome, verb, backend string) ledger.Record {
		return ledger.Record{Kind: ledger.Outcome, Step: step, Outcome: o, Backend: backend, Account: "ann", Verb: verb}
	}
	for _, c := range []struct {
		name string
		log  []ledger.Record
		want bool
	}{
		{"nothing was sent", nil, false},
		{"open", []ledger.Record{intent(2, 1, "a")}, true},
		{"another value", []ledger.Record{intent(2, 4, "a"), outcome(2, sdk.Applied, verbSet, "a")}, false},
		{"refused", []ledger.Record{intent(2, 1, "a"), outcome(2, sdk.Refused, verbSet, "a")}, false},
		{"applied", []ledger.Record{intent(2, 1, "a"), outcome(2, sdk.Applied, verbSet, "a")}, true},
		{"unknown", []ledger.Record{intent(2, 1, "a"), outcome(2, sdk.Unknown, verbSet, "a")}, true},
		{"applied at one, refused at the other", []ledger.Record{intent(2, 1, "a"), outcome(2, sdk.Applied, verbSet, "a"), intent(3, 1, "b"), outcome(3, sdk.Refused, verbSet, "b")}, true},
		{"reverted", []ledger.Record{intent(2, 1, "a"), outcome(2, sdk.Applied, verbSet, "a"), outcome(4, sdk.Applied, verbRevert, "a")}, false},
		{"reverted elsewhere", []ledger.Record{intent(2, 1, "a"), outcome(2, sdk.Applied, verbSet, "a"), outcome(4, sdk.Applied, verbRevert, "b")}, true},
		{"a revert of unknown end", []ledger.Record{intent(2, 1, "a"), outcome(2, sdk.Applied, verbSet, "a"), outcome(4, sdk.Unknown, verbRevert, "a")}, true},
	} {
		if got := (&Steps{log: c.log}).inUse(1); got != c.want {
			t.Errorf("%s: %v, want %v", c.name, got, c.want)
		}
	}
}
