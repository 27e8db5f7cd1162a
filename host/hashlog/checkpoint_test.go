package hashlog

import "testing"

// TestHeadsNarrowDownWhereTheLogWasChanged: those that are none say nothing.
func TestHeadsNarrowDownWhereTheLogWasChanged(t *testing.T) {
	root := func(n byte) Hash { return Hash{n} }
	for _, c := range []struct {
		name  string
		heads []signedHead // by size; what the log has at a size is root(size)
		want  string
	}{
		{"none", nil, ""},
		{"all fit", []signedHead{{size: 2, root: root(2)}, {size: 5, root: root(5)}}, ""},
		{"the last does not", []signedHead{{size: 2, root: root(2)}, {size: 5, root: root(9)}}, "; the signed heads say it is one of records 2 to 4"},
		{"none does", []signedHead{{size: 2, root: root(9)}, {size: 5, root: root(9)}}, "; the signed heads say it is one of records 0 to 1"},
		{"one behind it fits again", []signedHead{{size: 2, root: root(2)}, {size: 5, root: root(9)}, {size: 7, root: root(7)}}, "; the signed heads say it is one of records 2 to 4"},
	} {
		var h heads
		for _, next := range c.heads {
			h.compare(next, root(byte(next.size)))
		}
		if got := h.since(); got != c.want {
			t.Errorf("%s: since() = %q, want %q", c.name, got, c.want)
		}
	}
}
