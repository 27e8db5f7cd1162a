package vet

import (
	"go.starlark.net/syntax"

	"github.com/rekey-host/rekey/host/source"
	"github.com/rekey-host/rekey/host/workflow/lang"
	"github.com/rekey-host/rekey/host/workflow/tree"
)

// checkOrder checks the columns of order_by.
func checkOrder(c *checker) {
	for _, name := range c.OrderBy {
		var x source.Problem
		switch {
		case !c.columns.has(name):
			m := lang.NoColumn(name, c.columns.names)
			x.Message, x.Fix = "order_by: "+m.Message, m.Fix
		case c.columns.isSecret(name):
			x.Message = "order_by: column " + quoted(name) + " is secret"
		default:
			continue
		}
		x.File, x.Line, x.Column = orderPlace(c)
		c.note(x)
	}
}

// orderPlace is where order_by stands.
func orderPlace(c *checker) (file string, line, column int) {
	file = c.Main.Shown
	for n := range c.Main.Calls {
		if tree.Predeclared(n.Fn) != "workflow" {
			continue
		}
		if x := (tree.Site{File: c.Main, Node: n}).Written(c.Table.Lookup("workflow"), "order_by"); x != nil {
			return c.Main.Place(syntax.Start(x))
		}
	}
	return file, 0, 0
}

func quoted(word string) string { return lang.Quoted([]string{word})[0] }
