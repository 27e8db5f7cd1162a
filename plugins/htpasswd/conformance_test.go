package htpasswd_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/rekey-host/rekey/plugins/htpasswd"
	"github.com/rekey-host/rekey/plugins/kept/kepttest"
	"github.com/rekey-host/rekey/sdk"
	"github.com/rekey-host/rekey/sdk/backendtest"
)

// accounts are names as password files have them, with comments and another
// program's field between them.
const accounts = "# staff\nann:!\nbob:!\n\n# guests\ncy@acme.example:!\nDée Jr:!\nother:!:more\n"

// target makes a password file that Apache's htpasswd is asked about.
func target(t testing.TB) backendtest.Target {
	path := filepath.Join(t.TempDir(), "users.htpasswd")
	if err := os.WriteFile(path, []byte(accounts), 0o600); err != nil {
		t.Fatal(err)
	}
	return backendtest.Target{
		Config:   sdk.Config{Values: map[string]any{"path": path, "hash": "sha512", "cost": int64(1000)}},
		Accounts: []string{"ann", "bob", "cy@acme.example", "Dée Jr"},
		Missing:  "nobody",
		Holds: func(account, _, value string) bool {
			return exec.Command("htpasswd", "-vb", path, account, value).Run() == nil
		},
		Wrong: []backendtest.Wrong{
			{Field: "path"},
			{Field: "hash", Value: "rot13"},
			{Field: "cost", Value: int64(-1)},
		},
		Down: func() { _ = os.RemoveAll(filepath.Dir(path)) },
	}
}

func TestBackendKeepsTheContract(t *testing.T) {
	backendtest.Run(t, backendtest.Options{Backend: htpasswd.New(), Target: target, Report: kepttest.Report(t, "../kept/htpasswd.json")})
}

func TestExecutableKeepsTheContract(t *testing.T) {
	path := backendtest.Build(t, "./rekey-backend-htpasswd")
	backendtest.RunExecutable(t, backendtest.Options{Target: target}, path)
}
