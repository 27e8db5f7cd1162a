package engine

import (
	"context"
	"time"

	"github.com/rekey-host/rekey/host/journal"
	"github.com/rekey-host/rekey/sdk"
	"github.com/rekey-host/rekey/sdk/secret"
)

// resetter carries a reset or an unlock out: they carry no value, so there is
// nothing to write ahead but that they begin, and repeating one is safe.
type resetter struct{ sender }

func newResetter(of *userState, step journal.Step, to *dispatcher, recorded *journal.RecordedStep) resetter {
	return resetter{sender{lateness{newStepState(of, step, to, recorded)}}}
}

// ask carries the step out and returns what the script gets.
func (x resetter) ask() (journal.Result, error) {
	if x.recorded.Answer != nil {
		return journal.ResultOf(x.recorded.Answer), nil
	}
	last := x.recorded.Last()
	if last != nil && !redone(last) && x.recorded.State() != journal.AttemptsDoubtful && !x.history.Replay.Outdated(x.recorded) {
		return x.asked(last)
	}
	if refusal, err := x.mayAsk(); err != nil {
		return journal.Result{}, err
	} else if refusal != nil {
		return x.answer(x.step, sdk.Refused, refusal, journal.Detail{}), nil
	}
	attempt := x.begin(sending{verb: verbOf(x.step)})
	rec := *attempt.Intent
	if err := x.run.committer.write(&rec); err != nil {
		return journal.Result{}, x.run.broken(err)
	}
	x.run.at(CrashResetBegun)
	if err := x.askUntil(attempt); err != nil {
		return journal.Result{}, err
	}
	return x.asked(attempt)
}

// mayAsk returns the host's own refusal, or the fault of a user who has to wait.
func (x resetter) mayAsk() (*sdk.Error, error) {
	if x.step.Verb == journal.Reset {
		if refusal, err := (claimer{x.stepState}).own(); refusal != nil || err != nil {
			return refusal, err
		}
	}
	if err := x.admit(x.dispatcher); err != nil {
		return nil, err
	}
	if x.step.Verb == journal.Reset {
		if err := x.nothingComes(secret.Value{}); err != nil {
			return nil, err
		}
	}
	if err := x.run.semaphore.wait(x.run.soft, &x.permit); err != nil {
		return nil, cancelled()
	}
	return nil, nil
}

// askUntil repeats a reset or an unlock until it has an outcome.
func (x resetter) askUntil(attempt *journal.Attempt) error {
	made := delivery{attempt: attempt, op: x.operation(sending{verb: verbOf(x.step), mustChange: x.step.MustChange})}
	for tries := newRetry(x.dispatcher.backend.Attempts); ; {
		receipt, err := x.askOnce(made.op)
		if err != nil {
			return x.unsent(made, err)
		}
		if receipt.Outcome == sdk.Unknown {
			made.lost = made.lost.and(x.run.lostHere(x.dispatcher.backend))
		}
		tries.spend()
		again := receipt.Outcome == sdk.Unknown || receipt.Err != nil && receipt.Err.Code.Transient()
		if !again || tries.spent() {
			return x.concludeReset(made, inDoubt(receipt, made.lost))
		}
		if err := x.run.Clock.Sleep(x.run.hard, tries.wait(retryAfter(receipt))); err != nil {
			return x.unsent(made, errNotSent)
		}
		made.op.Attempt++
	}
}

func retryAfter(receipt sdk.Receipt) time.Duration {
	if receipt.Err == nil {
		return 0
	}
	return receipt.Err.RetryAfter
}

// askOnce makes one attempt. Its error is errNotSent, or errUnderWay where the
// run was cancelled before an answer told what became of it.
func (x resetter) askOnce(op sdk.Operation) (sdk.Receipt, error) {
	x.attempts++
	dispatcher := x.dispatcher
	var receipt sdk.Receipt
	err := dispatcher.direct(x.run.hard, func(ctx context.Context) { receipt = dispatcher.backend.Instance.Ask(ctx, op) })
	if err != nil {
		return receipt, errNotSent
	}
	x.run.at(CrashResetAnswered)
	if x.run.hard.Err() != nil && receipt.Outcome == sdk.Unknown {
		return receipt, errUnderWay
	}
	receipt = normalized(receipt)
	dispatcher.observe(receipt)
	return receipt, nil
}

// inDoubt is what a reset came to of which an attempt was lost: that one may
// still arrive and pick another value than the known one, or than the one
// that a refusal left.
func inDoubt(receipt sdk.Receipt, lost loss) sdk.Receipt {
	switch {
	case !lost.happened() || receipt.Outcome == sdk.Unknown:
		return receipt
	case receipt.Outcome == sdk.Refused:
		return doubtful(receipt)
	case receipt.Value.Present():
		in := sdk.Lost(sdk.Errorf(sdk.ConnectionLost, "an earlier attempt got no answer and may still replace the value"))
		in.Value, in.Ref, in.Stamp = receipt.Value, receipt.Ref, receipt.Stamp
		return in
	}
	return receipt
}

// concludeReset records the outcome; a value that the backend returned has no
// other copy, so it is durable before anything goes on.
func (x resetter) concludeReset(delivery delivery, receipt sdk.Receipt) error {
	if !receipt.Value.Present() {
		return x.conclude(delivery, receipt)
	}
	record := *delivery.attempt.Intent
	record.Kind, record.Outcome = journal.Outcome, receipt.Outcome
	record.Sealed = x.run.Vault.Seal(record.User, record.Step, record.Try, journal.RoleValue, receipt.Value)
	record.Detail = journal.Detail{Attempt: delivery.op.Attempt, Ref: receipt.Ref, Stamp: receipt.Stamp}
	record.Blame(receipt.Err)
	x.noteLoss(delivery.attempt, &record, delivery.lost)
	return x.recordNow(&record)
}

// asked is the result of a reset or an unlock with an outcome.
func (x resetter) asked(attempt *journal.Attempt) (journal.Result, error) {
	result := journal.ResultOf(attempt.Outcome)
	if attempt.Outcome.Sealed == nil {
		return result, nil
	}
	value, err := x.unseal(attempt.Outcome, journal.RoleValue, attempt.Outcome.Sealed)
	if err != nil {
		return journal.Result{}, x.run.broken(err)
	}
	result.Value = journal.Given(value)
	return result, nil
}
