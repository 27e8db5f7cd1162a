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
// table. They note every mistake in them.
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

// unpack puts the arguments in the order of the table and notes every
// mistake in them.
func (a *arguments) unpack(args starlark.Tuple, kwargs []starlark.Tuple) {
	entry := a.entry
	a.args = slices.Grow(a.args[:0], len(entry.Params))[:len(entry.Params)]
	if entry.Many != "" {
		a.many, args = args, nil
	}
	if len(args) > len(entry.Params) {
		a.bad("", "", "%d arguments, want at most %d", len(args), len(entry.Params))
		args = args[:len(entry.Params)]
	}
	copy(a.args, args)
	for _, kw := range kwargs {
		a.keyword(string(kw[0].(starlark.String)), kw)
	}
	for i := range entry.Params {
		if a.args[i] != nil || entry.Params[i].Required() {
			a.check(i, entry.Params[i])
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
		a.bad(name, "give it once", "%s is given twice", name)
	default:
		a.args[i] = kw[1]
	}
}

// check notes a missing argument and one of another kind.
func (a *arguments) check(i int, param lang.Param) {
	value := a.args[i]
	switch {
	case value == nil && param.Required():
		a.bad("", param.Help(), "%s is missing", param.Name)
	case value == nil:
	case value == starlark.None && param.Default == "None":
		a.args[i] = nil
	case value == starlark.None && param.TakesNone():
	case !accepts(param.Kind, value):
		a.bad(param.Name, "", "%s: %s", param.Name, mismatch(param.Kind, value))
		a.args[i] = nil
	}
}

// bad notes a problem of an argument, or of the call if the name is "".
func (a *arguments) bad(arg, fix, format string, args ...any) {
	problem := diag.Problem{Message: a.entry.Name + ": " + fmt.Sprintf(format, args...), Fix: fix}
	problem.File, problem.Line, problem.Column = a.place(arg)
	a.problems = append(a.problems, problem)
}

// misused is bad about what a backend does not have; nil: it has it.
func (a *arguments) misused(arg string, misuse *lang.Misuse) {
	if misuse != nil {
		a.bad(arg, misuse.Fix, "%s", misuse.Message)
	}
}

// badValue is bad about an argument's value, not its kind: it is silent where that
// depends on a parameter without a value yet.
func (a *arguments) badValue(arg, fix, format string, args ...any) {
	if !a.unresolved(arg) {
		a.bad(arg, fix, format, args...)
	}
}

// warn notes a warning: the script may run.
func (a *arguments) warn(arg, fix, format string, args ...any) {
	count := len(a.problems)
	a.bad(arg, fix, format, args...)
	a.in.spec.Warnings = append(a.in.spec.Warnings, a.problems[count])
	a.problems = a.problems[:count]
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
			return nil, errReported{}
		}
		return result, nil
	}
	if len(a.problems) == 1 {
		return nil, lang.Mistake(a.problems[0].Message, a.problems[0].Fix)
	}
	var texts []string
	for _, problem := range a.problems {
		texts = append(texts, diag.Problem{Message: problem.Message, Fix: problem.Fix}.String())
	}
	return nil, lang.Mistake(strings.Join(texts, "; "), "")
}

// site returns the call in the script; the zero Site for a builtin that
// another one calls.
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
	site := a.site()
	if expr := site.Written(a.entry, arg); expr != nil {
		return site.File.Place(syntax.Start(expr))
	}
	if site.Node != nil {
		return site.File.Place(syntax.Start(site.Node))
	}
	return "", 0, 0
}

// unresolved reports whether the argument depends on a parameter without a value; of
// the name "" whether any does.
func (a *arguments) unresolved(arg string) bool {
	return a.in.varying.Argument(a.site(), a.entry, arg)
}

// value returns an argument, nil if it is absent.
func (a *arguments) value(name string) starlark.Value { return a.args[a.entry.Index(name)] }

// has reports whether the argument is given, and not as None.
func (a *arguments) has(name string) bool {
	value := a.value(name)
	return value != nil && value != starlark.None
}

// text returns an argument of kind string, or its default.
func (a *arguments) text(name string) string {
	i := a.entry.Index(name)
	if text, ok := a.args[i].(starlark.String); ok {
		return string(text)
	}
	if a.entry.Params[i].Default == `""` {
		return ""
	}
	text, err := strconv.Unquote(a.entry.Params[i].Default)
	if err != nil {
		return "" // the default may be None, or missing
	}
	return text
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
	for _, value := range all {
		texts = append(texts, string(value.(starlark.String)))
	}
	return texts
}

// number returns an argument of kind int, or its default, 0 for None. It notes
// one below least.
func (a *arguments) number(name string, least int) int {
	i := a.entry.Index(name)
	v, ok := a.args[i].(starlark.Int)
	if !ok {
		count, err := strconv.Atoi(a.entry.Params[i].Default)
		if err != nil {
			return 0 // the default may be None, or missing
		}
		return count
	}
	number, err := starlark.AsInt32(v)
	switch {
	case err != nil:
		a.badValue(name, "", "%s = %s is too large", name, v)
	case number < least:
		a.badValue(name, "", "%s = %d: want at least %d", name, number, least)
	}
	return number
}

// choice returns an argument out of a few words.
func (a *arguments) choice(name string, words ...string) string {
	got := a.text(name)
	for _, word := range words {
		if got == word {
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
	span, bad := parseDuration(text)
	if bad != nil {
		a.badValue(name, bad.Fix, "%s: %s", name, bad.Message)
	}
	return span
}

// parseDuration reads "90s", "10m", "1h30m".
func parseDuration(text string) (time.Duration, *lang.Misuse) {
	span, err := time.ParseDuration(text)
	switch {
	case err != nil:
		return 0, lang.Mistake(fmt.Sprintf("%q is not a duration", text), `write a number and a unit: "500ms", "90s", "10m", "1h30m"`)
	case span < 0:
		return 0, lang.Mistake(fmt.Sprintf("%q is negative", text), "")
	}
	return span, nil
}

// optionalText returns an argument of kind string; nil if it is absent.
func optionalText(args *arguments, name string) *string {
	if !args.has(name) {
		return nil
	}
	text := args.text(name)
	return &text
}

// optionalBool returns an argument of kind bool; nil if it is absent.
func optionalBool(args *arguments, name string) *bool {
	if !args.has(name) {
		return nil
	}
	value := bool(args.value(name).Truth())
	return &value
}
