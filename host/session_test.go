package host_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rekey-host/rekey/host"
	"github.com/rekey-host/rekey/host/engine"
	"github.com/rekey-host/rekey/host/journal"
	"github.com/rekey-host/rekey/sdk"
	"github.com/rekey-host/rekey/sdk/memory"
)

// sessionUsers is how many users each of two runs at once has.
const sessionUsers = 60

// lockedBuffer is a standard error that several goroutines write.
type lockedBuffer struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.String()
}

// writeScript writes a script whose users print, wait for each other, and end
// in a report of its own.
func writeScript(t *testing.T, dir, name string) string {
	t.Helper()
	var accounts, users strings.Builder
	for i := range sessionUsers {
		fmt.Fprintf(&accounts, "%q, ", fmt.Sprintf("%s%d", name, i))
		fmt.Fprintf(&users, "{\"login\": %q}, ", fmt.Sprintf("%s%d", name, i))
	}
	text := fmt.Sprintf(`"""Users of %[1]s."""
bank = backend("memory", accounts = [%[2]s])
def rotate(user, step):
    print("%[1]s rotates " + user.login)
    step.set(bank, user.login, step.generate())
workflow(users = rows([%[3]s], key = "login"), rotate = rotate, reports = [report.jsonl("%[1]s.jsonl")])
`, name, accounts.String(), users.String())
	path := filepath.Join(dir, name+".star")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// TestTwoRunsOfOneHostAtOnce plans and applies two runs of one host in two
// goroutines. The race detector watches.
func TestTwoRunsOfOneHostAtOnce(t *testing.T) {
	dir := t.TempDir()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	var messages lockedBuffer
	h, err := host.New(host.Config{
		StateDir: filepath.Join(dir, "state"), WorkDir: dir, Self: self, Bundled: map[string]sdk.Backend{"memory": memory.New()},
		Stdout: &messages, Stderr: &messages, LookupEnv: func(string) (string, bool) { return "", false },
		Random: rand.Reader, Now: time.Now, Clock: engine.SystemClock{}, Vitals: &host.Vitals{}, Fatal: func(line string) { panic(line) },
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = h.Close() })
	var both sync.WaitGroup
	for _, name := range []string{"ann", "ben"} {
		script := writeScript(t, dir, name)
		both.Go(func() {
			if err := applyOnce(t.Context(), h, script); err != nil {
				t.Errorf("%s: %v", name, err)
			}
		})
	}
	both.Wait()
	for _, name := range []string{"ann", "ben"} {
		text, err := os.ReadFile(filepath.Join(dir, name+".jsonl"))
		if lines := bytes.Count(text, []byte("\n")); err != nil || lines != sessionUsers || bytes.Count(text, []byte(`"status": "done"`)) != sessionUsers {
			t.Errorf("the report of %s has %d lines, %v: %.200s", name, lines, err, text)
		}
		for i := range sessionUsers {
			if line := fmt.Sprintf("%s rotates %s%d\n", name, name, i); !strings.Contains(messages.String(), line) {
				t.Fatalf("no whole line %q on standard error", line)
			}
		}
	}
}

// applyOnce plans and applies a script, and looks at the run meanwhile.
func applyOnce(ctx context.Context, h *host.Host, script string) error {
	s, err := h.Begin(ctx, host.Script{Path: script}, host.RunOptions{Yes: true})
	if err != nil {
		return err
	}
	defer s.Close()
	out, err := s.Apply(ctx, ctx)
	if err == nil && (out.Status != journal.StateFinished || out.Counts.Done != sessionUsers) {
		err = fmt.Errorf("run %s %s: %+v", out.Run, out.Status, out.Counts)
	}
	if err != nil {
		return err
	}
	_, err = h.Runs()
	return err
}
