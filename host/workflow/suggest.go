package workflow

import (
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/rekey-host/rekey/host/internal/near"
)

// didYouMean returns a fix that names the candidate nearest to name, or "".
func didYouMean(name string, candidates []string) string {
	best := nearest(name, candidates)
	if best == "" {
		return ""
	}
	return fmt.Sprintf("did you mean %q?", best)
}

// nearest returns the candidate that differs least from name, the first of
// several; "" if none is near.
func nearest(name string, candidates []string) string {
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

// listed joins names for a message: "a, b or c".
func listed(names []string) string {
	switch n := len(names); n {
	case 0:
		return "nothing"
	case 1:
		return names[0]
	default:
		return strings.Join(names[:n-1], ", ") + " or " + names[n-1]
	}
}
