package source

import (
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/rekey-host/rekey/host/internal/near"
)

// didYouMean returns a fix that names the candidate nearest to name, or "".
// Candidates that are not near are never shown: where a file lacks its header
// line, the first user stands for it.
func didYouMean(name string, candidates []string) string {
	length := utf8.RuneCountInString(name)
	best, least := "", min(length, 1+max(1, length/3)) // one letter is like every other
	for _, c := range candidates {
		if strings.EqualFold(c, name) {
			best = c
			break
		}
		if d := near.Distance(strings.ToLower(name), strings.ToLower(c)); d < least {
			best, least = c, d
		}
	}
	if best == "" {
		return ""
	}
	return fmt.Sprintf("did you mean %q?", best)
}
