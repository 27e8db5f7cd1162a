package report

import (
	"bufio"
	"io"
)

// JSON writes one array of objects, one object a line.
type JSON struct {
	out   *bufio.Writer
	cols  columns
	buf   []byte
	array bool
	rows  int64
}

// NewJSON returns a writer of one JSON array. It does not close w.
func NewJSON(w io.Writer) *JSON { return &JSON{out: bufio.NewWriter(w), array: true} }

// NewJSONL returns a writer of JSON lines: the same objects, one a line,
// without the array. It does not close w.
func NewJSONL(w io.Writer) *JSON { return &JSON{out: bufio.NewWriter(w)} }

// Add writes the row of one user.
func (j *JSON) Add(r Result, row Row) error {
	row, err := j.cols.fit(r.Row.Key, row)
	if err != nil {
		return err
	}
	b := j.buf[:0]
	switch {
	case j.array && j.rows == 0:
		b = append(b, "[\n"...)
	case j.array:
		b = append(b, ",\n"...)
	}
	b, err = object(b, r.Row.Key, row)
	if err != nil {
		return err
	}
	if !j.array {
		b = append(b, '\n')
	}
	j.rows++
	_, err = j.out.Write(b)
	clear(b) // it held secrets
	j.buf = b
	return err
}

// object appends row as one object, and says of which column an error is.
func object(b []byte, key string, row Row) ([]byte, error) {
	cells := jsonCells{}
	b = append(b, '{')
	for i, f := range row {
		if i > 0 {
			b = append(b, ", "...)
		}
		var err error
		if b, err = cells.text(b, f.Name); err != nil {
			return b, inCell(key, f.Name, err)
		}
		b = append(b, ": "...)
		if b, err = cells.appendTo(b, f.Value); err != nil {
			return b, inCell(key, f.Name, err)
		}
	}
	return append(b, '}'), nil
}

// Close ends the array and writes what is buffered.
func (j *JSON) Close() error {
	switch {
	case j.array && j.rows == 0:
		_, _ = j.out.WriteString("[]\n") // an error stays in out until Flush
	case j.array:
		_, _ = j.out.WriteString("\n]\n")
	}
	return j.out.Flush()
}
