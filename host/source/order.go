package source

import "strings"

// Order is one of order_by: the column, and whether the greatest comes first, which
// "-" before the column says. A column whose own name begins with "-" is meant by
// that name; has reports whether there is a column.
func Order(written string, has func(column string) bool) (column string, down bool) {
	if rest, ok := strings.CutPrefix(written, "-"); ok && !has(written) {
		return rest, true
	}
	return written, false
}
