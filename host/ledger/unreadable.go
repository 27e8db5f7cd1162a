package ledger

import (
	"errors"
	"fmt"

	sqlite3 "modernc.org/sqlite/lib"
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

// unreadable is the error of a run that does not open, in words.
func (s *Store) unreadable(id string, err error) error {
	if !Damaged(err) || errors.As(err, new(*Damage)) || errors.As(err, new(*unreadable)) {
		return err
	}
	return &unreadable{id, s.runFile(id), err}
}

// Reason is what is wrong with a damaged file, for people who know no SQLite.
func Reason(err error) string {
	switch sqliteCode(err) {
	case sqlite3.SQLITE_NOTADB:
		return "it is no ledger, or something else was written over its beginning"
	case sqlite3.SQLITE_CORRUPT:
		return "parts of it were changed, or are missing"
	case sqlite3.SQLITE_ERROR, sqlite3.SQLITE_FORMAT:
		return "it is empty, or the ledger of no run"
	case sqlite3.SQLITE_IOERR:
		return "the disk does not give it back"
	}
	return err.Error()
}
