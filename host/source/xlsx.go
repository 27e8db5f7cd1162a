package source

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/rekey-host/rekey/host/diag"
	"github.com/rekey-host/rekey/sdk/secret"
)

// XLSXOptions says where a workbook is and what its columns mean; see
// CSVOptions.
type XLSXOptions struct {
	Path      string
	Sheet     string // "": the first that is not hidden
	Key       string
	Types     map[string]Type
	Secrets   []string
	Optional  []string
	MayLack   []string
	AnyCase   bool
	SkipLines int // rows before the header
	Forms         // of days and truth values in cells of text
	Files
}

// XLSX returns the source of a sheet of a workbook. It reads nothing: mistakes
// in the options are a *Problems without a file.
//
// The first row that has a value is the header; rows without one are skipped,
// hidden ones are not, and columns without a name have to be empty. A text stays
// what it is. A number is the text of its digits, with the zeros in front that
// its format shows, and a value of type int if it is whole; a day is read as one
// where the column has that type, and is a problem elsewhere. A formula is its
// result. Where a key or a secret is a number of which a spreadsheet may have lost
// some, that is a problem. It streams but for the texts that cells share.
//
// Problems have the place of their cell: users.xlsx!Sheet1!B17.
func XLSX(xlsxOptions XLSXOptions) (Source, error) {
	made := &xlsxSource{input: &input{path: xlsxOptions.Path, files: xlsxOptions.Files}, sheet: xlsxOptions.Sheet, skip: xlsxOptions.SkipLines,
		wanted: wanted{key: xlsxOptions.Key, types: xlsxOptions.Types, secrets: xlsxOptions.Secrets, optional: xlsxOptions.Optional, mayLack: xlsxOptions.MayLack, anyCase: xlsxOptions.AnyCase,
			named: "the first row has to name the columns; set skip_lines= if it does not"}}
	list := made.wanted.misuse()
	note := func(err error) {
		if err != nil {
			list = append(list, complaint{Message: err.Error()})
		}
	}
	if xlsxOptions.Path == "" {
		note(errors.New("the path is empty"))
	}
	made.forms = formsOf(xlsxOptions.Forms, note)
	for i := range list {
		list[i].Message = "xlsx: " + list[i].Message
	}
	return made, problemsOf(list, diag.Problem{}).Err()
}

type xlsxSource struct {
	*input
	wanted wanted
	sheet  string
	skip   int
	forms  forms
	said   []string // under input's lock
}

var _ Fingerprinter = (*xlsxSource)(nil)

// Name returns the path as written, or stdin.
func (s *xlsxSource) Name() string { return s.input.name() }

// Fingerprints returns the file's.
func (s *xlsxSource) Fingerprints(ctx context.Context) ([]Fingerprint, error) {
	return s.input.fingerprints(ctx)
}

// Warnings tells of the last reading: which sheet was read, hidden rows, and
// secrets that are numbers.
func (s *xlsxSource) Warnings() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.said
}

// Schema returns the columns of the header row.
func (s *xlsxSource) Schema(ctx context.Context) (Schema, error) {
	made, err := s.start(ctx)
	if err != nil {
		return Schema{}, err
	}
	defer made.end()
	return made.schema, nil
}

// Rows reads the sheet.
func (s *xlsxSource) Rows(ctx context.Context, yield func(Row) error) error {
	made, err := s.start(ctx)
	if err != nil {
		return err
	}
	defer made.end()
	err = made.each(ctx, yield)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.said = made.warnings()
	return err
}

// maxUnplaced is how much of a workbook that is no regular file is kept in memory.
const maxUnplaced = 256 << 20

// reach opens the file for reading anywhere, and notes its digest.
func (s *xlsxSource) reach(ctx context.Context) (io.ReaderAt, int64, func() error, error) {
	opened, err := s.input.open(ctx)
	if err != nil {
		return nil, 0, nil, err
	}
	hashed := newHashed(untilDone{ctx, opened})
	file, placed := opened.(interface {
		io.ReaderAt
		Stat() (fs.FileInfo, error)
	})
	if info, err := statOf(file, placed); err == nil && info.Mode().IsRegular() && info.Size() > 0 {
		if _, err := io.Copy(io.Discard, hashed); err != nil {
			return nil, 0, nil, errors.Join(s.input.broken(0, err), opened.Close())
		}
		if err := s.input.settle(hashed); err != nil {
			return nil, 0, nil, errors.Join(err, opened.Close())
		}
		return file, info.Size(), opened.Close, nil
	}
	defer opened.Close()
	data, err := io.ReadAll(io.LimitReader(hashed, maxUnplaced+1))
	switch {
	case err != nil:
		return nil, 0, nil, s.input.broken(0, err)
	case len(data) > maxUnplaced:
		return nil, 0, nil, one(diag.Problem{File: s.Name(), Message: fmt.Sprintf("is more than %d MiB, and no regular file", maxUnplaced>>20), Fix: "write it to a file"})
	}
	return bytes.NewReader(data), int64(len(data)), func() error { return nil }, s.input.settle(hashed)
}

func statOf(file interface{ Stat() (fs.FileInfo, error) }, placed bool) (fs.FileInfo, error) {
	if !placed {
		return nil, fs.ErrInvalid
	}
	return file.Stat()
}

// xlsxReader makes rows of the rows of a sheet.
type xlsxReader struct {
	source  *xlsxSource
	book    *workbook
	part    sheetPart
	rows    *sheetReader
	end     func() // ends the reading
	schema  Schema
	places  []int // of a sheet's columns, in the schema; -1: it has no name
	guarded bool
	hidden  int
	numbers int // secrets that are numbers, the first at:
	first   string
}

// start reads up to the header row.
func (s *xlsxSource) start(ctx context.Context) (*xlsxReader, error) {
	from, size, done, err := s.reach(ctx)
	if err != nil {
		return nil, err
	}
	made := &xlsxReader{source: s, end: func() { _ = done() }}
	if err := made.begin(ctx, from, size); err != nil {
		made.end()
		return nil, err
	}
	return made, nil
}

func (r *xlsxReader) begin(ctx context.Context, from io.ReaderAt, size int64) error {
	head := make([]byte, 8)
	count, _ := from.ReadAt(head, 0)
	if !bytes.HasPrefix(head[:count], []byte("PK")) {
		return one(r.source.noWorkbook(head[:count]))
	}
	var err error
	if r.book, err = openWorkbook(from, size); err != nil {
		return one(diag.Problem{File: r.source.Name(), Message: err.Error(), Fix: "save it again as a workbook of Excel (xlsx)"})
	}
	if r.part, err = r.source.pick(r.book.sheets); err != nil {
		return err
	}
	if r.rows, err = r.book.open(ctx, r.part); err != nil {
		return r.broken(err)
	}
	done := r.end
	r.end = func() { _ = r.rows.close(); done() }
	return r.header()
}

// noWorkbook is the problem of a file of another kind.
func (s *xlsxSource) noWorkbook(head []byte) diag.Problem {
	bad := kindFlaw(head, charsets()[0])
	if bad == nil || bad.Line > 0 {
		return diag.Problem{File: s.Name(), Message: "is no workbook (xlsx)", Fix: "read a text with csv()"}
	}
	return diag.Problem{File: s.Name(), Message: strings.TrimSuffix(bad.Message, ", not a text") + ", not a workbook (xlsx)", Fix: "save it as a workbook of Excel (xlsx)"}
}

// pick returns the sheet that is asked for.
func (s *xlsxSource) pick(sheets []sheetPart) (sheetPart, error) {
	var names []string
	for _, sheet := range sheets {
		if s.sheet == sheet.name || s.sheet == "" && !sheet.hidden {
			return sheet, nil
		}
		names = append(names, sheet.name)
	}
	bad := diag.Problem{File: s.Name(), Message: fmt.Sprintf("there is no sheet %q", s.sheet), Fix: diag.DidYouMean(s.sheet, names)}
	if bad.Fix == "" {
		bad.Fix = fmt.Sprintf("it has %q", names)
	}
	if s.sheet == "" {
		bad.Message, bad.Fix = "has no sheet that is not hidden", "set sheet="
	}
	return sheetPart{}, one(bad)
}

// file is how problems and rows call the sheet.
func (r *xlsxReader) file() string { return r.source.Name() + "!" + r.part.name }

// at is the place of a cell.
func (r *xlsxReader) at(row, column int) string {
	return r.file() + "!" + columnName(column) + strconv.Itoa(row)
}

// broken is the problem of a sheet that cannot be read on.
func (r *xlsxReader) broken(err error) error {
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	return one(diag.Problem{File: r.file(), Line: r.line(), Message: err.Error(), Fix: "save it again in a spreadsheet program"})
}

func (r *xlsxReader) line() int {
	if r.rows == nil {
		return 0
	}
	return r.rows.row.number
}

// header reads the header row.
func (r *xlsxReader) header() error {
	for {
		row, err := r.rows.next()
		switch {
		case errors.Is(err, io.EOF):
			return one(diag.Problem{File: r.file(), Message: "is empty", Fix: r.source.wanted.named})
		case err != nil:
			return r.broken(err)
		case row.number > r.source.skip && len(row.cells) > 0:
			return r.columns(row)
		}
	}
}

// columns makes the schema of the header row. Columns without a name have no place.
func (r *xlsxReader) columns(row *sheetRow) error {
	var names []string
	for _, cell := range row.cells {
		name := strings.TrimSpace(cell.value)
		if name == "" {
			continue
		}
		for len(r.places) < cell.column {
			r.places = append(r.places, -1)
		}
		r.places = append(r.places, len(names))
		names = append(names, r.source.wanted.spelling(name))
	}
	names = append(names, r.source.wanted.lacking(names)...)
	schema, flaws := r.source.wanted.schema(names, String)
	r.schema, r.guarded = schema, schema.hasSecrets()
	return problemsOf(flaws, diag.Problem{File: r.file(), Line: row.number}).Err()
}

// each reads the rows below the header.
func (r *xlsxReader) each(ctx context.Context, yield func(Row) error) error {
	var problems diag.Problems
	for {
		row, err := r.rows.next()
		switch {
		case errors.Is(err, io.EOF):
			return problems.Err()
		case ctx.Err() != nil:
			return ctx.Err()
		case err != nil:
			var bad *diag.Problems
			if errors.As(r.broken(err), &bad) {
				problems.Join(bad)
				return problems.Err()
			}
			return problems.With(err)
		}
		made, sound := r.row(row, &problems)
		if !sound {
			continue
		}
		if err := yield(made); err != nil {
			return err
		}
	}
}

// row makes a row, or notes why it cannot.
func (r *xlsxReader) row(row *sheetRow, problems *diag.Problems) (Row, bool) {
	if !slices.ContainsFunc(row.cells, func(cell sheetCell) bool { return cell.bare || strings.TrimSpace(cell.value) != "" }) {
		return Row{}, false
	}
	if row.hidden {
		r.hidden++
	}
	made := Row{File: r.file(), Line: row.number, Cells: make([]any, len(r.schema.Columns))}
	sound := true
	note := func(column int, bad *complaint) {
		if bad != nil {
			problems.Add(diag.Problem{File: r.at(row.number, column), Message: bad.Message, Fix: bad.Fix})
			sound = false
		}
	}
	found := make([]sheetCell, len(r.schema.Columns))
	for _, cell := range row.cells {
		if cell.column >= len(r.places) || r.places[cell.column] < 0 {
			note(cell.column, &complaint{Message: "there is a value, and the header row has no name for its column", Fix: "name the column, or empty it"})
			continue
		}
		found[r.places[cell.column]] = cell
	}
	for column, place := range r.places {
		if place >= 0 {
			note(column, r.fill(&made, place, found[place], row.number))
		}
	}
	for place := range made.Cells { // of columns that the sheet lacks
		if !slices.Contains(r.places, place) {
			made.Cells[place], _ = r.source.forms.cell(r.schema.Columns[place], nil, r.guarded)
		}
	}
	return made, sound
}

// fill puts a cell into its place in a row.
func (r *xlsxReader) fill(made *Row, place int, cell sheetCell, line int) *complaint {
	column, key := r.schema.Columns[place], place == r.schema.Key
	if cell.bare {
		return &complaint{Message: fmt.Sprintf("column %q holds a formula without a result", column.Name), Fix: "open the workbook in a spreadsheet program and save it"}
	}
	value, bad := r.value(column, key, cell)
	if bad == nil && column.Secret && cell.value != "" && isNumber(cell) {
		if r.numbers++; r.numbers == 1 {
			r.first = r.at(line, slices.Index(r.places, place))
		}
	}
	made.Cells[place] = value
	text, isText := value.(string)
	if value, is := value.(secret.Value); is {
		text, isText = value.Reveal(), true
	}
	switch {
	case bad != nil:
		return bad
	case key && !isText:
		made.Key = keyText(value)
		return keyFlaw(column, made.Key)
	case key:
		made.Key = text
		if bad := keyFlaw(column, text); bad != nil {
			return bad
		}
	}
	return valueFlaw(column, key, text)
}

func isNumber(cell sheetCell) bool { return cell.kind == "" || cell.kind == "n" }

// value makes the value of a cell.
func (r *xlsxReader) value(column Column, key bool, cell sheetCell) (any, *complaint) {
	number := isNumber(cell) && cell.value != ""
	switch {
	case column.Type == Date && number:
		return r.day(column, cell)
	case column.Type == Bool && cell.kind == "b":
		return cell.value == "1", nil
	case cell.kind == "b":
		cell.value = map[string]string{"1": "true", "0": "false"}[cell.value]
	case number:
		text, doubt := r.book.number(cell)
		if doubt == "a date" && column.Type != Int {
			return nil, &complaint{Message: fmt.Sprintf("column %q holds a date there", column.Name), Fix: fmt.Sprintf("set types = {%q: \"date\"}, or format the column as text and write it again", column.Name)}
		}
		if doubt != "" && (key || column.Secret) {
			return nil, &complaint{Message: fmt.Sprintf("column %q holds %s", column.Name, doubt), Fix: "format the column as text and write the value again"}
		}
		cell.value = text
	}
	return r.source.forms.cell(column, []byte(cell.value), r.guarded)
}

// day reads a number that counts days.
func (r *xlsxReader) day(column Column, cell sheetCell) (any, *complaint) {
	count, err := strconv.ParseFloat(cell.value, 64)
	first := time.Date(1899, 12, 30, 0, 0, 0, 0, time.UTC) // a spreadsheet takes 1900 for a leap year
	if r.book.from04 {
		first = time.Date(1904, 1, 1, 0, 0, 0, 0, time.UTC)
	}
	switch {
	case err != nil || count < 0 || count > 2958465 || !r.book.from04 && count < 61:
		return nil, mistyped(column, cell.value, "write a day of 1900-03-01 or later")
	case count != math.Trunc(count):
		return nil, &complaint{Message: fmt.Sprintf("column %q holds a time of day too", column.Name), Fix: "round it to the day, or leave the type of the column out and format it as text"}
	}
	return Day{first.AddDate(0, 0, int(count))}, nil
}

// warnings are what was noticed.
func (r *xlsxReader) warnings() []string {
	var list []string
	if shown := slices.DeleteFunc(slices.Clone(r.book.sheets), func(sheet sheetPart) bool { return sheet.hidden }); r.source.sheet == "" && len(shown) > 1 {
		list = append(list, fmt.Sprintf("%s: the sheet %q is read, the first of %d; set sheet=", r.source.Name(), r.part.name, len(shown)))
	}
	if r.hidden > 0 {
		list = append(list, fmt.Sprintf("%s: rows that are hidden, by a filter for example, are read like others: %d", r.file(), r.hidden))
	}
	if r.numbers > 0 {
		list = append(list, fmt.Sprintf("%s: a secret is a number there, of which a spreadsheet drops zeros in front: %d in all; format the column as text", r.first, r.numbers))
	}
	return list
}
