package types

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"go.starlark.net/syntax"

	"github.com/rekey-host/rekey/host/diag"
	"github.com/rekey-host/rekey/host/workflow/lang"
	"github.com/rekey-host/rekey/host/workflow/tree"
	"github.com/rekey-host/rekey/host/workflow/vet"
)

// Rule is the rule of what this package finds.
const Rule = "type"

// Check finds what is certainly wrong with the types of a script's files, in the order
// of their text. The top level is looked at only as far as it says types: it is
// evaluated, and says itself what is wrong.
func Check(script vet.Script, files []*tree.File) []diag.Problem {
	made := &checker{inference: &inference{table: script.Table, names: newNames(script.Table, script.Schema), bound: map[*tree.File]bindings{},
		given: map[*syntax.Ident]Type{}, vars: map[*syntax.Ident]Type{}, results: map[*tree.Function]Type{}, busy: map[any]bool{}},
		hooks: map[*tree.Function]vet.Hook{}}
	for _, hook := range script.Hooks {
		made.give(script, hook)
	}
	for _, file := range files {
		made.check(file)
	}
	return made.found
}

// checker finds what does not fit.
type checker struct {
	*inference
	file  *tree.File
	hooks map[*tree.Function]vet.Hook
	found []diag.Problem
}

// give notes what a hook gets.
func (c *checker) give(script vet.Script, hook vet.Hook) {
	file := script.Files[hook.At.Filename()]
	if file == nil || file.FunctionAt(hook.At) == nil {
		return
	}
	fn := file.FunctionAt(hook.At)
	c.hooks[fn] = hook
	for i, id := range fn.Params() {
		if i < len(hook.Roles) && id != nil {
			c.given[id] = c.names.text(map[string]string{"user": "User", "step": "Step", "r": "Row"}[hook.Roles[i]])
		}
	}
}

// check looks at a file: at the types that it writes, and into its functions.
func (c *checker) check(file *tree.File) {
	c.file = file
	c.written()
	for _, fn := range inOrder(file) {
		fn.Own(c.node)
		c.returns(fn)
	}
}

func inOrder(file *tree.File) []*tree.Function {
	all := slices.Collect(file.Functions)
	slices.SortFunc(all, func(one, other *tree.Function) int {
		return cmp.Or(cmp.Compare(one.At.Line, other.At.Line), cmp.Compare(one.At.Col, other.At.Col))
	})
	return all
}

// problem notes a finding.
func (c *checker) problem(at syntax.Position, fix, format string, args ...any) {
	problem := c.file.Problem(at, fix, format, args...)
	problem.Rule = Rule
	if !slices.Contains(c.found, problem) {
		c.found = append(c.found, problem)
	}
}

// written finds types that there are not, and values that are not of the type
// that a name is written with.
func (c *checker) written() {
	for first, ways := range c.bindingsOf(c.file) {
		written := c.file.TypeOf(first)
		if written == nil {
			continue
		}
		want, bad := c.names.read(written)
		if bad != nil {
			c.problem(bad.at.At, bad.fix, "%s", bad.message)
			continue
		}
		for _, one := range ways {
			if one.unseen || one.added != nil || one.element {
				continue
			}
			if got := one.typeOf(c.inference, c.file, first); !got.fits(want) {
				c.problem(syntax.Start(one.expr), "give it another value, or another type", "%s is written as %s, and gets %s", first.Name, want, got)
			}
		}
	}
	for _, fn := range inOrder(c.file) {
		if fn.Returns() != nil {
			if _, bad := c.names.read(fn.Returns()); bad != nil {
				c.problem(bad.at.At, bad.fix, "%s", bad.message)
			}
		}
		c.defaults(fn)
	}
}

// defaults finds defaults of another type than the parameter's.
func (c *checker) defaults(fn *tree.Function) {
	for id, value := range fn.Defaults {
		want := c.declared(c.file, id)
		got := c.of(c.file, value)
		if got.fits(want) {
			continue
		}
		fix := "give it another default, or another type"
		if got.is(tNone) {
			fix = "write " + id.Name + ": … | None"
		}
		c.problem(syntax.Start(value), fix, "%s is written as %s, and its default is %s", id.Name, want, got)
	}
}

// node looks at one node of a function.
func (c *checker) node(node syntax.Node) {
	switch n := node.(type) {
	case *syntax.BinaryExpr:
		c.operation(n)
	case *syntax.AssignStmt:
		c.augmented(n)
	case *syntax.UnaryExpr:
		c.sign(n)
	case *syntax.DotExpr:
		c.attribute(n)
	case *syntax.IndexExpr:
		c.indexed(n)
	case *syntax.ForStmt:
		c.loop(n.X)
	case *syntax.ForClause:
		c.loop(n.X)
	case *syntax.CallExpr:
		if n := tree.Unhidden(n); n == node {
			c.called(n.(*syntax.CallExpr))
		}
	}
}

// name is how a message calls an expression.
func name(expr syntax.Expr, of Type) string {
	if text := tree.Spelt(expr); text != "" {
		return text + " is " + of.String()
	}
	return "this is " + of.String()
}

// spelt is an expression as it is written, if it is short; else another word.
func spelt(expr syntax.Expr, other string) string {
	if literal, is := tree.Unhidden(expr).(*syntax.Literal); is {
		return literal.Raw
	}
	return cmp.Or(tree.Spelt(expr), other)
}

// emptyFix is what to do about a None.
func emptyFix(expr syntax.Expr) string {
	if call, is := tree.Unhidden(expr).(*syntax.CallExpr); is {
		if text := tree.Spelt(call.Fn); text != "" {
			return text + "() gives nothing: use what it works on"
		}
	}
	return "give it a value, or ask first: if " + cmp.Or(tree.Spelt(expr), "x") + " != None: …"
}

func (c *checker) operation(n *syntax.BinaryExpr) {
	if n.Op == syntax.EQ {
		return
	}
	left, right := c.of(c.file, n.X), c.of(c.file, n.Y)
	if left == nil || right == nil || n.Op == syntax.AND || n.Op == syntax.OR {
		return
	}
	switch n.Op {
	case syntax.EQL, syntax.NEQ:
		c.equality(n, left, right)
	case syntax.LT, syntax.LE, syntax.GT, syntax.GE:
		if !pairs(left, right, ordered) {
			c.problem(syntax.Start(n.X), mixedFix(n, left, right), "%s and %s have no order", left, right)
		}
	case syntax.IN, syntax.NOT_IN:
		if !pairs(right, left, contains) {
			c.problem(syntax.Start(n.X), "make both of one type", "%s is never in %s", left, right)
		}
	default:
		if _, works := operate(n.Op, left, right); !works {
			c.problem(syntax.Start(n.X), mixedFix(n, left, right), "%s %s %s makes nothing", left, n.Op, right)
		}
	}
}

// equality finds values that are never equal. What is None is asked for in this
// way, and secrets are another check's.
func (c *checker) equality(n *syntax.BinaryExpr, left, right Type) {
	if left.is(tNone) || right.is(tNone) || left.has(tSecret) || right.has(tSecret) || pairs(left, right, alike) {
		return
	}
	c.problem(syntax.Start(n.X), mixedFix(n, left, right), "%s and %s are never equal", left, right)
}

// pairs reports whether something is so for any two kinds.
func pairs(left, right Type, so func(one, other kind) bool) bool {
	return slices.ContainsFunc(left, func(one kind) bool {
		return slices.ContainsFunc(right, func(other kind) bool { return so(one, other) })
	})
}

// mixedFix is for an operation on two types.
func mixedFix(n *syntax.BinaryExpr, left, right Type) string {
	sides := [2]string{spelt(n.X, "x"), spelt(n.Y, "y")}
	switch {
	case left.is(tNone):
		return emptyFix(n.X)
	case right.is(tNone):
		return emptyFix(n.Y)
	case left.has(tDate) && right.has(tString):
		return fmt.Sprintf("write str(%s), which is 2006-01-02, or use its .year, .month and .day", sides[0])
	case left.has(tString) && right.has(tDate):
		return fmt.Sprintf("write str(%s), which is 2006-01-02, or use its .year, .month and .day", sides[1])
	case left.has(tSecret) || right.has(tSecret):
		return "a secret can be asked whether it is empty, and given to a step"
	case left.has(tString) && n.Op == syntax.PLUS:
		return fmt.Sprintf("write str(%s)", sides[1])
	case right.has(tString) && n.Op == syntax.PLUS:
		return fmt.Sprintf("write str(%s)", sides[0])
	case left.has(tString) && right.has(tInt):
		return fmt.Sprintf("write int(%s), if it has digits alone", sides[0])
	case left.has(tInt) && right.has(tString):
		return fmt.Sprintf("write int(%s), if it has digits alone", sides[1])
	case right.has(tList) && left.has(tString):
		return fmt.Sprintf("write %s in %s", sides[0], sides[1])
	}
	return "make both of one type"
}

// augmented is name += X.
func (c *checker) augmented(n *syntax.AssignStmt) {
	if n.Op == syntax.EQ {
		return
	}
	left, right := c.of(c.file, n.LHS), c.of(c.file, n.RHS)
	if left == nil || right == nil {
		return
	}
	if left.has(tList) && n.Op == syntax.PLUS_EQ && elements(right) != nil {
		return // it takes whatever can be gone through
	}
	if _, works := operate(operatorOf(n.Op), left, right); !works {
		same := &syntax.BinaryExpr{X: n.LHS, Op: operatorOf(n.Op), Y: n.RHS}
		c.problem(syntax.Start(n.LHS), mixedFix(same, left, right), "%s %s %s makes nothing", left, n.Op, right)
	}
}

func (c *checker) sign(n *syntax.UnaryExpr) {
	if n.Op != syntax.MINUS && n.Op != syntax.PLUS || n.X == nil {
		return
	}
	if of := c.of(c.file, n.X); of.all(func(one kind) bool { return one.isKnown() && !isNumber(one.name) }) {
		c.problem(n.OpPos, "take "+n.Op.String()+" away, or write int("+cmp.Or(tree.Spelt(n.X), "x")+")", "%s, and no number", name(n.X, of))
	}
}

// attribute finds x.name that no x has.
func (c *checker) attribute(n *syntax.DotExpr) {
	of := c.of(c.file, n.X)
	var known []string
	for _, one := range of {
		switch list, is := methodsOf(one.name); {
		case one.name == tUser || one.name == "step" || one.name == "result of a user": // another check's
			return
		case one.fields != nil:
			for name := range one.fields {
				list = append(list, name)
			}
			known = append(known, list...)
		case !is:
			return
		default:
			known = append(known, list...)
		}
	}
	if of == nil || slices.Contains(known, n.Name.Name) {
		return
	}
	if of.is(tNone) {
		c.problem(n.Name.NamePos, emptyFix(n.X), "%s, and has no .%s", name(n.X, of), n.Name.Name)
		return
	}
	slices.Sort(known)
	fix := cmp.Or(diag.DidYouMean(n.Name.Name, known), hasFix(n.Name.Name, known))
	c.problem(n.Name.NamePos, fix, "%s, and has no .%s", name(n.X, of), n.Name.Name)
}

// hasFix is what a value has instead of an attribute: all, or of many those that
// begin alike.
func hasFix(name string, known []string) string {
	const most = 8
	known = slices.Compact(known)
	if len(known) > most {
		known = slices.DeleteFunc(known, func(one string) bool { return one[:1] != name[:1] })
	}
	if len(known) == 0 {
		return "take it away"
	}
	return "it has " + strings.Join(known, ", ")
}

// indexed finds x[y] of what has no elements, and of an index of the wrong type.
func (c *checker) indexed(n *syntax.IndexExpr) {
	of, by := c.of(c.file, n.X), c.of(c.file, n.Y)
	byNumber := []string{tString, tList, tTuple, tBytes, tRange}
	indexable := append(slices.Clone(byNumber), tDict, tUser, tMatch)
	switch {
	case of == nil:
	case of.is(tNone):
		c.problem(syntax.Start(n.X), emptyFix(n.X), "%s, and has no elements", name(n.X, of))
	case of.all(func(one kind) bool { return one.isKnown() && !slices.Contains(indexable, one.name) }):
		fix := "leave the brackets away"
		if of.has(tFunction) || of.has(tBuiltin) {
			fix = "call it: " + cmp.Or(tree.Spelt(n.X), "f") + "(…)"
		} else if of.has(tStruct) {
			fix = "write ." + "NAME for one of its fields"
		}
		c.problem(syntax.Start(n.X), fix, "%s, and has no elements", name(n.X, of))
	case of.all(func(one kind) bool { return one.name == tNone || slices.Contains(byNumber, one.name) }) && by.all(func(one kind) bool { return one.name != tInt }):
		c.problem(syntax.Start(n.Y), "give the number of an element, from 0", "an element of %s is got by a number, and not by %s", of, by)
	}
}

// isKnown reports whether all is known of what values of the kind can do.
func (k kind) isKnown() bool {
	if k.name == tDate || k.name == "result" || k.name == "backend" || k.name == tBuiltin || k.name == tStruct {
		return true
	}
	_, known := methodsOf(k.name)
	return known
}

// loop finds a loop over what has no elements.
func (c *checker) loop(expr syntax.Expr) {
	of := c.of(c.file, expr)
	switch {
	case of == nil || !of.all(func(one kind) bool {
		return one.isKnown() && !slices.Contains([]string{tList, tTuple, tDict, tSet, tRange}, one.name)
	}):
	case of.is(tNone):
		c.problem(syntax.Start(expr), emptyFix(expr), "%s, and cannot be gone through", name(expr, of))
	case of.has(tString):
		fix := cmp.Or(tree.Spelt(expr), "x") + ".codepoints() gives its letters, .split(\",\") its parts"
		c.problem(syntax.Start(expr), fix, "%s, and cannot be gone through", name(expr, of))
	case of.has(tInt):
		c.problem(syntax.Start(expr), "write range("+cmp.Or(tree.Spelt(expr), "n")+")", "%s, and cannot be gone through", name(expr, of))
	default:
		c.problem(syntax.Start(expr), "give it a list", "%s, and cannot be gone through", name(expr, of))
	}
}

// returns looks at what a function gives: of a hook what it may, of another what
// it is written with.
func (c *checker) returns(fn *tree.Function) {
	want, what, fix := c.wanted(fn)
	if want == nil {
		return
	}
	for _, expr := range returned(fn) {
		if expr == nil {
			continue
		}
		if got := c.of(fn.File, expr); !got.fits(want) {
			c.problem(syntax.Start(expr), fix, "%s returns %s", what, got)
		}
	}
	if want.has(tNone) || fn.Result != nil {
		return
	}
	fn.Own(func(node syntax.Node) {
		if stmt, is := node.(*syntax.ReturnStmt); is && stmt.Result == nil {
			c.problem(stmt.Return, fix, "%s returns nothing here", what)
		}
	})
	if fallsOff(fn.Body) {
		c.problem(fn.At, fix, "%s has a path on which it returns nothing", what)
	}
}

// wanted is what a function has to give; nil: nothing is said of it.
func (c *checker) wanted(fn *tree.Function) (want Type, what, fix string) {
	if hook, is := c.hooks[fn]; is {
		switch hook.Phase {
		case lang.InSelect:
			return just(tBool).or(just(tVerdict)), "select", "return True, False or skip(reason)"
		case lang.InWave:
			return just(tString), "wave", "return the name of a wave"
		case lang.InRotate:
			return just(tNone).or(just(tVerdict)).or(just(tSecret)).or(just("result")).or(just(tStruct)), "rotate", "return nothing, skip(reason), done() or failed(reason)"
		case lang.InRow:
			return just(tDict).or(just(tNone)), "row", "return a dict, or None to leave the user out"
		}
	}
	if fn.Returns() == nil {
		return nil, "", ""
	}
	want, _ = c.names.read(fn.Returns())
	return want, fn.Name, "it is written to return " + want.String()
}

// fallsOff reports whether control certainly can come behind a block: an if
// without an else is passed by where it is the only one that returns, since of two
// one may well be taken.
func fallsOff(block []syntax.Stmt) bool {
	leaves := 0
	for _, stmt := range block {
		if vet.Ends(stmt) {
			return false
		}
		switch s := stmt.(type) {
		case *syntax.IfStmt:
			leaves += branches(s)
		case *syntax.ForStmt:
			if hasReturn(s.Body) {
				leaves += 2
			}
		}
	}
	return leaves < 2
}

// branches counts the branches of an if that return.
func branches(stmt *syntax.IfStmt) int {
	count := 0
	if hasReturn(stmt.True) {
		count++
	}
	if len(stmt.False) == 1 {
		if next, is := stmt.False[0].(*syntax.IfStmt); is {
			return count + branches(next)
		}
	}
	if hasReturn(stmt.False) {
		count++
	}
	return count
}

func hasReturn(block []syntax.Stmt) bool {
	found := false
	for _, stmt := range block {
		syntax.Walk(stmt, func(node syntax.Node) bool {
			switch node.(type) {
			case *syntax.DefStmt, *syntax.LambdaExpr:
				return false
			case *syntax.ReturnStmt:
				found = true
			}
			return !found
		})
	}
	return found
}
