package report

import (
	"fmt"
	"slices"
	"strings"
)

// columns sees to it that all rows of a report have the same ones.
type columns struct {
	names []string
	first string // key of the user whose row decided
}

// fit returns row with its fields in the order of the first row. The names
// have to be the same in every row.
func (c *columns) fit(key string, row Row) (Row, error) {
	if c.names == nil {
		return row, c.begin(key, row)
	}
	if len(row) == len(c.names) {
		ordered := true
		for i, field := range row {
			ordered = ordered && field.Name == c.names[i]
		}
		if ordered {
			return row, nil
		}
	}
	out := make(Row, 0, len(row))
	for _, name := range c.names {
		if i := slices.IndexFunc(row, func(field Field) bool { return field.Name == name }); i >= 0 {
			out = append(out, row[i])
		}
	}
	if len(out) != len(c.names) || len(row) != len(c.names) {
		return nil, fmt.Errorf("row of user %q has the columns %s; that of %q has %s; give every row the same", key, namesOf(row), c.first, list(c.names))
	}
	return out, nil
}

func (c *columns) begin(key string, row Row) error {
	c.first, c.names = key, make([]string, 0, len(row))
	for _, field := range row {
		if slices.Contains(c.names, field.Name) {
			return fmt.Errorf("row of user %q has the column %q twice", key, field.Name)
		}
		c.names = append(c.names, field.Name)
	}
	if len(c.names) == 0 {
		return fmt.Errorf("row of user %q has no columns; return None to leave a user out", key)
	}
	return nil
}

func namesOf(row Row) string {
	names := make([]string, 0, len(row))
	for _, field := range row {
		names = append(names, field.Name)
	}
	return list(names)
}

func list(names []string) string {
	if len(names) == 0 {
		return "none"
	}
	return strings.Join(names, ", ")
}

// inCell says where an error happened.
func inCell(key, column string, err error) error {
	return fmt.Errorf("row of user %q, column %q: %w", key, column, err)
}
