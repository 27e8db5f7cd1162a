package workflow

import (
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/rekey-host/rekey/host/visible"
)

// shorten cuts a text at a character.
func shorten(text string, most int) string {
	if len(text) <= most {
		return text
	}
	for most > 0 && !utf8.RuneStart(text[most]) {
		most--
	}
	return text[:most] + "…"
}

// harmless shows characters that a terminal would obey, and invisible ones.
func harmless(line string) string { return visible.Escape(line) }

// halfLetter is the fix of a text cut inside of a letter.
const halfLetter = "text[0] is a byte, which may be half a letter: take list(text.codepoints())[0]"

// isGarbled reports whether a text was cut inside of a letter, or went through
// something that left a mark in the place of one.
func isGarbled(text string) bool {
	return !utf8.ValidString(text) || strings.ContainsRune(text, utf8.RuneError)
}

// maxReason is how many bytes of a reason are kept.
const maxReason = 4 << 10

// sortedKeys returns the keys of a map in their order.
func sortedKeys[V any](dict map[string]V) []string {
	var keys []string
	for key := range dict {
		keys = append(keys, key)
	}
	slices.Sort(keys)
	return keys
}
