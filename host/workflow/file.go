package workflow

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"go.starlark.net/resolve"
	"go.starlark.net/starlark"
	"go.starlark.net/syntax"

	"github.com/rekey-host/rekey/host/source"
	"github.com/rekey-host/rekey/host/visible"
)

// spot is a position in one file.
type spot struct{ line, column int32 }

func spotOf(p syntax.Position) spot { return spot{p.Line, p.Col} }

// file is one parsed script or module.
type file struct {
	name  string // in the ledger: the script's path, or what load() calls it
	shown string // in messages and positions
	text  []byte
	lines []string

	tree    *syntax.File
	program *starlark.Program
	loads   map[string]*file // by what load() calls them in this file
	globals starlark.StringDict

	calls map[spot]*syntax.CallExpr // by their opening parenthesis
	nodes map[spot]syntax.Node      // operations, by the position that an error in them has
	funcs map[spot]*function        // by their def or lambda
	defs  map[*syntax.Ident]spot    // of them, those that a name is bound to

	mayVary map[*syntax.Ident]bool      // first bindings of names that depend on a parameter without a value
	varies  map[string]bool             // those of them that are globals
	missing func(*syntax.CallExpr) bool // whether the parameter of a param.X() call has no value
}

func newFile(name, shown string, text []byte) *file {
	return &file{name: name, shown: shown, text: text, lines: linesOf(string(text)), loads: map[string]*file{},
		calls: map[spot]*syntax.CallExpr{}, nodes: map[spot]syntax.Node{}, funcs: map[spot]*function{}, defs: map[*syntax.Ident]spot{}}
}

// linesOf splits a text where the scanner counts a line.
func linesOf(text string) []string {
	return strings.Split(strings.NewReplacer("\r\n", "\n", "\r", "\n").Replace(text), "\n")
}

func (f *file) export() File {
	sum := sha256.Sum256(f.text)
	return File{Name: f.name, Text: f.text, SHA256: hex.EncodeToString(sum[:])}
}

// place turns a position, whose columns count characters, into that of a
// Problem, whose columns count bytes.
func (f *file) place(p syntax.Position) (name string, line, column int) {
	line, column = int(p.Line), int(p.Col)
	if line < 1 || line > len(f.lines) || column < 1 {
		return f.shown, max(line, 0), max(column, 0)
	}
	n := 1
	for at := range f.lines[line-1] {
		if n == column {
			return f.shown, line, at + 1
		}
		n++
	}
	return f.shown, line, len(f.lines[line-1]) + 1
}

func (f *file) problem(p syntax.Position, fix, format string, args ...any) source.Problem {
	x := source.Problem{Message: fmt.Sprintf(format, args...), Fix: fix}
	x.File, x.Line, x.Column = f.place(p)
	return x
}

// dialect is strict: no recursion, no while, no reassignment of globals.
func dialect() *syntax.FileOptions { return &syntax.FileOptions{Set: true} }

// parse reads the text into a tree. The parser stops at the first flaw.
func (f *file) parse() []source.Problem {
	if bad := f.encoding(); bad != nil {
		return []source.Problem{*bad}
	}
	tree, err := dialect().Parse(f.shown, f.text, 0)
	var flaw syntax.Error
	switch {
	case errors.As(err, &flaw):
		message, fix := f.syntaxFix(flaw)
		return []source.Problem{f.problem(flaw.Pos, fix, "%s", message)}
	case err != nil:
		return []source.Problem{{File: f.shown, Message: err.Error()}}
	}
	f.tree = tree
	return nil
}

// hidden finds a character that makes a reader see another script than the
// parser does.
func (f *file) hidden() *source.Problem {
	for i, line := range f.lines {
		if at := visible.Find(line); at >= 0 {
			r, _ := utf8.DecodeRuneInString(line[at:])
			return &source.Problem{File: f.shown, Line: i + 1, Column: at + 1, Message: "the script has " + visible.Name(r),
				Fix: "remove it; in a string that needs it, write " + strings.Trim(strconv.QuoteToASCII(string(r)), `"`)}
		}
	}
	return nil
}

// encoding finds text that is not UTF-8, which the parser lets pass.
func (f *file) encoding() *source.Problem {
	if bytes.HasPrefix(f.text, []byte("\ufeff")) {
		return &source.Problem{File: f.shown, Line: 1, Column: 1, Message: "the file starts with a byte order mark", Fix: "save it without one"}
	}
	if utf8.Valid(f.text) {
		return f.hidden()
	}
	for i, line := range f.lines {
		for at, r := range line {
			if r == utf8.RuneError && !strings.HasPrefix(line[at:], "\ufffd") {
				return &source.Problem{File: f.shown, Line: i + 1, Column: at + 1, Message: "not valid UTF-8", Fix: "save the file as UTF-8"}
			}
		}
	}
	return nil
}

// syntaxFix is what to say of a flaw, and what to do about it: first what is
// certain, then what people try who know Python.
func (f *file) syntaxFix(flaw syntax.Error) (message, fix string) {
	if fix := cmp.Or(inputFix(flaw.Msg), resolveFix(flaw.Msg)); fix != "" {
		return flaw.Msg, fix
	}
	if plain, fix := indentation(flaw.Msg); fix != "" {
		return plain, fix
	}
	if flaw.Pos.Line < 1 || int(flaw.Pos.Line) > len(f.lines) {
		return flaw.Msg, ""
	}
	if fix := f.pythonFix(flaw); fix != "" {
		return flaw.Msg, fix
	}
	if bracket, line := f.openBracket(flaw.Pos, strings.HasPrefix(flaw.Msg, "got end of file")); line > 0 && strings.HasPrefix(flaw.Msg, "got ") {
		return fmt.Sprintf("the %s of line %d is not closed: %s", bracket, line, flaw.Msg), "close it"
	}
	return flaw.Msg, ""
}

// pythonFix is for what people try who know Python.
func (f *file) pythonFix(flaw syntax.Error) string {
	line := strings.TrimSpace(f.lines[flaw.Pos.Line-1])
	word, _, _ := strings.Cut(line, " ")
	switch strings.TrimSuffix(word, ":") {
	case "import", "from":
		return `scripts use load("lib/file.star", "name")`
	case "try", "except", "raise", "finally":
		return "there are no exceptions: use step.try_set() and its like"
	case "class":
		return "there are no classes: use struct() or a dict"
	case "with", "async", "await", "yield":
		return "scripts do no I/O: the host reads users and calls backends"
	}
	if strings.Contains(line, `f"`) || strings.Contains(line, "f'") {
		return `there are no f-strings: use "{}".format(x) or "%s" % x`
	}
	return ""
}

// resolve binds names and compiles. All undefined names are found at once.
func (f *file) resolve(scope starlark.StringDict, backends []string) []source.Problem {
	bind(f.tree)
	program, err := starlark.FileProgram(f.tree, scope.Has)
	var flaws resolve.ErrorList
	switch {
	case errors.As(err, &flaws):
		var all []source.Problem
		for _, flaw := range flaws {
			all = append(all, f.resolveProblem(flaw, scope, backends))
		}
		return all
	case err != nil:
		return []source.Problem{{File: f.shown, Message: err.Error()}}
	}
	f.program = program
	f.index()
	return nil
}

func (f *file) resolveProblem(flaw resolve.Error, scope starlark.StringDict, backends []string) source.Problem {
	message, theirs, _ := strings.Cut(flaw.Msg, " (did you mean ")
	name, isUndefined := strings.CutPrefix(message, "undefined: ")
	if !isUndefined {
		return f.problem(flaw.Pos, resolveFix(message), "%s", message)
	}
	fix := undefinedFix(name)
	if slices.Contains(backends, name) {
		fix = fmt.Sprintf("write %s = backend(%q, …) above", name, name)
	}
	if fix == "" {
		names := append(slices.DeleteFunc(scope.Keys(), func(n string) bool { return strings.HasPrefix(n, "$") }), f.globalNames()...)
		if theirs != "" {
			names = append(names, strings.TrimSuffix(theirs, "?)"))
		}
		fix = didYouMean(name, append(names, starlark.Universe.Keys()...))
	}
	return f.problem(flaw.Pos, fix, "undefined: %s", name)
}

// undefinedFix is for names that people expect.
func undefinedFix(name string) string {
	switch name {
	case "null", "nil", "NULL", "Null", "undefined", "NaN":
		return `did you mean "None"?`
	case "user", "step", "r":
		return fmt.Sprintf("a hook gets %s if it names it as a parameter", name)
	case "open", "os", "sys", "subprocess", "requests", "socket":
		return "scripts do no I/O: the host reads users and calls backends"
	case "time", "datetime", "random", "uuid", "secrets":
		return "scripts know no clock and no chance, so that a resume does the same; step.generate() makes passwords"
	case "Exception", "ValueError":
		return "there are no exceptions: use fail() or return failed()"
	}
	return ""
}

// globalNames returns what the file defines at top level, as far as it can be
// seen without resolving.
func (f *file) globalNames() []string {
	var names []string
	for _, s := range f.tree.Stmts {
		for _, id := range bound(s) {
			names = append(names, id.Name)
		}
	}
	return names
}

// bound returns the names that a statement of the top level binds.
func bound(s syntax.Stmt) []*syntax.Ident {
	switch s := s.(type) {
	case *syntax.DefStmt:
		return []*syntax.Ident{s.Name}
	case *syntax.LoadStmt:
		return s.To
	case *syntax.AssignStmt:
		return targets(s.LHS)
	}
	return nil
}

// targets returns the names that an assignment binds.
func targets(x syntax.Expr) []*syntax.Ident {
	var all []*syntax.Ident
	switch x := x.(type) {
	case *syntax.Ident:
		return []*syntax.Ident{x}
	case *syntax.ParenExpr:
		return targets(x.X)
	case *syntax.TupleExpr:
		for _, e := range x.List {
			all = append(all, targets(e)...)
		}
	case *syntax.ListExpr:
		for _, e := range x.List {
			all = append(all, targets(e)...)
		}
	}
	return all
}

// index notes where calls, operations and functions stand, by the positions
// that the interpreter gives.
func (f *file) index() {
	syntax.Walk(f.tree, func(n syntax.Node) bool {
		switch n := n.(type) {
		case *syntax.CallExpr:
			if isHidden(n) {
				return true
			}
			f.calls[spotOf(n.Lparen)] = n
			f.nodes[spotOf(n.Lparen)] = n
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
		case *syntax.AssignStmt:
			name, isName := n.LHS.(*syntax.Ident)
			if l, ok := n.RHS.(*syntax.LambdaExpr); ok && isName {
				f.defs[name] = spotOf(l.Lambda)
			}
		case *syntax.DefStmt:
			f.defs[n.Name] = spotOf(n.Def)
			f.funcs[spotOf(n.Def)] = &function{file: f, node: n, name: n.Name.Name, params: n.Params, body: n.Body, resolved: n.Function.(*resolve.Function)}
		case *syntax.LambdaExpr:
			f.funcs[spotOf(n.Lambda)] = &function{file: f, node: n, name: "lambda", params: n.Params, resolved: n.Function.(*resolve.Function), result: n.Body}
		}
		return true
	})
}

// docstring is the text at the top of the file.
func (f *file) docstring() string {
	if len(f.tree.Stmts) == 0 {
		return ""
	}
	s, _ := f.tree.Stmts[0].(*syntax.ExprStmt)
	if s == nil {
		return ""
	}
	text, _ := s.X.(*syntax.Literal)
	if text == nil || text.Token != syntax.STRING {
		return ""
	}
	return strings.TrimSpace(text.Value.(string))
}

// function is a def or lambda in the tree.
type function struct {
	file     *file
	node     syntax.Node
	name     string
	params   []syntax.Expr
	body     []syntax.Stmt // of a def
	result   syntax.Expr   // of a lambda
	resolved *resolve.Function
}

// paramIdents returns the parameters by position, then those by keyword; nil
// for * without a name.
func (fn *function) paramIdents() []*syntax.Ident {
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

// site is a call in a script; its node is nil where it is not known.
type site struct {
	file *file
	node *syntax.CallExpr
}

// argument returns the expression of an argument: of a keyword the whole of
// name = value. It is nil if there is none, or if it comes out of *args.
func (s *site) argument(e *entry, name string) syntax.Expr {
	if s.node == nil || name == "" {
		return nil
	}
	place := e.index(name)
	for i, a := range s.node.Args {
		if kw, ok := keywordOf(a); ok {
			if kw == name {
				return a
			}
			continue
		}
		if _, star := a.(*syntax.UnaryExpr); star {
			return nil
		}
		if i == place {
			return a
		}
	}
	return nil
}

// keywordOf returns the name of a name = value argument.
func keywordOf(a syntax.Expr) (string, bool) {
	if b, ok := a.(*syntax.BinaryExpr); ok && b.Op == syntax.EQ {
		return b.X.(*syntax.Ident).Name, true
	}
	return "", false
}
