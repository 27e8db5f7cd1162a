package vet

import (
	"slices"

	"go.starlark.net/resolve"
	"go.starlark.net/syntax"

	"github.com/rekey-host/rekey/host/workflow/tree"
)

// A value that is given to a step as a password and is no secret stands in
// clear in the ledger: in the row of the user, in the script, or among the
// parameters. That is seen in the text here, as far as it stands there.

// plainUse says where a password comes from that is no secret: a column, or the
// script itself.
type plainUse struct {
	column string
	text   bool
}

// passwords looks at the values that a step is given.
func (c *builtinCall) passwords() {
	for _, name := range []string{"value", "new", "old"} {
		if c.entry.Index(name) < 0 {
			continue
		}
		x := c.argument(name)
		if x == nil {
			continue
		}
		warnPlain(c, x)
		hashed(c, x)
		uses(c, x, name != "old" && verb(c.entry) != "verify")
	}
}

// warnPlain warns of a password that is no secret.
func warnPlain(c *builtinCall, x syntax.Expr) {
	message, fix := "", ""
	switch use := plain(c.body, x, maxChain); {
	case use.column != "":
		fix = "add secrets = [" + quoted(use.column) + "] to the source"
		message = "column " + quoted(use.column) + " is used as a password and is not among secrets: it stands in the ledger in clear"
	case use.text:
		fix = "use step.generate(), or a column that secrets = names"
		message = "a text of the script or of a parameter is used as a password: it stands in the ledger in clear, and is the same for everybody"
	default:
		return
	}
	c.warn(c.fn.File.Problem(syntax.Start(x), fix, "%s: %s", c.entry.Name, message))
}

// maxChain is how many names are followed from one to the next.
const maxChain = 8

// plain returns what an expression is, if it is no secret.
func plain(b *body, x syntax.Expr, left int) plainUse {
	if column := b.columnOf(x); column != "" && !b.columns.isSecret(column) {
		return plainUse{column: column}
	}
	switch x := tree.Unhidden(x).(type) {
	case *syntax.ParenExpr:
		return plain(b, x.X, left)
	case *syntax.Literal:
		text, is := x.Value.(string)
		return plainUse{text: is && text != ""}
	case *syntax.BinaryExpr: // a secret is in no such operation
		return plainMade(b, x, left)
	case *syntax.Ident:
		return plainNamed(b, x, left)
	}
	return plainUse{}
}

// plainMade is what "Init-" + user.login is.
func plainMade(b *body, x *syntax.BinaryExpr, left int) plainUse {
	if x.Op != syntax.PLUS && x.Op != syntax.PERCENT {
		return plainUse{}
	}
	use := plain(b, x.X, left)
	if use.column != "" {
		return use
	}
	if other := plain(b, x.Y, left); other.column != "" {
		return other
	}
	return use
}

// plainNamed follows a name to what it is bound to, if that is once.
func plainNamed(b *body, id *syntax.Ident, left int) plainUse {
	binding, ok := id.Binding.(*resolve.Binding)
	if !ok || left == 0 {
		return plainUse{}
	}
	if binding.Scope == resolve.Global {
		return plainUse{text: b.Values.IsText(b.fn.File, id.Name)}
	}
	var to syntax.Expr
	times := 0
	b.assigned(func(other *syntax.Ident, x syntax.Expr) {
		if tree.First(other) == binding.First {
			to = x
			times++
		}
	})
	if times != 1 || to == nil {
		return plainUse{}
	}
	return plain(b, to, left-1)
}

// mixedForms is the form of a column that holds more than one.
const mixedForms = "mixed"

// hashed notes the form of the hashes in the columns of a value, as far as it
// stands there.
func hashed(c *builtinCall, x syntax.Expr) {
	text := ""
	if form := c.argument("hash_format"); form != nil {
		said, is := tree.Text(form)
		if text = said; !is {
			text = mixedForms
		}
	}
	for _, column := range columnsOf(c.body, x, maxChain) {
		c.found.holds(column, text)
	}
}

// uses notes the columns of a password, and whether users get it.
func uses(c *builtinCall, x syntax.Expr, given bool) {
	for _, column := range columnsOf(c.body, x, maxChain) {
		if given {
			addOnce(&c.found.Given, column)
		}
		addOnce(&c.found.Used, column)
	}
	if column := plain(c.body, x, maxChain).column; column != "" { // a part of it
		addOnce(&c.found.Used, column)
	}
}

func addOnce(list *[]string, column string) {
	if !slices.Contains(*list, column) {
		*list = append(*list, column)
	}
}

// columnsOf returns the columns that an expression may be: user.password or
// step.generate() is one of them.
func columnsOf(b *body, x syntax.Expr, left int) []string {
	if column := b.columnOf(x); column != "" {
		return []string{column}
	}
	if left == 0 {
		return nil
	}
	if id, ok := tree.Unhidden(x).(*syntax.Ident); ok {
		return columnsNamed(b, id, left-1)
	}
	var list []string
	for _, part := range choices(tree.Unhidden(x)) {
		list = append(list, columnsOf(b, part, left-1)...)
	}
	return list
}

// columnsNamed are those of what a name is bound to.
func columnsNamed(b *body, id *syntax.Ident, left int) (list []string) {
	binding, ok := id.Binding.(*resolve.Binding)
	if !ok || binding.Scope == resolve.Global {
		return nil
	}
	b.assigned(func(other *syntax.Ident, x syntax.Expr) {
		if tree.First(other) == binding.First && x != nil {
			list = append(list, columnsOf(b, x, left)...)
		}
	})
	return list
}
