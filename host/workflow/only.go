package workflow

import (
	"context"

	"github.com/rekey-host/rekey/host/engine"
	"github.com/rekey-host/rekey/host/journal"
	"github.com/rekey-host/rekey/host/source"
	"github.com/rekey-host/rekey/sdk/secret"
)

// Only has the workflow treat one user of its source, without reports: they are
// lists of all. A value that is present is what generate gives for that user.
func (w *Workflow) Only(ctx context.Context, key string, value secret.Value) error {
	w.Users, w.Reports = source.Only(w.Users, key, value), nil
	schema, err := w.Users.Schema(ctx)
	if err != nil {
		return err
	}
	if value.Present() {
		w.Given = append(w.Given, source.ValueColumn)
	}
	w.Use(schema)
	return nil
}

// given returns steps whose generate gives the value that came with the user.
func (w *Workflow) given(row source.Row, steps stepper) stepper {
	schema := w.in.schema.Load()
	if schema == nil {
		return steps
	}
	at, known := schema.index[source.ValueColumn]
	if !known || at >= len(row.Cells) {
		return steps
	}
	value, is := row.Cells[at].(secret.Value)
	if !is || !value.Present() {
		return steps
	}
	return givenSteps{steps, value}
}

// givenSteps are steps with a value that is not generated.
type givenSteps struct {
	stepper
	value secret.Value
}

// Generate returns the value.
func (g givenSteps) Generate(context.Context, engine.GenerateStep) (*journal.Value, error) {
	return journal.Given(g.value), nil
}

// Quiet reports whether nothing is printed.
func (g givenSteps) Quiet() bool {
	steps, can := g.stepper.(interface{ Quiet() bool })
	return can && steps.Quiet()
}

// Printed reports whether something that is printed is dropped.
func (g givenSteps) Printed() bool {
	steps, can := g.stepper.(interface{ Printed() bool })
	return can && steps.Printed()
}
