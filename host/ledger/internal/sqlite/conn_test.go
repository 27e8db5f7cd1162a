package sqlite

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/rekey-host/rekey/host/hashlog"
	"github.com/rekey-host/rekey/host/ledger/internal/files"
)

// fatal is what tests and property tests are.
type fatal interface {
	Helper()
	Fatal(...any)
}

func must(t fatal, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// scratchDB is a database with a table of numbers, and one whose rows need a
// number: that is asked at the end of a transaction.
func scratchDB(t *testing.T) *conn {
	t.Helper()
	dir := t.TempDir()
	f, err := files.OpenPrivate(filepath.Join(dir, "x.db"), os.O_RDWR|os.O_CREATE)
	must(t, err)
	must(t, f.Close())
	c, err := openConn(filepath.Join(dir, "x.db"), readWrite, dir)
	must(t, err)
	t.Cleanup(func() { c.close() })
	must(t, c.run("PRAGMA foreign_keys = ON"))
	must(t, c.run("CREATE TABLE number (n INTEGER PRIMARY KEY)"))
	must(t, c.run("CREATE TABLE need (n INTEGER REFERENCES number (n) DEFERRABLE INITIALLY DEFERRED)"))
	return c
}

// TestTransactionThatIsNotCommittedIsAnError, also where only its end fails:
// what is reported as written would not be there.
func TestTransactionThatIsNotCommittedIsAnError(t *testing.T) {
	c := scratchDB(t)
	stop := errors.New("stop")
	insert := func(text string, then error) func() error {
		return func() error {
			_, err := c.exec(text)
			return errors.Join(err, then)
		}
	}
	for _, x := range []struct {
		name string
		do   func() error
		fine bool
		want int64
	}{
		{"written", insert("INSERT INTO number VALUES (1)", nil), true, 1},
		{"given up", insert("INSERT INTO number VALUES (2)", stop), false, 1},
		{"its statement fails", insert("INSERT INTO number VALUES (1)", nil), false, 1},
		{"its end fails", insert("INSERT INTO need VALUES (7)", nil), false, 1},
		{"written after all that", insert("INSERT INTO number VALUES (3)", nil), true, 2},
	} {
		if err := c.within(x.do); (err == nil) != x.fine {
			t.Errorf("%s: within() = %v", x.name, err)
		}
		n, err := c.count("SELECT (SELECT count(*) FROM number) + (SELECT count(*) FROM need)")
		must(t, err)
		if n != x.want {
			t.Errorf("%s: %d rows, want %d", x.name, n, x.want)
		}
	}
}

func TestStatementTellsHowManyRowsItChanged(t *testing.T) {
	c := scratchDB(t)
	for text, want := range map[string]int64{"INSERT INTO number VALUES (1), (2), (3)": 3, "DELETE FROM need": 0} {
		if n, err := c.exec(text); n != want || err != nil {
			t.Errorf("%s: %d rows, %v", text, n, err)
		}
	}
	for _, bad := range []string{"nonsense", "INSERT INTO number VALUES (1)"} {
		if _, err := c.exec(bad); err == nil {
			t.Errorf("exec(%q) gave no error", bad)
		}
	}
	if err := c.each("SELECT abs(-9223372036854775807 - 1)", func(row) error { return nil }); err == nil {
		t.Error("a query that fails on its way gave no error")
	}
}

// TestRowsInAnotherOrderEndAReading: of a file whose pages were changed, a
// reading that goes on from the last row would have no end.
func TestRowsInAnotherOrderEndAReading(t *testing.T) {
	c := scratchDB(t)
	for name, query := range map[string]string{
		"backwards": "SELECT column1 FROM (VALUES (1), (2), (3)) WHERE column1 > ? ORDER BY column1 DESC LIMIT 2",
		"twice":     "SELECT 1 FROM (VALUES (1), (2), (3)) WHERE column1 > ? LIMIT 2",
		"negative":  "SELECT -column1 FROM (VALUES (1), (2), (3)) WHERE column1 > ? LIMIT 2",
	} {
		var seen []int64
		err := c.pages(query, 0, func(found row) error {
			if seen = append(seen, found.int(0)); len(seen) > 100 {
				return errors.New("it goes on for ever")
			}
			return nil
		})
		if !errors.As(err, new(hashlog.Unsound)) {
			t.Errorf("%s: %v after %v, want damage", name, err, seen)
		}
	}
}
