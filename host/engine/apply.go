package engine

import (
	"context"
	"fmt"
	"maps"
	"time"

	"github.com/rekey-host/rekey/host/ledger"
	"github.com/rekey-host/rekey/host/password"
	"github.com/rekey-host/rekey/sdk"
	"github.com/rekey-host/rekey/sdk/secret"
)

// newValues is how many further values a generated one may be replaced by
// after a refusal by policy.
const newValues = 3

// apply is a set or a change: from where the ledger left it to its end.
func (s *Steps) apply(ctx context.Context, step Step, l *lane, t *taken) (Result, error) {
	if t == nil {
		t = &taken{ordinal: s.n, sig: signature{step.Verb, step.Backend, step.Account, step.Kind}}
	}
	if t.answer != nil {
		return resultOf(*t.answer), nil
	}
	if step.Verb == verbChange {
		s.olds[t.sig.credential()] = step.Old.Secret()
	}
	if len(t.tries) == 0 {
		refusal, err := s.own(step, l, t)
		if err != nil {
			return Result{}, err
		}
		if refusal == nil {
			refusal = s.refuse(ctx, step, l)
		}
		if refusal != nil {
			return s.answer(step, sdk.Refused, refusal, ledger.Detail{}), nil
		}
	}
	for replaced := t.replaced(); ; {
		last, standing := t.last(), t.standing()
		switch {
		case last == nil || standing == standingRefused && redone(last):
			if err := s.sendNew(ctx, step, l, t); err != nil {
				return Result{}, err
			}
		case standing == standingUnknown && !t.handled:
			t.handled = true
			if err := s.settle(ctx, step, l, t); err != nil {
				return Result{}, err
			}
		case replaced < newValues && standing == standingRefused && s.replaceable(step, last):
			replaced++
			if err := s.replace(ctx, step, last); err != nil {
				return Result{}, err
			}
			if err := s.sendNew(ctx, step, l, t); err != nil {
				return Result{}, err
			}
		default:
			return t.result(), nil
		}
	}
}

// credential returns the signature without its verb: what is changed.
func (g signature) credential() signature { g.verb = ""; return g }

// redone reports whether a try ended in a way that leaves the user pending: it
// is sent again with the same value.
func redone(t *try) bool {
	return t.outcome != nil && t.outcome.Outcome == sdk.Refused && pending(t.outcome.Code)
}

// pending reports whether a refusal of the code puts the user back.
func pending(c sdk.Code) bool { return c == sdk.Cancelled || c.StopsRun() }

// replaced counts the values that this round of the step has replaced already.
func (t *taken) replaced() int {
	n := 0
	for i, y := range t.tries {
		if i < len(t.tries)-1 && y.outcome != nil && y.outcome.Code.AnotherValueHelps() {
			n++
		}
	}
	return n
}

// refuse is the host's own refusal, before anything is sent.
func (s *Steps) refuse(ctx context.Context, step Step, l *lane) *sdk.Error {
	if s.unresolved(signature{"", step.Backend, step.Account, step.Kind}, step.Value.Secret()) {
		return sdk.Errorf(sdk.Conflict, "an earlier value of this account is not settled")
	}
	if step.HashFormat != "" || !l.backend.Can(sdk.CanPolicy) {
		return nil
	}
	policy, err := s.crew.policies.of(ctx, l.backend, step.Kind)
	if err != nil {
		return nil // the backend will say so itself
	}
	broken := password.Check(policy, step.Value.Secret(), []string{step.Account})
	if len(broken) == 0 {
		return nil
	}
	return &sdk.Error{Code: sdk.PolicyViolation, Message: "checked before sending: " + rulesOf(broken), Violations: broken}
}

func rulesOf(broken []sdk.Violation) string {
	text := ""
	for i, v := range broken {
		if i > 0 {
			text += ", "
		}
		text += string(v.Rule)
		if v.Limit != 0 {
			text += fmt.Sprintf(" %d", v.Limit)
		}
	}
	return text
}

// unresolved reports whether another value of the credential is unknown: a
// second one is never sent while the first may be in force.
func (s *Steps) unresolved(cred signature, value secret.Value) bool {
	if len(s.log) == 0 {
		return false
	}
	for _, a := range standings(s.log) {
		if a.cred == cred && a.state == standingUnknown && !s.allEqual(a.tries, value) {
			return true
		}
	}
	return false
}

// allEqual reports whether of the values that are not settled each is this one.
// An applied value settles what came before it.
func (s *Steps) allEqual(tries []*try, value secret.Value) bool {
	first := 0
	for i, y := range tries {
		if y.applied() && !y.intent.Detail.Bridge {
			first = i + 1
		}
	}
	for _, y := range tries[first:] {
		if !y.unknown() || y.intent.Sealed == nil {
			continue
		}
		was, err := s.crew.vault.Unseal(y.intent.User, y.intent.Step, y.intent.Try, roleValue, y.intent.Sealed)
		if err != nil || !was.Equal(value) {
			return false
		}
	}
	return true
}

// replaceable reports whether a refusal by policy may be answered with another
// value.
func (s *Steps) replaceable(step Step, last *try) bool {
	o := last.outcome
	if o == nil || o.Outcome != sdk.Refused || !o.Code.AnotherValueHelps() || step.Value.mint == nil {
		return false
	}
	for _, v := range o.Detail.Violations {
		if !v.AnotherValueHelps() {
			return false
		}
	}
	return !s.past.settles && !s.inUse(step.Value.origin)
}

// inUse reports whether an account has the generated value, or may have it.
func (s *Steps) inUse(origin int) bool {
	carried := map[[2]int]signature{}
	for _, r := range s.log {
		key := [2]int{r.Step, r.Try}
		switch {
		case r.Kind == ledger.Intent && r.Origin == origin:
			carried[key] = signatureOf(r).credential()
		case r.Kind != ledger.Outcome:
		case r.Outcome == sdk.Refused:
			delete(carried, key)
		case r.Verb == verbRevert && r.Outcome != sdk.Unknown:
			maps.DeleteFunc(carried, func(_ [2]int, cred signature) bool { return cred == signatureOf(r).credential() })
		}
	}
	return len(carried) > 0
}

func (s *Steps) replace(ctx context.Context, step Step, last *try) error {
	v, err := step.Value.mint(ctx)
	if err != nil {
		return notMinted(err, "after "+string(last.outcome.Code))
	}
	step.Value.current.Store(&v)
	s.crew.crash.at(CrashValueReplaced)
	return nil
}

const (
	roleValue = "value"
	roleOld   = "old"
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
func verbOf(step Step) sdk.Verb {
	if step.Verb == verbRevert {
		return sdk.Set
	}
	return sdk.Verb(step.Verb)
}

func (s *Steps) sendNew(ctx context.Context, step Step, l *lane, t *taken) error {
	what := sending{verb: verbOf(step), value: step.Value.Secret(), origin: step.Value.origin, mustChange: step.MustChange}
	if step.Verb == verbChange {
		what.old = step.Old.Secret()
	}
	t.handled = true
	return s.send(ctx, step, l, t, what)
}

// send records an intent, sends it when it is durable, and follows it to its
// outcome, which it records.
func (s *Steps) send(ctx context.Context, step Step, l *lane, t *taken, what sending) error {
	if err := s.crew.admit(s, l); err != nil {
		return err
	}
	if err := s.oneValue(t, what); err != nil {
		return err
	}
	if err := s.nothingComes(l, t.sig.credential(), what.value, step.Account); err != nil {
		return err
	}
	y := s.intent(step, t, what)
	s.fresh[t.sig.credential()] = true
	return s.deliver(ctx, step, l, t, y, s.operation(step, t, what), &y.intent)
}

// intent makes the record of a value that is about to be sent.
func (s *Steps) intent(step Step, t *taken, what sending) *try {
	r := s.base(ledger.Intent, step)
	r.Step, r.Try, r.Origin = t.ordinal, s.past.nextTry[t.ordinal], what.origin
	s.past.nextTry[t.ordinal]++
	r.Sealed = s.crew.vault.Seal(r.User, r.Step, r.Try, roleValue, what.value)
	if what.old.Present() {
		r.SealedOld = s.crew.vault.Seal(r.User, r.Step, r.Try, roleOld, what.old)
	}
	r.Detail = ledger.Detail{Bridge: what.bridge, HashFormat: step.HashFormat, MustChange: what.mustChange, Identity: t.identity}
	if what.verb != verbOf(step) {
		r.Detail.Op = string(what.verb)
	}
	y := &try{intent: r}
	t.tries = append(t.tries, y)
	s.log = append(s.log, r)
	return y
}

func (s *Steps) operation(step Step, t *taken, what sending) sdk.Operation {
	attempt := 1
	if what.again {
		attempt = 2
	}
	return sdk.Operation{
		ID:   fmt.Sprintf("%s-%d-%d-%d", s.crew.id, s.user.Pos, t.ordinal, s.past.nextTry[t.ordinal]-1),
		Verb: what.verb, Account: step.Account, Kind: step.Kind, Value: what.value, Old: what.old,
		HashFormat: step.HashFormat, MustChange: what.mustChange, Options: step.Options,
		Requestor: s.crew.requestor, SourceSystem: s.crew.sourceSystem, Attempt: attempt,
	}
}

// exchange sends an operation once. With an intent, the record is made durable
// first.
func (s *Steps) exchange(l *lane, op sdk.Operation, intent *ledger.Record) reply {
	p := &parcel{op: op, user: &s.ticket, answer: make(chan reply, 1), through: s.through}
	s.through = false
	s.attempts++
	if intent == nil {
		p.durable = true // as the intent of its first attempt, or of an earlier process, is
		l.push(p)
		return s.await(l, p)
	}
	rec := *intent
	s.crew.crash.at(CrashIntentMade)
	s.crew.writer.add(entry{rec: &rec, lane: l, pressing: s.crew.gate.pressing(&s.ticket), then: func(err error) {
		if err != nil {
			p.answer <- reply{err: err}
			return
		}
		p.durable = true
		l.push(p)
	}})
	return s.await(l, p)
}

// await returns what came of a parcel. A cancelled run waits for nobody: what
// was sent is lost from sight then, and settled by the next resume.
func (s *Steps) await(l *lane, p *parcel) reply {
	select {
	case r := <-p.answer:
		return s.weighed(r)
	case <-s.crew.hard.Done():
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
	if s.crew.hard.Err() != nil && r.receipt.Outcome == sdk.Unknown && r.err == nil {
		return reply{err: errUnderWay}
	}
	r.receipt = heard(r.receipt)
	return r
}

// deliver sends an operation until it has an outcome, and records that.
func (s *Steps) deliver(ctx context.Context, step Step, l *lane, t *taken, y *try, op sdk.Operation, intent *ledger.Record) error {
	lost := y.lost                   // by an earlier process, which may have sent it
	may := op.Attempt > 1 && !y.lied // the target may have the value already
	spent := 0                       // of the backend's attempts
	patience := l.backend.Patience
	for backoff := time.Second; ; backoff = min(2*backoff, time.Minute) {
		got := s.exchange(l, op, intent)
		intent = nil
		if got.err != nil {
			return s.unsent(y, op, lost.happened(), got.err)
		}
		r := got.receipt
		if r.Outcome == sdk.AlreadyApplied && !may {
			y.lied = true
			return s.conclude(y, op, contradiction(l, r), lost)
		}
		if r.Outcome == sdk.Unknown {
			lost, may = lost.and(s.crew.lostHere(l.backend)), true
		}
		switch {
		case l.free(r.Err):
		case r.Err == nil || r.Err.RetryAfter == 0 || r.Outcome == sdk.Unknown || patience <= 0:
			spent++
		default:
			patience -= r.Err.RetryAfter // waiting as asked costs no attempt, but has an end
		}
		next, wait := s.judge(l, op, r, lost.happened(), spent < l.backend.Attempts, backoff)
		switch next {
		case conclude:
			return s.conclude(y, op, r, lost)
		case investigate:
			return s.investigate(ctx, step, l, t, y, op, r, lost)
		}
		s.crew.tellWait(l, r.Err, wait)
		if err := s.pause(l, wait, lost.happened() || s.changedBesides(y)); err != nil {
			return s.unsent(y, op, lost.happened(), err)
		}
		op.Attempt++
	}
}

// move is what follows a receipt.
type move uint8

const (
	again move = iota
	conclude
	investigate
)

// judge decides what follows a receipt, and how long to wait before that. left
// says that the backend's attempts are not used up.
func (s *Steps) judge(l *lane, op sdk.Operation, r sdk.Receipt, doubt, left bool, backoff time.Duration) (move, time.Duration) {
	code := sdk.Internal
	if r.Err != nil {
		code = r.Err.Code
	}
	switch {
	case r.Outcome == sdk.Applied || r.Outcome == sdk.AlreadyApplied:
		return conclude, 0
	case r.Outcome == sdk.Unknown:
		if left && l.backend.Description.CanReplay(op.Verb) {
			return again, s.crew.jitter(backoff)
		}
		return investigate, 0
	case code.Transient() && left:
		if r.Err.RetryAfter > 0 {
			return again, r.Err.RetryAfter
		}
		return again, s.crew.jitter(backoff)
	case doubt && !code.Definite():
		return investigate, 0
	default:
		return conclude, 0
	}
}

// contradiction is what an operation came to of which the plugin says that it
// was applied before, although every attempt so far was refused, or none was
// made: which of the two is wrong nobody knows.
func contradiction(l *lane, r sdk.Receipt) sdk.Receipt {
	lie := sdk.Lost(sdk.Errorf(sdk.Internal, "plugin %s contradicts itself: it says that the value was applied before, and no attempt was without an answer",
		l.backend.Description.Name))
	lie.Ref, lie.Stamp = r.Ref, r.Stamp
	return lie
}

// pause waits before another attempt. When the run stops, a user of whom
// nothing is applied or in doubt does not wait on.
func (s *Steps) pause(l *lane, d time.Duration, goesOn bool) error {
	if goesOn {
		if err := s.crew.clock.Sleep(s.crew.hard, d); err != nil {
			return errNotSent
		}
		s.through, _ = l.circuit.waitClosed(s.crew.soft)
		return nil
	}
	if s.crew.clock.Sleep(s.crew.soft, d) != nil {
		return errNotSent
	}
	var err error
	if s.through, err = l.circuit.waitClosed(s.crew.soft); err != nil {
		return errNotSent
	}
	return nil
}

// changed reports whether something of the user is applied or not known.
func (s *Steps) changed() bool { return s.changedBesides(nil) }

// changedBesides is changed without a try that is being sent: so far it has
// certainly been refused.
func (s *Steps) changedBesides(y *try) bool {
	for _, a := range standings(s.log) {
		for _, z := range a.tries {
			current := y != nil && z.intent.Step == y.intent.Step && z.intent.Try == y.intent.Try
			if !current && (z.unknown() || z.applied()) {
				return true
			}
		}
	}
	return false
}

// unsent ends a try whose operation did not leave, or cannot go on: the user
// goes back to pending. A try in doubt is left as it is recorded, open or
// unknown: a cancellation is never an answer.
func (s *Steps) unsent(y *try, op sdk.Operation, doubt bool, err error) error {
	switch {
	case err == errUnderWay, err == errNotSent && doubt:
		return cancelled()
	case err != errNotSent:
		return s.crew.broken(err)
	}
	if err := s.conclude(y, op, sdk.Refuse(sdk.Errorf(sdk.Cancelled, "the run stopped before it was sent")), loss{}); err != nil {
		return err
	}
	return cancelled()
}

// conclude records a try's outcome, and until when an attempt of it that was
// lost may still arrive.
func (s *Steps) conclude(y *try, op sdk.Operation, r sdk.Receipt, lost loss) error {
	o := y.intent
	o.Kind, o.Index, o.Sealed, o.SealedOld = ledger.Outcome, 0, nil, nil
	o.Outcome = r.Outcome
	o.Detail = ledger.Detail{Op: y.intent.Detail.Op, Bridge: y.intent.Detail.Bridge, Attempt: op.Attempt, Ref: r.Ref, Stamp: r.Stamp, Contradicted: y.lied}
	fill(&o, &o.Detail, r.Err)
	if r.Outcome != sdk.Refused {
		s.mayCome(&o, lost)
	}
	if r.Outcome == sdk.Applied || r.Outcome == sdk.AlreadyApplied {
		o.Code = ""
	}
	y.outcome = &o
	s.crew.crash.at(CrashOutcomeMade)
	s.record(o)
	if r.Outcome == sdk.Refused && r.Err != nil && r.Err.Code.StopsRun() {
		s.crew.stop(fmt.Sprintf("backend %s: %s", o.Backend, r.Err.Error()))
		return cancelled()
	}
	return nil
}
