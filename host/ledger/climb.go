package ledger

import "fmt"

// climb checks that places come in ascending order, as they were written. Pages
// of a file are asked for by the last place of the one before: one that is
// damaged, and whose rows stand in another order, would give the same rows for
// ever.
type climb struct{ last int64 }

// to takes the next place.
func (c *climb) to(next int64) error {
	if next <= c.last {
		return unsound{fmt.Errorf("row %d stands behind row %d", next, c.last)}
	}
	c.last = next
	return nil
}
