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
func Load(ctx context.Context, options Options) (w *Workflow, err error) {
	if options.Fatal == nil {
		return nil, errors.New("workflow: Options.Fatal is missing")
	}
	defer func() {
		if r := recover(); r != nil {
			w, err = nil, fmt.Errorf("%s: defect in rekey: %v", options.Path, r)
		}
	}()
	in, d := newInterp(options), &declaration{}
	l := newLanguage(in, d)
	if err := read(ctx, in, l.predeclared()); err != nil {
		return nil, err
	}
	complete, err := evaluate(ctx, in, l.predeclared())
	if err != nil {
		return nil, err
	}
	finish(in, d, complete)
	checkTree(ctx, in, d)
	if err := in.problems(); err != nil {
		return nil, err
	}
	return &Workflow{Spec: in.spec, in: in, hooks: d.hooks, step: l.names[l.Lookup("step")]}, nil
}

// read reads and parses the script and what it loads, and checks what can be
// seen before anything is evaluated.
func read(ctx context.Context, in *interp, scope starlark.StringDict) error {
	l, err := loadFiles(ctx, in.opts, scope)
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if err != nil {
		in.notes.add(diag.Problem{File: in.opts.Path, Message: reason(err), Fix: otherScript(in.opts, err), Cause: err})
		return in.problems()
	}
	in.script, in.ordered = l.seen[0], l.order
	for _, f := range l.seen {
		in.files[f.Shown] = f
		in.spec.Files = append(in.spec.Files, exported(f))
	}
	in.notes.add(l.problems...)
	for _, f := range l.order {
		in.notes.add(vet.Shadowed(in.table, f)...)
	}
	blocked := in.notes.any()
	for _, f := range l.order {
		in.notes.add(vet.Discarded(f)...)
	}
	if blocked {
		return in.problems()
	}
	in.varying = vet.Vary(l.order, vet.Params{Table: in.table, Given: in.opts.Params, Placeholders: in.opts.Placeholders})
	return nil
}

// finish fills in and checks what is known only at the end.
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
	u, err := w.user(ctx, row)
	if err != nil {
		return false, "", err
	}
	j := job{in: w.in, hook: w.hooks.choose, row: row}
	j.run(ctx, offers{user: u}, func(call *state, value starlark.Value, failed error) {
		if failed == nil {
			due, reason, failed = selected(value)
		}
		if failed != nil {
			err = j.failure(call, failed)
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
	u, err := w.user(ctx, row)
	if err != nil {
		return "", err
	}
	j := job{in: w.in, hook: w.hooks.wave, row: row}
	j.run(ctx, offers{user: u}, func(call *state, value starlark.Value, failed error) {
		if failed == nil {
			name, failed = waveOf(value, w.Waves)
		}
		if failed != nil {
			err = j.failure(call, failed)
		}
	})
	return name, err
}

// Rotate treats one user. It is safe for concurrent use.
func (w *Workflow) Rotate(ctx context.Context, row source.Row, steps *engine.Steps) journal.Verdict {
	return w.rotate(ctx, row, steps)
}

func (w *Workflow) rotate(ctx context.Context, row source.Row, steps stepper) (verdict journal.Verdict) {
	if w.hooks.rotate == nil {
		return standard(ctx, w.hooks.target, row, steps)
	}
	u, err := w.user(ctx, row)
	if err != nil {
		return journal.Verdict{Kind: journal.Raised, Fault: &journal.Fault{Code: journal.ScriptError, Message: err.Error()}}
	}
	quiet, ok := steps.(interface{ Quiet() bool })
	j := job{in: w.in, hook: w.hooks.rotate, row: row, steps: steps, mute: ok && quiet.Quiet()}
	j.run(ctx, offers{user: u, step: w.step}, func(call *state, value starlark.Value, failed error) {
		if failed == nil {
			verdict, failed = returned(value)
		}
		if failed != nil {
			verdict = j.raised(call, failed)
		}
	})
	return verdict
}

// ReportRow returns the row of a user in report i of Reports, by its row
// function if it has one; false if that leaves the user out. An error of the
// function is a *diag.Problems. It is safe for concurrent use.
func (w *Workflow) ReportRow(ctx context.Context, i int, r *report.Result) (row report.Row, include bool, err error) {
	return w.reportRow(ctx, i, r, false)
}

// TryReportRow is ReportRow of a made-up result: nothing is printed.
func (w *Workflow) TryReportRow(ctx context.Context, i int, r *report.Result) (row report.Row, include bool, err error) {
	return w.reportRow(ctx, i, r, true)
}

func (w *Workflow) reportRow(ctx context.Context, i int, r *report.Result, mute bool) (row report.Row, include bool, err error) {
	h := w.hooks.reports[i].row
	if h == nil {
		return report.DefaultRow(*r), true, nil
	}
	s := w.in.schema.Load()
	if s == nil {
		s = newSchema(r.Schema)
		w.in.schema.Store(s)
	}
	j := job{in: w.in, hook: h, row: r.Row, mute: mute}
	j.run(ctx, offers{r: &rowValue{table: w.in.table, schema: s, r: r}}, func(st *state, value starlark.Value, failed error) {
		if failed == nil {
			row, failed = rowOf(value, r, w.in.saysRedacted)
			include = row != nil
		}
		if failed != nil {
			err = j.failure(st, failed)
		}
	})
	return row, include && err == nil, err
}

// user makes the hook's view of a row. The schema is found with the first one.
func (w *Workflow) user(ctx context.Context, row source.Row) (*userValue, error) {
	s, err := w.schema(ctx)
	if err != nil {
		return nil, err
	}
	return &userValue{schema: s, key: row.Key, cells: row.Cells}, nil
}

// schema returns the source's columns. It is asked for them once.
func (w *Workflow) schema(ctx context.Context) (*schema, error) {
	if s := w.in.schema.Load(); s != nil {
		return s, nil
	}
	columns, err := w.Users.Schema(ctx)
	if err != nil {
		return nil, err
	}
	s := newSchema(columns)
	w.in.schema.Store(s)
	return s, nil
}

// newLanguage is the language of one script: what it says is noted in the
// interp, and its workflow() in the declaration.
func newLanguage(in *interp, declared *declaration) *language {
	l := &language{Table: in.table, in: in, functions: functions()}
	l.functions["workflow"] = declared.workflow
	l.method = func(name string, recv starlark.Value) starlark.Value { return l.builtin(l.Lookup(name), recv) }
	l.standIn = func(kind lang.Kind) starlark.Value { return standIn(kind, l.method) }
	l.bind()
	return l
}
