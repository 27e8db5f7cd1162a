package sqlite

import (
	"bytes"
	"path/filepath"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/rekey-host/rekey/host/hashlog"
	"github.com/rekey-host/rekey/host/journal"
	"github.com/rekey-host/rekey/host/ledger/internal/rows"
)

// TestLogGivesBackWhatWasPutIn, whatever the groups are, in the order of the log
// and by user.
func TestLogGivesBackWhatWasPutIn(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	c, err := emptyLedger(filepath.Join(dir, "x.db"), schema, dir)
	must(t, err)
	must(t, c.run("INSERT INTO run VALUES (?, '', zeroblob(32), 0, 1)", int64(format)))
	d := newDB(c)
	defer d.Close()
	rapid.Check(t, func(rt *rapid.T) {
		must(rt, c.run("DELETE FROM grp"))
		d.users.forget()
		want := drawGroups(rt, d)
		from := rapid.Int64Range(0, int64(len(want))).Draw(rt, "from")
		to := rapid.Int64Range(from, int64(len(want))+2).Draw(rt, "to")
		var got []place
		must(rt, d.Groups(from, to, func(g *hashlog.Group) error {
			return g.Each(func(r *hashlog.Stored) error {
				if r.ID > from && r.ID <= to {
					got = append(got, place{r.User, r.ID, r.Body})
				}
				return nil
			})
		}))
		same(rt, "each", got, want[from:min(to, int64(len(want)))])
		for range 3 {
			first := rapid.Int64Range(1, 200).Draw(rt, "first")
			last := rapid.Int64Range(first, 210).Draw(rt, "last")
			got = nil
			must(rt, d.users.between(first, last, func(_ int64, records []place) error { got = append(got, records...); return nil }))
			some := slices.DeleteFunc(slices.Clone(want), func(p place) bool { return p.user < first || p.user > last })
			slices.SortFunc(some, place.order)
			same(rt, "between", got, some)
		}
	})
}

// drawGroups puts groups into a log and returns the records in them.
func drawGroups(t *rapid.T, d *DB) (list []place) {
	for range rapid.IntRange(0, 8).Draw(t, "groups") {
		g := hashlog.Group{First: int64(len(list) + 1)}
		for range rapid.OneOf(rapid.IntRange(1, 12), rapid.IntRange(60, 80)).Draw(t, "records") {
			f := hashlog.Frame{Kind: journal.Intent, Index: int64(len(list)), User: rapid.Int64Range(0, 200).Draw(t, "user"), Verb: "set"}
			body, _ := (&hashlog.Encoder{Key: &hashlog.NamesKey{}}).Stored(nil, &f)
			g.Add(f.User, body)
			list = append(list, place{f.User, f.Index + 1, body})
		}
		must(t, d.Put(&rows.Change{Group: &g}))
	}
	return list
}

func same(t *rapid.T, what string, got, want []place) {
	t.Helper()
	if !slices.EqualFunc(got, want, func(p, q place) bool { return p.user == q.user && p.id == q.id && bytes.Equal(p.frame, q.frame) }) {
		t.Fatalf("%s: %d records, want %d", what, len(got), len(want))
	}
}

// TestOnlyALedgerOfTheFormatIsPacked: an older rekey can go on with its own.
func TestOnlyALedgerOfTheFormatIsPacked(t *testing.T) {
	for of, want := range map[int64]bool{formatOfGroups: false, 3: false, formatOfPacks: true} {
		dir := t.TempDir()
		c, err := emptyLedger(filepath.Join(dir, "x.db"), schema, dir)
		must(t, err)
		must(t, c.run("INSERT INTO run VALUES (?, '', zeroblob(32), 0, 1)", of))
		d := newDB(c)
		defer d.Close()
		g := &hashlog.Group{First: 1}
		for i := range int64(100) {
			f := hashlog.Frame{Kind: journal.Intent, Index: i, User: i + 1, Verb: "set"}
			body, _ := (&hashlog.Encoder{Key: &hashlog.NamesKey{}}).Stored(nil, &f)
			g.Add(f.User, body)
		}
		must(t, d.Put(&rows.Change{Group: g}))
		kept, err := c.one("SELECT body FROM grp")
		must(t, err)
		if got := hashlog.IsPacked(kept.bytes(0)); got != want {
			t.Errorf("format %d: packed is %v", of, got)
		}
	}
}
