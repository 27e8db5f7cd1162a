package engine

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/rekey-host/rekey/host/journal"
	"github.com/rekey-host/rekey/sdk"
	"github.com/rekey-host/rekey/sdk/secret"
)

// read is a verify or a find: recorded once, the same at every replay.
func (s *Steps) read(ctx context.Context, step journal.Step, l *dispatcher, recorded *journal.RecordedStep) (journal.Result, error) {
	if recorded.Answer != nil && !s.outdated(recorded) {
		return journal.ResultOf(recorded.Answer), nil
	}
	ask := s.verify
	if step.Verb == journal.Find {
		ask = s.find
	}
	lost := false // an answer was: a verify counts as a logon, so it is asked once more only
	for spent, backoff := 0, time.Second; ; backoff = min(2*backoff, time.Minute) {
		outcome, detail, err := ask(ctx, step, l)
		s.run.at(CrashReadAnswered)
		if isCancelled(err) || s.run.hard.Err() != nil { // whatever it says was said to a call that was given up
			return journal.Result{}, cancelled()
		}
		e := uncancelled(sdk.AsError(err, sdk.TargetError))
		if e != nil && pending(e.Code) { // it would say so to every user
			s.run.stop(fmt.Sprintf("backend %s: %s", step.Backend, e.Error()))
			return journal.Result{}, cancelled()
		}
		passes := e != nil && (e.Code.Transient() || e.Code == sdk.ConnectionLost && (step.Verb == journal.Find || !lost))
		lost = lost || e != nil && e.Code == sdk.ConnectionLost
		if step.Verb != journal.Verify || !l.backend.StreamsVerify { // of the stream the dispatcher has seen it
			l.observe(sdk.Receipt{Outcome: outcome, Err: e})
		}
		if !l.free(e) {
			spent++
		}
		if !passes || spent >= l.backend.Attempts {
			return s.answer(step, outcome, e, detail), nil
		}
		wait := max(e.RetryAfter, s.run.jitter(backoff))
		s.run.tellWait(l, e, wait)
		if s.pause(l, wait, s.changed()) != nil {
			return journal.Result{}, cancelled()
		}
	}
}

// outdated reports whether a recorded verify is about a value that has been
// replaced since.
func (s *Steps) outdated(recorded *journal.RecordedStep) bool {
	return recorded.Verb == journal.Verify && s.fresh[recorded.Credential]
}

// query makes a call that changes nothing. It waits for the dispatcher's circuit, also
// where that opened while others were before it.
func (s *Steps) query(l *dispatcher, call func(context.Context)) error {
	for made := false; !made; {
		if err := s.run.admit(s, l); err != nil {
			return err
		}
		through := s.through
		s.through = false
		err := l.direct(s.run.hard, func(ctx context.Context) {
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

func (s *Steps) verify(ctx context.Context, step journal.Step, l *dispatcher) (sdk.Outcome, journal.Detail, error) {
	ask := s.verifyByCall
	if l.backend.StreamsVerify {
		ask = s.verifyInStream
	}
	verdict, failure, err := ask(step, l)
	if err != nil {
		return sdk.Refused, journal.Detail{}, cancelled()
	}
	d := journal.Detail{Verdict: verdict.String()}
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
		return sdk.Applied, d, sdk.Errorf(sdk.Unsupported, journal.NotProven)
	}
}

func (s *Steps) verifyByCall(step journal.Step, l *dispatcher) (verdict sdk.Verdict, failure, err error) {
	err = s.query(l, func(ctx context.Context) {
		verdict, failure = l.backend.Instance.Verify(ctx, step.Account, step.Kind, step.Value.Secret())
	})
	return verdict, failure, err
}

// verifyInStream asks among the operations of others: a frame carries many.
func (s *Steps) verifyInStream(step journal.Step, l *dispatcher) (sdk.Verdict, error, error) {
	if err := s.run.admit(s, l); err != nil {
		return sdk.CannotTell, nil, err
	}
	got := s.askInStream(l, s.run.question(step, place{s.user.Pos, s.n, 0}))
	switch r := got.receipt; {
	case got.err != nil:
		return sdk.CannotTell, nil, got.err
	case r.Err != nil:
		return r.Verdict, r.Err, nil
	default:
		return r.Verdict, nil, nil
	}
}

func (s *Steps) askInStream(l *dispatcher, op sdk.Operation) reply {
	if got, ok := s.batchReply.take(op.ID); ok {
		return s.weighed(got)
	}
	p := &request{op: op, user: &s.permit, dispatcher: l, answer: make(chan reply, 1), durable: true, looks: true, through: s.through}
	s.through = false
	l.push(p)
	return s.await(l, p)
}

// question is the operation of a verify.
func (r *run) question(step journal.Step, at place) sdk.Operation {
	return sdk.Operation{Verb: sdk.Verify, Account: step.Account, Kind: step.Kind, Value: step.Value.Secret(), Attempt: 1,
		ID: journal.OperationID(r.ID, at.user, at.step, at.try), Requestor: r.Requestor, SourceSystem: r.SourceSystem}
}

func (s *Steps) find(ctx context.Context, step journal.Step, l *dispatcher) (sdk.Outcome, journal.Detail, error) {
	var found sdk.Account
	var failure error
	err := s.query(l, func(ctx context.Context) {
		found, failure = l.backend.Instance.Find(ctx, step.Account)
	})
	if err != nil {
		return sdk.Refused, journal.Detail{}, cancelled()
	}
	if failure != nil {
		return sdk.Refused, journal.Detail{}, failure
	}
	return sdk.Applied, journal.Detail{Account: &found, Stamp: found.Stamp}, nil
}

// ask is a reset or an unlock: they carry no value, so there is nothing to
// write ahead but that they begin, and repeating one is safe.
func (x *executor) ask() (journal.Result, error) {
	if x.recorded.Answer != nil {
		return journal.ResultOf(x.recorded.Answer), nil
	}
	last := x.recorded.Last()
	if last != nil && !redone(last) && x.recorded.Standing() != journal.StandsDoubtful {
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
func (x *executor) mayAsk() (*sdk.Error, error) {
	if x.step.Verb == journal.Reset {
		if refusal, err := x.own(); refusal != nil || err != nil {
			return refusal, err
		}
	}
	if err := x.run.admit(x.Steps, x.dispatcher); err != nil {
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
func (x *executor) askUntil(a *journal.Attempt) error {
	x.fresh[x.recorded.Credential] = true
	d := delivery{attempt: a, op: x.operation(sending{verb: verbOf(x.step), mustChange: x.step.MustChange})}
	for backoff := time.Second; ; backoff = min(2*backoff, time.Minute) {
		r, err := x.askOnce(x.dispatcher, d.op)
		if err != nil {
			return x.unsent(d, err)
		}
		if r.Outcome == sdk.Unknown {
			d.lost = d.lost.and(x.run.lostHere(x.dispatcher.backend))
		}
		again := r.Outcome == sdk.Unknown || r.Err != nil && r.Err.Code.Transient()
		if !again || d.op.Attempt >= x.dispatcher.backend.Attempts {
			return x.concludeReset(d, inDoubt(r, d.lost))
		}
		if err := x.run.Clock.Sleep(x.run.hard, max(x.run.jitter(backoff), retryAfter(r))); err != nil {
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
func (s *Steps) askOnce(l *dispatcher, op sdk.Operation) (sdk.Receipt, error) {
	s.attempts++
	call := l.backend.Instance.Reset
	if op.Verb == sdk.Unlock {
		call = l.backend.Instance.Unlock
	}
	var r sdk.Receipt
	err := l.direct(s.run.hard, func(ctx context.Context) { r = call(ctx, op) })
	if err != nil {
		return r, errNotSent
	}
	s.run.at(CrashResetAnswered)
	if s.run.hard.Err() != nil && r.Outcome == sdk.Unknown {
		return r, errUnderWay
	}
	r = normalized(r)
	l.observe(r)
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
func (x *executor) concludeReset(d delivery, r sdk.Receipt) error {
	if !r.Value.Present() {
		return x.conclude(d, r)
	}
	o := *d.attempt.Intent
	o.Kind, o.Outcome = journal.Outcome, r.Outcome
	o.Sealed = x.run.Vault.Seal(o.User, o.Step, o.Try, journal.RoleValue, r.Value)
	o.Detail = journal.Detail{Attempt: d.op.Attempt, Ref: r.Ref, Stamp: r.Stamp}
	o.Blame(r.Err)
	x.mayCome(d.attempt, &o, d.lost)
	return x.recordNow(&o)
}

// asked is the result of a reset or an unlock that has an outcome.
func (x *executor) asked(a *journal.Attempt) (journal.Result, error) {
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

// errStopped is the cause of a context that ends because the run stops.
var errStopped = errors.New("the run stops")
