package engine

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/rekey-host/rekey/host/ledger"
	"github.com/rekey-host/rekey/sdk"
	"github.com/rekey-host/rekey/sdk/secret"
)

// read is a verify or a find: recorded once, the same at every replay.
func (s *Steps) read(ctx context.Context, step Step, l *lane, t *taken) (Result, error) {
	if t != nil && t.answer != nil && !s.outdated(t) {
		return resultOf(*t.answer), nil
	}
	ask := s.verify
	if step.Verb == verbFind {
		ask = s.find
	}
	for spent, backoff := 0, time.Second; ; backoff = min(2*backoff, time.Minute) {
		outcome, detail, err := ask(ctx, step, l)
		s.crew.crash.at(CrashReadAnswered)
		if isCancelled(err) || s.crew.hard.Err() != nil { // whatever it says was said to a call that was given up
			return Result{}, cancelled()
		}
		e := uncancelled(sdk.AsError(err, sdk.TargetError))
		if e != nil && pending(e.Code) { // it would say so to every user
			s.crew.stop(fmt.Sprintf("backend %s: %s", step.Backend, e.Error()))
			return Result{}, cancelled()
		}
		passes := e != nil && (e.Code.Transient() || step.Verb == verbFind && e.Code == sdk.ConnectionLost) // a verify counts as a logon
		l.saw(sdk.Receipt{Outcome: outcome, Err: e})
		if !l.free(e) {
			spent++
		}
		if !passes || spent >= l.backend.Attempts {
			return s.answer(step, outcome, e, detail), nil
		}
		wait := max(e.RetryAfter, s.crew.jitter(backoff))
		s.crew.tellWait(l, e, wait)
		if s.pause(l, wait, s.changed()) != nil {
			return Result{}, cancelled()
		}
	}
}

// outdated reports whether a recorded verify is about a value that has been
// replaced since.
func (s *Steps) outdated(t *taken) bool {
	return t.sig.verb == verbVerify && s.fresh[t.sig.credential()]
}

// query makes a call that changes nothing. It waits for the lane's circuit, also
// where that opened while others were before it.
func (s *Steps) query(l *lane, call func(context.Context)) error {
	for made := false; !made; {
		if err := s.crew.admit(s, l); err != nil {
			return err
		}
		through := s.through
		s.through = false
		err := l.direct(s.crew.hard, func(ctx context.Context) {
			if made = through || !l.circuit.holds() || l.soft.Err() != nil; made {
				call(ctx)
			}
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// notProven is the note on a value whose target answers a verify without a
// verdict. That is no refusal: the set was applied, and honesty about what
// cannot be proven fails nobody.
const notProven = "not proven: the target does not tell whether it accepts the value"

func (s *Steps) verify(ctx context.Context, step Step, l *lane) (sdk.Outcome, ledger.Detail, error) {
	var verdict sdk.Verdict
	var failure error
	err := s.query(l, func(ctx context.Context) {
		verdict, failure = l.backend.Instance.Verify(ctx, step.Account, step.Kind, step.Value.Secret())
	})
	if err != nil {
		return sdk.Refused, ledger.Detail{}, cancelled()
	}
	d := ledger.Detail{Verdict: verdict.String()}
	if verdict == sdk.CannotTell && errors.Is(failure, &sdk.Error{Code: sdk.Unsupported}) {
		failure = nil // it says why
	}
	if failure != nil {
		return sdk.Refused, d, failure
	}
	switch verdict {
	case sdk.Accepted, sdk.AcceptedMustChange:
		return sdk.Applied, d, nil
	case sdk.Rejected:
		return sdk.Refused, d, sdk.Errorf(sdk.NotAccepted, "the target does not accept the value")
	case sdk.Blocked:
		return sdk.Refused, d, sdk.Errorf(sdk.AccountStatus, "the account is locked or disabled: the value cannot be tried")
	default:
		return sdk.Applied, d, sdk.Errorf(sdk.Unsupported, notProven)
	}
}

func (s *Steps) find(ctx context.Context, step Step, l *lane) (sdk.Outcome, ledger.Detail, error) {
	var found sdk.Account
	var failure error
	err := s.query(l, func(ctx context.Context) {
		found, failure = l.backend.Instance.Find(ctx, step.Account)
	})
	if err != nil {
		return sdk.Refused, ledger.Detail{}, cancelled()
	}
	if failure != nil {
		return sdk.Refused, ledger.Detail{}, failure
	}
	return sdk.Applied, ledger.Detail{Account: &found, Stamp: found.Stamp}, nil
}

// ask is a reset or an unlock: they carry no value, so there is nothing to
// write ahead but that they begin, and repeating one is safe.
func (s *Steps) ask(ctx context.Context, step Step, l *lane, t *taken) (Result, error) {
	if t == nil {
		t = &taken{ordinal: s.n, sig: signature{step.Verb, step.Backend, step.Account, step.Kind}}
	}
	if t.answer != nil {
		return resultOf(*t.answer), nil
	}
	last := t.last()
	if last != nil && !redone(last) && t.standing() != standingUnknown {
		return s.asked(last)
	}
	if step.Verb == verbReset {
		refusal, err := s.own(step, l, t)
		if err != nil {
			return Result{}, err
		}
		if refusal != nil {
			return s.answer(step, sdk.Refused, refusal, ledger.Detail{}), nil
		}
	}
	if err := s.crew.admit(s, l); err != nil {
		return Result{}, err
	}
	if step.Verb == verbReset {
		if err := s.nothingComes(l, t.sig.credential(), secret.Value{}, step.Account); err != nil {
			return Result{}, err
		}
	}
	if err := s.crew.gate.wait(s.crew.soft, &s.ticket); err != nil {
		return Result{}, cancelled()
	}
	y := s.intent(step, t, sending{verb: sdk.Verb(step.Verb)})
	rec := y.intent
	if err := s.crew.writer.write(&rec); err != nil {
		return Result{}, s.crew.broken(err)
	}
	s.crew.crash.at(CrashResetBegun)
	if err := s.askUntil(step, l, t, y); err != nil {
		return Result{}, err
	}
	return s.asked(y)
}

// askUntil repeats a reset or an unlock until it has an outcome.
func (s *Steps) askUntil(step Step, l *lane, t *taken, y *try) error {
	op := s.operation(step, t, sending{verb: sdk.Verb(step.Verb), mustChange: step.MustChange})
	var lost loss
	for backoff := time.Second; ; backoff = min(2*backoff, time.Minute) {
		r, err := s.askOnce(l, op)
		if err != nil {
			return s.unsent(y, op, lost.happened(), err)
		}
		if r.Outcome == sdk.Unknown {
			lost = lost.and(s.crew.lostHere(l.backend))
		}
		again := r.Outcome == sdk.Unknown || r.Err != nil && r.Err.Code.Transient()
		if !again || op.Attempt >= l.backend.Attempts {
			return s.concludeReset(y, op, inDoubt(r, lost), lost)
		}
		if err := s.crew.clock.Sleep(s.crew.hard, max(s.crew.jitter(backoff), retryAfter(r))); err != nil {
			return s.unsent(y, op, lost.happened(), errNotSent)
		}
		op.Attempt++
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
func (s *Steps) askOnce(l *lane, op sdk.Operation) (sdk.Receipt, error) {
	s.attempts++
	call := l.backend.Instance.Reset
	if op.Verb == sdk.Unlock {
		call = l.backend.Instance.Unlock
	}
	var r sdk.Receipt
	err := l.direct(s.crew.hard, func(ctx context.Context) { r = call(ctx, op) })
	if err != nil {
		return r, errNotSent
	}
	s.crew.crash.at(CrashResetAnswered)
	if s.crew.hard.Err() != nil && r.Outcome == sdk.Unknown {
		return r, errUnderWay
	}
	r = heard(r)
	l.saw(r)
	return r, nil
}

// inDoubt is what a reset came to of which an attempt was lost: that one may
// still arrive and pick another value than the one that is known, or than the
// one that a refusal left.
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
func (s *Steps) concludeReset(y *try, op sdk.Operation, r sdk.Receipt, lost loss) error {
	if !r.Value.Present() {
		return s.conclude(y, op, r, lost)
	}
	o := y.intent
	o.Kind, o.Outcome = ledger.Outcome, r.Outcome
	o.Sealed = s.crew.vault.Seal(o.User, o.Step, o.Try, roleValue, r.Value)
	o.Detail = ledger.Detail{Attempt: op.Attempt, Ref: r.Ref, Stamp: r.Stamp}
	fill(&o, &o.Detail, r.Err)
	s.mayCome(&o, lost)
	y.outcome = &o
	return s.recordNow(o)
}

// asked is the result of a reset or an unlock that has an outcome.
func (s *Steps) asked(y *try) (Result, error) {
	r := resultOf(*y.outcome)
	if y.outcome.Sealed == nil {
		return r, nil
	}
	v, err := s.crew.vault.Unseal(y.outcome.User, y.outcome.Step, y.outcome.Try, roleValue, y.outcome.Sealed)
	if err != nil {
		return Result{}, s.crew.broken(err)
	}
	r.Value = Given(v)
	return r, nil
}

// errStopped is the cause of a context that ends because the run stops.
var errStopped = errors.New("the run stops")
