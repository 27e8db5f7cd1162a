package workflow

import (
	"fmt"
	"time"

	"go.starlark.net/starlark"
	"go.starlark.net/syntax"

	"github.com/rekey-host/rekey/host/source"
	"github.com/rekey-host/rekey/host/workflow/lang"
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

// noDay stands for a day that is not known.
func noDay() *dayValue {
	return &dayValue{source.Day{Time: time.Date(2000, time.January, 1, 0, 0, 0, 0, time.UTC)}}
}

func evalParamDate(args *arguments) (starlark.Value, error) {
	return declareParam(args, paramType{"date", noDay(), func(text string) (starlark.Value, *lang.Misuse) {
		at, err := time.Parse(time.DateOnly, text)
		if err != nil {
			return nil, lang.Mistake(fmt.Sprintf("%q is no day", shorten(text, 100)), "write YYYY-MM-DD, of a day that there is")
		}
		return &dayValue{source.Day{Time: at}}, nil
	}, textOf})
}

// maxDays is how far days_ago goes: every day between the first and the last year
// that dates have.
const maxDays = 10000 * 366

func evalDaysAgo(args *arguments) (starlark.Value, error) {
	from, isDay := args.value("date").(*dayValue)
	count, err := starlark.AsInt32(args.value("days"))
	if !isDay {
		return noDay(), nil
	}
	if err != nil || count > maxDays || count < -maxDays {
		args.badValue("days", "", "%s is too many days", shorten(args.value("days").String(), 100))
		return noDay(), nil
	}
	at := from.day.AddDate(0, 0, -count)
	if at.Year() < 0 || at.Year() > 9999 {
		args.badValue("days", "", "the day is not between the years 0 and 9999")
		return noDay(), nil
	}
	return &dayValue{source.Day{Time: at}}, nil
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
