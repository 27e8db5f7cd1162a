package sqlite

import (
	"errors"

	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"
)

// Damaged reports whether the error is of a file that does not hold what was written
// to it: not of one busy, gone or forbidden.
func Damaged(err error) bool {
	switch primary(err) {
	case sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_ERROR, sqlite3.SQLITE_FORMAT:
		return true
	case sqlite3.SQLITE_IOERR: // of a full disk too
		code := extended(err)
		return code == sqlite3.SQLITE_IOERR_READ || code == sqlite3.SQLITE_IOERR_SHORT_READ
	}
	return false
}

// Reason describes the damage of a file, for people who know no SQLite; "" for
// an error of something else.
func Reason(err error) string {
	switch primary(err) {
	case sqlite3.SQLITE_NOTADB:
		return "it is no ledger, or something else was written over its beginning"
	case sqlite3.SQLITE_CORRUPT:
		return "parts of it were changed, or are missing"
	case sqlite3.SQLITE_ERROR, sqlite3.SQLITE_FORMAT:
		return "it is empty, or the ledger of no run"
	case sqlite3.SQLITE_IOERR:
		return "the disk does not give it back"
	}
	return ""
}

// primary returns the primary result code of an SQLite error, else 0.
func primary(err error) int { return extended(err) & 0xff }

// extended returns the whole result code.
func extended(err error) int {
	var e *sqlite.Error
	if errors.As(err, &e) {
		return e.Code()
	}
	return 0
}

func cannotOpen(err error) bool {
	switch primary(err) {
	case sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR: // the shared memory is a file too
		return true
	}
	return false
}
