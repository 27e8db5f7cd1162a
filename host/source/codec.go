package source

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/rekey-host/rekey/sdk/secret"
)

// The form of a row in a ledger: the version, the line, the number of cells,
// the cells, each a tag and what belongs to it, and the key where its cell
// does not say it. Numbers are varints. Tags are only ever added to.
const codecVersion = 1

const (
	tagNil byte = iota
	tagString
	tagInt
	tagFloat
	tagFalse
	tagTrue
	tagDay
	tagSecret
	tagList
	tagMap
)

const secondsADay = 24 * 60 * 60

// ErrRow is returned for bytes that Encode has not made for this schema.
var ErrRow = errors.New("source: not a row of this schema")

// Encode returns a row as bytes to keep. Secret cells are written as what seal
// makes of them, never in clear. The row is one of a Source with this schema;
// another is a defect of the caller, and Encode panics.
func Encode(s Schema, row Row, seal func(column string, v secret.Value) []byte) []byte {
	if len(row.Cells) != len(s.Columns) {
		panic(fmt.Sprintf("source: a row of %d cells, want %d", len(row.Cells), len(s.Columns)))
	}
	b := make([]byte, 0, 16+24*len(row.Cells))
	b = append(b, codecVersion)
	b = binary.AppendUvarint(b, uint64(row.Line))
	b = binary.AppendUvarint(b, uint64(len(row.Cells)))
	for i, cell := range row.Cells {
		if v, ok := cell.(secret.Value); ok {
			b = appendBytes(append(b, tagSecret), seal(s.Columns[i].Name, v))
			continue
		}
		b = appendCell(b, cell)
	}
	if keyText(row.Cells[s.Key]) != row.Key {
		b = appendBytes(b, row.Key)
	}
	return b
}

// keyText is the key that a cell says.
func keyText(cell any) string {
	switch v := cell.(type) {
	case string:
		return v
	case int64, Day:
		return fmt.Sprint(v)
	}
	return ""
}

func appendBytes[T []byte | string](b []byte, text T) []byte {
	return append(binary.AppendUvarint(b, uint64(len(text))), text...)
}

func appendCell(b []byte, cell any) []byte {
	switch v := cell.(type) {
	case nil:
		return append(b, tagNil)
	case string:
		return appendBytes(append(b, tagString), v)
	case int64:
		return binary.AppendVarint(append(b, tagInt), v)
	case float64:
		return binary.LittleEndian.AppendUint64(append(b, tagFloat), math.Float64bits(v))
	case bool:
		if v {
			return append(b, tagTrue)
		}
		return append(b, tagFalse)
	case Day:
		return binary.AppendVarint(append(b, tagDay), v.Unix()/secondsADay)
	case []any:
		b = binary.AppendUvarint(append(b, tagList), uint64(len(v)))
		for _, x := range v {
			b = appendCell(b, x)
		}
		return b
	case map[string]any:
		return appendMap(b, v)
	}
	panic(fmt.Sprintf("source: a cell cannot be a %T", cell))
}

func appendMap(b []byte, m map[string]any) []byte {
	names := make([]string, 0, len(m))
	for name := range m {
		names = append(names, name)
	}
	slices.Sort(names)
	b = binary.AppendUvarint(append(b, tagMap), uint64(len(m)))
	for _, name := range names {
		b = appendCell(appendBytes(b, name), m[name])
	}
	return b
}

// Decode returns the row that Encode has made bytes of; File is not kept. open
// returns the secret of what seal made; its error is returned as it is. Bytes
// that are not a row of the schema are ErrRow.
func Decode(s Schema, data []byte, open func(column string, sealed []byte) (secret.Value, error)) (Row, error) {
	d := &decoder{data: data, open: open}
	if d.byte() != codecVersion {
		return Row{}, ErrRow
	}
	line := d.uvarint(math.MaxInt32)
	if n := d.uvarint(math.MaxInt32); n != len(s.Columns) || s.Key < 0 || s.Key >= n {
		return Row{}, ErrRow
	}
	row := Row{Line: line, Cells: make([]any, len(s.Columns))}
	for i, c := range s.Columns {
		row.Cells[i] = d.cell(c, 0)
	}
	row.Key = keyText(row.Cells[s.Key])
	if len(d.data) > 0 {
		row.Key = string(d.bytes())
	}
	if len(d.data) > 0 {
		d.fail(ErrRow)
	}
	if d.err != nil {
		return Row{}, d.err
	}
	return row, nil
}

// decoder reads from the front of data. After a failure it reads zeros.
type decoder struct {
	data []byte
	open func(column string, sealed []byte) (secret.Value, error)
	err  error
}

func (d *decoder) fail(err error) {
	if d.err == nil {
		d.err = err
	}
	d.data = nil
}

func (d *decoder) byte() byte {
	if len(d.data) == 0 {
		d.fail(ErrRow)
		return 0
	}
	b := d.data[0]
	d.data = d.data[1:]
	return b
}

// uvarint reads a number that is not above most.
func (d *decoder) uvarint(most int) int {
	n, size := binary.Uvarint(d.data)
	if size <= 0 || n > uint64(most) {
		d.fail(ErrRow)
		return 0
	}
	d.data = d.data[size:]
	return int(n)
}

func (d *decoder) varint() int64 {
	n, size := binary.Varint(d.data)
	if size <= 0 {
		d.fail(ErrRow)
		return 0
	}
	d.data = d.data[size:]
	return n
}

func (d *decoder) bytes() []byte {
	n := d.uvarint(math.MaxInt32)
	if n > len(d.data) {
		d.fail(ErrRow)
		return nil
	}
	b := d.data[:n]
	d.data = d.data[n:]
	return b
}

func (d *decoder) float() float64 {
	if len(d.data) < 8 {
		d.fail(ErrRow)
		return 0
	}
	bits := binary.LittleEndian.Uint64(d.data)
	d.data = d.data[8:]
	return math.Float64frombits(bits)
}

// cell reads a cell; secrets are at the top only.
func (d *decoder) cell(c Column, depth int) any {
	tag := d.byte()
	switch {
	case d.err != nil:
	case tag == tagNil:
	case tag == tagString:
		return string(d.bytes())
	case tag == tagInt:
		return d.varint()
	case tag == tagFloat:
		return d.float()
	case tag == tagFalse, tag == tagTrue:
		return tag == tagTrue
	case tag == tagDay:
		return d.day()
	case tag == tagSecret && depth == 0:
		return d.secret(c)
	case tag == tagList && depth < maxDepth:
		return d.list(c, depth)
	case tag == tagMap && depth < maxDepth:
		return d.object(c, depth)
	default:
		d.fail(ErrRow)
	}
	return nil
}

// day reads a day of the years that YYYY-MM-DD can say.
func (d *decoder) day() any {
	n := d.varint()
	first := time.Date(0, 1, 1, 0, 0, 0, 0, time.UTC).Unix() / secondsADay
	last := time.Date(9999, 12, 31, 0, 0, 0, 0, time.UTC).Unix() / secondsADay
	if n < first || n > last {
		d.fail(ErrRow)
		return nil
	}
	return Day{time.Unix(n*secondsADay, 0).UTC()}
}

func (d *decoder) secret(c Column) any {
	sealed := d.bytes()
	if d.err != nil {
		return nil
	}
	v, err := d.open(c.Name, sealed)
	if err != nil {
		d.fail(err)
	}
	return v
}

func (d *decoder) list(c Column, depth int) any {
	n := d.uvarint(len(d.data)) // each element takes a byte at least
	list := make([]any, 0, n)
	for range n {
		list = append(list, d.cell(c, depth+1))
	}
	return list
}

func (d *decoder) object(c Column, depth int) any {
	n := d.uvarint(len(d.data))
	m := make(map[string]any, n)
	for range n {
		name := string(d.bytes())
		m[name] = d.cell(c, depth+1)
	}
	return m
}
