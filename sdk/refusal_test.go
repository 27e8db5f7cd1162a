package sdk_test

import (
	"testing"

	"github.com/rekey-host/rekey/sdk"
	"github.com/rekey-host/rekey/sdk/secret"
)

func TestWhatIsNotDeclaredIsRefused(t *testing.T) {
	t.Parallel()
	value, yes, no := secret.New("a value"), true, false
	described := sdk.Description{Verbs: []sdk.Verb{sdk.Set, sdk.Unlock}, Kinds: []sdk.Kind{{Name: "web"}}, HashFormats: []string{"bcrypt"}, Options: []sdk.Field{{Name: "notify"}}, MustChange: &no, Abilities: []sdk.Ability{sdk.CanVerify}}
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
		{"a verify", sdk.Operation{Verb: sdk.Verify, Kind: "web", Value: value}, ""},
		{"a verify of another kind", sdk.Operation{Verb: sdk.Verify, Kind: "pin", Value: value}, sdk.InvalidOperation},
		{"a verify of no kind", sdk.Operation{Verb: sdk.Verify, Value: value}, sdk.InvalidOperation},
		{"a verify of no value", sdk.Operation{Verb: sdk.Verify, Kind: "web"}, sdk.InvalidOperation},
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

// TestAVerifyIsAnAbility: it is refused without that, and stands among no verbs.
func TestAVerifyIsAnAbility(t *testing.T) {
	t.Parallel()
	op := sdk.Operation{Verb: sdk.Verify, Account: "ann", Value: secret.New("a value")}
	for _, described := range []sdk.Description{{}, {Verbs: []sdk.Verb{sdk.Verify}}, {Abilities: []sdk.Ability{sdk.CanFind}}} {
		if failure := described.Refusal(op); failure == nil || failure.Code != sdk.Unsupported {
			t.Errorf("verbs %q, abilities %q: %v, want Unsupported", described.Verbs, described.Abilities, failure)
		}
	}
}

// TestAChangeNeedsItsOldValue: an absent one is refused; an empty one may be what an
// account has.
func TestAChangeNeedsItsOldValue(t *testing.T) {
	t.Parallel()
	described := sdk.Description{Verbs: []sdk.Verb{sdk.Set, sdk.Change}}
	op := sdk.Operation{Verb: sdk.Change, Account: "ann", Value: secret.New("a value")}
	if failure := described.Refusal(op); failure == nil || failure.Code != sdk.InvalidOperation {
		t.Errorf("a change without the old value: %v, want InvalidOperation", failure)
	}
	op.Old = secret.New("")
	if failure := described.Refusal(op); failure != nil {
		t.Errorf("a change from an empty value: %v", failure)
	}
	op.Verb, op.Old = sdk.Set, secret.Value{}
	if failure := described.Refusal(op); failure != nil {
		t.Errorf("a set without an old value: %v", failure)
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
