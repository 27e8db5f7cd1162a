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

func newReader(of *userState, step journal.Step, to *dispatcher, recorded *journal.RecordedStep) reader {
	return reader{newStepState(of, step, to, recorded)}
}

// read is a verify or a find: recorded once, the same at every replay until
// the verify is outdated.
func (x reader) read() (journal.Result, error) {
	step, dispatcher, recorded := x.step, x.dispatcher, x.recorded
	if recorded.Answer != nil && !x.history.Replay.Outdated(recorded) {
		return journal.ResultOf(recorded.Answer), nil
	}
	ask := x.verify
	if step.Verb == journal.Find {
		ask = x.find
	}
	lost := false // an answer was: a verify counts as a logon, so it is asked once more only
	for tries := newRetry(dispatcher.backend.Attempts); ; {
		outcome, detail, err := ask()
		x.run.at(CrashReadAnswered)
		if isCancelled(err) || x.run.hard.Err() != nil { // whatever it says was said to an abandoned call
			return journal.Result{}, cancelled()
		}
		failure := uncancelled(sdk.AsError(err, sdk.TargetError))
		if failure != nil && pending(failure.Code) { // it would say so to every user
			x.run.stop(fmt.Sprintf("backend %s: %s", step.Backend, failure.Error()))
			return journal.Result{}, cancelled()
		}
		passes := failure != nil && (failure.Code.Transient() || failure.Code == sdk.ConnectionLost && (step.Verb == journal.Find || !lost))
		lost = lost || failure != nil && failure.Code == sdk.ConnectionLost
		if step.Verb != journal.Verify || !dispatcher.backend.StreamsVerify { // of the stream the dispatcher has seen it
			dispatcher.observe(sdk.Receipt{Outcome: outcome, Err: failure})
		}
		if !dispatcher.free(failure) {
			tries.spend()
		}
		if !passes || tries.spent() {
			return x.answer(step, outcome, failure, detail), nil
		}
		wait := tries.wait(failure.RetryAfter)
		x.run.tellWait(dispatcher, failure, wait)
		if x.pause(x.patience(), dispatcher, wait) != nil {
			return journal.Result{}, cancelled()
		}
	}
}

// query makes a call that changes nothing. It waits for the dispatcher's circuit,
// also where that opened while others were before it.
func (x reader) query(call func(context.Context)) error {
	dispatcher := x.dispatcher
	for made := false; !made; {
		if err := x.admit(dispatcher); err != nil {
			return err
		}
		through := x.through
		x.through = false
		err := dispatcher.direct(x.run.hard, func(ctx context.Context) {
			if made = through || !dispatcher.circuit.holds() || dispatcher.soft.Err() != nil; made {
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
	detail := journal.Detail{Verdict: verdict.String()}
	if verdict == sdk.CannotTell && errors.Is(failure, &sdk.Error{Code: sdk.Unsupported}) {
		failure = nil // it says why
	}
	if failure != nil {
		return sdk.Refused, detail, failure
	}
	switch verdict {
	case sdk.Accepted, sdk.AcceptedMustChange:
		return sdk.Applied, detail, nil
	case sdk.Rejected:
		return sdk.Refused, detail, sdk.Errorf(sdk.NotAccepted, "the target does not accept the value")
	case sdk.Blocked:
		return sdk.Refused, detail, sdk.Errorf(sdk.AccountStatus, "the account is locked or disabled: the value cannot be tried")
	default:
		return sdk.Applied, detail, sdk.Errorf(sdk.Unsupported, journal.NotProven)
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
	switch receipt := got.receipt; {
	case got.err != nil:
		return sdk.CannotTell, nil, got.err
	case receipt.Err != nil:
		return receipt.Verdict, receipt.Err, nil
	default:
		return receipt.Verdict, nil, nil
	}
}

func (x reader) askInStream(op sdk.Operation) reply {
	if got, ok := x.batchReply.take(op.ID); ok {
		return x.weighed(got)
	}
	made := &request{op: op, user: &x.permit, dispatcher: x.dispatcher, answer: make(chan reply, 1), durable: true, looks: true, through: x.through}
	x.through = false
	x.dispatcher.push(made)
	return x.await(x.dispatcher, made)
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
