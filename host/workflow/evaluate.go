package workflow

import (
	"context"
	"errors"
	"fmt"
	"io/fs"

	"go.starlark.net/starlark"

	"github.com/rekey-host/rekey/host/diag"
	"github.com/rekey-host/rekey/host/source"
	"github.com/rekey-host/rekey/host/workflow/lang"
	"github.com/rekey-host/rekey/host/workflow/tree"
	"github.com/rekey-host/rekey/host/workflow/vet"
)

// evaluate runs the top level of every file, modules before what loads them.
// It reports whether it came to its end: without the values of parameters it
// may not.
func evaluate(ctx context.Context, in *interp, scope starlark.StringDict) (bool, error) {
	for _, file := range in.ordered {
		err := evaluateFile(ctx, in, file, scope)
		switch {
		case err == nil:
		case ctx.Err() != nil:
			return false, context.Cause(ctx)
		default:
			in.noteEvaluation(err)
			return false, nil
		}
	}
	return true, nil
}

func evaluateFile(ctx context.Context, in *interp, file *tree.File, scope starlark.StringDict) (err error) {
	state := in.threads.start()
	state.begin(ctx, lang.AtTop, file.Shown, "", nil)
	defer state.end()
	defer func() {
		if value := recover(); value != nil {
			err = fmt.Errorf("defect in rekey: %v", value)
		}
	}()
	globals, err := file.Program.Init(state.thread, scope)
	globals.Freeze()
	in.globals[file] = globals
	if stopped := state.stopped(); stopped != nil {
		at, _ := where(innermost(err))
		in.notes.add(file.Problem(at, "", "%s", stopped))
		return errReported{}
	}
	return err
}

// usersSchema returns the columns of the users; nil if nothing can be said of
// them. Mistakes in the file are noted.
func usersSchema(ctx context.Context, in *interp, users *sourceValue) *source.Schema {
	if users == nil || users.source == nil || users.unknown || users.stdin || len(in.opts.Kept) > 0 || in.opts.Blind {
		return nil
	}
	schema, err := users.source.Schema(ctx)
	var list *diag.Problems
	switch {
	case err == nil:
		return &schema
	case errors.Is(err, fs.ErrNotExist) && in.opts.Placeholders:
	case errors.As(err, &list):
		in.notes.add(list.List...)
	default:
		in.notes.add(diag.Problem{File: users.source.Name(), Message: err.Error(), Cause: err})
	}
	return nil
}

// checkTree finds misspelt columns and the like in hooks and the functions that they call.
func checkTree(ctx context.Context, in *interp, declared *declaration) {
	columns := usersSchema(ctx, in, declared.hooks.users)
	if columns != nil {
		in.columns = columns
		in.schema.Store(newSchema(*columns))
	}
	script := scriptOf(in, declared, columns)
	for i, reportValue := range declared.hooks.reports {
		in.spec.Reports[i].Columns = rowColumns(in, reportValue.row)
	}
	said := vet.Check(script)
	in.notes.add(said.Problems...)
	in.spec.Warnings = append(in.spec.Warnings, said.Warnings...)
	in.spec.Given, in.spec.Used, in.spec.Forms = said.Given, said.Used, said.Forms
}

// scriptOf is the script as the static checks see it.
func scriptOf(in *interp, declared *declaration, columns *source.Schema) vet.Script {
	script := vet.Script{Table: in.table, Main: in.script, Files: in.files, Values: evaluated{in}, Backends: in.backends, Schema: columns}
	if !declared.unresolvedOrder {
		script.OrderBy = in.spec.OrderBy
	}
	if !declared.unresolvedWaves {
		script.Waves = waveNames(in.spec.Waves)
	}
	for _, hook := range declared.hooks.all() {
		script.Hooks = append(script.Hooks, vet.Hook{At: hook.fn.Position(), Phase: hook.phase, Roles: hook.roles})
	}
	return script
}

// rowColumns are the columns of a row function's rows, as far as they are seen.
func rowColumns(in *interp, row *hook) []string {
	if row == nil {
		return nil
	}
	at := row.fn.Position()
	file := in.files[at.Filename()]
	if file == nil || file.FunctionAt(at) == nil {
		return nil
	}
	return vet.RowColumns(file.FunctionAt(at))
}

// evaluated tells the static checks what names stand for.
type evaluated struct{ in *interp }

var _ vet.Values = evaluated{}

// Backend returns the backend that a name stands for, if the script names its
// plugin.
func (e evaluated) Backend(file *tree.File, name string) *vet.Backend {
	target, ok := e.in.globals[file][name].(*backendValue)
	if !ok || !target.Known || !target.Named {
		return nil
	}
	return target.Backend
}

// Text returns the text that a name stands for; "": it is none.
func (e evaluated) Text(file *tree.File, name string) string {
	text, _ := e.in.globals[file][name].(starlark.String)
	return string(text)
}
