package engine

import (
	"errors"
	"fmt"

	"github.com/rekey-host/rekey/host/journal"
	"github.com/rekey-host/rekey/sdk"
)

// sender sends values of a step until each has an outcome, or a doubt that only
// the target can end.
type sender struct{ lateness }

// doubt is an operation of which nothing but the target itself can tell what
// became, with the answer that left it.
type doubt struct {
	delivery
	receipt sdk.Receipt
}

// send records an intent, sends it when it is durable, and records its outcome,
// unless there is a doubt about that.
func (x sender) send(what sending) (*doubt, error) {
	if err := x.admit(x.dispatcher); err != nil {
		return nil, err
	}
	if err := x.oneValue(what); err != nil {
		return nil, err
	}
	if err := x.nothingComes(what.value); err != nil {
		return nil, err
	}
	attempt := x.begin(what)
	return x.deliver(delivery{attempt: attempt, op: x.operation(what), unwritten: true})
}

// delivery is one operation on its way to an outcome.
type delivery struct {
	attempt      *journal.Attempt
	op           sdk.Operation
	unwritten    bool // its intent is not in the ledger yet
	lost         loss // what was sent of it and never answered
	contradicted bool // the plugin contradicted itself about it
}

// intent is the record to be made durable before the operation is sent; nil where it
// is durable.
func (d delivery) intent() *journal.Record {
	if !d.unwritten {
		return nil
	}
	return d.attempt.Intent
}

// deliver sends an operation until it has an outcome, and records that, or until
// there is a doubt about it.
func (x sender) deliver(d delivery) (*doubt, error) {
	x.fresh[x.recorded.Credential] = true
	may := d.op.Attempt > 1 && !d.contradicted // the target may have the value already
	patience := x.dispatcher.backend.Patience
	for tries := newRetry(x.dispatcher.backend.Attempts); ; {
		got := x.exchange(x.dispatcher, d.op, d.intent())
		d.unwritten = false
		if got.err != nil {
			return nil, x.unsent(d, got.err)
		}
		r := got.receipt
		if r.Outcome == sdk.AlreadyApplied && !may {
			d.contradicted = true
			return nil, x.conclude(d, contradiction(x.dispatcher, r))
		}
		if r.Outcome == sdk.Unknown {
			d.lost, may = d.lost.and(x.run.lostHere(x.dispatcher.backend)), true
		}
		switch {
		case x.dispatcher.free(r.Err):
		case r.Err == nil || r.Err.RetryAfter == 0 || r.Outcome == sdk.Unknown || patience <= 0:
			tries.spend()
		default:
			patience -= r.Err.RetryAfter // waiting as asked costs no attempt, but has an end
		}
		switch x.judge(d, r, !tries.spent()) {
		case conclude:
			return nil, x.conclude(d, r)
		case investigate:
			return &doubt{d, r}, nil
		}
		wait := tries.wait(0)
		if r.Outcome == sdk.Refused && r.Err.RetryAfter > 0 {
			wait = r.Err.RetryAfter
		}
		x.run.tellWait(x.dispatcher, r.Err, wait)
		if err := x.pause(x.dispatcher, wait, d.lost.happened() || x.history.Live(d.attempt)); err != nil {
			return nil, x.unsent(d, err)
		}
		d.op.Attempt++
	}
}

// judgement is what follows a receipt.
type judgement uint8

const (
	again judgement = iota
	conclude
	investigate
)

// judge decides what follows a receipt. left says that the backend's attempts are
// not used up.
func (x sender) judge(d delivery, r sdk.Receipt, left bool) judgement {
	code := sdk.Internal
	if r.Err != nil {
		code = r.Err.Code
	}
	switch {
	case r.Outcome == sdk.Applied || r.Outcome == sdk.AlreadyApplied:
		return conclude
	case r.Outcome == sdk.Unknown:
		if left && x.dispatcher.backend.Description.CanReplay(d.op.Verb) {
			return again
		}
		return investigate
	case code.Transient() && left:
		return again
	case d.lost.happened() && !code.Definite():
		return investigate
	default:
		return conclude
	}
}

// contradiction is what an operation came to of which the plugin says that it
// was applied before, although every attempt so far was refused, or none was
// made: which of the two is wrong cannot be told.
func contradiction(l *dispatcher, r sdk.Receipt) sdk.Receipt {
	lie := sdk.Lost(sdk.Errorf(sdk.Internal, "plugin %s contradicts itself: it says that the value was applied before, and no attempt was without an answer",
		l.backend.Description.Name))
	lie.Ref, lie.Stamp = r.Ref, r.Stamp
	return lie
}

// unsent ends an attempt whose operation did not leave, or cannot go on: the
// user goes back to pending. An attempt in doubt is left as it is recorded, open
// or unknown: a cancellation is never an answer.
func (x sender) unsent(d delivery, err error) error {
	switch {
	case errors.Is(err, errUnderWay), errors.Is(err, errNotSent) && d.lost.happened():
		return cancelled()
	case !errors.Is(err, errNotSent):
		return x.run.broken(err)
	}
	d.lost = loss{}
	if err := x.conclude(d, notSent()); err != nil {
		return err
	}
	return cancelled()
}

// conclude records an attempt's outcome, and until when a request of it that
// was lost may still arrive.
func (x sender) conclude(d delivery, r sdk.Receipt) error {
	o := outcomeOf(d.attempt.Intent, d.op.Attempt, r)
	o.Detail.Contradicted = d.contradicted
	if r.Outcome != sdk.Refused {
		x.noteLoss(d.attempt, &o, d.lost)
	}
	x.run.at(CrashOutcomeMade)
	x.record(&o)
	if r.Outcome == sdk.Refused && r.Err != nil && r.Err.Code.StopsRun() {
		x.run.stop(fmt.Sprintf("backend %s: %s", o.Backend, r.Err.Error()))
		return cancelled()
	}
	return nil
}
