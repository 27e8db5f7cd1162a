package hashlog

import (
	"crypto/sha256"
	"encoding/binary"
	"hash/fnv"
	"slices"
)

// Sheet is a piece of the plan: rows that stand in the order of the source from the
// position First on.
//
//	sheet = first n seq keys sum body
//	body  = (seq line key row sum of row)*
//
// seq is the number of the first row in the source; in the body seq and line are
// signed varints of the growth, key and row have an unsigned varint
// length before them. The sum of a row is the first bytes of what hides it, as in its
// leaf. keys are two bytes of a hash of each folded key: to find one needs no index.
type Sheet struct {
	First, N, Seq int64
	Keys          []byte
	Sum           []byte
	Body          []byte

	Loose []PlannedRow // rows kept by themselves; the sheet has no others then
}

const (
	maxSheet  = 4000 // bytes of keys and body that fit on a page with what else is there
	sheetSum  = 16
	keyMarkIs = 2

	// MaxRows is more rows than a sheet has.
	MaxRows = maxSheet / sumSize
)

// SheetMark is what a sheet keeps of a folded key.
func SheetMark(fold string) uint16 {
	h := fnv.New32a()
	_, _ = h.Write([]byte(fold))
	sum := h.Sum32()
	return uint16(sum ^ sum>>16)
}

// Marked reports whether a key of a sheet, of which these are its Keys, may be one
// with one of the marks.
func Marked(keys []byte, marks ...uint16) bool {
	for ; len(keys) >= keyMarkIs; keys = keys[keyMarkIs:] {
		if slices.Contains(marks, binary.LittleEndian.Uint16(keys)) {
			return true
		}
	}
	return false
}

// SumOf is the sheet's sum.
func (s *Sheet) SumOf(names *NamesKey) [sheetSum]byte {
	h := sha256.New()
	h.Write([]byte("rekey plan sheet"))
	h.Write(names[:])
	var numbers [3 * 8]byte
	for i, v := range []int64{s.First, s.N, s.Seq} {
		binary.BigEndian.PutUint64(numbers[8*i:], uint64(v))
	}
	h.Write(numbers[:])
	h.Write(s.Keys)
	h.Write(s.Body)
	return [sheetSum]byte(h.Sum(nil))
}

// Sound reports whether the sheet has its sum, or each of its rows if they are kept by
// themselves.
func (s *Sheet) Sound(enc *Encoder) bool {
	var private []byte
	for i := range s.Loose {
		if _, ok := s.Loose[i].Is(enc, &private); !ok {
			return false
		}
	}
	if s.Loose != nil {
		return true
	}
	sum := s.SumOf(enc.Key)
	return string(sum[:]) == string(s.Sum)
}

// Rows calls fn for the rows of the sheet, in order. The row is valid during the
// call, its contents for good. An error of fn ends it, and is returned.
func (s *Sheet) Rows(fn func(p *PlannedRow) error) error {
	for i := range s.Loose {
		if err := fn(&s.Loose[i]); err != nil {
			return err
		}
	}
	if s.Loose != nil {
		return nil
	}
	r, text := reader{rest: s.Body}, string(s.Body)
	p := PlannedRow{Pos: s.First, Row: Row{Seq: s.Seq}}
	for keys := s.Keys; len(r.rest) > 0; p.Pos++ {
		p.Seq += r.int()
		p.Line += int(r.int())
		key := len(r.bytes())
		end := len(text) - len(r.rest)
		p.Key, p.Cells = text[end-key:end], r.bytes()
		if len(r.rest) < sumSize {
			r.fail()
		}
		if r.bad {
			return NotAsWritten("row %d of the plan: its bytes are none", p.Pos)
		}
		p.Sum, r.rest = r.rest[:sumSize], r.rest[sumSize:]
		p.mark = keys[:min(keyMarkIs, len(keys))]
		keys = keys[len(p.mark):]
		if err := fn(&p); err != nil {
			return err
		}
	}
	if p.Pos-s.First != s.N {
		return NotAsWritten("the plan from row %d on has %d rows, and %d are listed", s.First, p.Pos-s.First, s.N)
	}
	return nil
}

// SheetWriter fills sheets.
type SheetWriter struct {
	Sheet
	lastSeq, lastLine int64
}

// Fits reports whether the sheet has room for a row.
func (w *SheetWriter) Fits(row *Row) bool {
	const numbers = 4 * binary.MaxVarintLen64
	return w.N == 0 || len(w.Keys)+len(w.Body)+keyMarkIs+numbers+len(row.Key)+len(row.Cells)+sumSize <= maxSheet
}

// Add puts the next row on the sheet: its key, folded, and what hides it.
func (w *SheetWriter) Add(row *Row, fold string, hidden *[32]byte) {
	if w.N == 0 {
		w.Seq, w.lastSeq, w.lastLine = row.Seq, row.Seq, 0
	}
	w.N++
	w.Keys = binary.LittleEndian.AppendUint16(w.Keys, SheetMark(fold))
	w.Body = binary.AppendVarint(w.Body, row.Seq-w.lastSeq)
	w.Body = binary.AppendVarint(w.Body, int64(row.Line)-w.lastLine)
	w.Body = appendString(appendString(w.Body, row.Key), row.Cells)
	w.Body = append(w.Body, hidden[:sumSize]...)
	w.lastSeq, w.lastLine = row.Seq, int64(row.Line)
}

// Begin makes it the next sheet.
func (w *SheetWriter) Begin() {
	w.First += w.N
	w.N, w.Keys, w.Body = 0, w.Keys[:0], w.Body[:0]
}
