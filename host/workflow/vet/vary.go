package vet

import (
	"go.starlark.net/resolve"
	"go.starlark.net/syntax"

	"github.com/rekey-host/rekey/host/workflow/lang"
	"github.com/rekey-host/rekey/host/workflow/tree"
)

// Varying tells what depends on a parameter without a value. A run will see
// another: rekey check has to be silent about its value, and look at
// its type only. Which values those are is found in the syntax tree: a name
// varies if it is bound to an expression that mentions param.X() of such a
// parameter or another name that varies. Inside of functions everything but a
// literal may.
type Varying struct {
	params  Params
	first   map[*syntax.Ident]bool         // first bindings of names that vary
	globals map[*tree.File]map[string]bool // the globals among them
	any     bool
}

// Params says which parameters a script gets.
type Params struct {
	Table *lang.Table
	Given map[string]string
	// Placeholders goes on without values: a parameter without a value varies
	// though it has a default.
	Placeholders bool
}

// Vary finds what varies. Files come after those that they load.
func Vary(files []*tree.File, params Params) *Varying {
	varying := &Varying{params: params, first: map[*syntax.Ident]bool{}, globals: map[*tree.File]map[string]bool{}}
	for _, file := range files {
		varying.globals[file] = map[string]bool{}
		for varying.learn(file) {
		}
		varying.any = varying.any || varying.mentions(file.Tree)
	}
	varying.any = varying.any || len(varying.first) > 0
	return varying
}

// learn goes over the top level once and reports whether it learnt anything.
func (v *Varying) learn(file *tree.File) bool {
	before := len(v.first)
	for _, s := range file.Tree.Stmts {
		switch s := s.(type) {
		case *syntax.LoadStmt:
			from := file.Loads[s.ModuleName()]
			for i, id := range s.From {
				if from != nil && v.globals[from][id.Name] {
					v.mark(file, s.To[i])
				}
			}
		case *syntax.AssignStmt:
			if v.mentions(s.RHS) {
				v.mark(file, tree.Targets(s.LHS)...)
			}
		case *syntax.DefStmt:
			if v.mentions(s) {
				v.mark(file, s.Name)
			}
		}
	}
	return len(v.first) > before
}

func (v *Varying) mark(file *tree.File, names ...*syntax.Ident) {
	for _, id := range names {
		v.globals[file][id.Name] = true
		if first := tree.First(id); first != nil {
			v.first[first] = true
		}
	}
}

// mentions reports whether the node mentions a parameter without a value, or a
// name that varies.
func (v *Varying) mentions(node syntax.Node) bool {
	return v.search(node, func(id *syntax.Ident, _ *resolve.Binding) bool { return v.first[tree.First(id)] })
}

// search looks for a parameter without a value, or a name of which varies says
// so.
func (v *Varying) search(node syntax.Node, varies func(*syntax.Ident, *resolve.Binding) bool) bool {
	found := false
	syntax.Walk(node, func(inner syntax.Node) bool {
		switch n := inner.(type) {
		case *syntax.Ident:
			binding, _ := n.Binding.(*resolve.Binding)
			found = found || binding != nil && varies(n, binding)
		case *syntax.CallExpr:
			found = found || v.params.missing(n)
		}
		return !found
	})
	return found
}

// varies reports whether the expression depends on a parameter without a value.
func (v *Varying) varies(file *tree.File, node syntax.Node) bool {
	return v != nil && v.any && v.search(node, func(_ *syntax.Ident, binding *resolve.Binding) bool {
		return v.first[binding.First] || insideFunction(file, binding)
	})
}

// insideFunction reports whether the name is a function's own, or a
// comprehension's: its value depends on the caller.
func insideFunction(file *tree.File, binding *resolve.Binding) bool {
	switch binding.Scope {
	case resolve.Free, resolve.Cell:
		return true
	case resolve.Local:
		from, _ := file.Loaded(binding.First)
		return from == nil
	}
	return false
}

// Argument reports whether an argument of a call depends on a parameter without
// a value; of the name "" whether any does.
func (v *Varying) Argument(site tree.Site, entry *lang.Entry, name string) bool {
	if v == nil || !v.any || site.Node == nil {
		return false
	}
	place := entry.Index(name)
	for i, arg := range site.Node.Args {
		kw, isKeyword := tree.Keyword(arg)
		_, isStar := arg.(*syntax.UnaryExpr)
		if name != "" && (isKeyword && kw != name || !isKeyword && !isStar && i != place) {
			continue
		}
		if v.varies(site.File, tree.Unkeyed(arg)) {
			return true
		}
	}
	return false
}

// At reports whether the operation at the position, or the statement of the top
// level around it, depends on a parameter without a value.
func (v *Varying) At(file *tree.File, at syntax.Position) bool {
	if node := file.NodeAt(at); node != nil {
		return v.varies(file, node)
	}
	for _, stmt := range file.Tree.Stmts {
		start, end := stmt.Span()
		if !tree.Before(at, start) && tree.Before(at, end) {
			return v.varies(file, stmt)
		}
	}
	return false
}

// missing reports whether a call is a param.X() that has to do without what a
// run will give it.
func (p Params) missing(node *syntax.CallExpr) bool {
	dot, ok := node.Fn.(*syntax.DotExpr)
	if !ok || tree.Predeclared(dot.X) != "param" {
		return false
	}
	if _, given := p.Given[paramName(node)]; given {
		return false
	}
	return p.Placeholders || !p.hasDefault(node, dot.Name.Name)
}

// hasDefault reports whether a param.X() call is given a default.
func (p Params) hasDefault(node *syntax.CallExpr, member string) bool {
	entry := p.Table.Member("param", member)
	if entry == nil {
		return true
	}
	for i, arg := range node.Args {
		kw, isKeyword := tree.Keyword(arg)
		_, isStar := arg.(*syntax.UnaryExpr)
		if isKeyword && kw == "default" || isStar || !isKeyword && i == entry.Index("default") {
			return true
		}
	}
	return false
}

// paramName is the literal name of a param.X() call, or "".
func paramName(node *syntax.CallExpr) string {
	for i, arg := range node.Args {
		if kw, ok := tree.Keyword(arg); ok && kw != "name" || !ok && i > 0 {
			continue
		}
		if text, ok := tree.Text(tree.Unkeyed(arg)); ok {
			return text
		}
	}
	return ""
}
