package workflow

import (
	"fmt"
	"hash/fnv"
	"strings"

	"go.starlark.net/starlark"
	"go.starlark.net/syntax"

	"github.com/rekey-host/rekey/host/journal"
	"github.com/rekey-host/rekey/host/source"
	"github.com/rekey-host/rekey/host/workflow/lang"
	"github.com/rekey-host/rekey/sdk/secret"
)

// schema is a source's columns in a form to look names up in; all users of a
// source share one.
type schema struct {
	columns []source.Column
	key     int
	index   map[string]int
}

func newSchema(columns source.Schema) *schema {
	made := &schema{columns: columns.Columns, key: columns.Key, index: make(map[string]int, len(columns.Columns))}
	for i, column := range columns.Columns {
		made.index[column.Name] = i
	}
	return made
}

func (s *schema) names() []string {
	names := make([]string, len(s.columns))
	for i, column := range s.columns {
		names[i] = column.Name
	}
	return names
}

// userValue is one row of the source: user.column or user["any column"]. Cells
// become values when they are asked for.
type userValue struct {
	schema *schema
	key    string
	cells  []any
}

var (
	_ starlark.HasAttrs   = (*userValue)(nil)
	_ starlark.Mapping    = (*userValue)(nil)
	_ starlark.Comparable = (*userValue)(nil)
)

func (u *userValue) String() string {
	var out strings.Builder
	out.WriteString("user(")
	for i, column := range u.schema.columns {
		separate(&out, i)
		out.WriteString(column.Name + " = ")
		if value, err := u.cell(i); err == nil {
			write(&out, value, 1)
		}
	}
	return out.String() + ")"
}

func (u *userValue) Type() string         { return "user" }
func (u *userValue) Freeze()              {}
func (u *userValue) Truth() starlark.Bool { return true }
func (u *userValue) AttrNames() []string  { return u.schema.names() }

// Hash is that of the key: it tells users apart.
func (u *userValue) Hash() (uint32, error) {
	hash32 := fnv.New32a()
	hash32.Write([]byte(u.key))
	return hash32.Sum32(), nil
}

// CompareSameType compares keys, for equality only.
func (u *userValue) CompareSameType(op syntax.Token, other starlark.Value, _ int) (bool, error) {
	same := u.key == other.(*userValue).key
	switch op {
	case syntax.EQL:
		return same, nil
	case syntax.NEQ:
		return !same, nil
	}
	return false, fmt.Errorf("users have no order")
}

// Attr returns a cell.
func (u *userValue) Attr(name string) (starlark.Value, error) {
	if i, ok := u.schema.index[name]; ok {
		return u.cell(i)
	}
	return nil, lang.NoColumn(name, u.schema.names())
}

// Get returns a cell of a column whose name may be anything.
func (u *userValue) Get(value starlark.Value) (starlark.Value, bool, error) {
	name, ok := starlark.AsString(value)
	if !ok {
		return nil, false, lang.Mistake(fmt.Sprintf("user[%s]: want the name of a column", value.Type()), "")
	}
	v, err := u.Attr(name)
	return v, err == nil, err
}

// each visits the cells by column.
func (u *userValue) each(visit func(string, starlark.Value) error) error {
	for i, column := range u.schema.columns {
		value, err := u.cell(i)
		if err == nil {
			err = visit(column.Name, value)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (u *userValue) cell(i int) (starlark.Value, error) {
	var cell any
	if i < len(u.cells) {
		cell = u.cells[i]
	}
	if cell == nil && u.schema.columns[i].Secret {
		return &secretValue{journal.Given(secret.Value{})}, nil
	}
	switch c := cell.(type) {
	case string: // by far the most
		return starlark.String(c), nil
	case []any, map[string]any:
		value, err := starlarkOf(c, 0)
		if err == nil {
			value.Freeze()
		}
		return value, err
	}
	return starlarkOf(cell, 0)
}
