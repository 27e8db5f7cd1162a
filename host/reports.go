package host

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/rekey-host/rekey/host/journal"
	"github.com/rekey-host/rekey/host/ledger"
	"github.com/rekey-host/rekey/host/output"
	"github.com/rekey-host/rekey/host/report"
	"github.com/rekey-host/rekey/host/workflow"
	"github.com/rekey-host/rekey/sdk"
)

// left is how a process leaves a run.
type left struct {
	state  journal.State
	reason string
	events []string // of this process, not on record yet
}

// reporter writes the reports of one run.
type reporter struct {
	session *Session
	options output.Options
	left    left
	note    func(*journal.Record) error // records that a report was written

	about   report.Run
	builder report.Builder
	errs    []error
}

// load reads what reports say of the run as a whole.
func (p *reporter) load() error {
	run := p.session.run
	about, err := aboutOf(run)
	if err != nil {
		return err
	}
	p.about, p.about.Status, p.about.Reason = about, p.left.state, p.left.reason
	p.about.Events = append(p.about.Events, p.left.events...)
	if p.builder.View, err = viewOf(run); err != nil {
		return err
	}
	p.builder.Ended = p.about.Ended
	p.builder.Row = rowReader(run, p.builder.Schema)
	if slices.ContainsFunc(p.session.flow.Reports, func(spec workflow.ReportSpec) bool { return spec.HasRow }) {
		if err := run.Sealable(); err != nil {
			return &UsageError{Message: err.Error()}
		}
		p.builder.Unseal = run.Unseal
	}
	return nil
}

// viewOf is how reports look at a run.
func viewOf(run *ledger.Run) (report.View, error) {
	view, err := report.ViewOf(run.Header())
	if err != nil {
		return view, err
	}
	pins, err := run.Backends()
	if err != nil && run.Damage() == nil {
		return view, err
	}
	for _, pin := range pins { // an accepted change may have others
		if !slices.Contains(view.Labels, pin.Label) {
			view.Labels = append(view.Labels, pin.Label)
		}
	}
	view.Starts, err = run.Starts()
	return view, err
}

// aboutOf returns what summaries and pages say of a run.
func aboutOf(run *ledger.Run) (report.Run, error) {
	head := run.Header()
	about := report.Run{ID: run.ID(), Script: head.Script, Started: head.Created, Requestor: head.Requestor,
		SourceSystem: head.SourceSystem, OSUser: head.OSUser, Host: head.Host, Version: head.Version}
	var err error
	if about.Status, err = run.State(); err != nil {
		return about, err
	}
	if about.Counts, err = run.Counts(); err != nil {
		return about, err
	}
	if about.Waves, err = run.WaveCounts(); err != nil {
		return about, err
	}
	if about.Groups, err = groups(run, about.Counts); err != nil {
		return about, err
	}
	if about.Untold, err = run.Untold(); err != nil {
		return about, err
	}
	span, err := run.Span()
	if err != nil {
		return about, err
	}
	if !span.Began.IsZero() {
		about.Started, about.Ended, about.Took = span.Began.UTC(), span.Until.UTC(), span.Took()
	}
	reason, err := overAgain(run)
	if err != nil && run.Damage() == nil {
		return about, err
	}
	about.Over = reason != ""
	if about.Unchanged, err = run.Unchanged(); err != nil {
		return about, err
	}
	if about.Events, err = run.Events(); err != nil {
		return about, err
	}
	about.Size, about.Head, err = run.SignHead()
	return about, err
}

// groups are the users not done, by code.
func groups(run *ledger.Run, counts ledger.Counts) ([]report.Group, error) {
	var tally report.Tally
	if counts.Failed+counts.Partial+counts.Unknown == 0 {
		return nil, nil
	}
	filter := ledger.Filter{Status: []journal.Status{journal.Failed, journal.Partial, journal.Unresolved}}
	err := run.Each(filter, ledger.OrderSource, func(user ledger.User) error {
		tally.Add(user.Key, user.Status, user.Code, user.Reason, broken(user)...)
		return nil
	})
	return tally.Groups(), err
}

// broken are the rules that the last refusal of a user named.
func broken(user ledger.User) []sdk.Violation {
	for _, rec := range slices.Backward(user.History) {
		if rec.Outcome == sdk.Refused && len(rec.Detail.Violations) > 0 {
			return rec.Detail.Violations
		}
	}
	return nil
}

// sheet is one report being written.
type sheet struct {
	index  int // among the workflow's reports
	spec   workflow.ReportSpec
	parts  *parts         // of a report that is split: it has no file itself
	to     string         // its path
	file   *output.File   // nil: it goes to standard output
	sealed io.WriteCloser // encrypts on the way to the file; nil
	rows   report.RowWriter
	err    error

	values, lacking int64 // users whose row has a password, and those whose has none
	failed          bool  // it is written beside the present list
}

// path is where the report is, as the script calls it.
func (s *sheet) path() string {
	if s.failed {
		return s.to + failedSuffix
	}
	return s.to
}

// write writes the reports of one order in one pass.
func (p *reporter) write(ctx context.Context, order string) {
	var sheets []*sheet
	for i, spec := range p.session.flow.Reports {
		switch {
		case spec.Path == "" || spec.Order != order || spec.Kind == summaryFormat:
		case spec.SplitBy != "":
			sheets = append(sheets, p.beginParts(i, spec))
		default:
			sheets = append(sheets, p.begin(i, spec, p.pathOf(spec)))
		}
	}
	if len(sheets) == 0 {
		return
	}
	by := ledger.OrderSource
	if order == "apply" {
		by = ledger.OrderApply
	}
	err := p.session.run.Pass(by, func(user ledger.User) error { return p.user(ctx, sheets, user) })
	for _, sheet := range sheets {
		if sheet.err == nil {
			sheet.err = err
		}
		p.end(sheet)
	}
}

// begin opens one report.
func (p *reporter) begin(i int, spec workflow.ReportSpec, path string) *sheet {
	made := &sheet{index: i, spec: spec, to: path}
	w := p.session.host.Stdout
	if path != stdoutPath {
		if made.file, made.err = output.Create(path, p.options); made.err != nil {
			return made
		}
		w = made.file
	}
	if len(spec.EncryptTo) > 0 {
		if made.sealed, made.err = report.Encrypt(w, spec.EncryptTo); made.err != nil {
			return made
		}
		w = made.sealed
	}
	made.rows, made.err = writerOf(spec, w, p.about)
	return made
}

// writerOf writes rows in a report's format.
func writerOf(spec workflow.ReportSpec, w io.Writer, about report.Run) (report.RowWriter, error) {
	format, ok := report.FormatOf(spec.Kind)
	if !ok {
		return nil, fmt.Errorf("there is no format %q", spec.Kind)
	}
	return format.Rows(w, report.Options{About: about, Columns: columnsOf(spec), Delimiter: spec.Delimiter, Mark: spec.Mark, Text: spec.Text}), nil
}

// columnsOf are those of a report without a user.
func columnsOf(spec workflow.ReportSpec) []string {
	if spec.HasRow && len(spec.Columns) > 0 {
		return spec.Columns
	}
	return report.DefaultColumns()
}

// user adds a user to every report still sound.
func (p *reporter) user(ctx context.Context, sheets []*sheet, user ledger.User) error {
	result, err := p.builder.Build(user)
	if err != nil {
		return err
	}
	sound := 0
	for _, sheet := range sheets {
		if sheet.err == nil {
			sheet.err = p.row(ctx, sheet, result)
		}
		if sheet.err == nil {
			sound++
		}
	}
	if sound == 0 {
		return errors.New("no report can be written")
	}
	return nil
}

func (p *reporter) row(ctx context.Context, sheet *sheet, result *report.Result) error {
	var row report.Row
	if sheet.spec.HasRow {
		made, include, err := p.session.flow.ReportRow(ctx, sheet.index, result)
		if err != nil || !include {
			return err
		}
		row = made
	} else {
		row = report.DefaultRow(*result)
	}
	if sheet.parts != nil {
		if sheet = p.part(sheet, result); sheet.err != nil {
			return sheet.err
		}
	}
	if sheet.spec.HasRow && hasSecret(row) {
		sheet.values++
	} else if sheet.spec.HasRow {
		sheet.lacking++
	}
	return sheet.rows.Add(*result, row)
}

// end puts a whole report in its place.
func (p *reporter) end(sheet *sheet) {
	if sheet.parts != nil {
		p.endParts(sheet)
		return
	}
	if sheet.file != nil {
		defer sheet.file.Abort()
	}
	if sheet.err == nil {
		sheet.err = p.commit(sheet)
	}
	if sheet.err != nil {
		p.errs = append(p.errs, fmt.Errorf("report %s is not written: %w", sheet.to, sheet.err))
		return
	}
	if sheet.file != nil {
		p.about.Files = append(p.about.Files, p.session.place.shown(sheet.path()))
	}
	if csv, ok := sheet.rows.(*report.CSV); ok {
		for _, spoilt := range csv.Spoilt() {
			p.about.Warnings = append(p.about.Warnings, spoilt.Warning(sheet.path()))
		}
	}
}

func (p *reporter) commit(sheet *sheet) error {
	if err := sheet.rows.Close(); err != nil {
		return err
	}
	if sheet.sealed != nil {
		if err := sheet.sealed.Close(); err != nil {
			return err
		}
	}
	if sheet.file == nil {
		return p.note(&journal.Record{Kind: journal.Reported, Detail: journal.Detail{OSUser: p.session.host.OSUser, Host: p.session.host.Hostname, Facts: map[string]string{"path": stdoutPath}}})
	}
	if err := p.spare(sheet); err != nil {
		return err
	}
	return p.publish(sheet)
}

// publish puts a file in its place, and records that.
func (p *reporter) publish(sheet *sheet) error {
	digest, err := sheet.file.Commit()
	if err != nil {
		return err
	}
	if err := p.session.outlets.unkept(p.session.host.store.WroteList(sheet.file.Path(), digest, kindReport, ledger.List{Run: p.session.run.ID(), Values: sheet.values})); err != nil {
		return err
	}
	facts := map[string]string{"path": sheet.file.Path(), "sha256": digest}
	return p.note(&journal.Record{Kind: journal.Reported, Detail: journal.Detail{OSUser: p.session.host.OSUser, Host: p.session.host.Hostname, Facts: facts}})
}

// summaries come last: they name the files, those in files before those on
// standard output.
func (p *reporter) summaries() {
	to := p.session.host.Stdout
	if slices.ContainsFunc(p.session.flow.Reports, func(spec workflow.ReportSpec) bool { return spec.Path == stdoutPath }) {
		to = p.session.host.Stderr // standard output is the report's
	}
	for _, toFile := range []bool{true, false} {
		for _, spec := range p.session.flow.Reports {
			if spec.Kind != summaryFormat || (spec.Path != "") != toFile {
				continue
			}
			if err := p.summary(spec, to); err != nil {
				p.errs = append(p.errs, fmt.Errorf("summary: %w", err))
			}
		}
	}
}

// summary writes one summary.
func (p *reporter) summary(spec workflow.ReportSpec, to io.Writer) error {
	about := p.about
	var err error
	if about.By, err = p.breakdowns(spec.By); err != nil {
		return err
	}
	if spec.Path == "" {
		return report.Summary(to, about)
	}
	sheet := &sheet{spec: spec, to: p.pathOf(spec)}
	if sheet.file, err = output.Create(sheet.to, p.options); err != nil {
		return err
	}
	defer sheet.file.Abort()
	if err := report.Summary(sheet.file, about); err != nil {
		return err
	}
	if err := p.publish(sheet); err != nil {
		return err
	}
	p.about.Files = append(p.about.Files, p.session.place.shown(sheet.to))
	return nil
}

// breakdowns counts the users by the values of columns.
func (p *reporter) breakdowns(columns []string) ([]report.Breakdown, error) {
	if len(columns) == 0 {
		return nil, nil
	}
	var list []report.Breakdown
	var places []int
	for _, name := range columns {
		at, err := columnAt(p.builder.Schema, "by", name)
		if err != nil {
			return nil, err
		}
		places = append(places, at)
		list = append(list, report.Breakdown{Column: name, Counts: map[string]*ledger.Counts{}})
	}
	err := p.session.run.Pass(ledger.OrderSource, func(user ledger.User) error {
		row, err := p.builder.Row(user)
		for i := range list {
			if err == nil {
				list[i].Add(row.Cells[places[i]], user.Status)
			}
		}
		return err
	})
	return list, err
}

// spare keeps a list of passwords that another run has written from being
// replaced by one with fewer of them, in which some password is missing: who has
// the list needs it. The new one goes beside it, with a warning.
func (p *reporter) spare(sheet *sheet) error {
	old, there := p.session.host.store.Listed(sheet.file.Path())
	if !there || old.Run == p.session.run.ID() || sheet.values >= old.Values || sheet.lacking == 0 && sheet.values > 0 || p.options.Overwrite || !sheet.file.Replaces() {
		return nil
	}
	if err := sheet.file.Divert(failedSuffix); err != nil {
		return err
	}
	sheet.failed = true
	p.session.host.notices.warn("%s stays as run %s wrote it, with the passwords of %d users: this run has those of %d; its list is %s",
		p.session.place.shown(sheet.to), old.Run, old.Values, sheet.values, p.session.place.shown(sheet.path()))
	return nil
}
