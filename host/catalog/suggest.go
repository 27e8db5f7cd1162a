package catalog

import (
	"fmt"
	"strings"
)

// unknown is the error of a name that no backend has.
func (c *Catalog) unknown(name string) error {
	names := c.Names()
	best, least := "", 1+max(1, len(name)/3)
	for _, n := range names {
		if d := distance(strings.ToLower(name), n); d < least {
			best, least = n, d
		}
	}
	switch {
	case best != "":
		return fmt.Errorf("there is no backend %q; did you mean %q?", name, best)
	case len(names) == 0:
		return fmt.Errorf("there is no backend %q, and no other", name)
	default:
		return fmt.Errorf("there is no backend %q; there is %s", name, strings.Join(names, ", "))
	}
}

// distance counts the insertions, deletions, replacements and swaps of
// neighbours between two names.
func distance(a, b string) int {
	var before []int // two rows up
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		next := make([]int, len(b)+1)
		next[0] = i + 1
		for j := range len(b) {
			cost := 1
			if a[i] == b[j] {
				cost = 0
			}
			next[j+1] = min(row[j+1]+1, next[j]+1, row[j]+cost)
			if i > 0 && j > 0 && a[i] == b[j-1] && a[i-1] == b[j] {
				next[j+1] = min(next[j+1], before[j-1]+1)
			}
		}
		before, row = row, next
	}
	return row[len(b)]
}
