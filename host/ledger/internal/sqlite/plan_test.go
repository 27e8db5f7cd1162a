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
