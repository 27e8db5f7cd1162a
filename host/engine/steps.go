package engine

import (
	"context"
	"errors"
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
	run    *run
	user   ledger.User
	row    source.Row
	names  []string // that a value must not contain
	permit permit
	n      int // ordinal of the step

	history   *journal.History // the user's records, old and new
	before    int              // how many of them are of earlier processes
	fresh     map[journal.Credential]bool
	attempts  int
	through   bool                      // the next operation goes through an open circuit
	lost      map[*journal.Attempt]loss // of what this process concluded
	simulated bool
	drawn     []poolKey           // values of backends' own generators
	changedBy []journal.Step      // simulated steps that would change something
	quiet     bool                // simulated once more, for the host alone
	kept      map[string][]string // labels that could not be set back, by why

	trial       *trial       // takes the steps down without taking them; nil: they are taken
	batchReply  *batchReply  // what came of an operation that a batch sent; nil: nothing
	mintFailure *mintFailure // a value that a batch could not make; nil: none
	nameReply   *nameReply   // what a batch was told of a name; nil: nothing

	endsRow bool // users of a batch were done before this one left it
}

// Started reports whether an earlier process applied something of the user, or
// may have: it has to go on by the script that it began with.
func (s *Steps) Started() bool { return s.before > 0 && s.changed() }

// Quiet reports whether the call is for the host alone: what it prints is
// dropped.
func (s *Steps) Quiet() bool { return s.quiet || s.trial != nil }

// Printed notes that a quiet call would have printed something.
func (s *Steps) Printed() {
	if s.trial != nil {
		s.trial.fails()
	}
}

// Do takes one step and returns after the host has tried to settle it.
func (s *Steps) Do(ctx context.Context, step journal.Step) (journal.Result, error) {
	s.n++
	l, err := s.admissible(step)
	if err != nil {
		return journal.Result{}, err
	}
	if s.trial != nil {
		return s.trial.step(ctx, step, l)
	}
	if s.simulated {
		if traits, _ := journal.TraitsOf(step.Verb); traits.Changes {
			s.changedBy = append(s.changedBy, step)
		}
		return simulate(step), nil
	}
	if err := s.run.mayContinue(s); err != nil {
		return journal.Result{}, err
	}
	was, err := s.history.Replay.At(s.n, step.Call())
	if err != nil {
		return journal.Result{}, diverged(err)
	}
	switch traits, _ := journal.TraitsOf(step.Verb); {
	case traits.Carries:
		return s.executor(step, l, was).apply(ctx)
	case traits.Operation != "":
		return s.executor(step, l, was).ask()
	default:
		return s.read(ctx, step, l, was)
	}
}

// admissible returns the step's dispatcher, or a *Fault if the step makes no sense.
func (s *Steps) admissible(step journal.Step) (*dispatcher, error) {
	l := s.run.dispatchers[step.Backend]
	if l == nil {
		return nil, static(misuse("no backend is labelled %q", step.Backend))
	}
	if err := needs(l.backend, step); err != nil {
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
	return l, nil
}

// needs checks the step against what the backend can do.
func needs(b Backend, step journal.Step) error {
	traits, _ := journal.TraitsOf(step.Verb)
	if !traits.Can(b.Description, b.Abilities) {
		return static(misuse("backend %q (%s) cannot %s", b.Label, b.Description.Name, step.Verb))
	}
	if traits.Kinded && !b.Description.HasKind(step.Kind) {
		return static(misuse("backend %q has no credential of kind %q; it has %s", b.Label, step.Kind, kindsOf(b.Description)))
	}
	return nil
}

func kindsOf(d sdk.Description) string {
	if len(d.Kinds) == 0 {
		return "only one, without a kind"
	}
	names := make([]string, len(d.Kinds))
	for i, k := range d.Kinds {
		names[i] = k.Name
	}
	return strings.Join(names, ", ")
}

func misuse(format string, args ...any) *journal.Fault {
	return &journal.Fault{Code: sdk.InvalidOperation, Message: fmt.Sprintf(format, args...)}
}

// simulate is a step at plan: it succeeds.
func simulate(step journal.Step) journal.Result {
	r := journal.Result{Outcome: sdk.Applied}
	switch step.Verb {
	case journal.Reset:
		r.Value = journal.Given(secret.New("simulated"))
	case journal.Find:
		r.Account = &sdk.Account{Account: step.Account, ID: step.Account, Login: step.Account, Status: sdk.StatusActive}
	}
	return r
}

// record takes a record into the history and queues it.
func (s *Steps) record(r *journal.Record) {
	s.history.Add(r)
	rec := *r
	s.run.committer.add(entry{rec: &rec})
}

// recordNow is record that waits until it is durable.
func (s *Steps) recordNow(r *journal.Record) error {
	s.history.Add(r)
	rec := *r
	if err := s.run.committer.write(&rec); err != nil {
		return s.run.broken(err)
	}
	return nil
}

// answer records what a reading step, or the host itself, said.
func (s *Steps) answer(step journal.Step, outcome sdk.Outcome, err *sdk.Error, d journal.Detail) journal.Result {
	r := step.Record(journal.Answer, s.user.Pos, s.n)
	r.Outcome, r.Detail = outcome, d
	r.Blame(err)
	s.record(&r)
	return journal.ResultOf(&r)
}

// diverged is the fault of a hook that takes another step than the recorded one.
func diverged(err error) *journal.Fault {
	return &journal.Fault{Code: journal.Diverged, Message: err.Error()}
}

// cancelled is the fault of a user who goes back to pending.
func cancelled() *journal.Fault { return &journal.Fault{Code: sdk.Cancelled, Message: "the run stops"} }

// normalized is an answer as the engine reads it: a refusal has a reason, and what a
// plugin gave up by itself is no cancellation.
func normalized(r sdk.Receipt) sdk.Receipt {
	if r.Outcome == sdk.Refused && r.Err == nil {
		r.Err = sdk.Errorf(sdk.Internal, "the plugin refused it without a reason")
	}
	r.Err = uncancelled(r.Err)
	return r
}

// uncancelled names what a plugin gave up by itself for what it is: the run was
// not cancelled, and the call may be made again.
func uncancelled(err *sdk.Error) *sdk.Error {
	if err == nil || err.Code != sdk.Cancelled {
		return err
	}
	other := *err
	other.Code, other.Message = sdk.TargetUnavailable, "the plugin gave it up: "+err.Message
	return &other
}

// isCancelled reports whether err is that fault.
func isCancelled(err error) bool {
	var f *journal.Fault
	return errors.As(err, &f) && f.Code == sdk.Cancelled
}
