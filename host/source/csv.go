package source

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/rekey-host/rekey/host/diag"
)

// CSVOptions says where a CSV file is and how it is written.
type CSVOptions struct {
	Path      string          // as written in the script; "-" is stdin, "@rekey/…" an embedded file
	Key       string          // column that tells users apart
	Columns   []string        // names of the columns of a file without a header line; nil: line 1 is the header
	Delimiter string          // one character; "": a comma
	Detect    bool            // the first line tells the delimiter
	SkipLines int             // lines before the header, or before the first user
	Quote     *rune           // nil: values are taken as they are
	Types     map[string]Type // of String, Int, Bool, Date; a column not listed is a String
	Secrets   []string        // columns whose cells are secret.Value
	Optional  []string        // of them, those whose cells may be empty
	MayLack   []string        // columns that the file may lack; with Columns, the last of them
	AnyCase   bool            // the header line names the columns in any case
	Encoding  string          // "": utf-8
	Others    []OtherKind     // files of other kinds that may be meant
	Forms
	Files
}

// OtherKind is a kind of file with a reader of its own.
type OtherKind struct {
	Column string // its header line has it, in any case, behind any delimiter
	Fix    string // how it is read
}

// CSV returns the source of a CSV file. It reads nothing: mistakes in
// the options are a *Problems without a file, those in the file are
// found by Schema and Rows.
//
// The file's line ends are LF or CRLF; a byte order mark, blank lines and lines
// of delimiters only are skipped. Spaces and tabs around values are trimmed,
// inside quotes they are kept, line ends too; a doubled quote in it is one
// quote, a quote inside a bare value is literal. Without a quote, values are
// taken as they are, spaces too. Every user has as many values as there are
// columns, and its line is the first of them. An empty cell of a column with a
// type other than String is nil, unless Forms say otherwise; an empty secret is
// a problem unless it is optional; an empty key, a line end in a key or a
// secret, and a control character in a value always are.
//
// A column of MayLack that the file lacks is there for the reader of rows, with
// empty cells. Without a header line the first line tells how many there are.
func CSV(csvOptions CSVOptions) (Source, error) {
	made := &csvSource{input: &input{path: csvOptions.Path, files: csvOptions.Files}, columns: csvOptions.Columns, others: csvOptions.Others, detect: csvOptions.Detect, skip: csvOptions.SkipLines,
		wanted: wanted{key: csvOptions.Key, types: csvOptions.Types, secrets: csvOptions.Secrets, optional: csvOptions.Optional, mayLack: csvOptions.MayLack, anyCase: csvOptions.AnyCase, named: headerNames}}
	list := made.wanted.misuse()
	note := func(err error) {
		if err != nil {
			list = append(list, complaint{Message: err.Error()})
		}
	}
	if csvOptions.Path == "" {
		note(errors.New("the path is empty"))
	}
	var err error
	made.format, err = formatOf(csvOptions.Delimiter, csvOptions.Quote)
	note(err)
	made.charset, err = charsetOf(csvOptions.Encoding)
	note(err)
	made.forms = formsOf(csvOptions.Forms, note)
	if csvOptions.Columns != nil {
		made.wanted.named = "columns= has to list it"
		_, flaws := made.wanted.schema(csvOptions.Columns, String)
		list = append(list, flaws...)
		if known := min(len(csvOptions.MayLack), len(csvOptions.Columns)); !slices.Equal(csvOptions.Columns[len(csvOptions.Columns)-known:], csvOptions.MayLack) {
			note(errors.New("may_lack: has to be the last names of columns=, in their order"))
		}
	}
	for i := range list {
		list[i].Message = "csv: " + list[i].Message
	}
	return made, problemsOf(list, diag.Problem{}).Err()
}

const headerNames = "line 1 has to name the columns; set columns= if it does not"

func formatOf(delimiter string, quote *rune) (format, error) {
	if delimiter == "" {
		delimiter = ","
	}
	letter, size := utf8.DecodeRuneInString(delimiter)
	switch {
	case size != len(delimiter) || letter == utf8.RuneError:
		return format{}, fmt.Errorf("delimiter %q is not one character", delimiter)
	case letter != '\t' && unicode.IsControl(letter):
		return format{}, fmt.Errorf("delimiter %q is a control character", delimiter)
	}
	made := format{delimiter: []byte(delimiter), space: spaceBeside(delimiter)}
	if quote == nil {
		return made, nil
	}
	switch {
	case *quote == letter:
		return made, fmt.Errorf("delimiter and quote are both %q", delimiter)
	case unicode.IsControl(*quote) || *quote == ' ' || !utf8.ValidRune(*quote):
		return made, fmt.Errorf("quote %q cannot be a space or a control character", string(*quote))
	}
	made.quote = utf8.AppendRune(nil, *quote)
	return made, nil
}

// spaceBeside are the characters that are trimmed around values.
func spaceBeside(delimiter string) string { return strings.ReplaceAll(" \t", delimiter, "") }

type csvSource struct {
	*input
	wanted  wanted
	columns []string
	others  []OtherKind
	format  format
	forms   forms
	charset charset
	detect  bool
	skip    int
	cut     trimmed // under input's lock
	said    []string
}

var _ Fingerprinter = (*csvSource)(nil)

// Name returns the path as written, or stdin.
func (s *csvSource) Name() string { return s.input.name() }

// Fingerprints returns the file's.
func (s *csvSource) Fingerprints(ctx context.Context) ([]Fingerprint, error) {
	return s.input.fingerprints(ctx)
}

// Schema returns the columns; without Columns it reads the header line.
func (s *csvSource) Schema(ctx context.Context) (Schema, error) {
	if s.columns != nil {
		schema, _ := s.wanted.schema(s.columns, String)
		return schema, nil
	}
	from, err := s.start(ctx)
	if err != nil {
		return Schema{}, err
	}
	defer from.lines.close()
	schema, _, err := s.header(ctx, from)
	return schema, err
}

// reading is one reading of the file.
type reading struct {
	lines  *lines
	format format // with the delimiter that was found
	said   string // how it was found; "": it was given
}

// start opens the file behind the lines to skip, among them that with which
// Excel says the delimiter.
func (s *csvSource) start(ctx context.Context) (*reading, error) {
	lines, err := s.input.read(ctx, s.charset, s.format.space)
	if err != nil {
		return nil, err
	}
	made := &reading{lines: lines, format: s.format}
	if err := s.approach(made); err != nil {
		_ = lines.close()
		return nil, err
	}
	return made, nil
}

// approach goes to the first line that counts and finds the delimiter.
func (s *csvSource) approach(made *reading) error {
	lines, found := made.lines, ""
	head, _ := lines.text.Peek(len(`"sep=;"`) + 1)
	said, is := saidDelimiter(head)
	skip := s.skip
	switch {
	case bytes.HasPrefix(head, []byte(`{"`)), bytes.HasPrefix(head, []byte("[{")):
		return one(diag.Problem{File: s.Name(), Line: 1, Message: "is JSON", Fix: "read it with jsonl(), with one object on each line"})
	case is && s.detect:
		found, made.said = said, fmt.Sprintf("%s:1: delimiter=None: %q stands between the values, as the sep= line says", s.Name(), said)
	case is && said != string(s.format.delimiter):
		return one(diag.Problem{File: s.Name(), Line: 1, Message: fmt.Sprintf("is Excel's sep= line, which says %q; delimiter= is %q", said, s.format.delimiter), Fix: fmt.Sprintf("set delimiter=%q", said)})
	}
	if is {
		skip = max(skip, 1)
	}
	for range skip {
		var long *flaw
		if _, err := lines.one(); errors.Is(err, io.EOF) {
			return one(diag.Problem{File: s.Name(), Message: fmt.Sprintf("ends within the %d lines that skip_lines= skips", skip), Fix: "count the lines before the list"})
		} else if err != nil && !errors.As(err, &long) {
			return s.input.broken(lines.n, err)
		}
	}
	if found == "" && s.detect {
		var err error
		if found, made.said, err = s.find(lines); err != nil {
			return err
		}
	}
	if found != "" {
		made.format.delimiter, made.format.space = []byte(found), spaceBeside(found)
		lines.space = made.format.space
	}
	return nil
}

// saidDelimiter reads the delimiter out of sep=; at the start of a file.
func saidDelimiter(head []byte) (string, bool) {
	line, _, whole := bytes.Cut(head, []byte("\n"))
	text := strings.Trim(strings.TrimSuffix(string(line), "\r"), `"`)
	name, said, is := strings.Cut(text, "=")
	if !whole || !is || !strings.EqualFold(name, "sep") || utf8.RuneCountInString(said) != 1 {
		return "", false
	}
	return said, true
}

// header reads the header line: the columns, and how many of them it has.
func (s *csvSource) header(ctx context.Context, from *reading) (Schema, int, error) {
	lines := from.lines
	line, err := lines.next(ctx)
	if err != nil {
		return Schema{}, 0, headerError(s.Name(), err)
	}
	fields, bad := newSplitter(from.format).record(lines, line)
	if bad != nil {
		at, column := lines.place(bad.column)
		return Schema{}, 0, one(diag.Problem{File: s.Name(), Line: at, Column: column, Message: bad.Message, Fix: bad.Fix})
	}
	names := make([]string, len(fields))
	for i, text := range fields {
		names[i] = s.wanted.spelling(string(from.format.trim(text)))
	}
	names = append(names, s.wanted.lacking(names)...)
	schema, flaws := s.wanted.schema(names, String)
	if len(flaws) > 0 {
		flaws = s.causes(from, line, names[:len(fields)], flaws)
	}
	return schema, len(fields), problemsOf(flaws, diag.Problem{File: s.Name(), Line: lines.at}).Err()
}

// causes replaces the flaws of a header line by what they come from, where that
// can be told.
func (s *csvSource) causes(from *reading, line []byte, names []string, flaws []complaint) []complaint {
	if other := s.otherKind(line); other != nil {
		return []complaint{*other}
	}
	if slices.Contains(names, s.wanted.key) {
		return flaws
	}
	if later := s.laterHeader(from); later > 0 {
		return []complaint{{Message: fmt.Sprintf("line %d is the header line: it has the key %q", later, s.wanted.key), Fix: fmt.Sprintf("set skip_lines=%d", later-1)}}
	}
	if len(names) == 1 {
		return otherDelimiter(names[0], s.wanted.key, flaws)
	}
	return flaws
}

// headerError turns the end of the file and flaws of the first line into
// problems.
func headerError(name string, err error) error {
	var bad *flaw
	switch {
	case errors.Is(err, io.EOF):
		return one(diag.Problem{File: name, Message: "is empty", Fix: headerNames})
	case errors.As(err, &bad):
		return one(bad.Problem)
	}
	return err
}

// otherDelimiter replaces the message about a header of one column by the
// reason, where another delimiter makes the key one of several.
func otherDelimiter(header, key string, flaws []complaint) []complaint {
	for dir := range strings.SplitSeq(delimiters, "") {
		for name := range strings.SplitSeq(header, dir) {
			if name != header && strings.Trim(name, " \"'") == key {
				return []complaint{{Message: "1 column only", Fix: fmt.Sprintf("set delimiter=%q", dir)}}
			}
		}
	}
	return flaws
}

// maxHead is how many bytes of a first line are looked at for another kind of file.
const maxHead = 2 << 10

// otherKind returns the message about a first line that looks like the header of
// another kind of file; nil if it does not.
func (s *csvSource) otherKind(line []byte) *complaint {
	for name := range strings.FieldsFuncSeq(string(line), func(letter rune) bool { return strings.ContainsRune(";,|\t", letter) }) {
		name = strings.Trim(name, " \"'\r")
		for _, otherKind := range s.others {
			if strings.EqualFold(name, otherKind.Column) {
				return &complaint{Message: fmt.Sprintf("is the header line of another kind of file: it has %q", name), Fix: otherKind.Fix}
			}
		}
	}
	return nil
}

// Rows reads the file.
func (s *csvSource) Rows(ctx context.Context, yield func(Row) error) error {
	from, err := s.start(ctx)
	if err != nil {
		return err
	}
	defer from.lines.close()
	schema, width, err := s.begin(ctx, from)
	if err != nil {
		return err
	}
	made := &csvReader{source: s, schema: schema, split: newSplitter(from.format), guarded: schema.hasSecrets(), width: width, names: s.columns}
	if made.names == nil {
		made.names = schema.names()
	}
	err = from.lines.each(ctx, made.row, yield)
	s.mu.Lock()
	s.cut, s.said = made.cut, made.suspect
	if from.said != "" {
		s.said = append([]string{from.said}, s.said...)
	}
	s.mu.Unlock()
	return err
}

// begin returns the columns and how many values each line has: 0 if the first
// line with values is to tell.
func (s *csvSource) begin(ctx context.Context, from *reading) (Schema, int, error) {
	if s.columns == nil {
		return s.header(ctx, from)
	}
	head, _ := from.lines.text.Peek(maxHead)
	head, _, _ = bytes.Cut(head, []byte("\n"))
	if other := s.otherKind(head); other != nil {
		return Schema{}, 0, problemsOf([]complaint{*other}, diag.Problem{File: s.Name(), Line: from.lines.n + 1}).Err()
	}
	schema, err := s.Schema(ctx)
	if len(s.wanted.mayLack) > 0 {
		return schema, 0, err
	}
	return schema, len(schema.Columns), err
}

// csvReader makes rows of lines.
type csvReader struct {
	cut     trimmed
	suspect []string // the first value that may have swallowed users
	source  *csvSource
	schema  Schema
	split   *splitter
	seen    bool     // a line with values
	width   int      // how many values a line has
	names   []string // of the columns, as a header line has them
	guarded bool     // no cell is quoted: where columns are mixed up, any may be a secret
}

// row makes a row of a record, or notes why it cannot.
func (r *csvReader) row(lines *lines, line []byte, note noteFunc) (Row, bool) {
	fields, bad := r.split.record(lines, line)
	if bad != nil {
		note(bad.column, bad.Message, bad.Fix)
		return Row{}, false
	}
	if r.isEmpty(fields) {
		return Row{}, false
	}
	first := !r.seen
	r.seen = true
	if r.width == 0 {
		r.width = min(max(len(fields), len(r.schema.Columns)-len(r.source.wanted.mayLack)), len(r.schema.Columns))
	}
	if first && r.source.columns != nil && r.isHeader(fields) {
		note(0, "is the header that columns= says is not there", "remove the line, or columns=")
		return Row{}, false
	}
	if r.isHeader(fields) {
		note(0, "is a header line in the middle of the list, as two files put together have", "remove it")
		return Row{}, false
	}
	if len(fields) != r.width {
		note(0, count(len(fields))+fmt.Sprintf(", want %d", r.width), r.countFix(len(fields) > r.width))
		return Row{}, false
	}
	r.swallowed(lines)
	return r.cells(lines.at, fields, note)
}

// swallowed notes a value of several lines if one of them looks like a user: a
// quote that was not closed may have taken users for text.
func (r *csvReader) swallowed(lines *lines) {
	if len(lines.joins) < 2 || len(r.suspect) > 0 || r.width < 2 {
		return
	}
	for i, from := range lines.joins[:len(lines.joins)-1] {
		line := lines.record[from : lines.joins[i+1]-1]
		if bytes.Count(line, r.split.delimiter) == r.width-1 && !bytes.Contains(line, r.split.quote) {
			r.suspect = []string{fmt.Sprintf("%s:%d: the value that goes on here, from line %d, has a line with as many values as a user: if it is one, a quote before it is not closed", r.source.Name(), lines.at+i+1, lines.at)}
			return
		}
	}
}

// isEmpty reports whether a line has no value at all; blanks are none, unless
// values are taken as they are.
func (r *csvReader) isEmpty(fields [][]byte) bool {
	return len(fields) > 1 && !slices.ContainsFunc(fields, func(text []byte) bool {
		return len(text) > 0 && (r.split.quote == nil || len(bytes.TrimSpace(text)) > 0)
	})
}

func count(count int) string {
	if count == 1 {
		return "1 column"
	}
	return fmt.Sprintf("%d columns", count)
}

func (r *csvReader) countFix(more bool) string {
	switch {
	case !more:
		return "add the missing values or set delimiter="
	case r.split.quote == nil:
		return "set quote= and quote the delimiter, or set delimiter="
	}
	return "quote the delimiter or set delimiter="
}

// isHeader reports whether the fields are the names of the columns; letter
// case matters only where one word could be a user's name.
func (r *csvReader) isHeader(fields [][]byte) bool {
	names := r.names
	if count := len(fields); count < len(names) && (r.source.columns == nil || count >= len(names)-len(r.source.wanted.mayLack)) {
		names = names[:count]
	}
	return slices.EqualFunc(fields, names, func(data []byte, name string) bool {
		text := string(r.split.trim(bytes.TrimPrefix(data, markUTF8)))
		return text == name || len(fields) > 1 && strings.EqualFold(text, name)
	})
}

// cells turns the fields of a line into a row, noting every flaw of it.
func (r *csvReader) cells(line int, fields [][]byte, note noteFunc) (Row, bool) {
	row := Row{File: r.source.Name(), Line: line, Cells: make([]any, len(r.schema.Columns))}
	sound := true
	for i := len(fields); i < len(row.Cells); i++ {
		row.Cells[i], _ = r.source.forms.cell(r.schema.Columns[i], nil, r.guarded)
	}
	for i, text := range fields {
		cell, bad := r.source.forms.cell(r.schema.Columns[i], text, r.guarded)
		value, whole := cell.(string)
		if !whole {
			value = string(text)
		}
		if i == r.schema.Key {
			if row.Key = value; !whole {
				row.Key = string(r.keyText(text))
			}
			bad = cmp.Or(keyFlaw(r.schema.Columns[i], row.Key), bad)
		}
		if bad == nil {
			bad = valueFlaw(r.schema.Columns[i], i == r.schema.Key, value)
		}
		if bad != nil {
			note(0, bad.Message, bad.Fix)
			sound = false
		}
		row.Cells[i] = cell
		if r.schema.Columns[i].Secret && r.split.cut[i] {
			r.cut.count(line)
		}
	}
	return row, sound
}

// keyFlaw is the flaw of an empty key, or of one of several lines.
func keyFlaw(column Column, key string) *complaint {
	switch {
	case key == "":
		return &complaint{Message: fmt.Sprintf("key column %q is empty", column.Name), Fix: "give every user a key"}
	case strings.Contains(key, "\n"):
		return brokenLine("key column", column)
	}
	return nil
}

// trimmed counts secrets around which spaces were trimmed.
type trimmed struct {
	n     int64
	first int // line
}

func (t *trimmed) count(line int) {
	if t.n++; t.n == 1 {
		t.first = line
	}
}

// Warnings tells of the last reading: how the delimiter was found, a value that
// may have swallowed users, and secrets that lost their spaces.
func (s *csvSource) Warnings() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.cut.n == 0 {
		return s.said
	}
	return append(slices.Clip(s.said), fmt.Sprintf("%s:%d: spaces around a secret were trimmed, as they are around every value: %s in all; quote the value to keep them",
		s.Name(), s.cut.first, map[bool]string{true: "once", false: fmt.Sprintf("%d times", s.cut.n)}[s.cut.n == 1]))
}

// keyText is what stands for the user: the text as written, without the spaces
// that its type ignores.
func (r *csvReader) keyText(text []byte) []byte {
	if r.schema.Columns[r.schema.Key].Type == String {
		return text
	}
	return bytes.Trim(text, " \t")
}
