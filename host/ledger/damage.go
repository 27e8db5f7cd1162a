package ledger

import (
	"errors"
	"fmt"
	"strings"

	"github.com/rekey-host/rekey/host/hashlog"
)

// Damage says what of a run cannot be read. Everything else of it can.
type Damage struct {
	Run, File string
	Cause     error
	Lost      []string // "records 17 to 40", "row 3 of its plan"; none: only what serves to find things
}

// Error names the run, its file, the cause, the losses and the fix.
func (d *Damage) Error() string {
	lost := "nothing of it is lost"
	if len(d.Lost) > 0 {
		lost = "what cannot be read: " + strings.Join(d.Lost, "; ") + "; the rest is shown"
	}
	return fmt.Sprintf("run %s: %s is damaged (%s); %s; put a sound copy of the file in its place, and look with rekey audit verify %s", d.Run, d.File, Reason(d.Cause), lost, d.Run)
}

// Unwrap returns the cause.
func (d *Damage) Unwrap() error { return d.Cause }

// Damaged reports whether the error is of a ledger whose file does not hold
// the bytes written to it: not of one busy, gone or forbidden.
func Damaged(err error) bool {
	if errors.Is(err, hashlog.ErrFrame) || errors.As(err, new(hashlog.Unsound)) || errors.As(err, new(*Damage)) {
		return true
	}
	return isDamage(err)
}

// Reason describes the damage of a file, for people who know no SQLite.
func Reason(err error) string {
	if text := inWords(err); text != "" {
		return text
	}
	return err.Error()
}
