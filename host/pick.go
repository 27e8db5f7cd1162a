package host

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/rekey-host/rekey/host/diag"
	"github.com/rekey-host/rekey/host/ledger"
	"github.com/rekey-host/rekey/host/report"
	"github.com/rekey-host/rekey/host/source"
	"github.com/rekey-host/rekey/sdk/secret"
)

// pick is a column of a list that is asked for by name.
type pick struct {
	name   string
	secret bool
	value  func(*report.Result) any
}

// pickOf returns a column of a run: one of its own, a password of a backend, or a
// column of its users. user.NAME is the last where both have the name.
func pickOf(schema source.Schema, labels []string, name string) (pick, error) {
	if own, known := ownPicks()[name]; known {
		return pick{name, name == "password", own}, nil
	}
	if label, is := strings.CutPrefix(name, "passwords."); is {
		if backend, _, _ := strings.Cut(label, "/"); !slices.Contains(labels, backend) {
			return pick{}, &UsageError{Message: fmt.Sprintf("--columns: the run has no backend %q", backend), Fix: diag.DidYouMean(backend, labels)}
		}
		return pick{name, true, func(result *report.Result) any { return certain(result, label) }}, nil
	}
	at := schema.Index(strings.TrimPrefix(name, "user."))
	if at < 0 {
		return pick{}, &UsageError{Message: fmt.Sprintf("--columns: there is no column %q", name), Fix: pickHelp(schema, name)}
	}
	return pick{name, schema.Columns[at].Secret, func(result *report.Result) any { return result.Row.Cells[at] }}, nil
}

// ownPicks are the columns that every run has.
func ownPicks() map[string]func(*report.Result) any {
	at := func(when time.Time) any {
		if when.IsZero() {
			return nil
		}
		return when.UTC().Format(time.RFC3339)
	}
	return map[string]func(*report.Result) any{
		"key":           func(r *report.Result) any { return r.Row.Key },
		"status":        func(r *report.Result) any { return string(r.Status) },
		"code":          func(r *report.Result) any { return string(r.Code) },
		"native":        func(r *report.Result) any { return r.Native },
		"message":       func(r *report.Result) any { return r.Message },
		"wave":          func(r *report.Result) any { return r.Wave },
		"attempts":      func(r *report.Result) any { return r.Attempts },
		"at":            func(r *report.Result) any { return at(r.At) },
		"run":           func(r *report.Result) any { return r.Run },
		"ended":         func(r *report.Result) any { return at(r.Ended) },
		"requestor":     func(r *report.Result) any { return r.Requestor },
		"source_system": func(r *report.Result) any { return r.SourceSystem },
		"password": func(r *report.Result) any {
			if r.Password == nil {
				return nil
			}
			return *r.Password
		},
	}
}

// pickHelp names the columns that there are.
func pickHelp(schema source.Schema, name string) string {
	var names []string
	for own := range ownPicks() {
		names = append(names, own)
	}
	slices.Sort(names)
	names = append(names, "passwords.LABEL")
	for _, column := range schema.Columns {
		names = append(names, column.Name)
	}
	if near := diag.DidYouMean(name, names); near != "" {
		return near
	}
	return "there are " + strings.Join(names, ", ")
}

// certain is the present value of a credential by its name.
func certain(result *report.Result, name string) any {
	for i := range result.Values {
		if result.Values[i].Name == name {
			return result.Values[i].Certain
		}
	}
	return nil
}

// picks returns the columns that are asked for.
func (e exporter) picks(view report.View) ([]pick, error) {
	var picks []pick
	for _, name := range e.options.Columns {
		name = strings.TrimSpace(name)
		made, err := pickOf(view.Schema, view.Labels, name)
		switch {
		case err != nil:
			return nil, err
		case made.secret && !e.options.Reveal:
			return nil, &UsageError{Message: fmt.Sprintf("--columns: %q holds passwords", name), Fix: "give --reveal, which is recorded"}
		case slices.ContainsFunc(picks, func(other pick) bool { return other.name == name }):
			return nil, &UsageError{Message: fmt.Sprintf("--columns: %q is there twice", name)}
		}
		picks = append(picks, made)
	}
	return picks, nil
}

// picked writes the columns that are asked for.
func (e exporter) picked(picks []pick, rows report.RowWriter) error {
	err := e.results(func(result report.Result) error {
		row := make(report.Row, len(picks))
		for i, column := range picks {
			row[i] = report.Field{Name: column.name, Value: column.value(&result)}
		}
		return rows.Add(result, row)
	})
	return closed(rows, err)
}

// closedRow reads a user's row without opening its secrets: they are absent.
func closedRow(schema source.Schema) func(ledger.User) (source.Row, error) {
	return func(user ledger.User) (source.Row, error) {
		row, err := source.Decode(schema, user.Row, func(string, []byte) (secret.Value, error) { return secret.Value{}, nil })
		row.Line, row.Key = user.Line, user.Key
		return row, err
	}
}
