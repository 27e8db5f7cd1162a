package workflow

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"go.starlark.net/starlark"
	"go.starlark.net/syntax"

	"github.com/rekey-host/rekey/host/diag"
	"github.com/rekey-host/rekey/host/internal/home"
	"github.com/rekey-host/rekey/host/workflow/lang"
	"github.com/rekey-host/rekey/host/workflow/tree"
)

// arguments are what one call of a builtin was given, in the order of the
// table. They note what is wrong with any of them.
type arguments struct {
	in     *interp
	state  *state
	entry  *lang.Entry
	recv   starlark.Value // of a method
	thread *starlark.Thread
	method func(name string, recv starlark.Value) starlark.Value // makes one of a value

	args []starlark.Value // by the table; nil: not given, or of another kind
	many starlark.Tuple   // of a *parameter
	more []starlark.Tuple // of a **parameter

	problems []diag.Problem
	found    *tree.Site // the call in the script, once it was looked for
}

// unpack puts the arguments in the order of the table and notes what is wrong
// with any of them.
func (a *arguments) unpack(args starlark.Tuple, kwargs []starlark.Tuple) {
	e := a.entry
	a.args = slices.Grow(a.args[:0], len(e.Params))[:len(e.Params)]
	if e.Many != "" {
		a.many, args = args, nil
	}
	if len(args) > len(e.Params) {
		a.bad("", "", "%d arguments, want at most %d", len(args), len(e.Params))
		args = args[:len(e.Params)]
	}
	copy(a.args, args)
	for _, kw := range kwargs {
		a.keyword(string(kw[0].(starlark.String)), kw)
	}
	for i := range e.Params {
		if a.args[i] != nil || e.Params[i].Required() {
			a.check(i, e.Params[i])
		}
	}
}

func (a *arguments) keyword(name string, kw starlark.Tuple) {
	i := a.entry.Index(name)
	switch {
	case i < 0 && a.entry.More != "":
		a.more = append(a.more, kw)
	case i < 0:
		a.bad(name, diag.DidYouMean(name, a.entry.ParamNames()), "there is no argument %q", name)
	case a.args[i] != nil:
		a.bad(name, "", "%s is given twice", name)
	default:
		a.args[i] = kw[1]
	}
}

// check notes a missing argument and one of another kind.
func (a *arguments) check(i int, param lang.Param) {
	v := a.args[i]
	switch {
	case v == nil && param.Required():
		a.bad("", param.Help(), "%s is missing", param.Name)
	case v == nil:
	case v == starlark.None && param.Default == "None":
		a.args[i] = nil
	case v == starlark.None && param.TakesNone():
	case !accepts(param.Kind, v):
		a.bad(param.Name, "", "%s: %s", param.Name, mismatch(param.Kind, v))
		a.args[i] = nil
	}
}

// bad notes a problem of an argument, or of the call if the name is "".
func (a *arguments) bad(arg, fix, format string, args ...any) {
	x := diag.Problem{Message: a.entry.Name + ": " + fmt.Sprintf(format, args...), Fix: fix}
	x.File, x.Line, x.Column = a.place(arg)
	a.problems = append(a.problems, x)
}

// badValue is bad about what an argument says, not what it is: it is silent
// where that depends on a parameter that nobody gave yet.
func (a *arguments) badValue(arg, fix, format string, args ...any) {
	if !a.loose(arg) {
		a.bad(arg, fix, format, args...)
	}
}

// warn notes what is no problem yet.
func (a *arguments) warn(arg, fix, format string, args ...any) {
	n := len(a.problems)
	a.bad(arg, fix, format, args...)
	a.in.spec.Warnings = append(a.in.spec.Warnings, a.problems[n])
	a.problems = a.problems[:n]
}

// misuse is the error of a call that cannot be done.
func (a *arguments) misuse(format string, args ...any) error {
	return &lang.Misuse{Message: a.entry.Name + ": " + fmt.Sprintf(format, args...)}
}

// end turns what was noted into the call's result. At top level evaluation
// goes on to find more; in a hook it ends.
func (a *arguments) end(result starlark.Value, err error) (starlark.Value, error) {
	if len(a.problems) == 0 || err != nil {
		return result, err
	}
	if a.state.phase == lang.AtTop {
		a.in.notes.add(a.problems...)
		if result == nil {
			return nil, told{}
		}
		return result, nil
	}
	if len(a.problems) == 1 {
		return nil, lang.Mistake(a.problems[0].Message, a.problems[0].Fix)
	}
	var texts []string
	for _, x := range a.problems {
		texts = append(texts, diag.Problem{Message: x.Message, Fix: x.Fix}.String())
	}
	return nil, lang.Mistake(strings.Join(texts, "; "), "")
}

// site returns the call in the script; the zero Site if it is none, as of a
// builtin that another calls.
func (a *arguments) site() tree.Site {
	if a.found == nil {
		a.found = &tree.Site{}
		if a.thread.CallStackDepth() > 1 {
			*a.found = a.in.siteAt(a.thread.CallFrame(1).Pos)
		}
	}
	return *a.found
}

// place is where an argument stands, or the call.
func (a *arguments) place(arg string) (file string, line, column int) {
	s := a.site()
	if x := s.Written(a.entry, arg); x != nil {
		return s.File.Place(syntax.Start(x))
	}
	if s.Node != nil {
		return s.File.Place(syntax.Start(s.Node))
	}
	return "", 0, 0
}

// loose reports whether the argument depends on a parameter without a value; of
// the name "" whether any does.
func (a *arguments) loose(arg string) bool {
	return a.in.varying.Argument(a.site(), a.entry, arg)
}

// value returns an argument, nil if it is absent.
func (a *arguments) value(name string) starlark.Value { return a.args[a.entry.Index(name)] }

// has reports whether the argument is given, and not as None.
func (a *arguments) has(name string) bool {
	v := a.value(name)
	return v != nil && v != starlark.None
}

// text returns an argument of kind string, or its default.
func (a *arguments) text(name string) string {
	i := a.entry.Index(name)
	if s, ok := a.args[i].(starlark.String); ok {
		return string(s)
	}
	if a.entry.Params[i].Default == `""` {
		return ""
	}
	s, err := strconv.Unquote(a.entry.Params[i].Default)
	if err != nil {
		return "" // the default is None, or there is none
	}
	return s
}

// path is text of an argument that names a file.
func (a *arguments) path(name string) string {
	path, err := home.Expand(a.text(name), a.in.opts.Home)
	if err != nil {
		a.badValue(name, "", "%s", err)
		return a.text(name)
	}
	return path
}

// texts returns an argument of kind list of strings; nil if it is absent.
func (a *arguments) texts(name string) []string {
	all, _ := elements(a.value(name))
	var texts []string
	for _, e := range all {
		texts = append(texts, string(e.(starlark.String)))
	}
	return texts
}

// number returns an argument of kind int, or its default, 0 for None. It notes
// one below least.
func (a *arguments) number(name string, least int) int {
	i := a.entry.Index(name)
	v, ok := a.args[i].(starlark.Int)
	if !ok {
		n, err := strconv.Atoi(a.entry.Params[i].Default)
		if err != nil {
			return 0 // the default is None, or there is none
		}
		return n
	}
	n, err := starlark.AsInt32(v)
	switch {
	case err != nil:
		a.badValue(name, "", "%s = %s is too large", name, v)
	case n < least:
		a.badValue(name, "", "%s = %d: want at least %d", name, n, least)
	}
	return n
}

// choice returns an argument that is one of a few words.
func (a *arguments) choice(name string, words ...string) string {
	got := a.text(name)
	for _, w := range words {
		if got == w {
			return got
		}
	}
	a.badValue(name, diag.DidYouMean(got, words), "%s = %q: want %s", name, got, lang.Listed(lang.Quoted(words)))
	return words[0]
}

// duration returns an argument of kind duration, or its default, 0 for None.
func (a *arguments) duration(name string) time.Duration {
	text := a.text(name)
	if text == "" && !a.has(name) {
		return 0
	}
	d, bad := parseDuration(text)
	if bad != nil {
		a.badValue(name, bad.Fix, "%s: %s", name, bad.Message)
	}
	return d
}

// parseDuration reads "90s", "10m", "1h30m".
func parseDuration(text string) (time.Duration, *lang.Misuse) {
	d, err := time.ParseDuration(text)
	switch {
	case err != nil:
		return 0, lang.Mistake(fmt.Sprintf("%q is not a duration", text), `write a number and a unit: "500ms", "90s", "10m", "1h30m"`)
	case d < 0:
		return 0, lang.Mistake(fmt.Sprintf("%q is negative", text), "")
	}
	return d, nil
}

// optionalText returns an argument of kind string; nil if it is absent.
func optionalText(args *arguments, name string) *string {
	if !args.has(name) {
		return nil
	}
	s := args.text(name)
	return &s
}

// optionalBool returns an argument of kind bool; nil if it is absent.
func optionalBool(args *arguments, name string) *bool {
	if !args.has(name) {
		return nil
	}
	b := bool(args.value(name).Truth())
	return &b
}
