package backendtest

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// Build compiles a Go program, named as `go build` takes it, and returns its
// executable, which the test's end removes: for RunExecutable.
func Build(t testing.TB, pkg string) string {
	t.Helper()
	dir := t.TempDir()
	if out, err := exec.CommandContext(t.Context(), "go", "build", "-o", dir+string(filepath.Separator), pkg).CombinedOutput(); err != nil {
		t.Fatalf("go build %s: %v\n%s", pkg, err, out)
	}
	made, err := os.ReadDir(dir)
	if err != nil || len(made) != 1 {
		t.Fatalf("go build %s: made %d files, want a program (%v)", pkg, len(made), err)
	}
	return filepath.Join(dir, made[0].Name())
}
