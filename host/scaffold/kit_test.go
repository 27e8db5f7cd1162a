package scaffold_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/rekey-host/rekey/host/scaffold"
	"github.com/rekey-host/rekey/sdk/backendtest"
	"github.com/rekey-host/rekey/sdk/backendtest/targetfile"
)

// TestNewBackendsKeepTheContract: as they are written. The other three are those of plugins/README.md,
// which a test of the command follows.
func TestNewBackendsKeepTheContract(t *testing.T) {
	for _, kind := range []struct{ lang, target string }{
		{"go", "sql"}, {"go", "command"}, {"python", "http"}, {"python", "command"}, {"node", "http"}, {"node", "sql"},
	} {
		t.Run(kind.lang+" "+kind.target, func(t *testing.T) {
			t.Parallel()
			folder, err := scaffold.Write(scaffold.Options{Name: "users", Lang: kind.lang, Target: kind.target, Dir: t.TempDir()})
			if err != nil {
				t.Fatal(err)
			}
			ready(t, kind.lang, folder)
			file, err := targetfile.Read(filepath.Join(folder, "target.json"))
			if err != nil {
				t.Fatal(err)
			}
			backendtest.RunExecutable(t, backendtest.Options{Target: file.Target}, filepath.Join(folder, "rekey-backend-users"))
		})
	}
}

// ready does what the page of a new backend says comes first.
func ready(t *testing.T, lang, folder string) {
	t.Helper()
	switch lang {
	case "go":
		build := exec.CommandContext(t.Context(), "go", "build", ".")
		build.Dir, build.Env = folder, append(os.Environ(), "GOFLAGS=", "GOWORK=off")
		if out, err := build.CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
	case "python":
		if out, err := exec.CommandContext(t.Context(), "/usr/bin/python3", "-c", "import grpc, google.protobuf").CombinedOutput(); err != nil {
			t.Fatalf("apt-get install python3-grpcio openssl: %v\n%s", err, out)
		}
	case "node":
		if err := os.CopyFS(filepath.Join(folder, "node_modules"), os.DirFS("../../sdk/node/node_modules")); err != nil {
			t.Fatalf("make packages: %v", err)
		}
	}
}
