package sqlite

import (
	"cmp"
	"crypto/sha256"
	"math"
	"slices"

	"github.com/rekey-host/rekey/host/diag"
	"github.com/rekey-host/rekey/host/hashlog"
	"github.com/rekey-host/rekey/host/ledger/internal/rows"
)

// Rows of the plan in the order of the source from the first place on are on
// sheets: as many rows as a page of the file has room for are one row of the table
// sheet, so that a lost page takes no more rows with it than it had. All other
// rows are in the table plan, behind those on sheets.

// plan is that of a run.
type plan struct{ *handle }

const (
	sheetColumns = "first, n, seq, keys, sum, body"
	planColumns  = "pos, seq, line, key, row, reason, digest, fold"
)

// sheetOf makes a sheet of a row of sheetColumns.
func sheetOf(found row) hashlog.Sheet {
	return hashlog.Sheet{First: found.int(0), N: found.int(1), Seq: found.int(2), Keys: found.bytes(3), Sum: found.bytes(4), Body: found.bytes(5)}
}

// plannedOf makes a row of planColumns one of the plan.
func plannedOf(found row) hashlog.PlannedRow {
	p := hashlog.PlannedRow{Pos: found.int(0), Sum: found.bytes(6), Listed: found.text(7), Row: hashlog.Row{Seq: found.int(1), Line: int(found.int(2)),
		Key: found.text(3), Cells: found.bytes(4), Reason: found.text(5)}}
	if len(p.Sum) < sha256.Size {
		p.Sum = nil
	}
	return p
}

// Sheets calls fn for the plan from one position to another, in order. The first and
// the last sheet may have rows before and behind. hashlog.ErrDone ends it.
func (d *plan) Sheets(from, to int64, fn func(s *hashlog.Sheet) error) error {
	stopped, err := false, error(nil)
	each := func(s *hashlog.Sheet) error {
		err := fn(s)
		stopped = stopped || err != nil
		return err
	}
	if err = d.eachSheet(from, to, each); err == nil && !stopped {
		err = d.eachLoose(from, to, each)
	}
	return hashlog.Ended(err)
}

// eachSheet calls fn for the sheets that have rows from one position to another.
func (d *plan) eachSheet(from, to int64, fn func(s *hashlog.Sheet) error) error {
	t, err := d.has()
	if err != nil || !t.sheets {
		return err
	}
	up := hashlog.Climb{}
	return d.conn.each("SELECT "+sheetColumns+" FROM sheet WHERE first >= (SELECT coalesce(max(first), 0) FROM sheet WHERE first <= ?) AND first <= ? ORDER BY first", func(found row) error {
		s := sheetOf(found)
		if err := up.To(s.First); err != nil {
			return err
		}
		up.Last = max(up.Last, s.First+s.N-1)
		return fn(&s)
	}, from, to)
}

// looseRows is how many rows of the table plan are handed over at once.
const looseRows = 64

// eachLoose calls fn for the rows of the table plan from one position to another.
func (d *plan) eachLoose(from, to int64, fn func(s *hashlog.Sheet) error) error {
	s := hashlog.Sheet{Loose: make([]hashlog.PlannedRow, 0, looseRows)}
	give := func() error {
		if len(s.Loose) == 0 {
			return nil
		}
		s.First = s.Loose[0].Pos
		s.N = s.Loose[len(s.Loose)-1].Pos - s.First + 1
		err := fn(&s)
		s.Loose = s.Loose[:0]
		return err
	}
	up, stopped := hashlog.Climb{Last: math.MinInt64}, false
	err := d.conn.each("SELECT "+planColumns+" FROM plan WHERE pos BETWEEN ? AND ? ORDER BY pos", func(found row) error {
		s.Loose = append(s.Loose, plannedOf(found))
		if err := up.To(found.int(0)); err != nil {
			return err
		}
		if len(s.Loose) < looseRows {
			return nil
		}
		err := give()
		stopped = err != nil
		return err
	}, from, to)
	if err != nil || stopped {
		return err
	}
	return give()
}

// Rows calls fn for the rows with some keys, each once, by position, or for those behind
// one of the source. hashlog.ErrDone ends it.
func (d *plan) Rows(of rows.Wanted, fn func(p *hashlog.PlannedRow) error) error {
	if len(of.Keys) == 0 {
		return d.bySource(of.After, of.Most, fn)
	}
	list, err := d.byKey(of.Keys)
	if err != nil {
		return err
	}
	return giveAll(list, fn)
}

// giveAll calls fn for all rows, until it ends that.
func giveAll(list []hashlog.PlannedRow, fn func(p *hashlog.PlannedRow) error) error {
	for i := range list {
		if err := fn(&list[i]); err != nil {
			return hashlog.Ended(err)
		}
	}
	return nil
}

// bySource calls fn for the rows behind one of the source, in the order of the source,
// at most that many.
func (d *plan) bySource(after int64, most int, fn func(p *hashlog.PlannedRow) error) error {
	list, err := d.sourceOnSheets(after, most)
	if err != nil {
		return err
	}
	up := hashlog.Climb{Last: after}
	err = d.conn.each("SELECT "+planColumns+" FROM plan WHERE seq > ? ORDER BY seq LIMIT ?", func(found row) error {
		list = append(list, plannedOf(found))
		return up.To(found.int(1))
	}, after, int64(most))
	if err != nil {
		return err
	}
	slices.SortStableFunc(list, func(a, b hashlog.PlannedRow) int { return cmp.Compare(a.Seq, b.Seq) })
	return giveAll(list[:min(len(list), most)], fn)
}

// sourceOnSheets returns the rows on sheets behind one of the source.
func (d *plan) sourceOnSheets(after int64, most int) (list []hashlog.PlannedRow, err error) {
	front, err := d.front()
	if err != nil || front == 0 {
		return nil, err
	}
	from, err := d.sheetBefore(after)
	if err != nil {
		return nil, err
	}
	err = d.eachSheet(from, front, func(s *hashlog.Sheet) error {
		return s.Rows(func(p *hashlog.PlannedRow) error {
			switch {
			case p.Seq <= after:
				return nil
			case len(list) == most:
				return hashlog.ErrDone
			}
			list = append(list, *p)
			return nil
		})
	})
	return list, err
}

// front is the last position on a sheet, or 0.
func (d *plan) front() (int64, error) {
	t, err := d.has()
	if err != nil || !t.sheets {
		return 0, err
	}
	return d.conn.count("SELECT first + n - 1 FROM sheet ORDER BY first DESC LIMIT 1")
}

// sheetBefore is where the last sheet begins whose first row is not behind one of
// the source: of those on sheets both ascend.
func (d *plan) sheetBefore(seq int64) (first int64, err error) {
	first = 1
	from, to := int64(1), int64(0)
	for to, err = d.front(); err == nil && from <= to; {
		middle := from + (to-from)/2
		var at row
		at, err = d.conn.one("SELECT first, n, seq FROM sheet WHERE first <= ? ORDER BY first DESC LIMIT 1", middle)
		switch {
		case err != nil:
		case at == nil || at.int(0) < from: // of a damaged file
			from = middle + 1
		case at.int(2) <= seq:
			first, from = at.int(0), max(middle, at.int(0)+at.int(1)-1)+1
		default:
			to = at.int(0) - 1
		}
	}
	return first, err
}

// byKey returns the rows of the users with one of some keys, which are folded, by
// position, each once. What is not found by an index is looked for on all sheets: a
// damaged index hides no user.
func (d *plan) byKey(folds []string) (list []hashlog.PlannedRow, err error) {
	t, err := d.has()
	for i := 0; i < len(folds) && err == nil; i++ {
		err = d.conn.each("SELECT "+planColumns+" FROM plan WHERE fold = ?", func(at row) error {
			list = append(list, plannedOf(at))
			return nil
		}, folds[i])
	}
	if err != nil || !t.sheets {
		return byPosition(list), err
	}
	if t.byKey {
		listed, err := d.onSheets("SELECT first, keys FROM sheet INDEXED BY sheet_keys ORDER BY first", folds)
		if found := byPosition(slices.Concat(list, listed)); err == nil && len(found) >= len(folds) {
			return found, nil
		}
	}
	all, err := d.onSheets("SELECT first, keys FROM sheet NOT INDEXED ORDER BY first", folds)
	return byPosition(slices.Concat(list, all)), err
}

// byPosition sorts rows by position, each once.
func byPosition(list []hashlog.PlannedRow) []hashlog.PlannedRow {
	slices.SortStableFunc(list, func(a, b hashlog.PlannedRow) int { return cmp.Compare(a.Pos, b.Pos) })
	return slices.CompactFunc(list, func(a, b hashlog.PlannedRow) bool { return a.Pos == b.Pos })
}

// onSheets returns the rows with one of some keys on the sheets that may have it, of
// those that a query lists with what they keep of their keys.
func (d *plan) onSheets(query string, folds []string) (list []hashlog.PlannedRow, err error) {
	marks := make([]uint16, len(folds))
	for i, fold := range folds {
		marks[i] = hashlog.SheetMark(fold)
	}
	var marked []int64
	err = d.conn.each(query, func(at row) error {
		if hashlog.Marked(at.bytes(1), marks...) {
			marked = append(marked, at.int(0))
		}
		return nil
	})
	for i := 0; i < len(marked) && err == nil; i++ {
		err = d.eachSheet(marked[i], marked[i], func(s *hashlog.Sheet) error {
			return s.Rows(func(p *hashlog.PlannedRow) error {
				if slices.Contains(folds, diag.Fold(p.Key)) {
					list = append(list, *p)
				}
				return nil
			})
		})
	}
	return list, err
}

// keyAt returns the key of the user at a position; "": it has none.
func (d *plan) keyAt(pos int64) (key string, err error) {
	err = d.Sheets(pos, pos, func(s *hashlog.Sheet) error {
		return s.Rows(func(p *hashlog.PlannedRow) error {
			if p.Pos == pos {
				key = p.Key
			}
			return nil
		})
	})
	return key, err
}
