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
	for _, f := range in.ordered {
		err := evaluateFile(ctx, in, f, scope)
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
	s := in.threads.start()
	s.begin(ctx, lang.AtTop, file.Shown, "", nil)
	defer s.end()
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("defect in rekey: %v", r)
		}
	}()
	globals, err := file.Program.Init(s.thread, scope)
	globals.Freeze()
	in.globals[file] = globals
	if stopped := s.stopped(); stopped != nil {
		at, _ := where(innermost(err))
		in.notes.add(file.Problem(at, "", "%s", stopped))
		return told{}
	}
	return err
}

// usersSchema returns the columns of the users; nil if nothing can be said of
// them. What is wrong with the file is noted.
func usersSchema(ctx context.Context, in *interp, users *sourceValue) *source.Schema {
	if users == nil || users.source == nil || users.unknown || users.stdin || len(in.opts.Kept) > 0 || in.opts.Blind {
		return nil
	}
	s, err := users.source.Schema(ctx)
	var list *diag.Problems
	switch {
	case err == nil:
		return &s
	case errors.Is(err, fs.ErrNotExist) && in.opts.Placeholders:
	case errors.As(err, &list):
		in.notes.add(list.List...)
	default:
		in.notes.add(diag.Problem{File: users.source.Name(), Message: err.Error(), Cause: err})
	}
	return nil
}

// checkTree finds misspelt columns and the like in hooks and what they call.
func checkTree(ctx context.Context, in *interp, declared *declaration) {
	columns := usersSchema(ctx, in, declared.hooks.users)
	if columns != nil {
		in.schema.Store(newSchema(*columns))
	}
	script := vet.Script{Table: in.table, Main: in.script, Files: in.files, Values: evaluated{in}, Backends: in.backends, Schema: columns}
	if !declared.looseOrder {
		script.OrderBy = in.spec.OrderBy
	}
	if !declared.looseWaves {
		script.Waves = waveNames(in.spec.Waves)
	}
	for _, h := range declared.hooks.all() {
		script.Hooks = append(script.Hooks, vet.Hook{At: h.fn.Position(), Phase: h.phase, Roles: h.roles})
	}
	for i, r := range declared.hooks.reports {
		in.spec.Reports[i].Columns = rowColumns(in, r.row)
	}
	said := vet.Check(script)
	in.notes.add(said.Problems...)
	in.spec.Warnings = append(in.spec.Warnings, said.Warnings...)
	in.spec.Given, in.spec.Used, in.spec.Forms = said.Given, said.Used, said.Forms
}

// rowColumns are the columns of a row function's rows, as far as they are seen.
func rowColumns(in *interp, row *hook) []string {
	if row == nil {
		return nil
	}
	at := row.fn.Position()
	f := in.files[at.Filename()]
	if f == nil || f.FunctionAt(at) == nil {
		return nil
	}
	return vet.RowColumns(f.FunctionAt(at))
}

// evaluated tells the static checks what names stand for.
type evaluated struct{ in *interp }

var _ vet.Values = evaluated{}

// Backend returns the backend that a name stands for, if the script names its
// plugin.
func (e evaluated) Backend(file *tree.File, name string) *vet.Backend {
	b, ok := e.in.globals[file][name].(*backendValue)
	if !ok || !b.Known || !b.Named {
		return nil
	}
	return b.Backend
}

// IsText reports whether a name stands for a text that is not empty.
func (e evaluated) IsText(file *tree.File, name string) bool {
	text, ok := e.in.globals[file][name].(starlark.String)
	return ok && text != ""
}
