// Package diag is what the host says of problems, and how it compares the
// names that it is given.
//
// It knows text; which names there are, and the meaning of two equal ones, it
// leaves to those who ask.
package diag

import (
	"strings"
	"unicode/utf8"

	"golang.org/x/text/cases"
	"golang.org/x/text/unicode/norm"
)

// Fold returns the form of a name in which those that systems take for one are
// equal: Unicode's compatible composed form (NFKC), with the case folded, so
// that straße is STRASSE, σς is ΣΣ, and the ligature of fi is FI. It is a form
// to compare, not to show, and folding it again changes nothing.
func Fold(name string) string {
	for i := range len(name) {
		if name[i] >= utf8.RuneSelf {
			return folded(name)
		}
	}
	return strings.ToLower(name)
}

// folded is Fold beyond ASCII. A folding can make letters that compose, or
// that fold again, so it is done until nothing changes; three times have
// sufficed for every character and pair of them.
func folded(name string) string {
	const most = 8
	for range most {
		next := foldOnce(name)
		if next == name {
			break
		}
		name = next
	}
	return name
}

// foldOnce folds lower case first: the folding swaps the two cases of Cherokee
// instead of joining them.
func foldOnce(name string) string {
	return norm.NFKC.String(cases.Fold().String(strings.ToLower(norm.NFKC.String(name))))
}
