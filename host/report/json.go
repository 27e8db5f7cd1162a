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
func (j *JSON) Add(result Result, row Row) error {
	row, err := j.cols.fit(result.Row.Key, row)
	if err != nil {
		return err
	}
	data := j.buf[:0]
	switch {
	case j.array && j.rows == 0:
		data = append(data, "[\n"...)
	case j.array:
		data = append(data, ",\n"...)
	}
	data, err = object(data, result.Row.Key, row)
	if err != nil {
		return err
	}
	if !j.array {
		data = append(data, '\n')
	}
	j.rows++
	_, err = j.out.Write(data)
	clear(data) // it held secrets
	j.buf = data
	return err
}

// object appends row as one object, and says of which column an error is.
func object(data []byte, key string, row Row) ([]byte, error) {
	cells := jsonCells{}
	data = append(data, '{')
	for i, field := range row {
		if i > 0 {
			data = append(data, ", "...)
		}
		var err error
		if data, err = cells.text(data, field.Name); err != nil {
			return data, inCell(key, field.Name, err)
		}
		data = append(data, ": "...)
		if data, err = cells.appendTo(data, field.Value); err != nil {
			return data, inCell(key, field.Name, err)
		}
	}
	return append(data, '}'), nil
}

// Close ends the array and writes the buffer.
func (j *JSON) Close() error {
	switch {
	case j.array && j.rows == 0:
		_, _ = j.out.WriteString("[]\n") // an error stays in out until Flush
	case j.array:
		_, _ = j.out.WriteString("\n]\n")
	}
	return j.out.Flush()
}
