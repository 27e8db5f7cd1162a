package host

import (
	"context"
	"errors"
	"fmt"

	"github.com/rekey-host/rekey/host/journal"
	"github.com/rekey-host/rekey/host/ledger"
)

// runs opens the runs of a state directory by the names that users give them.
type runs struct {
	store     *ledger.Store
	keyring   *keyring
	notices   *notices
	osUser    string
	hostname  string
	unaudited bool // acts go on that cannot be recorded
	act       Act  // as which they are recorded
}

// resolve returns the run that a name means to a command that looks.
func (a runs) resolve(name string) (string, error) {
	id, err := a.store.Resolve(name)
	if err != nil {
		return "", &UsageError{Message: err.Error()}
	}
	if _, doubt := a.store.ResolveToApply(name); doubt != nil {
		a.notices.warn("this is run %s; %s", id, doubt)
	}
	return id, nil
}

// read opens a run for reading.
func (a runs) read(name string) (*ledger.Run, error) {
	id, err := a.resolve(name)
	if err != nil {
		return nil, err
	}
	return a.noticed(a.store.Read(id))
}

// rest opens a run for reading what remains of it.
func (a runs) rest(name string) (*ledger.Run, error) {
	id, err := a.resolve(name)
	if err != nil {
		return nil, err
	}
	return a.noticed(a.store.Rest(id))
}

// opened opens a run for reading, with the key to its sealed values.
func (a runs) opened(ctx context.Context, name string) (*ledger.Run, error) {
	return a.withKeys(ctx, name, a.store.ReadWith)
}

// restOpened is rest with the key to the run's sealed values.
func (a runs) restOpened(ctx context.Context, name string) (*ledger.Run, error) {
	return a.withKeys(ctx, name, a.store.RestWith)
}

// withKeys opens a run by a way that takes the keys to its sealed values.
func (a runs) withKeys(ctx context.Context, name string, open func(id string, keys ledger.Keys) (*ledger.Run, error)) (*ledger.Run, error) {
	id, err := a.resolve(name)
	if err != nil {
		return nil, err
	}
	keys, err := a.keyring.keys(ctx)
	if err != nil {
		return nil, err
	}
	return a.noticed(open(id, keys))
}

// noticed warns of a run put back from an older copy.
func (a runs) noticed(run *ledger.Run, err error) (*ledger.Run, error) {
	if err == nil {
		if stale := run.Stale(); stale != nil {
			a.notices.warn("%s", stale)
		}
	}
	return run, err
}

// lock takes a run for applying: with --moved, also one last applied
// elsewhere.
func (a runs) lock(ctx context.Context, name string, options RunOptions) (*ledger.Run, error) {
	id, err := a.store.ResolveToApply(name)
	if err != nil {
		return nil, &UsageError{Message: err.Error()}
	}
	keys, err := a.keyring.keys(ctx)
	if err != nil {
		return nil, err
	}
	take := a.store.Lock
	if options.Moved {
		take = a.store.LockMoved
	}
	run, err := take(id, keys)
	return run, refusedLock(err)
}

// refusedLock turns a refusal to apply a run into one that the user can mend.
func refusedLock(err error) error {
	var held *ledger.LockedError
	var stale *ledger.StaleError
	var moved *ledger.MovedError
	switch {
	case errors.As(err, &held):
		return &UsageError{Message: err.Error(), Fix: "wait for it, or end it"}
	case errors.As(err, &stale):
		return &UsageError{Message: err.Error()}
	case errors.As(err, &moved):
		return &UsageError{Message: err.Error(), Fix: "if it does not go on there, give --moved"}
	}
	return err
}

// audited records an act on a run by a process that does not apply it. If that
// fails, nothing is shown, unless the act is wanted all the same.
func (a runs) audited(run *ledger.Run, kind journal.Kind, facts map[string]string) error {
	err := a.store.Note(run.ID(), &journal.Record{Kind: kind, Detail: journal.Detail{OSUser: a.osUser, Host: a.hostname, Requestor: a.act.Requestor, Message: a.act.Reason, Facts: facts}})
	return a.unrecorded(err)
}

// unrecorded decides whether an act goes on that could not be recorded. On a
// read-only medium, a snapshot or a rescue system, or in a damaged ledger
// nothing ever could be: a warning says so, and the act goes on.
func (a runs) unrecorded(err error) error {
	switch {
	case err == nil:
		return nil
	case a.unaudited || a.store.ReadOnly() || ledger.Damaged(err):
		a.notices.warn("this is not recorded: %s", err)
		return nil
	}
	return &UsageError{Message: fmt.Sprintf("the act cannot be recorded, and nothing is shown: %s", err), Fix: "mend that, or give --unaudited"}
}

// forget destroys the key to a locked run's values.
func forget(run *ledger.Run, act Act) error {
	if err := run.Forget(journal.Detail{Requestor: act.Requestor, Message: act.Reason}); err != nil {
		return &UsageError{Message: err.Error()}
	}
	return run.Salvage(run.Confirm())
}

// whatIsLost ends a command over the remains of a run.
func whatIsLost(run *ledger.Run, err error) error {
	damage := run.Damage()
	switch {
	case damage == nil:
		return err
	case err == nil || errors.As(err, new(*PartError)) || errors.As(err, new(*NobodyError)):
		return &PartError{errors.Join(damage, err)}
	}
	return errors.Join(err, damage)
}
