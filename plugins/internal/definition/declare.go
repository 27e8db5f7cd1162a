package definition

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"go.starlark.net/starlark"

	"github.com/rekey-host/rekey/sdk"
)

// declaration is the top level of one file while it is evaluated.
type declaration struct {
	language Language
	into     *Definition
	done     bool
}

// scope are the names that a file finds beside those of Starlark.
func (d *declaration) scope() starlark.StringDict {
	scope := starlark.StringDict{
		d.language.Name: starlark.NewBuiltin(d.language.Name, d.declare),
		"setting":       starlark.NewBuiltin("setting", newSetting),
		"range":         starlark.NewBuiltin("range", shortRange),
	}
	for name, fn := range words {
		scope[name] = starlark.NewBuiltin(name, fn)
	}
	for _, method := range []string{"GET", "POST", "PUT", "PATCH", "DELETE"} {
		scope[strings.ToLower(method)] = asks(method)
	}
	return scope
}

// maxRange bounds what range() counts to: what walks over it stops at no limit of steps.
const maxRange = 10_000

// shortRange is range() as Starlark has it, of at most so many numbers.
func shortRange(thread *starlark.Thread, _ *starlark.Builtin, args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
	numbers, err := starlark.Call(thread, starlark.Universe["range"], args, kwargs)
	if err == nil && starlark.Len(numbers) > maxRange {
		return nil, fmt.Errorf("range: has more than %d numbers", maxRange)
	}
	return numbers, err
}

// declare is the call that says what the definition is.
func (d *declaration) declare(_ *starlark.Thread, fn *starlark.Builtin, args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
	if d.done {
		return nil, fmt.Errorf("%s() stands there twice", fn.Name())
	}
	d.done = true
	into, timeout := d.into, "30s"
	var settings, egress, target, once, passes *starlark.List
	into.Version, into.VerifyIsLogon, into.Limits.Concurrency = "1.0.0", true, 8
	if err := starlark.UnpackArgs(fn.Name(), args, kwargs, "summary", &into.Summary, "settings?", &settings, "version?", &into.Version, "url?", &into.URL,
		"login?", &into.Login, "egress?", &egress, "target?", &target, "concurrency?", &into.Limits.Concurrency, "timeout?", &timeout,
		"must_change?", &into.MustChange, "verify_is_logon?", &into.VerifyIsLogon, "once?", &once, "passes?", &passes); err != nil {
		return nil, err
	}
	var err error
	if into.Limits.Timeout, err = time.ParseDuration(timeout); err != nil || into.Limits.Timeout <= 0 || into.Limits.Concurrency < 1 {
		return nil, errors.New(`timeout and concurrency: want a duration such as "30s", and 1 or more`)
	}
	for _, list := range []struct {
		from *starlark.List
		to   *[]string
	}{{egress, &into.Egress}, {target, &into.Target}, {passes, &into.Passes}} {
		if *list.to, err = texts(list.from); err != nil {
			return nil, err
		}
	}
	names, err := texts(once)
	for _, name := range names {
		into.Once = append(into.Once, sdk.Verb(name))
	}
	return starlark.None, errors.Join(err, d.fields(settings))
}

// texts returns a list of texts.
func texts(list *starlark.List) ([]string, error) {
	if list == nil {
		return nil, nil
	}
	var all []string
	for value := range list.Elements() {
		text, ok := starlark.AsString(value)
		if !ok {
			return nil, fmt.Errorf("want a list of texts, not of a %s", value.Type())
		}
		all = append(all, text)
	}
	return all, nil
}

// fields takes the settings, and adds those that every definition has.
func (d *declaration) fields(list *starlark.List) error {
	if list != nil {
		for value := range list.Elements() {
			made, ok := value.(*made)
			if !ok {
				return fmt.Errorf("settings: want setting(…), got a %s", value.Type())
			}
			field, ok := made.value.(sdk.Field)
			if !ok {
				return fmt.Errorf("settings: want setting(…), got %s", made)
			}
			d.into.Fields = append(d.into.Fields, field)
		}
	}
	for _, name := range d.into.Passes {
		i := slices.IndexFunc(d.language.Passes, func(field sdk.Field) bool { return field.Name == name })
		if i < 0 {
			return fmt.Errorf("passes: %s has no setting %q", d.language.Name, name)
		}
		d.into.Fields = append(d.into.Fields, d.language.Passes[i])
	}
	d.into.Fields = append(d.into.Fields, d.language.Fields...)
	seen := map[string]bool{}
	for _, field := range d.into.Fields {
		if seen[field.Name] {
			return fmt.Errorf("setting %q stands there twice, or is one that every definition has", field.Name)
		}
		seen[field.Name] = true
	}
	return d.named(seen)
}

// named refuses what names no setting.
func (d *declaration) named(fields map[string]bool) error {
	if login := d.into.Login; login != "" && !fields[login] {
		return fmt.Errorf("login: there is no setting %q", login)
	}
	for _, name := range d.into.Target {
		if !fields[name] {
			return fmt.Errorf("target: there is no setting %q", name)
		}
	}
	return sdk.Description{Config: d.into.Fields, Egress: d.into.Egress}.References()
}

// newSetting is setting(NAME, type, required, default, choices, doc).
func newSetting(_ *starlark.Thread, fn *starlark.Builtin, args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
	field, kind := sdk.Field{}, string(sdk.String)
	var initial starlark.Value = starlark.None
	var choices *starlark.List
	if err := starlark.UnpackArgs(fn.Name(), args, kwargs, "name", &field.Name, "type?", &kind, "required?", &field.Required,
		"default?", &initial, "choices?", &choices, "doc?", &field.Doc); err != nil {
		return nil, err
	}
	field.Type = sdk.FieldType(kind)
	kinds := []sdk.FieldType{sdk.String, sdk.Int, sdk.Bool, sdk.Duration, sdk.Choice, sdk.List, sdk.Path, sdk.URL, sdk.Secret}
	if !slices.Contains(kinds, field.Type) {
		return nil, fmt.Errorf("setting %q: there is no type %q; there is %v", field.Name, kind, kinds)
	}
	var err error
	if field.Choices, err = texts(choices); err != nil {
		return nil, err
	}
	if field.Default, err = goValue(initial); err != nil {
		return nil, fmt.Errorf("setting %q: default: %w", field.Name, err)
	}
	filled, problems := sdk.Fill([]sdk.Field{{Name: field.Name, Type: field.Type, Choices: field.Choices, Default: field.Default}}, nil)
	if len(problems) > 0 || field.Type == sdk.Secret && field.Default != nil {
		return nil, fmt.Errorf("setting %q: its default does not fit its type", field.Name)
	}
	field.Default = filled[field.Name]
	return &made{"setting", field}, nil
}

// finish takes the functions, and says what is missing.
func (d *declaration) finish(globals starlark.StringDict) error {
	if !d.done {
		return fmt.Errorf("%s:1: it does not say what it is; write %s(summary = …, settings = […])", d.into.File, d.language.Name)
	}
	for _, name := range globals.Keys() {
		fn, ok := globals[name].(*starlark.Function)
		if !ok || strings.HasPrefix(name, "_") {
			continue
		}
		offered, known := d.language.Functions[name]
		if !known {
			return fmt.Errorf("%s: a definition has no function %q; there is %s, and the names of your own begin with _",
				place(fn.Position()), name, strings.Join(sorted(d.language.Functions), ", "))
		}
		made, err := newFunction(name, fn, offered)
		if err != nil {
			return err
		}
		d.into.functions[name] = made
	}
	if !d.into.Has(d.language.Needs) {
		return fmt.Errorf("%s:1: the function %s is missing", d.into.File, d.language.Needs)
	}
	return nil
}

func sorted(functions map[string][]string) []string {
	var names []string
	for name := range functions {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}
