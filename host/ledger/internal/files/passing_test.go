package files

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
)

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// TestADirectoryForAMomentIsHeldByOne of the user's processes, and is not the
// user's to take where it is another's.
func TestADirectoryForAMomentIsHeldByOne(t *testing.T) {
	dir := t.TempDir()
	f, err := HoldDir(dir)
	must(t, err)
	if other, err := HoldDir(dir); !errors.Is(err, errSwept) {
		t.Errorf("a second holds it: %v, %v", other, err)
	}
	must(t, f.Close())
	f, err = HoldDir(dir)
	must(t, err)
	must(t, f.Close())
	if _, err := HoldDir(filepath.Join(dir, "none")); !errors.Is(err, errSwept) {
		t.Errorf("one that is gone: %v", err)
	}
	file := filepath.Join(dir, "file")
	must(t, os.WriteFile(file, nil, 0o600))
	if _, err := HoldDir(file); err == nil || errors.Is(err, errSwept) {
		t.Errorf("a file: %v", err)
	}
	if os.Getuid() != 0 {
		return
	}
	must(t, os.Chown(dir, 65534, -1))
	if _, err := HoldDir(dir); !errors.Is(err, errSwept) {
		t.Errorf("another user's: %v", err)
	}
}
