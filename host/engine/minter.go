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
	simulated   bool            // as at plan: no backend is asked for a value, and nothing is tried twice
}

func newMinter(soft context.Context, job *Job, dispatchers map[string]*dispatcher) minter {
	m := minter{job: job, dispatchers: dispatchers, soft: soft, simulated: true, policies: &policies{known: map[[2]string]sdk.Policy{}}, pools: &pools{values: map[poolKey][]secret.Value{}}}
	for i := range job.Backends {
		if len(job.Backends[i].Description.Kinds) > 0 {
			m.kinds = append(m.kinds, &job.Backends[i])
		}
	}
	m.recipes = &recipes{backends: job.Backends, policies: m.policies, standard: job.Policy, known: map[recipeKey]*recipe{}}
	return m
}

// ofKind returns a *Fault if the backends that the value is for have kinds of
// credentials, and none has that one. Where none is given the backend's rules
// are asked without one.
func (m *minter) ofKind(g GenerateStep) *journal.Fault {
	var other *Backend
	for _, b := range m.kinds {
		if !g.isFor(b.Label) {
			continue
		}
		if b.Description.HasKind(g.Kind) {
			return nil
		}
		other = b
	}
	if other == nil || g.Kind == "" && g.Generator == "" {
		return nil
	}
	return static(noKind(*other, g.Kind))
}

// mint makes one value. What a backend is asked for that, its rules or its own
// values, it is asked again as often as an operation is tried, where a moment
// may mend what kept it from answering: no user fails because a plugin was
// restarted just then.
func (m *minter) mint(ctx context.Context, g GenerateStep, names []string) (v secret.Value, err error) {
	for tries := newRetry(m.job.attempts()); ; {
		v, err = m.mintOnce(ctx, g, names)
		e := uncancelled(sdk.AsError(err, sdk.PolicyViolation))
		tries.spend()
		passes := e != nil && (e.Code.Transient() || e.Code == sdk.ConnectionLost)
		if m.simulated || !passes || tries.spent() {
			return v, err
		}
		if m.job.Clock.Sleep(m.soft, tries.wait(e.RetryAfter)) != nil {
			return v, cancelled()
		}
	}
}

func (m *minter) mintOnce(ctx context.Context, g GenerateStep, names []string) (secret.Value, error) {
	if g.failed != nil && *g.failed != nil {
		err := *g.failed
		*g.failed = nil
		return secret.Value{}, err
	}
	if g.Generator != "" {
		return m.suggested(ctx, g)
	}
	r, err := m.recipes.of(ctx, g)
	if err != nil {
		return secret.Value{}, err
	}
	return r.Generate(m.job.Random, names)
}

// suggested is a value of a backend's own generator; at plan, where nothing is
// written, the backend is not asked.
func (m *minter) suggested(ctx context.Context, g GenerateStep) (secret.Value, error) {
	if err := m.generates(g.Generator); err != nil {
		return secret.Value{}, err
	}
	if m.simulated {
		return secret.New("simulated"), nil
	}
	return m.pools.next(ctx, m.dispatchers[g.Generator], g.Kind, g.drawn)
}

// generates returns a *Fault if the backend has no generator of its own.
func (m *minter) generates(label string) error {
	if l := m.dispatchers[label]; l == nil || !l.backend.Can(sdk.CanGenerate) {
		return static(misuse("generate: backend %q has no generator", label))
	}
	return nil
}

// mintFailure is a value that could not be made on trial.
type mintFailure struct {
	ordinal int // of the generate
	err     error
}
