package source

import (
	"context"
	"fmt"

	"github.com/rekey-host/rekey/host/diag"
	"github.com/rekey-host/rekey/sdk/secret"
)

// ValueColumn is the name of the column with a value that came from outside the
// source; scripts do not see it.
const ValueColumn = "rekey.value"

// Only returns a source with one user of another, the one with the key; the case
// of keys is told apart only where the source has several. A value that is
// present stands in a column of its own. All else that is wrong with the source
// is wrong all the same.
func Only(src Source, key string, value secret.Value) Source {
	return &oneUser{Source: src, key: key, value: value}
}

type oneUser struct {
	Source
	key   string
	value secret.Value
}

var _ Fingerprinter = (*oneUser)(nil)

// Fingerprints returns those of the source.
func (o *oneUser) Fingerprints(ctx context.Context) ([]Fingerprint, error) {
	return Fingerprints(ctx, o.Source)
}

// Warnings returns the source's.
func (o *oneUser) Warnings() []string { return Warnings(o.Source) }

// Schema returns the columns, and that of the value.
func (o *oneUser) Schema(ctx context.Context) (Schema, error) {
	schema, err := o.Source.Schema(ctx)
	if err == nil && o.value.Present() {
		schema.Columns = append(schema.Columns[:len(schema.Columns):len(schema.Columns)], Column{Name: ValueColumn, Type: String, Secret: true})
	}
	return schema, err
}

// Rows yields the user, when all have been read.
func (o *oneUser) Rows(ctx context.Context, yield func(Row) error) error {
	var exact, folded []Row
	err := o.Source.Rows(ctx, func(row Row) error {
		switch {
		case row.Key == o.key:
			exact = append(exact, row)
		case diag.Fold(row.Key) == diag.Fold(o.key):
			folded = append(folded, row)
		}
		return nil
	})
	if err != nil {
		return err
	}
	if len(exact) == 0 {
		exact = folded
	}
	if len(exact) == 0 {
		return one(diag.Problem{File: o.Name(), Message: fmt.Sprintf("there is no user %q", o.key)})
	}
	for _, row := range exact {
		if o.value.Present() {
			row.Cells = append(row.Cells[:len(row.Cells):len(row.Cells)], o.value)
		}
		if err := yield(row); err != nil {
			return err
		}
	}
	return nil
}
