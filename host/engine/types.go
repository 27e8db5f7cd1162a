package engine

import (
	"context"

	"github.com/rekey-host/rekey/host/journal"
	"github.com/rekey-host/rekey/host/password"
	"github.com/rekey-host/rekey/host/source"
	"github.com/rekey-host/rekey/sdk/secret"
)

// What a script and its host say to the engine is written in the words of the
// journal.
type (
	Verdict  = journal.Verdict
	Fault    = journal.Fault
	Value    = journal.Value
	Step     = journal.Step
	Result   = journal.Result
	WaveRule = journal.WaveRule

	VerdictKind = journal.VerdictKind
)

// The codes and endings that a script can meet.
const (
	ScriptError      = journal.ScriptError
	ScriptFailed     = journal.ScriptFailed
	Diverged         = journal.Diverged
	DuplicateAccount = journal.DuplicateAccount

	Returned   = journal.Returned
	SaidDone   = journal.SaidDone
	SaidFailed = journal.SaidFailed
	SaidSkip   = journal.SaidSkip
	Raised     = journal.Raised

	InARow = journal.InARow
)

// Given returns a handle on a value that comes from the source or the script.
func Given(v secret.Value) *Value { return journal.Given(v) }

// Over says that a wave has failed too often.
func Over(wave string, failed, limit int64) string { return journal.Over(wave, failed, limit) }

// Hooks is the script, as the engine needs it: what happens to one user.
// Rotate is called concurrently, once a user and run of the process; it is
// called again from its first line when a user is resumed.
type Hooks interface {
	Rotate(ctx context.Context, row source.Row, steps *Steps) Verdict
}

// GenerateStep is one call of step.generate.
type GenerateStep struct {
	Policy    *password.Spec // nil: the workflow's
	Kind      string
	Generator string   // label of the backend whose own generator is asked; "": the host generates
	Targets   []string // labels whose policies it must satisfy; nil: every backend of the workflow

	taken *[]poolKey // what its user has taken of generators' values; nil: it is no user's
}
