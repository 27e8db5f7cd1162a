package main

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/rekey-host/rekey/sdk"
	"github.com/rekey-host/rekey/sdk/backendtest"
	"github.com/rekey-host/rekey/sdk/internal/sdktest"
)

func target(t testing.TB) backendtest.Target {
	path := filepath.Join(t.TempDir(), "accounts.json")
	if err := os.WriteFile(path, []byte(`{"ann": {}, "bob": {}, "cy": {}}`), 0o600); err != nil {
		t.Fatal(err)
	}
	return backendtest.Target{
		Config:   sdk.Config{Values: map[string]any{"path": path}},
		Accounts: []string{"ann", "bob", "cy"},
		Missing:  "nobody",
		Down:     func() { _ = os.Remove(path) },
		Away: func() (back func()) {
			_ = os.Rename(path, path+".away")
			return func() { _ = os.Rename(path+".away", path) }
		},
	}
}

func TestBackendKeepsTheContract(t *testing.T) {
	backendtest.Run(t, backendtest.Options{Backend: backend{}, Target: target})
}

func TestExecutableKeepsTheContract(t *testing.T) {
	backendtest.RunExecutable(t, backendtest.Options{Target: target}, backendtest.Build(t, "."))
}

func TestTheExampleIsShort(t *testing.T) { sdktest.Short(t, "main.go", 100) }
