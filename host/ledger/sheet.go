package ledger

import (
	"crypto/sha256"

	"github.com/rekey-host/rekey/host/diag"
	"github.com/rekey-host/rekey/host/hashlog"
)

// A sheet is as many rows of the plan as a page of the file has room for. It is one
// row of the table sheet, so that a page that is lost takes no more rows with it than
// it had. All other rows are in the table plan, behind those on sheets.

// sheetSchema is what a ledger of format 1 or 2 lacks.
const sheetSchema = `
CREATE TABLE sheet (first INTEGER PRIMARY KEY, n INTEGER NOT NULL, seq INTEGER NOT NULL, keys BLOB NOT NULL, sum BLOB NOT NULL, body BLOB NOT NULL);
`

const sheetColumns = "first, n, seq, keys, sum, body"

// sheetOf makes a sheet of a row of sheetColumns.
func sheetOf(found row) hashlog.Sheet {
	return hashlog.Sheet{First: found.int(0), N: found.int(1), Seq: found.int(2), Keys: found.bytes(3), Sum: found.bytes(4), Body: found.bytes(5)}
}

// eachSheet calls fn for the sheets that have rows from one position to another.
func (l *log) eachSheet(from, to int64, fn func(s *hashlog.Sheet) error) error {
	if !l.sheets {
		return nil
	}
	up := hashlog.Climb{}
	return l.c.each("SELECT "+sheetColumns+" FROM sheet WHERE first >= (SELECT coalesce(max(first), 0) FROM sheet WHERE first <= ?) AND first <= ? ORDER BY first", func(found row) error {
		s := sheetOf(found)
		if err := up.To(s.First); err != nil {
			return err
		}
		up.Last = max(up.Last, s.First+s.N-1)
		return fn(&s)
	}, from, to)
}

// eachPlanned calls fn for the rows of the plan from one position to another, in
// order. hashlog.ErrDone ends it.
func (l *log) eachPlanned(from, to int64, fn func(p *hashlog.PlannedRow) error) error {
	err := l.eachSheet(from, to, func(s *hashlog.Sheet) error {
		return s.Rows(func(p *hashlog.PlannedRow) error {
			if p.Pos < from || p.Pos > to {
				return nil
			}
			return fn(p)
		})
	})
	if err != nil {
		return hashlog.Ended(err)
	}
	return l.c.each("SELECT "+planColumns+" FROM plan WHERE pos BETWEEN ? AND ? ORDER BY pos", func(found row) error {
		p := plannedOf(found)
		return fn(&p)
	}, from, to)
}

const planColumns = "pos, seq, line, key, row, reason, digest, fold"

// plannedOf makes a row of planColumns one of the plan.
func plannedOf(found row) hashlog.PlannedRow {
	p := hashlog.PlannedRow{Pos: found.int(0), Sum: found.bytes(6), Listed: found.text(7), Row: hashlog.Row{Seq: found.int(1), Line: int(found.int(2)),
		Key: found.text(3), Cells: found.bytes(4), Reason: found.text(5)}}
	if len(p.Sum) < sha256.Size {
		p.Sum = nil
	}
	return p
}

// front is the last position that is on a sheet; 0: none is.
func (l *log) front() (int64, error) {
	if !l.sheets {
		return 0, nil
	}
	return l.c.count("SELECT first + n - 1 FROM sheet ORDER BY first DESC LIMIT 1")
}

// sheetBefore is where the last sheet begins whose first row is not behind one of
// the source: of those on sheets both ascend.
func (l *log) sheetBefore(seq int64) (first int64, err error) {
	first = 1
	from, to := int64(1), int64(0)
	for to, err = l.front(); err == nil && from <= to; {
		middle := from + (to-from)/2
		var at row
		at, err = l.c.one("SELECT first, n, seq FROM sheet WHERE first <= ? ORDER BY first DESC LIMIT 1", middle)
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

// keyAt returns the key of the user at a position; "": it has none.
func (l *log) keyAt(pos int64) (key string, err error) {
	err = l.eachPlanned(pos, pos, func(p *hashlog.PlannedRow) error {
		key = p.Key
		return nil
	})
	return key, err
}

// keyAt is log.keyAt of a connection.
func keyAt(c *conn, pos int64) (string, error) {
	l, err := logOf(c)
	if err != nil {
		return "", err
	}
	return l.keyAt(pos)
}

// positions returns where users with a key are, folded already.
func (l *log) positions(fold string) (list []int64, err error) {
	var found []int64
	if l.sheets {
		mark := hashlog.SheetMark(fold)
		err = l.c.each("SELECT first, keys FROM sheet ORDER BY first", func(at row) error {
			if hashlog.Marked(at.bytes(1), mark) {
				found = append(found, at.int(0))
			}
			return nil
		})
	}
	for i := 0; i < len(found) && err == nil; i++ {
		err = l.eachSheet(found[i], found[i], func(s *hashlog.Sheet) error {
			return s.Rows(func(p *hashlog.PlannedRow) error {
				if diag.Fold(p.Key) == fold {
					list = append(list, p.Pos)
				}
				return nil
			})
		})
	}
	if err == nil {
		err = l.c.each("SELECT pos FROM plan WHERE fold = ?", func(at row) error {
			list = append(list, at.int(0))
			return nil
		}, fold)
	}
	return list, err
}
