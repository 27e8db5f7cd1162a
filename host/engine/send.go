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

// sending is one value to send: what the intent says and the operation does.
type sending struct {
	verb       sdk.Verb
	value, old secret.Value
	origin     int
	mustChange *bool
	bridge     bool
	again      bool // the value may have been sent before, in another operation: the plugin has to look first
}

// verbOf is the operation that a step is made of: a revert is a set.
func verbOf(step journal.Step) sdk.Verb {
	traits, _ := journal.TraitsOf(step.Verb)
	return traits.Operation
}

func (x *executor) sendNew(ctx context.Context) error {
	x.handled = true
	return x.send(ctx, wanted(x.step))
}

// wanted is what a step asks to send.
func wanted(step journal.Step) sending {
	what := sending{verb: verbOf(step), value: step.Value.Secret(), origin: step.Value.Origin, mustChange: step.MustChange}
	if step.Verb == journal.Change {
		what.old = step.Old.Secret()
	}
	return what
}

// send records an intent, sends it when it is durable, and follows it to its
// outcome, which it records.
func (x *executor) send(ctx context.Context, what sending) error {
	if err := x.run.admit(x.Steps, x.dispatcher); err != nil {
		return err
	}
	if err := x.oneValue(what); err != nil {
		return err
	}
	if err := x.nothingComes(what.value); err != nil {
		return err
	}
	attempt := x.begin(what)
	return x.deliver(ctx, delivery{attempt: attempt, op: x.operation(what), unwritten: true})
}

// begin makes the record of a value that is about to be sent.
func (x *executor) begin(what sending) *journal.Attempt {
	r := x.run.intent(x.step, x.place(x.history.Replay.NextTry(x.recorded.Ordinal)), what)
	r.Detail.Identity = x.identity
	x.history.Add(&r)
	return x.history.Attempt(r.Step, r.Try)
}

// operation is what is sent of the step's newest try.
func (x *executor) operation(what sending) sdk.Operation {
	return x.run.operation(x.step, x.place(x.history.Replay.NextTry(x.recorded.Ordinal)-1), what)
}

// place is where the executor's step stands.
func (x *executor) place(try int) place { return place{x.user.Pos, x.recorded.Ordinal, try} }

// place is where a value stands in a run: whose it is, at which step, and which
// value of that.
type place struct {
	user      int64
	step, try int
}

// intent is the record of a value that is about to be sent.
func (c *run) intent(step journal.Step, at place, what sending) journal.Record {
	r := step.Record(journal.Intent, at.user, at.step)
	r.Try, r.Origin = at.try, what.origin
	r.Sealed = c.Vault.Seal(at.user, at.step, at.try, journal.RoleValue, what.value)
	if what.old.Present() {
		r.SealedOld = c.Vault.Seal(at.user, at.step, at.try, journal.RoleOld, what.old)
	}
	r.Detail = journal.Detail{Bridge: what.bridge, HashFormat: step.HashFormat, MustChange: what.mustChange}
	if what.verb != verbOf(step) {
		r.Detail.Op = string(what.verb)
	}
	return r
}

// operation is what is sent of a value.
func (r *run) operation(step journal.Step, at place, what sending) sdk.Operation {
	attempt := 1
	if what.again {
		attempt = 2
	}
	return sdk.Operation{
		ID:   journal.OperationID(r.ID, at.user, at.step, at.try),
		Verb: what.verb, Account: step.Account, Kind: step.Kind, Value: what.value, Old: what.old,
		HashFormat: step.HashFormat, MustChange: what.mustChange, Options: step.Options,
		Requestor: r.Requestor, SourceSystem: r.SourceSystem, Attempt: attempt,
	}
}

// exchange sends an operation once. With an intent, the record is made durable
// first.
func (s *Steps) exchange(l *dispatcher, op sdk.Operation, intent *journal.Record) reply {
	if got, ok := s.batchReply.take(op.ID); ok {
		s.attempts++
		return s.weighed(got)
	}
	p := &request{op: op, user: &s.permit, dispatcher: l, answer: make(chan reply, 1), through: s.through}
	s.through = false
	s.attempts++
	if intent == nil {
		p.durable = true // as the intent of its first attempt, or of an earlier process, is
		l.push(p)
		return s.await(l, p)
	}
	rec := *intent
	s.run.at(CrashIntentMade)
	s.run.committer.add(entry{rec: &rec, dispatcher: l, pressing: s.run.semaphore.pressing(&s.permit), then: p})
	return s.await(l, p)
}

// await returns what came of a request. A cancelled run waits for nobody: what
// was sent is lost from sight then, and settled by the next resume.
func (s *Steps) await(l *dispatcher, p *request) reply {
	select {
	case r := <-p.answer:
		return s.weighed(r)
	case <-s.run.hard.Done():
	}
	if l.abandon(p) {
		return reply{err: errNotSent}
	}
	select {
	case r := <-p.answer:
		return s.weighed(r)
	default:
		return reply{err: errUnderWay}
	}
}

// weighed is what an answer is worth: one of unknown outcome that comes after
// the cancellation is none.
func (s *Steps) weighed(r reply) reply {
	if s.run.hard.Err() != nil && r.receipt.Outcome == sdk.Unknown && r.err == nil {
		return reply{err: errUnderWay}
	}
	r.receipt = normalized(r.receipt)
	return r
}

// delivery is one operation on its way to an outcome.
type delivery struct {
	attempt      *journal.Attempt
	op           sdk.Operation
	unwritten    bool // its intent is not in the ledger yet
	lost         loss // what was sent of it and never answered
	contradicted bool // the plugin contradicted itself about it
}

// deliver sends an operation until it has an outcome, and records that.
func (x *executor) deliver(ctx context.Context, d delivery) error {
	x.fresh[x.recorded.Credential] = true
	may := d.op.Attempt > 1 && !d.contradicted // the target may have the value already
	spent := 0                                 // of the backend's attempts
	patience := x.dispatcher.backend.Patience
	for backoff := time.Second; ; backoff = min(2*backoff, time.Minute) {
		got := x.exchange(x.dispatcher, d.op, d.intent())
		d.unwritten = false
		if got.err != nil {
			return x.unsent(d, got.err)
		}
		r := got.receipt
		if r.Outcome == sdk.AlreadyApplied && !may {
			d.contradicted = true
			return x.conclude(d, contradiction(x.dispatcher, r))
		}
		if r.Outcome == sdk.Unknown {
			d.lost, may = d.lost.and(x.run.lostHere(x.dispatcher.backend)), true
		}
		switch {
		case x.dispatcher.free(r.Err):
		case r.Err == nil || r.Err.RetryAfter == 0 || r.Outcome == sdk.Unknown || patience <= 0:
			spent++
		default:
			patience -= r.Err.RetryAfter // waiting as asked costs no attempt, but has an end
		}
		next, wait := x.judge(d, r, spent < x.dispatcher.backend.Attempts, backoff)
		switch next {
		case conclude:
			return x.conclude(d, r)
		case investigate:
			return x.investigate(ctx, d, r)
		}
		x.run.tellWait(x.dispatcher, r.Err, wait)
		if err := x.pause(x.dispatcher, wait, d.lost.happened() || x.history.Live(d.attempt)); err != nil {
			return x.unsent(d, err)
		}
		d.op.Attempt++
	}
}

// intent is the record that has to be durable before the operation is sent; nil
// where it is.
func (d delivery) intent() *journal.Record {
	if !d.unwritten {
		return nil
	}
	return d.attempt.Intent
}

// judgement is what follows a receipt.
type judgement uint8

const (
	again judgement = iota
	conclude
	investigate
)

// judge decides what follows a receipt, and how long to wait before that. left
// says that the backend's attempts are not used up.
func (x *executor) judge(d delivery, r sdk.Receipt, left bool, backoff time.Duration) (judgement, time.Duration) {
	code := sdk.Internal
	if r.Err != nil {
		code = r.Err.Code
	}
	switch {
	case r.Outcome == sdk.Applied || r.Outcome == sdk.AlreadyApplied:
		return conclude, 0
	case r.Outcome == sdk.Unknown:
		if left && x.dispatcher.backend.Description.CanReplay(d.op.Verb) {
			return again, x.run.jitter(backoff)
		}
		return investigate, 0
	case code.Transient() && left:
		if r.Err.RetryAfter > 0 {
			return again, r.Err.RetryAfter
		}
		return again, x.run.jitter(backoff)
	case d.lost.happened() && !code.Definite():
		return investigate, 0
	default:
		return conclude, 0
	}
}

// contradiction is what an operation came to of which the plugin says that it
// was applied before, although every attempt so far was refused, or none was
// made: which of the two is wrong nobody knows.
func contradiction(l *dispatcher, r sdk.Receipt) sdk.Receipt {
	lie := sdk.Lost(sdk.Errorf(sdk.Internal, "plugin %s contradicts itself: it says that the value was applied before, and no attempt was without an answer",
		l.backend.Description.Name))
	lie.Ref, lie.Stamp = r.Ref, r.Stamp
	return lie
}

// pause waits before another attempt. When the run stops, a user of whom
// nothing is applied or in doubt does not wait on.
func (s *Steps) pause(l *dispatcher, d time.Duration, goesOn bool) error {
	if goesOn {
		if err := s.run.Clock.Sleep(s.run.hard, d); err != nil {
			return errNotSent
		}
		s.through, _ = l.circuit.waitClosed(s.run.soft)
		return nil
	}
	if s.run.Clock.Sleep(s.run.soft, d) != nil {
		return errNotSent
	}
	var err error
	if s.through, err = l.circuit.waitClosed(s.run.soft); err != nil {
		return errNotSent
	}
	return nil
}

// changed reports whether something of the user is applied or not known.
func (s *Steps) changed() bool { return s.history.Live(nil) }

// unsent ends an attempt whose operation did not leave, or cannot go on: the
// user goes back to pending. An attempt in doubt is left as it is recorded, open
// or unknown: a cancellation is never an answer.
func (x *executor) unsent(d delivery, err error) error {
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
func (x *executor) conclude(d delivery, r sdk.Receipt) error {
	o := outcomeOf(d.attempt.Intent, d.op.Attempt, r)
	o.Detail.Contradicted = d.contradicted
	if r.Outcome != sdk.Refused {
		x.mayCome(d.attempt, &o, d.lost)
	}
	x.run.at(CrashOutcomeMade)
	x.record(&o)
	if r.Outcome == sdk.Refused && r.Err != nil && r.Err.Code.StopsRun() {
		x.run.stop(fmt.Sprintf("backend %s: %s", o.Backend, r.Err.Error()))
		return cancelled()
	}
	return nil
}

// outcomeOf is the record of what became of an intent at its last attempt.
func outcomeOf(intent *journal.Record, attempt int, r sdk.Receipt) journal.Record {
	o := *intent
	o.Kind, o.Index, o.At, o.Sealed, o.SealedOld = journal.Outcome, 0, time.Time{}, nil, nil
	o.Outcome = r.Outcome
	o.Detail = journal.Detail{Op: intent.Detail.Op, Bridge: intent.Detail.Bridge, Attempt: attempt, Ref: r.Ref, Stamp: r.Stamp}
	o.Blame(r.Err)
	if r.Outcome == sdk.Applied || r.Outcome == sdk.AlreadyApplied {
		o.Code = ""
	}
	return o
}

// notSent is what an operation came to that never left: the target certainly
// has what it had.
func notSent() sdk.Receipt {
	return sdk.Refuse(sdk.Errorf(sdk.Cancelled, "the run stopped before it was sent"))
}
