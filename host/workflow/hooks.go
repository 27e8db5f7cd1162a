package workflow

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"go.starlark.net/starlark"

	"github.com/rekey-host/rekey/host/engine"
	"github.com/rekey-host/rekey/host/report"
	"github.com/rekey-host/rekey/host/source"
	"github.com/rekey-host/rekey/sdk"
	"github.com/rekey-host/rekey/sdk/secret"
)

var _ engine.Hooks = (*Workflow)(nil)

// job is one call of a hook.
type job struct {
	phase phase
	hook  *hook
	what  string // of messages: "rotate"
	row   source.Row
	steps stepper
	mute  bool // what it prints is dropped
}

// run calls a hook on a thread of its own. work gets what it returned while
// the thread is still the call's.
func (w *Workflow) run(ctx context.Context, j job, values map[string]starlark.Value, work func(s *state, v starlark.Value, err error)) {
	s, ok := w.in.pool.Get().(*state)
	if !ok {
		s = w.in.newThread()
	}
	s.begin(ctx, j.phase, j.what, j.row.Key, j.steps)
	s.mute = j.mute
	v, err := s.call(j.hook.fn, j.hook.args(values))
	work(s, v, err)
	s.end()
	w.in.pool.Put(s)
}

// failure is the error of a hook as a problem: of whose call, and where.
func (w *Workflow) failure(s *state, j job, err error) error {
	stopped := s.stopped()
	if stopped != nil && s.ctx.Err() != nil {
		return stopped
	}
	what := fmt.Sprintf("%s(%q)", j.what, j.row.Key)
	if j.row.File != "" {
		what += fmt.Sprintf(", %s:%d", j.row.File, j.row.Line)
	}
	x := w.in.problemOf(err, what)
	if stopped != nil {
		x.Message, x.Fix, x.Same = what+": "+stopped.Error(), "", ""
	}
	if x.File == "" {
		x.File, x.Line, x.Column = w.in.placeOf(j.hook)
	}
	return &source.Problems{List: []source.Problem{x}, Total: 1}
}

// placeOf is where a hook is defined.
func (in *interp) placeOf(h *hook) (file string, line, column int) {
	p := h.fn.Position()
	if f := in.files[p.Filename()]; f != nil {
		return f.place(p)
	}
	return p.Filename(), int(p.Line), int(p.Col)
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

// Use says what the columns of rows are that come from elsewhere than Users:
// from a ledger, which keeps the schema that the plan was made with.
func (w *Workflow) Use(s source.Schema) { w.in.schema.Store(newSchema(s)) }

// Select reports whether a user is due, or why not. An error of the hook is a
// *source.Problems.
func (w *Workflow) Select(ctx context.Context, row source.Row) (due bool, reason string, err error) {
	if w.hooks.choose == nil {
		return true, "", nil
	}
	u, err := w.user(ctx, row)
	if err != nil {
		return false, "", err
	}
	j := job{phase: inSelect, hook: w.hooks.choose, what: "select", row: row}
	w.run(ctx, j, map[string]starlark.Value{"user": u}, func(s *state, v starlark.Value, failed error) {
		verdict, isVerdict := v.(*verdictValue)
		yes, isBool := v.(starlark.Bool)
		switch {
		case failed != nil:
			err = w.failure(s, j, failed)
		case isBool:
			due = bool(yes)
		case isVerdict && verdict.kind == engine.SaidSkip:
			reason = verdict.reason
		default:
			err = w.failure(s, j, &misuse{"it returned " + v.Type(), "return True, False or skip(reason)"})
		}
	})
	return due, reason, err
}

// Wave returns the name of a user's wave, which is one of Waves. An error of
// the hook is a *source.Problems.
func (w *Workflow) Wave(ctx context.Context, row source.Row) (name string, err error) {
	if w.hooks.wave == nil {
		return w.Waves[0].Name, nil
	}
	u, err := w.user(ctx, row)
	if err != nil {
		return "", err
	}
	j := job{phase: inWave, hook: w.hooks.wave, what: "wave", row: row}
	w.run(ctx, j, map[string]starlark.Value{"user": u}, func(s *state, v starlark.Value, failed error) {
		text, isText := v.(starlark.String)
		switch {
		case failed != nil:
			err = w.failure(s, j, failed)
		case !isText:
			err = w.failure(s, j, &misuse{"it returned " + v.Type(), "return the name of a wave"})
		case isGarbled(string(text)):
			err = w.failure(s, j, &misuse{fmt.Sprintf("the name of the wave, %q, has half a letter in it", string(text)), halfLetter})
		case !w.hasWave(string(text)):
			err = w.failure(s, j, noWave(string(text), w.Waves))
		default:
			name = string(text)
		}
	})
	return name, err
}

func (w *Workflow) hasWave(name string) bool {
	for i := range w.Waves {
		if w.Waves[i].Name == name {
			return true
		}
	}
	return false
}

// Rotate treats one user. It is safe for concurrent use.
func (w *Workflow) Rotate(ctx context.Context, row source.Row, steps *engine.Steps) engine.Verdict {
	return w.rotate(ctx, row, steps)
}

func (w *Workflow) rotate(ctx context.Context, row source.Row, steps stepper) (verdict engine.Verdict) {
	if w.hooks.rotate == nil {
		return w.standard(ctx, row, steps)
	}
	u, err := w.user(ctx, row)
	if err != nil {
		return engine.Verdict{Kind: engine.Raised, Fault: &engine.Fault{Code: engine.ScriptError, Message: err.Error()}}
	}
	quiet, ok := steps.(interface{ Quiet() bool })
	j := job{phase: inRotate, hook: w.hooks.rotate, what: "rotate", row: row, steps: steps, mute: ok && quiet.Quiet()}
	values := map[string]starlark.Value{"user": u, "step": w.in.step}
	w.run(ctx, j, values, func(s *state, v starlark.Value, failed error) {
		switch {
		case failed != nil:
			verdict = w.raised(s, j, failed)
		default:
			verdict = w.returned(s, j, v)
		}
	})
	return verdict
}

// returned is the verdict of a rotate that came to its end.
func (w *Workflow) returned(s *state, j job, v starlark.Value) engine.Verdict {
	switch v := v.(type) {
	case starlark.NoneType, *secretValue, *resultValue, *structValue: // what steps give: it has been recorded
		return engine.Verdict{}
	case *verdictValue:
		return engine.Verdict{Kind: v.kind, Reason: v.reason}
	}
	return w.raised(s, j, &misuse{"rotate returned " + v.Type(), "return nothing, skip(reason), done() or failed(reason)"})
}

// raised is the verdict of a rotate that ended with an error.
func (w *Workflow) raised(s *state, j job, err error) engine.Verdict {
	v := engine.Verdict{Kind: engine.Raised}
	var fault *engine.Fault
	var refused *refusal
	switch {
	case errors.As(s.raised, &refused):
		v.Refused = &refused.result
		v.Fault = &engine.Fault{Code: refused.result.Code, Message: refused.result.Message}
	case errors.As(s.raised, &fault):
		same := *fault // it says more than its fields
		v.Fault = &same
	case s.ctx.Err() != nil:
		v.Fault = &engine.Fault{Code: sdk.Cancelled, Message: "the run stops"}
	default:
		stopped := s.stopped()
		v.Fault = &engine.Fault{Code: engine.ScriptError, Message: w.said(j, stopped, err), OfRow: stopped != nil || ofRow(err)}
	}
	v.Fault.Backtrace = backtrace(err)
	return v
}

// said is the message of a defect of the script, with its place. stopped, if
// it is not nil, is why the hook was stopped: the interpreter only says that it
// was.
func (w *Workflow) said(j job, stopped, err error) string {
	message, fix := w.in.advice(err)
	if stopped != nil {
		message, fix = stopped.Error(), ""
	}
	at, _ := where(innermost(err))
	place := fmt.Sprintf("%s:%d", at.Filename(), at.Line)
	if !at.IsValid() {
		file, line, _ := w.in.placeOf(j.hook)
		place = fmt.Sprintf("%s:%d", file, line)
	}
	if fix != "" {
		message += "; " + fix
	}
	return message + " (" + place + ")"
}

// standard is what a workflow without rotate does: generate, set, and verify
// where that is no logon attempt.
func (w *Workflow) standard(ctx context.Context, row source.Row, steps stepper) engine.Verdict {
	b := w.hooks.target
	value, err := steps.Generate(ctx, engine.GenerateStep{})
	if err != nil {
		return faulted(err)
	}
	step := engine.Step{Verb: "set", Backend: b.spec.Label, Account: row.Key, Value: value}
	result, err := steps.Do(ctx, step)
	if v := verdictOf(result, err); v != nil {
		return *v
	}
	if !b.desc.Can(sdk.CanVerify) || b.desc.VerifyIsLogon {
		return engine.Verdict{}
	}
	step.Verb = "verify"
	result, err = steps.Do(ctx, step)
	var fault *engine.Fault
	if errors.As(err, &fault) && fault.Code == sdk.InvalidOperation {
		return engine.Verdict{} // the plugin can, this instance cannot
	}
	if v := verdictOf(result, err); v != nil {
		return *v
	}
	return engine.Verdict{}
}

// verdictOf is how a step ends a rotate; nil if it does not.
func verdictOf(r engine.Result, err error) *engine.Verdict {
	if err != nil {
		v := faulted(err)
		return &v
	}
	if r.OK() {
		return nil
	}
	return &engine.Verdict{Kind: engine.Raised, Refused: &r, Fault: &engine.Fault{Code: r.Code, Message: r.Message}}
}

func faulted(err error) engine.Verdict {
	var f *engine.Fault
	if !errors.As(err, &f) {
		f = &engine.Fault{Code: engine.ScriptError, Message: err.Error()}
	}
	return engine.Verdict{Kind: engine.Raised, Fault: f}
}

// ReportRow returns the row of a user in report i of Reports, by its row
// function if it has one; false if that leaves the user out. An error of the
// function is a *source.Problems. It is safe for concurrent use.
func (w *Workflow) ReportRow(ctx context.Context, i int, r report.Result) (row report.Row, include bool, err error) {
	return w.reportRow(ctx, i, r, false)
}

// TryReportRow is ReportRow of a made-up result: nothing is printed.
func (w *Workflow) TryReportRow(ctx context.Context, i int, r report.Result) (row report.Row, include bool, err error) {
	return w.reportRow(ctx, i, r, true)
}

func (w *Workflow) reportRow(ctx context.Context, i int, r report.Result, mute bool) (row report.Row, include bool, err error) {
	h := w.hooks.reports[i].row
	if h == nil {
		return report.DefaultRow(r), true, nil
	}
	s := w.in.schema.Load()
	if s == nil {
		s = newSchema(r.Schema)
		w.in.schema.Store(s)
	}
	j := job{phase: inRow, hook: h, what: "row", row: r.Row, mute: mute}
	w.run(ctx, j, map[string]starlark.Value{"r": &rowValue{lang: w.in.lang, schema: s, r: r}}, func(st *state, v starlark.Value, failed error) {
		d, isDict := v.(*starlark.Dict)
		switch {
		case failed != nil:
			err = w.failure(st, j, failed)
		case v == starlark.None:
		case !isDict:
			err = w.failure(st, j, &misuse{"it returned " + v.Type(), "return a dict, or None to leave the user out"})
		default:
			include = true
			row, failed = fieldsOf(d)
			if failed == nil {
				failed = w.written(row, r)
			}
			if failed != nil {
				err = w.failure(st, j, failed)
			}
		}
	})
	return row, include && err == nil, err
}

// written finds a secret that was put into a text, of which a report would tell
// only that it is one. What a target said may have been scrubbed, and a script
// may mean the word.
func (w *Workflow) written(row report.Row, r report.Result) error {
	for _, f := range row {
		if holdsRedacted(f.Value) && !saysRedacted(r) && !w.in.saysRedacted() {
			return &misuse{fmt.Sprintf("column %q would read %q: a secret was put into a text", f.Name, secret.Redacted), "give the secret itself to a column of its own"}
		}
	}
	return nil
}

// holdsRedacted reports whether a text in a value has the word, however deep.
func holdsRedacted(v any) bool {
	switch v := v.(type) {
	case string:
		return strings.Contains(v, secret.Redacted)
	case []any:
		return slices.ContainsFunc(v, holdsRedacted)
	case map[string]any:
		for name, x := range v {
			if holdsRedacted(name) || holdsRedacted(x) {
				return true
			}
		}
	}
	return false
}

// saysRedacted reports whether the word stands in what a user came to.
func saysRedacted(r report.Result) bool {
	return holdsRedacted(r.Message) || holdsRedacted(r.Native) || holdsRedacted(r.Wave) || holdsRedacted(r.Row.Key) || slices.ContainsFunc(r.Row.Cells, holdsRedacted)
}

// saysRedacted reports whether the word stands in the script.
func (in *interp) saysRedacted() bool {
	for _, f := range in.files {
		if strings.Contains(string(f.text), secret.Redacted) {
			return true
		}
	}
	return false
}

// fieldsOf turns a dict into a row, in the dict's order.
func fieldsOf(d *starlark.Dict) (report.Row, error) {
	row := make(report.Row, 0, d.Len())
	for _, item := range d.Items() {
		name, ok := starlark.AsString(item[0])
		if !ok {
			return nil, &misuse{fmt.Sprintf("a column is named by %s, want string", item[0].Type()), ""}
		}
		v, err := goValue(item[1], true)
		if err != nil {
			return nil, &misuse{fmt.Sprintf("column %q: %s", name, err), ""}
		}
		row = append(row, report.Field{Name: name, Value: v})
	}
	return row, nil
}
