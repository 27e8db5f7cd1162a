package source

import (
	"cmp"
	"context"
	"fmt"
	"hash/maphash"
	"maps"
	"slices"

	"github.com/rekey-host/rekey/host/diag"
	"github.com/rekey-host/rekey/sdk/secret"
)

// maxWatched is how many different values of a source are compared: a list in
// which the same comes again has it among the first.
const maxWatched = 100_000

// Watched is a source whose passwords are looked at as it is read. It is for one
// reader at a time.
type Watched struct {
	Source
	given []string          // columns whose values users get
	used  []string          // columns whose values are given to steps
	forms map[string]string // of the hashes in those columns that hold some

	// Held, if set, says why a given value should not be used; "" if it may.
	Held func(value string) (string, error)

	seed     maphash.Seed
	first    map[uint64]Row // the row that had a value first, without its cells
	again    map[string]*double
	doubts   map[string]*doubt
	failed   error // of Held, the first
	problems diag.Problems
}

// double is a column that gives one value to several users.
type double struct {
	row   Row // the first with the value of an earlier one
	of    Row
	users int64
}

// doubt is a column with values that may be stand-ins.
type doubt struct {
	row   Row // the first
	holds string
	users int64
}

// Watch looks at the passwords of a source: those of its secret columns, and of
// the columns whose values are given to steps, used. What cannot be a password
// is a problem, as it is in a secret column from the start; a stand-in is
// warned of, and so is one value for several users in the columns given. forms
// are those of the columns that hold hashes.
func Watch(src Source, given, used []string, forms map[string]string) *Watched {
	return &Watched{Source: src, given: given, used: used, forms: forms}
}

// Rows reads the source.
func (d *Watched) Rows(ctx context.Context, yield func(Row) error) error {
	schema, err := d.Source.Schema(ctx)
	if err != nil {
		return err
	}
	d.seed, d.first, d.again = maphash.MakeSeed(), map[uint64]Row{}, map[string]*double{}
	d.doubts, d.problems, d.failed = map[string]*doubt{}, diag.Problems{}, nil
	passwords := d.passwords(schema)
	err = d.Source.Rows(ctx, func(row Row) error {
		sound := true
		for _, i := range passwords {
			sound = d.password(schema.Columns[i], row, row.Cells[i]) && sound
		}
		if !sound || d.failed != nil {
			return d.failed
		}
		return yield(row)
	})
	if err != nil {
		return d.problems.With(err)
	}
	return d.problems.Err()
}

// passwords are the columns that hold some.
func (d *Watched) passwords(schema Schema) []int {
	var list []int
	for i, column := range schema.Columns {
		if i != schema.Key && (column.Secret || slices.Contains(d.used, column.Name) || slices.Contains(d.given, column.Name)) {
			list = append(list, i)
		}
	}
	return list
}

// password looks at one; it returns false for one that cannot be meant.
func (d *Watched) password(column Column, row Row, cell any) bool {
	text, ok := cell.(string)
	if value, is := cell.(secret.Value); is {
		text, ok = value.Reveal(), value.Present()
	}
	if !ok || text == "" {
		return true
	}
	column.Secret = true
	bad := valueFlaw(column, false, text)
	if form := d.forms[column.Name]; bad == nil && form != "" {
		bad = hashFlaw(column.Name, form, text)
	}
	if bad != nil {
		d.problems.Add(diag.Problem{File: row.File, Line: row.Line, Message: bad.Message, Fix: bad.Fix})
		return false
	}
	d.doubt(column.Name, row, cmp.Or(doubtful(text), d.held(column, text)))
	if slices.Contains(d.given, column.Name) {
		d.compare(column.Name, row, text)
	}
	return true
}

// held says why a value that a user is given should not be used.
func (d *Watched) held(column Column, text string) string {
	if d.Held == nil || d.failed != nil || d.forms[column.Name] != "" || !slices.Contains(d.given, column.Name) {
		return ""
	}
	why, err := d.Held(text)
	d.failed = err
	return why
}

// doubt counts a value that may be a stand-in.
func (d *Watched) doubt(column string, row Row, holds string) {
	switch x := d.doubts[column]; {
	case holds == "":
	case x == nil:
		row.Cells = nil
		d.doubts[column] = &doubt{row, holds, 1}
	default:
		x.users++
	}
}

// compare compares a value with those before it.
func (d *Watched) compare(column string, row Row, text string) {
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
func (d *Watched) Warnings() []string {
	list := Warnings(d.Source)
	for _, name := range slices.Sorted(maps.Keys(d.doubts)) {
		doubt := d.doubts[name]
		text := fmt.Sprintf("%s:%d: the password in column %q is %s", doubt.row.File, doubt.row.Line, name, doubt.holds)
		if doubt.users > 1 {
			text += fmt.Sprintf("; such values are there %d times in all", doubt.users)
		}
		list = append(list, text)
	}
	for _, name := range slices.Sorted(slices.Values(d.given)) {
		double := d.again[name]
		if double == nil {
			continue
		}
		text := fmt.Sprintf("%s:%d: column %q gives user %q the value that user %q has %s", double.row.File, double.row.Line, name, double.row.Key, double.of.Key, At(double.of.File, double.of.Line))
		if double.users > 1 {
			text += fmt.Sprintf("; so it is %d times in all", double.users)
		}
		list = append(list, text+": whoever knows one password knows the others")
	}
	return list
}

// Warner is a Source with warnings about the rows that it read.
type Warner interface {
	Warnings() []string
}

// Warnings returns what a source has to say after it was read.
func Warnings(src Source) []string {
	if warner, ok := src.(Warner); ok {
		return warner.Warnings()
	}
	return nil
}
