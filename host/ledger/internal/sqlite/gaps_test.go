package sqlite

import "testing"

// TestGapsAreSaidInWords: what is missing of a log is what somebody looks for
// in a backup.
func TestGapsAreSaidInWords(t *testing.T) {
	for _, c := range []struct {
		there []int64
		last  int64
		want  string
	}{
		{[]int64{1, 2, 3}, 3, ""},
		{[]int64{1, 3}, 3, "2"},
		{[]int64{2, 3}, 3, "1"},
		{[]int64{1, 2}, 3, "3"},
		{nil, 40, "1 to 40"},
		{[]int64{3, 10}, 40, "1 to 2, 4 to 9, 11 to 40"},
		{[]int64{2, 4, 6, 8, 10, 12, 14, 16}, 16, "1, 3, 5, 7, 9, 11, 13, 15"},
		{[]int64{2, 4, 6, 8, 10, 12, 14, 16, 18, 20}, 20, "1, 3, 5, 7, 9, 11, 13, 15 and 2 more places"},
	} {
		var g gaps
		for _, n := range c.there {
			g.seen(n)
		}
		g.end(c.last)
		if got := g.String(); got != c.want {
			t.Errorf("of %d there are %v: missing are %q, want %q", c.last, c.there, got, c.want)
		}
	}
}
