package engine

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/rekey-host/rekey/host/journal"
	"github.com/rekey-host/rekey/sdk"
	"github.com/rekey-host/rekey/sdk/secret"
)

// reverter sets back what a failing user has applied.
type reverter struct {
	*userState
	kept map[string][]string // labels that could not be set back, by why
}

// revert sets back what a failing user has applied, newest first, as journalled
// steps. Unknown accounts are never reverted, and with one of them nothing is.
// It returns the verdict with which the user ends, or the fault of one who goes
// back to pending.
func (r *reverter) revert(verdict journal.Verdict) (journal.Verdict, error) {
	if out := r.history.Conclude(verdict); out.Detail.Status != journal.Partial {
		return verdict, nil
	}
	for _, credential := range slices.Backward(slices.Clone(r.history.Touched())) {
		if credential.State != journal.AttemptsApplied || credential.Reverted {
			continue
		}
		if err := r.setBack(credential); err != nil {
			return raisedBy(err), err
		}
	}
	return verdict, nil
}

// setBack gives one credential the value it had before. Where it is not
// known, or was not all that the step wrote, the account stays as it is, and
// the user partial.
func (r *reverter) setBack(credential *journal.CredentialHistory) error {
	dispatcher := r.run.dispatchers[credential.Backend]
	old, known := r.valueBefore(credential)
	switch {
	case dispatcher == nil || !dispatcher.backend.Description.Does(sdk.Set):
		r.keep("the backend cannot set a value", credential)
		return nil
	case credential.HandedOver():
		r.keep("the backend logs in with the new value", credential)
		return nil
	case credential.Optioned():
		r.keep("its options cannot be taken back", credential)
		return nil
	case !known:
		r.keep("the earlier value is not known", credential)
		return nil
	}
	recorded, err := r.backStep(credential.Credential)
	if err != nil {
		return diverged(err)
	}
	if last := recorded.Last(); last != nil && !redone(last) {
		return nil // as it came out before
	}
	r.run.at(CrashReverting)
	return newSettler(r.userState, stepOf(recorded.Call, journal.Given(old)), dispatcher, recorded).send(r.run.hard, sending{verb: sdk.Set, value: old})
}

// valueBefore returns the value that the credential had before this run: what
// the first value that took effect replaced, if by a change, because the
// target compared it; else the newest that the ledger knows.
func (r *reverter) valueBefore(credential *journal.CredentialHistory) (secret.Value, bool) {
	if first := credential.First().Intent; first.SealedOld != nil && first.Detail.Op == "" {
		old, err := r.unseal(first, journal.RoleOld, first.SealedOld)
		return old, err == nil
	}
	if r.run.Known == nil {
		return secret.Value{}, false
	}
	value, ok, err := r.run.Known(credential.Backend, credential.Account, credential.Kind)
	return value, ok && err == nil
}

// backStep is the step that sets a credential back: the last one, or a new one
// behind all others.
func (r *reverter) backStep(name journal.Credential) (*journal.RecordedStep, error) {
	replay := &r.history.Replay
	if was := replay.Back(name); was != nil {
		return was, nil
	}
	r.n = max(r.n, replay.Highest()) + 1
	return replay.At(r.n, name.Back())
}

// settle settles the set-backs that an earlier process left open, before
// the hook is called again: the state of the accounts decides its steps.
func (r *reverter) settle() error {
	for _, recorded := range r.history.Replay.Backs() {
		dispatcher := r.run.dispatchers[recorded.Backend]
		if recorded.State() != journal.AttemptsDoubtful || dispatcher == nil {
			continue
		}
		if err := newSettler(r.userState, stepOf(recorded.Call, nil), dispatcher, recorded).settle(r.run.hard); err != nil {
			return err
		}
	}
	return nil
}

// keep notes why a credential was not set back.
func (r *reverter) keep(why string, credential *journal.CredentialHistory) {
	if r.kept == nil {
		r.kept = map[string][]string{}
	}
	r.kept[why] = append(r.kept[why], credential.Backend)
}

// explain adds to a status which accounts could not be set back.
func (r *reverter) explain(rec *journal.Record) {
	for _, why := range slices.Sorted(maps.Keys(r.kept)) {
		text := fmt.Sprintf("not reverted, as %s: %s", why, strings.Join(r.kept[why], ", "))
		if rec.Detail.Message != "" {
			text = "; " + text
		}
		rec.Detail.Message += text
	}
}

func stepOf(call journal.Call, value *journal.Value) journal.Step {
	return journal.Step{Verb: call.Verb, Backend: call.Backend, Account: call.Account, Kind: call.Kind, Value: value}
}
