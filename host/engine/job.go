package engine

import (
	"context"
	"fmt"
	"time"

	"github.com/rekey-host/rekey/host/journal"
	"github.com/rekey-host/rekey/host/ledger"
	"github.com/rekey-host/rekey/host/password"
	"github.com/rekey-host/rekey/host/source"
	"github.com/rekey-host/rekey/sdk"
	"github.com/rekey-host/rekey/sdk/secret"
)

// Vault seals and opens values: *ledger.Run. Both are safe for concurrent use.
type Vault interface {
	Seal(user int64, step, try int, role string, v secret.Value) []byte
	Unseal(user int64, step, try int, role string, sealed []byte) (secret.Value, error)
}

// Plan is the frozen plan: *ledger.Run.
type Plan interface {
	// OpenUsers returns up to limit users of the wave after a position that
	// have no status, in order.
	OpenUsers(wave int, after int64, limit int) ([]ledger.User, error)
	// Intents calls fn for every recorded intent.
	Intents(fn func(backend, account, cred, identity string, user int64) error) error
}

// Job is what Apply does. Every field is needed unless it says otherwise.
type Job struct {
	ID       string
	Journal  Journal
	Vault    Vault
	Plan     Plan
	Backends []Backend // in the script's order
	Hooks    Hooks
	Row      func(ledger.User) (source.Row, error) // decodes a user's row

	Waves    []journal.WaveRule
	Planned  []int64           // users of each wave
	Failed   []int64           // of them, those that count against max_failures and stay so; nil: none
	Held     string            // the wave whose hold is open in the ledger; "": none
	Waived   []int64           // of each wave, those that failed before and count no more; nil: none
	Approved func(string) bool // whether the hold after the wave is released
	Scratch  string            // directory for files without a name; "": the system's
	Policy   *password.Spec    // the workflow's; nil: wishes only
	Revert   bool              // on_failure = "revert"
	// Known returns the newest value that the ledger knows as applied to a
	// credential before this run, for Revert.
	Known func(label, account, cred string) (secret.Value, bool, error)

	// KeyOf returns the key of a user by the position, "" if it cannot; may be
	// nil.
	KeyOf func(pos int64) string

	Requestor, SourceSystem string

	// LastRecord is when the newest record of earlier processes was made: what
	// they sent was given up by then. Zero: not known, as after a process that
	// was killed, which may have tried again without a record.
	LastRecord time.Time
	Notice     func(text string) // told why users wait; may be nil; must not block

	Clock    Clock
	Random   Random
	Stop     context.Context                // its end stops the dispatching; operations in flight finish
	Finished func(journal.Status, sdk.Code) // told of each user that ends; may be nil; must not block
	Crash    func(point string)             // called at each crash point, by any goroutine; nil outside tests

	// Panicked is called by a goroutine that panics, with the stack and the key of
	// its user, "" where it works for many, and should not return; nil: the panic
	// goes on.
	Panicked func(user string, reason any, stack []byte)

	// Batch is the most users carried together; 0: the default, 1: each
	// user goes by itself.
	Batch int
}

// Ending is how Apply ended when it did all it could.
type Ending struct {
	Stopped     string // why it stopped early; "" if it did not
	Interrupted bool   // Job.Stop ended
	Held        string // the wave whose hold is open
	Waits       []Wait // of backends that the operator was told are waited for, by label
}

// users is how many the plan has, of all waves.
func (j *Job) users() (count int64) {
	for _, planned := range j.Planned {
		count += planned
	}
	return count
}

// at passes a crash point.
func (j *Job) at(point string) { crash(j.Crash).at(point) }

// notice tells the operator why users wait.
func (j *Job) notice(format string, args ...any) {
	if j.Notice != nil {
		j.Notice(fmt.Sprintf(format, args...))
	}
}

// nameOf names a user for whoever looks for the row.
func (j *Job) nameOf(pos int64) string {
	if j.KeyOf != nil {
		if key := j.KeyOf(pos); key != "" {
			return fmt.Sprintf("user %q, %d of the plan,", key, pos)
		}
	}
	return fmt.Sprintf("user %d of the plan", pos)
}

// batchLimit is the most users of a batch.
func (j *Job) batchLimit() int {
	if j.Batch > 0 {
		return j.Batch
	}
	return batchLimit
}

// attempts is the most that a backend of the run is given.
func (j *Job) attempts() int {
	count := 1
	for _, backend := range j.Backends {
		count = max(count, backend.Attempts)
	}
	return count
}

// writeIntent makes an empty record that of a value about to be sent.
func (j *Job) writeIntent(record *journal.Record, step *journal.Step, at place, what sending) {
	step.Write(record, journal.Intent, at.user, at.step)
	record.Try, record.Origin = at.try, what.origin
	record.Sealed = j.Vault.Seal(at.user, at.step, at.try, journal.RoleValue, what.value)
	if what.old.Present() {
		record.SealedOld = j.Vault.Seal(at.user, at.step, at.try, journal.RoleOld, what.old)
	}
	record.Detail.Bridge, record.Detail.HashFormat, record.Detail.MustChange = what.bridge, step.HashFormat, what.mustChange
	record.Detail.Options = len(step.Options) > 0
	if what.verb != verbOf(*step) {
		record.Detail.Op = string(what.verb)
	}
}

// operation carries a value to the plugin.
func (j *Job) operation(step journal.Step, at place, what sending) sdk.Operation {
	attempt := 1
	if what.again {
		attempt = 2
	}
	return sdk.Operation{
		ID:   journal.OperationID(j.ID, at.user, at.step, at.try),
		Verb: what.verb, Account: step.Account, Kind: step.Kind, Value: what.value, Old: what.old,
		HashFormat: step.HashFormat, MustChange: what.mustChange, Options: step.Options,
		Requestor: j.Requestor, SourceSystem: j.SourceSystem, Attempt: attempt,
	}
}

// question is the operation of a verify.
func (j *Job) question(step journal.Step, at place) sdk.Operation {
	return sdk.Operation{Verb: sdk.Verify, Account: step.Account, Kind: step.Kind, Value: step.Value.Secret(), Attempt: 1,
		ID: journal.OperationID(j.ID, at.user, at.step, at.try), Requestor: j.Requestor, SourceSystem: j.SourceSystem}
}
