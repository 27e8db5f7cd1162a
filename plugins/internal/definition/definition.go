// Package definition reads backends that a file defines, in Starlark: their
// settings, and functions that say what is asked of the target and what its answers
// mean.
//
// The functions are pure: they make values and do nothing. Whoever calls them sends
// what they ask for and calls them again with the answer. A password is opaque to them:
// it can be given to json, form and basic, and that is all. The package knows the
// language and no target: neither HTTP, nor SQL, nor programs.
package definition

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"go.starlark.net/starlark"
	"go.starlark.net/syntax"

	"github.com/rekey-host/rekey/sdk"
	"github.com/rekey-host/rekey/sdk/define"
)

// Language is what the definitions of one plugin may say.
type Language struct {
	Name      string              // of the plugin, and of the call that declares: http
	Functions map[string][]string // that a definition may have, and the parameters on offer to each
	Needs     string              // the function that it must have
	Fields    []sdk.Field         // settings that every definition has
	Passes    []sdk.Field         // settings of the plugin that a definition may leave to its user
}

// Definition is one file. It is safe for concurrent use.
type Definition struct {
	File    string // as errors call it
	Summary string // one line
	Doc     string // the file's own text at its start
	Version string
	URL     string // the address where its user gives none
	Login   string // the setting that names the account that rekey logs in as
	Fields  []sdk.Field
	Passes  []string // those of Fields that are the plugin's own
	Egress  []string
	Target  []string
	Limits  sdk.Limits

	MustChange    bool // it looks at must_change
	VerifyIsLogon bool
	Once          []sdk.Verb // verbs that are not sent again

	functions map[string]*function
}

// maxSteps bounds one call, in steps of the interpreter.
const maxSteps = 1_000_000

// Parse reads a definition. It evaluates the top level, which does nothing but declare.
// An error names the file, the line and the fix.
func Parse(language Language, file, text string) (*Definition, error) {
	if len(text) > define.MaxSize {
		return nil, fmt.Errorf("%s: is longer than %d bytes; a definition is a page", file, define.MaxSize)
	}
	made := &Definition{File: file, functions: map[string]*function{}}
	declared := &declaration{language: language, into: made}
	options := &syntax.FileOptions{Set: true}
	parsed, err := options.Parse(file, text, 0)
	if err != nil {
		return nil, unread(err)
	}
	program, err := starlark.FileProgram(parsed, func(name string) bool { return declared.scope().Has(name) })
	if err != nil {
		return nil, unread(err)
	}
	if program.NumLoads() > 0 {
		_, at := program.Load(0)
		return nil, fmt.Errorf("%s: a definition is one file: put here what load() would bring", place(at))
	}
	thread, done := newThread(context.Background(), declared)
	defer done()
	globals, err := program.Init(thread, declared.scope())
	if err != nil {
		return nil, failure(file, "", err)
	}
	globals.Freeze()
	made.Doc = docOf(parsed)
	return made, declared.finish(globals)
}

// docOf returns the text that a file begins with.
func docOf(file *syntax.File) string {
	if len(file.Stmts) == 0 {
		return ""
	}
	stmt, _ := file.Stmts[0].(*syntax.ExprStmt)
	if stmt == nil {
		return ""
	}
	literal, _ := stmt.X.(*syntax.Literal)
	if literal == nil {
		return ""
	}
	text, _ := literal.Value.(string)
	return strings.TrimSpace(text)
}

// Has reports whether the definition has a function.
func (d *Definition) Has(name string) bool { return d.functions[name] != nil }

// Verbs returns, of those given, the ones that it has functions for.
func (d *Definition) Verbs(verbs []sdk.Verb) []sdk.Verb {
	return slices.DeleteFunc(slices.Clone(verbs), func(verb sdk.Verb) bool { return !d.Has(string(verb)) })
}

// Call calls a function with the parameters that it names. What it returns is a
// *Request, or what it is asked for: an sdk.Receipt, an sdk.Verdict, an sdk.Account, a
// *Page, an sdk.Policy, a *Login, an sdk.Finding or a Settings; nil for None.
func (d *Definition) Call(ctx context.Context, name string, given Given) (any, error) {
	fn := d.functions[name]
	if fn == nil {
		return nil, sdk.Errorf(sdk.Unsupported, "%s: the definition has no function %s", d.File, name)
	}
	values, err := given.values()
	if err != nil {
		return nil, err
	}
	return d.call(ctx, name, fn.fn, fn.args(values))
}

// Then goes on with the answer to a request; nil, nil where the definition says nothing
// of it.
func (d *Definition) Then(ctx context.Context, request *Request, answer Answer) (any, error) {
	if request.then == nil {
		return nil, nil
	}
	return d.call(ctx, request.function, request.then, starlark.Tuple{answer.value()})
}

// call calls a function in a thread of its own.
func (d *Definition) call(ctx context.Context, name string, fn starlark.Callable, args starlark.Tuple) (value any, err error) {
	defer func() {
		if item := recover(); item != nil {
			value, err = nil, fmt.Errorf("%s: %s: defect in rekey: %T", d.File, name, item)
		}
	}()
	thread, done := newThread(ctx, name)
	defer done()
	got, err := starlark.Call(thread, fn, args, nil)
	if err != nil {
		return nil, failure(d.File, name, err)
	}
	return returned(d.File, name, got)
}

// returned is what a function's value says.
func returned(file, name string, got starlark.Value) (any, error) {
	switch value := got.(type) {
	case starlark.NoneType:
		return nil, nil
	case *made:
		if request, ok := value.value.(*Request); ok {
			request.function = name
		}
		return value.value, nil
	case *starlark.Dict:
		return settingsOf(file, name, value)
	}
	return nil, fmt.Errorf("%s: %s returned a %s; return what get(), put(), applied(), refused() and their like make", file, name, got.Type())
}
