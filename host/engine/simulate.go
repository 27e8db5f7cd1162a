package engine

import (
	"context"
	"slices"

	"github.com/rekey-host/rekey/host/journal"
	"github.com/rekey-host/rekey/host/password"
	"github.com/rekey-host/rekey/host/source"
)

// Simulated is what rotate does for one user when each step succeeds.
type Simulated struct {
	Steps   []SimulatedStep
	Status  journal.Status
	Verdict journal.Verdict
}

// SimulatedStep is one step of it, or one value that it makes.
type SimulatedStep struct {
	Ordinal int
	Step    journal.Step // of a generate empty
	Value   *SimulatedValue
}

// SimulatedValue is how a value would be made.
type SimulatedValue struct {
	Kind, Generator string
	Shape           string              // "20 characters"; "" where a backend makes it
	Rules           []password.RuleText // of all owners
	Dropped         []string            // wishes that the rules leave no room for
}

// Simulate calls rotate for one user on simulated steps, whose prints are shown.
// Nothing reaches an account.
func Simulate(ctx context.Context, job PlanJob, row source.Row) Simulated {
	made := &planner{PlanJob: job}
	made.setUp(ctx)
	defer made.stage.softEnd(nil)
	verdict := made.call(ctx, row, simulation{notes: true}, false)
	out := Simulated{Verdict: verdict, Status: statusTried(verdict, len(made.sim.changes()) > 0)}
	for i, step := range made.sim.asked {
		out.Steps = append(out.Steps, SimulatedStep{Ordinal: made.sim.at[i], Step: step})
	}
	for ordinal, wish := range made.sim.wishes {
		out.Steps = append(out.Steps, SimulatedStep{Ordinal: ordinal, Value: made.explained(ctx, wish)})
	}
	slices.SortFunc(out.Steps, func(a, b SimulatedStep) int { return a.Ordinal - b.Ordinal })
	return out
}

// explained is how a value is made that a step wished for.
func (e *exerciser) explained(ctx context.Context, wish GenerateStep) *SimulatedValue {
	value := &SimulatedValue{Kind: wish.Kind, Generator: wish.Generator}
	if wish.Generator != "" {
		return value
	}
	if recipe, err := e.stage.recipes.of(ctx, wish); err == nil {
		value.Shape, value.Rules, value.Dropped = recipe.Shape(), recipe.Rules(), recipe.Dropped()
	}
	return value
}
