package diag

import (
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// DidYouMean returns a fix that names the candidates nearest to name, every one
// of equal distance, or "". A distant candidate is never shown.
func DidYouMean(name string, candidates []string) string {
	near := nearest(name, candidates)
	if len(near) == 0 {
		return ""
	}
	quoted := make([]string, len(near))
	for i, candidate := range near {
		quoted[i] = strconv.Quote(candidate)
	}
	text := quoted[len(quoted)-1]
	if others := quoted[:len(quoted)-1]; len(others) > 0 {
		text = strings.Join(others, ", ") + " or " + text
	}
	return "did you mean " + text + "?"
}

// Nearest returns the candidate that differs least from name, the first of
// several; "" if all are far.
func Nearest(name string, candidates []string) string {
	if near := nearest(name, candidates); len(near) > 0 {
		return near[0]
	}
	return ""
}

// maxNear is how many candidates are shown: more say that the name resembles
// nothing.
const maxNear = 4

// nearest returns the candidates that differ least from name, in their order,
// each once; nil if all are far. One that differs in case only comes alone.
func nearest(name string, candidates []string) (best []string) {
	length := utf8.RuneCountInString(name)
	if length == 0 {
		return nil
	}
	least := min(length, 1+max(1, length/3)) - 1 // one letter resembles every other
	for _, candidate := range candidates {
		if strings.EqualFold(candidate, name) {
			return []string{candidate}
		}
		distance := Distance(strings.ToLower(name), strings.ToLower(candidate))
		if distance < least {
			best, least = nil, distance
		}
		if distance == least && len(best) < maxNear && !slices.Contains(best, candidate) {
			best = append(best, candidate)
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
