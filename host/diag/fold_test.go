package diag_test

import (
	"testing"

	"github.com/rekey-host/rekey/host/diag"
	"pgregory.net/rapid"
)

func TestFoldMakesNamesOfOneUserEqual(t *testing.T) {
	tests := []struct{ name, a, b string }{
		{"case", "Ann", "aNN"},
		{"composed and not", "\u00e9", "e\u0301"},
		{"case and form", "\u00c9", "e\u0301"},
		{"sharp s", "STRASSE", "straße"},
		{"capital sharp s", "STRA\u1e9eE", "strasse"},
		{"cherokee", "\u13a0", "\uab70"},
		{"final sigma", "ΣΑΣ", "σας"},
		{"two sigmas", "σς", "ΣΣ"},
		{"ligature", "\ufb01", "FI"},
		{"folding that takes apart", "\u01f0", "J\u030c"},
		{"full width", "\uff21\uff4e\uff4e", "ann"},
		{"kelvin", "\u212a", "k"},
		{"iota below", "\u1fb3", "\u0391\u0399"},
		{"mark order", "a\u0323\u0307", "A\u0307\u0323"},
		{"jamo", "\u1112\u1161\u11ab", "\ud55c"},
	}
	for _, c := range tests {
		t.Run(c.name, func(t *testing.T) {
			if a, b := diag.Fold(c.a), diag.Fold(c.b); a != b {
				t.Errorf("Fold(%q) = %q, Fold(%q) = %q, want the same", c.a, a, c.b, b)
			}
		})
	}
	for _, c := range [][2]string{{"ann", "anne"}, {"é", "e"}, {"ı", "i"}, {"ann", "\u0430nn"}} {
		if diag.Fold(c[0]) == diag.Fold(c[1]) {
			t.Errorf("Fold makes %q and %q one", c[0], c[1])
		}
	}
}

func TestFoldIsStable(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		once := diag.Fold(rapid.String().Draw(t, "name"))
		if twice := diag.Fold(once); twice != once {
			t.Fatalf("Fold(%q) = %q", once, twice)
		}
	})
}

func TestFoldIsStableForEveryCharacter(t *testing.T) {
	for r := rune(0); r <= 0x10ffff; r++ {
		if once := diag.Fold(string(r)); diag.Fold(once) != once {
			t.Errorf("Fold(%U) = %q, and again %q", r, once, diag.Fold(once))
		}
	}
}
