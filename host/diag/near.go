package diag

import (
	"fmt"
	"strings"
	"unicode/utf8"
)

// DidYouMean returns a fix that names the candidate nearest to name, or "".
// A distant candidate is never shown.
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
// neighbours from first to second (Damerau and Levenshtein, each place edited once), in
// letters, not bytes. Case counts.
func Distance(first, second string) int {
	one, other := []rune(first), []rune(second)
	last, row, next := make([]int, len(other)+1), make([]int, len(other)+1), make([]int, len(other)+1)
	for index := range row {
		row[index] = index
	}
	for i, letter := range one {
		next[0] = i + 1
		for index, char := range other {
			cost := 1
			if letter == char {
				cost = 0
			}
			next[index+1] = min(row[index]+cost, row[index+1]+1, next[index]+1)
			if i > 0 && index > 0 && letter == other[index-1] && one[i-1] == char {
				next[index+1] = min(next[index+1], last[index-1]+1)
			}
		}
		last, row, next = row, next, last
	}
	return row[len(other)]
}
