package source

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"sync"

	"github.com/rekey-host/rekey/host/diag"
	"github.com/rekey-host/rekey/sdk/secret"
)

// JSONLOptions says where a JSON lines file is and what its names mean.
type JSONLOptions struct {
	Path     string   // as for CSV
	Key      string   // name whose value, a string or a whole number, tells users apart
	Secrets  []string // names whose values, strings, are secret.Value
	Optional []string // of them, those that may be empty or absent
	Files
}

// maxNames is how many different names the objects of a file may have.
const maxNames = 1000

// JSONL returns the source of a file with one JSON object a line, in UTF-8. It
// reads nothing: mistakes in the options are a *Problems without a file.
//
// The columns are all names that occur, in the order of their first
// appearance; Schema reads the file for them. What an object lacks is nil.
// Cells are what the JSON values are: string, int64, float64, bool, []any,
// map[string]any. A whole number beyond 64 bits, a name given twice, half a
// surrogate pair and a control character are problems.
func JSONL(jsonlOptions JSONLOptions) (Source, error) {
	made := &jsonlSource{input: &input{path: jsonlOptions.Path, files: jsonlOptions.Files},
		wanted: wanted{key: jsonlOptions.Key, secrets: jsonlOptions.Secrets, optional: jsonlOptions.Optional, named: "no line has it"}}
	list := made.wanted.misuse()
	if jsonlOptions.Path == "" {
		list = append(list, complaint{Message: "the path is empty"})
	}
	for i := range list {
		list[i].Message = "jsonl: " + list[i].Message
	}
	return made, problemsOf(list, diag.Problem{}).Err()
}

type jsonlSource struct {
	*input
	wanted wanted

	mu     sync.Mutex
	schema *Schema // once the file has been read for it
}

var _ Fingerprinter = (*jsonlSource)(nil)

// Name returns the path as written, or stdin.
func (s *jsonlSource) Name() string { return s.input.name() }

// Fingerprints returns the file's.
func (s *jsonlSource) Fingerprints(ctx context.Context) ([]Fingerprint, error) {
	return s.input.fingerprints(ctx)
}

// Schema returns all names of the file, reading it the first time. Lines that
// are not objects are left for Rows to find.
func (s *jsonlSource) Schema(ctx context.Context) (Schema, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.schema != nil {
		return *s.schema, nil
	}
	names, err := s.names(ctx)
	if err != nil {
		return Schema{}, err
	}
	schema, flaws := s.wanted.schema(names, Any)
	if err := problemsOf(flaws, diag.Problem{File: s.Name()}).Err(); err != nil {
		return Schema{}, err
	}
	s.schema = &schema
	return schema, nil
}

// names reads the file for the names of its objects; an empty one has those
// that the script gives.
func (s *jsonlSource) names(ctx context.Context) ([]string, error) {
	lines, err := s.input.read(ctx, charsets()[0], " \t")
	if err != nil {
		return nil, err
	}
	defer lines.close()
	var names []string
	known := map[string]bool{}
	for len(names) <= maxNames {
		line, err := lines.next(ctx)
		var bad *flaw
		switch {
		case errors.Is(err, io.EOF) && len(names) == 0:
			return s.wanted.names(), nil
		case errors.Is(err, io.EOF):
			return names, nil
		case errors.As(err, &bad):
			continue
		case err != nil:
			return nil, err
		}
		made := &jsonParser{text: line, dry: true}
		_ = made.members(func(name []byte) error {
			if !known[string(name)] {
				known[string(name)] = true
				names = append(names, string(name))
			}
			_, err := made.value()
			return err
		})
	}
	return nil, one(diag.Problem{File: s.Name(), Line: lines.n, Message: fmt.Sprintf("more than %d different names", maxNames), Fix: "names are columns, the same on every line"})
}

// Rows reads the file.
func (s *jsonlSource) Rows(ctx context.Context, yield func(Row) error) error {
	schema, err := s.Schema(ctx)
	if err != nil {
		return err
	}
	lines, err := s.input.read(ctx, charsets()[0], " \t")
	if err != nil {
		return err
	}
	defer lines.close()
	made := &jsonlReader{source: s, schema: schema, index: map[string]int{}}
	for i, column := range schema.Columns {
		made.index[column.Name] = i
	}
	return lines.each(ctx, made.row, yield)
}

// jsonlReader makes rows of lines.
type jsonlReader struct {
	source *jsonlSource
	schema Schema
	index  map[string]int // of the columns, by name
	given  []bool         // the columns that the present object has
}

func (r *jsonlReader) row(lines *lines, line []byte, note noteFunc) (Row, bool) {
	cells, err := r.parse(line)
	var bad *jsonFlaw
	if errors.As(err, &bad) {
		note(bad.at+1, bad.message, "")
		return Row{}, false
	}
	row := Row{File: r.source.Name(), Line: lines.at, Cells: cells}
	sound := true
	for i := range cells {
		if bad := r.cell(&row, i); bad != nil {
			note(0, bad.Message, bad.Fix)
			sound = false
		}
	}
	return row, sound
}

// parse reads the object of a line into cells.
func (r *jsonlReader) parse(line []byte) ([]any, error) {
	cells := make([]any, len(r.schema.Columns))
	r.given = append(r.given[:0], make([]bool, len(cells))...)
	made := &jsonParser{text: line}
	err := made.members(func(name []byte) error {
		i, known := r.index[string(name)]
		switch {
		case !known:
			return made.fail("a name missing when the file was read first")
		case r.given[i]:
			return made.fail("a name that the object has already")
		}
		r.given[i] = true
		value, err := made.value()
		cells[i] = value
		return err
	})
	if err != nil {
		return nil, err
	}
	return cells, made.end()
}

// cell checks one cell of a row, makes secrets of secret columns, and the
// row's key of the key's.
func (r *jsonlReader) cell(row *Row, i int) *complaint {
	column := r.schema.Columns[i]
	if bad := controlOf(column, i == r.schema.Key, row.Cells[i]); bad != nil {
		return bad
	}
	var bad *complaint
	switch {
	case column.Secret:
		row.Cells[i], bad = secretCell(column, row.Cells[i])
	case i == r.schema.Key:
		row.Key, bad = keyOf(column, row.Cells[i])
	}
	if bad != nil {
		return bad
	}
	return cellFlaw(column, i == r.schema.Key, row.Cells[i])
}

// secretCell makes a secret of a string value.
func secretCell(column Column, cell any) (any, *complaint) {
	switch v := cell.(type) {
	case secret.Value:
		if v.Empty() && !column.Optional {
			return nil, emptySecret(column)
		}
		return v, nil
	case nil:
		return secretCell(column, "")
	case string:
		return secretCell(column, secret.New(v))
	}
	return nil, &complaint{Message: fmt.Sprintf("secret column %q is not a string", column.Name), Fix: "quote it"}
}

// keyOf returns the key that a value is.
func keyOf(column Column, cell any) (string, *complaint) {
	switch v := cell.(type) {
	case nil:
		return keyOf(column, "")
	case int64:
		return strconv.FormatInt(v, 10), nil
	case string:
		if v != "" {
			return v, nil
		}
		return "", &complaint{Message: fmt.Sprintf("key column %q is empty", column.Name), Fix: "give every user a key"}
	}
	return "", &complaint{Message: fmt.Sprintf("key column %q is not a string or a whole number", column.Name), Fix: "quote it"}
}

// controlOf finds a control character in a value. A text may have several lines,
// a key and a secret may not.
func controlOf(column Column, key bool, cell any) *complaint {
	text, isText := cell.(string)
	switch {
	case controlWithin(cell):
		return controlFlaw(column)
	case isText && column.Secret && strings.Contains(text, "\n"):
		return brokenLine("secret column", column)
	case isText && key && strings.Contains(text, "\n"):
		return brokenLine("key column", column)
	}
	return nil
}

// controlWithin reports whether a value holds a control character, however deep;
// the ends of its lines are none.
func controlWithin(cell any) bool {
	switch v := cell.(type) {
	case string:
		return hasControl(withoutBreaks([]byte(v)))
	case []any:
		for _, value := range v {
			if controlWithin(value) {
				return true
			}
		}
	case map[string]any:
		for name, value := range v {
			if hasControl([]byte(name)) || controlWithin(value) {
				return true
			}
		}
	}
	return false
}

// cellFlaw is valueFlaw for a cell of text.
func cellFlaw(column Column, key bool, cell any) *complaint {
	switch v := cell.(type) {
	case string:
		return valueFlaw(column, key, v)
	case secret.Value:
		return valueFlaw(column, key, v.Reveal())
	}
	return nil
}
