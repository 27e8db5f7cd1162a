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

func newSettler(of *userState, step journal.Step, to *dispatcher, recorded *journal.RecordedStep) settler {
	return settler{sender{lateness{newStepState(of, step, to, recorded)}}}
}

// send is the sender's, with the doubt ended.
func (x settler) send(ctx context.Context, what sending) error {
	return x.follow(ctx)(x.sender.send(what))
}

// deliver is the sender's, with the doubt ended.
func (x settler) deliver(ctx context.Context, delivery delivery) error {
	return x.follow(ctx)(x.sender.deliver(delivery))
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
	delivery, err := x.reopened(x.recorded.Last())
	if err != nil {
		return err
	}
	if x.dispatcher.backend.Description.CanReplay(delivery.op.Verb) {
		if err := x.admit(x.dispatcher); err != nil {
			return err
		}
		return x.deliver(ctx, delivery)
	}
	return x.investigate(ctx, delivery, sdk.Lost(sdk.Errorf(sdk.ConnectionLost, "rekey ended before the answer came")))
}

// reopened makes the operation of a recorded intent anew, with its sealed
// value and as a further attempt.
func (x settler) reopened(attempt *journal.Attempt) (delivery, error) {
	value, err := x.unseal(attempt.Intent, journal.RoleValue, attempt.Intent.Sealed)
	if err != nil {
		return delivery{}, x.run.broken(err)
	}
	what := sending{verb: verbOf(x.step), value: value, mustChange: x.step.MustChange, again: true}
	if x.step.Verb == journal.Change {
		what.old = x.step.Old.Secret()
	}
	op := x.operation(what)
	op.ID = journal.OperationID(x.run.ID, x.user.Pos, attempt.Intent.Step, attempt.Intent.Try)
	return delivery{attempt: attempt, op: op, lost: x.lossOf(attempt), contradicted: attempt.Outcome != nil && attempt.Outcome.Detail.Contradicted}, nil
}

// investigate settles an outcome by evidence: one verify, and where that shows
// the target unchanged, the same value once more; else by the plugin's
// recovery; else it stays unknown.
func (x settler) investigate(ctx context.Context, delivery delivery, receipt sdk.Receipt) error {
	verdict, err := x.evidence(delivery, receipt)
	switch {
	case err != nil:
		return err
	case accepts(verdict):
		return x.conclude(delivery, provenBy(delivery, verdict, receipt))
	case verdict == sdk.Rejected && remembered(delivery.attempt, receipt):
		return x.conclude(delivery, overtaken(receipt))
	case verdict == sdk.Rejected && receipt.Outcome == sdk.Refused && !delivery.lost.here:
		return x.concludeCertain(delivery, receipt)
	case verdict == sdk.Rejected && receipt.Outcome == sdk.Unknown:
		return x.once(delivery)
	}
	recovers := delivery.op.Verb == sdk.Change && !x.recorded.Recovering() && x.dispatcher.backend.Description.Recover == sdk.SetThenChange
	if err := x.conclude(delivery, doubtful(receipt)); err != nil || !recovers {
		return err
	}
	return x.recover(ctx)
}

// concludeCertain records a refusal as the last word: no lost request can take
// effect any more.
func (x settler) concludeCertain(delivery delivery, receipt sdk.Receipt) error {
	delivery.lost = loss{}
	return x.conclude(delivery, receipt)
}

// once sends the operation again after it was seen not to have taken effect.
func (x settler) once(delivery delivery) error {
	delivery.op.Attempt++
	got := x.exchange(x.dispatcher, delivery.op, nil)
	if got.err != nil {
		delivery.lost = delivery.lost.and(x.run.lostHere(x.dispatcher.backend)) // in doubt as before
		return x.unsent(delivery, got.err)
	}
	receipt := got.receipt
	switch {
	case remembered(delivery.attempt, receipt):
		return x.conclude(delivery, overtaken(receipt))
	case receipt.Outcome == sdk.Unknown:
		delivery.lost = delivery.lost.and(x.run.lostHere(x.dispatcher.backend))
		return x.conclude(delivery, receipt)
	case receipt.Outcome != sdk.Refused:
		return x.conclude(delivery, receipt)
	case delivery.lost.here:
		return x.conclude(delivery, doubtful(receipt))
	}
	verdict, err := x.evidence(delivery, receipt) // the lost attempt may have arrived meanwhile
	switch {
	case err != nil:
		return err
	case accepts(verdict):
		return x.conclude(delivery, provenBy(delivery, verdict, receipt))
	case verdict == sdk.Rejected:
		return x.concludeCertain(delivery, receipt)
	}
	return x.conclude(delivery, doubtful(receipt))
}

// evidence asks the target whether it has the value. Before a refusal can be
// the last word, nothing that an earlier process lost may still be on its way.
// Operations of a cancelled run may still be under way: the target's answer may not
// be true a moment later, and the user goes back to pending.
func (x settler) evidence(delivery delivery, receipt sdk.Receipt) (sdk.Verdict, error) {
	if !delivery.lost.here && absent(receipt) {
		return sdk.Rejected, nil
	}
	if receipt.Outcome == sdk.Refused && !delivery.lost.here && !remembered(delivery.attempt, receipt) { // a remembered value has arrived
		if err := x.outwait(delivery.lost); err != nil {
			return sdk.CannotTell, err
		}
	}
	verdict := x.stamped(delivery.attempt)
	if verdict == sdk.CannotTell {
		verdict = x.verdictOn(delivery.op.Value)
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
func (x settler) stamped(attempt *journal.Attempt) sdk.Verdict {
	dispatcher, was := x.dispatcher, stampBefore(x.history, attempt)
	if was == "" || !dispatcher.backend.Can(sdk.CanFind) || len(dispatcher.backend.Description.Kinds) > 1 || x.run.hard.Err() != nil {
		return sdk.CannotTell
	}
	var found sdk.Account
	var failure error
	err := dispatcher.direct(x.run.hard, func(ctx context.Context) {
		found, failure = dispatcher.backend.Instance.Find(ctx, x.step.Account)
	})
	switch {
	case err != nil || failure != nil || found.Stamp == "":
		return sdk.CannotTell
	case found.Stamp == was:
		return sdk.Rejected
	case dispatcher.backend.Can(sdk.CanVerify):
		return sdk.CannotTell // a verify says whose change it was
	default:
		return sdk.Accepted
	}
}

// verdictOn is one verify, where the backend can.
func (x settler) verdictOn(value secret.Value) sdk.Verdict {
	dispatcher := x.dispatcher
	if !dispatcher.backend.Can(sdk.CanVerify) || x.step.HashFormat != "" || x.run.hard.Err() != nil {
		return sdk.CannotTell
	}
	verdict := sdk.CannotTell
	x.run.at(CrashEvidenceAsked)
	_ = dispatcher.direct(x.run.hard, func(ctx context.Context) {
		got, err := dispatcher.backend.Instance.Verify(ctx, x.step.Account, x.step.Kind, value)
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
	value, err := x.unseal(first, journal.RoleValue, first.Sealed)
	if err != nil {
		return value, x.run.broken(err)
	}
	return value, nil
}

func accepts(verdict sdk.Verdict) bool {
	return verdict == sdk.Accepted || verdict == sdk.AcceptedMustChange
}

// provenBy is what a verify that accepts the value makes of a lost answer. It
// proves the value; that the owner has to change it at the next logon it proves
// only by saying so.
func provenBy(of delivery, verdict sdk.Verdict, receipt sdk.Receipt) sdk.Receipt {
	marked := of.op.MustChange != nil && *of.op.MustChange && !of.attempt.Intent.Detail.Bridge
	if !marked || verdict == sdk.AcceptedMustChange {
		return sdk.OK()
	}
	lost := doubtful(receipt)
	return sdk.Lost(sdk.Errorf(lost.Err.Code, "the account takes the value, and whether its owner has to change it is not known: %s", lost.Err.Message))
}

// doubtful turns the refusal of a later attempt into what the whole operation
// is: unknown.
func doubtful(receipt sdk.Receipt) sdk.Receipt {
	if receipt.Outcome == sdk.Unknown {
		return receipt
	}
	return sdk.Lost(sdk.Errorf(sdk.ConnectionLost, "an earlier attempt got no answer, a later one: %s", receipt.Err.Error()))
}

// remembered reports whether the target refuses a value because it has it, or
// had it. A generated value can be in the target's history only if the attempt
// whose answer was lost took effect, so this refusal does not mean failure.
func remembered(attempt *journal.Attempt, receipt sdk.Receipt) bool {
	if attempt.Intent.Origin == 0 || receipt.Outcome != sdk.Refused || receipt.Err == nil || receipt.Err.Code != sdk.PolicyViolation {
		return false
	}
	return slices.ContainsFunc(receipt.Err.Violations, func(violation sdk.Violation) bool {
		return violation.Rule == sdk.RuleHistory || violation.Rule == sdk.RuleSameAsCurrent
	})
}

// overtaken is what an operation came to whose value the target remembers and
// does not accept: it took effect, and an unknown value is in force now.
func overtaken(receipt sdk.Receipt) sdk.Receipt {
	return sdk.Lost(sdk.Errorf(sdk.Conflict, "an earlier attempt took effect, but the target does not accept the value any more: it may have been changed by other means since; the refusal was: %s", receipt.Err.Error()))
}

// absent reports whether the target says that the account does not exist: then
// it cannot have the value.
func absent(receipt sdk.Receipt) bool {
	return receipt.Outcome == sdk.Refused && (receipt.Err.Code == sdk.AccountNotFound || receipt.Err.Code == sdk.UserNotFound)
}

// bridgeable reports whether an administrative set was refused in a way that
// leaves the bridge.
func bridgeable(attempt *journal.Attempt) bool {
	return attempt.Refused() && (attempt.Outcome.Code == sdk.Unsupported || attempt.Outcome.Code == sdk.AccountStatus)
}
