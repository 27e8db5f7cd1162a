package lang

import (
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/rekey-host/rekey/host/internal/near"
)

// DidYouMean returns a fix that names the candidate nearest to name, or "".
func DidYouMean(name string, candidates []string) string {
	best := Nearest(name, candidates)
	if best == "" {
		return ""
	}
	return fmt.Sprintf("did you mean %q?", best)
}

// Nearest returns the candidate that differs least from name, the first of
// several; "" if none is near.
func Nearest(name string, candidates []string) string {
	length := utf8.RuneCountInString(name)
	best, least := "", min(length, 1+max(1, length/3)) // one letter is like every other
	for _, c := range candidates {
		if strings.EqualFold(c, name) {
			return c
		}
		if d := near.Distance(strings.ToLower(name), strings.ToLower(c)); d < least {
			best, least = c, d
		}
	}
	return best
}
