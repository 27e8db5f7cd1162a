package ledger

import (
	"fmt"
)

// unreadable is a ledger of which nothing can be read.
type unreadable struct {
	id, file string
	cause    error
}

func (u *unreadable) Error() string {
	return fmt.Sprintf("run %s: %s: %s; put a sound copy of the file in its place, as one of rekey backup, or move it away", u.id, u.file, Reason(u.cause))
}

func (u *unreadable) Unwrap() error { return u.cause }
