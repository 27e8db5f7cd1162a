package engine

import (
	"testing"

	"github.com/rekey-host/rekey/host/journal"
	"github.com/rekey-host/rekey/host/ledger"
	"github.com/rekey-host/rekey/sdk"
)

// TestTheStampBeforeATryIsThatOfTheLastKnownState of the same account: what may
// have changed it since leaves none.
func TestTheStampBeforeATryIsThatOfTheLastKnownState(t *testing.T) {
	record := func(r ledger.Record, stamp string) ledger.Record {
		r.Backend, r.Account, r.Detail.Stamp = "a", "ann", stamp
		return r
	}
	found := record(ledger.Record{Kind: ledger.Answer, Verb: journal.Find, Outcome: sdk.Applied}, "found")
	intent := record(ledger.Record{Kind: ledger.Intent, Step: 2, Try: 1, Verb: journal.Set}, "")
	applied := record(ledger.Record{Kind: ledger.Outcome, Verb: journal.Set, Outcome: sdk.Applied}, "applied")
	unknown := record(ledger.Record{Kind: ledger.Outcome, Verb: journal.Set, Outcome: sdk.Unknown}, "")
	refused := record(ledger.Record{Kind: ledger.Outcome, Verb: journal.Set, Outcome: sdk.Refused}, "refused")
	missed := record(ledger.Record{Kind: ledger.Answer, Verb: journal.Find, Outcome: sdk.Refused}, "none")
	verified := record(ledger.Record{Kind: ledger.Answer, Verb: journal.Verify, Outcome: sdk.Applied}, "verified")
	earlier, sameStep, sameTry := intent, intent, intent
	earlier.Step, sameStep.Try, sameTry.Step = 1, 0, 1
	elsewhere := applied
	elsewhere.Backend = "b"
	another := applied
	another.Account = "bob"
	for _, c := range []struct {
		name string
		log  []ledger.Record
		want string
	}{
		{"nothing before", []ledger.Record{intent}, ""},
		{"found before", []ledger.Record{found, intent}, "found"},
		{"applied since", []ledger.Record{found, applied, intent}, "applied"},
		{"unknown since", []ledger.Record{found, unknown, intent}, ""},
		{"refused since", []ledger.Record{found, refused, intent}, "found"},
		{"not found since", []ledger.Record{found, missed, intent}, "found"},
		{"verified since", []ledger.Record{found, verified, intent}, "found"},
		{"another account", []ledger.Record{found, another, intent}, "found"},
		{"another backend", []ledger.Record{found, elsewhere, intent}, "found"},
		{"found after an earlier intent", []ledger.Record{earlier, found, intent}, "found"},
		{"after another try of the step", []ledger.Record{sameStep, found, intent}, "found"},
		{"after the same try of another step", []ledger.Record{sameTry, found, intent}, "found"},
		{"found after it", []ledger.Record{intent, found}, ""},
		{"its intent is not there", []ledger.Record{found}, ""},
	} {
		h := journal.Read(c.log)
		a := h.Attempt(intent.Step, intent.Try)
		if a == nil {
			a = &journal.Attempt{Intent: &intent}
		}
		if got := stampBefore(h, a); got != c.want {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
}
