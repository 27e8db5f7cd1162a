package backendtest

import (
	"fmt"
	"sync/atomic"
	"testing"

	"github.com/rekey-host/rekey/sdk"
	"github.com/rekey-host/rekey/sdk/memory"
	"github.com/rekey-host/rekey/sdk/secret"
)

// numbered makes labels that no other target has: a memory backend keeps its
// accounts by label.
type numbered struct{ n atomic.Int64 }

func (l *numbered) target(values map[string]any) func(testing.TB) Target {
	return func(testing.TB) Target {
		v := map[string]any{"create": false, "accounts": []string{"ann", "bob", "cy@acme.example", "uid=dee,dc=acme"}, "locked": []string{"lou"}}
		for name, value := range values {
			v[name] = value
		}
		return Target{
			Config:   sdk.Config{Label: fmt.Sprint("memory", l.n.Add(1)), Values: v},
			Accounts: []string{"ann", "bob", "cy@acme.example", "uid=dee,dc=acme"},
			Missing:  "nobody",
			Refusing: map[string]sdk.Code{"lou": sdk.AccountStatus},
			Locked:   "lou",
			History:  v["history"] != nil,
			Wrong: []Wrong{
				{Field: "history", Value: int64(-1)},
				{Field: "accounts", Value: []string{"ann", ""}},
			},
		}
	}
}

// loggedIn is a target that logs in as an account of its own.
func (l *numbered) loggedIn(t testing.TB) Target {
	x := l.target(map[string]any{"login": "svc"})(t)
	x.Own, x.OwnValue = "svc", "the configured password"
	x.Config.Secrets = map[string]secret.Value{"login_password": secret.New(x.OwnValue)}
	return x
}

// variants are the memory backends that have to pass: between them they have
// every ability, with and without kinds, policy, history and batches.
func variants() map[string]Options {
	l := &numbered{}
	strict := func(t testing.TB) Target {
		x := l.target(map[string]any{"history": int64(3)})(t)
		x.Weak = "weak value"
		return x
	}
	return map[string]Options{
		"plain":  {Backend: memory.New(), Target: l.target(nil)},
		"login":  {Backend: memory.New(), Target: l.loggedIn},
		"create": {Backend: memory.New(), Target: func(t testing.TB) Target { x := l.target(map[string]any{"create": true})(t); x.Missing = ""; return x }},
		"strict": {Backend: &memory.Backend{Batch: 2, Kinds: []sdk.Kind{{Name: "sip"}, {Name: "web"}}, Policy: sdk.Policy{MinLength: 8, Upper: 1, Digits: 1}}, Target: strict},
		"batch":  {Backend: &memory.Backend{Batch: 64}, Target: l.target(nil)},
	}
}

func TestMemoryKeepsTheContract(t *testing.T) {
	for name, o := range variants() {
		t.Run(name, func(t *testing.T) {
			Run(t, o)
		})
	}
}
