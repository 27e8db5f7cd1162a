package engine

import (
	"context"
	"sync/atomic"
	"time"

	"github.com/rekey-host/rekey/host/ledger"
	"github.com/rekey-host/rekey/host/password"
	"github.com/rekey-host/rekey/host/source"
	"github.com/rekey-host/rekey/sdk"
	"github.com/rekey-host/rekey/sdk/secret"
)

// The codes that are the host's own; package ledger has the list.
const (
	ScriptError      = ledger.ScriptError
	ScriptFailed     = ledger.ScriptFailed
	Diverged         = ledger.Diverged
	DuplicateAccount = ledger.DuplicateAccount
)

// Hooks is the script, as the engine needs it: what happens to one user.
// Rotate is called concurrently, once a user and run of the process; it is
// called again from its first line when a user is resumed.
type Hooks interface {
	Rotate(ctx context.Context, row source.Row, steps *Steps) Verdict
}

// VerdictKind is how a call of rotate ended.
type VerdictKind uint8

// The ways a call of rotate ends.
const (
	Returned   VerdictKind = iota // with nothing
	SaidDone                      // done()
	SaidFailed                    // failed(reason)
	SaidSkip                      // skip(reason)
	Raised                        // an error: of the script, or of a step
)

// Verdict is what a call of rotate came to.
type Verdict struct {
	Kind    VerdictKind
	Reason  string  // of SaidFailed and SaidSkip
	Fault   *Fault  // of Raised
	Refused *Result // of Raised, when a step without try_ was not applied: its result
}

// Fault is what always raises in a script: misuse, divergence, cancellation, a
// defect of the script itself.
type Fault struct {
	Code      sdk.Code
	Message   string
	Backtrace string
	// OfRow says of a ScriptError that another row may not have it: an index,
	// a key, a conversion.
	OfRow bool

	static    bool // it does not depend on the row
	postponed bool // the user goes on in another process, when nothing that was lost can arrive any more
}

// Error returns the code and the message.
func (f *Fault) Error() string { return string(f.Code) + ": " + f.Message }

// Value is a handle on one secret in a rotate. A given value never changes; a
// generated one stands for its replacement after a refusal by policy.
type Value struct {
	origin  int // ordinal of the generate that made it; 0: given
	current atomic.Pointer[secret.Value]
	mint    func(context.Context) (secret.Value, error) // makes another; nil: given
}

// Given returns a handle on a value that comes from the source or the script.
func Given(v secret.Value) *Value {
	h := &Value{}
	h.current.Store(&v)
	return h
}

// Secret returns the value that the handle stands for now.
func (v *Value) Secret() secret.Value {
	if v == nil {
		return secret.Value{}
	}
	return *v.current.Load()
}

// Empty reports whether the handle stands for no text.
func (v *Value) Empty() bool { return v.Secret().Empty() }

// Step is one call of a step that reaches a backend.
type Step struct {
	Verb       string // set change reset verify find unlock
	Backend    string // label
	Account    string
	Kind       string
	Value, Old *Value
	MustChange *bool
	HashFormat string
	Options    map[string]any
}

// Result is what a backend said to a step, after the host has tried to settle
// it. Every replay of the step returns the same.
type Result struct {
	Outcome sdk.Outcome
	Code    sdk.Code
	Message string
	Native  string
	Value   *Value       // of a reset
	Account *sdk.Account // of a find
}

// OK reports whether the step did what it was asked.
func (r Result) OK() bool { return r.Outcome == sdk.Applied || r.Outcome == sdk.AlreadyApplied }

// GenerateStep is one call of step.generate.
type GenerateStep struct {
	Policy    *password.Spec // nil: the workflow's
	Kind      string
	Generator string   // label of the backend whose own generator is asked; "": the host generates
	Targets   []string // labels whose policies it must satisfy; nil: every backend of the workflow

	taken *[]poolKey // what its user has taken of generators' values; nil: it is no user's
}

// WaveRule is how one wave is treated.
type WaveRule struct {
	Name        string
	Size        int // users a batch; 0: all
	Take        int // users that it takes, without a wave hook; 0: the rest
	Pause       time.Duration
	Hold        bool
	MaxFailures int     // -1: no limit
	MaxPercent  float64 // of the users planned in the wave; negative: no limit
	Tolerate    []sdk.Code
	InARow      int `json:",omitempty"` // failures of one code in a row that stop the run; 0: any number
}
