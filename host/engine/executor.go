package engine

import (
	"context"
	"fmt"

	"github.com/rekey-host/rekey/host/journal"
	"github.com/rekey-host/rekey/host/password"
	"github.com/rekey-host/rekey/sdk"
	"github.com/rekey-host/rekey/sdk/secret"
)

// newValues is how many further values a generated one may be replaced by
// after a refusal by policy.
const newValues = 3

// executor carries one step of a user out: from where the ledger left it to its
// end.
type executor struct {
	*Steps
	step       journal.Step
	dispatcher *dispatcher
	recorded   *journal.RecordedStep

	identity string // what the target takes the account's name for; see identityOf
	handled  bool   // this process has sent it or tried to settle it
}

func (s *Steps) executor(step journal.Step, l *dispatcher, recorded *journal.RecordedStep) *executor {
	return &executor{Steps: s, step: step, dispatcher: l, recorded: recorded, identity: recorded.Identity}
}

// apply is a set or a change.
func (x *executor) apply(ctx context.Context) (journal.Result, error) {
	if x.recorded.Answer != nil {
		return journal.ResultOf(x.recorded.Answer), nil
	}
	if len(x.recorded.Attempts) == 0 {
		refusal, err := x.own()
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
func (x *executor) takeUp(ctx context.Context) error {
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
func (x *executor) next(replaced int) move {
	last, standing := x.recorded.Last(), x.recorded.Standing()
	switch {
	case last == nil || standing == journal.StandsRefused && redone(last):
		return moveSend
	case standing == journal.StandsDoubtful && !x.handled:
		return moveSettle
	case replaced < newValues && standing == journal.StandsRefused && x.replaceable(last):
		return moveReplace
	}
	return moveEnd
}

func (x *executor) move(ctx context.Context, next move) error {
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
func (x *executor) result() journal.Result {
	switch x.recorded.Standing() {
	case journal.StandsApplied:
		return journal.Result{Outcome: sdk.Applied}
	case journal.StandsRefused:
		return journal.ResultOf(x.recorded.Last().Outcome)
	}
	for _, a := range x.recorded.Attempts {
		if a.Outcome != nil && a.Unknown() {
			return journal.ResultOf(a.Outcome)
		}
	}
	return journal.Result{Outcome: sdk.Unknown, Code: sdk.ConnectionLost, Message: "no answer came"}
}

// redone reports whether an attempt ended in a way that leaves the user
// pending: it is sent again with the same value.
func redone(a *journal.Attempt) bool { return a.Refused() && pending(a.Outcome.Code) }

// pending reports whether a refusal of the code puts the user back.
func pending(c sdk.Code) bool { return c == sdk.Cancelled || c.StopsRun() }

// replaced counts the values that this round of the step has replaced already.
func (x *executor) replaced() int {
	n := 0
	for i, a := range x.recorded.Attempts {
		if i < len(x.recorded.Attempts)-1 && a.Outcome != nil && a.Outcome.Code.AnotherValueHelps() {
			n++
		}
	}
	return n
}

// refuse is the host's own refusal, before anything is sent.
func (x *executor) refuse(ctx context.Context) *sdk.Error {
	if x.unresolved(x.step.Value.Secret()) {
		return sdk.Errorf(sdk.Conflict, "an earlier value of this account is not settled")
	}
	found := x.run.violations(ctx, x.step, x.dispatcher)
	if len(found) == 0 {
		return nil
	}
	return &sdk.Error{Code: sdk.PolicyViolation, Message: "checked before sending: " + rulesOf(found), Violations: found}
}

// violated are the rules of a policy that the step's value breaks.
func violated(policy sdk.Policy, step journal.Step) []sdk.Violation {
	return password.Check(policy, step.Value.Secret(), []string{step.Account})
}

// violations are the rules of the backend that the step's value breaks, as far
// as they are known: the backend says the others itself.
func (r *run) violations(ctx context.Context, step journal.Step, l *dispatcher) []sdk.Violation {
	if step.HashFormat != "" {
		return nil
	}
	policy, err := r.policies.of(ctx, l.backend, step.Kind)
	if err != nil {
		return nil
	}
	return violated(policy, step)
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

// unresolved reports whether another value of the credential is in doubt: a
// second one is never sent while the first may be in force.
func (x *executor) unresolved(value secret.Value) bool {
	c := x.history.Credential(x.recorded.Credential)
	return c != nil && c.Standing == journal.StandsDoubtful && !x.allEqual(c.Open(), value)
}

// allEqual reports whether each of the attempts carries the value.
func (x *executor) allEqual(attempts []*journal.Attempt, value secret.Value) bool {
	for _, a := range attempts {
		if a.Intent.Sealed == nil {
			continue
		}
		was, err := x.unseal(a.Intent, journal.RoleValue, a.Intent.Sealed)
		if err != nil || !was.Equal(value) {
			return false
		}
	}
	return true
}

// unseal opens a value of a record.
func (s *Steps) unseal(r *journal.Record, role string, sealed []byte) (secret.Value, error) {
	return s.run.Vault.Unseal(r.User, r.Step, r.Try, role, sealed)
}

// replaceable reports whether a refusal by policy may be answered with another
// value.
func (x *executor) replaceable(last *journal.Attempt) bool {
	if !last.Refused() || !last.Outcome.Code.AnotherValueHelps() || x.step.Value.Another == nil {
		return false
	}
	for _, v := range last.Outcome.Detail.Violations {
		if !v.AnotherValueHelps() {
			return false
		}
	}
	return !x.history.Replay.Settles && !x.history.InUse(x.step.Value.Origin)
}

func (x *executor) replace(ctx context.Context, last *journal.Attempt) error {
	v, err := x.step.Value.Another(ctx)
	if err != nil {
		return notMinted(err, "after "+string(last.Outcome.Code))
	}
	x.step.Value.Replace(v)
	x.run.at(CrashValueReplaced)
	return nil
}
