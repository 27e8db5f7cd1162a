package workflow

import (
	"fmt"
	"slices"
	"strings"

	"go.starlark.net/resolve"
	"go.starlark.net/starlark"
	"go.starlark.net/syntax"

	"github.com/rekey-host/rekey/sdk"
)

// A plan tries rotate on one user of each wave and so comes by some of its
// steps only. What can be seen in the text of all others is checked here: the
// types of literals, and, where the script says in so many words which plugin
// a backend is, whether that can do the step.

// literals checks the type of each argument that is a literal.
func (b *body) literals(n *syntax.CallExpr, e *entry) {
	s := &site{file: b.fn.file, node: n}
	for _, p := range e.params {
		x := argumentOf(s, e, p.name)
		v := literal(x)
		if v == nil || v == starlark.None && !p.required() || p.kind.accepts(v) {
			continue
		}
		b.note(b.fn.file.problem(syntax.Start(x), "", "%s: %s: %s", e.name, p.name, p.kind.mismatch(v)))
	}
}

// argumentOf returns the expression of an argument, or nil.
func argumentOf(s *site, e *entry, name string) syntax.Expr {
	x := s.argument(e, name)
	if kw, ok := keywordOf(x); ok && kw == name {
		return x.(*syntax.BinaryExpr).Y
	}
	return x
}

// literal returns the value that an expression is in so many words; nil: it is
// none.
func literal(x syntax.Expr) starlark.Value {
	switch x := x.(type) {
	case *syntax.Literal:
		switch v := x.Value.(type) {
		case string:
			if x.Token == syntax.STRING {
				return starlark.String(v)
			}
		case int64:
			return starlark.MakeInt64(v)
		case float64:
			return starlark.Float(v)
		}
	case *syntax.Ident:
		b, ok := x.Binding.(*resolve.Binding)
		if ok && b.Scope == resolve.Universal {
			return map[string]starlark.Value{"True": starlark.True, "False": starlark.False, "None": starlark.None}[x.Name]
		}
	}
	return nil
}

// able checks a step against what its backend says of itself.
func (b *body) able(n *syntax.CallExpr, e *entry) {
	s := &site{file: b.fn.file, node: n}
	to := b.fn.file.backend(argumentOf(s, e, "backend"))
	if to == nil {
		return
	}
	note := func(at syntax.Expr, fix, format string, args ...any) {
		b.note(b.fn.file.problem(syntax.Start(at), fix, "%s: %s", e.name, fmt.Sprintf(format, args...)))
	}
	verb := strings.TrimPrefix(strings.TrimPrefix(e.name, "step."), "try_")
	if !to.can(verb) {
		note(n, "", "backend %q (%s) cannot %s", to.spec.Label, to.desc.Name, verb)
		return
	}
	b.kind(s, e, to, note)
	if form := argumentOf(s, e, "hash_format"); form != nil {
		text, isText := literal(form).(starlark.String)
		if m := to.noHashFormat(string(text)); isText && m != nil {
			note(form, m.fix, "%s", m.message)
		}
	}
	options, _ := argumentOf(s, e, "options").(*syntax.DictExpr)
	if options == nil {
		return
	}
	for _, entry := range options.List {
		key := entry.(*syntax.DictEntry).Key
		text, isText := literal(key).(starlark.String)
		if m := to.noOption(string(text)); isText && m != nil {
			note(key, m.fix, "%s", m.message)
		}
	}
}

// generates checks the kind of a value that is generated, where the script says
// which backends it is for.
func (b *body) generates(n *syntax.CallExpr, e *entry) {
	s := &site{file: b.fn.file, node: n}
	kind := argumentOf(s, e, "kind")
	text, isText := literal(kind).(starlark.String)
	if kind != nil && !isText {
		return
	}
	of := slices.DeleteFunc(slices.Clone(b.targets(s, e)), func(to *backendValue) bool { return len(to.desc.Kinds) == 0 })
	has := slices.ContainsFunc(of, func(to *backendValue) bool { return to.desc.HasKind(string(text)) })
	if len(of) == 0 || has || text == "" && argumentOf(s, e, "generator") == nil {
		return
	}
	at, names := syntax.Expr(n), kindNames(of[0].desc)
	if kind != nil {
		at = kind
	}
	b.note(b.fn.file.problem(syntax.Start(at), didYouMean(string(text), names), "%s: backend %q has no credential of kind %q; it has %s",
		e.name, of[0].spec.Label, string(text), strings.Join(names, ", ")))
}

// targets are the backends that a generated value is for, as far as they stand
// in the script by name.
func (b *body) targets(s *site, e *entry) []*backendValue {
	list, _ := argumentOf(s, e, "targets").(*syntax.ListExpr)
	names := []syntax.Expr{argumentOf(s, e, "generator")}
	switch {
	case names[0] != nil:
	case list != nil:
		names = list.List
	case argumentOf(s, e, "targets") == nil && !b.in.anyUnnamed():
		return b.in.backends
	}
	var all []*backendValue
	for _, x := range names {
		if to := b.fn.file.backend(x); to != nil {
			all = append(all, to)
		}
	}
	return all
}

// anyUnnamed reports whether the script leaves open which plugin a backend is.
func (in *interp) anyUnnamed() bool {
	return slices.ContainsFunc(in.backends, func(b *backendValue) bool { return !b.known || !b.named })
}

// kind checks which credential a step is about.
func (b *body) kind(s *site, e *entry, to *backendValue, note func(syntax.Expr, string, string, ...any)) {
	if e.index("kind") < 0 {
		return
	}
	x := argumentOf(s, e, "kind")
	text, isText := literal(x).(starlark.String)
	if x != nil && !isText || to.desc.HasKind(string(text)) {
		return
	}
	at, names := x, kindNames(to.desc)
	if x == nil {
		at = s.node
	}
	fix := "it has " + strings.Join(names, ", ")
	if near := didYouMean(string(text), names); near != "" {
		fix = near
	}
	if len(names) == 0 {
		fix = "it has only one, without a kind"
	}
	note(at, fix, "backend %q has no credential of kind %q", to.spec.Label, string(text))
}

// can reports whether the plugin can do a step.
func (b *backendValue) can(verb string) bool {
	switch verb {
	case "set":
		return b.desc.Does(sdk.Set)
	case "change":
		return b.desc.Does(sdk.Change)
	case "reset":
		return b.desc.Can(sdk.CanReset)
	case "unlock":
		return b.desc.Can(sdk.CanUnlock)
	case "verify":
		return b.desc.Can(sdk.CanVerify)
	case "find":
		return b.desc.Can(sdk.CanFind)
	}
	return true
}

// noHashFormat is the misuse of a form of hashes that the plugin does not
// take; nil: it does, or nothing is known of it.
func (b *backendValue) noHashFormat(form string) *misuse {
	if form == "" || !b.known || slices.Contains(b.desc.HashFormats, form) {
		return nil
	}
	fix := didYouMean(form, b.desc.HashFormats)
	if fix == "" {
		fix = "it takes " + listed(quoted(b.desc.HashFormats))
	}
	return &misuse{fmt.Sprintf("backend %q takes no hash of the form %q", b.spec.Label, form), fix}
}

// noOption is the misuse of an option that the plugin does not have.
func (b *backendValue) noOption(name string) *misuse {
	names := fieldNames(b.desc.Options)
	if slices.Contains(names, name) {
		return nil
	}
	fix := didYouMean(name, names)
	if fix == "" && len(names) > 0 {
		fix = "it has " + strings.Join(names, ", ")
	}
	return &misuse{fmt.Sprintf("backend %q has no option %q", b.spec.Label, name), fix}
}

// backend returns the backend that a name stands for, if the script names its
// plugin: a step in a branch for another plugin is no mistake.
func (f *file) backend(x syntax.Expr) *backendValue {
	id, ok := x.(*syntax.Ident)
	if !ok {
		return nil
	}
	v, _ := f.global(id).(*backendValue)
	if v == nil || !v.known || !v.named {
		return nil
	}
	return v
}

// global returns the value that a name has at top level; nil: it is a
// function's own, or there is none.
func (f *file) global(id *syntax.Ident) starlark.Value {
	b, ok := id.Binding.(*resolve.Binding)
	if !ok {
		return nil
	}
	if b.Scope == resolve.Global {
		return f.globals[id.Name]
	}
	for _, s := range f.tree.Stmts {
		l, ok := s.(*syntax.LoadStmt)
		if !ok {
			continue
		}
		i := slices.Index(l.To, b.First)
		if from := f.loads[l.ModuleName()]; i >= 0 && from != nil {
			return from.globals[l.From[i].Name]
		}
	}
	return nil
}
