package workflow

import (
	"fmt"
	"strconv"
	"strings"

	"go.starlark.net/starlark"
	"go.starlark.net/syntax"

	"github.com/rekey-host/rekey/host/internal/home"
	"github.com/rekey-host/rekey/host/source"
)

// language is the table in a form to look names up in.
type language struct {
	entries []entry
	byName  map[string]*entry
}

func newLanguage() *language {
	l := &language{entries: table(), byName: map[string]*entry{}}
	for i := range l.entries {
		l.byName[l.entries[i].name] = &l.entries[i]
	}
	return l
}

// members returns the names of the attributes of a namespace or builtin, those
// that come later left out.
func (l *language) members(of string) []string {
	var names []string
	for i := range l.entries {
		if rest, ok := strings.CutPrefix(l.entries[i].name, of+"."); ok && l.entries[i].later == "" {
			names = append(names, rest)
		}
	}
	return names
}

// predeclared are the names that a script finds in its scope.
func (l *language) predeclared() starlark.StringDict {
	d := bounded()
	for i := range l.entries {
		e := &l.entries[i]
		if l.inScope(e) {
			d[e.name] = &builtin{lang: l, entry: e}
		}
	}
	return d
}

// inScope reports whether a script can write the entry's name by itself. A
// hook's parameters and the hooks' own names are in the table for their
// documentation only.
func (l *language) inScope(e *entry) bool {
	if strings.Contains(e.name, ".") {
		return false
	}
	return e.call != nil || e.later != "" || e.at&atTop != 0 && len(e.params) == 0
}

// builtin is a name of the table as a value: called, looked into, or both.
type builtin struct {
	lang  *language
	entry *entry
	recv  starlark.Value // of a method
}

var (
	_ starlark.Callable = (*builtin)(nil)
	_ starlark.HasAttrs = (*builtin)(nil)
)

func (b *builtin) String() string        { return "<" + b.Type() + " " + b.entry.name + ">" }
func (b *builtin) Type() string          { return "builtin" }
func (b *builtin) Freeze()               {}
func (b *builtin) Truth() starlark.Bool  { return true }
func (b *builtin) Hash() (uint32, error) { return starlark.String(b.entry.name).Hash() }
func (b *builtin) Name() string          { return b.entry.name }
func (b *builtin) AttrNames() []string   { return b.lang.members(b.entry.name) }

// Attr returns a member of the namespace.
func (b *builtin) Attr(name string) (starlark.Value, error) {
	if e := b.lang.byName[b.entry.name+"."+name]; e != nil && strings.Contains(e.name, ".") {
		return &builtin{lang: b.lang, entry: e}, nil
	}
	return nil, b.lang.noMember(b.entry.name, name)
}

// noMember is the misuse of a name that a namespace does not have.
func (l *language) noMember(of, name string) error {
	return &misuse{message: fmt.Sprintf("%s has no %q", of, name), fix: didYouMean(name, l.members(of))}
}

// misuse is what a script does wrong, with what to do about it. Its position
// is that of the call or attribute which raised it.
type misuse struct{ message, fix string }

func (m *misuse) Error() string {
	if m.fix == "" {
		return m.message
	}
	return m.message + "; " + m.fix
}

// told ends an evaluation whose problems have all been noted.
type told struct{}

func (told) Error() string { return "see the problems above" }

// CallInternal calls the builtin.
func (b *builtin) CallInternal(thread *starlark.Thread, args starlark.Tuple, kwargs []starlark.Tuple) (result starlark.Value, err error) {
	e := b.entry
	defer func() {
		if r := recover(); r != nil {
			result, err = nil, fmt.Errorf("%s: defect in rekey: %v", e.name, r)
		}
	}()
	s := stateOf(thread)
	switch {
	case e.later != "":
		return nil, e.comesLater()
	case e.call == nil:
		return nil, &misuse{message: e.name + " is not called by itself", fix: "use " + listed(prefixed(e.name+".", b.lang.members(e.name)))}
	case e.at&s.phase == 0:
		return nil, e.misplaced(s)
	}
	c := &call{entry: e, recv: b.recv, thread: thread, state: s, args: make([]starlark.Value, len(e.params))}
	c.unpack(args, kwargs)
	if len(c.problems) == 0 || e.name == "workflow" { // which says everything at once
		result, err = e.call(c)
	} else {
		result = standIn(e.gives)
	}
	return c.end(result, err)
}

func prefixed(prefix string, names []string) []string {
	all := make([]string, len(names))
	for i, n := range names {
		all[i] = prefix + n
	}
	return all
}

func (e *entry) comesLater() error {
	return &misuse{message: e.name + " comes later", fix: "until then use " + e.later}
}

func (e *entry) misplaced(s *state) error {
	where := s.hook
	if s.phase == atTop {
		where = "the top level"
	}
	fix := "use it in " + e.at.String()
	if e.at == atTop {
		fix = "make it at top level and give it a name"
	}
	return &misuse{message: fmt.Sprintf("%s cannot be used in %s", e.name, where), fix: fix}
}

// standIn is a value to go on with after a problem has been noted; nil where
// there is none.
func standIn(k kind) starlark.Value {
	switch k {
	case kindNone:
		return starlark.None
	case kindSource:
		return &sourceValue{unknown: true}
	case kindBackend:
		return &backendValue{}
	case kindPolicy:
		return &policyValue{}
	case kindWave:
		return &waveValue{}
	case kindReport:
		return &reportValue{}
	case kindRef:
		return &refValue{}
	case kindText, kindDuration:
		return starlark.String("")
	case kindInt:
		return starlark.MakeInt(0)
	case kindBool:
		return starlark.False
	case kindTexts:
		return starlark.NewList(nil)
	}
	return nil
}

// call is one call of a builtin.
type call struct {
	entry  *entry
	recv   starlark.Value
	thread *starlark.Thread
	state  *state

	args []starlark.Value // by the table; nil: not given, or of another kind
	many starlark.Tuple   // of a *parameter
	more []starlark.Tuple // of a **parameter

	problems []source.Problem
	found    *site // the call in the script, once it was looked for
}

// unpack puts the arguments in the order of the table and notes what is wrong
// with any of them.
func (c *call) unpack(args starlark.Tuple, kwargs []starlark.Tuple) {
	e := c.entry
	if e.many != "" {
		c.many, args = args, nil
	}
	if len(args) > len(e.params) {
		c.bad("", "", "%d arguments, want at most %d", len(args), len(e.params))
		args = args[:len(e.params)]
	}
	copy(c.args, args)
	for _, kw := range kwargs {
		c.keyword(string(kw[0].(starlark.String)), kw)
	}
	for i, p := range e.params {
		c.check(i, p)
	}
}

func (c *call) keyword(name string, kw starlark.Tuple) {
	i := c.entry.index(name)
	switch {
	case i < 0 && c.entry.more != "":
		c.more = append(c.more, kw)
	case i < 0:
		c.bad(name, didYouMean(name, c.entry.paramNames()), "there is no argument %q", name)
	case c.args[i] != nil:
		c.bad(name, "", "%s is given twice", name)
	default:
		c.args[i] = kw[1]
	}
}

func (e *entry) index(name string) int {
	for i := range e.params {
		if e.params[i].name == name {
			return i
		}
	}
	return -1
}

// check notes a missing argument and one of another kind.
func (c *call) check(i int, p param) {
	v := c.args[i]
	switch {
	case v == nil && p.required():
		c.bad("", p.help(), "%s is missing", p.name)
	case v == nil:
	case v == starlark.None && p.def == "None":
		c.args[i] = nil
	case v == starlark.None && p.def == unset:
	case v == starlark.None && p.name == "quote": // its None is a value of its own
	case !p.kind.accepts(v):
		c.bad(p.name, "", "%s: %s", p.name, p.kind.mismatch(v))
		c.args[i] = nil
	}
}

// bad notes a problem of an argument, or of the call if the name is "".
func (c *call) bad(arg, fix, format string, args ...any) {
	x := source.Problem{Message: c.entry.name + ": " + fmt.Sprintf(format, args...), Fix: fix}
	x.File, x.Line, x.Column = c.place(arg)
	c.problems = append(c.problems, x)
}

// badValue is bad about what an argument says, not what it is: it is silent
// where that depends on a parameter that nobody gave yet.
func (c *call) badValue(arg, fix, format string, args ...any) {
	if !c.loose(arg) {
		c.bad(arg, fix, format, args...)
	}
}

// end turns what was noted into the call's result. At top level evaluation
// goes on to find more; in a hook it ends.
func (c *call) end(result starlark.Value, err error) (starlark.Value, error) {
	if len(c.problems) == 0 || err != nil {
		return result, err
	}
	if c.state.phase == atTop {
		c.state.in.note(c.problems...)
		if result == nil {
			return nil, told{}
		}
		return result, nil
	}
	if len(c.problems) == 1 {
		return nil, &misuse{message: c.problems[0].Message, fix: c.problems[0].Fix}
	}
	var texts []string
	for _, x := range c.problems {
		texts = append(texts, source.Problem{Message: x.Message, Fix: x.Fix}.String())
	}
	return nil, &misuse{message: strings.Join(texts, "; ")}
}

// site returns the call in the script; nil if it is none, as of a builtin that
// another calls.
func (c *call) site() *site {
	if c.found == nil {
		c.found = &site{}
		if c.thread.CallStackDepth() > 1 {
			c.found = c.state.in.siteAt(c.thread.CallFrame(1).Pos)
		}
	}
	return c.found
}

// place is where an argument stands, or the call.
func (c *call) place(arg string) (file string, line, column int) {
	s := c.site()
	if x := s.argument(c.entry, arg); x != nil {
		return s.file.place(syntax.Start(x))
	}
	if s.node != nil {
		return s.file.place(syntax.Start(s.node))
	}
	return "", 0, 0
}

// loose reports whether the argument depends on a parameter without a value.
func (c *call) loose(arg string) bool {
	s := c.site()
	return s.node != nil && s.file.argLoose(s.node, c.entry, arg)
}

// value returns an argument, nil if it is absent.
func (c *call) value(name string) starlark.Value { return c.args[c.entry.index(name)] }

// has reports whether the argument is given, and not as None.
func (c *call) has(name string) bool {
	v := c.value(name)
	return v != nil && v != starlark.None
}

// text returns an argument of kind string, or its default.
func (c *call) text(name string) string {
	i := c.entry.index(name)
	if s, ok := c.args[i].(starlark.String); ok {
		return string(s)
	}
	s, _ := strconv.Unquote(c.entry.params[i].def)
	return s
}

// path is text of an argument that names a file.
func (c *call) path(name string) string {
	path, err := home.Expand(c.text(name), c.state.in.opts.Home)
	if err != nil {
		c.badValue(name, "", "%s", err)
		return c.text(name)
	}
	return path
}

// texts returns an argument of kind list of strings; nil if it is absent.
func (c *call) texts(name string) []string {
	all, _ := elements(c.value(name))
	var texts []string
	for _, e := range all {
		texts = append(texts, string(e.(starlark.String)))
	}
	return texts
}

// number returns an argument of kind int, or its default, 0 for None. It notes
// one below least.
func (c *call) number(name string, least int) int {
	i := c.entry.index(name)
	v, ok := c.args[i].(starlark.Int)
	if !ok {
		n, _ := strconv.Atoi(c.entry.params[i].def)
		return n
	}
	n, err := starlark.AsInt32(v)
	switch {
	case err != nil:
		c.badValue(name, "", "%s = %s is too large", name, v)
	case n < least:
		c.badValue(name, "", "%s = %d: want at least %d", name, n, least)
	}
	return n
}

// choice returns an argument that is one of a few words.
func (c *call) choice(name string, words ...string) string {
	got := c.text(name)
	for _, w := range words {
		if got == w {
			return got
		}
	}
	c.badValue(name, didYouMean(got, words), "%s = %q: want %s", name, got, listed(quoted(words)))
	return words[0]
}

func quoted(words []string) []string {
	all := make([]string, len(words))
	for i, w := range words {
		all[i] = strconv.Quote(w)
	}
	return all
}
