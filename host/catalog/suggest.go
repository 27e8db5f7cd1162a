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

// distance counts the insertions, deletions and replacements between two names.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		last := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := 1
			if a[i] == b[j] {
				cost = 0
			}
			last, row[j+1] = row[j+1], min(row[j+1]+1, row[j]+1, last+cost)
		}
	}
	return row[len(b)]
}
