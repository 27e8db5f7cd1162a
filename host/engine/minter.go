package engine

import (
	"context"
	"io"

	"github.com/rekey-host/rekey/host/journal"
	"github.com/rekey-host/rekey/sdk"
	"github.com/rekey-host/rekey/sdk/secret"
)

// Random is where the host's own values come from: crypto/rand outside tests.
type Random = io.Reader

// minter makes the values of a run: the host's own, and those that backends
// suggest.
type minter struct {
	job         *Job
	kinds       []*Backend             // those whose credentials have kinds
	dispatchers map[string]*dispatcher // by label
	policies    *policies
	recipes     *recipes
	pools       *pools
	soft        context.Context // ends when the run stops
	attempts    int             // at one value; counted once, as backends may be many
	simulated   bool            // as at plan: no backend is asked for a value, and nothing is tried twice
}

func newMinter(soft context.Context, job *Job, dispatchers map[string]*dispatcher) minter {
	made := minter{job: job, dispatchers: dispatchers, soft: soft, attempts: job.attempts(), simulated: true, policies: &policies{known: map[[2]string]sdk.Policy{}}, pools: &pools{values: map[poolKey][]secret.Value{}}}
	for i := range job.Backends {
		if len(job.Backends[i].Description.Kinds) > 0 {
			made.kinds = append(made.kinds, &job.Backends[i])
		}
	}
	made.recipes = &recipes{backends: job.Backends, policies: made.policies, standard: job.Policy, known: map[recipeKey]*recipe{}}
	return made
}

// ofKind returns a *Fault if the backends that the value is for have kinds of
// credentials, and none has that one. Where none is given the backend's rules
// are asked without one.
func (m *minter) ofKind(wish GenerateStep) *journal.Fault {
	var other *Backend
	for _, backend := range m.kinds {
		if !wish.isFor(backend.Label) {
			continue
		}
		if backend.Description.HasKind(wish.Kind) {
			return nil
		}
		other = backend
	}
	if other == nil || wish.Kind == "" && wish.Generator == "" {
		return nil
	}
	return static(noKind(*other, wish.Kind))
}

// mint makes one value. What a backend is asked for that, its rules or its own
// values, it is asked again as often as an operation is tried, where a moment
// may mend what kept it from answering: no user fails because a plugin was
// restarted just then.
func (m *minter) mint(ctx context.Context, wish GenerateStep, names []string) (value secret.Value, err error) {
	for tries := newRetry(m.attempts); ; {
		value, err = m.mintOnce(ctx, wish, names)
		failure := uncancelled(sdk.AsError(err, sdk.PolicyViolation))
		tries.spend()
		passes := failure != nil && (failure.Code.Transient() || failure.Code == sdk.ConnectionLost)
		if m.simulated || !passes || tries.spent() {
			return value, err
		}
		if m.job.Clock.Sleep(m.soft, tries.wait(failure.RetryAfter)) != nil {
			return value, cancelled()
		}
	}
}

func (m *minter) mintOnce(ctx context.Context, wish GenerateStep, names []string) (secret.Value, error) {
	if wish.failed != nil && *wish.failed != nil {
		err := *wish.failed
		*wish.failed = nil
		return secret.Value{}, err
	}
	if wish.Generator != "" {
		return m.suggested(ctx, wish)
	}
	recipe, err := m.recipes.of(ctx, wish)
	if err != nil {
		return secret.Value{}, err
	}
	return recipe.Generate(m.job.Random, names)
}

// suggested is a value of a backend's own generator; at plan, where nothing is
// written, the backend is not asked.
func (m *minter) suggested(ctx context.Context, wish GenerateStep) (secret.Value, error) {
	if err := m.generates(wish.Generator); err != nil {
		return secret.Value{}, err
	}
	if m.simulated {
		return secret.New("simulated"), nil
	}
	return m.pools.next(ctx, m.dispatchers[wish.Generator], wish.Kind, wish.drawn)
}

// generates returns a *Fault if the backend has no generator of its own.
func (m *minter) generates(label string) error {
	if dispatcher := m.dispatchers[label]; dispatcher == nil || !dispatcher.backend.Can(sdk.CanGenerate) {
		return static(misuse("generate: backend %q has no generator", label))
	}
	return nil
}

// mintFailure is a value that could not be made on trial.
type mintFailure struct {
	ordinal int // of the generate
	err     error
}
