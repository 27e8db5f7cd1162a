package lang

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/rekey-host/rekey/host/diag"
)

// Misuse is a mistake of a script. It gets the place of the call or attribute
// that raised it later.
type Misuse diag.Problem

// Mistake returns a misuse.
func Mistake(message, fix string) *Misuse { return &Misuse{Message: message, Fix: fix} }

// Error joins message and fix.
func (m *Misuse) Error() string { return diag.Problem(*m).Text() }

// Unknown is the misuse of a name out of the known ones: what, the
// name in quotes, and the nearest of them, or fix where none is near.
func Unknown(what, name string, known []string, fix string) *Misuse {
	if near := diag.DidYouMean(name, known); near != "" {
		fix = near
	}
	return &Misuse{Message: fmt.Sprintf("%s %q", what, name), Fix: fix}
}

// NoColumn is the misuse of a column that the users do not have.
func NoColumn(name string, columns []string) *Misuse {
	return Unknown("the users have no column", name, columns, "it has "+strings.Join(columns, ", "))
}

// NoWave is the misuse of a wave that the script does not have.
func NoWave(name string, waves []string) *Misuse {
	return Unknown("there is no wave", name, waves, "it has "+Listed(Quoted(waves)))
}

// Listed joins names for a message: "a, b or c".
func Listed(names []string) string {
	switch last := len(names) - 1; last {
	case -1:
		return "nothing"
	case 0:
		return names[0]
	default:
		return strings.Join(names[:last], ", ") + " or " + names[last]
	}
}

// Quoted returns the words in quotes.
func Quoted(words []string) []string {
	all := make([]string, len(words))
	for i, word := range words {
		all[i] = strconv.Quote(word)
	}
	return all
}

// Prefixed returns the names with a prefix.
func Prefixed(prefix string, names []string) []string {
	all := make([]string, len(names))
	for i, name := range names {
		all[i] = prefix + name
	}
	return all
}
