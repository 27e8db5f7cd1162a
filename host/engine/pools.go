package engine

import (
	"context"
	"slices"
	"sync"

	"github.com/rekey-host/rekey/sdk"
	"github.com/rekey-host/rekey/sdk/secret"
)

// poolSize is the most values that a backend's generator is asked for at once.
const poolSize = 32

// poolKey is a backend's label and a kind.
type poolKey [2]string

// pools hold values that backends suggested and no user has taken yet. They are
// sealed when an intent carries them, like any other.
type pools struct {
	asking keyLocks[poolKey]

	mu     sync.Mutex
	values map[poolKey][]secret.Value
	demand demand
}

// next returns a value that the backend's own generator made.
func (p *pools) next(ctx context.Context, dispatcher *dispatcher, kind string, drawn *[]poolKey) (secret.Value, error) {
	key := poolKey{dispatcher.backend.Label, kind}
	done, err := p.asking.take(ctx, key)
	if err != nil {
		return secret.Value{}, cancelled()
	}
	defer done()
	value, left := p.take(key)
	if left {
		p.demand.take(key, drawn)
		return value, nil
	}
	got, err := p.refill(ctx, dispatcher, key)
	if err != nil {
		return secret.Value{}, err
	}
	p.demand.take(key, drawn)
	p.mu.Lock()
	defer p.mu.Unlock()
	p.values[key] = got[1:]
	return got[0], nil
}

// take returns a value that no user has taken yet.
func (p *pools) take(key poolKey) (secret.Value, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	list := p.values[key]
	if len(list) == 0 {
		return secret.Value{}, false
	}
	p.values[key] = list[1:]
	return list[0], true
}

func (p *pools) refill(ctx context.Context, dispatcher *dispatcher, key poolKey) ([]secret.Value, error) {
	var got []secret.Value
	var failure error
	if err := dispatcher.direct(ctx, func(ctx context.Context) {
		got, failure = dispatcher.backend.Instance.Generate(ctx, key[1], p.demand.left(key))
	}); err != nil {
		return nil, cancelled()
	}
	if failure != nil {
		return nil, failure
	}
	if len(got) == 0 {
		return nil, sdk.Errorf(sdk.TargetError, "backend %q generated no value", dispatcher.backend.Label)
	}
	return got, nil
}

// demand counts the users for whom a value may be asked yet, so that no more are
// asked for: some generators make one value a request. It is safe for
// concurrent use.
type demand struct {
	mu    sync.Mutex
	users int             // read from the plan and not ended
	taken map[poolKey]int // of them, those that have taken a value
}

func (w *demand) come(users int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.users += users
}

// take notes that a user has taken a value; a second one of a user was not
// foreseen and is not counted.
func (w *demand) take(key poolKey, taken *[]poolKey) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if taken == nil || slices.Contains(*taken, key) {
		return
	}
	*taken = append(*taken, key)
	if w.taken == nil {
		w.taken = map[poolKey]int{}
	}
	w.taken[key]++
}

// leave notes that a user has ended.
func (w *demand) leave(taken []poolKey) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.users--
	for _, key := range taken {
		w.taken[key]--
	}
}

// ended is leave of users who have taken nothing.
func (w *demand) ended(users int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.users -= users
}

// left is how many values to ask for, at least one.
func (w *demand) left(key poolKey) int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return max(1, min(poolSize, w.users-w.taken[key]))
}
