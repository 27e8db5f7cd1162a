package vet

import (
	"go.starlark.net/syntax"

	"github.com/rekey-host/rekey/host/diag"
	"github.com/rekey-host/rekey/host/workflow/lang"
	"github.com/rekey-host/rekey/host/workflow/tree"
)

// checkOrder checks the columns of order_by.
func checkOrder(check *checker) {
	for _, name := range check.OrderBy {
		var x diag.Problem
		switch {
		case !check.columns.has(name):
			m := lang.NoColumn(name, check.columns.names)
			x.Message, x.Fix = "order_by: "+m.Message, m.Fix
		case check.columns.isSecret(name):
			x.Message = "order_by: column " + quoted(name) + " is secret"
		default:
			continue
		}
		x.File, x.Line, x.Column = orderPlace(check)
		check.note(x)
	}
}

// orderPlace is where order_by stands.
func orderPlace(check *checker) (file string, line, column int) {
	file = check.Main.Shown
	for n := range check.Main.Calls {
		if tree.Predeclared(n.Fn) != "workflow" {
			continue
		}
		if x := (tree.Site{File: check.Main, Node: n}).Written(check.Table.Lookup("workflow"), "order_by"); x != nil {
			return check.Main.Place(syntax.Start(x))
		}
	}
	return file, 0, 0
}
