package tree

import (
	"strings"

	"go.starlark.net/resolve"
	"go.starlark.net/syntax"
)

// Bound returns the names that a statement of the top level binds.
func Bound(stmt syntax.Stmt) []*syntax.Ident {
	switch s := stmt.(type) {
	case *syntax.DefStmt:
		return []*syntax.Ident{s.Name}
	case *syntax.LoadStmt:
		return s.To
	case *syntax.AssignStmt:
		return Targets(s.LHS)
	}
	return nil
}

// Targets returns the names that an assignment binds.
func Targets(expr syntax.Expr) []*syntax.Ident {
	var all []*syntax.Ident
	switch x := expr.(type) {
	case *syntax.Ident:
		return []*syntax.Ident{x}
	case *syntax.ParenExpr:
		return Targets(x.X)
	case *syntax.TupleExpr:
		for _, expr := range x.List {
			all = append(all, Targets(expr)...)
		}
	case *syntax.ListExpr:
		for _, expr := range x.List {
			all = append(all, Targets(expr)...)
		}
	}
	return all
}

// First returns the first binding of a name; nil: it has none in its file.
func First(id *syntax.Ident) *syntax.Ident {
	if binding, ok := id.Binding.(*resolve.Binding); ok {
		return binding.First
	}
	return nil
}

// Same reports whether both names are the same variable.
func Same(one, other *syntax.Ident) bool {
	binding, _ := one.Binding.(*resolve.Binding)
	y, _ := other.Binding.(*resolve.Binding)
	return binding != nil && y != nil && (binding == y || binding.First != nil && binding.First == y.First)
}

// Predeclared returns the name of the language that an expression is; "": it
// is none.
func Predeclared(expr syntax.Expr) string {
	id, ok := expr.(*syntax.Ident)
	if !ok {
		return ""
	}
	if binding, ok := id.Binding.(*resolve.Binding); ok && binding.Scope == resolve.Predeclared {
		return id.Name
	}
	return ""
}

// Text returns the text that an expression is as a literal.
func Text(expr syntax.Expr) (string, bool) {
	if literal, ok := expr.(*syntax.Literal); ok && literal.Token == syntax.STRING {
		return literal.Value.(string), true
	}
	return "", false
}

// IsNone reports whether an expression is None.
func IsNone(expr syntax.Expr) bool {
	id, ok := expr.(*syntax.Ident)
	return ok && id.Name == "None"
}

// Spelt is an expression as it is written, if a name or a column.
func Spelt(expr syntax.Expr) string {
	switch x := Unhidden(expr).(type) {
	case *syntax.Ident:
		if IsNone(x) {
			return ""
		}
		return x.Name
	case *syntax.DotExpr:
		if of := Spelt(x.X); of != "" {
			return of + "." + x.Name.Name
		}
	case *syntax.IndexExpr:
		if text, ok := x.Y.(*syntax.Literal); ok && text.Token == syntax.STRING && Spelt(x.X) != "" {
			return Spelt(x.X) + "[" + text.Raw + "]"
		}
	}
	return ""
}

// Before reports whether one position stands before another of its file.
func Before(one, other syntax.Position) bool {
	return one.Line < other.Line || one.Line == other.Line && one.Col < other.Col
}

// Hidden is the call of a function whose name no script can write, at the place
// of its argument: the wrapping that measures an operation.
func Hidden(name string, expr syntax.Expr) syntax.Expr {
	start, end := expr.Span()
	return &syntax.CallExpr{Fn: &syntax.Ident{NamePos: start, Name: name}, Lparen: start, Args: []syntax.Expr{expr}, Rparen: end}
}

// Unhidden is what a script has written there.
func Unhidden(expr syntax.Expr) syntax.Expr {
	if call, ok := expr.(*syntax.CallExpr); ok && isHidden(call) {
		return call.Args[0]
	}
	return expr
}

func isHidden(node *syntax.CallExpr) bool {
	id, ok := node.Fn.(*syntax.Ident)
	return ok && hiddenName(id.Name)
}

func hiddenName(name string) bool { return strings.HasPrefix(name, "$") }
