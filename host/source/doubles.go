package source

import (
	"context"
	"fmt"
	"hash/maphash"
	"slices"

	"github.com/rekey-host/rekey/sdk/secret"
)

// maxWatched is how many different values of a source are compared: a list in
// which the same comes again has it among the first.
const maxWatched = 100_000

// Doubles is a source that is watched for columns that give one value to
// several users. It is for one reader at a time.
type Doubles struct {
	Source
	columns []string

	seed  maphash.Seed
	first map[uint64]Row // the row that had a value first, without its cells
	again map[string]*double
}

// double is a column that gives one value to several users.
type double struct {
	row   Row // the first that has the value of an earlier one
	of    Row
	users int64
}

// WatchDoubles watches columns of a source.
func WatchDoubles(s Source, columns []string) *Doubles { return &Doubles{Source: s, columns: columns} }

// Rows reads the source.
func (d *Doubles) Rows(ctx context.Context, yield func(Row) error) error {
	if len(d.columns) == 0 {
		return d.Source.Rows(ctx, yield)
	}
	schema, err := d.Source.Schema(ctx)
	if err != nil {
		return err
	}
	d.seed, d.first, d.again = maphash.MakeSeed(), map[uint64]Row{}, map[string]*double{}
	return d.Source.Rows(ctx, func(row Row) error {
		for _, name := range d.columns {
			if i := schema.Index(name); i >= 0 {
				d.look(name, row, row.Cells[i])
			}
		}
		return yield(row)
	})
}

// look compares a value with those before it.
func (d *Doubles) look(column string, row Row, cell any) {
	text, ok := cell.(string)
	if v, is := cell.(secret.Value); is {
		text, ok = v.Reveal(), v.Present()
	}
	if !ok || text == "" {
		return
	}
	sum := maphash.String(d.seed, column+"\x00"+text)
	of, known := d.first[sum]
	switch {
	case !known && len(d.first) < maxWatched:
		d.first[sum] = Row{File: row.File, Line: row.Line, Key: row.Key}
	case known && d.again[column] == nil:
		d.again[column] = &double{row: row, of: of, users: 1}
		d.again[column].row.Cells = nil
	case known:
		d.again[column].users++
	}
}

// Warnings returns what was found by the last reading.
func (d *Doubles) Warnings() []string {
	list := Warnings(d.Source)
	for _, name := range slices.Sorted(slices.Values(d.columns)) {
		x := d.again[name]
		if x == nil {
			continue
		}
		text := fmt.Sprintf("%s:%d: column %q gives user %q the value that user %q has on line %d", x.row.File, x.row.Line, name, x.row.Key, x.of.Key, x.of.Line)
		if x.users > 1 {
			text += fmt.Sprintf("; so it is %d times in all", x.users)
		}
		list = append(list, text+": whoever knows one password knows the others")
	}
	return list
}

// Warner is a Source that has something to say about what was read, which
// keeps nobody from going on.
type Warner interface {
	Warnings() []string
}

// Warnings returns what a source has to say after it was read.
func Warnings(s Source) []string {
	if w, ok := s.(Warner); ok {
		return w.Warnings()
	}
	return nil
}
