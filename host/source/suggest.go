package source

import (
	"fmt"
	"strings"
	"unicode/utf8"
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
		if d := distance([]rune(strings.ToLower(name)), []rune(strings.ToLower(c))); d < least {
			best, least = c, d
		}
	}
	if best == "" {
		return ""
	}
	return fmt.Sprintf("did you mean %q?", best)
}

// distance counts the insertions, deletions and substitutions from a to b.
func distance(a, b []rune) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i, x := range a {
		before := row[0]
		row[0] = i + 1
		for j, y := range b {
			cost := before
			if x != y {
				cost = 1 + min(before, row[j], row[j+1])
			}
			before, row[j+1] = row[j+1], cost
		}
	}
	return row[len(b)]
}
