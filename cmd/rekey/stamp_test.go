package main_test

import (
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestAChangeStampSettlesALostAnswerOfAPlugin: what took effect is not sent again, and
// what did not is. The plugin has no verify, so that nobody's logons are tried.
func TestAChangeStampSettlesALostAnswerOfAPlugin(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	p.env = append(p.env, "REKEY_PLUGIN_DIR="+filepath.Join(p.dir, "plugins"))
	p.write("plugins/none", "")
	p.write("calls/journal", "")
	if out, err := exec.CommandContext(t.Context(), "go", "build", "-o", filepath.Join(p.dir, "plugins/rekey-backend-stamping"), "./testdata/stamping").CombinedOutput(); err != nil {
		t.Fatalf("build: %v\n%s", err, out)
	}
	p.write("job.star", `b = backend("stamping", journal = "calls/journal")

def rotate(user, step):
    step.find(b, user.login)
    step.set(b, user.login, step.generate())

workflow(users = rows(["ann", "bob"], key = "login"), rotate = rotate)
`)
	if o := p.outcome(0, "run", "job.star", "--yes"); o.Counts["done"] != 2 {
		t.Errorf("got %v, want both done", o.Counts)
	}
	calls := p.read("calls/journal")
	for call, want := range map[string]int{"set ann\n": 1, "set bob\n": 2, "find ann\n": 2, "find bob\n": 2} {
		if got := strings.Count(calls, call); got != want {
			t.Errorf("%q %d times, want %d:\n%s", call, got, want, calls)
		}
	}
}
