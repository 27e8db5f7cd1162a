package sqlite

import (
	"fmt"
	"path/filepath"
	"slices"
	"testing"

	"github.com/rekey-host/rekey/host/hashlog"
)

// TestAPlaceOfTheSourceIsFound on the sheet whose rows begin before it.
func TestAPlaceOfTheSourceIsFound(t *testing.T) {
	dir := t.TempDir()
	d, err := newDraft(filepath.Join(dir, "x.draft"), dir)
	must(t, err)
	defer d.Close()
	var firsts []int64
	w := hashlog.SheetWriter{Sheet: hashlog.Sheet{First: 1}}
	for seq := int64(3); seq < 3000; seq += 3 {
		row := hashlog.Row{Seq: seq, Key: fmt.Sprint(seq), Cells: make([]byte, 300)}
		if !w.Fits(&row) {
			must(t, d.PutSheet(&w.Sheet))
			w.Begin()
		}
		w.Sum = []byte{}
		if w.Add(&row, row.Key, &[32]byte{}); w.N == 1 {
			firsts = append(firsts, w.Seq)
		}
	}
	must(t, d.PutSheet(&w.Sheet))
	for seq := range int64(3100) {
		want := int64(1)
		if i := slices.IndexFunc(firsts, func(first int64) bool { return first > seq }); i != 0 {
			want = firsts[(i+len(firsts)+1)%(len(firsts)+1)-1] / 3
		}
		if got, err := d.sheetBefore(seq); err != nil || got != want {
			t.Fatalf("row %d: %d, %v, want %d", seq, got, err, want)
		}
	}
}

// TestAKeyIsFound by the index of the sheets' keys, and without it where that is
// missing, lost or damaged, or where the rows are kept by themselves.
func TestAKeyIsFound(t *testing.T) {
	dir := t.TempDir()
	d, err := newDraft(filepath.Join(dir, "x.draft"), dir)
	must(t, err)
	defer d.Close()
	w := hashlog.SheetWriter{Sheet: hashlog.Sheet{First: 1}}
	for seq := int64(1); seq <= 3000; seq++ {
		row := hashlog.Row{Seq: seq, Key: fmt.Sprint("Key", seq)}
		if !w.Fits(&row) {
			must(t, d.PutSheet(&w.Sheet))
			w.Begin()
		}
		w.Sum = []byte{}
		w.Add(&row, fmt.Sprint("key", seq), &[32]byte{})
	}
	must(t, d.PutSheet(&w.Sheet))
	must(t, d.Sort(3000))
	must(t, d.conn.run("INSERT INTO plan VALUES (3001,3001,0,'Key3001','key3001',NULL,NULL,x'')"))
	finds := func(how string) {
		t.Helper()
		for _, want := range []int64{1, 1500, 3000, 3001} {
			list, err := d.byKey([]string{fmt.Sprint("key", want), "no such key"})
			if err != nil || len(list) != 1 || list[0].Pos != want {
				t.Fatalf("%s: key%d: %v, %v", how, want, list, err)
			}
		}
	}
	finds("by the index")
	list, err := d.onSheets("SELECT first, keys FROM sheet INDEXED BY sheet_keys ORDER BY first", []string{"key1500"})
	if err != nil || len(list) != 1 {
		t.Errorf("the index alone: %v, %v", list, err)
	}
	plan, err := d.conn.one("EXPLAIN QUERY PLAN SELECT first, keys FROM sheet INDEXED BY sheet_keys ORDER BY first")
	if must(t, err); plan.text(3) != "SCAN sheet USING COVERING INDEX sheet_keys" {
		t.Errorf("the sheets are read: %q", plan.text(3))
	}
	must(t, d.conn.run("DROP INDEX sheet_keys"))
	must(t, d.conn.run("CREATE INDEX sheet_keys ON sheet (first, keys) WHERE first < 0"))
	d.tables.byKey = true
	finds("by one that lacks all") // SQLite does not use it
	must(t, d.conn.run("DROP INDEX sheet_keys"))
	d.tables.byKey = false
	finds("without one")
}
