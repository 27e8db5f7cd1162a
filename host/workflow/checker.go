package workflow

import (
	"fmt"
	"slices"
	"strings"

	"go.starlark.net/resolve"
	"go.starlark.net/syntax"

	"github.com/rekey-host/rekey/host/engine"
	"github.com/rekey-host/rekey/host/source"
)

// role is what a name in a hook stands for.
type role string

// The roles. They are the names of the hooks' parameters.
const (
	roleUser role = "user"
	roleStep role = "step"
	roleRow  role = "r"

	roleSecret role = "secret" // no parameter, but what user.temporary and step.generate() give
	roleNone   role = "none"   // what step.set() gives
)

// visit is one way to come to a function.
type visit struct {
	fn    *function
	phase phase
	roles string
}

// checker follows users, steps and results through hooks and the functions
// that they are given to, and checks what is asked of them. It is silent about
// what it does not see: a name that is bound twice, a value in a list.
type checker struct {
	in      *interp
	columns *schema // nil: not known
	seen    map[visit]bool
}

// hook checks a hook with the roles that it gets.
func (c *checker) hook(h *hook, p phase) {
	fn, roles := c.hooked(h)
	if fn == nil {
		return
	}
	c.function(fn, p, roles)
	if p == inWave && !c.in.looseWaves {
		(&body{checker: c, fn: fn}).waves(c.in.workflow.Waves)
	}
}

// hooked returns a hook's function and the roles of its parameters; nil: it is
// not seen.
func (c *checker) hooked(h *hook) (*function, map[*syntax.Ident]role) {
	if h == nil {
		return nil, nil
	}
	pos := h.fn.Position()
	f := c.in.files[pos.Filename()]
	if f == nil || f.funcs[spotOf(pos)] == nil {
		return nil, nil
	}
	fn := f.funcs[spotOf(pos)]
	roles := map[*syntax.Ident]role{}
	for i, id := range fn.paramIdents() {
		if i < len(h.roles) && id != nil {
			roles[id] = role(h.roles[i])
		}
	}
	return fn, roles
}

// function checks a body once for each set of roles that its parameters get.
func (c *checker) function(fn *function, p phase, roles map[*syntax.Ident]role) {
	key := visit{fn: fn, phase: p}
	for _, id := range fn.paramIdents() {
		if id != nil {
			key.roles += string(roles[id]) + ","
		}
	}
	if c.seen[key] {
		return
	}
	c.seen[key] = true
	b := c.bodyOf(fn, p, roles)
	for _, s := range fn.body {
		syntax.Walk(s, b.node)
	}
	if fn.result != nil {
		syntax.Walk(fn.result, b.node)
	}
}

// body is one function being checked.
type body struct {
	*checker
	fn    *function
	phase phase
	roles map[*syntax.Ident]role // by the first binding of a name
}

// bodyOf finds what the names of a function stand for.
func (c *checker) bodyOf(fn *function, p phase, roles map[*syntax.Ident]role) *body {
	b := &body{checker: c, fn: fn, phase: p, roles: roles}
	b.forget()
	b.alias()
	return b
}

// assigned calls yield for every name that the function binds, and what to, if
// that is an expression of its own.
func (b *body) assigned(yield func(id *syntax.Ident, to syntax.Expr)) {
	walk := func(n syntax.Node) bool {
		switch n := n.(type) {
		case *syntax.AssignStmt:
			if id, ok := n.LHS.(*syntax.Ident); ok && n.Op == syntax.EQ {
				yield(id, n.RHS)
				return true
			}
			for _, id := range targets(n.LHS) {
				yield(id, nil)
			}
		case *syntax.ForStmt:
			for _, id := range targets(n.Vars) {
				yield(id, nil)
			}
		}
		return true
	}
	for _, s := range b.fn.body {
		syntax.Walk(s, walk)
	}
}

// forget takes the role from a parameter that is assigned to.
func (b *body) forget() {
	b.assigned(func(id *syntax.Ident, _ syntax.Expr) {
		if x := first(id); x != nil {
			delete(b.roles, x)
		}
	})
}

// alias gives the role to a name that is bound once, to what has it.
func (b *body) alias() {
	times := map[*syntax.Ident]int{}
	b.assigned(func(id *syntax.Ident, _ syntax.Expr) { times[first(id)]++ })
	b.assigned(func(id *syntax.Ident, to syntax.Expr) {
		if x := first(id); x != nil && to != nil && times[x] == 1 {
			if r := b.role(to); r != "" {
				b.roles[x] = r
			}
		}
	})
}

func first(id *syntax.Ident) *syntax.Ident {
	if x, ok := id.Binding.(*resolve.Binding); ok {
		return x.First
	}
	return nil
}

// role returns what an expression stands for.
func (b *body) role(x syntax.Expr) role {
	switch x := unhidden(x).(type) {
	case *syntax.ParenExpr:
		return b.role(x.X)
	case *syntax.Ident:
		if f := first(x); f != nil {
			return b.roles[f]
		}
	case *syntax.DotExpr:
		of := b.role(x.X)
		switch {
		case x.Name.Name == "user" && of == roleRow:
			return roleUser
		case x.Name.Name == "password" && of == roleRow, of == roleUser && b.isSecret(x.Name.Name):
			return roleSecret
		}
	case *syntax.IndexExpr:
		if text, ok := x.Y.(*syntax.Literal); ok && text.Token == syntax.STRING && b.role(x.X) == roleUser && b.isSecret(text.Value.(string)) {
			return roleSecret
		}
	case *syntax.CallExpr:
		switch e := b.builtin(x.Fn); {
		case e == nil:
		case e.gives == kindSecret:
			return roleSecret
		case e.gives == kindNone && e.at == inRotate:
			return roleNone
		}
	}
	return ""
}

func (b *body) isSecret(column string) bool {
	if b.columns == nil {
		return false
	}
	i, ok := b.columns.index[column]
	return ok && b.columns.columns[i].Secret
}

func (b *body) node(n syntax.Node) bool {
	switch n := n.(type) {
	case *syntax.DotExpr:
		b.attribute(n)
	case *syntax.IndexExpr:
		if text, ok := n.Y.(*syntax.Literal); ok && text.Token == syntax.STRING && b.role(n.X) == roleUser {
			b.column(text.TokenPos, text.Value.(string))
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

// truth finds a question about what a step gives that gives nothing.
func (b *body) truth(x syntax.Expr) {
	if b.role(x) == roleNone {
		b.given(syntax.Start(x), "ok")
	}
}

// given notes that somebody looks at what a step without try_ gives.
func (b *body) given(at syntax.Position, name string) {
	b.note(b.fn.file.problem(at, "use its twin with try_ to look at ."+name, "the step gives None: if it is not applied, that fails the user"))
}

func (b *body) note(x source.Problem) { b.in.note(x) }

// attribute checks x.name.
func (b *body) attribute(n *syntax.DotExpr) {
	name, at := n.Name.Name, n.Name.NamePos
	switch r := b.role(n.X); r {
	case roleUser:
		b.column(at, name)
	case roleStep, roleRow:
		if e := b.in.lang.byName[string(r)+"."+name]; e == nil {
			b.note(b.fn.file.problem(at, didYouMean(name, b.in.lang.members(string(r))), "%s has no %q", r, name))
		}
	case roleNone:
		b.given(at, name)
	case "":
		b.later(n)
	}
}

// later finds members of namespaces that come later, or never.
func (b *body) later(n *syntax.DotExpr) {
	if !isBuiltin(n.X, "") {
		return
	}
	of := n.X.(*syntax.Ident).Name
	e := b.in.lang.byName[of+"."+n.Name.Name]
	var m *misuse
	at := syntax.Start(n)
	switch {
	case e == nil:
		m, at = b.in.lang.noMember(of, n.Name.Name).(*misuse), n.Name.NamePos
	case e.later != "":
		m = e.comesLater().(*misuse)
	default:
		return
	}
	b.note(b.fn.file.problem(at, m.fix, "%s", m.message))
}

// column checks the name of a column.
func (b *body) column(at syntax.Position, name string) {
	if b.columns == nil {
		return
	}
	if _, ok := b.columns.index[name]; !ok {
		m := b.columns.noColumn(name)
		b.note(b.fn.file.problem(at, m.fix, "%s", m.message))
	}
}

// comparison finds secrets that are compared: the interpreter answers ==
// between a secret and a string with False, without asking the secret. That
// something is None may be asked: a reset's value and r.password can be.
func (b *body) comparison(n *syntax.BinaryExpr) {
	switch n.Op {
	case syntax.EQL, syntax.NEQ, syntax.IN, syntax.NOT_IN:
	case syntax.LT, syntax.LE, syntax.GT, syntax.GE:
		b.days(n)
		return
	default:
		return
	}
	b.days(n)
	for _, x := range []syntax.Expr{n.X, n.Y} {
		if b.role(x) == roleSecret && !isNone(n.X) && !isNone(n.Y) {
			b.note(b.fn.file.problem(syntax.Start(x), "ask only whether it is empty: if "+b.called(x)+": …", "a secret cannot be compared"))
		}
	}
}

// days finds a day that is compared with a text: they are never equal, and the
// interpreter says nothing.
func (b *body) days(n *syntax.BinaryExpr) {
	for _, x := range [][2]syntax.Expr{{n.X, n.Y}, {n.Y, n.X}} {
		day, text := b.columnOf(x[0]), unhidden(x[1])
		literal, is := text.(*syntax.Literal)
		if day != "" && b.columns.columns[b.columns.index[day]].Type == source.Date && is && literal.Token == syntax.STRING {
			b.note(b.fn.file.problem(syntax.Start(n), fmt.Sprintf("write str(%s), which is 2006-01-02, or use its .year, .month and .day", spelt(x[0])),
				"column %q is a date, and is compared with a text", day))
		}
	}
}

func isNone(x syntax.Expr) bool {
	id, ok := x.(*syntax.Ident)
	return ok && id.Name == "None"
}

// called is how a script may call a secret.
func (b *body) called(x syntax.Expr) string {
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

// waves checks the names that a wave hook returns, as far as they stand there.
func (b *body) waves(rules []engine.WaveRule) {
	for _, s := range b.fn.body {
		syntax.Walk(s, func(n syntax.Node) bool {
			switch n := n.(type) {
			case *syntax.DefStmt, *syntax.LambdaExpr:
				return false
			case *syntax.ReturnStmt:
				b.waveName(n.Result, rules)
			}
			return true
		})
	}
	b.waveName(b.fn.result, rules)
}

// waveName checks an expression that is the name of a wave.
func (b *body) waveName(x syntax.Expr, rules []engine.WaveRule) {
	switch x := x.(type) {
	case *syntax.ParenExpr:
		b.waveName(x.X, rules)
	case *syntax.CondExpr:
		b.waveName(x.True, rules)
		b.waveName(x.False, rules)
	case *syntax.Literal:
		if name, ok := x.Value.(string); ok && x.Token == syntax.STRING && !slices.Contains(waveNames(rules), name) {
			m := noWave(name, rules)
			b.note(b.fn.file.problem(x.TokenPos, m.fix, "%s", m.message))
		}
	}
}

// call checks the call of a builtin or step, and follows that of a function.
func (b *body) call(n *syntax.CallExpr) {
	if e := b.builtin(n.Fn); e != nil {
		b.arguments(n, e)
		return
	}
	fn := b.fn.file.callee(n)
	if fn == nil {
		return
	}
	b.function(fn, b.phase, b.rolesOf(n, fn))
}

// rolesOf returns the roles of the parameters of a function that is called.
func (b *body) rolesOf(n *syntax.CallExpr, fn *function) map[*syntax.Ident]role {
	roles := map[*syntax.Ident]role{}
	params := fn.paramIdents()
	for i, a := range n.Args {
		kw, isKeyword := keywordOf(a)
		if isKeyword {
			a = a.(*syntax.BinaryExpr).Y
		}
		for j, id := range params {
			if id != nil && (isKeyword && id.Name == kw || !isKeyword && j == i) && b.role(a) != "" {
				roles[id] = b.role(a)
			}
		}
	}
	if fn.file == b.fn.file && fn.nested() {
		for id, r := range b.roles { // what it captures
			roles[id] = r
		}
	}
	return roles
}

// nested reports whether the function stands inside of another.
func (fn *function) nested() bool { return len(fn.resolved.FreeVars) > 0 }

// builtin returns the entry that is called; nil if it is none.
func (b *body) builtin(x syntax.Expr) *entry {
	if isBuiltin(x, "") {
		return b.in.lang.byName[x.(*syntax.Ident).Name]
	}
	dot, ok := x.(*syntax.DotExpr)
	if !ok {
		return nil
	}
	switch {
	case isBuiltin(dot.X, ""):
		return b.in.lang.byName[dot.X.(*syntax.Ident).Name+"."+dot.Name.Name]
	case b.role(dot.X) == roleStep:
		return b.in.lang.byName["step."+dot.Name.Name]
	}
	return nil
}

// arguments checks a builtin's place, and the arguments that can be seen.
func (b *body) arguments(n *syntax.CallExpr, e *entry) {
	f, at := b.fn.file, syntax.Start(n)
	switch {
	case e.later != "" && !strings.Contains(e.name, "."): // a dotted one is found as an attribute
		m := e.comesLater().(*misuse)
		b.note(f.problem(at, m.fix, "%s", m.message))
		return
	case e.later != "" || e.call == nil:
		return
	case e.at&b.phase == 0:
		m := e.misplaced(&state{phase: b.phase, hook: b.fn.name}).(*misuse)
		b.note(f.problem(at, m.fix, "%s", m.message))
		return
	}
	given := map[string]bool{}
	for i, a := range n.Args {
		kw, isKeyword := keywordOf(a)
		_, isStar := a.(*syntax.UnaryExpr)
		switch {
		case isStar && a.(*syntax.UnaryExpr).Op != syntax.MINUS && a.(*syntax.UnaryExpr).Op != syntax.NOT && a.(*syntax.UnaryExpr).Op != syntax.PLUS:
			return // what *args holds is not seen
		case isKeyword && e.index(kw) < 0 && e.more == "":
			b.note(f.problem(syntax.Start(a), didYouMean(kw, e.paramNames()), "%s: there is no argument %q", e.name, kw))
		case isKeyword:
			given[kw] = true
		case i >= len(e.params) && e.many == "":
			b.note(f.problem(syntax.Start(a), "", "%s: %d arguments, want at most %d", e.name, len(n.Args), len(e.params)))
			return
		case i < len(e.params):
			given[e.params[i].name] = true
		}
	}
	b.required(n, e, given)
	b.literals(n, e)
	if e.at == inRotate {
		b.passwords(n, e)
	}
	if e.at == inRotate && e.index("backend") == 0 {
		b.able(n, e)
	}
	if e.name == "step.generate" || e.name == "step.try_generate" {
		b.generates(n, e)
	}
}

func (b *body) required(n *syntax.CallExpr, e *entry, given map[string]bool) {
	for _, p := range e.params {
		if p.required() && !given[p.name] {
			b.note(b.fn.file.problem(syntax.Start(n), p.help(), "%s: %s is missing", e.name, p.name))
		}
	}
}
