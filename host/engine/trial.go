package engine

import (
	"context"
	"slices"

	"github.com/rekey-host/rekey/host/journal"
	"github.com/rekey-host/rekey/sdk"
)

// trying is what a batch tries one user after the other with.
type trying struct {
	trial   trial
	steps   Steps
	history journal.History // of a user of whom nothing is recorded
}

// trial takes down which steps a hook takes when each succeeds: a
// hook is a pure function of its row and of what its steps return, so it takes
// the same ones when they are taken, as it does at every resume. Nothing of a
// trial reaches an account.
type trial struct {
	run          *run
	names        []string // that a value must not contain
	steps        []trialStep
	failed       bool // the user is not for a batch
	minted       minted
	mintFailure  *mintFailure
	policyFailed *map[[2]string]bool // of the batch: backends and kinds whose rules were not told
}

// fails notes that the user is not for a batch.
func (t *trial) fails() { t.failed = true }

// step takes a step down. One not fit for a batch ends the hook.
func (t *trial) step(ctx context.Context, ordinal int, step journal.Step, dispatcher *dispatcher) (journal.Result, error) {
	if t.failed || !t.takes(ctx, step, dispatcher) {
		t.fails()
		return journal.Result{}, cancelled()
	}
	t.steps = append(t.steps, trialStep{Step: step, ordinal: ordinal, dispatcher: dispatcher})
	return journal.Result{Outcome: sdk.Applied}, nil
}

// takes reports whether a batch can take the step: it sends a value that the
// host does not refuse by itself, or asks in the stream whether one is accepted.
func (t *trial) takes(ctx context.Context, step journal.Step, dispatcher *dispatcher) bool {
	if step.Verb == journal.Verify {
		return dispatcher.backend.StreamsVerify
	}
	if traits, _ := journal.TraitsOf(step.Verb); !traits.Carries {
		return false
	}
	return step.HashFormat != "" || t.minted.meets(step, t.names) || len(violated(t.policy(ctx, dispatcher.backend, step.Kind), step)) == 0
}

// minted is the newest value of a trial, and the wish that it meets.
type minted struct {
	value *journal.Value
	wish  GenerateStep
}

// meets reports whether a step sends the value where it was made for: by the rules
// of that backend and kind, and without that name in it.
func (m *minted) meets(step journal.Step, names []string) bool {
	return step.Value == m.value && m.wish.Kind == step.Kind && m.wish.isFor(step.Backend) && slices.Contains(names, step.Account)
}

// policy returns the rules of a kind. The users of a batch share a failure to
// ask for them: the backend says them itself then.
func (t *trial) policy(ctx context.Context, backend Backend, kind string) sdk.Policy {
	key := [2]string{backend.Label, kind}
	if (*t.policyFailed)[key] {
		return sdk.Policy{}
	}
	policy, err := t.run.policies.of(ctx, backend, kind)
	if err != nil {
		if *t.policyFailed == nil {
			*t.policyFailed = map[[2]string]bool{}
		}
		(*t.policyFailed)[key] = true
	}
	return policy
}

// generate mints a value, unless it is a backend's own.
func (t *trial) generate(ctx context.Context, ordinal int, wish GenerateStep) (*journal.Value, error) {
	if t.failed || wish.Generator != "" {
		t.fails()
		return nil, cancelled()
	}
	fresh, err := t.run.mintOnce(ctx, wish, t.names)
	if err != nil {
		t.fails()
		t.mintFailure = &mintFailure{ordinal, err}
		return nil, cancelled()
	}
	value := &journal.Value{Origin: ordinal}
	value.Replace(fresh)
	t.minted = minted{value, wish}
	return value, nil
}

// trialStep is a step that a hook took on trial.
type trialStep struct {
	journal.Step
	ordinal    int
	dispatcher *dispatcher
	identity   string     // what the target takes the account's name for; see identityOf
	known      bool       // the target has told
	told       *nameReply // what the backend said of the name, where that does not do
}

// place is where the step stands.
func (t *trialStep) place(user int64) place { return place{user, t.ordinal, 0} }

// changes reports whether the step sends a value.
func (t *trialStep) changes() bool { return t.Verb != journal.Verify }

// named takes over which account the step means. A name of no account is sent as it
// is: it will be refused.
func (t *trialStep) named(got answered) {
	who := got.who
	if got.err != nil || who.Err != nil && passing(who.Err.Code) {
		t.told = &nameReply{t.Backend, t.Account, who, got.err}
		return
	}
	if who.ID != "" {
		t.identity, t.known = identityOf(t.dispatcher.backend, t.Account, who), true
	}
}
