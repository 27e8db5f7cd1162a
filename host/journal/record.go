package journal

import (
	"fmt"
	"time"

	"github.com/rekey-host/rekey/sdk"
)

// Kind says what a Record records. The numbers stand in ledgers: they are only
// ever added to.
type Kind uint8

// The kinds of records. Each record is one leaf of the run's hash log.
const (
	Opened   Kind = 1  // the run: its header
	Planned  Kind = 2  // the plan is frozen: its digest and counts
	Started  Kind = 3  // a process begins to apply: who, where, which command
	Intent   Kind = 4  // a value is about to be sent: written and synced before its first byte
	Outcome  Kind = 5  // what became of an intent, or of a step without one (reset, unlock)
	Answer   Kind = 6  // what a reading step returned: verify, find
	Finished Kind = 7  // a user's status
	Reopened Kind = 8  // a user is put back: retry, or an unknown tried again
	Held     Kind = 9  // a wave ended that holds for approval
	Approved Kind = 10 // the hold is released
	Stopped  Kind = 11 // the run stopped early: why
	Ended    Kind = 12 // a process ends its work on the run: the state
	Revealed Kind = 13 // sealed values were read
	Reported Kind = 14 // a report was written
	Accepted Kind = 15 // a changed script or plugin was accepted
	Forgot   Kind = 16 // the data key was destroyed

	Cancelled Kind = 17 // whoever waits for his turn will be skipped: who says so, and why
	Settled   Kind = 18 // a person says which of a user's values is in force: who, and why
)

// kindNames are what the kinds are called, by number.
var kindNames = [...]string{"record", "opened", "planned", "started", "intent", "outcome", "answer", "finished", "reopened",
	"held", "approved", "stopped", "ended", "revealed", "reported", "accepted", "forgot", "cancelled", "settled"}

// String returns what the kind is called: "intent", "finished", ….
func (k Kind) String() string {
	if int(k) < len(kindNames) {
		return kindNames[k]
	}
	return fmt.Sprintf("kind %d", uint8(k))
}

// AboutUser reports whether records of the kind are about a user.
func (k Kind) AboutUser() bool {
	switch k {
	case Intent, Outcome, Answer, Finished, Reopened:
		return true
	}
	return false
}

// Record is one entry of a run's ledger. Records are appended and never
// rewritten.
type Record struct {
	Index int64     // place in the hash log, from 0; set by Commit
	Kind  Kind      //
	At    time.Time // UTC, microseconds; set by Commit if zero

	User int64 // position in the plan, from 1; 0: about the run
	Step int   // ordinal of the step in the hook, from 1; 0: not about a step
	Try  int   // which value of the step, from 0: a new one after a policy refusal, a bridge

	Verb    string // set change reset verify find unlock revert, of the step
	Backend string // label
	Account string
	Cred    string // the kind of credential

	Origin  int         // ordinal of the generate that made the value; 0: given
	Outcome sdk.Outcome // of Outcome and Answer records
	Code    sdk.Code    //

	Sealed    []byte // the value of an Intent, or that a reset returned
	SealedOld []byte // the old value of a change

	Detail Detail
}

// Detail holds the rarer fields of a Record. It is kept as JSON.
type Detail struct {
	Op            string          `json:"op,omitempty"`      // the action where it differs from the step's: "set" inside a change being settled
	Bridge        bool            `json:"bridge,omitempty"`  // the value is a bridge, not meant to stay
	Attempt       int             `json:"attempt,omitempty"` // how often it was sent
	HashFormat    string          `json:"hash_format,omitempty"`
	MustChange    *bool           `json:"must_change,omitempty"`
	Options       bool            `json:"options,omitempty"` // of an Intent: it was sent with options
	Message       string          `json:"message,omitempty"`
	Native        string          `json:"native,omitempty"`
	Violations    []sdk.Violation `json:"violations,omitempty"`
	AccountStatus sdk.Status      `json:"account_status,omitempty"`
	Ref           string          `json:"ref,omitempty"`
	Stamp         string          `json:"stamp,omitempty"`
	Verdict       string          `json:"verdict,omitempty"`
	Account       *sdk.Account    `json:"account,omitempty"`      // what find returned
	Identity      string          `json:"identity,omitempty"`     // of an Intent: what the target takes the account's name for, opaque; "": the name
	Late          *time.Time      `json:"late,omitempty"`         // of an Outcome: an attempt got no answer, and may arrive until then
	Contradicted  bool            `json:"contradicted,omitempty"` // of an Outcome: the plugin contradicted itself

	Status    Status `json:"status,omitempty"`    // of Finished
	Unchanged bool   `json:"unchanged,omitempty"` // of Finished: done, and no password was changed
	Backtrace string `json:"backtrace,omitempty"`

	Command      string            `json:"command,omitempty"` // of Started: run, resume, retry
	OSUser       string            `json:"os_user,omitempty"`
	Host         string            `json:"host,omitempty"`
	Home         string            `json:"home,omitempty"` // of Opened, Started, and Accepted after a move: name of the state directory
	PID          int               `json:"pid,omitempty"`
	Requestor    string            `json:"requestor,omitempty"`
	SourceSystem string            `json:"source_system,omitempty"`
	Wave         string            `json:"wave,omitempty"`
	State        State             `json:"state,omitempty"`  // of Ended
	Events       []string          `json:"events,omitempty"` // of Ended: what happened to its backends, a line each
	Digest       string            `json:"digest,omitempty"`
	Counts       map[string]int64  `json:"counts,omitempty"`
	Facts        map[string]string `json:"facts,omitempty"`
	Backends     []BackendPin      `json:"backends,omitempty"` // of Accepted: what holds from here on
}

// Blame writes into the record why something was not done; nil writes nothing.
func (r *Record) Blame(err *sdk.Error) {
	if err == nil {
		return
	}
	r.Code = err.Code
	r.Detail.Message, r.Detail.Native, r.Detail.Violations, r.Detail.AccountStatus = err.Message, err.Native, err.Violations, err.AccountStatus
}

// copyReason takes over why another record says that something was not done.
func (r *Record) copyReason(from *Record) {
	detail := &from.Detail
	r.Blame(&sdk.Error{Code: from.Code, Message: detail.Message, Native: detail.Native, Violations: detail.Violations, AccountStatus: detail.AccountStatus})
}

// Bare reports whether it says nothing but, perhaps, an attempt, a status and a digest,
// as that of nearly every record.
func (d *Detail) Bare() bool {
	return d.Op == "" && !d.Bridge && d.HashFormat == "" && d.MustChange == nil && !d.Options && d.Message == "" && d.Native == "" &&
		len(d.Violations) == 0 && d.AccountStatus == "" && d.Ref == "" && d.Stamp == "" && d.Verdict == "" && d.Account == nil && d.Identity == "" && d.Late == nil && !d.Contradicted &&
		!d.Unchanged && d.Backtrace == "" && d.Command == "" && d.OSUser == "" && d.Host == "" && d.Home == "" && d.PID == 0 && d.Requestor == "" &&
		d.SourceSystem == "" && d.Wave == "" && d.State == "" && len(d.Events) == 0 && len(d.Counts) == 0 && len(d.Facts) == 0 && len(d.Backends) == 0
}
