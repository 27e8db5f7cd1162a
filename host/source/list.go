package source

import (
	"context"
	"fmt"
	"slices"

	"github.com/rekey-host/rekey/host/diag"
	"github.com/rekey-host/rekey/sdk/secret"
)

// ListOptions says which users stand in the script itself.
type ListOptions struct {
	Items    []any    // each a string, the key, or a map[string]any of cells as in Row; int will do for int64
	Key      string   // name of the column that tells users apart
	Secrets  []string // columns whose cells are secret; those that hold a secret.Value are anyway
	Optional []string // of them, those whose cells may be empty or absent
}

const listName = "rows"

// At says where a row stands in the named file: a list of the script
// has no lines.
func At(file string, line int) string {
	if file == listName {
		return fmt.Sprintf("at %s:%d", listName, line)
	}
	return fmt.Sprintf("on line %d", line)
}

// List returns the source of users that stand in the script, which has to hold
// still from now on. Its lines are the numbers of the elements. The columns
// are the key, then all others by name; a column whose cells are all of one
// type has it, else it is Any. Mistakes are a *Problems of the file "rows".
func List(listOptions ListOptions) (Source, error) {
	made := wanted{key: listOptions.Key, secrets: slices.Clone(listOptions.Secrets), optional: listOptions.Optional, named: "no element has it"}
	list := made.misuse()
	for i := range list {
		list[i].Message = "rows: " + list[i].Message
	}
	if err := problemsOf(list, diag.Problem{}).Err(); err != nil {
		return nil, err
	}
	b := &listBuilder{wanted: made, index: map[string]int{}}
	if err := b.records(listOptions.Items); err != nil {
		return nil, err
	}
	return b.build()
}

// listBuilder turns elements into rows.
type listBuilder struct {
	wanted   wanted
	names    []string
	index    map[string]int
	elements []map[string]any
	problems diag.Problems
}

func (b *listBuilder) note(i int, problem *complaint) {
	b.problems.Add(diag.Problem{File: listName, Line: i + 1, Message: problem.Message, Fix: problem.Fix})
}

// records finds what each element is, and the names of all.
func (b *listBuilder) records(items []any) error {
	others := map[string]bool{}
	for i, item := range items {
		record, ok := item.(map[string]any)
		if text, is := item.(string); is {
			record, ok = map[string]any{b.wanted.key: text}, true
		}
		if !ok {
			b.note(i, &complaint{Message: "is neither a string nor a dict"})
		}
		b.elements = append(b.elements, record)
		for name, cell := range record {
			others[name] = true
			if _, is := cell.(secret.Value); is && !slices.Contains(b.wanted.secrets, name) {
				b.wanted.secrets = append(b.wanted.secrets, name)
			}
		}
	}
	if len(items) == 0 {
		b.names = b.wanted.names()
		return nil
	}
	for name := range others {
		if name != b.wanted.key {
			b.names = append(b.names, name)
		}
	}
	slices.Sort(b.names)
	if others[b.wanted.key] {
		b.names = append([]string{b.wanted.key}, b.names...)
	}
	return b.problems.Err()
}

func (b *listBuilder) build() (Source, error) {
	flaws := b.wanted.misuse()
	schema, more := b.wanted.schema(b.names, Any)
	if err := problemsOf(append(flaws, more...), diag.Problem{File: listName}).Err(); err != nil {
		return nil, err
	}
	made := &listSource{schema: schema}
	for i, record := range b.elements {
		made.rows = append(made.rows, b.row(schema, i, record))
	}
	for i := range schema.Columns {
		made.infer(i)
	}
	if err := b.problems.Err(); err != nil {
		return nil, err
	}
	return made, nil
}

func (b *listBuilder) row(schema Schema, count int, record map[string]any) Row {
	row := Row{File: listName, Line: count + 1, Cells: make([]any, len(schema.Columns))}
	for i, column := range schema.Columns {
		cell, bad := plain(column, record[column.Name], 0)
		switch {
		case bad != nil:
		case column.Secret:
			cell, bad = secretCell(column, cell)
		case i == schema.Key:
			row.Key, bad = keyOf(column, cell)
		}
		if bad == nil {
			bad = controlOf(column, i == schema.Key, cell)
		}
		if bad == nil {
			bad = cellFlaw(column, i == schema.Key, cell)
		}
		if bad != nil {
			b.note(count, bad)
		}
		row.Cells[i] = cell
	}
	return row
}

// plain returns a value as cells hold it, or why it cannot be one.
func plain(column Column, value any, depth int) (any, *complaint) {
	var bad *complaint
	switch x := value.(type) {
	case nil, int64, float64, bool, Day:
		return x, nil
	case int:
		return int64(x), nil
	case secret.Value:
		if depth == 0 && !hasControl([]byte(x.Reveal())) {
			return x, nil
		}
		if depth == 0 {
			return nil, controlFlaw(column)
		}
	case string:
		return x, textFlaw(column, x)
	case []any:
		list := make([]any, len(x))
		for i := 0; i < len(x) && bad == nil && depth < maxDepth; i++ {
			list[i], bad = plain(column, x[i], depth+1)
		}
		return list, bad
	case map[string]any:
		table := make(map[string]any, len(x))
		for name, item := range x {
			if bad == nil && depth < maxDepth {
				table[name], bad = plain(column, item, depth+1)
			}
		}
		return table, bad
	}
	return nil, &complaint{Message: fmt.Sprintf("column %q holds what a user cannot have", column.Name), Fix: "use strings, numbers, booleans and days; secrets in columns of their own"}
}

// listSource is users in memory.
type listSource struct {
	schema Schema
	rows   []Row
}

// infer gives a column the type that all its cells have.
func (s *listSource) infer(i int) {
	column := &s.schema.Columns[i]
	if column.Secret {
		return
	}
	for _, row := range s.rows {
		if row.Cells[i] == nil {
			continue
		}
		kind := typeOf(row.Cells[i])
		switch {
		case column.Type == Any || column.Type == kind:
			column.Type = kind
		default:
			column.Type = Any
			return
		}
		if kind == Any {
			return
		}
	}
}

func typeOf(cell any) Type {
	switch cell.(type) {
	case string:
		return String
	case int64:
		return Int
	case bool:
		return Bool
	case Day:
		return Date
	}
	return Any
}

// Name returns rows.
func (s *listSource) Name() string { return listName }

// Schema returns the columns.
func (s *listSource) Schema(context.Context) (Schema, error) { return s.schema, nil }

// Rows yields the users. Each has cells of its own.
func (s *listSource) Rows(ctx context.Context, yield func(Row) error) error {
	for _, row := range s.rows {
		if err := ctx.Err(); err != nil {
			return err
		}
		row.Cells = slices.Clone(row.Cells)
		if err := yield(row); err != nil {
			return err
		}
	}
	return nil
}
