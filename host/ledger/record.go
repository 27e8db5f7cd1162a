package ledger

import "github.com/rekey-host/rekey/host/journal"

// What a ledger keeps is written in the words of the journal.
type (
	Kind       = journal.Kind
	Record     = journal.Record
	Detail     = journal.Detail
	Status     = journal.Status
	State      = journal.State
	BackendPin = journal.BackendPin
)

const (
	Opened   = journal.Opened
	Planned  = journal.Planned
	Started  = journal.Started
	Intent   = journal.Intent
	Outcome  = journal.Outcome
	Answer   = journal.Answer
	Finished = journal.Finished
	Reopened = journal.Reopened
	Held     = journal.Held
	Approved = journal.Approved
	Stopped  = journal.Stopped
	Ended    = journal.Ended
	Revealed = journal.Revealed
	Reported = journal.Reported
	Accepted = journal.Accepted
	Forgot   = journal.Forgot

	Pending     = journal.Pending
	Done        = journal.Done
	Failed      = journal.Failed
	Skipped     = journal.Skipped
	Partial     = journal.Partial
	Unresolved  = journal.Unresolved
	HeldPending = journal.HeldPending

	StatePlanned     = journal.StatePlanned
	StateRunning     = journal.StateRunning
	StateFinished    = journal.StateFinished
	StateUnsettled   = journal.StateUnsettled
	StateStopped     = journal.StateStopped
	StateHeld        = journal.StateHeld
	StateInterrupted = journal.StateInterrupted
)
