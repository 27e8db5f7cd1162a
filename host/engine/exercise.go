package engine

import (
	"context"
	"fmt"
	"slices"

	"github.com/rekey-host/rekey/host/diag"
	"github.com/rekey-host/rekey/host/journal"
	"github.com/rekey-host/rekey/host/ledger"
	"github.com/rekey-host/rekey/host/source"
	"github.com/rekey-host/rekey/sdk"
)

// Exercise says whose rotate a plan calls on simulated steps, and how. The first user
// of each wave is always among them.
type Exercise struct {
	Users  int64              // the first that many users that are due
	Refuse map[string]float64 // of each verb the share of steps, from 0 to 1, that are refused in a further call
	Crash  bool               // also as if the answer to each step was lost, and the user resumed
}

// exerciser calls the rotate of users on simulated steps.
type exerciser struct {
	hooks    Hooks
	stage    *run
	exercise Exercise

	steps Steps // of the present call
	sim   simulation
	none  journal.History
}

// tryout is what the calls for one user came to.
type tryout struct {
	verdict journal.Verdict // when each step succeeds
	steps   []journal.Step  // that it takes then, but for generate
	changes []journal.Step
	status  journal.Status
	problem *diag.Problem // what is wrong with the hook; nil: nothing
}

// first tries the first user of a wave: what it prints is shown, and values are
// made by the rules that the plan tells.
func (e *exerciser) first(ctx context.Context, row source.Row) tryout {
	verdict := e.call(ctx, row, simulation{}, false)
	return e.concluded(ctx, row, verdict)
}

// other tries another user.
func (e *exerciser) other(ctx context.Context, row source.Row) tryout {
	verdict := e.call(ctx, row, simulation{plain: true}, true)
	return e.concluded(ctx, row, verdict)
}

// call calls the hook once.
func (e *exerciser) call(ctx context.Context, row source.Row, sim simulation, quiet bool) journal.Verdict {
	sim.asked, sim.at = e.sim.asked[:0], e.sim.at[:0]
	e.sim, e.none = sim, journal.History{}
	e.steps = Steps{userState: userState{run: e.stage, user: ledger.User{Key: row.Key}, row: row, history: &e.none}, simulation: &e.sim, quiet: quiet}
	if !sim.plain {
		e.steps.names = namesOf(row)
	}
	verdict := e.hooks.Rotate(ctx, row, &e.steps)
	if verdict.Kind == journal.SaidSkip && len(e.sim.changes()) > 0 {
		return raisedBy(&journal.Fault{Code: journal.ScriptError, Message: skippedLate})
	}
	return verdict
}

// concluded goes on from a user's first call, in which each step succeeded.
func (e *exerciser) concluded(ctx context.Context, row source.Row, verdict journal.Verdict) tryout {
	made := tryout{verdict: verdict, steps: slices.Clone(e.sim.asked), changes: e.sim.changes()}
	made.status = statusTried(verdict, len(made.changes) > 0)
	if made.problem = e.wrong(ctx, row, verdict); made.problem == nil && e.exercise.Refuse != nil {
		made.problem = e.refused(ctx, row)
	}
	if made.problem == nil && e.exercise.Crash {
		made.problem = e.crashed(ctx, row)
	}
	return made
}

// statusTried is what a user comes to whose every step was applied.
func statusTried(verdict journal.Verdict, changed bool) journal.Status {
	bad := verdict.Kind == journal.SaidFailed || verdict.Kind == journal.Raised
	switch {
	case bad && changed:
		return journal.Partial
	case bad:
		return journal.Failed
	case verdict.Kind == journal.SaidSkip || !changed:
		return journal.Skipped
	}
	return journal.Done
}

// wrong is what is wrong with a hook that raised; nil: nothing, or the fault is of
// what a find made up.
func (e *exerciser) wrong(ctx context.Context, row source.Row, verdict journal.Verdict) *diag.Problem {
	if !faulty(verdict) {
		return nil
	}
	if e.sim.found && !certain(verdict) && !e.always(ctx, row) {
		return nil
	}
	return problemIn(row, verdict.Fault, "tried on simulated steps")
}

// faulty reports whether a call ended with what no backend said.
func faulty(verdict journal.Verdict) bool {
	if verdict.Kind != journal.Raised || verdict.Fault == nil || verdict.Refused != nil {
		return false
	}
	fault := verdict.Fault
	return fault.Static || fault.Code == journal.ScriptError || fault.Code == sdk.InvalidOperation
}

// certain reports whether a fault is of the script, whatever row or account it meets.
func certain(verdict journal.Verdict) bool {
	return verdict.Fault.Static || verdict.Fault.Code == journal.ScriptError && !verdict.Fault.OfRow
}

// always reports whether the hook ends with a fault whatever account a find finds. One
// that is not active shows that only where the hook goes through with it: many end early
// there.
func (e *exerciser) always(ctx context.Context, row source.Row) bool {
	for which := 1; which < madeUpAccounts; which++ {
		verdict := e.call(ctx, row, simulation{plain: true, looks: which, answer: e.sim.answer}, true)
		if !faulty(verdict) && (which < activeAccounts || verdict.Kind == journal.Returned) {
			return false
		}
	}
	return true
}

// refused tries the user with a share of its steps refused.
func (e *exerciser) refused(ctx context.Context, row source.Row) *diag.Problem {
	some := false
	answer := func(ordinal int, step journal.Step) *journal.Result {
		if share(row.Key, ordinal, step.Verb) >= e.exercise.Refuse[step.Verb] {
			return nil
		}
		some = true
		return refusedResult()
	}
	verdict := e.call(ctx, row, simulation{plain: true, answer: answer}, true)
	if !some || !faulty(verdict) || e.sim.found && !certain(verdict) && !e.always(ctx, row) {
		return nil
	}
	return problemIn(row, verdict.Fault, "tried on simulated steps of which some are refused")
}

func refusedResult() *journal.Result {
	return &journal.Result{Outcome: sdk.Refused, Code: sdk.TargetError, Message: "simulated"}
}

func lostResult() *journal.Result {
	return &journal.Result{Outcome: sdk.Unknown, Code: sdk.ConnectionLost, Message: "simulated"}
}

// crashed tries the user as if the answer to one step was lost, for each step that
// changes something, and compares with the call that a resume makes when that step is
// settled. What is recorded behind it has to come again.
func (e *exerciser) crashed(ctx context.Context, row source.Row) *diag.Problem {
	e.call(ctx, row, simulation{plain: true}, true)
	ordinals := slices.Clone(e.sim.at)
	asked := slices.Clone(e.sim.asked)
	for i, step := range asked {
		if traits, _ := journal.TraitsOf(step.Verb); traits.Operation == "" {
			continue
		}
		recorded := e.taken(ctx, row, ordinals[i], lostResult())
		for _, settled := range []*journal.Result{{Outcome: sdk.Applied}, refusedResult()} {
			replayed := e.taken(ctx, row, ordinals[i], settled)
			if at := departs(recorded, replayed, ordinals[i]); at > 0 {
				return divergence(row, ordinals[i], at, settled.Outcome, recorded, replayed)
			}
		}
	}
	return nil
}

// taken returns the calls of a hook by their ordinals, if one step has that result.
func (e *exerciser) taken(ctx context.Context, row source.Row, ordinal int, result *journal.Result) map[int]string {
	answer := func(at int, step journal.Step) *journal.Result {
		if at != ordinal || result.Outcome == sdk.Applied {
			return nil
		}
		return result
	}
	e.call(ctx, row, simulation{plain: true, answer: answer}, true)
	calls := map[int]string{}
	for i, step := range e.sim.asked {
		calls[e.sim.at[i]] = step.Call().String()
	}
	return calls
}

// departs returns the first ordinal behind a step at which a replay does not take what
// was recorded; 0: it takes all of it again.
func departs(recorded, replayed map[int]string, behind int) int {
	first := 0
	for at, call := range recorded {
		if at > behind && replayed[at] != call && (first == 0 || at < first) {
			first = at
		}
	}
	return first
}

func divergence(row source.Row, lost, at int, settled sdk.Outcome, recorded, replayed map[int]string) *diag.Problem {
	now := "takes no step, or a generate, there"
	if replayed[at] != "" {
		now = fmt.Sprintf("takes %q there", replayed[at])
	}
	problem := placed(row, fmt.Sprintf("rotate(%q), tried as if the answer to step %d, %q, was lost: it goes on with %q as step %d, and when the lost step is found to be %s it %s",
		row.Key, lost, recorded[lost], recorded[at], at, settled, now))
	problem.Fix = `return when .outcome is "unknown": a resume goes on from there`
	problem.Same = fmt.Sprintf("lost %d %d", lost, at)
	return problem
}

// problemIn is a fault of a hook as a problem: at its place in the script, else at
// the row.
func problemIn(row source.Row, fault *journal.Fault, how string) *diag.Problem {
	if fault.File == "" {
		problem := placed(row, fmt.Sprintf("rotate(%q), %s: %s", row.Key, how, fault.Message))
		problem.Same = fault.Message
		return problem
	}
	where := ""
	if row.File != "" {
		where = fmt.Sprintf(", %s:%d", row.File, row.Line)
	}
	return &diag.Problem{File: fault.File, Line: fault.Line, Column: fault.Column, Same: fault.Message,
		Message: fmt.Sprintf("rotate(%q)%s, %s: %s", row.Key, where, how, fault.Text())}
}

// placed is a problem at a row.
func placed(row source.Row, message string) *diag.Problem {
	return &diag.Problem{File: row.File, Line: row.Line, Message: message}
}
