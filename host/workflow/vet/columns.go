package vet

import "github.com/rekey-host/rekey/host/source"

// columns are the users' columns by name; nil: they are not known.
type columns struct {
	names  []string
	byName map[string]source.Column
}

func newColumns(schema *source.Schema) *columns {
	if schema == nil {
		return nil
	}
	made := &columns{byName: map[string]source.Column{}}
	for _, column := range schema.Columns {
		made.names = append(made.names, column.Name)
		made.byName[column.Name] = column
	}
	return made
}

// has reports whether a column of the name is known.
func (c *columns) has(name string) bool {
	if c == nil {
		return false
	}
	_, ok := c.byName[name]
	return ok
}

// isSecret reports whether a column is known to be secret.
func (c *columns) isSecret(name string) bool { return c != nil && c.byName[name].Secret }

// isDate reports whether a column is known to hold days.
func (c *columns) isDate(name string) bool { return c != nil && c.byName[name].Type == source.Date }
