package hashlog

import (
	"errors"
	"fmt"
)

// ErrDone is what a function returns to end an iterator without an
// error.
var ErrDone = errors.New("done")

// Ended takes ErrDone for no error.
func Ended(err error) error {
	if errors.Is(err, ErrDone) {
		return nil
	}
	return err
}

// Unsound is an error about content that cannot have been written so.
type Unsound struct{ error }

// Unwrap returns the fault.
func (u Unsound) Unwrap() error { return u.error }

// NotAsWritten makes an error Unsound.
func NotAsWritten(format string, args ...any) error { return Unsound{fmt.Errorf(format, args...)} }

// Climb checks that places come in ascending order, as they were written. Pages
// of a file are asked for by the last place of the one before: a
// damaged one, whose rows stand in another order, would give the same rows for
// ever.
type Climb struct{ Last int64 }

// To takes the next place.
func (c *Climb) To(next int64) error {
	if next <= c.Last {
		return NotAsWritten("row %d stands behind row %d", next, c.Last)
	}
	c.Last = next
	return nil
}
