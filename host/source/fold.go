package source

import (
	"strings"

	"golang.org/x/text/cases"
	"golang.org/x/text/unicode/norm"
)

// Fold returns the form of a key in which two that name the same user are
// equal: Unicode's composed form (NFC), with the case folded. It is a form to
// compare, not to show.
func Fold(key string) string {
	for i := range len(key) {
		if key[i] >= 0x80 {
			// Lower case first: the folding swaps the two cases of Cherokee
			// instead of joining them. And it can take a composed character
			// apart.
			return norm.NFC.String(cases.Fold().String(strings.ToLower(norm.NFC.String(key))))
		}
	}
	return strings.ToLower(key)
}
