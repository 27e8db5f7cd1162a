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
func (x sender) deliver(delivery delivery) (*doubt, error) {
	may := delivery.op.Attempt > 1 && !delivery.contradicted // the target may have the value already
	patience := x.dispatcher.backend.Patience
	for tries := newRetry(x.dispatcher.backend.Attempts); ; {
		got := x.exchange(x.dispatcher, delivery.op, delivery.intent())
		delivery.unwritten = false
		if got.err != nil {
			return nil, x.unsent(delivery, got.err)
		}
		receipt := got.receipt
		if receipt.Outcome == sdk.AlreadyApplied && !may {
			delivery.contradicted = true
			return nil, x.conclude(delivery, contradiction(x.dispatcher, receipt))
		}
		if receipt.Outcome == sdk.Unknown {
			delivery.lost, may = delivery.lost.and(x.run.lostHere(x.dispatcher.backend)), true
		}
		switch {
		case x.dispatcher.free(receipt.Err):
		case receipt.Err == nil || receipt.Err.RetryAfter == 0 || receipt.Outcome == sdk.Unknown || patience <= 0:
			tries.spend()
		default:
			patience -= receipt.Err.RetryAfter // waiting as asked costs no attempt, but has an end
		}
		switch x.judge(delivery, receipt, tries) {
		case conclude:
			return nil, x.conclude(delivery, receipt)
		case investigate:
			return &doubt{delivery, receipt}, nil
		}
		wait := tries.wait(0)
		if receipt.Outcome == sdk.Refused && receipt.Err.RetryAfter > 0 {
			wait = receipt.Err.RetryAfter
		}
		x.run.tellWait(x.dispatcher, receipt.Err, wait)
		within := x.run.soft
		if delivery.lost.happened() || x.history.Live(delivery.attempt) {
			within = x.run.hard
		}
		if err := x.pause(within, x.dispatcher, wait); err != nil {
			return nil, x.unsent(delivery, err)
		}
		delivery.op.Attempt++
	}
}

// judgement is what follows a receipt.
type judgement uint8

const (
	again judgement = iota
	conclude
	investigate
)

// judge decides what follows a receipt.
func (x sender) judge(delivery delivery, receipt sdk.Receipt, tries retry) judgement {
	switch {
	case receipt.Outcome == sdk.Applied || receipt.Outcome == sdk.AlreadyApplied:
		return conclude
	case receipt.Outcome == sdk.Unknown:
		if !tries.spent() && x.dispatcher.backend.Description.CanReplay(delivery.op.Verb) {
			return again
		}
		return investigate
	case receipt.Err != nil && receipt.Err.Code.Transient() && !tries.spent():
		return again
	case delivery.lost.happened(): // whatever the code: the lost attempt may be why it is refused now
		return investigate
	default:
		return conclude
	}
}

// contradiction is what an operation came to of which the plugin says that it
// was applied before, although every attempt so far was refused, or none was
// made: which of the two is wrong cannot be told.
func contradiction(dispatcher *dispatcher, receipt sdk.Receipt) sdk.Receipt {
	lie := sdk.Lost(sdk.Errorf(sdk.Internal, "plugin %s contradicts itself: it says that the value was applied before, and no attempt was without an answer",
		dispatcher.backend.Description.Name))
	lie.Ref, lie.Stamp = receipt.Ref, receipt.Stamp
	return lie
}

// unsent ends an attempt whose operation did not leave, or cannot go on: the
// user goes back to pending. An attempt in doubt is left as it is recorded, open
// or unknown: a cancellation is never an answer.
func (x sender) unsent(delivery delivery, err error) error {
	switch {
	case errors.Is(err, errUnderWay), errors.Is(err, errNotSent) && delivery.lost.happened():
		return cancelled()
	case !errors.Is(err, errNotSent):
		return x.run.broken(err)
	}
	delivery.lost = loss{}
	if err := x.conclude(delivery, notSent()); err != nil {
		return err
	}
	return cancelled()
}

// conclude records an attempt's outcome, and until when a request of it that
// was lost may still arrive.
func (x sender) conclude(delivery delivery, receipt sdk.Receipt) error {
	record := outcomeOf(delivery.attempt.Intent, delivery.op.Attempt, receipt)
	record.Detail.Contradicted = delivery.contradicted
	if receipt.Outcome != sdk.Refused {
		x.noteLoss(delivery.attempt, &record, delivery.lost)
	}
	x.run.at(CrashOutcomeMade)
	x.record(&record)
	if receipt.Outcome == sdk.Refused && receipt.Err != nil && receipt.Err.Code.StopsRun() {
		x.run.stop(fmt.Sprintf("backend %s: %s", record.Backend, receipt.Err.Error()))
		return cancelled()
	}
	return nil
}
