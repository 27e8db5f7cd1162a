package sdk_test

import (
	"strings"
	"testing"

	"github.com/rekey-host/rekey/sdk"
	"github.com/rekey-host/rekey/sdk/secret"
)

// TestPasswordsAreTriedByHowLikelyTheyAre, each once.
func TestPasswordsAreTriedByHowLikelyTheyAre(t *testing.T) {
	p := sdk.NewPasswords([]secret.Value{secret.New("b"), secret.New("a")}, secret.New("configured"))
	is := func(want string) {
		t.Helper()
		var got []string
		for _, value := range p.Values() {
			got = append(got, value.Reveal())
		}
		if text := strings.Join(got, " "); text != want {
			t.Errorf("got %s, want %s", text, want)
		}
	}
	is("b a configured")
	before := p.Values()
	p.Prefer(secret.New("configured"))
	is("configured b a")
	p.Expect(secret.New("c"))
	is("configured c b a")
	p.Expect(secret.New("a"))
	is("configured a c b")
	p.Prefer(secret.New("c"))
	is("c configured a b")
	if before[0].Reveal() != "b" {
		t.Error("values that were given out have changed")
	}
	p = sdk.NewPasswords(nil, secret.New("only"))
	p.Expect(secret.New("only"))
	is("only")
}
