package workflow

import (
	"fmt"
	"maps"
	"strings"

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
	names     map[*lang.Entry]*builtin
	method    func(name string, recv starlark.Value) starlark.Value // makes one of a value
	// standIn makes a value to go on with after a problem has been noted; nil
	// where none can be made.
	standIn func(lang.Kind) starlark.Value
}

// predeclared are the names that a script finds in its scope.
func (l *language) predeclared() starlark.StringDict {
	stringDict := measuredNames()
	if coverage := l.in.opts.Coverage; coverage != nil {
		maps.Copy(stringDict, coverage.names())
	}
	for _, entry := range l.Entries() {
		if entry.InScope() {
			stringDict[entry.Name] = l.names[entry]
		}
	}
	return stringDict
}

func (l *language) builtin(entry *lang.Entry, recv starlark.Value) *builtin {
	return &builtin{lang: l, entry: entry, call: l.functions[entry.Name], recv: recv}
}

// bind makes the builtins of all names, each with its members: hooks look them up
// for every user.
func (l *language) bind() {
	l.names = map[*lang.Entry]*builtin{}
	for _, entry := range l.Entries() {
		l.names[entry] = l.builtin(entry, nil)
	}
	for _, entry := range l.Entries() {
		of, name, dotted := strings.Cut(entry.Name, ".")
		if owner := l.Lookup(of); dotted && owner != nil {
			l.names[owner].add(name, l.names[entry])
		}
	}
}

// builtin is a name of the table as a value: called, looked into, or both.
type builtin struct {
	lang    *language
	entry   *lang.Entry
	call    function       // nil: it is not called
	recv    starlark.Value // of a method
	members map[string]*builtin
}

func (b *builtin) add(name string, member *builtin) {
	if b.members == nil {
		b.members = map[string]*builtin{}
	}
	b.members[name] = member
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

// AttrNames returns the members that exist already.
func (b *builtin) AttrNames() []string { return b.lang.Members(b.entry.Name) }

// Attr returns a member of the namespace.
func (b *builtin) Attr(name string) (starlark.Value, error) {
	if builtin := b.members[name]; builtin != nil {
		return builtin, nil
	}
	return nil, b.lang.NoMember(b.entry.Name, name)
}

// CallInternal calls the builtin.
func (b *builtin) CallInternal(thread *starlark.Thread, args starlark.Tuple, kwargs []starlark.Tuple) (result starlark.Value, err error) {
	entry := b.entry
	defer func() {
		if value := recover(); value != nil {
			result, err = nil, fmt.Errorf("%s: defect in rekey: %v", entry.Name, value)
		}
	}()
	state := stateOf(thread)
	switch {
	case entry.Later != "":
		return nil, entry.ComesLater()
	case b.call == nil:
		return nil, lang.Mistake(entry.Name+" is not called by itself", "use "+lang.Listed(lang.Prefixed(entry.Name+".", b.AttrNames())))
	case entry.At&state.phase == 0:
		return nil, entry.Misplaced(state.phase, state.hook)
	}
	given := state.take()
	given.in, given.state, given.entry, given.recv, given.thread, given.method = b.lang.in, state, entry, b.recv, thread, b.lang.method
	given.unpack(args, kwargs)
	if len(given.problems) == 0 || entry.Name == "workflow" { // which says everything at once
		result, err = b.call(given)
	} else {
		result = b.lang.standIn(entry.Gives)
	}
	result, err = given.end(result, err)
	state.give(given)
	return result, err
}
