package host

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strings"

	"github.com/rekey-host/rekey/host/journal"
	"github.com/rekey-host/rekey/host/ledger"
	"github.com/rekey-host/rekey/host/output"
	"github.com/rekey-host/rekey/host/report"
	"github.com/rekey-host/rekey/host/workflow"
	"github.com/rekey-host/rekey/sdk"
	"github.com/rekey-host/rekey/sdk/secret"
)

// reporter writes the reports of one run.
type reporter struct {
	h       *Host
	run     *ledger.Run
	flow    *workflow.Workflow
	options output.Options
	state   journal.State // in which the run is left
	reason  string
	note    func(*journal.Record) error // records that a report was written

	about report.Run
	view  report.View
	errs  []error
}

// reports writes the reports of the script and returns their paths. One that
// cannot be written does not keep the others from being.
func (h *Host) reports(r *ledger.Run, w *workflow.Workflow, o RunOptions, state journal.State, reason string, note func(*journal.Record) error) ([]string, error) {
	options, err := h.outputs(w, r.Header(), o.Overwrite)
	if err != nil {
		return nil, err
	}
	p := &reporter{h: h, run: r, flow: w, options: options, state: state, reason: reason, note: note}
	if err := p.look(); err != nil {
		return nil, err
	}
	for _, order := range []string{"source", "apply"} {
		p.write(order)
	}
	p.summary()
	if err := errors.Join(p.errs...); err != nil {
		last := "the ledger has everything: mend the script, then rekey report " + r.ID() + " --script FILE, or rekey report " + r.ID()
		return p.about.Files, &ReportError{Lines: append(strings.Split(err.Error(), "\n"), last)}
	}
	return p.about.Files, nil
}

// look reads what reports say of the run as a whole.
func (p *reporter) look() error {
	about, err := p.h.about(p.run)
	if err != nil {
		return err
	}
	p.about, p.about.Status, p.about.Reason = about, p.state, p.reason
	if p.view, err = viewOf(p.run); err != nil {
		return err
	}
	p.view.Row = rowReader(p.run, p.view.Schema)
	if slices.ContainsFunc(p.flow.Reports, func(s workflow.ReportSpec) bool { return s.HasRow }) {
		if err := p.run.Sealable(); err != nil {
			return &UsageError{Message: err.Error()}
		}
		p.view.Unseal = p.run.Unseal
	}
	return nil
}

// viewOf is how reports look at a run.
func viewOf(r *ledger.Run) (report.View, error) {
	v, err := report.ViewOf(r.Header())
	if err != nil {
		return v, err
	}
	pins, err := r.Backends()
	if err != nil && r.Damage() == nil {
		return v, err
	}
	for _, pin := range pins { // a change that was accepted may have others
		if !slices.Contains(v.Labels, pin.Label) {
			v.Labels = append(v.Labels, pin.Label)
		}
	}
	v.Starts, err = r.Starts()
	return v, err
}

// about is what summaries and pages say of a run.
func (h *Host) about(r *ledger.Run) (report.Run, error) {
	head := r.Header()
	about := report.Run{ID: r.ID(), Script: head.Script, Started: head.Created, Requestor: head.Requestor,
		SourceSystem: head.SourceSystem, OSUser: head.OSUser, Host: head.Host, Version: head.Version}
	var err error
	if about.Status, err = r.State(); err != nil {
		return about, err
	}
	if about.Counts, err = r.Counts(); err != nil {
		return about, err
	}
	if about.Waves, err = r.WaveCounts(); err != nil {
		return about, err
	}
	if about.Groups, err = groups(r, about.Counts); err != nil {
		return about, err
	}
	if about.Untold, err = r.Untold(); err != nil {
		return about, err
	}
	span, err := r.Span()
	if err != nil {
		return about, err
	}
	if !span.Began.IsZero() {
		about.Started, about.Ended, about.Took = span.Began.UTC(), span.Until.UTC(), span.Took()
	}
	reason, err := overAgain(r)
	if err != nil && r.Damage() == nil {
		return about, err
	}
	about.Over = reason != ""
	if about.Unchanged, err = r.Unchanged(); err != nil {
		return about, err
	}
	about.Size, about.Head, err = r.SignHead()
	return about, err
}

// groups are the users that are not done, by code.
func groups(r *ledger.Run, c ledger.Counts) ([]report.Group, error) {
	var tally report.Tally
	if c.Failed+c.Partial+c.Unknown == 0 {
		return nil, nil
	}
	f := ledger.Filter{Status: []journal.Status{journal.Failed, journal.Partial, journal.Unresolved}}
	err := r.Each(f, ledger.OrderSource, func(u ledger.User) error {
		tally.Add(u.Key, u.Status, u.Code, u.Reason, broken(u)...)
		return nil
	})
	return tally.Groups(), err
}

// broken are the rules that the last refusal of a user named.
func broken(u ledger.User) []sdk.Violation {
	for _, rec := range slices.Backward(u.History) {
		if rec.Outcome == sdk.Refused && len(rec.Detail.Violations) > 0 {
			return rec.Detail.Violations
		}
	}
	return nil
}

// sheet is one report that is being written.
type sheet struct {
	index  int // among the workflow's reports
	spec   workflow.ReportSpec
	file   *output.File   // nil: it goes to standard output
	sealed io.WriteCloser // encrypts on the way to the file; nil
	rows   rowWriter
	err    error

	values, lacking int64 // users whose row has a password, and those whose has none
	failed          bool  // it is written beside the list that is there
}

// path is where the report is, as the script calls it.
func (s *sheet) path() string {
	if s.failed {
		return s.spec.Path + failedSuffix
	}
	return s.spec.Path
}

// rowWriter is one of the formats.
type rowWriter interface {
	Add(r report.Result, row report.Row) error
	Close() error
}

// write writes the reports of one order in one pass.
func (p *reporter) write(order string) {
	var sheets []*sheet
	for i, spec := range p.flow.Reports {
		if spec.Path != "" && spec.Order == order {
			sheets = append(sheets, p.begin(i, spec))
		}
	}
	if len(sheets) == 0 {
		return
	}
	by := ledger.OrderSource
	if order == "apply" {
		by = ledger.OrderApply
	}
	err := p.run.Each(ledger.Filter{}, by, func(u ledger.User) error { return p.user(sheets, u) })
	for _, s := range sheets {
		if s.err == nil {
			s.err = err
		}
		p.end(s)
	}
}

// begin opens one report.
func (p *reporter) begin(i int, spec workflow.ReportSpec) *sheet {
	s := &sheet{index: i, spec: spec}
	w := p.h.Stdout
	if spec.Path != stdoutPath {
		if s.file, s.err = output.Create(spec.Path, p.options); s.err != nil {
			return s
		}
		w = s.file
	}
	if len(spec.EncryptTo) > 0 {
		if s.sealed, s.err = report.Encrypt(w, spec.EncryptTo); s.err != nil {
			return s
		}
		w = s.sealed
	}
	s.rows = writerOf(spec, w, p.about)
	return s
}

// writerOf writes rows in a report's format.
func writerOf(spec workflow.ReportSpec, w io.Writer, about report.Run) rowWriter {
	switch spec.Kind {
	case "json":
		return report.NewJSON(w)
	case "jsonl":
		return report.NewJSONL(w)
	case "html":
		return report.NewHTML(w, about)
	default:
		out := report.NewCSV(w, columnsOf(spec)...)
		out.Delimiter, out.Mark = spec.Delimiter, spec.Mark
		return out
	}
}

// columnsOf are those of a report without a user.
func columnsOf(spec workflow.ReportSpec) []string {
	if spec.HasRow && len(spec.Columns) > 0 {
		return spec.Columns
	}
	return report.DefaultColumns()
}

// user adds a user to every report that is still sound.
func (p *reporter) user(sheets []*sheet, u ledger.User) error {
	result, err := report.Build(p.view, u)
	if err != nil {
		return err
	}
	sound := 0
	for _, s := range sheets {
		if s.err == nil {
			s.err = p.row(s, &result)
		}
		if s.err == nil {
			sound++
		}
	}
	if sound == 0 {
		return errors.New("no report can be written")
	}
	return nil
}

func (p *reporter) row(s *sheet, result *report.Result) error {
	if !s.spec.HasRow {
		return s.rows.Add(*result, report.DefaultRow(*result))
	}
	row, include, err := p.flow.ReportRow(context.Background(), s.index, result)
	if err != nil || !include {
		return err
	}
	if hasSecret(row) {
		s.values++
	} else {
		s.lacking++
	}
	return s.rows.Add(*result, row)
}

// end puts a report that is whole in its place.
func (p *reporter) end(s *sheet) {
	if s.file != nil {
		defer s.file.Abort()
	}
	if s.err == nil {
		s.err = p.commit(s)
	}
	if s.err != nil {
		p.errs = append(p.errs, fmt.Errorf("report %s is not written: %w", s.spec.Path, s.err))
		return
	}
	if s.file != nil {
		p.about.Files = append(p.about.Files, p.h.shown(s.path()))
	}
	if csv, ok := s.rows.(*report.CSV); ok {
		for _, f := range csv.Formulas() {
			p.about.Warnings = append(p.about.Warnings, f.Warning(s.path()))
		}
	}
}

func (p *reporter) commit(s *sheet) error {
	if err := s.rows.Close(); err != nil {
		return err
	}
	if s.sealed != nil {
		if err := s.sealed.Close(); err != nil {
			return err
		}
	}
	if s.file == nil {
		return p.note(&journal.Record{Kind: journal.Reported, Detail: journal.Detail{OSUser: p.h.OSUser, Host: p.h.Hostname, Facts: map[string]string{"path": stdoutPath}}})
	}
	if err := p.spare(s); err != nil {
		return err
	}
	digest, err := s.file.Commit()
	if err != nil {
		return err
	}
	if err := p.h.unkept(p.h.store.WroteList(s.file.Path(), digest, kindReport, ledger.List{Run: p.run.ID(), Values: s.values})); err != nil {
		return err
	}
	facts := map[string]string{"path": s.file.Path(), "sha256": digest}
	return p.note(&journal.Record{Kind: journal.Reported, Detail: journal.Detail{OSUser: p.h.OSUser, Host: p.h.Hostname, Facts: facts}})
}

// summary comes last: it names the files.
func (p *reporter) summary() {
	to := p.h.Stdout
	if slices.ContainsFunc(p.flow.Reports, func(s workflow.ReportSpec) bool { return s.Path == stdoutPath }) {
		to = p.h.Stderr // standard output is the report's
	}
	for _, spec := range p.flow.Reports {
		if spec.Kind != "summary" {
			continue
		}
		if err := report.Summary(to, p.about); err != nil {
			p.errs = append(p.errs, fmt.Errorf("summary: %w", err))
		}
	}
}

// ReportOptions say what Report writes.
type ReportOptions struct {
	Format    string // "": the script's reports
	Out       string // with a format; "-" is Stdout
	Reveal    bool   // with a format: the values too
	Overwrite bool
	Script    string // whose reports are written; "": the run's own
	Unaudited bool   // although it cannot be recorded
	Stdout    io.Writer
}

// Report writes a run's reports again, from the script text in the ledger, or
// all its users in one format. It returns the paths it wrote.
func (h *Host) Report(ctx context.Context, name string, o ReportOptions) ([]string, error) {
	r, err := h.toReport(name, o)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	if o.Format == "" && o.Out != "" {
		return nil, &UsageError{Message: "--out wants a format: the script's own reports have their own paths", Fix: "give --format " + formatOf(o.Out)}
	}
	if o.Unaudited {
		waiving := *h
		waiving.waived = true
		h = &waiving
	}
	if o.Format != "" {
		paths, err := h.export(r, o)
		return paths, whatIsLost(r, err)
	}
	if o.Reveal {
		return nil, &UsageError{Message: "--reveal wants a format: the script's own reports hold what the script says", Fix: "give --format jsonl --reveal"}
	}
	h, err = h.at(r)
	if err != nil {
		return nil, err
	}
	w, err := h.reporting(ctx, r, o.Script)
	if err != nil {
		return nil, err
	}
	defer w.Close()
	note := func(rec *journal.Record) error { return h.unrecorded(h.store.Note(r.ID(), rec), o.Unaudited) }
	state, err := r.State()
	if err != nil {
		return nil, err
	}
	return h.reports(r, w, RunOptions{Overwrite: o.Overwrite}, state, "", note)
}

// toReport opens a run for its reports. All users in one format are what there is
// of them, and need the key for values only; the script's own reports are whole
// or not written.
func (h *Host) toReport(name string, o ReportOptions) (*ledger.Run, error) {
	switch {
	case o.Format != "" && o.Reveal:
		return h.restOpened(name)
	case o.Format != "":
		return h.rest(name)
	}
	return h.opened(name)
}

// formatOf is the format that a file's name speaks of.
func formatOf(path string) string {
	switch ext := strings.TrimPrefix(filepath.Ext(path), "."); ext {
	case "csv", "json", "jsonl", "html":
		return ext
	}
	return "summary, json, jsonl, csv or html"
}

// reporting is the script whose reports are written: the run's own, or a mended
// one. Of that only the reports are used: what happened stays what it was.
func (h *Host) reporting(ctx context.Context, r *ledger.Run, script string) (*workflow.Workflow, error) {
	if script == "" {
		return h.fromLedger(ctx, r)
	}
	o := h.loadOptions(script, r.Header().Params)
	o.Blind = true
	w, err := workflow.Load(ctx, o)
	if err != nil {
		return nil, err
	}
	schema, err := schemaOf(r)
	if err != nil {
		return nil, errors.Join(err, w.Close())
	}
	w.Use(schema)
	return w, nil
}

// fromLedger loads the script as the ledger has it.
func (h *Host) fromLedger(ctx context.Context, r *ledger.Run) (*workflow.Workflow, error) {
	head := r.Header()
	o := h.loadOptions(head.Script, head.Params)
	o.Kept = []workflow.File{{Name: head.Script, Text: head.ScriptText}}
	for _, m := range head.Modules {
		o.Kept = append(o.Kept, workflow.File{Name: m.Name, Text: m.Text, SHA256: m.SHA256})
	}
	w, err := workflow.Load(ctx, o)
	if err != nil {
		return nil, err
	}
	schema, err := schemaOf(r)
	if err != nil {
		return nil, errors.Join(err, w.Close())
	}
	w.Use(schema)
	return w, nil
}

// secretCell opens the secret cells of a run's rows.
func secretCell(r *ledger.Run, u ledger.User) func(string, []byte) (secret.Value, error) {
	return func(column string, sealed []byte) (secret.Value, error) { return r.UnsealCell(column, u.Seq, sealed) }
}
