package backendtest

import (
	"os/exec"
	"path/filepath"
	"testing"
)

// Build compiles a Go program, named as `go build` takes it, and returns its
// executable, which the test's end removes: for RunExecutable.
func Build(t testing.TB, pkg string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), filepath.Base(pkg))
	if out, err := exec.CommandContext(t.Context(), "go", "build", "-o", path, pkg).CombinedOutput(); err != nil {
		t.Fatalf("go build %s: %v\n%s", pkg, err, out)
	}
	return path
}
