// Package source reads the users of a run: CSV and JSON lines files, lists in
// the script, and concatenations of them. It knows lines, columns and types;
// it knows nothing of backends, waves or passwords.
//
// A Source can be read many times and streams: the host, never the script,
// iterates. A source that breaks in the middle is an error, so that a short
// list is never mistaken for a complete one.
package source

import (
	"context"
	"time"
)

// Type is the type of a column's cells.
type Type string

// The types. Any is what a JSON value happens to be.
const (
	String Type = "string"
	Int    Type = "int"
	Bool   Type = "bool"
	Date   Type = "date"
	Any    Type = "any"
)

// Column is one named column.
type Column struct {
	Name     string `json:"name"`
	Type     Type   `json:"type"`
	Secret   bool   `json:"secret,omitempty"`   // its cells are secret.Value
	Optional bool   `json:"optional,omitempty"` // its cells may be empty although it is secret
}

// Schema names the columns of a source. Key is the index of the key column.
// Its JSON form is kept in ledgers: fields are only ever added to it.
type Schema struct {
	Columns []Column `json:"columns"`
	Key     int      `json:"key"`
}

// Index returns the position of the column of that name, or -1.
func (s Schema) Index(name string) int {
	for i, column := range s.Columns {
		if column.Name == name {
			return i
		}
	}
	return -1
}

func (s Schema) hasSecrets() bool {
	for _, column := range s.Columns {
		if column.Secret {
			return true
		}
	}
	return false
}

// names returns those of the columns.
func (s Schema) names() []string {
	names := make([]string, len(s.Columns))
	for i, column := range s.Columns {
		names[i] = column.Name
	}
	return names
}

// Row is one user. Cells are in the order of the schema's columns; each is nil
// (an empty typed cell, or absent in JSON), string, int64, float64, bool, Day,
// secret.Value, []any or map[string]any (the last three of float64, slices and
// maps only in JSON and in lists of the script). A row's key is Key, also found
// in its cell.
type Row struct {
	File  string // the Name of the source that it was read from; not of a concatenation, but of its part
	Line  int    // from 1; of a list in the script, the element's number
	Key   string
	Cells []any
}

// moved returns the row with each cell at its place.
func (r Row) moved(places []int) Row {
	inOrder := true
	for i, at := range places {
		inOrder = inOrder && i == at
	}
	if inOrder {
		return r
	}
	cells := make([]any, len(r.Cells))
	for i, at := range places {
		cells[at] = r.Cells[i]
	}
	r.Cells = cells
	return r
}

// Day is a calendar day without a zone.
type Day struct{ time.Time }

// String returns the day as YYYY-MM-DD.
func (d Day) String() string { return d.Format(time.DateOnly) }

// Source is a list of users that can be read again.
type Source interface {
	// Name is how errors call it: a file's name as written, "stdin", "rows".
	Name() string
	// Schema returns the columns; reading the header line, if there is one.
	Schema(ctx context.Context) (Schema, error)
	// Rows calls yield for each row in order. Problems of the input are
	// collected into one *Problems error; yield's own error ends the reading
	// and is returned as it is. Rows of a part with problems may or may
	// not have been yielded before Rows returns the error.
	Rows(ctx context.Context, yield func(Row) error) error
}
