package workflow

import (
	"slices"

	"go.starlark.net/resolve"
	"go.starlark.net/starlark"
	"go.starlark.net/syntax"
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
func (b *body) passwords(n *syntax.CallExpr, e *entry) {
	s := &site{file: b.fn.file, node: n}
	for _, name := range []string{"value", "new", "old"} {
		if e.index(name) < 0 {
			continue
		}
		x := argumentOf(s, e, name)
		if x == nil {
			continue
		}
		b.plainly(e, x)
		b.hashed(x, argumentOf(s, e, "hash_format"))
		b.uses(x, name != "old" && e.name != "step.verify" && e.name != "step.try_verify")
	}
}

// plainly warns of a password that is no secret.
func (b *body) plainly(e *entry, x syntax.Expr) {
	switch use := b.plain(x, maxChain); {
	case use.column != "":
		b.warn(x, "add secrets = ["+quoted([]string{use.column})[0]+"] to the source", e.name+": column "+quoted([]string{use.column})[0]+
			" is used as a password and is not among secrets: it stands in the ledger in clear")
	case use.text:
		b.warn(x, "use step.generate(), or a column that secrets = names", e.name+
			": a text of the script or of a parameter is used as a password: it stands in the ledger in clear, and is the same for everybody")
	}
}

// warn notes a warning once.
func (b *body) warn(x syntax.Expr, fix, message string) {
	p := b.fn.file.problem(syntax.Start(x), fix, "%s", message)
	if w := b.in.workflow; !slices.Contains(w.Warnings, p) {
		w.Warnings = append(w.Warnings, p)
	}
}

// maxChain is how many names are followed from one to the next.
const maxChain = 8

// plain returns what an expression is, if it is no secret.
func (b *body) plain(x syntax.Expr, left int) plainUse {
	if column := b.columnOf(x); column != "" && !b.isSecret(column) {
		return plainUse{column: column}
	}
	switch x := unhidden(x).(type) {
	case *syntax.ParenExpr:
		return b.plain(x.X, left)
	case *syntax.Literal:
		text, is := x.Value.(string)
		return plainUse{text: is && text != ""}
	case *syntax.BinaryExpr: // a secret is in no such operation
		return b.made(x, left)
	case *syntax.Ident:
		return b.named(x, left)
	}
	return plainUse{}
}

// made is what "Init-" + user.login is.
func (b *body) made(x *syntax.BinaryExpr, left int) plainUse {
	if x.Op != syntax.PLUS && x.Op != syntax.PERCENT {
		return plainUse{}
	}
	for _, side := range []syntax.Expr{x.X, x.Y} {
		if use := b.plain(side, left); use.column != "" {
			return use
		}
	}
	return b.plain(x.X, left)
}

// named follows a name to what it is bound to, if that is once.
func (b *body) named(id *syntax.Ident, left int) plainUse {
	binding, ok := id.Binding.(*resolve.Binding)
	if !ok || left == 0 {
		return plainUse{}
	}
	if binding.Scope == resolve.Global {
		text, is := b.fn.file.globals[id.Name].(starlark.String)
		return plainUse{text: is && text != ""}
	}
	var to syntax.Expr
	times := 0
	b.assigned(func(other *syntax.Ident, x syntax.Expr) {
		if first(other) == binding.First {
			to = x
			times++
		}
	})
	if times != 1 || to == nil {
		return plainUse{}
	}
	return b.plain(to, left-1)
}

// columnOf returns the column that an expression is of a user; "" if it is none
// that is known.
func (b *body) columnOf(x syntax.Expr) string {
	if b.columns == nil {
		return ""
	}
	name := ""
	switch x := unhidden(x).(type) {
	case *syntax.DotExpr:
		if b.role(x.X) == roleUser {
			name = x.Name.Name
		}
	case *syntax.IndexExpr:
		if text, ok := x.Y.(*syntax.Literal); ok && text.Token == syntax.STRING && b.role(x.X) == roleUser {
			name = text.Value.(string)
		}
	}
	if _, known := b.columns.index[name]; !known {
		return ""
	}
	return name
}

// mixedForms is the form of a column that holds more than one.
const mixedForms = "mixed"

// hashed notes the form of the hashes in the columns of a value, as far as it stands there.
func (b *body) hashed(x, form syntax.Expr) {
	text := ""
	if form != nil {
		said, is := literal(form).(starlark.String)
		if text = string(said); !is {
			text = mixedForms
		}
	}
	for _, column := range b.columnsOf(x, maxChain) {
		b.in.workflow.holds(column, text)
	}
}

// holds notes the form of what is in a column; "": plain values.
func (w *Workflow) holds(column, form string) {
	if w.Forms == nil {
		w.Forms = map[string]string{}
	}
	if before, known := w.Forms[column]; known && before != form {
		form = mixedForms
	}
	w.Forms[column] = form
}

// uses notes the columns of a password, and whether users get it.
func (b *body) uses(x syntax.Expr, given bool) {
	w := b.in.workflow
	for _, column := range b.columnsOf(x, maxChain) {
		if given && !slices.Contains(w.Given, column) {
			w.Given = append(w.Given, column)
		}
		w.use(column)
	}
	if column := b.plain(x, maxChain).column; column != "" { // a part of it
		w.use(column)
	}
}

func (w *Workflow) use(column string) {
	if !slices.Contains(w.Used, column) {
		w.Used = append(w.Used, column)
	}
}

// columnsOf returns the columns that an expression may be: user.password or
// step.generate() is one of them.
func (b *body) columnsOf(x syntax.Expr, left int) []string {
	if column := b.columnOf(x); column != "" {
		return []string{column}
	}
	if left == 0 {
		return nil
	}
	switch x := unhidden(x).(type) {
	case *syntax.ParenExpr:
		return b.columnsOf(x.X, left-1)
	case *syntax.CondExpr:
		return append(b.columnsOf(x.True, left-1), b.columnsOf(x.False, left-1)...)
	case *syntax.BinaryExpr:
		if x.Op == syntax.OR || x.Op == syntax.AND {
			return append(b.columnsOf(x.X, left-1), b.columnsOf(x.Y, left-1)...)
		}
	case *syntax.Ident:
		return b.columnsNamed(x, left-1)
	}
	return nil
}

// columnsNamed are those of what a name is bound to.
func (b *body) columnsNamed(id *syntax.Ident, left int) (list []string) {
	binding, ok := id.Binding.(*resolve.Binding)
	if !ok || binding.Scope == resolve.Global {
		return nil
	}
	b.assigned(func(other *syntax.Ident, x syntax.Expr) {
		if first(other) == binding.First && x != nil {
			list = append(list, b.columnsOf(x, left)...)
		}
	})
	return list
}
