package report

import "io"

// RowWriter writes the rows of one report. Close ends the report; it does not
// close what the report is written to.
type RowWriter interface {
	Add(result Result, row Row) error
	Close() error
}

// LineWriter writes users with all their steps. Close ends the list.
type LineWriter interface {
	Add(line any) error
	Close() error
}

// Options are what a format may need to know beside the rows.
type Options struct {
	About     Run      // of a Bare format
	Columns   []string // the header without rows
	Delimiter string   // of csv; "": a comma
	Mark      bool     // of csv: begin with a byte order mark
	Text      []string // of csv: columns that a spreadsheet takes for text
}

// Format is one way to write the users of a run: the rows of a script's report
// and, by rekey report --format, all users.
type Format struct {
	Name  string
	Bare  bool // it tells of the run and never holds a password
	Rows  func(w io.Writer, options Options) RowWriter
	Lines func(w io.Writer) LineWriter // of all users; nil: Rows with the default columns
}

// Formats returns every format, in the order in which they are offered. The
// script's report.NAME and --format NAME exist for each.
func Formats() []Format {
	return []Format{
		{Name: "json", Rows: func(w io.Writer, _ Options) RowWriter { return NewJSON(w) }, Lines: func(w io.Writer) LineWriter { return newLines(w, true) }},
		{Name: "jsonl", Rows: func(w io.Writer, _ Options) RowWriter { return NewJSONL(w) }, Lines: func(w io.Writer) LineWriter { return newLines(w, false) }},
		{Name: "csv", Rows: func(w io.Writer, options Options) RowWriter {
			out := NewCSV(w, options.Columns...)
			out.Delimiter, out.Mark, out.Text = options.Delimiter, options.Mark, options.Text
			return out
		}},
		{Name: "xlsx", Rows: func(w io.Writer, options Options) RowWriter { return NewXLSX(w, options.Columns...) }},
		{Name: "html", Bare: true, Rows: func(w io.Writer, options Options) RowWriter { return NewHTML(w, options.About) }},
	}
}

// FormatOf returns the format of that name; ok is false without one.
func FormatOf(name string) (format Format, ok bool) {
	for _, format := range Formats() {
		if format.Name == name {
			return format, true
		}
	}
	return Format{}, false
}
