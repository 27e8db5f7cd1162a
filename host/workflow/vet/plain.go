package vet

import (
	"slices"

	"go.starlark.net/resolve"
	"go.starlark.net/syntax"

	"github.com/rekey-host/rekey/host/workflow/lang"
	"github.com/rekey-host/rekey/host/workflow/tree"
)

// A value given to a step as a password without being a secret stands in
// clear in the ledger: in the row of the user, in the script, or among the
// parameters. It is seen in the text here, as far as it stands there.

// plainUse says where a password outside secrets comes from: a column, or the
// script itself.
type plainUse struct {
	column string
	text   bool
}

// checkPasswords looks at the values that a step is given.
func checkPasswords(within *body, entry *lang.Entry, site tree.Site) {
	for _, name := range []string{"value", "new", "old"} {
		if entry.Index(name) < 0 {
			continue
		}
		expr := site.Argument(entry, name)
		if expr == nil {
			continue
		}
		warnPlain(within, entry, expr)
		hashed(within, site.Argument(entry, "hash_format"), expr)
		uses(within, expr, name != "old" && verb(entry) != "verify")
	}
}

// warnPlain warns of a password outside secrets.
func warnPlain(within *body, entry *lang.Entry, expr syntax.Expr) {
	message, fix := "", ""
	switch use := plain(within, expr, maxChain); {
	case use.column != "":
		fix = "add secrets = [" + quoted(use.column) + "] to the source"
		message = "column " + quoted(use.column) + " is used as a password and is not among secrets: it stands in the ledger in clear"
	case use.text:
		fix = "use step.generate(), or a column that secrets = names"
		message = "a text of the script or of a parameter is used as a password: it stands in the ledger in clear, and is the same for everybody"
	default:
		return
	}
	within.warn(within.fn.File.Problem(syntax.Start(expr), fix, "%s: %s", entry.Name, message))
}

// maxChain is how many names are followed from one to the next.
const maxChain = 8

// plain returns the kind of an expression, unless it is a secret.
func plain(within *body, expr syntax.Expr, left int) plainUse {
	if column := within.columnOf(expr); column != "" && !within.columns.isSecret(column) {
		return plainUse{column: column}
	}
	switch x := tree.Unhidden(expr).(type) {
	case *syntax.ParenExpr:
		return plain(within, x.X, left)
	case *syntax.Literal:
		text, is := x.Value.(string)
		return plainUse{text: is && text != ""}
	case *syntax.BinaryExpr: // a secret is in no such operation
		return plainMade(within, x, left)
	case *syntax.Ident:
		return plainNamed(within, x, left)
	}
	return plainUse{}
}

// plainMade is what "Init-" + user.login is.
func plainMade(within *body, node *syntax.BinaryExpr, left int) plainUse {
	if node.Op != syntax.PLUS && node.Op != syntax.PERCENT {
		return plainUse{}
	}
	use := plain(within, node.X, left)
	if use.column != "" {
		return use
	}
	if other := plain(within, node.Y, left); other.column != "" {
		return other
	}
	return use
}

// plainNamed follows a name to its value, if bound once.
func plainNamed(within *body, id *syntax.Ident, left int) plainUse {
	binding, ok := id.Binding.(*resolve.Binding)
	if !ok || left == 0 {
		return plainUse{}
	}
	if binding.Scope == resolve.Global {
		return plainUse{text: within.Values.Text(within.fn.File, id.Name) != ""}
	}
	var to syntax.Expr
	times := 0
	within.assigned(func(other *syntax.Ident, expr syntax.Expr) {
		if tree.First(other) == binding.First {
			to = expr
			times++
		}
	})
	if times != 1 || to == nil {
		return plainUse{}
	}
	return plain(within, to, left-1)
}

// hashed notes the form of the hashes in the columns of a value, as far as it
// stands there.
func hashed(within *body, form, expr syntax.Expr) {
	text := ""
	if form != nil {
		said, is := tree.Text(form)
		if id, named := tree.Unhidden(form).(*syntax.Ident); !is && named {
			said = globalText(within, id)
			is = said != ""
		}
		if text = said; !is {
			text = mixedForms
		}
	}
	for _, column := range columnsOf(within, expr, map[*syntax.Ident]bool{}) {
		within.found.holds(column, text)
	}
}

// globalText is the text of a name of the top level, such as a parameter.
func globalText(within *body, id *syntax.Ident) string {
	if binding, ok := id.Binding.(*resolve.Binding); ok && binding.Scope == resolve.Global {
		return within.Values.Text(within.fn.File, id.Name)
	}
	return ""
}

// uses notes the columns of a password, and whether users get it.
func uses(within *body, expr syntax.Expr, given bool) {
	for _, column := range columnsOf(within, expr, map[*syntax.Ident]bool{}) {
		if given {
			addOnce(&within.found.Given, column)
		}
		addOnce(&within.found.Used, column)
	}
	if column := plain(within, expr, maxChain).column; column != "" { // a part of it
		addOnce(&within.found.Used, column)
	}
}

func addOnce(list *[]string, column string) {
	if !slices.Contains(*list, column) {
		*list = append(*list, column)
	}
}

// columnsOf returns the columns that an expression may be: user.password or
// step.generate() is one of them. Names that were seen have been followed.
func columnsOf(within *body, expr syntax.Expr, seen map[*syntax.Ident]bool) []string {
	if column := within.columnOf(expr); column != "" {
		return []string{column}
	}
	if id, ok := tree.Unhidden(expr).(*syntax.Ident); ok {
		return columnsNamed(within, id, seen)
	}
	var list []string
	for _, part := range choices(tree.Unhidden(expr)) {
		list = append(list, columnsOf(within, part, seen)...)
	}
	return list
}

// columnsNamed are those of what a name is bound to.
func columnsNamed(within *body, id *syntax.Ident, seen map[*syntax.Ident]bool) (list []string) {
	binding, ok := id.Binding.(*resolve.Binding)
	if !ok || binding.Scope == resolve.Global || seen[binding.First] {
		return nil
	}
	seen[binding.First] = true
	within.assigned(func(other *syntax.Ident, to syntax.Expr) {
		if tree.First(other) == binding.First && to != nil {
			list = append(list, columnsOf(within, to, seen)...)
		}
	})
	return list
}
