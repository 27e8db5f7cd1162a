package diag

import (
	"fmt"
	"strings"
	"unicode/utf8"
)

// DidYouMean returns a fix that names the candidate nearest to name, or "".
// A candidate that is not near is never shown.
func DidYouMean(name string, candidates []string) string {
	best := Nearest(name, candidates)
	if best == "" {
		return ""
	}
	return fmt.Sprintf("did you mean %q?", best)
}

// Nearest returns the candidate that differs least from name, the first of
// several; "" if all are far.
func Nearest(name string, candidates []string) string {
	length := utf8.RuneCountInString(name)
	best, least := "", min(length, 1+max(1, length/3)) // one letter resembles every other
	for _, candidate := range candidates {
		if strings.EqualFold(candidate, name) {
			return candidate
		}
		if distance := Distance(strings.ToLower(name), strings.ToLower(candidate)); distance < least {
			best, least = candidate, distance
		}
	}
	return best
}

// Distance counts the insertions, deletions, substitutions and swaps of
// neighbours from a to b (Damerau and Levenshtein, each place edited once), in
// letters, not bytes. Case counts.
func Distance(a, b string) int {
	x, y := []rune(a), []rune(b)
	last, row, next := make([]int, len(y)+1), make([]int, len(y)+1), make([]int, len(y)+1)
	for j := range row {
		row[j] = j
	}
	for i, p := range x {
		next[0] = i + 1
		for j, q := range y {
			cost := 1
			if p == q {
				cost = 0
			}
			next[j+1] = min(row[j]+cost, row[j+1]+1, next[j]+1)
			if i > 0 && j > 0 && p == y[j-1] && x[i-1] == q {
				next[j+1] = min(next[j+1], last[j-1]+1)
			}
		}
		last, row, next = row, next, last
	}
	return row[len(y)]
}
