package engine

import (
	"fmt"

	"github.com/rekey-host/rekey/host/journal"
	"github.com/rekey-host/rekey/sdk"
	"github.com/rekey-host/rekey/sdk/secret"
)

// stepState is one step of a user, with its records.
type stepState struct {
	*userState
	step       journal.Step
	dispatcher *dispatcher
	recorded   *journal.RecordedStep

	identity string // what the target takes the account's name for; see identityOf
	handled  bool   // this process has sent it or tried to settle it
}

func newStepState(of *userState, step journal.Step, to *dispatcher, recorded *journal.RecordedStep) *stepState {
	return &stepState{userState: of, step: step, dispatcher: to, recorded: recorded, identity: recorded.Identity}
}

// place is where the executor's step stands.
func (x *stepState) place(try int) place { return place{x.user.Pos, x.recorded.Ordinal, try} }

// begin makes the record of a value about to be sent.
func (x *stepState) begin(what sending) *journal.Attempt {
	var record journal.Record
	x.run.writeIntent(&record, &x.step, x.place(x.history.Replay.NextTry(x.recorded.Ordinal)), what)
	record.Detail.Identity = x.identity
	x.history.Add(&record)
	return x.history.Attempt(record.Step, record.Try)
}

// operation carries the step's newest try.
func (x *stepState) operation(what sending) sdk.Operation {
	return x.run.operation(x.step, x.place(x.history.Replay.NextTry(x.recorded.Ordinal)-1), what)
}

// claimed is what the step's account is claimed by.
func (x *stepState) claimed() string { return claimOf(x.identity, x.recorded.Credential) }

// unresolved reports whether another value of the credential is in doubt: a
// second one is never sent while the first may be in force.
func (x *stepState) unresolved(value secret.Value) bool {
	credential := x.history.Credential(x.recorded.Credential)
	return credential != nil && credential.State == journal.AttemptsDoubtful && !x.allEqual(credential.Open(), value)
}

// allEqual reports whether each of the attempts carries the value.
func (x *stepState) allEqual(attempts []*journal.Attempt, value secret.Value) bool {
	for _, attempt := range attempts {
		if attempt.Intent.Sealed == nil {
			continue
		}
		was, err := x.unseal(attempt.Intent, journal.RoleValue, attempt.Intent.Sealed)
		if err != nil || !was.Equal(value) {
			return false
		}
	}
	return true
}

// oneValue refuses a further value of a step while another one of the credential
// may be in force. The recovery of a lost change is the declared exception: it
// sends the same value, or a bridge to it.
func (x *stepState) oneValue(what sending) error {
	if len(x.recorded.Attempts) == 0 || what.bridge || x.recorded.Recovering() {
		return nil // of a step's first value refuse has asked
	}
	if x.unresolved(what.value) {
		return x.run.broken(fmt.Errorf("%w: a second value of %s would be sent while the first may be in force", ErrInvariant, x.recorded.Account))
	}
	return nil
}
