// Package near tells how much two names differ, for every "did you mean". It
// knows letters; which names there are, and how near is near enough, it leaves
// to those who ask.
package near

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
