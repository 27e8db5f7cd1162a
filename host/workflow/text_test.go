package workflow

import (
	"slices"
	"testing"
)

func TestATextIsCutAtALetter(t *testing.T) {
	for _, tt := range []struct {
		text string
		most int
		want string
	}{
		{"abc", 3, "abc"}, {"abcd", 3, "abc…"}, {"", 0, ""}, {"a", 0, "…"},
		{"éé", 4, "éé"}, {"éé", 3, "é…"}, {"éé", 2, "é…"}, {"éé", 1, "…"},
		{"a€b", 3, "a…"}, {"a€b", 4, "a€…"}, {"\xa9\xa9\xa9", 2, "…"},
	} {
		if got := shorten(tt.text, tt.most); got != tt.want {
			t.Errorf("shorten(%q, %d) = %q, want %q", tt.text, tt.most, got, tt.want)
		}
	}
}

// TestAHalfLetterIsSeen, and what a target puts in the place of one.
func TestAHalfLetterIsSeen(t *testing.T) {
	for text, want := range map[string]bool{"": false, "ann": false, "é": false, "\xc3": true, "a\xffb": true, "a\uFFFDb": true} {
		if got := isGarbled(text); got != want {
			t.Errorf("isGarbled(%q) = %v, want %v", text, got, want)
		}
	}
}

func TestKeysAreSorted(t *testing.T) {
	if got := sortedKeys(map[string]int{"b": 1, "a": 2, "c": 0}); !slices.Equal(got, []string{"a", "b", "c"}) {
		t.Errorf("sortedKeys = %q", got)
	}
}
