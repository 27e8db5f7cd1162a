package backendtest_test

import (
	"testing"

	"github.com/rekey-host/rekey/sdk"
	"github.com/rekey-host/rekey/sdk/backendtest"
	"github.com/rekey-host/rekey/sdk/memory"
)

// A backend's test names the backend and makes a fresh target for each promise.
func Example() {
	_ = func(t *testing.T) { // TestContract of the backend's package
		backendtest.Run(t, backendtest.Options{
			Backend: memory.New(),
			Target: func(testing.TB) backendtest.Target {
				return backendtest.Target{Config: sdk.Config{Values: map[string]any{"create": false, "accounts": []string{"ann", "bob", "cy"}}},
					Accounts: []string{"ann", "bob", "cy"}, Missing: "nobody"}
			},
		})
	}
	// Output:
}
