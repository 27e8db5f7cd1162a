package engine

import (
	"context"
	"errors"
	"fmt"

	"github.com/rekey-host/rekey/host/journal"
	"github.com/rekey-host/rekey/sdk"
)

// reader carries a verify or a find out.
type reader struct{ *stepState }

func newReader(u *userState, step journal.Step, to *dispatcher, recorded *journal.RecordedStep) reader {
	return reader{newStepState(u, step, to, recorded)}
}

// read is a verify or a find: recorded once, the same at every replay.
func (x reader) read() (journal.Result, error) {
	step, l, recorded := x.step, x.dispatcher, x.recorded
	if recorded.Answer != nil && !x.outdated() {
		return journal.ResultOf(recorded.Answer), nil
	}
	ask := x.verify
	if step.Verb == journal.Find {
		ask = x.find
	}
	lost := false // an answer was: a verify counts as a logon, so it is asked once more only
	for tries := newRetry(l.backend.Attempts); ; {
		outcome, detail, err := ask()
		x.run.at(CrashReadAnswered)
		if isCancelled(err) || x.run.hard.Err() != nil { // whatever it says was said to an abandoned call
			return journal.Result{}, cancelled()
		}
		e := uncancelled(sdk.AsError(err, sdk.TargetError))
		if e != nil && pending(e.Code) { // it would say so to every user
			x.run.stop(fmt.Sprintf("backend %s: %s", step.Backend, e.Error()))
			return journal.Result{}, cancelled()
		}
		passes := e != nil && (e.Code.Transient() || e.Code == sdk.ConnectionLost && (step.Verb == journal.Find || !lost))
		lost = lost || e != nil && e.Code == sdk.ConnectionLost
		if step.Verb != journal.Verify || !l.backend.StreamsVerify { // of the stream the dispatcher has seen it
			l.observe(sdk.Receipt{Outcome: outcome, Err: e})
		}
		if !l.free(e) {
			tries.spend()
		}
		if !passes || tries.spent() {
			return x.answer(step, outcome, e, detail), nil
		}
		wait := tries.wait(e.RetryAfter)
		x.run.tellWait(l, e, wait)
		if x.pause(l, wait, x.changed()) != nil {
			return journal.Result{}, cancelled()
		}
	}
}

// outdated reports whether a recorded verify is about a value replaced
// since.
func (x reader) outdated() bool {
	return x.recorded.Verb == journal.Verify && x.fresh[x.recorded.Credential]
}

// query makes a call that changes nothing. It waits for the dispatcher's circuit,
// also where that opened while others were before it.
func (x reader) query(call func(context.Context)) error {
	l := x.dispatcher
	for made := false; !made; {
		if err := x.admit(l); err != nil {
			return err
		}
		through := x.through
		x.through = false
		err := l.direct(x.run.hard, func(ctx context.Context) {
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

func (x reader) verify() (sdk.Outcome, journal.Detail, error) {
	ask := x.verifyByCall
	if x.dispatcher.backend.StreamsVerify {
		ask = x.verifyInStream
	}
	verdict, failure, err := ask()
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

func (x reader) verifyByCall() (verdict sdk.Verdict, failure, err error) {
	err = x.query(func(ctx context.Context) {
		verdict, failure = x.dispatcher.backend.Instance.Verify(ctx, x.step.Account, x.step.Kind, x.step.Value.Secret())
	})
	return verdict, failure, err
}

// verifyInStream asks among the operations of others: a frame carries many.
func (x reader) verifyInStream() (sdk.Verdict, error, error) {
	if err := x.admit(x.dispatcher); err != nil {
		return sdk.CannotTell, nil, err
	}
	got := x.askInStream(x.run.question(x.step, place{x.user.Pos, x.n, 0}))
	switch r := got.receipt; {
	case got.err != nil:
		return sdk.CannotTell, nil, got.err
	case r.Err != nil:
		return r.Verdict, r.Err, nil
	default:
		return r.Verdict, nil, nil
	}
}

func (x reader) askInStream(op sdk.Operation) reply {
	if got, ok := x.batchReply.take(op.ID); ok {
		return x.weighed(got)
	}
	p := &request{op: op, user: &x.permit, dispatcher: x.dispatcher, answer: make(chan reply, 1), durable: true, looks: true, through: x.through}
	x.through = false
	x.dispatcher.push(p)
	return x.await(x.dispatcher, p)
}

func (x reader) find() (sdk.Outcome, journal.Detail, error) {
	var found sdk.Account
	var failure error
	err := x.query(func(ctx context.Context) {
		found, failure = x.dispatcher.backend.Instance.Find(ctx, x.step.Account)
	})
	if err != nil {
		return sdk.Refused, journal.Detail{}, cancelled()
	}
	if failure != nil {
		return sdk.Refused, journal.Detail{}, failure
	}
	return sdk.Applied, journal.Detail{Account: &found, Stamp: found.Stamp}, nil
}
