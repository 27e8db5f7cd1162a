package sqlite

import (
	"fmt"
	"path/filepath"
	"testing"

	"pgregory.net/rapid"

	"github.com/rekey-host/rekey/host/hashlog"
	"github.com/rekey-host/rekey/host/ledger/internal/rows"
	"github.com/rekey-host/rekey/host/ledger/internal/storagetest"
)

// emptyRun makes the database of a run without users and records.
func emptyRun(t fatal, path, temp string) {
	t.Helper()
	d, err := NewFiles(temp).Begin(path)
	must(t, err)
	must(t, d.Sort(0))
	must(t, d.Publish(&rows.Found{Run: rows.Run{Ordered: true}, State: rows.State{Frontier: []byte{}}}))
}

// TestAnySequenceOfChangesIsWhatTheModelSays: what the ledger stands on.
func TestAnySequenceOfChangesIsWhatTheModelSays(t *testing.T) {
	t.Parallel()
	dir, n := t.TempDir(), 0
	in := NewFiles(dir)
	rapid.Check(t, func(rt *rapid.T) {
		n++
		path := filepath.Join(dir, fmt.Sprint(n, ".db"))
		defer in.Remove(path)
		storagetest.Try(rt, storagetest.Keeper{
			Begin: func() (storagetest.Draft, error) { return in.Begin(path) },
			Open:  func() (storagetest.Storage, error) { return in.OpenToWrite(path) },
		})
	})
}

// TestALedgerOfFormat1BecomesOneOfGroups with the first change, and not if that is
// given up.
func TestALedgerOfFormat1BecomesOneOfGroups(t *testing.T) {
	dir := t.TempDir()
	c, err := emptyLedger(filepath.Join(dir, "x.db"), schemaOfRows, dir)
	must(t, err)
	must(t, c.run("INSERT INTO run VALUES (1, '', zeroblob(32), 0, 1)"))
	d := newDB(c)
	defer d.Close()
	is := func(want int64) {
		t.Helper()
		if n, err := c.count("SELECT format FROM run"); err != nil || n != want {
			t.Errorf("format %d, %v, want %d", n, err, want)
		}
	}
	put := func(then error) error {
		g := &hashlog.Group{First: 1}
		g.Add(1, []byte{1})
		return d.Within(func() error {
			if err := d.Put(&rows.Change{Group: g}); err != nil {
				return err
			}
			return then
		})
	}
	must(t, c.run("PRAGMA journal_mode = MEMORY"))
	if err := put(hashlog.ErrDone); err == nil {
		t.Error("a change that was given up is no error")
	}
	is(1)
	must(t, put(nil))
	is(formatOfGroups)
	if n, _, err := d.Ends(); n != 1 || err != nil {
		t.Errorf("Ends() = %d, %v", n, err)
	}
}

// TestPatienceIsAsBeforeAFold: who commits then waits for others as long as ever.
func TestPatienceIsAsBeforeAFold(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "x.db")
	emptyRun(t, path, dir)
	d, err := NewFiles(dir).OpenToWrite(path)
	must(t, err)
	defer d.Close()
	before, err := d.conn.count("PRAGMA busy_timeout")
	must(t, err)
	if whole, err := d.Fold(); err != nil || !whole {
		t.Fatalf("Fold() = %v, %v", whole, err)
	}
	after, err := d.conn.count("PRAGMA busy_timeout")
	if err != nil || after != before || before < 10_000 {
		t.Errorf("%d ms, then %d ms, %v", before, after, err)
	}
}
