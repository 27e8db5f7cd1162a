package engine

import (
	"context"
	"slices"

	"github.com/rekey-host/rekey/host/journal"
	"github.com/rekey-host/rekey/host/password"
	"github.com/rekey-host/rekey/host/source"
)

// Hooks is the script, as the engine needs it: what happens to one user.
// Rotate is called concurrently, once a user and run of the process; it is
// called again from its first line when a user is resumed.
type Hooks interface {
	Rotate(ctx context.Context, row source.Row, steps *Steps) journal.Verdict
}

// GenerateStep is one call of step.generate.
type GenerateStep struct {
	Policy    *password.Spec // nil: the workflow's
	Kind      string
	Generator string   // label of the backend whose own generator is asked; "": the host generates
	Targets   []string // labels whose policies it must satisfy; nil: every backend of the workflow

	drawn  *[]poolKey // the generators' values that its user has taken; nil: it has no user
	failed *error     // why a batch could not make the value; it counts as an attempt, once
}

// isFor reports whether the value has to satisfy the backend.
func (g GenerateStep) isFor(label string) bool {
	if g.Generator != "" {
		return label == g.Generator
	}
	return g.Targets == nil || slices.Contains(g.Targets, label)
}
