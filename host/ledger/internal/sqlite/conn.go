package sqlite

import (
	"context"
	"database/sql/driver"
	"errors"
	"io"
	"net/url"
	"strings"

	"golang.org/x/sys/unix"

	"modernc.org/sqlite"

	"github.com/rekey-host/rekey/host/hashlog"
)

// conn is one connection to a database, used by one goroutine at a time. It
// speaks to the driver itself: a run has one writer, and what database/sql
// adds is a third of the cost of a commit.
type conn struct {
	raw   driver.Conn
	stmts map[string]driver.Stmt
	args  []driver.NamedValue
}

// mode says what a connection may do to the file.
type mode string

const (
	readWrite mode = "mode=rw"
	readOnly  mode = "mode=ro"
	immutable mode = "mode=ro&immutable=1" // a medium that cannot be written: no locks, no shared memory
)

// patience is how long a statement waits for another process.
const patience = "PRAGMA busy_timeout = 60000"

func fileURI(path string, as mode) string {
	return (&url.URL{Scheme: "file", Path: path}).String() + "?" + string(as)
}

// openConn opens an existing database file.
func openConn(path string, as mode, tempDir string) (*conn, error) {
	raw, err := (&sqlite.Driver{}).Open(fileURI(path, as))
	if err != nil {
		return nil, err
	}
	c := &conn{raw: raw, stmts: map[string]driver.Stmt{}}
	tempSetting := "temp_store = MEMORY"
	if as != immutable && unix.Access(tempDir, unix.W_OK|unix.X_OK) == nil {
		tempSetting = "temp_store_directory = '" + strings.ReplaceAll(tempDir, "'", "''") + "'"
	}
	settings := []string{strings.TrimPrefix(patience, "PRAGMA "), "cache_size = -4096", "synchronous = FULL", tempSetting}
	for _, s := range settings {
		if err := c.run("PRAGMA " + s); err != nil {
			_ = c.close()
			return nil, err
		}
	}
	return c, nil
}

func (c *conn) close() error {
	for _, s := range c.stmts {
		_ = s.Close()
	}
	return c.raw.Close()
}

// run executes a statement that will not be needed again.
func (c *conn) run(query string, args ...driver.Value) error {
	_, err := c.raw.(driver.ExecerContext).ExecContext(noContext, query, c.named(args))
	return err
}

// exec executes a statement kept prepared and returns how many rows it
// changed.
func (c *conn) exec(query string, args ...driver.Value) (int64, error) {
	s, err := c.prepared(query)
	if err != nil {
		return 0, err
	}
	r, err := s.(driver.StmtExecContext).ExecContext(noContext, c.named(args))
	if err != nil {
		return 0, err
	}
	return r.RowsAffected()
}

func (c *conn) prepared(query string) (driver.Stmt, error) {
	if s := c.stmts[query]; s != nil {
		return s, nil
	}
	s, err := c.raw.Prepare(query)
	if err == nil {
		c.stmts[query] = s
	}
	return s, err
}

func (c *conn) named(args []driver.Value) []driver.NamedValue {
	if cap(c.args) < len(args) {
		c.args = make([]driver.NamedValue, len(args))
	}
	c.args = c.args[:len(args)]
	for i, v := range args {
		c.args[i] = driver.NamedValue{Ordinal: i + 1, Value: v}
	}
	return c.args
}

// rollback undoes a transaction.
func (c *conn) rollback() error { return c.run("ROLLBACK") }

// each calls fn for every row of the answer. The row is valid during the call.
func (c *conn) each(query string, fn func(row row) error, args ...driver.Value) (err error) {
	s, err := c.prepared(query)
	if err != nil {
		return err
	}
	rows, err := s.(driver.StmtQueryContext).QueryContext(noContext, c.named(args))
	if err != nil {
		return err
	}
	defer func() {
		if cerr := rows.Close(); err == nil {
			err = cerr
		}
	}()
	values := make(row, len(rows.Columns()))
	for {
		switch err := rows.Next(values); {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return err
		}
		switch err := fn(values); {
		case errors.Is(err, hashlog.ErrDone):
			return nil
		case err != nil:
			return err
		}
	}
}

// pages calls fn for every row of a query whose first column is an id, and whose
// first parameter is the last one seen, until it answers nothing. Ids ascend. An
// error of fn ends it, errDone too, and is returned.
func (c *conn) pages(query string, after int64, fn func(found row) error, args ...driver.Value) error {
	for up := (hashlog.Climb{Last: after}); ; {
		n, stop := 0, error(nil)
		err := c.each(query, func(found row) error {
			n++
			if stop = up.To(found.int(0)); stop == nil {
				stop = fn(found)
			}
			if stop != nil {
				return hashlog.ErrDone
			}
			return nil
		}, append([]driver.Value{up.Last}, args...)...)
		if stop != nil {
			return stop
		}
		if err != nil || n == 0 {
			return err
		}
	}
}

// one returns the first row of the answer, or nil.
func (c *conn) one(query string, args ...driver.Value) (row, error) {
	var found row
	err := c.each(query, func(r row) error {
		found = append(row(nil), r...)
		return hashlog.ErrDone
	}, args...)
	return found, err
}

// count returns the number that a query answers with.
func (c *conn) count(query string, args ...driver.Value) (int64, error) {
	r, err := c.one(query, args...)
	if err != nil || r == nil {
		return 0, err
	}
	return r.int(0), nil
}

// within runs fn in a transaction that may write.
func (c *conn) within(fn func() error) error {
	if _, err := c.exec("BEGIN IMMEDIATE"); err != nil {
		return err
	}
	err := fn()
	if err == nil {
		if _, err = c.exec("COMMIT"); err == nil {
			return nil
		}
	}
	// A full disk has made SQLite roll back by itself; nothing is
	// left to undo then, and nothing to say of it.
	_ = c.rollback()
	return err
}

// row is one row of an answer.
type row []driver.Value

func (r row) int(i int) int64 { v, _ := r[i].(int64); return v }

// text and bytes take each other's values: whoever edits a database by hand
// may leave one for the other, and an unseen value is not verified.
func (r row) text(i int) string {
	if b, ok := r[i].([]byte); ok {
		return string(b)
	}
	s, _ := r[i].(string)
	return s
}

func (r row) bytes(i int) []byte {
	if s, ok := r[i].(string); ok {
		return []byte(s)
	}
	b, _ := r[i].([]byte)
	return b
}

// noContext is passed to the driver: statements on a local file are never
// given up half-way.
var noContext = context.Background()
