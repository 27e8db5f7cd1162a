package engine

import (
	"context"
	"fmt"
	"sync"

	"github.com/rekey-host/rekey/host/journal"
	"github.com/rekey-host/rekey/host/password"
	"github.com/rekey-host/rekey/sdk"
)

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
func (p *policies) of(ctx context.Context, backend Backend, kind string) (sdk.Policy, error) {
	if !backend.Can(sdk.CanPolicy) {
		return sdk.Policy{}, nil
	}
	if !backend.Description.HasKind(kind) {
		kind = ""
	}
	key := [2]string{backend.Label, kind}
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
	ctx, cancel := context.WithTimeout(ctx, backend.Timeout)
	defer cancel()
	got, err := backend.Instance.Policy(ctx, "", kind)
	if err != nil {
		err = fmt.Errorf("policy of backend %q: %w", backend.Label, err)
	}
	p.note(key, got, err)
	return got, err
}

// told returns the known rules of a key, and the failure to ask for them; ok is
// false if the rules are not known.
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

// violations are the rules of a backend that a step's value breaks, as far as
// they are known: the backend says the others itself.
func (p *policies) violations(ctx context.Context, backend Backend, step journal.Step) []sdk.Violation {
	if step.HashFormat != "" {
		return nil
	}
	policy, err := p.of(ctx, backend, step.Kind)
	if err != nil {
		return nil
	}
	return violated(policy, step)
}

// violated are the rules of a policy that the step's value breaks.
func violated(policy sdk.Policy, step journal.Step) []sdk.Violation {
	return password.Check(policy, step.Value.Secret(), []string{step.Account})
}

func rulesOf(broken []sdk.Violation) string {
	text := ""
	for i, violation := range broken {
		if i > 0 {
			text += ", "
		}
		text += string(violation.Rule)
		if violation.Limit != 0 {
			text += fmt.Sprintf(" %d", violation.Limit)
		}
	}
	return text
}
