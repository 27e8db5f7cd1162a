package host

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"strings"

	"github.com/rekey-host/rekey/host/journal"
	"github.com/rekey-host/rekey/host/ledger"
	"github.com/rekey-host/rekey/host/report"
)

// ReportOptions say what Report writes.
type ReportOptions struct {
	Format    string   // "": the script's reports
	Out       string   // with a format; "-" is Stdout
	Reveal    bool     // with a format: the values too
	Columns   []string // instead of those of the format; nil: those
	Overwrite bool
	Script    string // whose reports are written; "": the run's own
	Unaudited bool   // although it cannot be recorded
	Act
	Stdout io.Writer
}

// withoutFormat refuses options that want a format.
func (o ReportOptions) withoutFormat() error {
	if o.Out != "" {
		return &UsageError{Message: "--out wants a format: the script's own reports have their own paths", Fix: "give --format " + formatOf(o.Out)}
	}
	if o.Reveal {
		return &UsageError{Message: "--reveal wants a format: the script's own reports hold what the script says", Fix: "give --format jsonl --reveal"}
	}
	return nil
}

// summaryFormat is the one format without rows.
const summaryFormat = "summary"

// ReportFormats returns the formats that all users of a run can be written in.
func ReportFormats() []string {
	names := []string{summaryFormat}
	for _, format := range report.Formats() {
		names = append(names, format.Name)
	}
	return names
}

// revealing returns the formats that may hold passwords.
func revealing() []string {
	var names []string
	for _, format := range report.Formats() {
		if !format.Bare {
			names = append(names, format.Name)
		}
	}
	return names
}

// formatOf returns the format that a file's name speaks of.
func formatOf(path string) string {
	if format, ok := report.FormatOf(strings.TrimPrefix(filepath.Ext(path), ".")); ok {
		return format.Name
	}
	return oneOf(ReportFormats())
}

// oneOf lists words to choose from.
func oneOf(words []string) string {
	last := len(words) - 1
	return strings.Join(words[:last], ", ") + " or " + words[last]
}

// toReport opens a run for its reports. All users in one format are whatever
// remains of them, and need the key for values only; the script's own reports
// are whole or not written.
func toReport(ctx context.Context, all runs, name string, options ReportOptions) (*ledger.Run, error) {
	switch {
	case options.Format != "" && options.Reveal:
		return all.restOpened(ctx, name)
	case options.Format != "":
		return all.rest(name)
	}
	return all.opened(ctx, name)
}

// exporter writes all users of a run in one format.
type exporter struct {
	runs    runs
	run     *ledger.Run
	outlets outlets
	options ReportOptions
	chosen  []pick // of options.Columns
}

// write writes the users and returns the paths of the files it wrote.
func (e exporter) write() ([]string, error) {
	if len(e.options.Columns) > 0 {
		view, err := viewOf(e.run)
		if err != nil {
			return nil, err
		}
		if e.chosen, err = e.picks(view); err != nil {
			return nil, err
		}
	}
	write, err := e.format()
	if err != nil {
		return nil, err
	}
	reportOptions := e.options
	if reportOptions.Reveal {
		if err := e.run.Sealable(); err != nil {
			return nil, &UsageError{Message: err.Error()}
		}
		if err := e.runs.audited(e.run, journal.Revealed, map[string]string{"format": reportOptions.Format, "path": reportOptions.Out}); err != nil {
			return nil, err
		}
	}
	if reportOptions.Out == "" || reportOptions.Out == stdoutPath {
		return nil, write(reportOptions.Stdout)
	}
	return e.toFile(write)
}

// toFile writes to a file, whole or not at all.
func (e exporter) toFile(write func(io.Writer) error) ([]string, error) {
	options, err := e.outlets.writes(e.run.Header(), kindList, e.options.Overwrite)
	if err != nil {
		return nil, err
	}
	var part *PartError
	err = e.outlets.publish(e.options.Out, options, func(w io.Writer) error {
		err := write(w)
		if errors.As(err, &part) {
			return nil // what remains is written
		}
		return err
	})
	if err == nil && part != nil {
		err = part
	}
	return []string{e.options.Out}, err
}

// format returns what writes the users.
func (e exporter) format() (func(io.Writer) error, error) {
	name := e.options.Format
	format, ok := report.FormatOf(name)
	switch {
	case !ok && name != summaryFormat:
		return nil, &UsageError{Message: fmt.Sprintf("there is no format %q", name), Fix: "use " + oneOf(ReportFormats())}
	case e.options.Reveal && (!ok || format.Bare):
		return nil, &UsageError{Message: fmt.Sprintf("format %s never holds a password", name), Fix: "use " + oneOf(revealing())}
	case !ok && len(e.options.Columns) > 0:
		return nil, &UsageError{Message: "a summary has no columns", Fix: "give --format csv"}
	case !ok:
		return e.summary, nil
	case len(e.options.Columns) > 0:
	case format.Lines != nil:
		return func(w io.Writer) error { return e.lines(format.Lines(w)) }, nil
	}
	return func(w io.Writer) error { return e.rows(format, w) }, nil
}

// summary writes the counts.
func (e exporter) summary(w io.Writer) error {
	about, err := aboutOf(e.run)
	if err != nil {
		return err
	}
	return report.Summary(w, about)
}

// rows writes the default columns, or those that are asked for.
func (e exporter) rows(format report.Format, w io.Writer) error {
	options := report.Options{Columns: report.DefaultColumns()}
	if len(e.options.Columns) > 0 {
		options.Columns = e.options.Columns
	}
	if format.Bare {
		var err error
		if options.About, err = aboutOf(e.run); err != nil {
			return err
		}
	}
	if len(e.options.Columns) > 0 {
		return e.picked(e.chosen, format.Rows(w, options))
	}
	row, rows := report.DefaultRow, format.Rows(w, options)
	if e.options.Reveal {
		row = report.RevealedRow
	}
	err := e.results(func(result report.Result) error { return rows.Add(result, row(result)) })
	return closed(rows, err)
}

// lines writes one object a user, with every step.
func (e exporter) lines(lines report.LineWriter) error {
	err := e.results(func(result report.Result) error { return lines.Add(e.line(result)) })
	return closed(lines, err)
}

// closed closes what was written to its end, though not all could be opened.
func closed(out interface{ Close() error }, err error) error {
	if err != nil && !errors.As(err, new(*PartError)) {
		return err
	}
	return errors.Join(out.Close(), err)
}

// line returns the object of a user.
func (e exporter) line(result report.Result) any {
	if e.options.Reveal {
		return report.RevealedLine(result)
	}
	return report.NewLine(result)
}

// results calls fn with the result of each user, in the order of the source.
func (e exporter) results(fn func(report.Result) error) error {
	view, err := viewOf(e.run)
	if err != nil {
		return err
	}
	if len(e.options.Columns) > 0 {
		view.Row = closedRow(view.Schema)
		span, err := e.run.Span()
		if err != nil {
			return err
		}
		view.Ended = span.Until.UTC()
	}
	sealed := view
	if e.options.Reveal {
		view.Unseal = e.run.Unseal
	}
	if e.options.Reveal && view.Row != nil {
		view.Row = rowReader(e.run, view.Schema)
	}
	bad := notOpened{}
	err = e.run.Pass(ledger.OrderSource, func(user ledger.User) error {
		result, err := report.Build(view, user)
		if err != nil && e.options.Reveal {
			bad.note(user.Key, err)
			result, err = report.Build(sealed, user)
		}
		if err != nil {
			return err
		}
		return fn(result)
	})
	if err != nil {
		return err
	}
	return bad.err(e.run.ID())
}

// columnsFormat is the format of a list of columns: that of the file's name,
// else CSV.
func columnsFormat(path string) string {
	if format, ok := report.FormatOf(strings.TrimPrefix(filepath.Ext(path), ".")); ok {
		return format.Name
	}
	return "csv"
}
