package vet

import (
	"cmp"
	"strings"

	"go.starlark.net/syntax"

	"github.com/rekey-host/rekey/host/source"
	"github.com/rekey-host/rekey/host/workflow/tree"
)

// Discarded finds verdicts and results that nobody looks at: failed("…")
// without return must not mean done.
func Discarded(f *tree.File) []source.Problem {
	var found []source.Problem
	syntax.Walk(f.Tree, func(n syntax.Node) bool {
		if s, ok := n.(*syntax.ExprStmt); ok {
			found = append(found, dropped(f, s.X)...)
		}
		return true
	})
	return found
}

// dropped finds what a statement that is only an expression throws away.
func dropped(f *tree.File, x syntax.Expr) []source.Problem {
	if n, ok := x.(*syntax.CallExpr); ok {
		if p := droppedCall(f, n); p != nil {
			return []source.Problem{*p}
		}
	}
	var found []source.Problem
	for _, part := range parts(x) {
		found = append(found, dropped(f, part)...)
	}
	return found
}

// parts are the expressions whose values one hands on.
func parts(x syntax.Expr) []syntax.Expr {
	switch x := x.(type) {
	case *syntax.TupleExpr:
		return x.List
	case *syntax.ListExpr:
		return x.List
	case *syntax.Comprehension:
		return []syntax.Expr{x.Body}
	}
	return choices(x)
}

// choices are the expressions one of which an expression is.
func choices(x syntax.Expr) []syntax.Expr {
	switch x := x.(type) {
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

func droppedCall(f *tree.File, x *syntax.CallExpr) *source.Problem {
	name, what := verdictCall(x)
	var p source.Problem
	switch what {
	case isVerdict:
		p = f.Problem(syntax.Start(x), "write return "+name+"(…)", "the result of %s() is thrown away, so it says nothing", name)
		return &p
	case isResult:
		plain := strings.Replace(name, "try_", "", 1)
		p = f.Problem(syntax.Start(x), "look at its .ok, or use "+plain+"(), which fails the user", "the result of %s() is thrown away", name)
		return &p
	}
	fn := f.Callee(x)
	if fn == nil {
		return nil
	}
	inner := verdictOf(fn)
	if inner == "" {
		return nil
	}
	called := x.Fn.(*syntax.Ident).Name
	p = f.Problem(syntax.Start(x), "write return "+called+"(…), or look at what it returns", "the result of %s() is thrown away, and it may be that of %s()", called, inner)
	return &p
}

// What a call gives that has to be used.
const (
	isNeither = iota
	isVerdict
	isResult
)

// verdictCall tells whether the call is one of skip, done, failed or of a try_
// step.
func verdictCall(x *syntax.CallExpr) (name string, what int) {
	switch name := tree.Predeclared(x.Fn); name {
	case "skip", "done", "failed":
		return name, isVerdict
	}
	if dot, ok := x.Fn.(*syntax.DotExpr); ok && strings.HasPrefix(dot.Name.Name, "try_") {
		if id, ok := dot.X.(*syntax.Ident); ok {
			return id.Name + "." + dot.Name.Name, isResult
		}
	}
	return "", isNeither
}

// verdictOf returns the name of the verdict or try_ step that the function gives
// directly or by another function; "" if there is none.
func verdictOf(fn *tree.Function) string {
	seen := map[*tree.Function]bool{} // one that was looked into has nothing to add
	return verdictOfUnseen(fn, seen)
}

func verdictOfUnseen(fn *tree.Function, seen map[*tree.Function]bool) string {
	name := ""
	if seen[fn] {
		return name
	}
	seen[fn] = true
	fn.Returned(func(x syntax.Expr) { name = cmp.Or(name, verdictIn(fn.File, x, seen)) })
	return name
}

// verdictIn returns the name of the verdict or try_ step that an expression may
// be, or "".
func verdictIn(f *tree.File, x syntax.Expr, seen map[*tree.Function]bool) string {
	if n, ok := x.(*syntax.CallExpr); ok {
		if name, what := verdictCall(n); what != isNeither {
			return name
		}
		if fn := f.Callee(n); fn != nil {
			return verdictOfUnseen(fn, seen)
		}
	}
	name := ""
	for _, part := range choices(x) {
		name = cmp.Or(name, verdictIn(f, part, seen))
	}
	return name
}
