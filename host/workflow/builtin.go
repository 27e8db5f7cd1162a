package workflow

import (
	"fmt"

	"go.starlark.net/starlark"

	"github.com/rekey-host/rekey/host/workflow/lang"
)

// function is what a name of the language does.
type function func(*arguments) (starlark.Value, error)

// language is the table with what its functions do, for one interp.
type language struct {
	*lang.Table
	in        *interp
	functions map[string]function // by the names of the table
	// standIn makes a value to go on with after a problem has been noted; nil
	// where there is none.
	standIn func(lang.Kind) starlark.Value
}

// predeclared are the names that a script finds in its scope.
func (l *language) predeclared() starlark.StringDict {
	d := measuredNames()
	for _, e := range l.Entries() {
		if e.InScope() {
			d[e.Name] = l.builtin(e, nil)
		}
	}
	return d
}

func (l *language) builtin(entry *lang.Entry, recv starlark.Value) *builtin {
	return &builtin{lang: l, entry: entry, recv: recv}
}

// method returns a function of the table that belongs to a value.
func (l *language) method(name string, recv starlark.Value) starlark.Value {
	return l.builtin(l.Lookup(name), recv)
}

// builtin is a name of the table as a value: called, looked into, or both.
type builtin struct {
	lang  *language
	entry *lang.Entry
	recv  starlark.Value // of a method
}

var (
	_ starlark.Callable = (*builtin)(nil)
	_ starlark.HasAttrs = (*builtin)(nil)
)

func (b *builtin) String() string        { return "<" + b.Type() + " " + b.entry.Name + ">" }
func (b *builtin) Type() string          { return "builtin" }
func (b *builtin) Freeze()               {}
func (b *builtin) Truth() starlark.Bool  { return true }
func (b *builtin) Hash() (uint32, error) { return starlark.String(b.entry.Name).Hash() }

// Name returns the name in the table.
func (b *builtin) Name() string { return b.entry.Name }

// AttrNames returns the members that are there already.
func (b *builtin) AttrNames() []string { return b.lang.Members(b.entry.Name) }

// Attr returns a member of the namespace.
func (b *builtin) Attr(name string) (starlark.Value, error) {
	if e := b.lang.Member(b.entry.Name, name); e != nil {
		return b.lang.builtin(e, nil), nil
	}
	return nil, b.lang.NoMember(b.entry.Name, name)
}

// CallInternal calls the builtin.
func (b *builtin) CallInternal(thread *starlark.Thread, args starlark.Tuple, kwargs []starlark.Tuple) (result starlark.Value, err error) {
	e := b.entry
	defer func() {
		if r := recover(); r != nil {
			result, err = nil, fmt.Errorf("%s: defect in rekey: %v", e.Name, r)
		}
	}()
	s := stateOf(thread)
	call := b.lang.functions[e.Name]
	switch {
	case e.Later != "":
		return nil, e.ComesLater()
	case call == nil:
		return nil, lang.Mistake(e.Name+" is not called by itself", "use "+lang.Listed(lang.Prefixed(e.Name+".", b.AttrNames())))
	case e.At&s.phase == 0:
		return nil, e.Misplaced(s.phase, s.hook)
	}
	given := &arguments{in: b.lang.in, state: s, entry: e, recv: b.recv, thread: thread, method: b.lang.method}
	given.unpack(args, kwargs)
	if len(given.problems) == 0 || e.Name == "workflow" { // which says everything at once
		result, err = call(given)
	} else {
		result = b.lang.standIn(e.Gives)
	}
	return given.end(result, err)
}
