package vet

import (
	"go.starlark.net/syntax"

	"github.com/rekey-host/rekey/host/diag"
	"github.com/rekey-host/rekey/host/source"
	"github.com/rekey-host/rekey/host/workflow/lang"
	"github.com/rekey-host/rekey/host/workflow/tree"
)

// checkOrder checks the columns of order_by.
func checkOrder(check *checker) {
	for _, written := range check.OrderBy {
		name, _ := source.Order(written, check.columns.has)
		var problem diag.Problem
		switch {
		case !check.columns.has(name):
			misuse := lang.NoColumn(name, check.columns.names)
			problem.Message, problem.Fix = "order_by: "+misuse.Message, misuse.Fix
		case check.columns.isSecret(name):
			problem.Message, problem.Fix = "order_by: column "+quoted(name)+" is secret", "order by another column"
		default:
			continue
		}
		problem.File, problem.Line, problem.Column = orderPlace(check)
		check.note(problem)
	}
}

// orderPlace is where order_by stands.
func orderPlace(check *checker) (file string, line, column int) {
	file = check.Main.Shown
	for call := range check.Main.Calls {
		if tree.Predeclared(call.Fn) != "workflow" {
			continue
		}
		if expr := (tree.Site{File: check.Main, Node: call}).Written(check.Table.Lookup("workflow"), "order_by"); expr != nil {
			return check.Main.Place(syntax.Start(expr))
		}
	}
	return file, 0, 0
}
