package host

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/rekey-host/rekey/host/engine"
	"github.com/rekey-host/rekey/host/journal"
	"github.com/rekey-host/rekey/host/ledger"
	"github.com/rekey-host/rekey/host/source"
	"github.com/rekey-host/rekey/host/workflow"
	"github.com/rekey-host/rekey/sdk"
	"github.com/rekey-host/rekey/sdk/secret"
)

// Run plans a script and, unless planOnly, applies it. stop ends the
// dispatching, ctx cancels what is in flight.
func (h *Host) Run(ctx, stop context.Context, script string, params []string, o RunOptions, planOnly bool) (Outcome, error) {
	w, given, err := h.load(stop, script, params)
	if err != nil {
		return Outcome{}, interrupted(stop, err)
	}
	defer w.Close()
	for _, x := range w.Warnings {
		fmt.Fprintf(h.Stderr, "rekey: warning: %s\n", x)
	}
	if err := h.unfinished(w, given, o); err != nil {
		return Outcome{}, err
	}
	b, err := h.openBackends(stop, w)
	if err != nil {
		return Outcome{}, interrupted(stop, err)
	}
	defer b.close()
	r, err := h.plan(stop, w, given, b, o, planOnly) // nothing is changed yet: the first signal ends it
	if err != nil {
		return Outcome{}, interrupted(stop, err)
	}
	defer r.Close()
	if planOnly {
		out, err := h.leave(r, w, o, journal.StatePlanned, "")
		return h.whole(r, out, err)
	}
	out, err := h.apply(ctx, stop, r, w, w, b, o, beginning{command: "run"})
	return h.whole(r, out, err)
}

// interrupted is what an error means that came after the first signal.
func interrupted(stop context.Context, err error) error {
	if stop.Err() != nil {
		return ErrInterrupted
	}
	return err
}

// load evaluates a script with its parameters.
func (h *Host) load(ctx context.Context, script string, params []string) (*workflow.Workflow, map[string]string, error) {
	given, err := parameters(params)
	if err != nil {
		return nil, nil, err
	}
	w, err := workflow.Load(ctx, h.loadOptions(script, given))
	if err == nil {
		h.Vitals.load(w.Busy)
	}
	return w, given, err
}

func (h *Host) loadOptions(script string, given map[string]string) workflow.Options {
	if path, err := ExpandHome(script, h.Home); err == nil {
		script = path
	}
	return workflow.Options{
		Path: script, Params: given, Embedded: h.Embedded, WorkDir: h.WorkDir, Home: h.Home, Stdin: h.Stdin,
		BackendNames: h.catalog.Names(), Print: h.Stderr, Fatal: h.Fatal, Run: h.Vitals.applied,
		Describe: func(name string) (sdk.Description, error) { return h.catalog.Describe(context.Background(), name) },
	}
}

// shownWord is how a message calls an argument behind the script: itself, or
// its number where it may be a piece of a value that the shell took apart, of
// which nobody knows what it holds.
func shownWord(i int, word string) string {
	if strings.ContainsFunc(word, func(r rune) bool { return !unicode.IsLetter(r) && r != '_' && r != '-' }) {
		return fmt.Sprintf("%d after the script", i+1)
	}
	return strconv.Quote(word)
}

// parameters reads NAME=VALUE arguments.
func parameters(params []string) (map[string]string, error) {
	given := map[string]string{}
	for i, p := range params {
		name, value, ok := strings.Cut(p, "=")
		if !ok || name == "" {
			return nil, &UsageError{Message: fmt.Sprintf("argument %s is no parameter", shownWord(i, p)), Fix: "write NAME=VALUE"}
		}
		if _, twice := given[name]; twice {
			return nil, usagef("parameter %q is given twice", name)
		}
		given[name] = value
	}
	return given, nil
}

// apply applies a locked run from where it stands and writes its reports.
func (h *Host) apply(ctx, stop context.Context, r *ledger.Run, w *workflow.Workflow, hooks engine.Hooks, b *backends, o RunOptions, begin beginning) (Outcome, error) {
	head := r.Header()
	o.Requestor, o.SourceSystem = cmp.Or(o.Requestor, head.Requestor), cmp.Or(o.SourceSystem, head.SourceSystem)
	err := r.Commit([]*journal.Record{{Kind: journal.Started, Detail: journal.Detail{Command: begin.command, OSUser: h.OSUser, Host: h.Hostname,
		PID: os.Getpid(), Requestor: o.Requestor, SourceSystem: o.SourceSystem, Facts: o.facts()}}})
	if err != nil {
		return Outcome{}, err
	}
	h.Vitals.load(w.Busy)
	h.Vitals.apply(r.ID())
	job, err := h.job(stop, r, w, hooks, b, o)
	if err != nil {
		return Outcome{}, err
	}
	job.LastRecord = begin.gaveUp
	ending, err := h.watched(ctx, r, job)
	if errors.Is(err, ledger.ErrGone) {
		return Outcome{}, err
	}
	if err != nil {
		return Outcome{}, fmt.Errorf("the ledger of run %s: %w; nothing was sent after that; then rekey resume %s", r.ID(), err, r.ID())
	}
	return h.conclude(r, w, o, ending)
}

// beginning is how a process begins to apply a run.
type beginning struct {
	command string    // run, resume or retry
	gaveUp  time.Time // see gaveUp
}

// gaveUp is when what earlier processes sent was given up at the latest: at the
// newest record, if the last process recorded its end. One that was killed may
// have tried again and again since without a record: then it is not known.
func gaveUp(r *ledger.Run) (time.Time, error) {
	state, err := r.State()
	if err != nil || state == journal.StateRunning {
		return time.Time{}, err
	}
	return r.LastAt()
}

// watched applies with the progress shown.
func (h *Host) watched(ctx context.Context, r *ledger.Run, job engine.Job) (engine.Ending, error) {
	if h.Progress == nil {
		return engine.Apply(ctx, job)
	}
	counts, err := r.Counts()
	if err != nil {
		return engine.Ending{}, err
	}
	h.Progress.Begin(counts.Total-counts.Skipped, counts.Total-counts.Skipped-counts.Pending-counts.Held)
	defer h.Progress.End()
	job.Finished = h.Progress.Finished
	return engine.Apply(ctx, job)
}

func (h *Host) job(stop context.Context, r *ledger.Run, w *workflow.Workflow, hooks engine.Hooks, b *backends, o RunOptions) (engine.Job, error) {
	schema, err := schemaOf(r)
	if err != nil {
		return engine.Job{}, err
	}
	rules, err := wavesOf(r)
	if err != nil {
		return engine.Job{}, err
	}
	waves, err := r.WaveCounts()
	if err != nil {
		return engine.Job{}, err
	}
	planned := make([]int64, len(rules))
	for i, wc := range waves {
		planned[i] = wc.Counts.Total
	}
	failed, err := failedOf(r, rules, waves, nil)
	if err != nil {
		return engine.Job{}, err
	}
	var waived []int64
	if o.OverThreshold {
		failed, waived = nil, failed
	}
	approved, err := r.Approvals()
	if err != nil {
		return engine.Job{}, err
	}
	held, _, err := r.Hold()
	if err != nil {
		return engine.Job{}, err
	}
	return engine.Job{
		ID: r.ID(), Journal: r, Vault: r, Plan: r, Backends: b.list, Hooks: hooks, Row: rowReader(r, schema),
		Waves: rules, Planned: planned, Failed: failed, Waived: waived, Held: held, Approved: func(wave string) bool { return slices.Contains(approved, wave) },
		Policy: w.Policy, Revert: w.Revert, Known: h.known(r.ID(), b), KeyOf: r.KeyOf,
		Requestor: o.Requestor, SourceSystem: o.SourceSystem,
		Clock: h.Clock, Random: h.Random, Stop: stop, Panicked: h.Panicked,
		Notice: func(text string) { fmt.Fprintf(h.Stderr, "rekey: %s\n", text) },
	}, nil
}

// schemaOf is the schema of the source, as the ledger has it.
func schemaOf(r *ledger.Run) (source.Schema, error) {
	var schema source.Schema
	if err := json.Unmarshal(r.Header().Schema, &schema); err != nil {
		return schema, fmt.Errorf("schema of run %s: %w", r.ID(), err)
	}
	return schema, nil
}

// known finds what a revert sets back: the newest value that earlier runs know
// as applied.
func (h *Host) known(run string, b *backends) func(label, account, cred string) (secret.Value, bool, error) {
	return func(label, account, cred string) (secret.Value, bool, error) {
		keys, err := h.keys(context.Background())
		if err != nil {
			return secret.Value{}, false, err
		}
		for _, p := range b.pins {
			if p.Label == label {
				return h.store.NewestApplied(keys, run, p.Target(), account, cred)
			}
		}
		return secret.Value{}, false, nil
	}
}

// rowReader decodes the rows of a run's plan.
func rowReader(r *ledger.Run, schema source.Schema) func(ledger.User) (source.Row, error) {
	return func(u ledger.User) (source.Row, error) {
		row, err := source.Decode(schema, u.Row, secretCell(r, u))
		row.Line, row.Key = u.Line, u.Key
		return row, err
	}
}

// conclude records how a process leaves the run, and writes the reports.
func (h *Host) conclude(r *ledger.Run, w *workflow.Workflow, o RunOptions, e engine.Ending) (Outcome, error) {
	counts, err := r.Counts()
	if err != nil {
		return Outcome{}, err
	}
	reason := e.Stopped
	if e.Held != "" {
		reason = "wave " + e.Held + " waits for an approval"
	}
	return h.leave(r, w, o, ended(e, Counts(counts)), reason)
}

// leave ends a process's work on a run: the reports, the state, the head. The
// state comes after the reports: a run that was killed before they were whole
// is not finished, and resume writes them.
func (h *Host) leave(r *ledger.Run, w *workflow.Workflow, o RunOptions, state journal.State, reason string) (Outcome, error) {
	if state == journal.StatePlanned {
		return h.concluded(r, o, nil)
	}
	note := func(rec *journal.Record) error { return r.Commit([]*journal.Record{rec}) }
	paths, reportErr := h.reports(r, w, o, state, reason, note)
	err := r.Commit([]*journal.Record{{Kind: journal.Ended, Detail: journal.Detail{State: state, Message: reason}}})
	if err != nil {
		return Outcome{}, errors.Join(err, reportErr)
	}
	out, err := h.concluded(r, o, paths)
	out.Reason, out.Summarised = reason, slices.ContainsFunc(w.Reports, func(s workflow.ReportSpec) bool { return s.Kind == "summary" })
	if reportErr != nil {
		out.unwritten(reportErr)
	}
	return out, err
}

// concluded is what a run came to, its log signed and kept.
func (h *Host) concluded(r *ledger.Run, o RunOptions, reports []string) (Outcome, error) {
	out, err := look(r)
	if err != nil {
		return out, err
	}
	out.Reports = append(out.Reports, reports...)
	if out.Next, err = advice(r, out); err != nil {
		return out, err
	}
	out.Audit.Size, out.Audit.Head, err = r.SignHead()
	if err != nil {
		return out, err
	}
	return out, h.checkpoint(r, o)
}
