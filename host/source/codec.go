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
func Encode(schema Schema, row Row, seal func(column string, value secret.Value) []byte) []byte {
	if len(row.Cells) != len(schema.Columns) {
		panic(fmt.Sprintf("source: a row of %d cells, want %d", len(row.Cells), len(schema.Columns)))
	}
	data := make([]byte, 0, 16+24*len(row.Cells))
	data = append(data, codecVersion)
	data = binary.AppendUvarint(data, uint64(row.Line))
	data = binary.AppendUvarint(data, uint64(len(row.Cells)))
	for i, cell := range row.Cells {
		if value, ok := cell.(secret.Value); ok {
			data = appendBytes(append(data, tagSecret), seal(schema.Columns[i].Name, value))
			continue
		}
		data = appendCell(data, cell)
	}
	if keyText(row.Cells[schema.Key]) != row.Key {
		data = appendBytes(data, row.Key)
	}
	return data
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

func appendBytes[T []byte | string](data []byte, text T) []byte {
	return append(binary.AppendUvarint(data, uint64(len(text))), text...)
}

func appendCell(data []byte, cell any) []byte {
	switch v := cell.(type) {
	case nil:
		return append(data, tagNil)
	case string:
		return appendBytes(append(data, tagString), v)
	case int64:
		return binary.AppendVarint(append(data, tagInt), v)
	case float64:
		return binary.LittleEndian.AppendUint64(append(data, tagFloat), math.Float64bits(v))
	case bool:
		if v {
			return append(data, tagTrue)
		}
		return append(data, tagFalse)
	case Day:
		return binary.AppendVarint(append(data, tagDay), v.Unix()/secondsADay)
	case []any:
		data = binary.AppendUvarint(append(data, tagList), uint64(len(v)))
		for _, value := range v {
			data = appendCell(data, value)
		}
		return data
	case map[string]any:
		return appendMap(data, v)
	}
	panic(fmt.Sprintf("source: a cell cannot be a %T", cell))
}

func appendMap(data []byte, table map[string]any) []byte {
	names := make([]string, 0, len(table))
	for name := range table {
		names = append(names, name)
	}
	slices.Sort(names)
	data = binary.AppendUvarint(append(data, tagMap), uint64(len(table)))
	for _, name := range names {
		data = appendCell(appendBytes(data, name), table[name])
	}
	return data
}

// Decode returns the row that Encode has made bytes of; File is not kept. open
// returns the secret of what seal made; its error is returned as it is. Bytes
// that hold no row of the schema are ErrRow.
func Decode(schema Schema, data []byte, open func(column string, sealed []byte) (secret.Value, error)) (Row, error) {
	made := &decoder{text: string(data), data: data, open: open}
	if made.byte() != codecVersion {
		return Row{}, ErrRow
	}
	line := made.uvarint(math.MaxInt32)
	if count := made.uvarint(math.MaxInt32); count != len(schema.Columns) || schema.Key < 0 || schema.Key >= count {
		return Row{}, ErrRow
	}
	row := Row{Line: line, Cells: make([]any, len(schema.Columns))}
	for i, column := range schema.Columns {
		row.Cells[i] = made.cell(column, 0)
	}
	row.Key = keyText(row.Cells[schema.Key])
	if len(made.data) > 0 {
		row.Key = made.string()
	}
	if len(made.data) > 0 {
		made.fail(ErrRow)
	}
	if made.err != nil {
		return Row{}, made.err
	}
	return row, nil
}

// decoder reads from the front of data. After a failure it reads zeros.
type decoder struct {
	text string // all of what data was: texts are parts of it
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
	value := d.data[0]
	d.data = d.data[1:]
	return value
}

// uvarint reads a number up to most.
func (d *decoder) uvarint(most int) int {
	count, size := binary.Uvarint(d.data)
	if size <= 0 || count > uint64(most) {
		d.fail(ErrRow)
		return 0
	}
	d.data = d.data[size:]
	return int(count)
}

func (d *decoder) varint() int64 {
	count, size := binary.Varint(d.data)
	if size <= 0 {
		d.fail(ErrRow)
		return 0
	}
	d.data = d.data[size:]
	return count
}

func (d *decoder) bytes() []byte {
	count := d.uvarint(math.MaxInt32)
	if count > len(d.data) {
		d.fail(ErrRow)
		return nil
	}
	data := d.data[:count]
	d.data = d.data[count:]
	return data
}

func (d *decoder) string() string {
	size := len(d.bytes())
	end := len(d.text) - len(d.data)
	return d.text[end-size : end]
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
func (d *decoder) cell(column Column, depth int) any {
	tag := d.byte()
	switch {
	case d.err != nil:
	case tag == tagNil:
	case tag == tagString:
		return d.string()
	case tag == tagInt:
		return d.varint()
	case tag == tagFloat:
		return d.float()
	case tag == tagFalse, tag == tagTrue:
		return tag == tagTrue
	case tag == tagDay:
		return d.day()
	case tag == tagSecret && depth == 0:
		return d.secret(column)
	case tag == tagList && depth < maxDepth:
		return d.list(column, depth)
	case tag == tagMap && depth < maxDepth:
		return d.object(column, depth)
	default:
		d.fail(ErrRow)
	}
	return nil
}

// day reads a day of the years that YYYY-MM-DD can say.
func (d *decoder) day() any {
	count := d.varint()
	first := time.Date(0, 1, 1, 0, 0, 0, 0, time.UTC).Unix() / secondsADay
	last := time.Date(9999, 12, 31, 0, 0, 0, 0, time.UTC).Unix() / secondsADay
	if count < first || count > last {
		d.fail(ErrRow)
		return nil
	}
	return Day{time.Unix(count*secondsADay, 0).UTC()}
}

func (d *decoder) secret(column Column) any {
	sealed := d.bytes()
	if d.err != nil {
		return nil
	}
	value, err := d.open(column.Name, sealed)
	if err != nil {
		d.fail(err)
	}
	return value
}

func (d *decoder) list(column Column, depth int) any {
	count := d.uvarint(len(d.data)) // each element takes a byte at least
	list := make([]any, 0, count)
	for range count {
		list = append(list, d.cell(column, depth+1))
	}
	return list
}

func (d *decoder) object(column Column, depth int) any {
	count := d.uvarint(len(d.data))
	table := make(map[string]any, count)
	for range count {
		name := string(d.bytes())
		table[name] = d.cell(column, depth+1)
	}
	return table
}
