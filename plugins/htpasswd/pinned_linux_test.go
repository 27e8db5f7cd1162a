package htpasswd

import (
	"context"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/rekey-host/rekey/sdk"
)

func pipe(t *testing.T, path string) {
	t.Helper()
	if err := syscall.Mkfifo(path, 0o600); err != nil {
		t.Fatal(err)
	}
}

// found says whether Check has a bad finding with the words.
func found(i *Instance, words string) bool {
	for _, f := range i.Check(context.Background()) {
		if f.Severity == sdk.Bad && strings.Contains(f.Message, words) {
			return true
		}
	}
	return false
}

func TestAFileThatCannotBeReplacedIsFoundByCheck(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("mounts and attributes need root, as CI has it")
	}
	const file = "ann:x\n"
	for _, c := range []struct {
		name, words string
		pin, unpin  func(path string) error
	}{
		{"a mount of its own", "mount of its own", func(path string) error { return syscall.Mount(path, path, "", syscall.MS_BIND, "") },
			func(path string) error { return syscall.Unmount(path, syscall.MNT_DETACH) }},
		{"immutable", "immutable", chattr("+i"), chattr("-i")},
		{"append-only", "immutable or append-only", chattr("+a"), chattr("-a")},
	} {
		t.Run(c.name, func(t *testing.T) {
			i, path := open(t, file, "hash", "apr1", "cost", int64(10))
			if err := c.pin(path); err != nil {
				t.Skipf("not on this file system: %v", err)
			}
			defer func() {
				if err := c.unpin(path); err != nil {
					t.Error(err)
				}
			}()
			if !found(i, c.words) {
				t.Errorf("Check finds %q", findings(i, path))
			}
			if r := i.Apply(t.Context(), set("ann", "y")); r.Outcome != sdk.Refused {
				t.Errorf("set: %v", r.Outcome)
			}
			if got := content(t, path); got != file {
				t.Errorf("the file is %q", got)
			}
		})
	}
}

func TestAReadOnlyFileIsFoundByCheck(t *testing.T) {
	i, path := open(t, "ann:x\n")
	if err := os.Chmod(path, 0o440); err != nil {
		t.Fatal(err)
	}
	if got := found(i, "permission denied"); got != (os.Geteuid() != 0) {
		t.Errorf("found: %v; root may write it, others not", got)
	}
}

func chattr(how string) func(string) error {
	return func(path string) error { return exec.Command("chattr", how, path).Run() }
}

// TestAPipeKeepsNobodyWaiting: opening one waits for its writer.
func TestAPipeKeepsNobodyWaiting(t *testing.T) {
	path := t.TempDir() + "/users"
	pipe(t, path)
	i := configure(t, path)
	done := make(chan []string, 1)
	go func() { done <- findings(i, path) }()
	select {
	case got := <-done:
		if len(got) != 1 || !strings.Contains(got[0], "is not a regular file") {
			t.Errorf("Check finds %q", got)
		}
	case <-time.After(20 * time.Second):
		_ = os.WriteFile(path, nil, 0o600) // frees it
		t.Fatal("Check waits for a writer")
	}
}
