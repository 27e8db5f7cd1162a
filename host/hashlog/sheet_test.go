package hashlog

import (
	"math/rand/v2"
	"strings"
	"testing"
)

// TestASheetFitsAPage, whatever its rows are, so that a page that is lost takes
// nothing else with it.
func TestASheetFitsAPage(t *testing.T) {
	rnd := rand.New(rand.NewPCG(7, 7))
	w := SheetWriter{Sheet: Sheet{First: 1 << 40}}
	most, hidden := 0, [32]byte{}
	for i := range 20_000 {
		p := Row{Seq: int64(i) << 20, Line: rnd.IntN(1 << 31), Key: strings.Repeat("k", rnd.IntN(90)), Cells: make([]byte, rnd.IntN(400))}
		if !w.Fits(&p) {
			most = max(most, len(w.Keys)+len(w.Body))
			w.Begin()
		}
		w.Add(&p, p.Key, &hidden)
	}
	const header, numbers, cell = 7, 3 * 8, 9 + 9 // of a row of SQLite
	if most+sheetSum+header+numbers+cell > 4096-8-2-17 || most < maxSheet*9/10 {
		t.Errorf("a sheet has up to %d bytes", most)
	}
}
