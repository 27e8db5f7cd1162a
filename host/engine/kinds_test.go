package engine

import (
	"context"
	"strings"
	"testing"

	"github.com/rekey-host/rekey/sdk"
)

// TestTheKindOfAGeneratedValueIsChecked before any user fails of it.
func TestTheKindOfAGeneratedValueIsChecked(t *testing.T) {
	phones := sdk.Description{Name: "phones", Kinds: []sdk.Kind{{Name: "sip"}, {Name: "web"}}}
	c := newRun(t.Context(), Job{Clock: fastClock{}, Backends: []Backend{{Label: "odin", Description: phones}, {Label: "ldap"}}})
	for _, tt := range []struct {
		name string
		step GenerateStep
		want string // of the fault; "": none
	}{
		{"missing, so the rules are asked without", GenerateStep{}, ""},
		{"wrong", GenerateStep{Kind: "fax"}, `backend "odin" has no credential of kind "fax"; it has sip, web`},
		{"missing for the generator", GenerateStep{Generator: "odin"}, `kind is missing`},
		{"wrong for the generator", GenerateStep{Generator: "odin", Kind: "fax"}, `"fax"`},

		{"right", GenerateStep{Kind: "sip"}, ""},
		{"right for the generator", GenerateStep{Kind: "web", Generator: "odin"}, ""},
		{"none, for who has none", GenerateStep{Targets: []string{"ldap"}}, ""},
		{"for one that has only one", GenerateStep{Kind: "sip", Targets: []string{"ldap"}}, ""},
		{"for nobody", GenerateStep{Targets: []string{}}, ""},
	} {
		f := c.ofKind(tt.step)
		switch {
		case tt.want == "" && f != nil:
			t.Errorf("%s: %s", tt.name, f.Message)
		case tt.want != "" && (f == nil || !f.Static || !strings.Contains(f.Message, tt.want)):
			t.Errorf("%s: %v, want %q", tt.name, f, tt.want)
		}
	}
}

// choosy has no rules for a value without a kind.
type choosy struct{ *target }

func (choosy) Policy(_ context.Context, _, kind string) (sdk.Policy, error) {
	if kind == "" {
		return sdk.Policy{}, sdk.Errorf(sdk.InvalidOperation, "kind %q: want sip or web", kind)
	}
	return sdk.Policy{}, nil
}

// TestAMissingKindIsADefectOfTheScript where the backend's rules want one: it is
// found at plan.
func TestAMissingKindIsADefectOfTheScript(t *testing.T) {
	be := newTarget(t, newBook(1)).backend("odin")
	be.Instance, be.Abilities = choosy{}, append(be.Abilities, sdk.CanPolicy)
	be.Description.Kinds = []sdk.Kind{{Name: "sip"}, {Name: "web"}}
	r := &recipes{backends: []Backend{be}, policies: &policies{known: map[[2]string]sdk.Policy{}}, known: map[recipeKey]*recipe{}}
	_, err := r.of(t.Context(), GenerateStep{})
	if f := generateFault(err); !f.Static || f.Message != `generate: kind is missing: backend "odin" has sip, web; give one, or name other targets` {
		t.Errorf("got %+v", f)
	}
	if _, err := r.of(t.Context(), GenerateStep{Kind: "sip"}); err != nil {
		t.Error(err)
	}
}
