package engine

import (
	"fmt"

	"github.com/rekey-host/rekey/host/journal"
	"github.com/rekey-host/rekey/sdk"
	"github.com/rekey-host/rekey/sdk/secret"
)

// claimer claims the account of a step for its user.
type claimer struct{ *stepState }

// own claims the account of a step that sends for the first time, by its name
// and, where the backend can tell, by what the target takes that for. A refusal
// says whose it is; an error sends the user back to pending.
func (x claimer) own() (*sdk.Error, error) {
	step := x.step
	owner, mine, err := x.run.owners.claim(step.Backend, step.Account, step.Kind, x.user.Pos)
	switch {
	case err != nil:
		return nil, x.run.broken(err)
	case !mine:
		return sdk.Errorf(journal.DuplicateAccount, "%s has this account", x.run.nameOf(owner)), nil
	}
	if x.dispatcher.names.instance == nil {
		return nil, nil
	}
	who, refusal, err := x.resolve()
	if who.ID == "" {
		return refusal, err // a name of no account: the target will refuse it
	}
	x.identity = identityOf(x.dispatcher.backend, step.Account, who)
	owner, mine, err = x.run.owners.claimIdentity(x.claimed(), step.Kind, x.user.Pos)
	switch {
	case err != nil:
		return nil, x.run.broken(err)
	case !mine:
		return sdk.Errorf(journal.DuplicateAccount, "%s has this account, under another name", x.run.nameOf(owner)), nil
	}
	if other := x.otherName(step.Value.Secret()); other != "" {
		return sdk.Errorf(journal.DuplicateAccount, "%s is this account under another name, and was given another value", other), nil
	}
	return nil, nil
}

// resolve asks for the account behind a step's name, as often as an operation
// would be sent.
func (x claimer) resolve() (sdk.Identity, *sdk.Error, error) {
	step, dispatcher := x.step, x.dispatcher
	for tries := newRetry(dispatcher.backend.Attempts); ; {
		if err := x.admit(dispatcher); err != nil {
			return sdk.Identity{}, nil, err
		}
		who, err := x.ask()
		if x.run.hard.Err() != nil {
			return sdk.Identity{}, nil, cancelled()
		}
		failure := uncancelled(sdk.AsError(err, sdk.TargetError))
		if failure == nil && who.Err != nil && passing(who.Err.Code) {
			failure = who.Err
		}
		through := x.through
		x.through = false
		if failure == nil {
			if through {
				dispatcher.circuit.allowProbe() // the next operation shall find out
			}
			return who, nil, nil
		}
		if pending(failure.Code) { // it would say so to every user
			x.run.stop(fmt.Sprintf("backend %s: %s", step.Backend, failure.Error()))
			return sdk.Identity{}, nil, cancelled()
		}
		dispatcher.observe(sdk.Refuse(failure))
		if !dispatcher.free(failure) {
			tries.spend()
		}
		if !passing(failure.Code) || tries.spent() {
			return sdk.Identity{}, failure, nil
		}
		wait := tries.wait(failure.RetryAfter)
		x.run.tellWait(dispatcher, failure, wait)
		if x.pause(x.patience(), dispatcher, wait) != nil {
			return sdk.Identity{}, nil, cancelled()
		}
	}
}

// ask asks for the account behind a step's name, or takes over what a batch was
// told, once.
func (x claimer) ask() (sdk.Identity, error) {
	if told := x.nameReply; told != nil && told.label == x.step.Backend && told.name == x.step.Account {
		x.nameReply = nil
		return told.who, told.err
	}
	return x.dispatcher.names.of(x.step.Account)
}

// otherName returns another name under which this user's account has, or may
// have, another value: the older one would be reported and not be in force.
func (x claimer) otherName(value secret.Value) string {
	mine := x.claimed()
	for _, credential := range x.history.Touched() {
		if credential.Credential == x.recorded.Credential || credential.Kind != x.step.Kind || credential.State < journal.AttemptsApplied {
			continue
		}
		held := credential.Held().Intent
		if claimOf(held.Detail.Identity, credential.Credential) == mine && !x.carries(held, value) {
			return fmt.Sprintf("%s %s", credential.Backend, credential.Account)
		}
	}
	return ""
}

// carries reports whether a recorded intent has the value.
func (x claimer) carries(intent *journal.Record, value secret.Value) bool {
	if intent.Sealed == nil {
		return false
	}
	was, err := x.unseal(intent, journal.RoleValue, intent.Sealed)
	return err == nil && was.Equal(value)
}
