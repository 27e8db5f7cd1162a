package engine

import (
	"context"
	"slices"

	"github.com/rekey-host/rekey/host/journal"
	"github.com/rekey-host/rekey/sdk"
	"github.com/rekey-host/rekey/sdk/secret"
)

// settler sends values of a step, and ends every doubt about them by evidence as
// far as that goes.
type settler struct{ sender }

func newSettler(u *userState, step journal.Step, to *dispatcher, recorded *journal.RecordedStep) settler {
	return settler{sender{lateness{newStepState(u, step, to, recorded)}}}
}

// send is the sender's, with the doubt ended.
func (x settler) send(ctx context.Context, what sending) error {
	return x.follow(ctx)(x.sender.send(what))
}

// deliver is the sender's, with the doubt ended.
func (x settler) deliver(ctx context.Context, d delivery) error {
	return x.follow(ctx)(x.sender.deliver(d))
}

// follow returns what ends the doubt of a delivery.
func (x settler) follow(ctx context.Context) func(*doubt, error) error {
	return func(left *doubt, err error) error {
		if err != nil || left == nil {
			return err
		}
		return x.investigate(ctx, left.delivery, left.receipt)
	}
}

// settle follows an intent that an earlier process, or an earlier round, left
// without an outcome.
func (x settler) settle(ctx context.Context) error {
	x.run.at(CrashSettling)
	if x.recorded.Recovering() {
		return x.recover(ctx)
	}
	d, err := x.reopened(x.recorded.Last())
	if err != nil {
		return err
	}
	if x.dispatcher.backend.Description.CanReplay(d.op.Verb) {
		if err := x.admit(x.dispatcher); err != nil {
			return err
		}
		return x.deliver(ctx, d)
	}
	return x.investigate(ctx, d, sdk.Lost(sdk.Errorf(sdk.ConnectionLost, "rekey ended before the answer came")))
}

// reopened makes the operation of a recorded intent anew, with its sealed
// value and as a further attempt.
func (x settler) reopened(a *journal.Attempt) (delivery, error) {
	value, err := x.unseal(a.Intent, journal.RoleValue, a.Intent.Sealed)
	if err != nil {
		return delivery{}, x.run.broken(err)
	}
	what := sending{verb: verbOf(x.step), value: value, mustChange: x.step.MustChange, again: true}
	if x.step.Verb == journal.Change {
		what.old = x.step.Old.Secret()
	}
	op := x.operation(what)
	op.ID = journal.OperationID(x.run.ID, x.user.Pos, a.Intent.Step, a.Intent.Try)
	return delivery{attempt: a, op: op, lost: x.lossOf(a), contradicted: a.Outcome != nil && a.Outcome.Detail.Contradicted}, nil
}

// investigate settles an outcome by evidence: one verify, and where that shows
// the target unchanged, the same value once more; else by the plugin's
// recovery; else it stays unknown.
func (x settler) investigate(ctx context.Context, d delivery, r sdk.Receipt) error {
	x.fresh[x.recorded.Credential] = true
	verdict, err := x.evidence(d, r)
	switch {
	case err != nil:
		return err
	case accepts(verdict):
		return x.conclude(d, sdk.OK())
	case verdict == sdk.Rejected && remembered(d.attempt, r):
		return x.conclude(d, overtaken(r))
	case verdict == sdk.Rejected && r.Outcome == sdk.Refused && !d.lost.here:
		return x.concludeCertain(d, r)
	case verdict == sdk.Rejected && r.Outcome == sdk.Unknown:
		return x.once(d)
	}
	recovers := d.op.Verb == sdk.Change && !x.recorded.Recovering() && x.dispatcher.backend.Description.Recover == sdk.SetThenChange
	if err := x.conclude(d, doubtful(r)); err != nil || !recovers {
		return err
	}
	return x.recover(ctx)
}

// concludeCertain records a refusal as the last word: no lost request can take
// effect any more.
func (x settler) concludeCertain(d delivery, r sdk.Receipt) error {
	d.lost = loss{}
	return x.conclude(d, r)
}

// once sends the operation again after it was seen not to have taken effect.
func (x settler) once(d delivery) error {
	d.op.Attempt++
	got := x.exchange(x.dispatcher, d.op, nil)
	if got.err != nil {
		d.lost = d.lost.and(x.run.lostHere(x.dispatcher.backend)) // in doubt as before
		return x.unsent(d, got.err)
	}
	r := got.receipt
	switch {
	case remembered(d.attempt, r):
		return x.conclude(d, overtaken(r))
	case r.Outcome == sdk.Unknown:
		d.lost = d.lost.and(x.run.lostHere(x.dispatcher.backend))
		return x.conclude(d, r)
	case r.Outcome != sdk.Refused || r.Err.Code.Definite():
		return x.conclude(d, r)
	case d.lost.here:
		return x.conclude(d, doubtful(r))
	}
	verdict, err := x.evidence(d, r) // the lost attempt may have arrived meanwhile
	switch {
	case err != nil:
		return err
	case accepts(verdict):
		return x.conclude(d, sdk.OK())
	case verdict == sdk.Rejected:
		return x.concludeCertain(d, r)
	}
	return x.conclude(d, doubtful(r))
}

// evidence asks the target whether it has the value. Before a refusal can be
// the last word, nothing that an earlier process lost may still be on its way.
// Operations of a cancelled run may still be under way: the target's answer may not
// be true a moment later, and the user goes back to pending.
func (x settler) evidence(d delivery, r sdk.Receipt) (sdk.Verdict, error) {
	if !d.lost.here && absent(r) {
		return sdk.Rejected, nil
	}
	if r.Outcome == sdk.Refused && !d.lost.here && !remembered(d.attempt, r) { // a remembered value has arrived
		if err := x.outwait(d.lost); err != nil {
			return sdk.CannotTell, err
		}
	}
	verdict := x.stamped(d.attempt)
	if verdict == sdk.CannotTell {
		verdict = x.verdictOn(d.op.Value)
	}
	if x.run.hard.Err() != nil {
		return sdk.CannotTell, cancelled()
	}
	return verdict, nil
}

// stamped settles a lost answer by the account's change stamp, without a logon
// attempt: the old stamp says that nothing took effect; a new one that something did,
// which counts as the attempt only where the backend cannot verify at all: a stamp
// may move with any change of an entry. CannotTell: no two stamps to compare.
func (x settler) stamped(a *journal.Attempt) sdk.Verdict {
	l, was := x.dispatcher, stampBefore(x.history, a)
	if was == "" || !l.backend.Can(sdk.CanFind) || len(l.backend.Description.Kinds) > 1 || x.run.hard.Err() != nil {
		return sdk.CannotTell
	}
	var found sdk.Account
	var failure error
	err := l.direct(x.run.hard, func(ctx context.Context) {
		found, failure = l.backend.Instance.Find(ctx, x.step.Account)
	})
	switch {
	case err != nil || failure != nil || found.Stamp == "":
		return sdk.CannotTell
	case found.Stamp == was:
		return sdk.Rejected
	case l.backend.Can(sdk.CanVerify):
		return sdk.CannotTell // a verify says whose change it was
	default:
		return sdk.Accepted
	}
}

// verdictOn is one verify, where the backend can.
func (x settler) verdictOn(v secret.Value) sdk.Verdict {
	l := x.dispatcher
	if !l.backend.Can(sdk.CanVerify) || x.step.HashFormat != "" || x.run.hard.Err() != nil {
		return sdk.CannotTell
	}
	verdict := sdk.CannotTell
	x.run.at(CrashEvidenceAsked)
	_ = l.direct(x.run.hard, func(ctx context.Context) {
		got, err := l.backend.Instance.Verify(ctx, x.step.Account, x.step.Kind, v)
		if err == nil {
			verdict = got
		}
	})
	x.run.at(CrashEvidenceGot)
	return verdict
}

// recover finishes a lost change: by an administrative set of the same new
// value, or where the target refuses that, by a bridge value and a change from
// it to the same new value. It can be begun again at any point: the last value
// sent is always that one.
func (x settler) recover(ctx context.Context) error {
	x.run.at(CrashRecovering)
	final, err := x.finalValue()
	if err != nil {
		return err
	}
	if last := x.recorded.Last(); last.Outcome == nil {
		lost := delivery{attempt: last, lost: x.lossOf(last)}
		if err := x.conclude(lost, sdk.Lost(sdk.Errorf(sdk.ConnectionLost, "no answer came"))); err != nil {
			return err
		}
	}
	set := sending{verb: sdk.Set, value: final, origin: x.recorded.Attempts[0].Intent.Origin, again: true}
	if err := x.send(ctx, set); err != nil || !bridgeable(x.recorded.Last()) {
		return err
	}
	return x.bridge(ctx, final)
}

// bridge sets a value only meant to be changed from, and changes it.
func (x settler) bridge(ctx context.Context, final secret.Value) error {
	value, err := x.run.mint(ctx, GenerateStep{Kind: x.step.Kind, Targets: []string{x.step.Backend}}, x.names)
	if err != nil {
		return notMinted(err, "bridge value")
	}
	yes := true
	set := sending{verb: sdk.Set, value: value, mustChange: &yes, bridge: true, again: true}
	if err := x.send(ctx, set); err != nil || !x.recorded.Last().Applied() {
		return err
	}
	x.run.at(CrashBridgeSet)
	change := sending{verb: sdk.Change, value: final, old: value, origin: x.recorded.Attempts[0].Intent.Origin, again: true}
	return x.send(ctx, change)
}

// finalValue is the new value that the step began with.
func (x settler) finalValue() (secret.Value, error) {
	first := x.recorded.Attempts[0].Intent
	v, err := x.unseal(first, journal.RoleValue, first.Sealed)
	if err != nil {
		return v, x.run.broken(err)
	}
	return v, nil
}

func accepts(v sdk.Verdict) bool { return v == sdk.Accepted || v == sdk.AcceptedMustChange }

// doubtful turns the refusal of a later attempt into what the whole operation
// is: unknown.
func doubtful(r sdk.Receipt) sdk.Receipt {
	if r.Outcome == sdk.Unknown {
		return r
	}
	return sdk.Lost(sdk.Errorf(sdk.ConnectionLost, "an earlier attempt got no answer, a later one: %s", r.Err.Error()))
}

// remembered reports whether the target refuses a value because it has it, or
// had it. A generated value can be in the target's history only if the attempt
// whose answer was lost took effect, so this refusal does not mean failure.
func remembered(a *journal.Attempt, r sdk.Receipt) bool {
	if a.Intent.Origin == 0 || r.Outcome != sdk.Refused || r.Err == nil || r.Err.Code != sdk.PolicyViolation {
		return false
	}
	return slices.ContainsFunc(r.Err.Violations, func(v sdk.Violation) bool {
		return v.Rule == sdk.RuleHistory || v.Rule == sdk.RuleSameAsCurrent
	})
}

// overtaken is what an operation came to whose value the target remembers and
// does not accept: it took effect, and an unknown value is in force now.
func overtaken(r sdk.Receipt) sdk.Receipt {
	return sdk.Lost(sdk.Errorf(sdk.Conflict, "an earlier attempt took effect, but the target does not accept the value any more: somebody else may have changed it; the refusal was: %s", r.Err.Error()))
}

// absent reports whether the target says that the account does not exist: then
// it cannot have the value.
func absent(r sdk.Receipt) bool {
	return r.Outcome == sdk.Refused && (r.Err.Code == sdk.AccountNotFound || r.Err.Code == sdk.UserNotFound)
}

// bridgeable reports whether an administrative set was refused in a way that
// leaves the bridge.
func bridgeable(a *journal.Attempt) bool {
	return a.Refused() && (a.Outcome.Code == sdk.Unsupported || a.Outcome.Code == sdk.AccountStatus)
}
