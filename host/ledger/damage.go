package ledger

import (
	"errors"
	"fmt"
	"strings"

	sqlite3 "modernc.org/sqlite/lib"

	"github.com/rekey-host/rekey/host/hashlog"
)

// Damage says what of a run cannot be read. Everything else of it can.
type Damage struct {
	Run, File string
	Cause     error
	Lost      []string // "records 17 to 40", "row 3 of its plan"; none: only what serves to find things
}

// Error names the run, its file, the cause, what is lost and what to do.
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
// what was written to it: not of one that is busy, gone or may not be opened.
func Damaged(err error) bool {
	if errors.Is(err, hashlog.ErrFrame) || errors.As(err, new(hashlog.Unsound)) || errors.As(err, new(*Damage)) {
		return true
	}
	switch sqliteCode(err) {
	case sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_ERROR, sqlite3.SQLITE_FORMAT:
		return true
	case sqlite3.SQLITE_IOERR: // of a full disk too
		code := extendedCode(err)
		return code == sqlite3.SQLITE_IOERR_READ || code == sqlite3.SQLITE_IOERR_SHORT_READ
	}
	return false
}

// gaps are the numbers from 1 to a last one that are missing in an ascending
// sequence, in words.
type gaps struct {
	next  int64
	parts []string
	more  int
}

// maxGaps is how many of them are named.
const maxGaps = 8

// seen takes the next number that is there.
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
