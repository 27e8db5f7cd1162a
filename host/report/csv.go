package report

import (
	"bufio"
	"fmt"
	"io"
	"strings"
)

// CSV writes comma-separated values as RFC 4180 has them, with LF and a
// header line. Values are raw: a password is never changed to please a
// spreadsheet; see Formulas.
type CSV struct {
	Delimiter string // one character; "": a comma
	Mark      bool   // begin with a byte order mark, by which Excel knows UTF-8

	out      *bufio.Writer
	cols     columns
	cells    []string
	header   []string // written even without rows
	begun    bool
	formulas []Formula
}

// Formula counts the values of a column that a spreadsheet would run: those
// that begin with = + - @ tab or carriage return.
type Formula struct {
	Column string
	Users  int64
	Key    string // of the first user
}

// Warning returns what the summary says of it.
func (f Formula) Warning(path string) string {
	values := "values begin"
	if f.Users == 1 {
		values = "value begins"
	}
	return fmt.Sprintf("%s: column %q: %d %s with = + - @ tab or return, the first that of %q; a spreadsheet would run them: import the column as text", path, f.Column, f.Users, values, f.Key)
}

// NewCSV returns a writer of CSV. The header is of the columns of the first
// row; if no row comes, of the given ones. It does not close w.
func NewCSV(w io.Writer, header ...string) *CSV { return &CSV{out: bufio.NewWriter(w), header: header} }

// Add writes the row of one user.
func (c *CSV) Add(result Result, row Row) error {
	row, err := c.cols.fit(result.Row.Key, row)
	if err != nil {
		return err
	}
	if !c.begun {
		c.begun = true
		if err := c.line(c.cols.names); err != nil {
			return err
		}
		for _, name := range c.cols.names {
			c.formulas = append(c.formulas, Formula{Column: name})
		}
	}
	c.cells = c.cells[:0]
	defer func() { clear(c.cells) }() // they held secrets
	for i, field := range row {
		cell, err := text(field.Value)
		if err != nil {
			return inCell(result.Row.Key, field.Name, err)
		}
		c.look(i, result.Row.Key, field.Value, cell)
		c.cells = append(c.cells, cell)
	}
	return c.line(c.cells)
}

// look notes a value that a spreadsheet would run. Numbers are safe.
func (c *CSV) look(column int, key string, value any, cell string) {
	switch value.(type) {
	case int, int64, float64:
		return
	}
	if cell == "" || !strings.ContainsRune("=+-@\t\r", rune(cell[0])) {
		return
	}
	formula := &c.formulas[column]
	if formula.Users == 0 {
		formula.Key = key
	}
	formula.Users++
}

// line writes one record. An error stays in out, and every later write
// returns it.
func (c *CSV) line(cells []string) error {
	delimiter := c.Delimiter
	if delimiter == "" {
		delimiter = ","
	}
	if c.Mark {
		_, _ = c.out.WriteString("\ufeff")
		c.Mark = false
	}
	for i, cell := range cells {
		if i > 0 {
			_, _ = c.out.WriteString(delimiter)
		}
		if quoted(cell, delimiter) || len(cells) == 1 && cell == "" { // a lone empty cell would be a blank line
			_ = c.out.WriteByte('"')
			_, _ = c.out.WriteString(strings.ReplaceAll(cell, `"`, `""`))
			_ = c.out.WriteByte('"')
			continue
		}
		_, _ = c.out.WriteString(cell)
	}
	return c.out.WriteByte('\n')
}

// quoted reports whether a cell needs quotes: beyond RFC 4180 also at spaces
// around it, which some readers trim.
func quoted(cell, delimiter string) bool {
	if cell == "" {
		return false
	}
	for i := range len(cell) {
		switch cell[i] {
		case ',', '"', '\r', '\n':
			return true
		}
	}
	edge := func(value byte) bool { return value == ' ' || value == '\t' }
	return edge(cell[0]) || edge(cell[len(cell)-1]) || delimiter != "," && strings.Contains(cell, delimiter)
}

// Formulas returns the columns with values that a spreadsheet would run.
func (c *CSV) Formulas() []Formula {
	var found []Formula
	for _, formula := range c.formulas {
		if formula.Users > 0 {
			found = append(found, formula)
		}
	}
	return found
}

// Close writes the buffer.
func (c *CSV) Close() error {
	if !c.begun && len(c.header) > 0 {
		_ = c.line(c.header)
	}
	return c.out.Flush()
}
