package engine

import (
	"context"
	"fmt"
	"strings"
	"unicode"

	"github.com/rekey-host/rekey/host/journal"
	"github.com/rekey-host/rekey/host/ledger"
	"github.com/rekey-host/rekey/host/source"
	"github.com/rekey-host/rekey/sdk"
	"github.com/rekey-host/rekey/sdk/secret"
)

// Steps is what one call of rotate may do. Its methods are called from one
// goroutine. They return an error only for what always raises in a script, and
// that error is a *Fault.
type Steps struct {
	userState
	simulation  *simulation  // answers the steps; nil: backends do
	quiet       bool         // simulated for the host alone
	trial       recorder     // takes the steps down instead of taking them; nil: they are taken
	drawn       []poolKey    // values of backends' own generators
	mintFailure *mintFailure // a value that a batch could not make; nil: none
	endsRow     bool         // users of a batch were done before this one left it
}

// recorder takes the steps of a hook down; see trial.
type recorder interface {
	step(ctx context.Context, ordinal int, step journal.Step, to *dispatcher) (journal.Result, error)
	generate(ctx context.Context, ordinal int, g GenerateStep) (*journal.Value, error)
	fails() // the user is not for a batch
}

// Started reports whether an earlier process applied something of the user, or
// may have: it has to go on by the script that it began with.
func (s *Steps) Started() bool { return s.before > 0 && s.changed() }

// Quiet reports whether the call is for the host alone: its output is dropped.
func (s *Steps) Quiet() bool { return s.quiet || s.trial != nil }

// Printed notes that a quiet call would have printed something, and reports whether
// nothing that it does from then on matters: whoever prints is no batch's.
func (s *Steps) Printed() (over bool) {
	if s.trial != nil {
		s.trial.fails()
	}
	return s.trial != nil
}

// Do takes one step and returns after the host has tried to settle it.
func (s *Steps) Do(ctx context.Context, step journal.Step) (journal.Result, error) {
	s.n++
	dispatcher, err := s.admissible(step)
	if err != nil {
		return journal.Result{}, err
	}
	if s.trial != nil {
		return s.trial.step(ctx, s.n, step, dispatcher)
	}
	if s.simulation != nil {
		return s.simulation.step(s.n, step), nil
	}
	if err := s.mayContinue(); err != nil {
		return journal.Result{}, err
	}
	was, err := s.history.Replay.At(s.n, step.Call())
	if err != nil {
		return journal.Result{}, diverged(err)
	}
	switch traits, _ := journal.TraitsOf(step.Verb); {
	case traits.Carries:
		return newExecutor(&s.userState, step, dispatcher, was).apply(ctx)
	case traits.Operation != "":
		return newResetter(&s.userState, step, dispatcher, was).ask()
	default:
		return newReader(&s.userState, step, dispatcher, was).read()
	}
}

// admissible returns the step's dispatcher, or a *Fault if the step makes no sense.
func (s *Steps) admissible(step journal.Step) (*dispatcher, error) {
	dispatcher := s.run.dispatchers[step.Backend]
	if dispatcher == nil {
		return nil, static(misuse("no backend is labelled %q", step.Backend))
	}
	if err := needs(dispatcher.backend, step); err != nil {
		return nil, err
	}
	if strings.TrimSpace(step.Account) == "" {
		return nil, misuse("%s: the account is empty", step.Verb)
	}
	if strings.ContainsFunc(step.Account, unicode.IsControl) {
		return nil, misuse("%s: the account has a control character", step.Verb)
	}
	if traits, _ := journal.TraitsOf(step.Verb); (traits.Carries || step.Verb == journal.Verify) && step.Value.Empty() {
		return nil, misuse("%s %s %s: the value is empty", step.Verb, step.Backend, step.Account)
	}
	if step.Verb == journal.Change && step.Old.Empty() {
		return nil, misuse("change %s %s: the old value is empty", step.Backend, step.Account)
	}
	return dispatcher, nil
}

// needs checks the step against what the backend can do.
func needs(backend Backend, step journal.Step) error {
	traits, _ := journal.TraitsOf(step.Verb)
	if !traits.Can(backend.Description, backend.Abilities) {
		return static(misuse("backend %q (%s) cannot %s", backend.Label, backend.Description.Name, step.Verb))
	}
	if traits.Kinded && !backend.Description.HasKind(step.Kind) {
		return static(misuse("backend %q has no credential of kind %q; it has %s", backend.Label, step.Kind, kindsOf(backend.Description)))
	}
	return nil
}

// Generate mints a value that satisfies the policies of its targets. On a
// replay it is the value that the ledger holds, if an intent carried it.
func (s *Steps) Generate(ctx context.Context, wish GenerateStep) (*journal.Value, error) {
	s.n++
	if fault := s.run.ofKind(wish); fault != nil {
		return nil, fault
	}
	if s.trial != nil {
		return s.trial.generate(ctx, s.n, wish)
	}
	s.simulation.wish(s.n, wish)
	if s.simulation != nil && s.simulation.plain {
		return s.simulation.value(ctx, s.run, wish, s.n)
	}
	value := &journal.Value{Origin: s.n}
	wish.drawn = &s.drawn
	if s.mintFailure != nil && s.mintFailure.ordinal == s.n {
		wish.failed = &s.mintFailure.err
	}
	value.Another = func(ctx context.Context) (secret.Value, error) { return s.run.mint(ctx, wish, s.names) }
	if err := s.history.Replay.NoStepAt(s.n, "generate"); err != nil {
		return nil, diverged(err)
	}
	if kept := s.history.Replay.Generated(s.n); kept != nil {
		was, err := s.unseal(kept, journal.RoleValue, kept.Sealed)
		if err != nil {
			return nil, s.run.broken(err)
		}
		value.Replace(was)
		return value, nil
	}
	fresh, err := value.Another(ctx)
	if err != nil {
		return nil, generateFault(err)
	}
	value.Replace(fresh)
	return value, nil
}

func newSteps(run *run, user ledger.User, row source.Row) *Steps {
	return &Steps{userState: userState{run: run, user: user, row: row, names: namesOf(row), history: journal.Read(user.History), before: len(user.History)}}
}

// skippedLate is what is wrong with a skip() after something was changed.
const skippedLate = "skip() after the first set, change, reset, unlock or revoke"

// checked turns an ending that the hook may not have into a fault.
func (s *Steps) checked(verdict journal.Verdict) journal.Verdict {
	fault := func(code sdk.Code, format string, args ...any) journal.Verdict {
		return journal.Verdict{Kind: journal.Raised, Fault: &journal.Fault{Code: code, Message: fmt.Sprintf(format, args...)}}
	}
	if verdict.Kind == journal.SaidSkip && (len(s.history.Touched()) > 0 || s.history.Acted()) {
		return fault(journal.ScriptError, skippedLate)
	}
	if verdict.Kind != journal.Raised {
		if err := s.history.Replay.Beyond(s.n); err != nil {
			return journal.Verdict{Kind: journal.Raised, Fault: diverged(err)}
		}
	}
	return verdict
}
