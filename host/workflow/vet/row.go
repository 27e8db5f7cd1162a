package vet

import (
	"go.starlark.net/syntax"

	"github.com/rekey-host/rekey/host/workflow/tree"
)

// RowColumns are the columns that a row function gives each user, if they stand
// in its text; nil: they do not.
func RowColumns(fn *tree.Function) (names []string) {
	fn.Returned(func(expr syntax.Expr) {
		if names == nil {
			names = keysOf(expr)
		}
	})
	return names
}

// keysOf are the keys of a dict written out; nil: it is not.
func keysOf(expr syntax.Expr) (names []string) {
	expr = tree.Unhidden(expr)
	for _, part := range choices(expr) {
		if names = keysOf(part); names != nil {
			return names
		}
	}
	dict, is := expr.(*syntax.DictExpr)
	if !is {
		return nil
	}
	for _, entry := range dict.List {
		key, is := tree.Text(entry.(*syntax.DictEntry).Key)
		if !is {
			return nil
		}
		names = append(names, key)
	}
	return names
}
