package vet

import (
	"go.starlark.net/syntax"

	"github.com/rekey-host/rekey/host/source"
	"github.com/rekey-host/rekey/host/workflow/lang"
	"github.com/rekey-host/rekey/host/workflow/tree"
)

// Shadowed finds names of the language that a file uses and binds:
// policy = policy(…) would fail with a message that explains nothing. In a
// function the name is the function's own from its first line.
func Shadowed(table *lang.Table, f *tree.File) []source.Problem {
	var found []source.Problem
	for _, s := range f.Tree.Stmts {
		for _, id := range tree.Bound(s) {
			if e := inScope(table, id); e != nil && clashes(f, s, id) {
				found = append(found, shadows(f, id, e))
			}
		}
	}
	for fn := range f.Functions {
		found = append(found, shadowedInside(table, fn)...)
	}
	return found
}

func shadows(f *tree.File, id *syntax.Ident, e *lang.Entry) source.Problem {
	return f.Problem(id.NamePos, "call yours "+e.Rename, "%s is a builtin", id.Name)
}

// inScope returns the entry of a name that every script has in its scope.
func inScope(table *lang.Table, id *syntax.Ident) *lang.Entry {
	if e := table.Lookup(id.Name); e != nil && e.InScope() {
		return e
	}
	return nil
}

func shadowedInside(table *lang.Table, fn *tree.Function) []source.Problem {
	var found []source.Problem
	look := func(n syntax.Node) bool {
		s, ok := n.(*syntax.AssignStmt)
		if !ok || s.Op != syntax.EQ {
			return true
		}
		for _, id := range tree.Targets(s.LHS) {
			if e := inScope(table, id); e != nil && mentions(s.RHS, id) && !boundBefore(id) {
				found = append(found, shadows(fn.File, id, e))
			}
		}
		return true
	}
	for _, s := range fn.Body {
		syntax.Walk(s, look)
	}
	return found
}

// mentions reports whether the expression uses the variable that is bound.
func mentions(x syntax.Expr, bound *syntax.Ident) bool {
	found := false
	syntax.Walk(x, func(n syntax.Node) bool {
		id, ok := n.(*syntax.Ident)
		found = found || ok && tree.Same(id, bound)
		return !found
	})
	return found
}

// boundBefore reports whether the variable has a value before it is bound here:
// it is a parameter, or bound on an earlier line.
func boundBefore(id *syntax.Ident) bool { return tree.First(id) != nil && tree.First(id) != id }

// clashes reports whether the file means the builtin by the name that the
// statement binds: it is used before it is bound, or called although it is
// bound to a value.
func clashes(f *tree.File, s syntax.Stmt, id *syntax.Ident) bool {
	_, end := s.Span()
	_, isValue := s.(*syntax.AssignStmt)
	clash := false
	for _, other := range f.Tree.Stmts {
		_, isDef := other.(*syntax.DefStmt)
		syntax.Walk(other, func(n syntax.Node) bool {
			switch n := n.(type) {
			case *syntax.Ident:
				early := !isDef && n != id && tree.Same(n, id) && tree.Before(n.NamePos, end)
				clash = clash || early && !isTarget(s, n)
			case *syntax.CallExpr:
				clash = clash || isValue && sameName(n.Fn, id)
			case *syntax.DotExpr:
				clash = clash || isValue && sameName(n.X, id)
			}
			return !clash
		})
	}
	return clash
}

func sameName(x syntax.Expr, id *syntax.Ident) bool {
	n, ok := x.(*syntax.Ident)
	return ok && tree.Same(n, id)
}

func isTarget(s syntax.Stmt, n *syntax.Ident) bool {
	for _, id := range tree.Bound(s) {
		if id == n {
			return true
		}
	}
	return false
}
