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
	c := &builtinCall{body: within, entry: entry, site: site}
	switch {
	case entry.Later != "" && !entry.Dotted(): // a dotted one is found as an attribute
		c.misuse(c.fn.File, syntax.Start(c.site.Node), entry.ComesLater())
	case entry.Later != "" || entry.Use != lang.Function:
	case entry.At&c.phase == 0:
		c.misuse(c.fn.File, syntax.Start(c.site.Node), entry.Misplaced(c.phase, c.fn.Name))
	default:
		c.arguments()
	}
}

// arguments checks which arguments are given, then what they are.
func (c *builtinCall) arguments() {
	given, seen := c.given()
	if !seen {
		return
	}
	for _, p := range c.entry.Params {
		if p.Required() && !given[p.Name] {
			c.complain(nil, p.Help(), p.Name+" is missing")
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

// given returns the names of the parameters that are given; false: that is not
// seen, or there are too many.
func (c *builtinCall) given() (map[string]bool, bool) {
	e, args := c.entry, c.site.Node.Args
	given := map[string]bool{}
	for i, a := range args {
		kw, isKeyword := tree.Keyword(a)
		switch {
		case isStar(a):
			return nil, false
		case isKeyword && e.Index(kw) < 0 && e.More == "":
			m := lang.Unknown(e.Name+": there is no argument", kw, e.ParamNames(), "")
			c.misuse(c.fn.File, syntax.Start(a), m)
		case isKeyword:
			given[kw] = true
		case i >= len(e.Params) && e.Many == "":
			c.problem(syntax.Start(a), "", "%s: %d arguments, want at most %d", e.Name, len(args), len(e.Params))
			return nil, false
		case i < len(e.Params):
			given[e.Params[i].Name] = true
		}
	}
	return given, true
}

// isStar reports whether an argument is *args or **kwargs.
func isStar(expr syntax.Expr) bool {
	u, ok := expr.(*syntax.UnaryExpr)
	return ok && (u.Op == syntax.STAR || u.Op == syntax.STARSTAR)
}

// complain notes a mistake of an argument, or of the call if there is none.
func (c *builtinCall) complain(at syntax.Expr, fix, message string) {
	if at == nil {
		at = c.site.Node
	}
	c.problem(syntax.Start(at), fix, "%s: %s", c.entry.Name, message)
}

func (c *builtinCall) argument(name string) syntax.Expr { return c.site.Argument(c.entry, name) }

// text returns an argument that is absent, or a text as a literal; false: it is
// neither.
func (c *builtinCall) text(name string) (x syntax.Expr, text string, seen bool) {
	x = c.argument(name)
	text, isText := tree.Text(x)
	return x, text, x == nil || isText
}

// literals checks the type of each argument that is a literal.
func (c *builtinCall) literals() {
	for _, p := range c.entry.Params {
		x := c.argument(p.Name)
		t := literalType(x)
		if t == "" || t == noneType && !p.Required() || p.Kind.Takes(t) {
			continue
		}
		c.complain(x, "", p.Name+": "+p.Kind.Mismatch(t))
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
		if b, ok := x.Binding.(*resolve.Binding); ok && b.Scope == resolve.Universal {
			return map[string]string{"True": "bool", "False": "bool", "None": noneType}[x.Name]
		}
	}
	return ""
}

// IsLiteral reports whether an expression says its value as a literal.
func IsLiteral(expr syntax.Expr) bool { return literalType(expr) != "" }

// backend returns the backend that a name stands for, if the script names its
// plugin: a step in a branch for another plugin is no mistake.
func (c *builtinCall) backend(expr syntax.Expr) *Backend {
	id, ok := expr.(*syntax.Ident)
	if !ok {
		return nil
	}
	b, ok := id.Binding.(*resolve.Binding)
	if !ok {
		return nil
	}
	if b.Scope == resolve.Global {
		return c.Values.Backend(c.fn.File, id.Name)
	}
	if from, name := c.fn.File.Loaded(b.First); from != nil {
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

// said checks an argument that is absent, or a text as a literal.
func (c *builtinCall) said(name string, flaw func(string) *lang.Misuse) {
	if x, text, seen := c.text(name); seen {
		c.complainOf(x, flaw(text))
	}
}

func (c *builtinCall) complainOf(at syntax.Expr, misuse *lang.Misuse) {
	if misuse != nil {
		c.complain(at, misuse.Fix, misuse.Message)
	}
}

// generates checks the kind of a value that is generated, where the script says
// which backends it is for.
func (c *builtinCall) generates() {
	x, kind, seen := c.text("kind")
	if !seen {
		return
	}
	of := slices.DeleteFunc(slices.Clone(c.targets()), func(to *Backend) bool { return len(to.Desc.Kinds) == 0 })
	has := slices.ContainsFunc(of, func(to *Backend) bool { return to.Desc.HasKind(kind) })
	if len(of) == 0 || has || kind == "" && c.argument("generator") == nil {
		return
	}
	names := of[0].Kinds()
	c.complain(x, diag.DidYouMean(kind, names),
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
	for _, x := range names {
		if to := c.backend(x); to != nil {
			all = append(all, to)
		}
	}
	return all
}
