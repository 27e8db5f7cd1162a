package vet

import (
	"slices"
	"strings"

	"go.starlark.net/resolve"
	"go.starlark.net/syntax"

	"github.com/rekey-host/rekey/host/diag"
	"github.com/rekey-host/rekey/host/workflow/lang"
	"github.com/rekey-host/rekey/host/workflow/tree"
)

// builtinCall is the call of a name of the language in a function.
type builtinCall struct {
	*body
	entry *lang.Entry
	site  tree.Site
}

// checkCall checks a call's place, and the arguments that can be seen.
func checkCall(within *body, entry *lang.Entry, site tree.Site) {
	made := &builtinCall{body: within, entry: entry, site: site}
	switch {
	case entry.Later != "" && !entry.Dotted(): // a dotted one is found as an attribute
		made.misuse(made.fn.File, syntax.Start(made.site.Node), entry.ComesLater())
	case entry.Later != "" || entry.Use != lang.Function:
	case entry.At&made.phase == 0:
		made.misuse(made.fn.File, syntax.Start(made.site.Node), entry.Misplaced(made.phase, made.fn.Name))
	default:
		made.arguments()
	}
}

// arguments checks which arguments are given, then their types.
func (c *builtinCall) arguments() {
	given, seen := c.given()
	if !seen {
		return
	}
	for _, param := range c.entry.Params {
		if param.Required() && !given[param.Name] {
			c.complain(nil, param.Help(), param.Name+" is missing")
		}
	}
	c.literals()
	if c.entry.At != lang.InRotate {
		return
	}
	checkPasswords(c.body, c.entry, c.site)
	if c.entry.Index("backend") == 0 {
		c.able()
	}
	if verb(c.entry) == "generate" {
		c.generates()
	}
}

// given returns the names of the given parameters; false: they are not
// seen, or there are too many.
func (c *builtinCall) given() (map[string]bool, bool) {
	entry, args := c.entry, c.site.Node.Args
	given := map[string]bool{}
	for i, arg := range args {
		kw, isKeyword := tree.Keyword(arg)
		switch {
		case isStar(arg):
			return nil, false
		case isKeyword && entry.Index(kw) < 0 && entry.More == "":
			misuse := lang.Unknown(entry.Name+": there is no argument", kw, entry.ParamNames(), "")
			c.misuse(c.fn.File, syntax.Start(arg), misuse)
		case isKeyword:
			given[kw] = true
		case i >= len(entry.Params) && entry.Many == "":
			c.problem(syntax.Start(arg), "", "%s: %d arguments, want at most %d", entry.Name, len(args), len(entry.Params))
			return nil, false
		case i < len(entry.Params):
			given[entry.Params[i].Name] = true
		}
	}
	return given, true
}

// isStar reports whether an argument is *args or **kwargs.
func isStar(expr syntax.Expr) bool {
	unaryExpr, ok := expr.(*syntax.UnaryExpr)
	return ok && (unaryExpr.Op == syntax.STAR || unaryExpr.Op == syntax.STARSTAR)
}

// complain notes a mistake of an argument, or of the call if the name is "".
func (c *builtinCall) complain(at syntax.Expr, fix, message string) {
	if at == nil {
		at = c.site.Node
	}
	c.problem(syntax.Start(at), fix, "%s: %s", c.entry.Name, message)
}

func (c *builtinCall) argument(name string) syntax.Expr { return c.site.Argument(c.entry, name) }

// text returns an absent argument, or a text as a literal; false: it is
// neither.
func (c *builtinCall) text(name string) (expr syntax.Expr, text string, seen bool) {
	expr = c.argument(name)
	text, isText := tree.Text(expr)
	return expr, text, expr == nil || isText
}

// literals checks the type of each literal argument.
func (c *builtinCall) literals() {
	for _, param := range c.entry.Params {
		expr := c.argument(param.Name)
		text := literalType(expr)
		if text == "" || text == noneType && !param.Required() || param.Kind.Takes(text) {
			continue
		}
		c.complain(expr, "", param.Name+": "+param.Kind.Mismatch(text))
	}
}

const noneType = "NoneType"

// literalType returns the type of the value that an expression is as a literal;
// "": it is none.
func literalType(expr syntax.Expr) string {
	switch x := expr.(type) {
	case *syntax.Literal:
		return map[syntax.Token]string{syntax.STRING: "string", syntax.INT: "int", syntax.FLOAT: "float"}[x.Token]
	case *syntax.Ident:
		if binding, ok := x.Binding.(*resolve.Binding); ok && binding.Scope == resolve.Universal {
			return map[string]string{"True": "bool", "False": "bool", "None": noneType}[x.Name]
		}
	}
	return ""
}

// isTrue reports whether an expression is the literal True.
func isTrue(expr syntax.Expr) bool {
	name, ok := expr.(*syntax.Ident)
	return ok && name.Name == "True" && literalType(expr) == "bool"
}

// IsLiteral reports whether an expression says its value as a literal.
func IsLiteral(expr syntax.Expr) bool { return literalType(expr) != "" }

// backend returns the backend that a name stands for, if the script names its
// plugin: a step in a branch for another plugin may stand there.
func (c *builtinCall) backend(expr syntax.Expr) *Backend {
	id, ok := expr.(*syntax.Ident)
	if !ok {
		return nil
	}
	binding, ok := id.Binding.(*resolve.Binding)
	if !ok {
		return nil
	}
	if binding.Scope == resolve.Global {
		return c.Values.Backend(c.fn.File, id.Name)
	}
	if from, name := c.fn.File.Loaded(binding.First); from != nil {
		return c.Values.Backend(from, name)
	}
	return nil
}

// able checks a step against what its backend says of itself.
func (c *builtinCall) able() {
	to := c.backend(c.argument("backend"))
	if to == nil {
		return
	}
	if !to.Can(verb(c.entry)) {
		c.complain(nil, "", "backend "+quoted(to.Label)+" ("+to.Desc.Name+") cannot "+verb(c.entry))
		return
	}
	if c.entry.Index("kind") >= 0 {
		c.said("kind", to.NoKind)
	}
	if c.argument("hash_format") != nil {
		c.said("hash_format", to.NoHashFormat)
	}
	if must := c.argument("must_change"); isTrue(must) {
		c.complainOf(must, to.NoMustChange())
	}
	options, _ := c.argument("options").(*syntax.DictExpr)
	if options == nil {
		return
	}
	for _, entry := range options.List {
		key := entry.(*syntax.DictEntry).Key
		if text, isText := tree.Text(key); isText {
			c.complainOf(key, to.NoOption(text))
		}
	}
}

// said checks an absent argument, or a text as a literal.
func (c *builtinCall) said(name string, flaw func(string) *lang.Misuse) {
	if expr, text, seen := c.text(name); seen {
		c.complainOf(expr, flaw(text))
	}
}

func (c *builtinCall) complainOf(at syntax.Expr, misuse *lang.Misuse) {
	if misuse != nil {
		c.complain(at, misuse.Fix, misuse.Message)
	}
}

// generates checks the kind of a generated value, where the script says
// which backends it is for.
func (c *builtinCall) generates() {
	expr, kind, seen := c.text("kind")
	if !seen {
		return
	}
	of := slices.DeleteFunc(slices.Clone(c.targets()), func(to *Backend) bool { return len(to.Desc.Kinds) == 0 })
	has := slices.ContainsFunc(of, func(to *Backend) bool { return to.Desc.HasKind(kind) })
	if len(of) == 0 || has || kind == "" && c.argument("generator") == nil {
		return
	}
	names := of[0].Kinds()
	c.complain(expr, diag.DidYouMean(kind, names),
		"backend "+quoted(of[0].Label)+" has no credential of kind "+quoted(kind)+"; it has "+strings.Join(names, ", "))
}

// targets are the backends that a generated value is for, as far as they stand
// in the script by name.
func (c *builtinCall) targets() []*Backend {
	names := []syntax.Expr{c.argument("generator")}
	list, _ := c.argument("targets").(*syntax.ListExpr)
	switch {
	case names[0] != nil:
	case list != nil:
		names = list.List
	case c.argument("targets") == nil && !slices.ContainsFunc(c.Backends, func(one *Backend) bool { return !one.Known || !one.Named }):
		return c.Backends
	}
	var all []*Backend
	for _, expr := range names {
		if to := c.backend(expr); to != nil {
			all = append(all, to)
		}
	}
	return all
}
