package sqltable

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/rekey-host/rekey/sdk"
)

// Instance is one table. Every method may be called concurrently.
type Instance struct {
	settings
	db    *sql.DB
	slots chan struct{} // turns at a processor: there is room for one each
	turns chan struct{} // at a transaction: SQLite has one writer, and others wait for it badly
}

var _ interface {
	sdk.Finder
	sdk.Lister
	sdk.PolicyReader
	sdk.Verifier
	sdk.Checker
	sdk.Revoker
	sdk.Partial
	sdk.Resolver
	sdk.BatchApplier
} = (*Instance)(nil)

func newInstance(settings settings) (*Instance, error) {
	db, err := settings.open()
	if err != nil {
		return nil, err
	}
	db.SetMaxOpenConns(settings.connections() + 1) // one for a list
	db.SetMaxIdleConns(settings.connections() + 1)
	return &Instance{settings: settings, db: db, slots: make(chan struct{}, runtime.NumCPU()), turns: make(chan struct{}, settings.writers())}, nil
}

// writers is how many transactions there are at once.
func (s *settings) writers() int {
	if s.engine.name == engineSQLite {
		return 1
	}
	return s.connections()
}

// most is how many connections there are: one carries many operations.
const most = 8

func (s *settings) connections() int { return min(s.concurrency, most) }

// Close ends the connections.
func (i *Instance) Close() error { return i.db.Close() }

// turn waits for a processor, but for no more than three quarters of the time
// that an operation has: hashing never runs against its deadline. Who gets no
// turn is to come again, and that costs nothing.
func (i *Instance) turn(ctx context.Context) (done func(), failed *sdk.Error) {
	wait := i.Patience
	if deadline, ok := ctx.Deadline(); ok {
		wait = time.Until(deadline)
	}
	late := time.NewTimer(wait * 3 / 4)
	defer late.Stop()
	select {
	case i.slots <- struct{}{}:
		return func() { <-i.slots }, nil
	case <-ctx.Done():
		return nil, i.Fault(ctx.Err())
	case <-late.C:
		failure := sdk.Errorf(sdk.RateLimited, "waits for a processor to make a hash of %s", i.hasher.format)
		failure.RetryAfter = 100 * time.Millisecond
		return nil, failure
	}
}

// row is what the table has of an account.
type row struct {
	key        string
	held       hashed
	null       bool // there is no hash
	mustChange *bool
}

// source is the table in a statement.
func (s *settings) source() string {
	if s.schema != "" {
		return s.identifier(s.schema) + "." + s.identifier(s.table)
	}
	return s.identifier(s.table)
}

// selected are the columns that a row is read from.
func (s *settings) selected() string {
	columns := []string{s.key, s.column}
	for _, name := range []string{s.data, s.mustChange} {
		if name != "" {
			columns = append(columns, name)
		}
	}
	for index, name := range columns {
		columns[index] = s.identifier(name)
	}
	return strings.Join(columns, ", ")
}

// condition is that of rows of accounts. A comment in it ends with its line.
func (s *settings) condition() string {
	if s.where == "" {
		return ""
	}
	return " AND (" + s.where + "\n)"
}

// scanner is a row of database/sql, or of PostgreSQL's driver.
type scanner interface{ Scan(places ...any) error }

// scan reads a row; more are places for further columns.
func (s *settings) scan(from scanner, more ...any) (row, error) {
	var key, held, data, must sql.NullString
	places := []any{&key, &held}
	if s.data != "" {
		places = append(places, &data)
	}
	if s.mustChange != "" {
		places = append(places, &must)
	}
	if err := from.Scan(append(places, more...)...); err != nil {
		return row{}, err
	}
	found := row{key: key.String, held: hashed{held.String, data.String}, null: !held.Valid}
	if must.Valid {
		found.mustChange = s.flag(must.String)
	}
	return found, nil
}

// scanAll reads all rows.
func (s *settings) scanAll(rows interface {
	scanner
	Next() bool
	Err() error
}) ([]row, error) {
	var found []row
	for rows.Next() {
		one, err := s.scan(rows)
		if err != nil {
			return nil, err
		}
		found = append(found, one)
	}
	return found, rows.Err()
}

// flag reads a must-change column; nil for what is neither.
func (s *settings) flag(text string) *bool {
	same := func(value string) bool {
		words := map[string]string{"true": "1", "t": "1", "false": "0", "f": "0"}
		canonical := func(text string) string {
			text = strings.ToLower(text)
			if word, ok := words[text]; ok {
				return word
			}
			return text
		}
		return canonical(text) == canonical(value)
	}
	switch {
	case same(s.mustChangeValues[0]):
		return new(true)
	case same(s.mustChangeValues[1]):
		return new(false)
	}
	return nil
}

// querier is a database, a connection or a transaction.
type querier interface {
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
}

// read returns the one row of an account.
func (s *settings) read(ctx context.Context, from querier, account, lock string) (row, error) {
	if failed := refuseName(account); failed != nil {
		return row{}, failed
	}
	rows, err := from.QueryContext(ctx, fmt.Sprintf("SELECT %s FROM %s WHERE %s = %s%s LIMIT 2%s", s.selected(), s.source(), s.identifier(s.key), s.mark(1), s.condition(), lock), account)
	if err != nil {
		return row{}, s.unlike(account, err)
	}
	defer rows.Close()
	found, err := s.scanAll(rows)
	switch {
	case err != nil:
		return row{}, s.unlike(account, err)
	case len(found) == 0:
		return row{}, sdk.Errorf(sdk.AccountNotFound, "account %q: no row has this %s", account, s.key)
	case len(found) > 1:
		return row{}, sdk.Errorf(sdk.Ambiguous, "account %q: several rows have this %s", account, s.key)
	case !sameName(found[0].key, account):
		return row{}, sdk.Errorf(sdk.AccountNotFound, "account %q: the database takes it for %q; spell it so", account, found[0].key)
	}
	return found[0], nil
}

// unlike is the error of a question about a name that no key can be, such as a
// word where keys are numbers.
func (s *settings) unlike(account string, err error) error {
	var answer *pgconn.PgError
	if errors.As(err, &answer) && strings.HasPrefix(answer.Code, "22") {
		return sdk.Errorf(sdk.AccountNotFound, "account %q: no %s can be that: %s", account, s.key, answer.Message)
	}
	return err
}

// stamp differs after every change of a salted hash, and tells nothing of it.
func (r row) stamp() string {
	if format := formatOf(r.held.text); format == "" || format == ha1 {
		return ""
	}
	sum := sha256.Sum256([]byte(r.held.text + "\x00" + r.held.data))
	return hex.EncodeToString(sum[:16])
}
