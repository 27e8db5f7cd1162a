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
)

// called looks at a call: whether it is of a function, and at its arguments.
func (c *checker) called(n *syntax.CallExpr) {
	if hasStar(n) {
		return
	}
	called := c.callee(c.file, n)
	switch {
	case called.fn != nil:
		c.arguments(n, called.fn)
	case called.entry != nil:
		c.ofEntry(n, called.entry)
	case called.method != "":
		c.ofMethod(n, called.method)
	default:
		c.callable(n)
	}
}

func hasStar(n *syntax.CallExpr) bool {
	return slices.ContainsFunc(n.Args, func(arg syntax.Expr) bool {
		star, is := arg.(*syntax.UnaryExpr)
		return is && (star.Op == syntax.STAR || star.Op == syntax.STARSTAR)
	})
}

// callable finds the call of what is no function.
func (c *checker) callable(n *syntax.CallExpr) {
	of := c.of(c.file, n.Fn)
	if !of.all(func(one kind) bool { return one.isKnown() && one.name != tFunction && one.name != tBuiltin }) {
		return
	}
	fix := "leave the () away"
	if of.is(tNone) {
		fix = emptyFix(n.Fn)
	}
	c.problem(syntax.Start(n.Fn), fix, "%s, and no function", name(n.Fn, of))
}

// arguments holds a call against the parameters of a function of the script.
func (c *checker) arguments(n *syntax.CallExpr, fn *tree.Function) {
	if fn.Variadic {
		return
	}
	params := fn.Params()
	var names []string
	for _, id := range params {
		names = append(names, id.Name)
	}
	given := map[string]bool{}
	for i, arg := range n.Args {
		kw, isKeyword := tree.Keyword(arg)
		switch {
		case isKeyword && !slices.Contains(names, kw):
			c.problem(syntax.Start(arg), cmp.Or(diag.DidYouMean(kw, names), "it takes "+listed(names)), "%s has no parameter %s", fn.Name, kw)
			return
		case !isKeyword && i >= len(params):
			c.problem(syntax.Start(arg), "it takes "+listed(names), "%s takes %s, and gets %d", fn.Name, counted(len(params)), len(n.Args))
			return
		case isKeyword:
			i = slices.Index(names, kw)
		}
		if given[names[i]] {
			c.problem(syntax.Start(arg), "give it once", "%s gets its parameter %s twice", fn.Name, names[i])
			return
		}
		given[names[i]] = true
		if want, got := c.declared(fn.File, params[i]), c.of(c.file, tree.Unkeyed(arg)); !got.fits(want) {
			c.problem(syntax.Start(tree.Unkeyed(arg)), argumentFix(tree.Unkeyed(arg), got), "%s: %s is written as %s, and gets %s", fn.Name, names[i], want, got)
		}
	}
	c.missing(n, fn, given)
}

// missing finds a parameter without a value.
func (c *checker) missing(n *syntax.CallExpr, fn *tree.Function, given map[string]bool) {
	for _, id := range fn.Params() {
		if _, has := fn.Defaults[id]; !has && !given[id.Name] {
			c.problem(syntax.Start(n.Fn), "give it, or a default in its def", "%s is called without its parameter %s", fn.Name, id.Name)
			return
		}
	}
}

func listed(names []string) string {
	if len(names) == 0 {
		return "no argument"
	}
	return strings.Join(names, ", ")
}

func counted(count int) string {
	if count == 1 {
		return "1 argument"
	}
	return fmt.Sprintf("%d arguments", count)
}

// argumentFix is for a value of the wrong type.
func argumentFix(expr syntax.Expr, got Type) string {
	switch {
	case got.is(tNone):
		return emptyFix(expr)
	case got.has(tBuiltin) || got.has(tFunction):
		return "call it: " + cmp.Or(tree.Spelt(expr), "f") + "(…)"
	}
	return "give it another value, or the parameter another type"
}

// ofEntry holds a call against a signature of the table.
func (c *checker) ofEntry(n *syntax.CallExpr, entry *lang.Entry) {
	site := tree.Site{File: c.file, Node: n}
	for _, param := range entry.Params {
		expr := site.Argument(entry, param.Name)
		want := c.names.text(param.Kind.Written())
		if expr == nil || want == nil {
			continue
		}
		if slices.Contains(param.Kind.Types(), tList) {
			want = want.or(Type{{name: tTuple, of: want[0].of}})
		}
		got := c.of(c.file, expr)
		if got.fits(want) || got.is(tNone) && (!param.Required() || param.TakesNone()) || c.isOptional(param, got) {
			continue
		}
		c.problem(syntax.Start(expr), entryFix(expr, want, got), "%s: %s: want %s, got %s", entry.Name, param.Name, param.Kind.Wanted(), typeNames(got))
	}
}

// isOptional reports whether a value may be None, and that is taken.
func (c *checker) isOptional(param lang.Param, got Type) bool {
	return got.has(tNone) && (!param.Required() || param.TakesNone())
}

// entryFix is for an argument of the wrong type.
func entryFix(expr syntax.Expr, want, got Type) string {
	text := spelt(expr, "x")
	switch {
	case got.is(tNone):
		return emptyFix(expr)
	case got.has(tSecret):
		return "a secret can be asked whether it is empty, and given to a step as a value"
	case want.is(tString):
		return "write str(" + text + ")"
	case got.has(tBuiltin) || got.has(tFunction):
		return "call it: " + text + "(…)"
	}
	return "give it " + want.String()
}

// typeNames are the types as the interpreter calls them.
func typeNames(got Type) string {
	var all []string
	for _, one := range got {
		if !slices.Contains(all, one.name) {
			all = append(all, one.name)
		}
	}
	return lang.Listed(all)
}

// ofMethod looks at the first argument of a function of the interpreter's.
func (c *checker) ofMethod(n *syntax.CallExpr, method string) {
	want := takes(method)
	if want == nil || len(n.Args) == 0 {
		return
	}
	if _, isKeyword := tree.Keyword(n.Args[0]); isKeyword {
		return
	}
	arg := tree.Unhidden(n.Args[0])
	got := c.of(c.file, arg)
	if !got.all(func(one kind) bool { return one.isKnown() && !slices.Contains(want, one.name) }) {
		return
	}
	of, short, isMethod := strings.Cut(method, ".")
	if !isMethod {
		short = of
	}
	fix := "give it " + lang.Listed(want)
	switch {
	case got.is(tNone):
		fix = emptyFix(arg)
	case got.has(tString) && slices.Contains(want, tList):
		fix = spelt(arg, "x") + ".codepoints() gives its letters, .split(\",\") its parts"
	case got.has(tSecret):
		fix = "a secret can be asked whether it is empty, and given to a step"
	case slices.Contains(want, tString):
		fix = "write str(" + spelt(arg, "x") + ")"
	}
	c.problem(syntax.Start(arg), fix, "%s() does not take %s", short, got)
}
