package sdk_test

import (
	"strings"
	"testing"
	"time"

	"github.com/rekey-host/rekey/sdk"
	"github.com/rekey-host/rekey/sdk/secret"
)

func TestFillTakesEveryTypeAsAPluginWantsIt(t *testing.T) {
	for _, c := range []struct {
		field sdk.Field
		given any
		want  string // "" where it is taken
	}{
		{sdk.Field{Type: sdk.Int}, 3.0, ""},
		{sdk.Field{Type: sdk.Int}, 3.5, "f: got a number, want a whole number"},
		{sdk.Field{Type: sdk.Bool}, "yes", "f: got a string, want True or False"},
		{sdk.Field{Type: sdk.Duration}, "1h30m", ""},
		{sdk.Field{Type: sdk.Duration}, "-5s", `f: "-5s" is not a duration; write 30s, 5m or 1h30m`},
		{sdk.Field{Type: sdk.List}, []any{"a", "b"}, ""},
		{sdk.Field{Type: sdk.List}, []any{"a", 1}, "f: got a list, want a list of strings"},
		{sdk.Field{Type: sdk.Secret}, "s3cret", ""},
		{sdk.Field{Type: sdk.String}, secret.New("s3cret"), "f: got a secret, want a string"},
		{sdk.Field{Type: sdk.Choice, Choices: []string{"bcrypt", "sha512"}}, "bcript", `f: "bcript" is not one of bcrypt, sha512; did you mean "bcrypt"?`},
		{sdk.Field{Type: sdk.String, Required: true}, nil, "f is required"},
		{sdk.Field{Type: sdk.String}, nil, ""},
	} {
		c.field.Name = "f"
		_, problems := sdk.Fill([]sdk.Field{c.field}, map[string]any{"f": c.given})
		var got []string
		for _, p := range problems {
			got = append(got, p.Error())
		}
		if text := strings.Join(got, "; "); text != c.want {
			t.Errorf("%s of %T: %q, want %q", c.field.Type, c.given, text, c.want)
		}
	}
}

func TestASettingThatIsAbsentIsZero(t *testing.T) {
	values, problems := sdk.Fill([]sdk.Field{{Name: "a", Type: sdk.Duration, Default: "5s"}, {Name: "b", Type: sdk.Int, Conflicts: []string{"a"}}}, map[string]any{"a": "1s", "b": 2})
	c := sdk.Config{Values: values}
	if len(problems) != 1 || problems[0].Error() != "b and a cannot be given together; leave one of them out" {
		t.Errorf("problems %v", problems)
	}
	if c.Duration("a") != time.Second || c.Int("b") != 2 || c.Text("c") != "" || c.Bool("c") || c.List("c") != nil || c.Secret("c").Present() {
		t.Errorf("got %v", values)
	}
}
