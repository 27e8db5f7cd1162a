package tree

import (
	"go.starlark.net/resolve"
	"go.starlark.net/syntax"
)

// Function is a def or lambda in the tree.
type Function struct {
	File   *File
	Name   string
	Body   []syntax.Stmt // of a def
	Result syntax.Expr   // of a lambda

	params   []syntax.Expr
	resolved *resolve.Function
}

// Params returns the parameters by position, then those by keyword; nil for *
// without a name.
func (fn *Function) Params() []*syntax.Ident {
	var all []*syntax.Ident
	for _, p := range fn.params {
		switch p := p.(type) {
		case *syntax.Ident:
			all = append(all, p)
		case *syntax.BinaryExpr:
			all = append(all, p.X.(*syntax.Ident))
		case *syntax.UnaryExpr:
			id, _ := p.X.(*syntax.Ident)
			all = append(all, id)
		}
	}
	return all
}

// Captures reports whether the function uses names of one that it stands in.
func (fn *Function) Captures() bool { return len(fn.resolved.FreeVars) > 0 }

// Returned calls yield with each expression that the function itself returns.
func (fn *Function) Returned(yield func(syntax.Expr)) {
	if fn.Result != nil {
		yield(fn.Result)
	}
	for _, s := range fn.Body {
		syntax.Walk(s, func(n syntax.Node) bool {
			switch n := n.(type) {
			case *syntax.DefStmt, *syntax.LambdaExpr:
				return false
			case *syntax.ReturnStmt:
				if n.Result != nil {
					yield(n.Result)
				}
			}
			return true
		})
	}
}

// Walk visits the nodes of the body, or of the expression that a lambda is.
func (fn *Function) Walk(visit func(syntax.Node) bool) {
	for _, s := range fn.Body {
		syntax.Walk(s, visit)
	}
	if fn.Result != nil {
		syntax.Walk(fn.Result, visit)
	}
}
