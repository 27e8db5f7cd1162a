package workflow

import (
	"go.starlark.net/starlark"
	"go.starlark.net/syntax"

	"github.com/rekey-host/rekey/host/source"
)

// dayValue is a cell of type date.
type dayValue struct{ day source.Day }

var (
	_ starlark.HasAttrs   = (*dayValue)(nil)
	_ starlark.Comparable = (*dayValue)(nil)
)

func (d *dayValue) String() string       { return d.day.String() }
func (d *dayValue) Type() string         { return "date" }
func (d *dayValue) Freeze()              {}
func (d *dayValue) Truth() starlark.Bool { return true }
func (d *dayValue) AttrNames() []string  { return []string{"day", "month", "year"} }

// Hash is that of the text.
func (d *dayValue) Hash() (uint32, error) { return starlark.String(d.String()).Hash() }

// CompareSameType compares by time.
func (d *dayValue) CompareSameType(op syntax.Token, other starlark.Value, _ int) (bool, error) {
	count := d.day.Compare(other.(*dayValue).day.Time)
	switch op {
	case syntax.EQL:
		return count == 0, nil
	case syntax.NEQ:
		return count != 0, nil
	case syntax.LT:
		return count < 0, nil
	case syntax.LE:
		return count <= 0, nil
	case syntax.GT:
		return count > 0, nil
	}
	return count >= 0, nil
}

// Attr returns day, month or year.
func (d *dayValue) Attr(name string) (starlark.Value, error) {
	switch name {
	case "day":
		return starlark.MakeInt(d.day.Day()), nil
	case "month":
		return starlark.MakeInt(int(d.day.Month())), nil
	case "year":
		return starlark.MakeInt(d.day.Year()), nil
	}
	return nil, nil
}
