package vet

import (
	"slices"
	"strings"

	"go.starlark.net/syntax"

	"github.com/rekey-host/rekey/host/diag"
	"github.com/rekey-host/rekey/host/workflow/lang"
	"github.com/rekey-host/rekey/host/workflow/tree"
)

// role is what a name in a hook stands for.
type role string

// The roles. The first three are the names of the hooks' parameters.
const (
	roleUser role = "user"
	roleStep role = "step"
	roleRow  role = "r"

	roleSecret role = "secret" // what user.temporary and step.generate() give
	roleNone   role = "none"   // what step.set() gives
)

// roles are what names stand for, by the first binding of a name.
type roles map[*syntax.Ident]role

// of returns the roles of a function's parameters, to tell calls apart.
func (r roles) of(fn *tree.Function) string {
	text := ""
	for _, id := range fn.Params() {
		if id != nil {
			text += string(r[id]) + ","
		}
	}
	return text
}

// visit is one way to come to a function.
type visit struct {
	within *tree.Function // that it takes names from; nil where it does not matter
	fn     *tree.Function
	phase  lang.Phase
	roles  string
}

// checker goes through the functions of one script.
type checker struct {
	Script
	columns *columns
	seen    map[visit]bool
	found   Findings
	builtin func(*body, *lang.Entry, tree.Site) // checks a call of the language's
}

// hook checks a hook with the roles that it gets.
func (c *checker) hook(hook Hook) {
	fn, given := c.hooked(hook)
	if fn == nil {
		return
	}
	c.function(fn, hook.Phase, given)
	if hook.Phase == lang.InWave && c.Waves != nil {
		fn.Returned(func(expr syntax.Expr) { c.wave(fn.File, expr) })
	}
}

// hooked returns a hook's function and the roles of its parameters; nil: it is
// not seen.
func (c *checker) hooked(hook Hook) (*tree.Function, roles) {
	file := c.Files[hook.At.Filename()]
	if file == nil || file.FunctionAt(hook.At) == nil {
		return nil, nil
	}
	fn := file.FunctionAt(hook.At)
	given := roles{}
	for i, id := range fn.Params() {
		if i < len(hook.Roles) && id != nil {
			given[id] = role(hook.Roles[i])
		}
	}
	return fn, given
}

// function checks a body once for each set of roles that its parameters get.
func (c *checker) function(fn *tree.Function, phase lang.Phase, given roles) {
	key := visit{fn: fn, phase: phase, roles: given.of(fn)}
	if c.seen[key] {
		return
	}
	c.seen[key] = true
	fn.Walk(newBody(c, fn, phase, given).node)
}

// wave checks the name of a wave.
func (c *checker) wave(file *tree.File, expr syntax.Expr) {
	switch x := expr.(type) {
	case *syntax.ParenExpr:
		c.wave(file, x.X)
	case *syntax.CondExpr:
		c.wave(file, x.True)
		c.wave(file, x.False)
	case *syntax.Literal:
		if name, ok := tree.Text(x); ok && !slices.Contains(c.Waves, name) {
			c.misuse(file, x.TokenPos, lang.NoWave(name, c.Waves))
		}
	}
}

// note notes a problem once: a function in another is come by with it, and by
// its calls.
func (c *checker) note(problem diag.Problem) {
	if !slices.Contains(c.found.Problems, problem) {
		c.found.Problems = append(c.found.Problems, problem)
	}
}

func (c *checker) misuse(file *tree.File, at syntax.Position, misuse *lang.Misuse) {
	c.note(file.Problem(at, misuse.Fix, "%s", misuse.Message))
}

// warn notes a warning once.
func (c *checker) warn(problem diag.Problem) {
	if !slices.Contains(c.found.Warnings, problem) {
		c.found.Warnings = append(c.found.Warnings, problem)
	}
}

// body is one function being checked.
type body struct {
	*checker
	fn    *tree.Function
	phase lang.Phase
	roles roles
}

// newBody finds what the names of a function stand for.
func newBody(check *checker, fn *tree.Function, phase lang.Phase, given roles) *body {
	made := &body{checker: check, fn: fn, phase: phase, roles: given}
	made.forget()
	made.alias()
	return made
}

// assigned calls yield for every name that the function binds, and what to, if
// as an expression of its own.
func (b *body) assigned(yield func(id *syntax.Ident, to syntax.Expr)) {
	each := func(expr syntax.Expr) {
		for _, id := range tree.Targets(expr) {
			yield(id, nil)
		}
	}
	walk := func(node syntax.Node) bool {
		switch n := node.(type) {
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
	for _, stmt := range b.fn.Body {
		syntax.Walk(stmt, walk)
	}
}

// forget takes the role from a parameter assigned to.
func (b *body) forget() {
	b.assigned(func(id *syntax.Ident, _ syntax.Expr) {
		if ident := tree.First(id); ident != nil {
			delete(b.roles, ident)
		}
	})
}

// alias gives the role to a name bound once, to a value with it.
func (b *body) alias() {
	times := map[*syntax.Ident]int{}
	b.assigned(func(id *syntax.Ident, _ syntax.Expr) { times[tree.First(id)]++ })
	b.assigned(func(id *syntax.Ident, to syntax.Expr) {
		if ident := tree.First(id); ident != nil && to != nil && times[ident] == 1 {
			if role := b.role(to); role != "" {
				b.roles[ident] = role
			}
		}
	})
}

// role returns what an expression stands for.
func (b *body) role(expr syntax.Expr) role {
	switch x := tree.Unhidden(expr).(type) {
	case *syntax.ParenExpr:
		return b.role(x.X)
	case *syntax.Ident:
		if ident := tree.First(x); ident != nil {
			return b.roles[ident]
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
		return roleOfCall(b.called(x.Fn))
	}
	return ""
}

// cell is the role of a column of a user.
func (b *body) cell(expr syntax.Expr) role {
	if b.columns.isSecret(b.columnOf(expr)) {
		return roleSecret
	}
	return ""
}

// roleOfCall is the role of what a builtin gives; nil is another function.
func roleOfCall(entry *lang.Entry) role {
	switch {
	case entry == nil:
	case entry.Gives == lang.KindSecret:
		return roleSecret
	case entry.Gives == lang.KindNone && entry.At == lang.InRotate:
		return roleNone
	}
	return ""
}

// columnOf returns the column that an expression is of a user; "" if it is none
// of the known ones.
func (b *body) columnOf(expr syntax.Expr) string {
	name := ""
	switch x := tree.Unhidden(expr).(type) {
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
func (b *body) node(node syntax.Node) bool {
	switch n := node.(type) {
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
func (b *body) truth(expr syntax.Expr) {
	if b.role(expr) == roleNone {
		b.givesNone(syntax.Start(expr), "ok")
	}
}

// givesNone notes a look at what a step without try_ gives.
func (b *body) givesNone(at syntax.Position, name string) {
	b.problem(at, "use its twin with try_ to look at ."+name, "the step gives None: if it is not applied, that fails the user")
}

// attribute checks x.name.
func (b *body) attribute(node *syntax.DotExpr) {
	name, at := node.Name.Name, node.Name.NamePos
	switch of := b.role(node.X); of {
	case roleUser:
		b.column(at, name)
	case roleStep, roleRow:
		if b.Table.Member(string(of), name) == nil {
			b.misuse(b.fn.File, at, b.Table.NoMember(string(of), name))
		}
	case roleNone:
		b.givesNone(at, name)
	case "":
		b.later(node)
	}
}

// later finds members of namespaces that come later, or never.
func (b *body) later(node *syntax.DotExpr) {
	of := tree.Predeclared(node.X)
	if of == "" {
		return
	}
	switch entry := b.Table.Member(of, node.Name.Name); {
	case entry == nil:
		b.misuse(b.fn.File, node.Name.NamePos, b.Table.NoMember(of, node.Name.Name))
	case entry.Later != "":
		b.misuse(b.fn.File, syntax.Start(node), entry.ComesLater())
	}
}

// column checks the name of a column.
func (b *body) column(at syntax.Position, name string) {
	if b.columns != nil && !b.columns.has(name) {
		b.misuse(b.fn.File, at, lang.NoColumn(name, b.columns.names))
	}
}

// comparison finds values not to be compared.
func (b *body) comparison(node *syntax.BinaryExpr) {
	switch node.Op {
	case syntax.EQL, syntax.NEQ, syntax.IN, syntax.NOT_IN:
		b.secrets(node)
	case syntax.LT, syntax.LE, syntax.GT, syntax.GE:
	default:
		return
	}
	b.days(node)
}

// secrets finds compared secrets: the interpreter answers == between a
// secret and a string with False, without asking the secret. That something is
// None may be asked: a reset's value and r.password can be.
func (b *body) secrets(node *syntax.BinaryExpr) {
	for _, expr := range []syntax.Expr{node.X, node.Y} {
		if b.role(expr) == roleSecret && !tree.IsNone(node.X) && !tree.IsNone(node.Y) {
			b.problem(syntax.Start(expr), "ask only whether it is empty: if "+nameOf(expr)+": …", "a secret cannot be compared")
		}
	}
}

// days finds a day compared with a text: they are never equal, and the
// interpreter says nothing.
func (b *body) days(node *syntax.BinaryExpr) {
	for _, x := range [][2]syntax.Expr{{node.X, node.Y}, {node.Y, node.X}} {
		column := b.columnOf(x[0])
		if _, isText := tree.Text(tree.Unhidden(x[1])); isText && b.columns.isDate(column) {
			fix := "write str(" + tree.Spelt(x[0]) + "), which is 2006-01-02, or use its .year, .month and .day"
			b.problem(syntax.Start(node), fix, "column %q is a date, and is compared with a text", column)
		}
	}
}

// nameOf is how a script may call a secret.
func nameOf(expr syntax.Expr) string {
	switch x := expr.(type) {
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
func (b *body) call(node *syntax.CallExpr) {
	if entry := b.called(node.Fn); entry != nil {
		b.builtin(b, entry, tree.Site{File: b.fn.File, Node: node})
		return
	}
	if fn := b.fn.File.Callee(node); fn != nil {
		b.function(fn, b.phase, b.rolesOf(node, fn))
	}
}

// rolesOf returns the roles of the parameters of a called function.
func (b *body) rolesOf(node *syntax.CallExpr, fn *tree.Function) roles {
	given := roles{}
	params := fn.Params()
	for i, arg := range node.Args {
		kw, isKeyword := tree.Keyword(arg)
		role := b.role(tree.Unkeyed(arg))
		for index, id := range params {
			if id != nil && role != "" && (isKeyword && id.Name == kw || !isKeyword && index == i) {
				given[id] = role
			}
		}
	}
	if fn.File == b.fn.File && fn.Captures() {
		for id, role := range b.roles {
			given[id] = role
		}
	}
	return given
}

// called returns the called entry; nil if something else is called.
func (b *body) called(expr syntax.Expr) *lang.Entry {
	if name := tree.Predeclared(expr); name != "" {
		return b.Table.Lookup(name)
	}
	dot, ok := expr.(*syntax.DotExpr)
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

// verb is what a step does, its try_ twin too.
func verb(entry *lang.Entry) string {
	return strings.TrimPrefix(strings.TrimPrefix(entry.Name, "step."), "try_")
}
