package workflow

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"

	"go.starlark.net/resolve"
	"go.starlark.net/syntax"

	"github.com/rekey-host/rekey/host/source"
)

// shadowed finds names of builtins that the top level uses and binds:
// policy = policy(…) would fail with a message that explains nothing.
func (in *interp) shadowed(f *file) []source.Problem {
	var found []source.Problem
	for _, s := range f.tree.Stmts {
		for _, id := range bound(s) {
			e := in.lang.byName[id.Name]
			if e == nil || !in.lang.inScope(e) || !f.clashes(s, id) {
				continue
			}
			found = append(found, f.problem(id.NamePos, "call yours "+e.rename, "%s is a builtin", id.Name))
		}
	}
	return found
}

// shadowedInside finds the same in functions, where the name is the function's
// own from its first line: json = json.encode(…).
func (in *interp) shadowedInside(f *file) []source.Problem {
	var found []source.Problem
	look := func(n syntax.Node) bool {
		s, ok := n.(*syntax.AssignStmt)
		if !ok || s.Op != syntax.EQ {
			return true
		}
		for _, id := range targets(s.LHS) {
			e := in.lang.byName[id.Name]
			if e != nil && in.lang.inScope(e) && f.mentions(s.RHS, id) && !f.boundBefore(id) {
				found = append(found, f.problem(id.NamePos, "call yours "+e.rename, "%s is a builtin", id.Name))
			}
		}
		return true
	}
	for _, fn := range f.funcs {
		for _, s := range fn.body {
			syntax.Walk(s, look)
		}
	}
	return found
}

// mentions reports whether the expression uses the variable that is bound.
func (f *file) mentions(x syntax.Expr, bound *syntax.Ident) bool {
	found := false
	syntax.Walk(x, func(n syntax.Node) bool {
		id, ok := n.(*syntax.Ident)
		found = found || ok && f.sameBinding(id, bound)
		return !found
	})
	return found
}

// boundBefore reports whether the variable has a value before it is bound here:
// it is a parameter, or bound on an earlier line.
func (f *file) boundBefore(id *syntax.Ident) bool {
	b, _ := id.Binding.(*resolve.Binding)
	return b == nil || b.First != nil && b.First != id
}

// clashes reports whether the file means the builtin by the name that the
// statement binds: it is used before it is bound, or called although it is
// bound to a value.
func (f *file) clashes(s syntax.Stmt, id *syntax.Ident) bool {
	_, end := s.Span()
	_, isValue := s.(*syntax.AssignStmt)
	clash := false
	for _, other := range f.tree.Stmts {
		_, isDef := other.(*syntax.DefStmt)
		syntax.Walk(other, func(n syntax.Node) bool {
			switch n := n.(type) {
			case *syntax.Ident:
				early := !isDef && n != id && f.sameBinding(n, id) && before(n.NamePos, end)
				clash = clash || early && !isTarget(s, n)
			case *syntax.CallExpr:
				clash = clash || isValue && f.sameName(n.Fn, id)
			case *syntax.DotExpr:
				clash = clash || isValue && f.sameName(n.X, id)
			}
			return !clash
		})
	}
	return clash
}

func (f *file) sameName(x syntax.Expr, id *syntax.Ident) bool {
	n, ok := x.(*syntax.Ident)
	return ok && f.sameBinding(n, id)
}

// sameBinding reports whether both names are the same variable.
func (f *file) sameBinding(a, b *syntax.Ident) bool {
	x, _ := a.Binding.(*resolve.Binding)
	y, _ := b.Binding.(*resolve.Binding)
	return x != nil && y != nil && (x == y || x.First != nil && x.First == y.First)
}

func isTarget(s syntax.Stmt, n *syntax.Ident) bool {
	for _, id := range bound(s) {
		if id == n {
			return true
		}
	}
	return false
}

// discarded finds verdicts and results that nobody looks at: failed("…")
// without return must not mean done.
func (in *interp) discarded(f *file) []source.Problem {
	var found []source.Problem
	syntax.Walk(f.tree, func(n syntax.Node) bool {
		if s, ok := n.(*syntax.ExprStmt); ok {
			found = append(found, f.dropped(s.X)...)
		}
		return true
	})
	return found
}

// dropped finds what a statement that is only an expression throws away.
func (f *file) dropped(x syntax.Expr) []source.Problem {
	var parts []syntax.Expr
	switch x := x.(type) {
	case *syntax.ParenExpr:
		parts = []syntax.Expr{x.X}
	case *syntax.CondExpr:
		parts = []syntax.Expr{x.True, x.False}
	case *syntax.BinaryExpr:
		if x.Op == syntax.AND || x.Op == syntax.OR {
			parts = []syntax.Expr{x.X, x.Y}
		}
	case *syntax.TupleExpr:
		parts = x.List
	case *syntax.ListExpr:
		parts = x.List
	case *syntax.Comprehension:
		parts = []syntax.Expr{x.Body}
	case *syntax.CallExpr:
		if p := f.droppedCall(x); p != nil {
			return []source.Problem{*p}
		}
	}
	var found []source.Problem
	for _, part := range parts {
		found = append(found, f.dropped(part)...)
	}
	return found
}

func (f *file) droppedCall(x *syntax.CallExpr) *source.Problem {
	name, what := f.verdictCall(x)
	switch what {
	case isVerdict:
		p := f.problem(syntax.Start(x), "write return "+name+"(…)", "the result of %s() is thrown away, so it says nothing", name)
		return &p
	case isResult:
		plain := strings.Replace(name, "try_", "", 1)
		p := f.problem(syntax.Start(x), fmt.Sprintf("look at its .ok, or use %s(), which fails the user", plain), "the result of %s() is thrown away", name)
		return &p
	}
	if fn := f.callee(x); fn != nil {
		if inner := fn.returnsVerdict(); inner != "" {
			called := x.Fn.(*syntax.Ident).Name
			p := f.problem(syntax.Start(x), "write return "+called+"(…), or look at what it returns", "the result of %s() is thrown away, and it may be that of %s()", called, inner)
			return &p
		}
	}
	return nil
}

// What a call gives that has to be used.
const (
	isNeither = iota
	isVerdict
	isResult
)

// verdictCall tells whether the call is one of skip, done, failed or of a try_
// step.
func (f *file) verdictCall(x *syntax.CallExpr) (name string, what int) {
	if isBuiltin(x.Fn, "") {
		switch name := x.Fn.(*syntax.Ident).Name; name {
		case "skip", "done", "failed":
			return name, isVerdict
		}
	}
	if dot, ok := x.Fn.(*syntax.DotExpr); ok && strings.HasPrefix(dot.Name.Name, "try_") {
		if id, ok := dot.X.(*syntax.Ident); ok {
			return id.Name + "." + dot.Name.Name, isResult
		}
	}
	return "", isNeither
}

// callee is the function of this file, or of a loaded one, that is called; nil
// if that is not known.
func (f *file) callee(x *syntax.CallExpr) *function {
	id, ok := x.Fn.(*syntax.Ident)
	if !ok {
		return nil
	}
	b, ok := id.Binding.(*resolve.Binding)
	if !ok || b.First == nil {
		return nil
	}
	return f.definition(b.First)
}

// definition finds the def that binds a name, here or where it is loaded from.
func (f *file) definition(first *syntax.Ident) *function {
	for _, s := range f.tree.Stmts {
		l, ok := s.(*syntax.LoadStmt)
		if !ok {
			continue
		}
		i := slices.Index(l.To, first)
		if from := f.loads[l.ModuleName()]; i >= 0 && from != nil && from.program != nil {
			return from.exported(l.From[i].Name)
		}
	}
	return f.named(first)
}

// named returns the function that is bound to a name; nil if that is none.
func (f *file) named(first *syntax.Ident) *function { return f.funcs[f.defs[first]] }

func (f *file) exported(name string) *function {
	for _, s := range f.tree.Stmts {
		for _, id := range bound(s) {
			if id.Name == name {
				return f.named(id)
			}
		}
	}
	return nil
}

// returnsVerdict returns the name of the verdict or try_ step that the function
// gives directly or by another function; "" if there is none. seen are the
// functions that lead to it.
func (fn *function) returnsVerdict(seen ...*function) string {
	if slices.Contains(seen, fn) {
		return ""
	}
	seen = append(slices.Clone(seen), fn)
	name := fn.file.gives(fn.result, seen)
	for _, s := range fn.body {
		syntax.Walk(s, func(n syntax.Node) bool {
			switch n := n.(type) {
			case *syntax.DefStmt, *syntax.LambdaExpr:
				return false
			case *syntax.ReturnStmt:
				name = cmp.Or(name, fn.file.gives(n.Result, seen))
			}
			return true
		})
	}
	return name
}

// gives returns the name of the verdict or try_ step that an expression may
// be, or "".
func (f *file) gives(x syntax.Expr, seen []*function) string {
	switch x := x.(type) {
	case *syntax.ParenExpr:
		return f.gives(x.X, seen)
	case *syntax.CondExpr:
		return cmp.Or(f.gives(x.True, seen), f.gives(x.False, seen))
	case *syntax.BinaryExpr:
		if x.Op == syntax.AND || x.Op == syntax.OR {
			return cmp.Or(f.gives(x.X, seen), f.gives(x.Y, seen))
		}
	case *syntax.CallExpr:
		if name, what := f.verdictCall(x); what != isNeither {
			return name
		}
		if fn := f.callee(x); fn != nil {
			return fn.returnsVerdict(seen...)
		}
	}
	return ""
}

// checkTree finds misspelt columns and the like in hooks and what they call.
func (in *interp) checkTree(ctx context.Context, w *Workflow) {
	columns := in.columns(ctx, w)
	c := &checker{in: in, columns: columns, seen: map[visit]bool{}}
	c.hook(w.hooks.choose, inSelect)
	c.hook(w.hooks.wave, inWave)
	c.hook(w.hooks.rotate, inRotate)
	for _, r := range w.hooks.reports {
		c.hook(r.row, inRow)
	}
	c.warnIdle(w, w.hooks.rotate)
	if columns != nil {
		in.schema.Store(columns)
		if !in.looseOrder {
			in.checkOrder(w, columns)
		}
	}
}

// columns returns the columns of the users; nil if nothing can be said of
// them. What is wrong with the file is noted.
func (in *interp) columns(ctx context.Context, w *Workflow) *schema {
	users := w.hooks.users
	if users == nil || users.source == nil || users.unknown || users.stdin || len(in.opts.Kept) > 0 || in.opts.Blind {
		return nil
	}
	s, err := users.source.Schema(ctx)
	var list *source.Problems
	switch {
	case err == nil:
		return newSchema(s)
	case errors.Is(err, fs.ErrNotExist) && in.opts.Placeholders:
	case errors.As(err, &list):
		in.note(list.List...)
	default:
		in.note(source.Problem{File: users.source.Name(), Message: err.Error(), Cause: err})
	}
	return nil
}

func (in *interp) checkOrder(w *Workflow, columns *schema) {
	for _, name := range w.OrderBy {
		i, ok := columns.index[name]
		x := source.Problem{File: in.script.shown}
		x.File, x.Line, x.Column = in.orderPlace()
		switch {
		case !ok:
			m := columns.noColumn(name)
			x.Message, x.Fix = "order_by: "+m.message, m.fix
		case columns.columns[i].Secret:
			x.Message = fmt.Sprintf("order_by: column %q is secret", name)
		default:
			continue
		}
		in.note(x)
	}
}

// orderPlace is where order_by stands.
func (in *interp) orderPlace() (file string, line, column int) {
	file = in.script.shown
	for _, n := range in.script.calls {
		if isBuiltin(n.Fn, "workflow") {
			s := &site{file: in.script, node: n}
			if x := s.argument(in.lang.byName["workflow"], "order_by"); x != nil {
				return in.script.place(syntax.Start(x))
			}
		}
	}
	return file, 0, 0
}
