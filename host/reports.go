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
}

// reporter writes the reports of one run.
type reporter struct {
	session *Session
	options output.Options
	left    left
	note    func(*journal.Record) error // records that a report was written

	about report.Run
	view  report.View
	errs  []error
}

// look reads what reports say of the run as a whole.
func (p *reporter) look() error {
	run := p.session.run
	about, err := aboutOf(run)
	if err != nil {
		return err
	}
	p.about, p.about.Status, p.about.Reason = about, p.left.state, p.left.reason
	if p.view, err = viewOf(run); err != nil {
		return err
	}
	p.view.Row = rowReader(run, p.view.Schema)
	if slices.ContainsFunc(p.session.flow.Reports, func(spec workflow.ReportSpec) bool { return spec.HasRow }) {
		if err := run.Sealable(); err != nil {
			return &UsageError{Message: err.Error()}
		}
		p.view.Unseal = run.Unseal
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

// aboutOf returns what summaries and pages say of a run.
func aboutOf(r *ledger.Run) (report.Run, error) {
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
func (p *reporter) write(ctx context.Context, order string) {
	var sheets []*sheet
	for i, spec := range p.session.flow.Reports {
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
	err := p.session.run.Each(ledger.Filter{}, by, func(u ledger.User) error { return p.user(ctx, sheets, u) })
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
	w := p.session.host.Stdout
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
func (p *reporter) user(ctx context.Context, sheets []*sheet, u ledger.User) error {
	result, err := report.Build(p.view, u)
	if err != nil {
		return err
	}
	sound := 0
	for _, s := range sheets {
		if s.err == nil {
			s.err = p.row(ctx, s, &result)
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

func (p *reporter) row(ctx context.Context, s *sheet, result *report.Result) error {
	if !s.spec.HasRow {
		return s.rows.Add(*result, report.DefaultRow(*result))
	}
	row, include, err := p.session.flow.ReportRow(ctx, s.index, result)
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
		p.about.Files = append(p.about.Files, p.session.place.shown(s.path()))
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
		return p.note(&journal.Record{Kind: journal.Reported, Detail: journal.Detail{OSUser: p.session.host.OSUser, Host: p.session.host.Hostname, Facts: map[string]string{"path": stdoutPath}}})
	}
	if err := p.spare(s); err != nil {
		return err
	}
	digest, err := s.file.Commit()
	if err != nil {
		return err
	}
	if err := p.session.outlets.unkept(p.session.host.store.WroteList(s.file.Path(), digest, kindReport, ledger.List{Run: p.session.run.ID(), Values: s.values})); err != nil {
		return err
	}
	facts := map[string]string{"path": s.file.Path(), "sha256": digest}
	return p.note(&journal.Record{Kind: journal.Reported, Detail: journal.Detail{OSUser: p.session.host.OSUser, Host: p.session.host.Hostname, Facts: facts}})
}

// summary comes last: it names the files.
func (p *reporter) summary() {
	to := p.session.host.Stdout
	if slices.ContainsFunc(p.session.flow.Reports, func(s workflow.ReportSpec) bool { return s.Path == stdoutPath }) {
		to = p.session.host.Stderr // standard output is the report's
	}
	for _, spec := range p.session.flow.Reports {
		if spec.Kind != "summary" {
			continue
		}
		if err := report.Summary(to, p.about); err != nil {
			p.errs = append(p.errs, fmt.Errorf("summary: %w", err))
		}
	}
}

// spare keeps a list of passwords that another run has written from being
// replaced by one with fewer of them, in which somebody's is missing: who has
// the list needs it. The new one goes beside it, and that is said.
func (p *reporter) spare(s *sheet) error {
	old, there := p.session.host.store.Listed(s.file.Path())
	if !there || old.Run == p.session.run.ID() || s.values >= old.Values || s.lacking == 0 && s.values > 0 || p.options.Overwrite || !s.file.Replaces() {
		return nil
	}
	if err := s.file.Divert(failedSuffix); err != nil {
		return err
	}
	s.failed = true
	p.session.host.notices.warn("%s stays as run %s wrote it, with the passwords of %d users: this run has those of %d; its list is %s",
		p.session.place.shown(s.spec.Path), old.Run, old.Values, s.values, p.session.place.shown(s.path()))
	return nil
}
