package vet

import (
	"go.starlark.net/syntax"

	"github.com/rekey-host/rekey/host/workflow/lang"
	"github.com/rekey-host/rekey/host/workflow/tree"
)

// idle finds ways through rotate on which nothing is asked of a target: whoever
// takes one is skipped, perhaps against the script's intent. It is silent about what it
// does not see: of two ifs it takes one to be entered, of a loop a round.
type idle struct {
	*body
	looked map[visit]look  // what has been looked into
	maybe  int             // branches so far that ask something
	at     syntax.Position // of the first return without a value
}

// warnIdle warns of a rotate that can end without a change.
func warnIdle(check *checker, hook Hook) {
	fn, given := check.hooked(hook)
	if fn == nil {
		return
	}
	made := &idle{body: newBody(check, fn, lang.InRotate, given), looked: map[visit]look{}}
	open := made.open(fn)
	if !open && !made.at.IsValid() {
		return
	}
	at := made.at
	if !at.IsValid() {
		at = hook.At
	}
	check.found.Warnings = append(check.found.Warnings, fn.File.Problem(at, "if that is meant, say so there: return skip(reason)",
		"%s has a path on which nothing is changed: its users end skipped, with no word from the script", fn.Name))
}

// open reports whether the function can come to its end with nothing asked.
func (x *idle) open(fn *tree.Function) bool {
	if fn.Result != nil {
		return !x.asks(fn.Result)
	}
	return x.block(fn.Body) && x.maybe < 2
}

// block reports whether control can come behind the statements with nothing
// asked.
func (x *idle) block(list []syntax.Stmt) bool {
	for _, stmt := range list {
		if !x.statement(stmt) {
			return false
		}
	}
	return true
}

func (x *idle) statement(stmt syntax.Stmt) bool {
	switch s := stmt.(type) {
	case *syntax.ReturnStmt:
		if x.maybe == 0 && !x.at.IsValid() && (s.Result == nil || tree.IsNone(s.Result)) {
			x.at = s.Return
		}
		return false
	case *syntax.BranchStmt:
		return s.Token == syntax.PASS
	case *syntax.ExprStmt:
		return !x.asks(s.X)
	case *syntax.AssignStmt:
		return !x.asks(s.RHS)
	case *syntax.IfStmt:
		return !x.asks(s.Cond) && x.branches(s)
	case *syntax.ForStmt:
		return !x.asks(s.X) && x.round(s.Body)
	}
	return true
}

// branches is an if: one of whose branches asks may well be entered.
func (x *idle) branches(stmt *syntax.IfStmt) bool {
	before := x.maybe
	yes := x.block(stmt.True)
	no := x.block(stmt.False)
	if x.maybe == before && (!yes && x.mentions(stmt.True) || !no && x.mentions(stmt.False)) {
		x.maybe++
	}
	return yes || no
}

// round is the body of a loop.
func (x *idle) round(body []syntax.Stmt) bool {
	before := x.maybe
	open := x.block(body)
	return open && x.maybe == before && !x.mentions(body)
}

// mentions reports whether a step that asks stands in the statements.
func (x *idle) mentions(list []syntax.Stmt) bool {
	found := false
	for _, stmt := range list {
		syntax.Walk(stmt, func(node syntax.Node) bool {
			if expr, ok := node.(syntax.Expr); ok && !found {
				found = x.asksHere(expr)
			}
			return !found
		})
	}
	return found
}

// asks reports whether the expression asks something of a target whenever it is
// evaluated, as far as can be seen.
func (x *idle) asks(expr syntax.Expr) bool {
	switch e := expr.(type) {
	case nil:
		return false
	case *syntax.CondExpr:
		return x.asks(e.Cond) || x.asks(e.True) && x.asks(e.False)
	}
	found := false
	syntax.Walk(expr, func(node syntax.Node) bool {
		switch n := node.(type) {
		case *syntax.CondExpr:
			found = found || x.asks(n)
			return false
		case syntax.Expr:
			found = found || x.asksHere(n)
		}
		return !found
	})
	return found
}

// asksHere reports whether the expression itself is a step, and more than a
// look, may lead to one unseen, or ends the hook.
func (x *idle) asksHere(expr syntax.Expr) bool {
	switch e := expr.(type) {
	case *syntax.CallExpr:
		if id, ok := e.Fn.(*syntax.Ident); ok && id.Name == "fail" {
			return true
		}
		if dot, ok := e.Fn.(*syntax.DotExpr); ok && x.role(dot.X) == roleStep {
			return !looks(dot.Name.Name)
		}
		return x.hands(e)
	case *syntax.DotExpr: // a method not called here: step.set goes somewhere
		return x.role(e.X) == roleStep && !looks(e.Name.Name)
	}
	return false
}

// looks reports whether a step changes nothing and does not log on.
func looks(step string) bool {
	switch step {
	case "generate", "try_generate", "find", "try_find":
		return true
	}
	return false
}

// hands reports whether a call hands the step to what asks something, or may.
func (x *idle) hands(node *syntax.CallExpr) bool {
	fn := x.fn.File.Callee(node)
	given, handed := x.passed(node, fn)
	captures := fn != nil && fn.File == x.fn.File && fn.Captures()
	switch {
	case !handed && !captures:
		return false
	case fn == nil:
		return true
	}
	key := visit{fn: fn, phase: lang.InRotate, roles: given.of(fn)}
	if captures {
		key.within, key.roles = x.fn, key.roles+x.roles.of(x.fn)
	}
	known, seen := x.looked[key]
	if !seen {
		x.looked[key] = look{} // one that calls itself asks nothing by that
		known = x.into(fn, given)
		x.looked[key] = known
	}
	if known.maybe {
		x.maybe++
	}
	return known.asks
}

// look is what a function was found to do: to ask something of a target, or
// maybe to ask something.
type look struct{ asks, maybe bool }

// into looks into a function.
func (x *idle) into(fn *tree.Function, given roles) look {
	inner := &idle{body: newBody(x.checker, fn, lang.InRotate, given), looked: x.looked}
	if inner.open(fn) || inner.at.IsValid() {
		return look{maybe: inner.mentions(fn.Body)}
	}
	return look{asks: true}
}

// passed returns the roles of a callee's parameters, and whether the step is
// among its arguments.
func (x *idle) passed(node *syntax.CallExpr, fn *tree.Function) (roles, bool) {
	handed := false
	for _, arg := range node.Args {
		handed = handed || x.role(tree.Unkeyed(arg)) == roleStep
	}
	if fn == nil {
		return nil, handed
	}
	return x.rolesOf(node, fn), handed
}
