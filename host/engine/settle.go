package engine

import (
	"context"
	"fmt"
	"slices"

	"github.com/rekey-host/rekey/sdk"
	"github.com/rekey-host/rekey/sdk/secret"
)

// settle follows an intent that an earlier process, or an earlier round, left
// without an outcome.
func (s *Steps) settle(ctx context.Context, step Step, l *lane, t *taken) error {
	y := t.last()
	s.crew.crash.at(CrashSettling)
	if recovering(t) {
		return s.recover(ctx, step, l, t)
	}
	op, err := s.reopened(step, t, y)
	if err != nil {
		return err
	}
	y.lost, y.lied = s.lossOfTry(l.backend, y), y.outcome != nil && y.outcome.Detail.Contradicted
	y.outcome = nil
	if l.backend.Description.CanReplay(op.Verb) {
		if err := s.crew.admit(s, l); err != nil {
			return err
		}
		return s.deliver(ctx, step, l, t, y, op, nil)
	}
	return s.investigate(ctx, step, l, t, y, op, sdk.Lost(sdk.Errorf(sdk.ConnectionLost, "rekey ended before the answer came")), y.lost)
}

// recovering reports whether a step is in the middle of a recovery.
func recovering(t *taken) bool {
	for _, y := range t.tries {
		if y.intent.Detail.Op != "" || y.intent.Detail.Bridge {
			return true
		}
	}
	return false
}

// reopened makes the operation of a recorded intent anew, with its sealed
// value and as a further attempt.
func (s *Steps) reopened(step Step, t *taken, y *try) (sdk.Operation, error) {
	value, err := s.crew.vault.Unseal(y.intent.User, y.intent.Step, y.intent.Try, roleValue, y.intent.Sealed)
	if err != nil {
		return sdk.Operation{}, s.crew.broken(err)
	}
	what := sending{verb: verbOf(step), value: value, mustChange: step.MustChange}
	if step.Verb == verbChange {
		what.old = step.Old.Secret()
	}
	op := s.operation(step, t, what)
	op.ID = fmt.Sprintf("%s-%d-%d-%d", s.crew.id, s.user.Pos, y.intent.Step, y.intent.Try)
	op.Attempt = 2
	return op, nil
}

// investigate settles an outcome by evidence: one verify, and where that shows
// the target unchanged, the same value once more; else by the plugin's
// recovery; else it stays unknown.
func (s *Steps) investigate(ctx context.Context, step Step, l *lane, t *taken, y *try, op sdk.Operation, r sdk.Receipt, lost loss) error {
	verdict, err := s.evidence(step, l, y, op.Value, r, lost)
	switch {
	case err != nil:
		return err
	case verdict == sdk.Accepted || verdict == sdk.AcceptedMustChange:
		return s.conclude(y, op, sdk.OK(), lost)
	case verdict == sdk.Rejected && remembered(y, r):
		return s.conclude(y, op, overtaken(r), lost)
	case verdict == sdk.Rejected && r.Outcome == sdk.Refused && !lost.here:
		return s.conclude(y, op, r, loss{})
	case verdict == sdk.Rejected && r.Outcome == sdk.Unknown:
		return s.once(step, y, l, op, lost)
	}
	if op.Verb == sdk.Change && !recovering(t) && l.backend.Description.Recover == sdk.SetThenChange {
		if err := s.conclude(y, op, doubtful(r), lost); err != nil {
			return err
		}
		return s.recover(ctx, step, l, t)
	}
	return s.conclude(y, op, doubtful(r), lost)
}

// doubtful turns the refusal of a later attempt into what the whole operation
// is: unknown.
func doubtful(r sdk.Receipt) sdk.Receipt {
	if r.Outcome == sdk.Unknown {
		return r
	}
	return sdk.Lost(sdk.Errorf(sdk.ConnectionLost, "an earlier attempt got no answer, a later one: %s", r.Err.Error()))
}

// once sends the operation again after it was seen not to have taken effect.
func (s *Steps) once(step Step, y *try, l *lane, op sdk.Operation, lost loss) error {
	op.Attempt++
	got := s.exchange(l, op, nil)
	if got.err != nil {
		return s.unsent(y, op, true, got.err)
	}
	r := got.receipt
	switch {
	case remembered(y, r):
		return s.conclude(y, op, overtaken(r), lost)
	case r.Outcome == sdk.Unknown:
		return s.conclude(y, op, r, lost.and(s.crew.lostHere(l.backend)))
	case r.Outcome != sdk.Refused || r.Err.Code.Definite():
		return s.conclude(y, op, r, lost)
	case lost.here:
		return s.conclude(y, op, doubtful(r), lost)
	}
	verdict, err := s.evidence(step, l, y, op.Value, r, lost) // the lost attempt may have arrived meanwhile
	switch {
	case err != nil:
		return err
	case verdict == sdk.Accepted || verdict == sdk.AcceptedMustChange:
		return s.conclude(y, op, sdk.OK(), lost)
	case verdict == sdk.Rejected:
		return s.conclude(y, op, r, loss{})
	}
	return s.conclude(y, op, doubtful(r), lost)
}

// remembered reports whether the target refuses a value because it has it, or
// had it. It cannot know a generated value but from the attempt whose answer
// was lost: that one took effect, so the refusal is none of the operation.
func remembered(y *try, r sdk.Receipt) bool {
	if y.intent.Origin == 0 || r.Outcome != sdk.Refused || r.Err == nil || r.Err.Code != sdk.PolicyViolation {
		return false
	}
	return slices.ContainsFunc(r.Err.Violations, func(v sdk.Violation) bool {
		return v.Rule == sdk.RuleHistory || v.Rule == sdk.RuleSameAsCurrent
	})
}

// overtaken is what an operation came to whose value the target remembers and
// does not accept: it took effect, and what is in force now nobody here knows.
func overtaken(r sdk.Receipt) sdk.Receipt {
	return sdk.Lost(sdk.Errorf(sdk.Conflict, "an earlier attempt took effect, but the target does not accept the value any more: somebody else may have changed it; the refusal was: %s", r.Err.Error()))
}

// evidence asks the target whether it has the value. Before a refusal can be
// the last word, nothing that an earlier process lost may still be on its way.
// Of a run that is cancelled operations may still be under way: what the target
// says then may not be true a moment later, and the user goes back to pending.
func (s *Steps) evidence(step Step, l *lane, y *try, v secret.Value, r sdk.Receipt, lost loss) (sdk.Verdict, error) {
	if !lost.here && absent(r) {
		return sdk.Rejected, nil
	}
	if r.Outcome == sdk.Refused && !lost.here && !remembered(y, r) { // what is remembered has arrived
		if err := s.outwait(l, lost, step.Account); err != nil {
			return sdk.CannotTell, err
		}
	}
	verdict := s.stamped(step, l, y)
	if verdict == sdk.CannotTell {
		verdict = s.verdictOn(step, l, v)
	}
	if s.crew.hard.Err() != nil {
		return sdk.CannotTell, cancelled()
	}
	return verdict, nil
}

// absent reports whether the target says that there is no such account: then
// none has the value.
func absent(r sdk.Receipt) bool {
	return r.Outcome == sdk.Refused && (r.Err.Code == sdk.AccountNotFound || r.Err.Code == sdk.UserNotFound)
}

// verdictOn is one verify, where the backend can.
func (s *Steps) verdictOn(step Step, l *lane, v secret.Value) sdk.Verdict {
	if !l.backend.Can(sdk.CanVerify) || step.HashFormat != "" || s.crew.hard.Err() != nil {
		return sdk.CannotTell
	}
	verdict := sdk.CannotTell
	s.crew.crash.at(CrashEvidenceAsked)
	_ = l.direct(s.crew.hard, func(ctx context.Context) {
		got, err := l.backend.Instance.Verify(ctx, step.Account, step.Kind, v)
		if err == nil {
			verdict = got
		}
	})
	s.crew.crash.at(CrashEvidenceGot)
	return verdict
}

// recover finishes a lost change: by an administrative set of the same new
// value, or where the target refuses that, by a bridge value and a change from
// it to the same new value. It can be begun again at any point: what it sends
// last is always that value.
func (s *Steps) recover(ctx context.Context, step Step, l *lane, t *taken) error {
	s.crew.crash.at(CrashRecovering)
	final, err := s.finalValue(t)
	if err != nil {
		return err
	}
	if last := t.last(); last.open() {
		lost := s.lossOfTry(l.backend, last)
		if err := s.conclude(last, sdk.Operation{}, sdk.Lost(sdk.Errorf(sdk.ConnectionLost, "no answer came")), lost); err != nil {
			return err
		}
	}
	set := sending{verb: sdk.Set, value: final, origin: t.tries[0].intent.Origin, again: true}
	if err := s.send(ctx, step, l, t, set); err != nil || !bridgeable(t.last()) {
		return err
	}
	return s.bridge(ctx, step, l, t, final)
}

// bridgeable reports whether an administrative set was refused in a way that
// leaves the bridge.
func bridgeable(y *try) bool {
	if y.outcome == nil || y.outcome.Outcome != sdk.Refused {
		return false
	}
	return y.outcome.Code == sdk.Unsupported || y.outcome.Code == sdk.AccountStatus
}

// bridge sets a value that is only meant to be changed from, and changes it.
func (s *Steps) bridge(ctx context.Context, step Step, l *lane, t *taken, final secret.Value) error {
	value, err := s.crew.mint(ctx, GenerateStep{Kind: step.Kind, Targets: []string{step.Backend}}, s.names)
	if err != nil {
		return notMinted(err, "bridge value")
	}
	yes := true
	set := sending{verb: sdk.Set, value: value, mustChange: &yes, bridge: true, again: true}
	if err := s.send(ctx, step, l, t, set); err != nil || !t.last().applied() {
		return err
	}
	s.crew.crash.at(CrashBridgeSet)
	change := sending{verb: sdk.Change, value: final, old: value, origin: t.tries[0].intent.Origin, again: true}
	return s.send(ctx, step, l, t, change)
}

// finalValue is the new value that the step began with.
func (s *Steps) finalValue(t *taken) (secret.Value, error) {
	first := t.tries[0].intent
	v, err := s.crew.vault.Unseal(first.User, first.Step, first.Try, roleValue, first.Sealed)
	if err != nil {
		return secret.Value{}, s.crew.broken(err)
	}
	return v, nil
}
