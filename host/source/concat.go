package source

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/rekey-host/rekey/host/diag"
)

// Concat returns the users of several sources, one after the other. All have
// the same columns, in any order, the same key and the same secrets; Schema
// and Rows say which do not. The order of the columns is that of the first; a
// column whose types differ is Any.
func Concat(parts ...Source) (Source, error) {
	if len(parts) == 0 {
		return nil, one(diag.Problem{Message: "concat: there is nothing to put together", Fix: "give it at least one source"})
	}
	return &concatSource{parts: parts}, nil
}

type concatSource struct{ parts []Source }

var _ Fingerprinter = (*concatSource)(nil)

// Name returns the names of the parts.
func (s *concatSource) Name() string {
	names := make([]string, len(s.parts))
	for i, source := range s.parts {
		names[i] = source.Name()
	}
	return strings.Join(names, " + ")
}

// Fingerprints returns those of all parts.
func (s *concatSource) Fingerprints(ctx context.Context) ([]Fingerprint, error) {
	var all []Fingerprint
	for _, source := range s.parts {
		fingerprints, err := Fingerprints(ctx, source)
		if err != nil {
			return nil, err
		}
		all = append(all, fingerprints...)
	}
	return all, nil
}

// Schema returns the columns that all parts have.
func (s *concatSource) Schema(ctx context.Context) (Schema, error) {
	schema, _, err := s.schemas(ctx)
	return schema, err
}

// schemas returns the common schema, and for each part the place in it of each
// of the part's columns.
func (s *concatSource) schemas(ctx context.Context) (Schema, [][]int, error) {
	var problems diag.Problems
	var common Schema
	var places [][]int
	for i, source := range s.parts {
		schema, err := source.Schema(ctx)
		var bad *diag.Problems
		switch {
		case errors.As(err, &bad):
			problems.Join(bad)
		case err != nil:
			return Schema{}, nil, err
		case places == nil && i == 0:
			common = Schema{Columns: slices.Clone(schema.Columns), Key: schema.Key}
			fallthrough
		default:
			places = append(places, s.fit(&common, schema, source, &problems))
		}
	}
	return common, places, problems.Err()
}

// fit finds the columns of a part in the common schema and notes what differs.
func (s *concatSource) fit(common *Schema, part Schema, source Source, problems *diag.Problems) []int {
	if len(problems.List) > 0 && len(common.Columns) == 0 {
		return nil // the first part has no schema to compare with
	}
	first := s.parts[0].Name()
	differ := func(format string, args ...any) {
		problems.Add(diag.Problem{File: source.Name(), Message: fmt.Sprintf(format, args...), Fix: "concat needs the same columns in all"})
	}
	if text, second := common.Columns[common.Key].Name, part.Columns[part.Key].Name; text != second {
		differ("the key is column %q, of %s it is %q", second, first, text)
	}
	for _, column := range common.Columns {
		if part.Index(column.Name) < 0 {
			differ("there is no column %q, which %s has", column.Name, first)
		}
	}
	places := make([]int, len(part.Columns))
	for i, column := range part.Columns {
		at := common.Index(column.Name)
		places[i] = at
		switch {
		case at < 0:
			differ("column %q, which %s does not have", column.Name, first)
			continue
		case column.Secret != common.Columns[at].Secret:
			differ("column %q is secret in one only of it and %s", column.Name, first)
		case column.Type != common.Columns[at].Type:
			common.Columns[at].Type = Any
		}
		common.Columns[at].Optional = common.Columns[at].Optional || column.Optional
	}
	return places
}

// Rows reads all parts, also those after one with problems.
func (s *concatSource) Rows(ctx context.Context, yield func(Row) error) error {
	_, places, err := s.schemas(ctx)
	if err != nil {
		return err
	}
	var problems diag.Problems
	for i, source := range s.parts {
		var ended error // by yield: its error may be a *diag.Problems too
		err := source.Rows(ctx, func(row Row) error {
			ended = yield(row.moved(places[i]))
			return ended
		})
		var bad *diag.Problems
		switch {
		case ended != nil:
			return ended
		case errors.As(err, &bad):
			problems.Join(bad)
		case err != nil:
			return err
		}
	}
	return problems.Err()
}

// Warnings returns those of all parts.
func (s *concatSource) Warnings() []string {
	var all []string
	for _, source := range s.parts {
		all = append(all, Warnings(source)...)
	}
	return all
}
