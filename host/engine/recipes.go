package engine

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/rekey-host/rekey/host/password"
	"github.com/rekey-host/rekey/sdk"
)

// recipes combines the policies of the targets of a generate, once for each
// combination.
type recipes struct {
	backends []Backend // in the script's order
	policies *policies
	standard *password.Spec

	mu    sync.Mutex
	known map[recipeKey]*recipe
}

// recipe is made once, however many users want it at the same time.
type recipe struct {
	made atomic.Pointer[password.Recipe] // nil: not yet, or it could not be made
	mu   sync.Mutex                      // of whoever makes it
}

type recipeKey struct {
	spec    *password.Spec
	kind    string
	targets string
}

func (r *recipes) of(ctx context.Context, wish GenerateStep) (*password.Recipe, error) {
	spec := wish.Policy
	if spec == nil {
		spec = r.standard
	}
	key := recipeKey{spec, wish.Kind, "*"}
	if wish.Targets != nil {
		key.targets = "=" + strings.Join(wish.Targets, "\x00")
	}
	cell := r.cell(key)
	if made := cell.made.Load(); made != nil {
		return made, nil
	}
	cell.mu.Lock()
	defer cell.mu.Unlock()
	if made := cell.made.Load(); made != nil {
		return made, nil
	}
	demands, err := r.demands(ctx, wish)
	if err != nil {
		return nil, err
	}
	made, err := password.Combine(spec, demands)
	if err != nil {
		return nil, err
	}
	cell.made.Store(made)
	return made, nil
}

func (r *recipes) cell(key recipeKey) *recipe {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.known[key] == nil {
		r.known[key] = &recipe{}
	}
	return r.known[key]
}

// notes say what the values are like that were asked for, and which wishes
// were dropped for it.
func (r *recipes) notes() []string {
	var list []string
	for key, cell := range r.known {
		made := cell.made.Load()
		if made == nil {
			continue
		}
		text := fmt.Sprintf("generated values have %s and %.0f bits of entropy", made.Shape(), made.Entropy())
		if key.kind != "" {
			text = fmt.Sprintf("kind %q: %s", key.kind, text)
		}
		if dropped := made.Dropped(); len(dropped) > 0 {
			text += "; dropped: " + strings.Join(dropped, "; ")
		}
		list = append(list, text)
	}
	slices.Sort(list)
	return list
}

func (r *recipes) demands(ctx context.Context, wish GenerateStep) ([]password.Demand, error) {
	wanted := map[string]bool{}
	for _, label := range wish.Targets {
		wanted[label] = true
	}
	var demands []password.Demand
	for _, backend := range r.backends {
		if wish.Targets != nil && !wanted[backend.Label] {
			continue
		}
		policy, err := r.policies.of(ctx, backend, wish.Kind)
		if failure := sdk.AsError(err, sdk.TargetError); failure != nil && failure.Code == sdk.InvalidOperation && !backend.Description.HasKind(wish.Kind) {
			return nil, static(noKind(backend, wish.Kind))
		}
		if err != nil {
			return nil, err
		}
		demands = append(demands, password.Demand{Owner: backend.Label, Policy: policy})
	}
	return demands, nil
}
