package tree

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"go.starlark.net/resolve"
	"go.starlark.net/starlark"
	"go.starlark.net/syntax"

	"github.com/rekey-host/rekey/host/diag"
)

// spot is a position in one file.
type spot struct{ line, column int32 }

func spotOf(at syntax.Position) spot { return spot{at.Line, at.Col} }

// File is one parsed script or module.
type File struct {
	Name  string // in the ledger: the script's path, or what load() calls it
	Shown string // in messages and positions
	Text  []byte

	Tree    *syntax.File      // nil until it is parsed
	Program *starlark.Program // nil until it is resolved
	Loads   map[string]*File  // by what load() calls them in this file

	lines []string
	types types
	calls map[spot]*syntax.CallExpr // by their opening parenthesis
	nodes map[spot]syntax.Node      // operations, by the position that an error in them has
	funcs map[spot]*Function        // by their def or lambda
	defs  map[*syntax.Ident]spot    // of them, those that a name is bound to
}

// New returns a file before it is parsed.
func New(name, shown string, text []byte) *File {
	return &File{Name: name, Shown: shown, Text: text, lines: Lines(string(text)), Loads: map[string]*File{},
		calls: map[spot]*syntax.CallExpr{}, nodes: map[spot]syntax.Node{}, funcs: map[spot]*Function{}, defs: map[*syntax.Ident]spot{}}
}

// Lines splits a text where the scanner counts a line.
func Lines(text string) []string {
	return strings.Split(strings.NewReplacer("\r\n", "\n", "\r", "\n").Replace(text), "\n")
}

// Place turns a position, whose columns count characters, into that of a
// Problem, whose columns count bytes.
func (f *File) Place(at syntax.Position) (name string, line, column int) {
	line, column = int(at.Line), int(at.Col)
	if line < 1 || line > len(f.lines) || column < 1 {
		return f.Shown, max(line, 0), max(column, 0)
	}
	count := 1
	for i := range f.lines[line-1] {
		if count == column {
			return f.Shown, line, i + 1
		}
		count++
	}
	return f.Shown, line, len(f.lines[line-1]) + 1
}

// Problem is one at a place of the file.
func (f *File) Problem(at syntax.Position, fix, format string, args ...any) diag.Problem {
	problem := diag.Problem{Message: fmt.Sprintf(format, args...), Fix: fix}
	problem.File, problem.Line, problem.Column = f.Place(at)
	return problem
}

// Start turns the position that the interpreter gives an error of a call or an
// attribute, that of a parenthesis or dot, into where it is written.
func (f *File) Start(at syntax.Position) syntax.Position {
	start := at
	switch n := f.nodes[spotOf(at)].(type) {
	case *syntax.CallExpr:
		start = syntax.Start(n)
	case *syntax.DotExpr:
		start = n.Name.NamePos
	}
	if start.Line != at.Line {
		return at
	}
	return start
}

// Parse reads the text into a tree. The parser stops at the first flaw.
func (f *File) Parse() []diag.Problem {
	if bad := encoding(f.Shown, f.Text, f.lines); bad != nil {
		return []diag.Problem{*bad}
	}
	if bad := longNumber(f.Shown, f.Text); bad != nil {
		return []diag.Problem{*bad}
	}
	tree, bad, err := f.parsed()
	if bad != nil {
		return bad
	}
	var flaw syntax.Error
	switch {
	case errors.As(err, &flaw):
		at, message, fix := syntaxFlaw(f.lines, flaw)
		return []diag.Problem{f.Problem(at, fix, "%s", message)}
	case err != nil:
		return []diag.Problem{{File: f.Shown, Message: err.Error()}}
	}
	f.Tree = tree
	return nil
}

// parsed is the tree of the text: without the types that it writes, if the
// interpreter does not read it as it is.
func (f *File) parsed() (*syntax.File, []diag.Problem, error) {
	tree, err := dialect().Parse(f.Shown, f.Text, 0)
	if err == nil {
		return tree, nil, nil
	}
	text, bad := f.withoutTypes(f.Text)
	if bad != nil || !f.HasTypes() {
		return tree, bad, err
	}
	tree, err = dialect().Parse(f.Shown, text, 0)
	return tree, nil, err
}

// Resolve binds names and compiles. All undefined names are found at once.
// Scope is what the language predeclares, and backends are the names of those
// that there are, for suggestions.
func (f *File) Resolve(scope starlark.StringDict, backends []string) []diag.Problem {
	program, err := starlark.FileProgram(f.Tree, scope.Has)
	var flaws resolve.ErrorList
	switch {
	case errors.As(err, &flaws):
		var all []diag.Problem
		for _, flaw := range flaws {
			message, fix := resolveFlaw(flaw.Msg, append(scope.Keys(), f.Globals()...), backends)
			all = append(all, f.Problem(flaw.Pos, fix, "%s", message))
		}
		return all
	case err != nil:
		return []diag.Problem{{File: f.Shown, Message: err.Error()}}
	}
	f.Program = program
	f.index()
	return nil
}

// index notes where calls, operations and functions stand, by the positions
// that the interpreter gives.
func (f *File) index() {
	syntax.Walk(f.Tree, func(node syntax.Node) bool {
		switch n := node.(type) {
		case *syntax.CallExpr:
			if !isHidden(n) {
				f.calls[spotOf(n.Lparen)] = n
				f.nodes[spotOf(n.Lparen)] = n
			}
		case *syntax.BinaryExpr:
			f.nodes[spotOf(n.OpPos)] = n
		case *syntax.UnaryExpr:
			f.nodes[spotOf(n.OpPos)] = n
		case *syntax.IndexExpr:
			f.nodes[spotOf(n.Lbrack)] = n
		case *syntax.SliceExpr:
			f.nodes[spotOf(n.Lbrack)] = n
		case *syntax.DotExpr:
			f.nodes[spotOf(n.Dot)] = n
		default:
			f.indexFunction(n)
		}
		return true
	})
}

func (f *File) indexFunction(node syntax.Node) {
	switch n := node.(type) {
	case *syntax.AssignStmt:
		name, isName := n.LHS.(*syntax.Ident)
		if lambdaExpr, ok := n.RHS.(*syntax.LambdaExpr); ok && isName {
			f.defs[name] = spotOf(lambdaExpr.Lambda)
		}
	case *syntax.DefStmt:
		f.defs[n.Name] = spotOf(n.Def)
		f.funcs[spotOf(n.Def)] = withParams(&Function{File: f, Name: n.Name.Name, At: n.Def, Bound: n.Name, Body: n.Body, params: n.Params, resolved: n.Function.(*resolve.Function)})
	case *syntax.LambdaExpr:
		f.funcs[spotOf(n.Lambda)] = withParams(&Function{File: f, Name: "lambda", At: n.Lambda, Result: n.Body, params: n.Params, resolved: n.Function.(*resolve.Function)})
	}
}

// Calls returns every call of the file, in no order.
func (f *File) Calls(yield func(*syntax.CallExpr) bool) {
	for _, call := range f.calls {
		if !yield(call) {
			return
		}
	}
}

// CallAt returns the call whose opening parenthesis stands at the position.
func (f *File) CallAt(at syntax.Position) *syntax.CallExpr { return f.calls[spotOf(at)] }

// NodeAt returns the operation whose errors have the position; nil: there is
// none, or no file.
func (f *File) NodeAt(at syntax.Position) syntax.Node {
	if f == nil {
		return nil
	}
	return f.nodes[spotOf(at)]
}

// FunctionAt returns the def or lambda at the position.
func (f *File) FunctionAt(at syntax.Position) *Function { return f.funcs[spotOf(at)] }

// Functions returns every def and lambda, in no order.
func (f *File) Functions(yield func(*Function) bool) {
	for _, fn := range f.funcs {
		if !yield(fn) {
			return
		}
	}
}

// Globals returns what the file defines at top level, as far as it can be seen
// without resolving.
func (f *File) Globals() []string {
	var names []string
	for _, stmt := range f.Tree.Stmts {
		for _, id := range Bound(stmt) {
			names = append(names, id.Name)
		}
	}
	return names
}

// Docstring is the text at the top of the file.
func (f *File) Docstring() string {
	if len(f.Tree.Stmts) == 0 {
		return ""
	}
	exprStmt, _ := f.Tree.Stmts[0].(*syntax.ExprStmt)
	if exprStmt == nil {
		return ""
	}
	text, _ := Text(exprStmt.X)
	return strings.TrimSpace(text)
}

// Title is the first line of the docstring of a script's text; "" without one, or where
// the text is no script.
func Title(text []byte) string {
	file := New("", "", text)
	if file.Parse() != nil {
		return ""
	}
	title, _, _ := strings.Cut(file.Docstring(), "\n")
	return title
}

// Callee is the function of this file, or of a loaded one, behind a call; nil
// if unknown.
func (f *File) Callee(node *syntax.CallExpr) *Function {
	id, ok := node.Fn.(*syntax.Ident)
	if !ok || First(id) == nil {
		return nil
	}
	if from, name := f.Loaded(First(id)); from != nil && from.Program != nil {
		return from.exported(name)
	}
	return f.named(First(id))
}

// Loaded returns the file that a name is loaded from, and its name there; nil:
// it is not loaded.
func (f *File) Loaded(first *syntax.Ident) (*File, string) {
	for _, stmt := range f.Tree.Stmts {
		loadStmt, ok := stmt.(*syntax.LoadStmt)
		if !ok {
			continue
		}
		if i := slices.Index(loadStmt.To, first); i >= 0 && f.Loads[loadStmt.ModuleName()] != nil {
			return f.Loads[loadStmt.ModuleName()], loadStmt.From[i].Name
		}
	}
	return nil, ""
}

// named returns the function bound to a name; nil if something else is.
func (f *File) named(first *syntax.Ident) *Function {
	at, ok := f.defs[first]
	if !ok {
		return nil
	}
	return f.funcs[at]
}

// exported returns the function that a name of the top level is bound to.
func (f *File) exported(name string) *Function {
	for _, stmt := range f.Tree.Stmts {
		for _, id := range Bound(stmt) {
			if id.Name == name {
				return f.named(id)
			}
		}
	}
	return nil
}

// Function is a def or lambda in the tree.
type Function struct {
	File   *File
	Name   string
	At     syntax.Position // of its def or lambda
	Bound  *syntax.Ident   // the name that a def has; nil of a lambda
	Body   []syntax.Stmt   // of a def
	Result syntax.Expr     // of a lambda

	Defaults map[*syntax.Ident]syntax.Expr // of parameters that have one
	Variadic bool                          // it has * or ** parameters

	params   []syntax.Expr
	resolved *resolve.Function
}

// withParams notes what kinds of parameters a function has.
func withParams(fn *Function) *Function {
	fn.Defaults = map[*syntax.Ident]syntax.Expr{}
	for _, param := range fn.params {
		switch p := param.(type) {
		case *syntax.BinaryExpr:
			fn.Defaults[p.X.(*syntax.Ident)] = p.Y
		case *syntax.UnaryExpr:
			fn.Variadic = true
		}
	}
	return fn
}

// Params returns the parameters by position, then those by keyword; nil for *
// without a name.
func (fn *Function) Params() []*syntax.Ident {
	var all []*syntax.Ident
	for _, p := range fn.params {
		switch p := p.(type) {
		case *syntax.Ident:
			all = append(all, p)
		case *syntax.BinaryExpr:
			all = append(all, p.X.(*syntax.Ident))
		case *syntax.UnaryExpr:
			id, _ := p.X.(*syntax.Ident)
			all = append(all, id)
		}
	}
	return all
}

// Captures reports whether the function uses names of one that it stands in.
func (fn *Function) Captures() bool { return len(fn.resolved.FreeVars) > 0 }

// Returned calls yield with each expression that the function itself returns.
func (fn *Function) Returned(yield func(syntax.Expr)) {
	if fn.Result != nil {
		yield(fn.Result)
	}
	for _, stmt := range fn.Body {
		syntax.Walk(stmt, func(node syntax.Node) bool {
			switch n := node.(type) {
			case *syntax.DefStmt, *syntax.LambdaExpr:
				return false
			case *syntax.ReturnStmt:
				if n.Result != nil {
					yield(n.Result)
				}
			}
			return true
		})
	}
}

// Own visits the nodes of the body that are not of a function in it.
func (fn *Function) Own(visit func(syntax.Node)) {
	fn.Walk(func(node syntax.Node) bool {
		switch node.(type) {
		case *syntax.DefStmt, *syntax.LambdaExpr:
			return false
		case nil:
			return true
		}
		visit(node)
		return true
	})
}

// Walk visits the nodes of the body, or of the expression that a lambda is.
func (fn *Function) Walk(visit func(syntax.Node) bool) {
	for _, stmt := range fn.Body {
		syntax.Walk(stmt, visit)
	}
	if fn.Result != nil {
		syntax.Walk(fn.Result, visit)
	}
}
