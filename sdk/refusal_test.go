package sdk_test

import (
	"testing"

	"github.com/rekey-host/rekey/sdk"
	"github.com/rekey-host/rekey/sdk/secret"
)

func TestWhatIsNotDeclaredIsRefused(t *testing.T) {
	t.Parallel()
	value, yes, no := secret.New("a value"), true, false
	described := sdk.Description{Verbs: []sdk.Verb{sdk.Set, sdk.Unlock}, Kinds: []sdk.Kind{{Name: "web"}}, HashFormats: []string{"bcrypt"}, Options: []sdk.Field{{Name: "notify"}}, MustChange: &no}
	for _, x := range []struct {
		name string
		op   sdk.Operation
		want sdk.Code
	}{
		{"declared", sdk.Operation{Verb: sdk.Set, Kind: "web", Value: value, HashFormat: "bcrypt", Options: map[string]any{"notify": true}}, ""},
		{"a verb without a value", sdk.Operation{Verb: sdk.Unlock, Kind: "web"}, ""},
		{"a verb of the account, without a kind", sdk.Operation{Verb: sdk.Unlock}, ""},
		{"a change that is not wanted", sdk.Operation{Verb: sdk.Set, Kind: "web", Value: value, MustChange: &no}, ""},
		{"a change that cannot be asked for", sdk.Operation{Verb: sdk.Set, Kind: "web", Value: value, MustChange: &yes}, sdk.Unsupported},
		{"a hash for a verb without a value", sdk.Operation{Verb: sdk.Unlock, HashFormat: "bcrypt"}, sdk.Unsupported},
		{"another verb", sdk.Operation{Verb: sdk.Change, Kind: "web", Value: value}, sdk.Unsupported},
		{"another kind", sdk.Operation{Verb: sdk.Set, Kind: "pin", Value: value}, sdk.InvalidOperation},
		{"no kind", sdk.Operation{Verb: sdk.Set, Value: value}, sdk.InvalidOperation},
		{"another hash format", sdk.Operation{Verb: sdk.Set, Kind: "web", Value: value, HashFormat: "md5"}, sdk.Unsupported},
		{"no value", sdk.Operation{Verb: sdk.Set, Kind: "web"}, sdk.InvalidOperation},
		{"another option", sdk.Operation{Verb: sdk.Set, Kind: "web", Value: value, Options: map[string]any{"colour": "red"}}, sdk.InvalidOperation},
	} {
		x.op.Account = "ann"
		failure := described.Refusal(x.op)
		if x.want == "" && failure != nil || x.want != "" && (failure == nil || failure.Code != x.want) {
			t.Errorf("%s: %v, want %q", x.name, failure, x.want)
		}
		x.op.Attempt = 2
		if again := described.Refusal(x.op); (again == nil) != (failure == nil) || again != nil && again.Code.Definite() {
			t.Errorf("%s, at a second attempt: %v, want a refusal that says nothing of the first", x.name, again)
		}
	}
	if failure := described.Refusal(sdk.Operation{Verb: sdk.Set, Kind: "web", Value: value}); failure == nil || failure.Code != sdk.InvalidOperation {
		t.Errorf("no account: %v, want InvalidOperation", failure)
	}
}

// TestWhatIsNotSaidOfMustChangeIsTheBackendsToSay: an older plugin's description has
// no word of it.
func TestWhatIsNotSaidOfMustChangeIsTheBackendsToSay(t *testing.T) {
	t.Parallel()
	yes := true
	for _, said := range []*bool{nil, &yes} {
		described := sdk.Description{Verbs: []sdk.Verb{sdk.Set}, MustChange: said}
		if failure := described.Refusal(sdk.Operation{Verb: sdk.Set, Account: "ann", Value: secret.New("a value"), MustChange: &yes}); failure != nil {
			t.Errorf("declared %v: %v", said, failure)
		}
	}
}
