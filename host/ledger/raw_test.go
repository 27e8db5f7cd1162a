package ledger

import (
	database "database/sql"
	"errors"

	"net/url"

	"github.com/rekey-host/rekey/host/hashlog"
	"github.com/rekey-host/rekey/host/ledger/internal/rows"
)

// Tests look into the files of runs and change them, as whoever knows SQLite can.

const (
	pageSize = 4096
	leafPage = 0x0d // how a page of a table begins
)

// conn is a connection to a run's file.
type conn struct{ db *database.DB }

// rawly opens the file of a run to change it.
func rawly(t bench, s *Store, id string) *conn { return rawFile(t, s.runFile(id)) }

// rawFile opens a database.
func rawFile(t bench, path string) *conn {
	t.Helper()
	db, err := database.Open("sqlite", (&url.URL{Scheme: "file", Path: path}).String()+"?mode=rw&_pragma=busy_timeout(60000)")
	must(t, err)
	db.SetMaxOpenConns(1)
	t.Cleanup(func() { db.Close() })
	return &conn{db}
}

func (c *conn) close() error { return c.db.Close() }

func (c *conn) run(query string, args ...any) error {
	_, err := c.db.Exec(query, args...)
	return err
}

// each calls fn for the rows of an answer, when all are there.
func (c *conn) each(query string, fn func(found row) error, args ...any) error {
	var all []row
	answer, err := c.db.Query(query, args...)
	if err != nil {
		return err
	}
	defer answer.Close()
	names, err := answer.Columns()
	if err != nil {
		return err
	}
	for answer.Next() {
		found, into := make(row, len(names)), make([]any, len(names))
		for i := range into {
			into[i] = &found[i]
		}
		if err := answer.Scan(into...); err != nil {
			return err
		}
		all = append(all, found)
	}
	if err := errors.Join(answer.Err(), answer.Close()); err != nil {
		return err
	}
	for _, found := range all {
		if err := fn(found); err != nil {
			return err
		}
	}
	return nil
}

// one returns the first row of the answer, nil if there is none.
func (c *conn) one(query string, args ...any) (row, error) {
	var first row
	err := c.each(query, func(found row) error {
		if first == nil {
			first = found
		}
		return nil
	}, args...)
	return first, err
}

func (c *conn) count(query string, args ...any) (int64, error) {
	found, err := c.one(query, args...)
	if err != nil || found == nil {
		return 0, err
	}
	return found.int(0), nil
}

// within calls fn in a transaction.
func (c *conn) within(fn func() error) error {
	err := c.run("BEGIN IMMEDIATE")
	if err == nil {
		err = fn()
	}
	return errors.Join(err, c.run("COMMIT"))
}

// row is a row of an answer.
type row []any

func (r row) int(i int) int64 { v, _ := r[i].(int64); return v }

func (r row) text(i int) string { return string(r.bytes(i)) }

func (r row) bytes(i int) []byte {
	if s, ok := r[i].(string); ok {
		return []byte(s)
	}
	b, _ := r[i].([]byte)
	return b
}

// has reports whether there is a table.
func (c *conn) has(t bench, table string) bool {
	t.Helper()
	n, err := c.count("SELECT count(*) FROM sqlite_schema WHERE name = ?", table)
	must(t, err)
	return n > 0
}

// place is a record, and where it is.
type place struct {
	user, id int64
	frame    []byte
}

// recordsOf returns the records that the groups have.
func recordsOf(t bench, c *conn) (list []place) {
	t.Helper()
	if !c.has(t, "grp") {
		return nil
	}
	must(t, c.each("SELECT first, n, body FROM grp ORDER BY first", func(found row) error {
		g := hashlog.Group{First: found.int(0), N: found.int(1), Body: hashlog.Unpacked(found.bytes(2))}
		return g.Each(func(r *hashlog.Stored) error {
			list = append(list, place{r.User, r.ID, r.Body})
			return nil
		})
	}))
	return list
}

// everyRecord returns the records of a ledger of any format.
func everyRecord(t bench, c *conn) (list []place) {
	t.Helper()
	if c.has(t, "rec") {
		must(t, c.each("SELECT user, id, body FROM rec ORDER BY id", func(found row) error {
			list = append(list, place{found.int(0), found.int(1), found.bytes(2)})
			return nil
		}))
	}
	return append(list, recordsOf(t, c)...)
}

// put appends a group.
func (c *conn) put(t bench, g *hashlog.Group) {
	t.Helper()
	must(t, c.run("INSERT INTO grp VALUES (?,?,?,?,?,?)", g.First, g.N, g.Lo, g.Hi, g.Span(), g.Body))
}

// oneByOne makes each record a group.
func (c *conn) oneByOne(t bench) {
	t.Helper()
	list := recordsOf(t, c)
	must(t, c.run("DELETE FROM grp"))
	for _, p := range list {
		g := hashlog.Group{First: p.id}
		g.Add(p.user, p.frame)
		c.put(t, &g)
	}
}

// onSheets returns the rows of the plan that are on sheets.
func (c *conn) onSheets(t bench) (list []hashlog.PlannedRow) {
	t.Helper()
	must(t, c.each("SELECT first, n, seq, keys, sum, body FROM sheet ORDER BY first", func(found row) error {
		s := hashlog.Sheet{First: found.int(0), N: found.int(1), Seq: found.int(2), Keys: found.bytes(3), Sum: found.bytes(4), Body: found.bytes(5)}
		return s.Rows(func(p *hashlog.PlannedRow) error {
			list = append(list, *p)
			return nil
		})
	}))
	return list
}

// doneAsRows gives users that are plainly done their rows in the table user.
func (c *conn) doneAsRows(t bench, finishedBy map[int64]int64) {
	t.Helper()
	if !c.has(t, "done") {
		return
	}
	must(t, c.each("SELECT n, bytes FROM done", func(found row) error {
		for i, b := range found.bytes(1) {
			if pos := found.int(0)<<rows.BlockBits + int64(i); b != 0 {
				must(t, c.run("INSERT INTO user VALUES (?,?,'',?)", pos, int64(b), finishedBy[pos]))
			}
		}
		return nil
	}))
	must(t, c.run("DELETE FROM done"))
}

// asked returns what a run's file answers to a query for a number.
func asked(t bench, s *Store, id, query string) int64 {
	t.Helper()
	c := rawly(t, s, id)
	defer c.close()
	n, err := c.count(query)
	must(t, err)
	return n
}

// wrappedOf returns the wrapped data key of a run.
func wrappedOf(t bench, s *Store, id string) []byte {
	t.Helper()
	c := rawly(t, s, id)
	defer c.close()
	found, err := c.one("SELECT wrapped FROM key")
	must(t, err)
	return found.bytes(0)
}
