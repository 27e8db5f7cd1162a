package host_test

import (
	"context"
	"errors"
	"strings"

	"github.com/rekey-host/rekey/host/engine"
	"github.com/rekey-host/rekey/host/journal"
	"github.com/rekey-host/rekey/host/source"
	"github.com/rekey-host/rekey/sdk"
	"github.com/rekey-host/rekey/sdk/secret"
)

// tale is a script and its users. What an account is like is in its name.
type tale struct {
	names []string
	hooks engine.Hooks
}

// tales are what a life may be about, by name.
var tales = map[string]tale{
	"": {[]string{"plain-1", "picky-2", "fresh-1", "ghost-1", "plain-2", "picky-1", "fresh-2", "ghost-2"}, story{}},
	"verbs": {[]string{"find-try", "verify-try", "unlock-try", "generate-try", "reset-try", "set-try", "change-try", "revoke-try", "handover-try",
		"find-must", "verify-must", "unlock-must", "generate-must", "reset-must", "set-must", "change-must", "revoke-must", "handover-must"}, verbs{}},
	"set":             {plainNames, gives{one: []string{vault}}},
	"two values":      {plainNames, gives{one: []string{plain}, two: []string{plain}}},
	"with a history":  {plainNames, gives{one: []string{vault}, two: []string{vault}, proves: true}},
	"change then set": {plainNames, gives{change: true, two: []string{cloud}}},
	"two backends":    {plainNames, gives{one: []string{plain, cloud}}},
	"revert":          {[]string{"plain-1", "ghost-1", "ghost-2", "plain-2", "ghost-3", "ghost-4"}, gives{change: true, one: []string{vault, plain}}},
}

var plainNames = []string{"plain-1", "plain-2", "plain-3", "plain-4", "plain-5", "plain-6"}

// hooks are those of the life's story.
func (w *world) hooks() engine.Hooks {
	if w.spec.Off == cancellation {
		return stubborn{tales[w.spec.Story].hooks}
	}
	return halves{tales[w.spec.Story].hooks}
}

// halves has every other user served by itself, by printing something: batches
// carry the others.
type halves struct{ engine.Hooks }

func (h halves) Rotate(ctx context.Context, row source.Row, s *engine.Steps) journal.Verdict {
	if alone(row.Key) {
		s.Printed()
	}
	return h.Hooks.Rotate(ctx, row, s)
}

// alone reports whether a user is of the half that no batch carries.
func alone(name string) bool {
	last := name[len(name)-1]
	return last >= '0' && last <= '9' && last%2 == 1
}

// stubborn is a script that catches the cancellation of a step and goes on with
// it, as one could if a cancellation were an answer.
type stubborn struct{ engine.Hooks }

func (h stubborn) Rotate(ctx context.Context, row source.Row, s *engine.Steps) journal.Verdict {
	v := h.Hooks.Rotate(ctx, row, s)
	if v.Fault != nil && v.Fault.Code == sdk.Cancelled {
		return journal.Verdict{Kind: journal.SaidFailed, Reason: "cannot be looked at"}
	}
	return v
}

// verbs is a rotate whose first step is the verb in the user's name. What the
// system says to it decides how the user ends, for good.
type verbs struct{}

func (verbs) Rotate(ctx context.Context, row source.Row, s *engine.Steps) journal.Verdict {
	verb, form, _ := strings.Cut(row.Key, "-")
	r, err := firstStep(ctx, verb, row.Key, s)
	switch {
	case err != nil:
		return raised(r, err)
	case !r.OK() && form == "try" && (verb == "find" || verb == "verify" || verb == "unlock" || verb == "revoke"):
		return journal.Verdict{Kind: journal.SaidSkip, Reason: "branched on " + string(r.Code)}
	case !r.OK() && form == "try":
		return journal.Verdict{Kind: journal.SaidFailed, Reason: "branched on " + string(r.Code)}
	case !r.OK():
		return raised(r, nil)
	}
	return gives{one: []string{vault}, proves: true}.Rotate(ctx, row, s)
}

// firstStep takes the step of that verb.
func firstStep(ctx context.Context, verb, account string, s *engine.Steps) (journal.Result, error) {
	was := func(label string) *journal.Value { return journal.Given(secret.New(before(label, account))) }
	step := journal.Step{Verb: verb, Backend: vault, Account: account}
	switch verb {
	case "verify":
		step.Value = was(vault)
	case "unlock", "revoke", "reset":
		step.Backend = desk
	case "generate", "set", "change", "handover":
		v, err := s.Generate(ctx, generateFor(verb))
		if err != nil {
			return journal.Result{}, err
		}
		step.Verb, step.Backend, step.Value = "set", plain, v
		switch verb {
		case "change":
			step.Verb, step.Backend, step.Old = verb, cloud, was(cloud)
		case "handover":
			step.Verb = verb
		}
	}
	return s.Do(ctx, step)
}

func generateFor(verb string) engine.GenerateStep {
	if verb == "generate" {
		return engine.GenerateStep{Generator: desk}
	}
	return engine.GenerateStep{}
}

// gives is a rotate that gives generated values: one to some systems, and then
// another to some.
type gives struct {
	change   bool // to the cloud, as the first step
	one, two []string
	proves   bool // verify at the end
}

func (g gives) Rotate(ctx context.Context, row source.Row, s *engine.Steps) journal.Verdict {
	var last *journal.Value
	for round, labels := range [][]string{g.one, g.two} {
		if len(labels) == 0 && (round > 0 || !g.change) {
			continue
		}
		v, err := s.Generate(ctx, engine.GenerateStep{})
		if err != nil {
			return raised(journal.Result{}, err)
		}
		last = v
		for _, step := range g.steps(round, labels, row.Key, v) {
			if r, err := s.Do(ctx, step); err != nil || !r.OK() {
				return raised(r, err)
			}
		}
	}
	if g.proves {
		if r, err := s.Do(ctx, journal.Step{Verb: "verify", Backend: vault, Account: row.Key, Value: last}); err != nil || !r.OK() {
			return raised(r, err)
		}
	}
	return journal.Verdict{}
}

// steps are those of one value.
func (g gives) steps(round int, labels []string, name string, v *journal.Value) []journal.Step {
	var list []journal.Step
	if round == 0 && g.change {
		account := accountOn(cloud, name)
		list = append(list, journal.Step{Verb: "change", Backend: cloud, Account: account, Old: journal.Given(secret.New(before(cloud, account))), Value: v})
	}
	for _, label := range labels {
		list = append(list, journal.Step{Verb: "set", Backend: label, Account: accountOn(label, name), Value: v})
	}
	return list
}

// accountOn is what a user is called on a system.
func accountOn(label, name string) string {
	if label == vault || label == cloud {
		return vaultName(name)
	}
	return name
}

// story is the rotate: one value for three systems, one of which may refuse,
// and a value that the fourth picks.
type story struct{}

func (story) Rotate(ctx context.Context, row source.Row, s *engine.Steps) journal.Verdict {
	v, err := s.Generate(ctx, engine.GenerateStep{})
	if err != nil {
		return raised(journal.Result{}, err)
	}
	var list []journal.Step
	if alone(row.Key) {
		list = append(list, journal.Step{Verb: "find", Backend: vault, Account: row.Key})
	}
	list = append(list, []journal.Step{
		{Verb: "set", Backend: vault, Account: vaultName(row.Key), Value: v},
		{Verb: "change", Backend: cloud, Account: vaultName(row.Key), Old: journal.Given(secret.New(before(cloud, vaultName(row.Key)))), Value: v},
		{Verb: "verify", Backend: vault, Account: vaultName(row.Key), Value: v},
		{Verb: "set", Backend: plain, Account: row.Key, Value: v},
	}...)
	if strings.HasPrefix(row.Key, "plain") && alone(row.Key) {
		list = append(list, journal.Step{Verb: "reset", Backend: desk, Account: row.Key})
	}
	for _, step := range list {
		if r, err := s.Do(ctx, step); err != nil || !r.OK() {
			return raised(r, err)
		}
	}
	return journal.Verdict{}
}

// vaultName is what a user is called in vault and cloud: a ghost exists on two
// systems of three.
func vaultName(name string) string { return strings.Replace(name, "ghost", "haunted", 1) }

func raised(r journal.Result, err error) journal.Verdict {
	var f *journal.Fault
	if errors.As(err, &f) {
		return journal.Verdict{Kind: journal.Raised, Fault: f}
	}
	return journal.Verdict{Kind: journal.Raised, Refused: &r, Fault: &journal.Fault{Code: r.Code, Message: r.Message}}
}
