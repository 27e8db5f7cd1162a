package host

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"github.com/rekey-host/rekey/host/journal"
	"github.com/rekey-host/rekey/host/ledger"
	"github.com/rekey-host/rekey/host/report"
)

// export writes all users of a run in one format.
func (h *Host) export(r *ledger.Run, o ReportOptions) ([]string, error) {
	write, err := h.format(r, o)
	if err != nil {
		return nil, err
	}
	if o.Reveal {
		if err := r.Sealable(); err != nil {
			return nil, &UsageError{Message: err.Error()}
		}
		if err := h.audited(r, journal.Revealed, map[string]string{"format": o.Format, "path": o.Out}, o.Unaudited); err != nil {
			return nil, err
		}
	}
	if o.Out == "" || o.Out == stdoutPath {
		return nil, write(o.Stdout)
	}
	return h.exportTo(r, o, write)
}

// exportTo writes to a file, whole or not at all.
func (h *Host) exportTo(r *ledger.Run, o ReportOptions, write func(io.Writer) error) ([]string, error) {
	options, err := h.writes(r.Header(), kindList, o.Overwrite)
	if err != nil {
		return nil, err
	}
	var part *PartError
	err = h.publish(o.Out, options, func(w io.Writer) error {
		err := write(w)
		if errors.As(err, &part) {
			return nil // what there is is written
		}
		return err
	})
	if err == nil && part != nil {
		err = part
	}
	return []string{o.Out}, err
}

// format returns what writes the users.
func (h *Host) format(r *ledger.Run, o ReportOptions) (func(io.Writer) error, error) {
	switch o.Format {
	case "summary", "html":
		if o.Reveal {
			return nil, &UsageError{Message: fmt.Sprintf("format %s never holds a password", o.Format), Fix: "use jsonl, json or csv"}
		}
		return func(w io.Writer) error { return h.exportAbout(w, r, o.Format) }, nil
	case "csv":
		return func(w io.Writer) error {
			return h.exportRows(r, report.NewCSV(w, report.DefaultColumns()...), o.Reveal)
		}, nil
	case "json", "jsonl":
		return func(w io.Writer) error { return h.exportLines(w, r, o) }, nil
	default:
		return nil, &UsageError{Message: fmt.Sprintf("there is no format %q", o.Format), Fix: "use summary, json, jsonl, csv or html"}
	}
}

func (h *Host) exportAbout(w io.Writer, r *ledger.Run, format string) error {
	about, err := h.about(r)
	if err != nil {
		return err
	}
	if format == "summary" {
		return report.Summary(w, about)
	}
	return h.exportRows(r, report.NewHTML(w, about), false)
}

// exportRows writes the default columns.
func (h *Host) exportRows(r *ledger.Run, rows rowWriter, reveal bool) error {
	err := h.results(r, reveal, func(result report.Result) error {
		if reveal {
			return rows.Add(result, report.RevealedRow(result))
		}
		return rows.Add(result, report.DefaultRow(result))
	})
	if err != nil && !errors.As(err, new(*PartError)) {
		return err
	}
	return errors.Join(rows.Close(), err)
}

// exportLines writes one object a user, with every step: lines, or one array
// of them.
func (h *Host) exportLines(w io.Writer, r *ledger.Run, o ReportOptions) error {
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	array, before := o.Format == "json", "[\n"
	err := h.results(r, o.Reveal, func(result report.Result) error {
		if array {
			if _, err := io.WriteString(w, before); err != nil {
				return err
			}
			before = ","
		}
		if o.Reveal {
			return enc.Encode(report.RevealedLine(result))
		}
		return enc.Encode(report.NewLine(result))
	})
	if err != nil && !errors.As(err, new(*PartError)) || !array {
		return err
	}
	end := "]\n"
	if before != "," {
		end = "[]\n"
	}
	_, werr := io.WriteString(w, end)
	return errors.Join(werr, err)
}

// results calls fn for what each user came to, in the order of the source.
func (h *Host) results(r *ledger.Run, reveal bool, fn func(report.Result) error) error {
	view, err := viewOf(r)
	if err != nil {
		return err
	}
	if reveal {
		view.Unseal = r.Unseal
	}
	bad := notOpened{}
	err = r.Each(ledger.Filter{}, ledger.OrderSource, func(u ledger.User) error {
		result, err := report.Build(view, u)
		if err != nil && reveal {
			bad.note(u.Key, err)
			sealed := view
			sealed.Unseal = nil
			result, err = report.Build(sealed, u)
		}
		if err != nil {
			return err
		}
		return fn(result)
	})
	if err != nil {
		return err
	}
	return bad.err(r.ID())
}
