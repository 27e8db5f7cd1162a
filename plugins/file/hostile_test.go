package file_test

import (
	"encoding/json"
	"os"
	"strings"
	"testing"
	"unicode"

	"github.com/rekey-host/rekey/sdk"
)

// hostileNames are names in a document that careless code would take for something else.
var hostileNames = []string{
	"*", " ", "a ", " a", "a/b", "a~b", "~1", "~0", "/", "", "a.b", "a:b", "a=b", "#a", "[0]", "0", "-1", "a\nb", "a\tb", "a\"b", "'", `\`, `\u0041`, "$HOME", "%s",
	"$(id)", "`id`", "../a", "null", "true", "{a}", "a,b", "- a", "? a", "&a", "!a", "|", ">", "@a", "é", "名前", "🔑", "line\u2028sep", "\u202enna", "-h", "x'; DROP TABLE users; --", strings.Repeat("n", 256),
}

// TestHostileNamesAndValues: of forty names and forty values each value goes to one name
// in make test and each pair meets in make faults; all else in the document stays.
// Names and values with control characters are refused.
func TestHostileNamesAndValues(t *testing.T) {
	all := append([]string{"x", "\x01control", "line\nfeed", "carriage\rreturn", "tab\there", "\u202ereverse", strings.Repeat("y", 72), strings.Repeat("z", 256), "'; DROP TABLE users; --"}, values...)
	held := map[string]string{"beside": "stays"}
	for _, name := range hostileNames {
		held[name] = "old"
	}
	text, err := json.Marshal(held)
	if err != nil {
		t.Fatal(err)
	}
	rounds := 1
	if os.Getenv("REKEY_FAULTS") == "full" {
		rounds = len(all)
	}
	i, path := open(t, string(text), "format", "json")
	place := strings.NewReplacer("~", "~0", "/", "~1")
	for round := range rounds {
		for number, name := range hostileNames {
			value := all[(number+round)%len(all)]
			r := i.Apply(t.Context(), set("/"+place.Replace(name), value))
			switch control := strings.ContainsFunc(name+value, unicode.IsControl); {
			case control && r.Outcome != sdk.Refused, !control && r.Outcome != sdk.Applied:
				t.Fatalf("%q, %q: %v %v", name, value, r.Outcome, r.Err)
			case !control:
				held[name] = value
			}
			wantHeld(t, path, held)
		}
	}
	if len(hostileNames) < 40 || len(all) < 40 {
		t.Errorf("%d names and %d values, want forty of each", len(hostileNames), len(all))
	}
}

// wantHeld reads a document of names and values.
func wantHeld(t *testing.T, path string, held map[string]string) {
	t.Helper()
	found := map[string]string{}
	if err := json.Unmarshal([]byte(read(t, path)), &found); err != nil {
		t.Fatal(err)
	}
	for name, value := range held {
		if found[name] != value {
			t.Fatalf("%q has %q, want %q", name, found[name], value)
		}
	}
}
