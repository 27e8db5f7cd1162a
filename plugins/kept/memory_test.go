package kept_test

import (
	"fmt"
	"maps"
	"sync/atomic"
	"testing"

	"github.com/rekey-host/rekey/plugins/kept/kepttest"
	"github.com/rekey-host/rekey/sdk"
	"github.com/rekey-host/rekey/sdk/backendtest"
	"github.com/rekey-host/rekey/sdk/memory"
	"github.com/rekey-host/rekey/sdk/secret"
)

// TestMemoryKeepsTheContract: the backend of rehearsals ships too.
func TestMemoryKeepsTheContract(t *testing.T) {
	report := kepttest.Report(t, "memory.json")
	t.Run("history", func(t *testing.T) {
		inMemory(t, report, func(target *backendtest.Target) {
			target.Config.Values["history"], target.History = int64(3), true
		})
	})
	t.Run("login", func(t *testing.T) {
		inMemory(t, report, func(target *backendtest.Target) {
			target.Own, target.OwnValue = "svc", "the configured password"
			target.Config.Values["login"] = target.Own
			target.Config.Secrets = map[string]secret.Value{"login_password": secret.New(target.OwnValue)}
		})
	})
}

func inMemory(t *testing.T, report func(backendtest.Promise), with func(*backendtest.Target)) {
	var made atomic.Int64 // a label keeps its accounts
	accounts := []string{"ann", "bob", "cy"}
	values := map[string]any{"create": false, "accounts": accounts, "locked": []string{"lou"}}
	backendtest.Run(t, backendtest.Options{Backend: memory.New(), Report: report, Target: func(testing.TB) backendtest.Target {
		target := backendtest.Target{
			Config:   sdk.Config{Label: fmt.Sprint("memory", made.Add(1)), Values: maps.Clone(values)},
			Accounts: accounts,
			Missing:  "none",
			Refusing: map[string]sdk.Code{"lou": sdk.AccountStatus},
			Locked:   "lou",
			Wrong:    []backendtest.Wrong{{Field: "history", Value: int64(-1)}, {Field: "accounts", Value: []string{"ann", ""}}},
		}
		with(&target)
		return target
	}})
}
