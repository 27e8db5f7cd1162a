package sqlite

import (
	"fmt"
	"strings"
)

// gaps are the missing numbers from 1 to a last one in an ascending
// sequence, in words.
type gaps struct {
	next  int64
	parts []string
	more  int
}

// maxGaps is how many of them are named.
const maxGaps = 8

// seen takes the next present number.
func (g *gaps) seen(n int64) {
	if n > g.next+1 {
		g.lack(g.next+1, n-1)
	}
	g.next = n
}

// end takes the last number that there should be.
func (g *gaps) end(last int64) { g.seen(last + 1) }

func (g *gaps) lack(from, to int64) {
	switch {
	case len(g.parts) >= maxGaps:
		g.more++
	case from == to:
		g.parts = append(g.parts, fmt.Sprint(from))
	default:
		g.parts = append(g.parts, fmt.Sprintf("%d to %d", from, to))
	}
}

// String returns "3, 17 to 40 and 5 more places".
func (g *gaps) String() string {
	text := strings.Join(g.parts, ", ")
	if g.more > 0 {
		text += fmt.Sprintf(" and %d more places", g.more)
	}
	return text
}
