package vet

import (
	"fmt"
	"strings"

	"go.starlark.net/syntax"

	"github.com/rekey-host/rekey/host/diag"
	"github.com/rekey-host/rekey/host/workflow/tree"
)

// The rules of what is left over.
const (
	RuleUnused      = "unused"
	RuleUnreachable = "unreachable"
	RuleDuplicate   = "duplicate"
	RuleIndent      = "indent"
)

// Unused finds what a file binds and never reads: loads, the variables of
// functions and their parameters, and in a script, which nothing loads, those of
// the top level. A name that begins with _ is spared, and so are the names of a
// tuple that is taken apart, the parameters of a function that is handed on, whose
// caller says which there are, and what has a backend in it: it counts although
// nothing names it. hooks are the functions that workflow() and reports get.
func Unused(file *tree.File, script bool, hooks []Hook) []diag.Problem {
	look := &leftovers{file: file, read: map[*syntax.Ident]bool{}, handed: map[*syntax.Ident]bool{}, hooks: map[*tree.Function]bool{}}
	for _, hook := range hooks {
		if hook.At.Filename() == file.Shown {
			look.hooks[file.FunctionAt(hook.At)] = true
		}
	}
	syntax.Walk(file.Tree, look.reads)
	for _, stmt := range file.Tree.Stmts {
		look.top(stmt, script)
	}
	for fn := range file.Functions {
		look.function(fn)
	}
	return look.found
}

// leftovers are the names of a file by the first binding of each.
type leftovers struct {
	file   *tree.File
	read   map[*syntax.Ident]bool
	handed map[*syntax.Ident]bool // read otherwise than by a call
	hooks  map[*tree.Function]bool
	found  []diag.Problem
}

// reads notes the names that a node reads.
func (l *leftovers) reads(node syntax.Node) bool {
	switch n := node.(type) {
	case *syntax.LoadStmt:
		return false
	case *syntax.DefStmt:
		l.inParams(n.Params)
		l.inBody(n.Body)
		return false
	case *syntax.LambdaExpr:
		l.inParams(n.Params)
		syntax.Walk(n.Body, l.reads)
		return false
	case *syntax.AssignStmt:
		if n.Op == syntax.EQ {
			l.inTarget(n.LHS)
			syntax.Walk(n.RHS, l.reads)
			return false
		}
	case *syntax.ForStmt:
		l.inTarget(n.Vars)
		syntax.Walk(n.X, l.reads)
		l.inBody(n.Body)
		return false
	case *syntax.ForClause:
		l.inTarget(n.Vars)
		syntax.Walk(n.X, l.reads)
		return false
	case *syntax.CallExpr:
		if id, is := n.Fn.(*syntax.Ident); is {
			l.read[tree.First(id)] = true
			for _, arg := range n.Args {
				syntax.Walk(arg, l.reads)
			}
			return false
		}
	case *syntax.Ident:
		l.read[tree.First(n)], l.handed[tree.First(n)] = true, true
	}
	return true
}

// inParams notes what the defaults of parameters read.
func (l *leftovers) inParams(params []syntax.Expr) {
	for _, param := range params {
		if withDefault, is := param.(*syntax.BinaryExpr); is {
			syntax.Walk(withDefault.Y, l.reads)
		}
	}
}

func (l *leftovers) inBody(body []syntax.Stmt) {
	for _, stmt := range body {
		syntax.Walk(stmt, l.reads)
	}
}

// inTarget notes what a target reads: d[key] = 1 reads d and key.
func (l *leftovers) inTarget(expr syntax.Expr) {
	switch x := expr.(type) {
	case *syntax.Ident:
	case *syntax.ParenExpr:
		l.inTarget(x.X)
	case *syntax.TupleExpr:
		for _, part := range x.List {
			l.inTarget(part)
		}
	case *syntax.ListExpr:
		for _, part := range x.List {
			l.inTarget(part)
		}
	default:
		syntax.Walk(expr, l.reads)
	}
}

// top looks at a statement of the top level.
func (l *leftovers) top(stmt syntax.Stmt, script bool) {
	switch s := stmt.(type) {
	case *syntax.LoadStmt:
		for _, id := range s.To {
			l.unread(id, "what is loaded as "+id.Name+" is never used", "leave it out of the load()")
		}
	case *syntax.AssignStmt:
		if id, is := s.LHS.(*syntax.Ident); is && script && s.Op == syntax.EQ && !counts(s.RHS) {
			l.unread(id, id.Name+" is never used", "take it out, or call it _"+id.Name)
		}
	}
}

// counts reports whether an expression has a backend in it.
func counts(expr syntax.Expr) bool {
	has := false
	syntax.Walk(expr, func(node syntax.Node) bool {
		call, is := node.(*syntax.CallExpr)
		has = has || is && tree.Predeclared(call.Fn) == "backend"
		return !has
	})
	return has
}

// function looks at the parameters and the variables of a function.
func (l *leftovers) function(fn *tree.Function) {
	isHook := l.hooks[fn]
	if fn.Bound != nil && (isHook || !l.handed[tree.First(fn.Bound)]) {
		fix := "take it out, or call it _NAME"
		if isHook {
			fix = "take it out: a hook gets the parameters that it names"
		}
		for _, id := range fn.Params() {
			if id != nil {
				l.unread(id, fmt.Sprintf("%s never uses its parameter %s", fn.Name, id.Name), strings.Replace(fix, "NAME", id.Name, 1))
			}
		}
	}
	params := map[*syntax.Ident]bool{}
	for _, id := range fn.Params() {
		params[id] = true
	}
	fn.Own(func(node syntax.Node) {
		var target syntax.Expr
		switch n := node.(type) {
		case *syntax.AssignStmt:
			if n.Op == syntax.EQ {
				target = n.LHS
			}
		case *syntax.ForStmt:
			target = n.Vars
		}
		if id, is := target.(*syntax.Ident); is && tree.First(id) == id && !params[id] {
			l.unread(id, id.Name+" is never used", "take it out, or call it _"+id.Name)
		}
	})
}

// unread notes a name that nothing reads.
func (l *leftovers) unread(id *syntax.Ident, message, fix string) {
	if l.read[tree.First(id)] || strings.HasPrefix(id.Name, "_") || tree.First(id) == nil {
		return
	}
	problem := l.file.Problem(id.NamePos, fix, "%s", message)
	problem.Rule = RuleUnused
	l.found = append(l.found, problem)
}

// Unreachable finds statements that control never comes to.
func Unreachable(file *tree.File) []diag.Problem {
	var found []diag.Problem
	for fn := range file.Functions {
		blocks(fn.Body, func(block []syntax.Stmt) {
			for i, stmt := range block {
				if i+1 < len(block) && Ends(stmt) {
					problem := file.Problem(syntax.Start(block[i+1]), "take it out, or put it above", "this is never reached: line %d goes elsewhere", syntax.Start(stmt).Line)
					problem.Rule = RuleUnreachable
					found = append(found, problem)
					return
				}
			}
		})
	}
	return found
}

// blocks calls yield for a block and each in it, without those of functions in
// it.
func blocks(block []syntax.Stmt, yield func([]syntax.Stmt)) {
	yield(block)
	for _, stmt := range block {
		switch s := stmt.(type) {
		case *syntax.IfStmt:
			blocks(s.True, yield)
			blocks(s.False, yield)
		case *syntax.ForStmt:
			blocks(s.Body, yield)
		}
	}
}

// Ends reports whether control never comes behind a statement.
func Ends(stmt syntax.Stmt) bool {
	switch s := stmt.(type) {
	case *syntax.ReturnStmt:
		return true
	case *syntax.BranchStmt:
		return s.Token != syntax.PASS
	case *syntax.ExprStmt:
		call, is := s.X.(*syntax.CallExpr)
		return is && isFail(call.Fn)
	case *syntax.IfStmt:
		return EndsBlock(s.True) && EndsBlock(s.False)
	}
	return false
}

// EndsBlock reports whether control never comes behind a block.
func EndsBlock(block []syntax.Stmt) bool {
	return len(block) > 0 && Ends(block[len(block)-1])
}

// isFail reports whether an expression is the fail of the language.
func isFail(expr syntax.Expr) bool {
	id, is := expr.(*syntax.Ident)
	return is && id.Name == "fail" && tree.First(id) == nil
}

// Duplicates finds keys that stand twice in a dict written out.
func Duplicates(file *tree.File) []diag.Problem {
	var found []diag.Problem
	syntax.Walk(file.Tree, func(node syntax.Node) bool {
		dict, is := node.(*syntax.DictExpr)
		if !is {
			return true
		}
		seen := map[any]bool{}
		for _, entry := range dict.List {
			literal, is := entry.(*syntax.DictEntry).Key.(*syntax.Literal)
			if !is {
				continue
			}
			if seen[literal.Value] {
				problem := file.Problem(literal.TokenPos, "take one of them out", "the key %s stands twice in the dict", literal.Raw)
				problem.Rule = RuleDuplicate
				found = append(found, problem)
			}
			seen[literal.Value] = true
		}
		return true
	})
	return found
}

// MixedIndent finds the first statement of a file that is indented with tabs
// where one before is with spaces, or the other way round.
func MixedIndent(file *tree.File) []diag.Problem {
	lines := tree.Lines(string(file.Text))
	first, firstLine := "", 0
	var found []diag.Problem
	syntax.Walk(file.Tree, func(node syntax.Node) bool {
		stmt, is := node.(syntax.Stmt)
		if !is || len(found) > 0 {
			return len(found) == 0
		}
		line := int(syntax.Start(stmt).Line)
		if line < 1 || line > len(lines) || !isIndent(lines[line-1], int(syntax.Start(stmt).Col)) {
			return true
		}
		kind := indentOf(lines[line-1])
		switch {
		case first == "" && kind != "tabs and spaces":
			first, firstLine = kind, line
		case kind != first:
			problem := diag.Problem{File: file.Shown, Line: line, Column: 1, Message: "the line is indented with " + kind, Fix: "use four spaces everywhere, or rekey fmt", Rule: RuleIndent}
			if firstLine > 0 {
				problem.Message += fmt.Sprintf(", and line %d with %s", firstLine, first)
			}
			found = append(found, problem)
		}
		return true
	})
	return found
}

// isIndent reports whether all that stands before a column is white space, and
// there is some.
func isIndent(line string, column int) bool {
	rest := strings.TrimLeft(line, " \t")
	return column > 1 && len(line)-len(rest) == column-1
}

// indentOf is what a line is indented with.
func indentOf(line string) string {
	indent := line[:len(line)-len(strings.TrimLeft(line, " \t"))]
	switch {
	case !strings.Contains(indent, "\t"):
		return "spaces"
	case !strings.Contains(indent, " "):
		return "tabs"
	}
	return "tabs and spaces"
}
