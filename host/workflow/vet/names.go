package vet

import (
	"go.starlark.net/syntax"

	"github.com/rekey-host/rekey/host/diag"
	"github.com/rekey-host/rekey/host/workflow/lang"
	"github.com/rekey-host/rekey/host/workflow/tree"
)

// Shadowed finds names of the language that a file uses and binds:
// policy = policy(…) would fail with a message that explains nothing. In a
// function the name is the function's own from its first line.
func Shadowed(table *lang.Table, file *tree.File) []diag.Problem {
	var found []diag.Problem
	for _, stmt := range file.Tree.Stmts {
		for _, id := range tree.Bound(stmt) {
			if entry := inScope(table, id); entry != nil && clashes(file, stmt, id) {
				found = append(found, shadows(file, id, entry))
			}
		}
	}
	for fn := range file.Functions {
		found = append(found, shadowedInside(table, fn)...)
	}
	return found
}

func shadows(file *tree.File, id *syntax.Ident, entry *lang.Entry) diag.Problem {
	return file.Problem(id.NamePos, "call yours "+entry.Rename, "%s is a builtin", id.Name)
}

// inScope returns the entry of a name that every script has in its scope.
func inScope(table *lang.Table, id *syntax.Ident) *lang.Entry {
	if entry := table.Lookup(id.Name); entry != nil && entry.InScope() {
		return entry
	}
	return nil
}

func shadowedInside(table *lang.Table, fn *tree.Function) []diag.Problem {
	var found []diag.Problem
	look := func(node syntax.Node) bool {
		assignStmt, ok := node.(*syntax.AssignStmt)
		if !ok || assignStmt.Op != syntax.EQ {
			return true
		}
		for _, id := range tree.Targets(assignStmt.LHS) {
			if entry := inScope(table, id); entry != nil && mentions(assignStmt.RHS, id) && !boundBefore(id) {
				found = append(found, shadows(fn.File, id, entry))
			}
		}
		return true
	}
	for _, stmt := range fn.Body {
		syntax.Walk(stmt, look)
	}
	return found
}

// mentions reports whether the expression uses the bound variable.
func mentions(expr syntax.Expr, bound *syntax.Ident) bool {
	found := false
	syntax.Walk(expr, func(node syntax.Node) bool {
		id, ok := node.(*syntax.Ident)
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
func clashes(file *tree.File, stmt syntax.Stmt, id *syntax.Ident) bool {
	_, end := stmt.Span()
	_, isValue := stmt.(*syntax.AssignStmt)
	clash := false
	for _, other := range file.Tree.Stmts {
		_, isDef := other.(*syntax.DefStmt)
		syntax.Walk(other, func(node syntax.Node) bool {
			switch n := node.(type) {
			case *syntax.Ident:
				early := !isDef && n != id && tree.Same(n, id) && tree.Before(n.NamePos, end)
				clash = clash || early && !isTarget(stmt, n)
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

func sameName(expr syntax.Expr, id *syntax.Ident) bool {
	ident, ok := expr.(*syntax.Ident)
	return ok && tree.Same(ident, id)
}

func isTarget(stmt syntax.Stmt, name *syntax.Ident) bool {
	for _, id := range tree.Bound(stmt) {
		if id == name {
			return true
		}
	}
	return false
}
