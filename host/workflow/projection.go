package workflow

import (
	"slices"
	"time"

	"go.starlark.net/starlark"
	"go.starlark.net/syntax"

	"github.com/rekey-host/rekey/host/report"
	"github.com/rekey-host/rekey/host/workflow/tree"
)

// projection is a row function that only says what goes where, as most do: one dict
// of texts, columns of the user and members of r. Its rows are made without the
// interpreter, twenty times as fast. Where one is not plain, the interpreter makes it,
// and says what is wrong with it.
type projection []projected

// projected is one column of a projection.
type projected struct {
	name   string
	text   any    // what it is of every user; nil: look further
	column string // of the user; "": look further
	member string // of r
}

// projectionOf returns nil for a function that is none.
func projectionOf(files map[string]*tree.File, fn *starlark.Function) projection {
	file := files[fn.Position().Filename()]
	if file == nil {
		return nil
	}
	function := file.FunctionAt(fn.Position())
	if function == nil || len(function.Params()) != 1 || len(function.Body) > 1 {
		return nil
	}
	result := function.Result
	if len(function.Body) == 1 {
		last, is := function.Body[0].(*syntax.ReturnStmt)
		if !is || last.Result == nil {
			return nil
		}
		result = last.Result
	}
	dict, is := tree.Unhidden(result).(*syntax.DictExpr)
	if !is {
		return nil
	}
	return projectionOfDict(dict, function.Params()[0].Name)
}

func projectionOfDict(dict *syntax.DictExpr, param string) (made projection) {
	for _, item := range dict.List {
		entry := item.(*syntax.DictEntry)
		name, is := tree.Text(tree.Unhidden(entry.Key))
		part := projectedOf(tree.Unhidden(entry.Value), param)
		part.name = name
		again := slices.ContainsFunc(made, func(other projected) bool { return other.name == name })
		if !is || again || part.text == nil && part.column == "" && part.member == "" {
			return nil
		}
		made = append(made, part)
	}
	return made
}

// projectedOf returns nothing for an expression that is more than a name.
func projectedOf(expr syntax.Expr, param string) (made projected) {
	if text, is := tree.Text(expr); is && len(text) <= maxText {
		made.text = text
		return made
	}
	dot, is := expr.(*syntax.DotExpr)
	if !is {
		return made
	}
	switch of := tree.Unhidden(dot.X).(type) {
	case *syntax.Ident:
		if of.Name == param && dot.Name.Name != "user" {
			made.member = dot.Name.Name
		}
	case *syntax.DotExpr:
		if root, is := tree.Unhidden(of.X).(*syntax.Ident); is && root.Name == param && of.Name.Name == "user" {
			made.column = dot.Name.Name
		}
	}
	return made
}

// row returns the row of a user; nil: the interpreter has to make it.
func (p projection) row(schema *schema, result *report.Result, scriptSays func() bool) report.Row {
	if len(p) == 0 {
		return nil
	}
	row := make(report.Row, len(p))
	for i := range p {
		value, plain := p[i].value(schema, result)
		if text, is := value.(string); !plain || is && len(text) > maxText {
			return nil
		}
		row[i] = report.Field{Name: p[i].name, Value: value}
	}
	if written(row, result, scriptSays) != nil {
		return nil
	}
	return row
}

// value returns what a row has there; plain is false where that takes more than a look.
func (p *projected) value(schema *schema, result *report.Result) (value any, plain bool) {
	switch {
	case p.text != nil:
		return p.text, true
	case p.column != "":
		i, known := schema.index[p.column]
		if !known || i >= len(result.Row.Cells) {
			return nil, false
		}
		_, plain = result.Row.Cells[i].(string)
		return result.Row.Cells[i], plain
	}
	return memberOf(result, p.member)
}

// memberOf returns r's member, as a row has it.
func memberOf(result *report.Result, name string) (value any, plain bool) {
	switch name {
	case "password":
		if result.Password == nil || !result.Password.Present() {
			return nil, true
		}
		return *result.Password, true
	case "status":
		return string(result.Status), true
	case "code":
		return string(result.Code), true
	case "native":
		return result.Native, true
	case "message":
		return result.Message, true
	case "wave":
		return result.Wave, true
	case "attempts":
		return int64(result.Attempts), true
	case "at":
		return stamp(result.At), true
	case "run":
		return result.Run, true
	case "ended":
		return stamp(result.Ended), true
	case "requestor":
		return result.Requestor, true
	}
	return nil, false
}

// stamp is a time as rows have it; nil: not yet.
func stamp(at time.Time) any {
	if at.IsZero() {
		return nil
	}
	return at.UTC().Format(time.RFC3339)
}
