package hashlog

import (
	"strings"
	"testing"
)

// TestALeafHasEachNameOnce, spelled as it is: other decoders would take another of
// two than was verified.
func TestALeafHasEachNameOnce(t *testing.T) {
	for text, want := range map[string]string{
		`{"shows":{"a":1},"public":"YQ=="}`:                  "",
		`{"shows":{"a":2},"Shows":{"a":1},"public":"YQ=="}`:  `the field "Shows"`,
		`{"shows":{"a":2},"public":"YQ==","shows":{"a":1}}`:  `the field "shows"`,
		`{"ſhows":{"a":2},"shows":{"a":1},"public":"YQ=="}`:  `the field "ſhows"`,
		`{"shows":{"a":1},"public":"YQ==","comment":"mine"}`: `the field "comment"`,
		`["shows"]`: "want an object",
	} {
		var l leaf
		err := l.read([]byte(text))
		if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", text, err, want)
		}
	}
}
