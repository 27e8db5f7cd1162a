package source_test

import (
	"testing"

	"github.com/rekey-host/rekey/host/source"
	"pgregory.net/rapid"
)

func TestFoldMakesKeysOfOneUserEqual(t *testing.T) {
	tests := []struct{ name, a, b string }{
		{"case", "Ann", "aNN"},
		{"composed and not", "\u00e9", "e\u0301"},
		{"case and form", "\u00c9", "e\u0301"},
		{"sharp s", "STRASSE", "straße"},
		{"cherokee", "\u13a0", "\uab70"},
		{"final sigma", "ΣΑΣ", "σας"},
		{"folding that takes apart", "\u01f0", "J\u030c"},
	}
	for _, c := range tests {
		t.Run(c.name, func(t *testing.T) {
			if a, b := source.Fold(c.a), source.Fold(c.b); a != b {
				t.Errorf("Fold(%q) = %q, Fold(%q) = %q, want the same", c.a, a, c.b, b)
			}
		})
	}
	if source.Fold("ann") == source.Fold("anne") {
		t.Error("Fold makes two users one")
	}
}

func TestFoldIsStable(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		once := source.Fold(rapid.String().Draw(t, "key"))
		if twice := source.Fold(once); twice != once {
			t.Fatalf("Fold(%q) = %q", once, twice)
		}
	})
}
