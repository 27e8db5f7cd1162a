package vet

import (
	"cmp"
	"strings"

	"go.starlark.net/syntax"

	"github.com/rekey-host/rekey/host/diag"
	"github.com/rekey-host/rekey/host/workflow/tree"
)

// Discarded finds verdicts and results thrown away: failed("…")
// without return must not mean done.
func Discarded(file *tree.File) []diag.Problem {
	var found []diag.Problem
	syntax.Walk(file.Tree, func(node syntax.Node) bool {
		if exprStmt, ok := node.(*syntax.ExprStmt); ok {
			found = append(found, dropped(file, exprStmt.X)...)
		}
		return true
	})
	return found
}

// dropped finds the value that a statement of an expression throws away.
func dropped(file *tree.File, expr syntax.Expr) []diag.Problem {
	if call, ok := expr.(*syntax.CallExpr); ok {
		if problem := droppedCall(file, call); problem != nil {
			return []diag.Problem{*problem}
		}
	}
	var found []diag.Problem
	for _, part := range parts(expr) {
		found = append(found, dropped(file, part)...)
	}
	return found
}

// parts are the expressions whose values one hands on.
func parts(expr syntax.Expr) []syntax.Expr {
	switch x := expr.(type) {
	case *syntax.TupleExpr:
		return x.List
	case *syntax.ListExpr:
		return x.List
	case *syntax.Comprehension:
		return []syntax.Expr{x.Body}
	}
	return choices(expr)
}

// choices are the expressions one of which an expression is.
func choices(expr syntax.Expr) []syntax.Expr {
	switch x := expr.(type) {
	case *syntax.ParenExpr:
		return []syntax.Expr{x.X}
	case *syntax.CondExpr:
		return []syntax.Expr{x.True, x.False}
	case *syntax.BinaryExpr:
		if x.Op == syntax.AND || x.Op == syntax.OR {
			return []syntax.Expr{x.X, x.Y}
		}
	}
	return nil
}

func droppedCall(file *tree.File, node *syntax.CallExpr) *diag.Problem {
	name, what := verdictCall(node)
	var problem diag.Problem
	switch what {
	case isVerdict:
		problem = file.Problem(syntax.Start(node), "write return "+name+"(…)", "the result of %s() is thrown away, so it says nothing", name)
		return &problem
	case isResult:
		plain := strings.Replace(name, "try_", "", 1)
		problem = file.Problem(syntax.Start(node), "look at its .ok, or use "+plain+"(), which fails the user", "the result of %s() is thrown away", name)
		return &problem
	}
	fn := file.Callee(node)
	if fn == nil {
		return nil
	}
	inner := verdictOf(fn)
	if inner == "" {
		return nil
	}
	called := node.Fn.(*syntax.Ident).Name
	problem = file.Problem(syntax.Start(node), "write return "+called+"(…), or look at what it returns", "the result of %s() is thrown away, and it may be that of %s()", called, inner)
	return &problem
}

// The results of a call that have to be used.
const (
	isNeither = iota
	isVerdict
	isResult
)

// verdictCall tells whether the call is one of skip, done, failed or of a try_
// step.
func verdictCall(node *syntax.CallExpr) (name string, what int) {
	switch name := tree.Predeclared(node.Fn); name {
	case "skip", "done", "failed":
		return name, isVerdict
	}
	if dot, ok := node.Fn.(*syntax.DotExpr); ok && strings.HasPrefix(dot.Name.Name, "try_") {
		if id, ok := dot.X.(*syntax.Ident); ok {
			return id.Name + "." + dot.Name.Name, isResult
		}
	}
	return "", isNeither
}

// verdictOf returns the name of the verdict or try_ step that the function gives
// directly or by another function; "" if none does.
func verdictOf(fn *tree.Function) string {
	seen := map[*tree.Function]bool{} // a visited one has nothing to add
	return verdictOfUnseen(fn, seen)
}

func verdictOfUnseen(fn *tree.Function, seen map[*tree.Function]bool) string {
	name := ""
	if seen[fn] {
		return name
	}
	seen[fn] = true
	fn.Returned(func(expr syntax.Expr) { name = cmp.Or(name, verdictIn(fn.File, expr, seen)) })
	return name
}

// verdictIn returns the name of the verdict or try_ step that an expression may
// be, or "".
func verdictIn(file *tree.File, expr syntax.Expr, seen map[*tree.Function]bool) string {
	if call, ok := expr.(*syntax.CallExpr); ok {
		if name, what := verdictCall(call); what != isNeither {
			return name
		}
		if fn := file.Callee(call); fn != nil {
			return verdictOfUnseen(fn, seen)
		}
	}
	name := ""
	for _, part := range choices(expr) {
		name = cmp.Or(name, verdictIn(file, part, seen))
	}
	return name
}
