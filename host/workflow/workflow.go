package workflow

import (
	"context"
	"errors"
	"fmt"

	"go.starlark.net/starlark"

	"github.com/rekey-host/rekey/host/diag"
	"github.com/rekey-host/rekey/host/engine"
	"github.com/rekey-host/rekey/host/journal"
	"github.com/rekey-host/rekey/host/report"
	"github.com/rekey-host/rekey/host/source"
	"github.com/rekey-host/rekey/host/workflow/lang"
	"github.com/rekey-host/rekey/host/workflow/vet"
)

// Workflow is a loaded script. Its methods are safe for concurrent use.
type Workflow struct {
	Spec

	in    *interp
	hooks hooks
	step  starlark.Value // what rotate gets
}

var _ engine.Hooks = (*Workflow)(nil)

// Load evaluates a script and checks it. What a user can mend is a
// *diag.Problems, as complete as one evaluation can make it.
func Load(ctx context.Context, options Options) (flow *Workflow, err error) {
	made, err := assemble(ctx, options)
	if err != nil {
		return nil, err
	}
	if err := made.in.problems(); err != nil {
		return nil, err
	}
	return made.workflow(), nil
}

// assembly is a script on its way to a workflow, with what was noted of it.
type assembly struct {
	in       *interp
	declared *declaration
	language *language
	library  bool // it does not call workflow(), and need not
}

func (a *assembly) workflow() *Workflow {
	return &Workflow{Spec: a.in.spec, in: a.in, hooks: a.declared.hooks, step: a.language.names[a.language.Lookup("step")]}
}

// assemble reads, evaluates and checks a script. Its mistakes are notes of the
// interpreter's; an error is that it could not be looked at to the end.
func assemble(ctx context.Context, options Options) (made *assembly, err error) {
	if options.Fatal == nil {
		return nil, errors.New("workflow: Options.Fatal is missing")
	}
	defer func() {
		if value := recover(); value != nil {
			made, err = nil, fmt.Errorf("%s: defect in rekey: %v", options.Path, value)
		}
	}()
	made = &assembly{in: newInterp(options), declared: &declaration{}}
	made.language = newLanguage(made.in, made.declared)
	blocked, err := read(ctx, made.in, made.language.predeclared())
	made.library = options.Library && !callsWorkflow(made.in.script)
	if err != nil || blocked {
		return made, err
	}
	complete, err := evaluate(ctx, made.in, made.language.predeclared())
	if err != nil {
		return nil, err
	}
	if made.library {
		return made, nil
	}
	finish(made.in, made.declared, complete)
	checkTree(ctx, made.in, made.declared)
	return made, nil
}

// read reads and parses the script and its modules, and checks all that can be seen
// before anything is evaluated. It reports whether nothing can be: a mistake is in the way.
func read(ctx context.Context, in *interp, scope starlark.StringDict) (blocked bool, err error) {
	loader, err := loadFiles(ctx, in.opts, scope)
	if ctx.Err() != nil {
		return true, context.Cause(ctx)
	}
	if err != nil {
		in.notes.add(diag.Problem{File: in.opts.Path, Message: reason(err), Fix: otherScript(in.opts, err), Cause: err})
		return true, nil
	}
	in.script, in.ordered = loader.seen[0], loader.order
	for _, file := range loader.seen {
		in.files[file.Shown] = file
		in.spec.Files = append(in.spec.Files, exported(file))
	}
	in.notes.add(loader.problems...)
	for _, file := range loader.order {
		in.notes.add(vet.Shadowed(in.table, file)...)
	}
	blocked = in.notes.any()
	for _, file := range loader.order {
		in.notes.add(vet.Discarded(file)...)
	}
	if blocked {
		return true, nil
	}
	in.varying = vet.Vary(loader.order, vet.Params{Table: in.table, Given: in.opts.Params, Placeholders: in.opts.Placeholders})
	return false, nil
}

// finish fills in and checks whatever is known only at the end.
func finish(in *interp, declared *declaration, complete bool) {
	in.spec.Doc = in.script.Docstring()
	if !complete {
		return
	}
	if !declared.called {
		in.notes.add(diag.Problem{File: in.script.Shown, Message: "the script does not call workflow()", Fix: "end it with workflow(users = …, backend = …)"})
	}
	checkUnknownParams(in)
}

// Attach says how BACKEND.accounts() reaches backends. It is called before
// Users is read, and not concurrently with that.
func (w *Workflow) Attach(find func(label string) Lister) { w.in.lister = find }

// Close releases what was kept of standard input.
func (w *Workflow) Close() error { return w.in.spool.Close() }

// Use says what the columns of rows are that come from elsewhere than Users:
// from a ledger, which keeps the schema that the plan was made with.
func (w *Workflow) Use(columns source.Schema) { w.in.schema.Store(newSchema(columns)) }

// Busy names the calls of hooks that compute and do not wait for a backend:
// what a process was doing if it ends now.
func (w *Workflow) Busy() []string { return w.in.threads.busy() }

// Select reports whether a user is due, or why not. An error of the hook is a
// *diag.Problems.
func (w *Workflow) Select(ctx context.Context, row source.Row) (due bool, reason string, err error) {
	if w.hooks.choose == nil {
		return true, "", nil
	}
	userValue, err := w.user(ctx, row)
	if err != nil {
		return false, "", err
	}
	made := job{in: w.in, hook: w.hooks.choose, row: row}
	made.run(ctx, offers{user: userValue}, func(call *state, value starlark.Value, failed error) {
		if failed == nil {
			due, reason, failed = selected(value)
		}
		if failed != nil {
			err = made.failure(call, failed)
		}
	})
	return due, reason, err
}

// Wave returns the name of a user's wave, which is one of Waves. An error of
// the hook is a *diag.Problems.
func (w *Workflow) Wave(ctx context.Context, row source.Row) (name string, err error) {
	if w.hooks.wave == nil {
		return w.Waves[0].Name, nil
	}
	userValue, err := w.user(ctx, row)
	if err != nil {
		return "", err
	}
	made := job{in: w.in, hook: w.hooks.wave, row: row}
	made.run(ctx, offers{user: userValue}, func(call *state, value starlark.Value, failed error) {
		if failed == nil {
			name, failed = waveOf(value, w.Waves)
		}
		if failed != nil {
			err = made.failure(call, failed)
		}
	})
	return name, err
}

// Rotate treats one user. It is safe for concurrent use.
func (w *Workflow) Rotate(ctx context.Context, row source.Row, steps *engine.Steps) journal.Verdict {
	return w.rotate(ctx, row, steps)
}

func (w *Workflow) rotate(ctx context.Context, row source.Row, steps stepper) (verdict journal.Verdict) {
	steps = w.given(row, steps)
	if w.hooks.rotate == nil {
		return standard(ctx, w.hooks.target, row, steps)
	}
	userValue, err := w.user(ctx, row)
	if err != nil {
		return journal.Verdict{Kind: journal.Raised, Fault: &journal.Fault{Code: journal.ScriptError, Message: err.Error()}}
	}
	quiet, ok := steps.(interface{ Quiet() bool })
	made := job{in: w.in, hook: w.hooks.rotate, row: row, steps: steps, mute: ok && quiet.Quiet()}
	made.run(ctx, offers{user: userValue, step: w.step}, func(call *state, value starlark.Value, failed error) {
		if failed == nil {
			verdict, failed = returned(value)
		}
		if failed != nil {
			verdict = made.raised(call, failed)
		}
	})
	return verdict
}

// ReportRow returns the row of a user in report i of Reports, by its row
// function if it has one; false if that leaves the user out. An error of the
// function is a *diag.Problems. It is safe for concurrent use.
func (w *Workflow) ReportRow(ctx context.Context, i int, result *report.Result) (row report.Row, include bool, err error) {
	return w.reportRow(ctx, i, result, false)
}

// TryReportRow is ReportRow of a made-up result: nothing is printed.
func (w *Workflow) TryReportRow(ctx context.Context, i int, result *report.Result) (row report.Row, include bool, err error) {
	return w.reportRow(ctx, i, result, true)
}

func (w *Workflow) reportRow(ctx context.Context, i int, result *report.Result, mute bool) (row report.Row, include bool, err error) {
	hook := w.hooks.reports[i].row
	if hook == nil {
		return report.DefaultRow(*result), true, nil
	}
	schema := w.in.schema.Load()
	if schema == nil {
		schema = newSchema(result.Schema)
		w.in.schema.Store(schema)
	}
	if row := hook.projection.row(schema, result, w.in.saysRedacted); row != nil && ctx.Err() == nil {
		return row, true, nil
	}
	made := job{in: w.in, hook: hook, row: result.Row, mute: mute}
	made.run(ctx, offers{r: &rowValue{table: w.in.table, user: userValue{schema, result.Row.Key, result.Row.Cells}, r: result}}, func(st *state, value starlark.Value, failed error) {
		if failed == nil {
			row, failed = rowOf(value, result, w.in.saysRedacted)
			include = row != nil
		}
		if failed != nil {
			err = made.failure(st, failed)
		}
	})
	return row, include && err == nil, err
}

// user makes the hook's view of a row. The schema is found with the first one.
func (w *Workflow) user(ctx context.Context, row source.Row) (*userValue, error) {
	schema, err := w.schema(ctx)
	if err != nil {
		return nil, err
	}
	return &userValue{schema: schema, key: row.Key, cells: row.Cells}, nil
}

// schema returns the source's columns. It is asked for them once.
func (w *Workflow) schema(ctx context.Context) (*schema, error) {
	if schema := w.in.schema.Load(); schema != nil {
		return schema, nil
	}
	columns, err := w.Users.Schema(ctx)
	if err != nil {
		return nil, err
	}
	s := newSchema(columns)
	w.in.schema.Store(s)
	return s, nil
}

// newLanguage is the language of one script: the interp notes what it
// says, and its workflow() in the declaration.
func newLanguage(in *interp, declared *declaration) *language {
	made := &language{Table: in.table, in: in, functions: functions()}
	made.functions["workflow"] = declared.workflow
	made.method = func(name string, recv starlark.Value) starlark.Value { return made.builtin(made.Lookup(name), recv) }
	made.standIn = func(kind lang.Kind) starlark.Value { return standIn(kind, made.method) }
	made.bind()
	return made
}
