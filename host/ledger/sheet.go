package ledger

import (
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/fnv"

	"github.com/rekey-host/rekey/host/diag"
)

// A sheet is as many rows of the plan as a page of the file has room for: those
// that stand in the order of the source from the first place on. It is one row of
// the table sheet, so that a page that is lost takes no more rows with it than it
// had. All other rows are in the table plan, behind those on sheets.
//
//	sheet = first n seq keys sum body
//	body  = (seq line key row sum of row)*
//
// first is the position of the first row and seq its number in the source; in the
// body seq and line are signed varints of what is more than before, key and row
// have an unsigned varint length before them. The sum of a row is the first bytes of
// what hides it, as in its leaf. keys are two bytes of a hash of each folded key: to
// find one needs no index.
type sheet struct {
	first, n, seq int64
	keys          []byte
	sum           []byte
	body          []byte
}

// sheetSchema is what a ledger of format 1 or 2 lacks.
const sheetSchema = `
CREATE TABLE sheet (first INTEGER PRIMARY KEY, n INTEGER NOT NULL, seq INTEGER NOT NULL, keys BLOB NOT NULL, sum BLOB NOT NULL, body BLOB NOT NULL);
`

const sheetColumns = "first, n, seq, keys, sum, body"

const (
	maxSheet  = 4000 // bytes of keys and body that fit on a page with what else is there
	sheetSum  = 16
	keyMarkIs = 2
)

// plannedRow is a row of the plan as it is stored.
type plannedRow struct {
	PlannedUser
	pos int64
	sum []byte // of what hides the row: its first bytes, or all
}

// is reports whether the row is what was frozen, and returns what hides it.
func (p *plannedRow) is(enc *encoder, private *[]byte) (hidden [32]byte, ok bool) {
	hidden = enc.hideRow(private, &p.PlannedUser)
	return hidden, len(p.sum) >= sumSize && string(hidden[:min(len(p.sum), len(hidden))]) == string(p.sum)
}

// keyMark is what is kept of a folded key.
func keyMark(fold string) uint16 {
	h := fnv.New32a()
	h.Write([]byte(fold))
	sum := h.Sum32()
	return uint16(sum ^ sum>>16)
}

// sheetWriter fills sheets.
type sheetWriter struct {
	sheet
	lastSeq, lastLine int64
}

// fits reports whether the sheet has room for a row.
func (w *sheetWriter) fits(p *PlannedUser) bool {
	const numbers = 4 * binary.MaxVarintLen64
	return w.n == 0 || len(w.keys)+len(w.body)+keyMarkIs+numbers+len(p.Key)+len(p.Row)+sumSize <= maxSheet
}

// add puts the next row on the sheet.
func (w *sheetWriter) add(p *PlannedUser, fold string, hidden *[32]byte) {
	if w.n == 0 {
		w.seq, w.lastSeq, w.lastLine = p.Seq, p.Seq, 0
	}
	w.n++
	w.keys = binary.LittleEndian.AppendUint16(w.keys, keyMark(fold))
	w.body = binary.AppendVarint(w.body, p.Seq-w.lastSeq)
	w.body = binary.AppendVarint(w.body, int64(p.Line)-w.lastLine)
	w.body = appendString(appendString(w.body, p.Key), p.Row)
	w.body = append(w.body, hidden[:sumSize]...)
	w.lastSeq, w.lastLine = p.Seq, int64(p.Line)
}

// begin makes it the next sheet.
func (w *sheetWriter) begin() {
	w.first += w.n
	w.n, w.keys, w.body = 0, w.keys[:0], w.body[:0]
}

// sumOf is the sheet's sum.
func (s *sheet) sumOf(names *namesKey) [sheetSum]byte {
	h := sha256.New()
	h.Write([]byte("rekey plan sheet"))
	h.Write(names[:])
	var numbers [3 * 8]byte
	for i, v := range []int64{s.first, s.n, s.seq} {
		binary.BigEndian.PutUint64(numbers[8*i:], uint64(v))
	}
	h.Write(numbers[:])
	h.Write(s.keys)
	h.Write(s.body)
	return [sheetSum]byte(h.Sum(nil))
}

// sheetOf makes a sheet of a row of sheetColumns.
func sheetOf(found row) sheet {
	return sheet{found.int(0), found.int(1), found.int(2), found.bytes(3), found.bytes(4), found.bytes(5)}
}

// rows calls fn for the rows of the sheet, in order. The row is valid during the
// call, what it points to for good.
func (s *sheet) rows(fn func(p *plannedRow) error) error {
	r, text := reader{rest: s.body}, string(s.body)
	p := plannedRow{pos: s.first, PlannedUser: PlannedUser{Seq: s.seq}}
	for ; len(r.rest) > 0; p.pos++ {
		p.Seq += r.int()
		p.Line += int(r.int())
		key := len(r.bytes())
		end := len(text) - len(r.rest)
		p.Key, p.Row = text[end-key:end], r.bytes()
		if len(r.rest) < sumSize {
			r.fail()
		}
		if r.bad {
			return unsound{fmt.Errorf("row %d of the plan: its bytes are none", p.pos)}
		}
		p.sum, r.rest = r.rest[:sumSize], r.rest[sumSize:]
		if err := fn(&p); err != nil {
			return err
		}
	}
	if p.pos-s.first != s.n {
		return unsound{fmt.Errorf("the plan from row %d on has %d rows, and %d are listed", s.first, p.pos-s.first, s.n)}
	}
	return nil
}

// eachSheet calls fn for the sheets that have rows from one position to another.
func (l *log) eachSheet(from, to int64, fn func(s *sheet) error) error {
	if !l.sheets {
		return nil
	}
	up := climb{}
	return l.c.each("SELECT "+sheetColumns+" FROM sheet WHERE first >= (SELECT coalesce(max(first), 0) FROM sheet WHERE first <= ?) AND first <= ? ORDER BY first", func(found row) error {
		s := sheetOf(found)
		if err := up.to(s.first); err != nil {
			return err
		}
		up.last = max(up.last, s.first+s.n-1)
		return fn(&s)
	}, from, to)
}

// eachPlanned calls fn for the rows of the plan from one position to another, in
// order. errDone ends it.
func (l *log) eachPlanned(from, to int64, fn func(p *plannedRow) error) error {
	err := l.eachSheet(from, to, func(s *sheet) error {
		return s.rows(func(p *plannedRow) error {
			if p.pos < from || p.pos > to {
				return nil
			}
			return fn(p)
		})
	})
	if err != nil {
		return ended(err)
	}
	return l.c.each("SELECT "+planColumns+" FROM plan WHERE pos BETWEEN ? AND ? ORDER BY pos", func(found row) error {
		p := plannedOf(found)
		return fn(&p)
	}, from, to)
}

const planColumns = "pos, seq, line, key, row, reason, digest"

// plannedOf makes a row of planColumns one of the plan.
func plannedOf(found row) plannedRow {
	p := plannedRow{pos: found.int(0), sum: found.bytes(6), PlannedUser: PlannedUser{Seq: found.int(1), Line: int(found.int(2)),
		Key: found.text(3), Row: found.bytes(4), Reason: found.text(5)}}
	if len(p.sum) < sha256.Size {
		p.sum = nil
	}
	return p
}

// ended takes errDone for no error.
func ended(err error) error {
	if errors.Is(err, errDone) {
		return nil
	}
	return err
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
	err = l.eachPlanned(pos, pos, func(p *plannedRow) error {
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
		mark := keyMark(fold)
		err = l.c.each("SELECT first, keys FROM sheet ORDER BY first", func(at row) error {
			if marked(at.bytes(1), mark) {
				found = append(found, at.int(0))
			}
			return nil
		})
	}
	for i := 0; i < len(found) && err == nil; i++ {
		err = l.eachSheet(found[i], found[i], func(s *sheet) error {
			return s.rows(func(p *plannedRow) error {
				if diag.Fold(p.Key) == fold {
					list = append(list, p.pos)
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

// marked reports whether a key of a sheet may be one with the mark.
func marked(keys []byte, mark uint16) bool {
	for ; len(keys) >= keyMarkIs; keys = keys[keyMarkIs:] {
		if binary.LittleEndian.Uint16(keys) == mark {
			return true
		}
	}
	return false
}
