package file_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rekey-host/rekey/plugins/file"
	"github.com/rekey-host/rekey/plugins/kept/kepttest"
	"github.com/rekey-host/rekey/sdk"
	"github.com/rekey-host/rekey/sdk/backendtest"
)

// settings is a JSON file as programs have one.
const settings = "{\n  \"name\": \"app\",\n  \"db\": {\"user\": \"app\", \"password\": \"old\", \"port\": 5432},\n  \"queues\": [\"first\", \"second\"]\n}\n"

// target is a file that the test reads by itself.
func target(t testing.TB) backendtest.Target {
	path := filepath.Join(t.TempDir(), "settings.json")
	if err := os.WriteFile(path, []byte(settings), 0o640); err != nil {
		t.Fatal(err)
	}
	return backendtest.Target{
		Config:   sdk.Config{Values: map[string]any{"path": path, "format": "json", "min_length": int64(6)}},
		Accounts: []string{"/db/password", "/queues/0", "/name"},
		Missing:  "/db/nothing",
		Weak:     "short",
		Holds: func(account, _, value string) bool {
			text, err := os.ReadFile(path)
			var has struct {
				Name   string
				DB     struct{ Password string }
				Queues []string
			}
			if err != nil || json.Unmarshal(text, &has) != nil {
				return false
			}
			return map[string]string{"/db/password": has.DB.Password, "/queues/0": has.Queues[0], "/name": has.Name}[account] == value
		},
		Wrong: []backendtest.Wrong{
			{Field: "path"},
			{Field: "format"},
			{Field: "format", Value: "toml"},
			{Field: "template", Value: path},
			{Field: "reload", Value: []string{"systemctl"}},
			{Field: "signal", Value: "KILL"},
			{Field: "min_length", Value: int64(-1)},
			{Field: "names", Value: []string{"*USER*"}},
			{Field: "names", Value: []string{"DB_USER_PASSWORD"}},
		},
		Down: func() { _ = os.RemoveAll(filepath.Dir(path)) },
	}
}

func TestBackendKeepsTheContract(t *testing.T) {
	backendtest.Run(t, backendtest.Options{Backend: file.New(), Target: target, Report: kepttest.Report(t, "../kept/file.json")})
}

func TestExecutableKeepsTheContract(t *testing.T) {
	path := backendtest.Build(t, "./rekey-backend-file")
	backendtest.RunExecutable(t, backendtest.Options{Target: target}, path)
}

// TestContractOfFormatsThatCarryLess: values are of what all programs read alike.
func TestContractOfFormatsThatCarryLess(t *testing.T) {
	backendtest.Run(t, backendtest.Options{Backend: file.New(), Target: func(t testing.TB) backendtest.Target {
		made := target(t)
		path := made.Config.Values["path"].(string)
		if err := os.WriteFile(path, []byte("# of the app\nA=old\nexport B='old'\r\nC = \"old\"\n"), 0o640); err != nil {
			t.Fatal(err)
		}
		made.Config.Values["format"] = "env"
		made.Accounts, made.Missing = []string{"A", "B", "C"}, "D"
		made.Value = func(n int) string { return "value-" + strings.Repeat("x", n) }
		made.Holds = nil
		return made
	}})
}
