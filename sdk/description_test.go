package sdk_test

import (
	"context"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/rekey-host/rekey/sdk"
	"github.com/rekey-host/rekey/sdk/secret"
)

// TestWhatAnInstanceReaches: what a description names, else all but secrets.
func TestWhatAnInstanceReaches(t *testing.T) {
	t.Parallel()
	fields := []sdk.Field{{Name: "url", Type: sdk.URL}, {Name: "base", Type: sdk.String}, {Name: "cost", Type: sdk.Int}, {Name: "password", Type: sdk.Secret}}
	all := map[string]any{"url": "ldap://x", "base": "dc=x", "cost": int64(3), "password": "no", "no setting": 1}
	for _, x := range []struct {
		target []string
		values map[string]any
		want   string
	}{
		{nil, all, "base cost url"},
		{[]string{"url"}, all, "url"},
		{[]string{"url", "base"}, all, "base url"},
		{[]string{"password"}, all, ""},
		{[]string{"url", "base"}, map[string]any{"url": "ldap://x"}, "url"},
		{nil, nil, ""},
	} {
		got := sdk.Description{Config: fields, Target: x.target}.Reaches(x.values)
		if names := strings.Join(slices.Sorted(maps.Keys(got)), " "); names != x.want {
			t.Errorf("%q of %v: %s, want %s", x.target, x.values, names, x.want)
		}
	}
}

// half is an instance that cannot verify with its settings.
type half struct{ whole }

func (*half) Lacks() []sdk.Ability { return []sdk.Ability{sdk.CanVerify} }

type whole struct{}

func (whole) Apply(context.Context, sdk.Operation) sdk.Receipt { return sdk.Receipt{} }
func (whole) Close() error                                     { return nil }
func (whole) Verify(context.Context, string, string, secret.Value) (sdk.Verdict, error) {
	return sdk.CannotTell, nil
}
func (whole) Check(context.Context) []sdk.Finding { return nil }

func TestAPartialInstanceLacksAbilitiesOfItsType(t *testing.T) {
	if got := sdk.AbilitiesOf(whole{}); !slices.Equal(got, []sdk.Ability{sdk.CanVerify, sdk.CanCheck}) {
		t.Errorf("%v", got)
	}
	if got := sdk.AbilitiesOf(&half{}); !slices.Equal(got, []sdk.Ability{sdk.CanCheck}) {
		t.Errorf("%v, want what it does not lack", got)
	}
}
