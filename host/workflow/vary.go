package workflow

import (
	"slices"

	"go.starlark.net/resolve"
	"go.starlark.net/syntax"
)

// A value that depends on a parameter which nobody gave is not what a run will
// see: rekey check has to be silent about what it says, and look at its type
// only. Which values those are is found in the syntax tree: a name varies if
// it is bound to an expression that mentions param.X() of such a parameter or
// another name that varies. Inside of functions everything but a literal may.

// vary marks what depends on a parameter without a value. missing tells
// whether a call of param.X() is of one; files come after what they load.
func vary(files []*file, missing func(*syntax.CallExpr) bool) {
	any := false
	for _, f := range files {
		f.mayVary, f.varies, f.missing = map[*syntax.Ident]bool{}, map[string]bool{}, missing
		for f.varyOnce() {
		}
		any = any || len(f.mayVary) > 0 || f.mentionsMissing(f.tree)
	}
	if !any {
		for _, f := range files {
			f.mayVary = nil
		}
	}
}

// varyOnce goes over the top level once and reports whether it learnt anything.
func (f *file) varyOnce() bool {
	before := len(f.mayVary)
	for _, s := range f.tree.Stmts {
		switch s := s.(type) {
		case *syntax.LoadStmt:
			from := f.loads[s.ModuleName()]
			for i, id := range s.From {
				if from != nil && from.varies[id.Name] {
					f.markVarying(s.To[i])
				}
			}
		case *syntax.AssignStmt:
			if f.mentionsMissing(s.RHS) {
				f.markVarying(targets(s.LHS)...)
			}
		case *syntax.DefStmt:
			if f.mentionsMissing(s) {
				f.markVarying(s.Name)
			}
		}
	}
	return len(f.mayVary) > before
}

func (f *file) markVarying(names ...*syntax.Ident) {
	for _, id := range names {
		f.varies[id.Name] = true
		if b, ok := id.Binding.(*resolve.Binding); ok && b.First != nil {
			f.mayVary[b.First] = true
		}
	}
}

// mentionsMissing reports whether the node mentions a parameter without a
// value, or a name that varies.
func (f *file) mentionsMissing(n syntax.Node) bool {
	found := false
	syntax.Walk(n, func(n syntax.Node) bool {
		switch n := n.(type) {
		case *syntax.Ident:
			b, _ := n.Binding.(*resolve.Binding)
			found = found || b != nil && f.mayVary[b.First]
		case *syntax.CallExpr:
			found = found || isParam(n) && f.missing(n)
		}
		return !found
	})
	return found
}

// isParam reports whether the call is one of param.X().
func isParam(n *syntax.CallExpr) bool {
	dot, ok := n.Fn.(*syntax.DotExpr)
	return ok && isBuiltin(dot.X, "param")
}

// isBuiltin reports whether the expression is the predeclared name.
func isBuiltin(x syntax.Expr, name string) bool {
	id, ok := x.(*syntax.Ident)
	if !ok || name != "" && id.Name != name {
		return false
	}
	b, ok := id.Binding.(*resolve.Binding)
	return ok && b.Scope == resolve.Predeclared
}

// paramName is the literal name of a param.X() call, or "".
func paramName(n *syntax.CallExpr) string {
	for i, a := range n.Args {
		if kw, ok := keywordOf(a); ok && kw == "name" {
			a = a.(*syntax.BinaryExpr).Y
		} else if i > 0 || ok {
			continue
		}
		if text, ok := a.(*syntax.Literal); ok && text.Token == syntax.STRING {
			return text.Value.(string)
		}
	}
	return ""
}

// loose reports whether the expression depends on a parameter without a value.
func (f *file) loose(x syntax.Node) bool {
	if f.mayVary == nil {
		return false
	}
	found := false
	syntax.Walk(x, func(n syntax.Node) bool {
		switch n := n.(type) {
		case *syntax.Ident:
			b, _ := n.Binding.(*resolve.Binding)
			if b != nil {
				found = found || f.mayVary[b.First] || f.insideFunction(b)
			}
		case *syntax.CallExpr:
			found = found || isParam(n) && f.missing(n)
		}
		return !found
	})
	return found
}

// insideFunction reports whether the name is a function's own, or a
// comprehension's: what it is bound to depends on who calls.
func (f *file) insideFunction(b *resolve.Binding) bool {
	return b.Scope == resolve.Free || b.Scope == resolve.Cell || b.Scope == resolve.Local && !f.loaded(b)
}

// loaded reports whether the name is bound by load().
func (f *file) loaded(b *resolve.Binding) bool {
	for _, s := range f.tree.Stmts {
		if l, ok := s.(*syntax.LoadStmt); ok && slices.Contains(l.To, b.First) {
			return true
		}
	}
	return false
}

// argLoose reports whether an argument of a call depends on a parameter
// without a value; of the name "" whether any does.
func (f *file) argLoose(n *syntax.CallExpr, e *entry, name string) bool {
	if f.mayVary == nil {
		return false
	}
	place := e.index(name)
	for i, a := range n.Args {
		kw, isKeyword := keywordOf(a)
		_, isStar := a.(*syntax.UnaryExpr)
		switch {
		case name != "" && isKeyword && kw != name, name != "" && !isKeyword && !isStar && i != place:
			continue
		case isKeyword:
			a = a.(*syntax.BinaryExpr).Y
		}
		if f.loose(a) {
			return true
		}
	}
	return false
}

// looseAt reports whether the operation at the position, or the statement of
// the top level around it, depends on a parameter without a value.
func (f *file) looseAt(p syntax.Position) bool {
	if n := f.nodes[spotOf(p)]; n != nil {
		return f.loose(n)
	}
	for _, s := range f.tree.Stmts {
		start, end := s.Span()
		if !before(p, start) && before(p, end) {
			return f.loose(s)
		}
	}
	return false
}

func before(a, b syntax.Position) bool {
	return a.Line < b.Line || a.Line == b.Line && a.Col < b.Col
}
