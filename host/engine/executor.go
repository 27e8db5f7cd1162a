package engine

import (
	"context"

	"github.com/rekey-host/rekey/host/journal"
	"github.com/rekey-host/rekey/sdk"
)

// newValues is how many further values a generated one may be replaced by
// after a refusal by policy.
const newValues = 3

// executor carries a set or a change out: from where the ledger left it to its
// end.
type executor struct{ settler }

func newExecutor(of *userState, step journal.Step, to *dispatcher, recorded *journal.RecordedStep) executor {
	return executor{newSettler(of, step, to, recorded)}
}

// apply carries the step out and returns what the script gets.
func (x executor) apply(ctx context.Context) (journal.Result, error) {
	if x.recorded.Answer != nil {
		return journal.ResultOf(x.recorded.Answer), nil
	}
	if len(x.recorded.Attempts) == 0 {
		refusal, err := claimer{x.stepState}.own()
		if err != nil {
			return journal.Result{}, err
		}
		if refusal == nil {
			refusal = x.refuse(ctx)
		}
		if refusal != nil {
			return x.answer(x.step, sdk.Refused, refusal, journal.Detail{}), nil
		}
	}
	if x.batchReply != nil && x.batchReply.is(journal.OperationID(x.run.ID, x.user.Pos, x.recorded.Ordinal, 0)) {
		if err := x.takeUp(ctx); err != nil {
			return journal.Result{}, err
		}
	}
	for replaced := x.replaced(); ; {
		next := x.next(replaced)
		if next == moveEnd {
			return x.result(), nil
		}
		if next == moveReplace {
			replaced++
		}
		if err := x.move(ctx, next); err != nil {
			return journal.Result{}, err
		}
	}
}

// takeUp goes on from what came of an operation that a batch sent.
func (x executor) takeUp(ctx context.Context) error {
	x.handled = true
	return x.deliver(ctx, delivery{attempt: x.recorded.Last(), op: x.operation(wanted(x.step))})
}

// move is what follows from where a step stands.
type move uint8

const (
	moveEnd     move = iota // it has its result
	moveSend                // its value
	moveSettle              // what an earlier process, or round, left in doubt
	moveReplace             // the value by another one, and send that
)

// next decides what follows; replaced is how many values were replaced.
func (x executor) next(replaced int) move {
	last, state := x.recorded.Last(), x.recorded.State()
	switch {
	case last == nil || state == journal.AttemptsRefused && redone(last):
		return moveSend
	case state == journal.AttemptsDoubtful && !x.handled:
		return moveSettle
	case replaced < newValues && state == journal.AttemptsRefused && x.replaceable(last):
		return moveReplace
	}
	return moveEnd
}

func (x executor) move(ctx context.Context, next move) error {
	switch next {
	case moveSettle:
		x.handled = true
		return x.settle(ctx)
	case moveReplace:
		if err := x.replace(ctx, x.recorded.Last()); err != nil {
			return err
		}
	}
	return x.sendNew(ctx)
}

// result is what the step returns to the script.
func (x executor) result() journal.Result {
	switch x.recorded.State() {
	case journal.AttemptsApplied:
		return journal.Result{Outcome: sdk.Applied}
	case journal.AttemptsRefused:
		return journal.ResultOf(x.recorded.Last().Outcome)
	}
	for _, attempt := range x.recorded.Attempts {
		if attempt.Outcome != nil && attempt.Unknown() {
			return journal.ResultOf(attempt.Outcome)
		}
	}
	return journal.Result{Outcome: sdk.Unknown, Code: sdk.ConnectionLost, Message: "no answer came"}
}

// replaced counts the values that this round of the step has replaced already.
func (x executor) replaced() int {
	count := 0
	for i, attempt := range x.recorded.Attempts {
		if i < len(x.recorded.Attempts)-1 && attempt.Outcome != nil && attempt.Outcome.Code.AnotherValueHelps() {
			count++
		}
	}
	return count
}

// refuse is the host's own refusal, before anything is sent.
func (x executor) refuse(ctx context.Context) *sdk.Error {
	if x.unresolved(x.step.Value.Secret()) {
		return sdk.Errorf(sdk.Conflict, "an earlier value of this account is not settled")
	}
	found := x.run.policies.violations(ctx, x.dispatcher.backend, x.step)
	if len(found) == 0 {
		return nil
	}
	return &sdk.Error{Code: sdk.PolicyViolation, Message: "checked before sending: " + rulesOf(found), Violations: found}
}

// replaceable reports whether a refusal by policy may be answered with another
// value.
func (x executor) replaceable(last *journal.Attempt) bool {
	if !last.Refused() || !last.Outcome.Code.AnotherValueHelps() || x.step.Value.Another == nil {
		return false
	}
	for _, violation := range last.Outcome.Detail.Violations {
		if !violation.AnotherValueHelps() {
			return false
		}
	}
	return !x.history.Replay.RecoveryRound && !x.history.InUse(x.step.Value.Origin)
}

func (x executor) replace(ctx context.Context, last *journal.Attempt) error {
	value, err := x.step.Value.Another(ctx)
	if err != nil {
		return notMinted(err, "after "+string(last.Outcome.Code))
	}
	x.step.Value.Replace(value)
	x.run.at(CrashValueReplaced)
	return nil
}

func (x executor) sendNew(ctx context.Context) error {
	x.handled = true
	return x.send(ctx, wanted(x.step))
}
