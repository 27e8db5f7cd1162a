package vet

import (
	"go.starlark.net/syntax"

	"github.com/rekey-host/rekey/host/workflow/lang"
	"github.com/rekey-host/rekey/host/workflow/tree"
)

// body is one function being checked.
type body struct {
	*checker
	fn    *tree.Function
	phase lang.Phase
	roles roles
}

// newBody finds what the names of a function stand for.
func newBody(c *checker, fn *tree.Function, phase lang.Phase, given roles) *body {
	b := &body{checker: c, fn: fn, phase: phase, roles: given}
	b.forget()
	b.alias()
	return b
}

// assigned calls yield for every name that the function binds, and what to, if
// that is an expression of its own.
func (b *body) assigned(yield func(id *syntax.Ident, to syntax.Expr)) {
	each := func(x syntax.Expr) {
		for _, id := range tree.Targets(x) {
			yield(id, nil)
		}
	}
	walk := func(n syntax.Node) bool {
		switch n := n.(type) {
		case *syntax.AssignStmt:
			if id, ok := n.LHS.(*syntax.Ident); ok && n.Op == syntax.EQ {
				yield(id, n.RHS)
				return true
			}
			each(n.LHS)
		case *syntax.ForStmt:
			each(n.Vars)
		}
		return true
	}
	for _, s := range b.fn.Body {
		syntax.Walk(s, walk)
	}
}

// forget takes the role from a parameter that is assigned to.
func (b *body) forget() {
	b.assigned(func(id *syntax.Ident, _ syntax.Expr) {
		if x := tree.First(id); x != nil {
			delete(b.roles, x)
		}
	})
}

// alias gives the role to a name that is bound once, to what has it.
func (b *body) alias() {
	times := map[*syntax.Ident]int{}
	b.assigned(func(id *syntax.Ident, _ syntax.Expr) { times[tree.First(id)]++ })
	b.assigned(func(id *syntax.Ident, to syntax.Expr) {
		if x := tree.First(id); x != nil && to != nil && times[x] == 1 {
			if r := b.role(to); r != "" {
				b.roles[x] = r
			}
		}
	})
}

// role returns what an expression stands for.
func (b *body) role(x syntax.Expr) role {
	switch x := tree.Unhidden(x).(type) {
	case *syntax.ParenExpr:
		return b.role(x.X)
	case *syntax.Ident:
		if f := tree.First(x); f != nil {
			return b.roles[f]
		}
	case *syntax.DotExpr:
		of := b.role(x.X)
		switch {
		case x.Name.Name == "user" && of == roleRow:
			return roleUser
		case x.Name.Name == "password" && of == roleRow:
			return roleSecret
		}
		return b.cell(x)
	case *syntax.IndexExpr:
		return b.cell(x)
	case *syntax.CallExpr:
		return roleOfCall(b.builtin(x.Fn))
	}
	return ""
}

// cell is the role of a column of a user.
func (b *body) cell(x syntax.Expr) role {
	if b.columns.isSecret(b.columnOf(x)) {
		return roleSecret
	}
	return ""
}

// roleOfCall is the role of what a builtin gives; nil is another function.
func roleOfCall(e *lang.Entry) role {
	switch {
	case e == nil:
	case e.Gives == lang.KindSecret:
		return roleSecret
	case e.Gives == lang.KindNone && e.At == lang.InRotate:
		return roleNone
	}
	return ""
}

// columnOf returns the column that an expression is of a user; "" if it is none
// that is known.
func (b *body) columnOf(x syntax.Expr) string {
	name := ""
	switch x := tree.Unhidden(x).(type) {
	case *syntax.DotExpr:
		if b.role(x.X) == roleUser {
			name = x.Name.Name
		}
	case *syntax.IndexExpr:
		if text, ok := tree.Text(x.Y); ok && b.role(x.X) == roleUser {
			name = text
		}
	}
	if !b.columns.has(name) {
		return ""
	}
	return name
}

// node checks one node of the function.
func (b *body) node(n syntax.Node) bool {
	switch n := n.(type) {
	case *syntax.DotExpr:
		b.attribute(n)
	case *syntax.IndexExpr:
		if text, ok := tree.Text(n.Y); ok && b.role(n.X) == roleUser {
			b.column(n.Y.(*syntax.Literal).TokenPos, text)
		}
	case *syntax.BinaryExpr:
		b.comparison(n)
	case *syntax.IfStmt:
		b.truth(n.Cond)
	case *syntax.UnaryExpr:
		if n.Op == syntax.NOT {
			b.truth(n.X)
		}
	case *syntax.CallExpr:
		b.call(n)
	}
	return true
}

// problem notes a mistake in the function.
func (b *body) problem(at syntax.Position, fix, format string, args ...any) {
	b.note(b.fn.File.Problem(at, fix, format, args...))
}

// truth finds a question about what a step gives that gives nothing.
func (b *body) truth(x syntax.Expr) {
	if b.role(x) == roleNone {
		b.givesNone(syntax.Start(x), "ok")
	}
}

// givesNone notes a look at what a step without try_ gives.
func (b *body) givesNone(at syntax.Position, name string) {
	b.problem(at, "use its twin with try_ to look at ."+name, "the step gives None: if it is not applied, that fails the user")
}

// attribute checks x.name.
func (b *body) attribute(n *syntax.DotExpr) {
	name, at := n.Name.Name, n.Name.NamePos
	switch of := b.role(n.X); of {
	case roleUser:
		b.column(at, name)
	case roleStep, roleRow:
		if b.Table.Member(string(of), name) == nil {
			b.misuse(b.fn.File, at, b.Table.NoMember(string(of), name))
		}
	case roleNone:
		b.givesNone(at, name)
	case "":
		b.later(n)
	}
}

// later finds members of namespaces that come later, or never.
func (b *body) later(n *syntax.DotExpr) {
	of := tree.Predeclared(n.X)
	if of == "" {
		return
	}
	switch e := b.Table.Member(of, n.Name.Name); {
	case e == nil:
		b.misuse(b.fn.File, n.Name.NamePos, b.Table.NoMember(of, n.Name.Name))
	case e.Later != "":
		b.misuse(b.fn.File, syntax.Start(n), e.ComesLater())
	}
}

// column checks the name of a column.
func (b *body) column(at syntax.Position, name string) {
	if b.columns != nil && !b.columns.has(name) {
		b.misuse(b.fn.File, at, lang.NoColumn(name, b.columns.names))
	}
}

// comparison finds what is not to be compared.
func (b *body) comparison(n *syntax.BinaryExpr) {
	switch n.Op {
	case syntax.EQL, syntax.NEQ, syntax.IN, syntax.NOT_IN:
		b.secrets(n)
	case syntax.LT, syntax.LE, syntax.GT, syntax.GE:
	default:
		return
	}
	b.days(n)
}

// secrets finds secrets that are compared: the interpreter answers == between a
// secret and a string with False, without asking the secret. That something is
// None may be asked: a reset's value and r.password can be.
func (b *body) secrets(n *syntax.BinaryExpr) {
	for _, x := range []syntax.Expr{n.X, n.Y} {
		if b.role(x) == roleSecret && !tree.IsNone(n.X) && !tree.IsNone(n.Y) {
			b.problem(syntax.Start(x), "ask only whether it is empty: if "+called(x)+": …", "a secret cannot be compared")
		}
	}
}

// days finds a day that is compared with a text: they are never equal, and the
// interpreter says nothing.
func (b *body) days(n *syntax.BinaryExpr) {
	for _, x := range [][2]syntax.Expr{{n.X, n.Y}, {n.Y, n.X}} {
		column := b.columnOf(x[0])
		if _, isText := tree.Text(tree.Unhidden(x[1])); isText && b.columns.isDate(column) {
			fix := "write str(" + tree.Spelt(x[0]) + "), which is 2006-01-02, or use its .year, .month and .day"
			b.problem(syntax.Start(n), fix, "column %q is a date, and is compared with a text", column)
		}
	}
}

// called is how a script may call a secret.
func called(x syntax.Expr) string {
	switch x := x.(type) {
	case *syntax.Ident:
		return x.Name
	case *syntax.DotExpr:
		if id, ok := x.X.(*syntax.Ident); ok {
			return id.Name + "." + x.Name.Name
		}
	}
	return "password"
}

// call checks the call of a builtin or step, and follows that of a function.
func (b *body) call(n *syntax.CallExpr) {
	if e := b.builtin(n.Fn); e != nil {
		checkCall(&builtinCall{body: b, entry: e, site: tree.Site{File: b.fn.File, Node: n}})
		return
	}
	if fn := b.fn.File.Callee(n); fn != nil {
		b.function(fn, b.phase, b.rolesOf(n, fn))
	}
}

// rolesOf returns the roles of the parameters of a function that is called.
func (b *body) rolesOf(n *syntax.CallExpr, fn *tree.Function) roles {
	given := roles{}
	params := fn.Params()
	for i, a := range n.Args {
		kw, isKeyword := tree.Keyword(a)
		r := b.role(tree.Unkeyed(a))
		for j, id := range params {
			if id != nil && r != "" && (isKeyword && id.Name == kw || !isKeyword && j == i) {
				given[id] = r
			}
		}
	}
	if fn.File == b.fn.File && fn.Captures() {
		for id, r := range b.roles {
			given[id] = r
		}
	}
	return given
}

// builtin returns the entry that is called; nil if it is none.
func (b *body) builtin(x syntax.Expr) *lang.Entry {
	if name := tree.Predeclared(x); name != "" {
		return b.Table.Lookup(name)
	}
	dot, ok := x.(*syntax.DotExpr)
	if !ok {
		return nil
	}
	of := tree.Predeclared(dot.X)
	if b.role(dot.X) == roleStep {
		of = string(roleStep)
	}
	if of == "" {
		return nil
	}
	return b.Table.Member(of, dot.Name.Name)
}
