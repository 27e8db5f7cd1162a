package engine

import (
	"testing"

	"github.com/rekey-host/rekey/sdk"
)

func TestOnlyWhatHitsEveryUserEndsAPlan(t *testing.T) {
	for _, tt := range []struct {
		name string
		in   Verdict
		want bool
	}{
		{"nothing", Verdict{}, false},
		{"failed()", Verdict{Kind: SaidFailed}, false},
		{"a misspelt name", Verdict{Kind: Raised, Fault: &Fault{Code: ScriptError}}, true},
		{"an index of this row", Verdict{Kind: Raised, Fault: &Fault{Code: ScriptError, OfRow: true}}, false},
		{"a step that the backend lacks", Verdict{Kind: Raised, Fault: static(misuse("cannot reset"))}, true},
		{"an empty value", Verdict{Kind: Raised, Fault: misuse("the value is empty")}, false},
		{"raised, and nobody knows what", Verdict{Kind: Raised}, false},
		{"failed() with what came before", Verdict{Kind: SaidFailed, Fault: &Fault{Code: ScriptError}}, false},
		{"a refusal", Verdict{Kind: Raised, Fault: &Fault{Code: sdk.AccountNotFound}}, false},
	} {
		if got := mendable(tt.in); got != tt.want {
			t.Errorf("%s: %v, want %v", tt.name, got, tt.want)
		}
	}
}
