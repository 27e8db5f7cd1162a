package scripttest

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"go.starlark.net/starlark"
	"go.starlark.net/starlarkstruct"
	"go.starlark.net/syntax"

	"github.com/rekey-host/rekey/sdk/secret"
)

// tester is what a test function gets: t.
type tester struct {
	ctx     context.Context
	machine *machine
	dir     string // of the test file
	name    string // of the test
	update  bool   // goldens are written and not compared
	known   *values
}

// methods are those of t.
func (t *tester) methods() starlark.Value {
	members := starlark.StringDict{}
	for name, method := range map[string]func(args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error){
		"run": t.run, "plan": t.plan, "eq": t.eq, "ne": t.ne, "contains": t.contains, "true": t.isTrue, "value": t.value, "golden": t.golden,
	} {
		members[name] = starlark.NewBuiltin("t."+name, func(_ *starlark.Thread, _ *starlark.Builtin, args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
			return method(args, kwargs)
		})
	}
	members["fails"] = starlark.NewBuiltin("t.fails", t.fails)
	return starlarkstruct.FromStringDict(starlark.String("t"), members)
}

// run is t.run.
func (t *tester) run(args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
	asked := &given{}
	if err := asked.unpack("t.run", args, kwargs); err != nil {
		return nil, err
	}
	scene, err := asked.scene(t.dir)
	if err != nil {
		return nil, fmt.Errorf("t.run: %w", err)
	}
	happens, all, err := killOf(asked.kill)
	if err != nil {
		return nil, err
	}
	made, err := t.play(scene, happens)
	if err != nil {
		return nil, fmt.Errorf("t.run: %w", err)
	}
	if all && made.err == nil {
		err = every(t.ctx, t.machine, scene, made)
	} else if made.err == nil {
		err = compare(nil, made, happens)
	}
	if err != nil {
		return nil, errors.New(t.known.hidden(err.Error()))
	}
	return result(made, t.known), nil
}

// killOf reads crash_after.
func killOf(value starlark.Value) (happens scenario, all bool, err error) {
	switch v := value.(type) {
	case nil, starlark.NoneType:
		return scenario{}, false, nil
	case starlark.String:
		if v == "every" {
			return scenario{}, true, nil
		}
	case starlark.Int:
		if record, ok := v.Int64(); ok && record > 0 {
			return scenario{record: int(record)}, false, nil
		}
	}
	return scenario{}, false, fmt.Errorf(`t.run: crash_after = %s: want a number from 1, or "every"`, value)
}

func (t *tester) play(scene *scene, happens scenario) (*played, error) {
	stage, err := newStage(t.machine, scene)
	if err != nil {
		return nil, err
	}
	made, err := stage.play(t.ctx, happens)
	return made, errors.Join(err, stage.close())
}

// plan is t.plan.
func (t *tester) plan(args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
	asked := &given{}
	if err := asked.unpack("t.plan", args, kwargs); err != nil {
		return nil, err
	}
	scene, err := asked.scene(t.dir)
	if err != nil {
		return nil, fmt.Errorf("t.plan: %w", err)
	}
	stage, err := newStage(t.machine, scene)
	if err != nil {
		return nil, err
	}
	made, err := stage.plan(t.ctx)
	if err = errors.Join(err, stage.close()); err != nil {
		return nil, fmt.Errorf("t.plan: %w", err)
	}
	return planResult(made), nil
}

// value is t.value: a password that the test knows, as results show it.
func (t *tester) value(args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
	var text string
	if err := starlark.UnpackArgs("t.value", args, kwargs, "text", &text); err != nil {
		return nil, err
	}
	return t.known.of(secret.New(text)), nil
}

// eq is t.eq.
func (t *tester) eq(args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
	return t.compared("t.eq", args, kwargs, true)
}

// ne is t.ne.
func (t *tester) ne(args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
	return t.compared("t.ne", args, kwargs, false)
}

func (t *tester) compared(name string, args starlark.Tuple, kwargs []starlark.Tuple, want bool) (starlark.Value, error) {
	var got, wanted starlark.Value
	if err := starlark.UnpackArgs(name, args, kwargs, "got", &got, "want", &wanted); err != nil {
		return nil, err
	}
	same, err := starlark.Equal(got, wanted)
	switch {
	case err != nil:
		return nil, err
	case same == want:
		return starlark.None, nil
	case want:
		return nil, fmt.Errorf("got  %s\nwant %s", t.text(got), t.text(wanted))
	}
	return nil, fmt.Errorf("got  %s\nwant anything else", t.text(got))
}

// text is how a failure shows a value.
func (t *tester) text(value starlark.Value) string { return t.known.hidden(value.String()) }

// isTrue is t.true.
func (t *tester) isTrue(args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
	var got starlark.Value
	if err := starlark.UnpackArgs("t.true", args, kwargs, "got", &got); err != nil {
		return nil, err
	}
	if !got.Truth() {
		return nil, fmt.Errorf("got  %s\nwant what is true", t.text(got))
	}
	return starlark.None, nil
}

// contains is t.contains.
func (t *tester) contains(args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
	var got, part starlark.Value
	if err := starlark.UnpackArgs("t.contains", args, kwargs, "got", &got, "part", &part); err != nil {
		return nil, err
	}
	found, err := starlark.Binary(syntax.IN, part, got)
	if err != nil {
		return nil, err
	}
	if !found.Truth() {
		return nil, fmt.Errorf("got  %s\nwant %s in it", t.text(got), t.text(part))
	}
	return starlark.None, nil
}

// fails is t.fails: it calls a function that has to fail, and returns what that says.
func (t *tester) fails(thread *starlark.Thread, _ *starlark.Builtin, args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
	var call starlark.Callable
	contains := ""
	if err := starlark.UnpackArgs("t.fails", args, kwargs, "function", &call, "contains?", &contains); err != nil {
		return nil, err
	}
	got, err := starlark.Call(thread, call, nil, nil)
	switch {
	case err == nil:
		return nil, fmt.Errorf("got  %s\nwant a failure", t.text(got))
	case !strings.Contains(err.Error(), contains):
		return nil, fmt.Errorf("got  the failure %s\nwant %q in it", t.known.hidden(err.Error()), contains)
	}
	return starlark.String(t.known.hidden(err.Error())), nil
}

// golden is t.golden: it compares a value with a file beside the test.
func (t *tester) golden(args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
	var got starlark.Value
	name := t.name
	if err := starlark.UnpackArgs("t.golden", args, kwargs, "got", &got, "name?", &name); err != nil {
		return nil, err
	}
	if strings.HasPrefix(t.dir, "@") || name != filepath.Base(name) {
		return nil, fmt.Errorf("t.golden: %q: a golden is a file in testdata, beside a test that is a file", name)
	}
	text := t.known.hidden(lineByLine(got, ""))
	path := filepath.Join(t.dir, "testdata", name+".golden")
	if t.update {
		return starlark.None, errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, []byte(text), 0o644))
	}
	want, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("%w; rekey test --update writes it", err)
	}
	if string(want) != text {
		return nil, fmt.Errorf("%s differs\n%s\nrekey test --update writes it anew", path, difference(string(want), text))
	}
	return starlark.None, nil
}

// lineByLine shows a value over several lines, so that a golden has one a change.
func lineByLine(value starlark.Value, indent string) string {
	switch v := value.(type) {
	case starlark.String:
		if indent == "" {
			return string(v)
		}
	case *starlark.Dict:
		var out strings.Builder
		for _, item := range v.Items() {
			out.WriteString(indent + item[0].String() + ": " + strings.TrimLeft(lineByLine(item[1], indent+"  "), " "))
		}
		return "{\n" + out.String() + indent + "}\n"
	case *starlark.List:
		var out strings.Builder
		for item := range starlark.Elements(v) {
			out.WriteString(indent + strings.TrimLeft(lineByLine(item, indent+"  "), " "))
		}
		return "[\n" + out.String() + indent + "]\n"
	}
	return value.String() + "\n"
}

// difference shows the first line in which two texts differ.
func difference(want, got string) string {
	wanted, lines := strings.Split(want, "\n"), strings.Split(got, "\n")
	for i := 0; ; i++ {
		was, is := "(its end)", "(its end)"
		if i < len(wanted) {
			was = wanted[i]
		}
		if i < len(lines) {
			is = lines[i]
		}
		if was != is || i >= len(wanted) || i >= len(lines) {
			return fmt.Sprintf("line %d: got  %s\nline %d: want %s", i+1, is, i+1, was)
		}
	}
}
