package journal

// Status is what a row of the input came to.
type Status string

// The statuses. Pending and Held are those of users without a Finished record.
const (
	Pending     Status = "pending"
	Done        Status = "done"
	Failed      Status = "failed"
	Skipped     Status = "skipped"
	Partial     Status = "partial"
	Unresolved  Status = "unknown"
	HeldPending Status = "held"
)

// Failure reports whether a user with the status has failed, in part or perhaps.
func (s Status) Failure() bool { return s == Failed || s == Partial || s == Unresolved }

// State is where a run stands.
type State string

// The states of a run. Interrupted is Running without a living process.
const (
	StatePlanned     State = "planned"
	StateRunning     State = "running"
	StateFinished    State = "finished"
	StateUnsettled   State = "unsettled"
	StateStopped     State = "stopped"
	StateHeld        State = "held"
	StateInterrupted State = "interrupted"
)

// States are all that a run may be in.
func States() []State {
	return []State{StatePlanned, StateRunning, StateFinished, StateUnsettled, StateStopped, StateHeld, StateInterrupted}
}
