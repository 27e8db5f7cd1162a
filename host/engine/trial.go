package engine

import (
	"context"

	"github.com/rekey-host/rekey/host/journal"
	"github.com/rekey-host/rekey/sdk"
)

// trial takes down which steps a hook takes when each does what it is asked: a
// hook is a pure function of its row and of what its steps return, so it takes
// the same ones when they are taken, as it does at every resume. Nothing of a
// trial reaches an account.
type trial struct {
	steps       *Steps
	member      *member
	failed      bool // the user is not for a batch
	mintFailure *mintFailure
}

// mintFailure is a value that could not be made on trial.
type mintFailure struct {
	ordinal int // of the generate
	err     error
}

// try runs the user's hook on trial, and reports whether a batch can carry the
// user; lacks is a value that could not be made, nil: none.
func (m *member) try() (carried bool, lacks *mintFailure) {
	c := m.batch.of.run
	defer c.panics.guard(m.user.Key)
	row, err := c.Row(m.user)
	if err != nil {
		return false, nil // whoever serves the user says so
	}
	s := &Steps{run: c, user: m.user, row: row, names: namesOf(row), history: &journal.History{}}
	t := &trial{steps: s, member: m}
	s.trial = t
	v := c.Hooks.Rotate(c.hard, row, s)
	return !t.failed && (v.Kind == journal.Returned || v.Kind == journal.SaidDone) && m.sends(), t.mintFailure
}

// sends reports whether one of the member's steps sends a value: a user for whom
// nothing is changed is not simply done.
func (m *member) sends() bool {
	for i := range m.steps {
		if m.steps[i].changes() {
			return true
		}
	}
	return false
}

// fails notes that the user is not for a batch.
func (t *trial) fails() { t.failed = true }

// step takes a step down. One that is not for a batch ends the hook.
func (t *trial) step(ctx context.Context, step journal.Step, l *dispatcher) (journal.Result, error) {
	if t.failed || !t.takes(ctx, step, l) {
		t.fails()
		return journal.Result{}, cancelled()
	}
	t.member.steps = append(t.member.steps, trialStep{Step: step, ordinal: t.steps.n, dispatcher: l})
	return journal.Result{Outcome: sdk.Applied}, nil
}

// takes reports whether a batch can take the step: it sends a value that the
// host does not refuse by itself, or asks in the stream whether one is accepted.
func (t *trial) takes(ctx context.Context, step journal.Step, l *dispatcher) bool {
	if step.Verb == journal.Verify {
		return l.backend.StreamsVerify
	}
	if traits, _ := journal.TraitsOf(step.Verb); !traits.Carries {
		return false
	}
	return step.HashFormat != "" || len(violated(t.policy(ctx, l.backend, step.Kind), step)) == 0
}

// policy returns the rules of a kind. The users of a batch share a failure to
// ask for them: the backend says them itself then.
func (t *trial) policy(ctx context.Context, b Backend, kind string) sdk.Policy {
	x, key := t.member.batch, [2]string{b.Label, kind}
	if x.policyFailed[key] {
		return sdk.Policy{}
	}
	policy, err := t.steps.run.policies.of(ctx, b, kind)
	if err != nil {
		if x.policyFailed == nil {
			x.policyFailed = map[[2]string]bool{}
		}
		x.policyFailed[key] = true
	}
	return policy
}

// generate mints a value, unless it is a backend's own.
func (t *trial) generate(ctx context.Context, g GenerateStep) (*journal.Value, error) {
	c := t.steps.run
	if t.failed || g.Generator != "" {
		t.fails()
		return nil, cancelled()
	}
	fresh, err := c.mintOnce(ctx, g, t.steps.names)
	if err != nil {
		t.fails()
		t.mintFailure = &mintFailure{t.steps.n, err}
		return nil, cancelled()
	}
	v := &journal.Value{Origin: t.steps.n}
	v.Replace(fresh)
	return v, nil
}
