package report

import (
	"bufio"
	"fmt"
	"io"
	"slices"
	"strings"
)

// CSV writes comma-separated values as RFC 4180 has them, with LF and a
// header line. Values are raw: a password is never changed to please a
// spreadsheet, but where Text says so; see Warnings.
type CSV struct {
	Delimiter string   // one character; "": a comma
	Mark      bool     // begin with a byte order mark, by which Excel knows UTF-8
	Text      []string // columns whose values are written as ="…", which a spreadsheet takes for text

	out    *bufio.Writer
	cols   columns
	cells  []string
	header []string // written even without rows
	begun  bool
	text   []bool // of each column, whether it is one of Text
	spoilt []Spoilt
}

// Spoilt counts the values of a column that a spreadsheet would not show as
// they are: those that it would run, which begin with = + - @ tab or carriage
// return, or digits, of which it would drop zeros in front or round the end.
type Spoilt struct {
	Column string
	Digits bool
	Users  int64
	Key    string // of the first user
}

// Warning returns what the summary says of it.
func (s Spoilt) Warning(path string) string {
	values := "values begin"
	if s.Users == 1 {
		values = "value begins"
	}
	if s.Digits {
		return fmt.Sprintf("%s: column %q: %d %s with 0, or have more than 15 digits, the first that of %q; a spreadsheet would change them: import the column as text, list it in text=, or use report.xlsx", path, s.Column, s.Users, values, s.Key)
	}
	return fmt.Sprintf("%s: column %q: %d %s with = + - @ tab or return, the first that of %q; a spreadsheet would run them: import the column as text", path, s.Column, s.Users, values, s.Key)
}

// isNumeral reports whether a spreadsheet takes a text for a number and loses
// some of it.
func isNumeral(text string) bool {
	if len(text) < 2 || strings.Trim(text, "0123456789") != "" {
		return false
	}
	return text[0] == '0' || len(text) > 15
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
			c.text = append(c.text, slices.Contains(c.Text, name))
			c.spoilt = append(c.spoilt, Spoilt{Column: name}, Spoilt{Column: name, Digits: true})
		}
	}
	c.cells = c.cells[:0]
	defer func() { clear(c.cells) }() // they held secrets
	for i, field := range row {
		cell, err := text(field.Value)
		if err != nil {
			return inCell(result.Row.Key, field.Name, err)
		}
		if c.text[i] && cell != "" {
			cell = `="` + strings.ReplaceAll(cell, `"`, `""`) + `"`
		} else {
			c.look(i, result.Row.Key, field.Value, cell)
		}
		c.cells = append(c.cells, cell)
	}
	return c.line(c.cells)
}

// look notes a value that a spreadsheet would run or shorten. Numbers are safe.
func (c *CSV) look(column int, key string, value any, cell string) {
	switch value.(type) {
	case int, int64, float64:
		return
	}
	at := 2 * column
	switch {
	case cell == "":
		return
	case isNumeral(cell):
		at++
	case !strings.ContainsRune("=+-@\t\r", rune(cell[0])):
		return
	}
	spoilt := &c.spoilt[at]
	if spoilt.Users == 0 {
		spoilt.Key = key
	}
	spoilt.Users++
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

// Spoilt returns the columns with values that a spreadsheet would run or shorten.
func (c *CSV) Spoilt() []Spoilt {
	var found []Spoilt
	for _, spoilt := range c.spoilt {
		if spoilt.Users > 0 {
			found = append(found, spoilt)
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
