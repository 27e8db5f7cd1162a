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

func newResetter(u *userState, step journal.Step, to *dispatcher, recorded *journal.RecordedStep) resetter {
	return resetter{sender{lateness{newStepState(u, step, to, recorded)}}}
}

// ask carries the step out and returns what the script gets.
func (x resetter) ask() (journal.Result, error) {
	if x.recorded.Answer != nil {
		return journal.ResultOf(x.recorded.Answer), nil
	}
	last := x.recorded.Last()
	if last != nil && !redone(last) && x.recorded.State() != journal.AttemptsDoubtful {
		return x.asked(last)
	}
	if refusal, err := x.mayAsk(); err != nil {
		return journal.Result{}, err
	} else if refusal != nil {
		return x.answer(x.step, sdk.Refused, refusal, journal.Detail{}), nil
	}
	a := x.begin(sending{verb: verbOf(x.step)})
	rec := *a.Intent
	if err := x.run.committer.write(&rec); err != nil {
		return journal.Result{}, x.run.broken(err)
	}
	x.run.at(CrashResetBegun)
	if err := x.askUntil(a); err != nil {
		return journal.Result{}, err
	}
	return x.asked(a)
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
func (x resetter) askUntil(a *journal.Attempt) error {
	x.fresh[x.recorded.Credential] = true
	d := delivery{attempt: a, op: x.operation(sending{verb: verbOf(x.step), mustChange: x.step.MustChange})}
	for tries := newRetry(x.dispatcher.backend.Attempts); ; {
		r, err := x.askOnce(d.op)
		if err != nil {
			return x.unsent(d, err)
		}
		if r.Outcome == sdk.Unknown {
			d.lost = d.lost.and(x.run.lostHere(x.dispatcher.backend))
		}
		tries.spend()
		again := r.Outcome == sdk.Unknown || r.Err != nil && r.Err.Code.Transient()
		if !again || tries.spent() {
			return x.concludeReset(d, inDoubt(r, d.lost))
		}
		if err := x.run.Clock.Sleep(x.run.hard, tries.wait(retryAfter(r))); err != nil {
			return x.unsent(d, errNotSent)
		}
		d.op.Attempt++
	}
}

func retryAfter(r sdk.Receipt) time.Duration {
	if r.Err == nil {
		return 0
	}
	return r.Err.RetryAfter
}

// askOnce makes one attempt. Its error is errNotSent, or errUnderWay where the
// run was cancelled before an answer told what became of it.
func (x resetter) askOnce(op sdk.Operation) (sdk.Receipt, error) {
	x.attempts++
	l := x.dispatcher
	var r sdk.Receipt
	err := l.direct(x.run.hard, func(ctx context.Context) { r = l.backend.Instance.Ask(ctx, op) })
	if err != nil {
		return r, errNotSent
	}
	x.run.at(CrashResetAnswered)
	if x.run.hard.Err() != nil && r.Outcome == sdk.Unknown {
		return r, errUnderWay
	}
	r = normalized(r)
	l.observe(r)
	return r, nil
}

// inDoubt is what a reset came to of which an attempt was lost: that one may
// still arrive and pick another value than the known one, or than the one
// that a refusal left.
func inDoubt(r sdk.Receipt, lost loss) sdk.Receipt {
	switch {
	case !lost.happened() || r.Outcome == sdk.Unknown:
		return r
	case r.Outcome == sdk.Refused && !r.Err.Code.Definite():
		return doubtful(r)
	case r.Value.Present():
		in := sdk.Lost(sdk.Errorf(sdk.ConnectionLost, "an earlier attempt got no answer and may still replace the value"))
		in.Value, in.Ref, in.Stamp = r.Value, r.Ref, r.Stamp
		return in
	}
	return r
}

// concludeReset records the outcome; a value that the backend returned has no
// other copy, so it is durable before anything goes on.
func (x resetter) concludeReset(d delivery, r sdk.Receipt) error {
	if !r.Value.Present() {
		return x.conclude(d, r)
	}
	o := *d.attempt.Intent
	o.Kind, o.Outcome = journal.Outcome, r.Outcome
	o.Sealed = x.run.Vault.Seal(o.User, o.Step, o.Try, journal.RoleValue, r.Value)
	o.Detail = journal.Detail{Attempt: d.op.Attempt, Ref: r.Ref, Stamp: r.Stamp}
	o.Blame(r.Err)
	x.noteLoss(d.attempt, &o, d.lost)
	return x.recordNow(&o)
}

// asked is the result of a reset or an unlock with an outcome.
func (x resetter) asked(a *journal.Attempt) (journal.Result, error) {
	r := journal.ResultOf(a.Outcome)
	if a.Outcome.Sealed == nil {
		return r, nil
	}
	v, err := x.unseal(a.Outcome, journal.RoleValue, a.Outcome.Sealed)
	if err != nil {
		return journal.Result{}, x.run.broken(err)
	}
	r.Value = journal.Given(v)
	return r, nil
}
