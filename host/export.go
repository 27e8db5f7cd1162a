package host

import (
	"context"
	"encoding/json"
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
	Format    string // "": the script's reports
	Out       string // with a format; "-" is Stdout
	Reveal    bool   // with a format: the values too
	Overwrite bool
	Script    string // whose reports are written; "": the run's own
	Unaudited bool   // although it cannot be recorded
	Stdout    io.Writer
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

// formatOf returns the format that a file's name speaks of.
func formatOf(path string) string {
	switch ext := strings.TrimPrefix(filepath.Ext(path), "."); ext {
	case "csv", "json", "jsonl", "html":
		return ext
	}
	return "summary, json, jsonl, csv or html"
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
}

// write writes the users and returns the paths of what it wrote.
func (e exporter) write() ([]string, error) {
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
	switch format := e.options.Format; format {
	case "summary", "html":
		if e.options.Reveal {
			return nil, &UsageError{Message: fmt.Sprintf("format %s never holds a password", format), Fix: "use jsonl, json or csv"}
		}
		return e.about, nil
	case "csv":
		return func(w io.Writer) error { return e.rows(report.NewCSV(w, report.DefaultColumns()...)) }, nil
	case "json":
		return e.array, nil
	case "jsonl":
		return e.lines, nil
	default:
		return nil, &UsageError{Message: fmt.Sprintf("there is no format %q", format), Fix: "use summary, json, jsonl, csv or html"}
	}
}

// about writes what never holds a password.
func (e exporter) about(w io.Writer) error {
	about, err := aboutOf(e.run)
	if err != nil {
		return err
	}
	if e.options.Format == "summary" {
		return report.Summary(w, about)
	}
	return e.rows(report.NewHTML(w, about))
}

// rows writes the default columns.
func (e exporter) rows(rows rowWriter) error {
	row := report.DefaultRow
	if e.options.Reveal {
		row = report.RevealedRow
	}
	err := e.results(func(result report.Result) error { return rows.Add(result, row(result)) })
	if err != nil && !errors.As(err, new(*PartError)) {
		return err
	}
	return errors.Join(rows.Close(), err)
}

// lines writes one object a user, with every step, on one line.
func (e exporter) lines(w io.Writer) error {
	encoder := json.NewEncoder(w)
	encoder.SetEscapeHTML(false)
	return e.results(func(result report.Result) error { return encoder.Encode(e.line(result)) })
}

// array writes one array of what lines writes.
func (e exporter) array(w io.Writer) error {
	encoder := json.NewEncoder(w)
	encoder.SetEscapeHTML(false)
	before := "[\n"
	err := e.results(func(result report.Result) error {
		if _, err := io.WriteString(w, before); err != nil {
			return err
		}
		before = ","
		return encoder.Encode(e.line(result))
	})
	if err != nil && !errors.As(err, new(*PartError)) {
		return err
	}
	end := "]\n"
	if before != "," {
		end = "[]\n"
	}
	_, werr := io.WriteString(w, end)
	return errors.Join(werr, err)
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
	sealed := view
	if e.options.Reveal {
		view.Unseal = e.run.Unseal
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
