package engine

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rekey-host/rekey/host/journal"
	"github.com/rekey-host/rekey/host/password"
	"github.com/rekey-host/rekey/sdk"
	"github.com/rekey-host/rekey/sdk/secret"
)

// Generate mints a value that satisfies the policies of its targets. On a
// replay it is the value that the ledger holds, if an intent carried it.
func (s *Steps) Generate(ctx context.Context, g GenerateStep) (*journal.Value, error) {
	s.n++
	if f := s.run.ofKind(g); f != nil {
		return nil, f
	}
	if s.trial != nil {
		return s.trial.generate(ctx, g)
	}
	v := &journal.Value{Origin: s.n}
	g.drawn = &s.drawn
	if s.mintFailure != nil && s.mintFailure.ordinal == s.n {
		g.failed = &s.mintFailure.err
	}
	v.Another = func(ctx context.Context) (secret.Value, error) { return s.run.mint(ctx, g, s.names) }
	if err := s.history.Replay.NoStepAt(s.n, "generate"); err != nil {
		return nil, diverged(err)
	}
	if kept := s.history.Replay.Generated(s.n); kept != nil {
		was, err := s.unseal(kept, journal.RoleValue, kept.Sealed)
		if err != nil {
			return nil, s.run.broken(err)
		}
		v.Replace(was)
		return v, nil
	}
	fresh, err := v.Another(ctx)
	if err != nil {
		return nil, generateFault(err)
	}
	v.Replace(fresh)
	return v, nil
}

// ofKind returns a *Fault if the backends that the value is for have kinds of
// credentials, and none has that one. Where none is given the backend's rules
// are asked without one.
func (r *run) ofKind(g GenerateStep) *journal.Fault {
	var other *Backend
	for _, b := range r.kinds {
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

// isFor reports whether the value has to satisfy the backend.
func (g GenerateStep) isFor(label string) bool {
	if g.Generator != "" {
		return label == g.Generator
	}
	return g.Targets == nil || slices.Contains(g.Targets, label)
}

func noKind(b Backend, given string) *journal.Fault {
	if given == "" {
		return misuse("generate: kind is missing: backend %q has %s; give one, or name other targets", b.Label, kindsOf(b.Description))
	}
	return misuse("generate: backend %q has no credential of kind %q; it has %s", b.Label, given, kindsOf(b.Description))
}

func generateFault(err error) *journal.Fault {
	var f *journal.Fault
	if errors.As(err, &f) {
		return f
	}
	e := sdk.AsError(err, sdk.PolicyViolation)
	return &journal.Fault{Code: e.Code, Message: "generate: " + e.Message, Static: isContradiction(err)}
}

// notMinted is the fault of a user for whom no further value could be made; a
// run that stops stays one.
func notMinted(err error, why string) error {
	if isCancelled(err) {
		return err
	}
	f := *generateFault(err)
	f.Message = why + ": " + f.Message
	return &f
}

// mint makes one value. What a backend is asked for that, its rules or its own
// values, it is asked again as often as an operation is tried, where a moment
// may mend what kept it from answering: no user fails because a plugin was
// restarted just then.
func (r *run) mint(ctx context.Context, g GenerateStep, names []string) (v secret.Value, err error) {
	for attempt, backoff := 1, time.Second; ; attempt, backoff = attempt+1, min(2*backoff, time.Minute) {
		v, err = r.mintOnce(ctx, g, names)
		e := uncancelled(sdk.AsError(err, sdk.PolicyViolation))
		passes := e != nil && (e.Code.Transient() || e.Code == sdk.ConnectionLost)
		if r.committer == nil || !passes || attempt >= r.attempts() {
			return v, err
		}
		if r.Clock.Sleep(r.soft, max(e.RetryAfter, r.jitter(backoff))) != nil {
			return v, cancelled()
		}
	}
}

// attempts is the most that a backend of the run is given.
func (r *run) attempts() int {
	n := 1
	for _, b := range r.Backends {
		n = max(n, b.Attempts)
	}
	return n
}

func (c *run) mintOnce(ctx context.Context, g GenerateStep, names []string) (secret.Value, error) {
	if g.failed != nil && *g.failed != nil {
		err := *g.failed
		*g.failed = nil
		return secret.Value{}, err
	}
	if g.Generator != "" {
		return c.suggested(ctx, g)
	}
	r, err := c.recipes.of(ctx, g)
	if err != nil {
		return secret.Value{}, err
	}
	return r.Generate(c.Random, names)
}

// suggested is a value of a backend's own generator; at plan, where nothing is
// written, the backend is not asked.
func (r *run) suggested(ctx context.Context, g GenerateStep) (secret.Value, error) {
	if err := r.generates(g.Generator); err != nil {
		return secret.Value{}, err
	}
	if r.committer == nil {
		return secret.New("simulated"), nil
	}
	return r.pools.next(ctx, r.dispatchers[g.Generator], g)
}

// generates returns a *Fault if the backend has no generator of its own.
func (r *run) generates(label string) error {
	if l := r.dispatchers[label]; l == nil || !l.backend.Can(sdk.CanGenerate) {
		return static(misuse("generate: backend %q has no generator", label))
	}
	return nil
}

// policies asks each backend once for the rules of a kind. It is safe for
// concurrent use.
type policies struct {
	asking keyLocks[[2]string]

	mu     sync.Mutex
	known  map[[2]string]sdk.Policy
	failed map[[2]string]failedPolicy
}

// failedPolicy is why rules were not told, and how often: all users want them at
// once, and those who waited for a call that failed share its failure.
type failedPolicy struct {
	err   error
	calls int
}

// of returns the rules of a backend for a kind; of a backend that does not
// tell, none.
func (p *policies) of(ctx context.Context, b Backend, kind string) (sdk.Policy, error) {
	if !b.Can(sdk.CanPolicy) {
		return sdk.Policy{}, nil
	}
	if !b.Description.HasKind(kind) {
		kind = ""
	}
	key := [2]string{b.Label, kind}
	known, failed, ok := p.told(key)
	if ok {
		return known, nil
	}
	done, err := p.asking.take(ctx, key)
	if err != nil {
		return sdk.Policy{}, cancelled()
	}
	defer done()
	known, since, ok := p.told(key)
	switch {
	case ok:
		return known, nil
	case since.calls > failed.calls:
		return sdk.Policy{}, since.err
	}
	ctx, cancel := context.WithTimeout(ctx, b.Timeout)
	defer cancel()
	got, err := b.Instance.Policy(ctx, "", kind)
	if err != nil {
		err = fmt.Errorf("policy of backend %q: %w", b.Label, err)
	}
	p.note(key, got, err)
	return got, err
}

// told returns what is known of a key, and what failed; ok is false if the rules
// are not known.
func (p *policies) told(key [2]string) (known sdk.Policy, failed failedPolicy, ok bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	known, ok = p.known[key]
	return known, p.failed[key], ok
}

func (p *policies) note(key [2]string, got sdk.Policy, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if err == nil {
		p.known[key] = got
		return
	}
	if p.failed == nil {
		p.failed = map[[2]string]failedPolicy{}
	}
	p.failed[key] = failedPolicy{err, p.failed[key].calls + 1}
}

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

func (r *recipes) of(ctx context.Context, g GenerateStep) (*password.Recipe, error) {
	spec := g.Policy
	if spec == nil {
		spec = r.standard
	}
	key := recipeKey{spec, g.Kind, "*"}
	if g.Targets != nil {
		key.targets = "=" + strings.Join(g.Targets, "\x00")
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
	demands, err := r.demands(ctx, g)
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
		text := fmt.Sprintf("generated values have %d characters and %.0f bits of entropy", made.Length(), made.Entropy())
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

func (r *recipes) demands(ctx context.Context, g GenerateStep) ([]password.Demand, error) {
	wanted := map[string]bool{}
	for _, label := range g.Targets {
		wanted[label] = true
	}
	var demands []password.Demand
	for _, b := range r.backends {
		if g.Targets != nil && !wanted[b.Label] {
			continue
		}
		p, err := r.policies.of(ctx, b, g.Kind)
		if e := sdk.AsError(err, sdk.TargetError); e != nil && e.Code == sdk.InvalidOperation && !b.Description.HasKind(g.Kind) {
			return nil, static(noKind(b, g.Kind))
		}
		if err != nil {
			return nil, err
		}
		demands = append(demands, password.Demand{Owner: b.Label, Policy: p})
	}
	return demands, nil
}

// poolSize is the most values that a backend's generator is asked for at once.
const poolSize = 32

// poolKey is a backend's label and a kind.
type poolKey [2]string

// pools hold values that backends suggested and nobody has taken yet. They are
// sealed when an intent carries them, like any other.
type pools struct {
	asking keyLocks[poolKey]

	mu     sync.Mutex
	values map[poolKey][]secret.Value
	demand demand
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

// next returns a value that the backend's own generator made.
func (p *pools) next(ctx context.Context, l *dispatcher, g GenerateStep) (secret.Value, error) {
	key := poolKey{l.backend.Label, g.Kind}
	done, err := p.asking.take(ctx, key)
	if err != nil {
		return secret.Value{}, cancelled()
	}
	defer done()
	v, left := p.take(key)
	if left {
		p.demand.take(key, g.drawn)
		return v, nil
	}
	got, err := p.refill(ctx, l, key)
	if err != nil {
		return secret.Value{}, err
	}
	p.demand.take(key, g.drawn)
	p.mu.Lock()
	defer p.mu.Unlock()
	p.values[key] = got[1:]
	return got[0], nil
}

// take returns a value that nobody has taken yet.
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

func (p *pools) refill(ctx context.Context, l *dispatcher, key poolKey) ([]secret.Value, error) {
	var got []secret.Value
	var failure error
	if err := l.direct(ctx, func(ctx context.Context) {
		got, failure = l.backend.Instance.Generate(ctx, key[1], p.demand.left(key))
	}); err != nil {
		return nil, cancelled()
	}
	if failure != nil {
		return nil, failure
	}
	if len(got) == 0 {
		return nil, sdk.Errorf(sdk.TargetError, "backend %q generated no value", l.backend.Label)
	}
	return got, nil
}

// Random is where the host's own values come from: crypto/rand outside tests.
type Random = io.Reader
