package workflow

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
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
			p := f.problem(syntax.Start(x), "write return "+fn.name+"(…), or look at what it returns", "the result of %s() is thrown away, and it may be that of %s()", fn.name, inner)
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
		switch s := s.(type) {
		case *syntax.DefStmt:
			if s.Name == first {
				return f.funcs[spotOf(s.Def)]
			}
		case *syntax.LoadStmt:
			for i, id := range s.To {
				if from := f.loads[s.ModuleName()]; id == first && from != nil && from.program != nil {
					return from.exported(s.From[i].Name)
				}
			}
		}
	}
	for _, fn := range f.funcs { // a def inside of a def
		if d, ok := fn.node.(*syntax.DefStmt); ok && d.Name == first {
			return fn
		}
	}
	return nil
}

func (f *file) exported(name string) *function {
	for _, s := range f.tree.Stmts {
		if d, ok := s.(*syntax.DefStmt); ok && d.Name.Name == name {
			return f.funcs[spotOf(d.Def)]
		}
	}
	return nil
}

// returnsVerdict returns the name of the verdict or try_ step that a return of
// the function gives directly; "" if there is none.
func (fn *function) returnsVerdict() string {
	name := ""
	for _, s := range fn.body {
		syntax.Walk(s, func(n syntax.Node) bool {
			switch n := n.(type) {
			case *syntax.DefStmt, *syntax.LambdaExpr:
				return false
			case *syntax.ReturnStmt:
				if call, ok := n.Result.(*syntax.CallExpr); ok {
					if inner, what := fn.file.verdictCall(call); what != isNeither {
						name = inner
					}
				}
			}
			return true
		})
	}
	return name
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
	if users == nil || users.source == nil || users.unknown || users.stdin || len(in.opts.Kept) > 0 {
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
