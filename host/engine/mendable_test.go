package engine

import (
	"testing"

	"github.com/rekey-host/rekey/host/journal"
	"github.com/rekey-host/rekey/sdk"
)

func TestOnlyWhatHitsEveryUserEndsAPlan(t *testing.T) {
	for _, tt := range []struct {
		name string
		in   journal.Verdict
		want bool
	}{
		{"nothing", journal.Verdict{}, false},
		{"failed()", journal.Verdict{Kind: journal.SaidFailed}, false},
		{"a misspelt name", journal.Verdict{Kind: journal.Raised, Fault: &journal.Fault{Code: journal.ScriptError}}, true},
		{"an index of this row", journal.Verdict{Kind: journal.Raised, Fault: &journal.Fault{Code: journal.ScriptError, OfRow: true}}, false},
		{"a step that the backend lacks", journal.Verdict{Kind: journal.Raised, Fault: static(misuse("cannot reset"))}, true},
		{"an empty value", journal.Verdict{Kind: journal.Raised, Fault: misuse("the value is empty")}, false},
		{"raised, and nobody knows what", journal.Verdict{Kind: journal.Raised}, false},
		{"failed() with what came before", journal.Verdict{Kind: journal.SaidFailed, Fault: &journal.Fault{Code: journal.ScriptError}}, false},
		{"a refusal", journal.Verdict{Kind: journal.Raised, Fault: &journal.Fault{Code: sdk.AccountNotFound}}, false},
	} {
		if got := mendable(tt.in); got != tt.want {
			t.Errorf("%s: %v, want %v", tt.name, got, tt.want)
		}
	}
}
