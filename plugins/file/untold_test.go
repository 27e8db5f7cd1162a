package file_test

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/rekey-host/rekey/sdk"
	"github.com/rekey-host/rekey/sdk/secret"
)

// TestAKilledPluginForgetsNoProgram: who was killed between the file and its program
// leaves a mark, by which the next one cannot tell of the value, says so, and tells
// the program.
func TestAKilledPluginForgetsNoProgram(t *testing.T) {
	dir := os.Getenv("TEST_UNTOLD")
	child := dir != ""
	if !child {
		dir = t.TempDir()
		if err := os.Chmod(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		for name, text := range map[string]string{"env": "A=old\nB=old\n", "slow": "", "reload": "#!/bin/sh\ncp " + dir + "/env " + dir + "/seen\n[ ! -e " + dir + "/slow ] || sleep 30\n"} {
			if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o755); err != nil {
				t.Fatal(err)
			}
		}
	}
	path, seen := filepath.Join(dir, "env"), filepath.Join(dir, "seen")
	i := at(t, path, "format", "env", "reload", []string{filepath.Join(dir, "reload")})
	if child {
		i.Apply(t.Context(), set("A", "new"))
		return
	}
	killed := exec.Command(os.Args[0], "-test.run", "^TestAKilledPluginForgetsNoProgram$")
	killed.Env = append(os.Environ(), "TEST_UNTOLD="+dir)
	if err := killed.Start(); err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		if text, _ := os.ReadFile(seen); strings.HasPrefix(string(text), "A=new\n") {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("the program was not started")
		}
	}
	_ = killed.Process.Kill()
	_ = killed.Wait()
	wants := func(place, value string, want sdk.Verdict) {
		t.Helper()
		if got, err := i.Verify(t.Context(), place, "", secret.New(value)); err != nil || got != want {
			t.Errorf("verify of %s: %v, %v, want %v", place, got, err, want)
		}
	}
	wants("A", "new", sdk.CannotTell)
	wants("A", "old", sdk.Rejected)
	wants("B", "old", sdk.Accepted)
	if found := i.Check(t.Context()); len(found) != 1 || found[0].Severity != sdk.Warning || !strings.Contains(found[0].Message, `"A"`) {
		t.Errorf("Check says %+v", found)
	}
	if err := errors.Join(os.Remove(filepath.Join(dir, "slow")), os.Remove(seen)); err != nil {
		t.Fatal(err)
	}
	if r := i.Apply(t.Context(), set("B", "new")); r.Outcome != sdk.Applied || read(t, seen) != "A=new\nB=new\n" {
		t.Errorf("%v %v", r.Outcome, r.Err)
	}
	wants("A", "new", sdk.Accepted)
	if left, err := os.ReadDir(dir); err != nil || len(left) != 3 || len(i.Check(t.Context())) != 0 {
		t.Errorf("left behind: %v, %v; Check says %v", left, err, i.Check(t.Context()))
	}
}

// TestWhatIsRefusedIsNotMarked, and a mark of before stays.
func TestWhatIsRefusedIsNotMarked(t *testing.T) {
	i, path := open(t, "A=old\n", "format", "env", "reload", []string{"/bin/false"})
	marks := func() (count int) {
		t.Helper()
		names, err := filepath.Glob(filepath.Join(filepath.Dir(path), ".*.untold-*"))
		if err != nil {
			t.Fatal(err)
		}
		return len(names)
	}
	for _, test := range []struct {
		place, value string
		want         sdk.Outcome
		marks        int
	}{{"A", "not carried by $env", sdk.Refused, 0}, {"C", "new", sdk.Refused, 0}, {"A", "new", sdk.Unknown, 1}, {"A", "$", sdk.Refused, 1}} {
		if r := i.Apply(t.Context(), set(test.place, test.value)); r.Outcome != test.want || marks() != test.marks {
			t.Errorf("%s: %v %v, and %d marks, want %v, %d", test.place, r.Outcome, r.Err, marks(), test.want, test.marks)
		}
	}
}
