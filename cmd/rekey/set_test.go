package main_test

import (
	"strings"
	"testing"
	"time"
)

// TestASetThatIsKilledGoesOnWithItsValue: the value of the caller is in the
// ledger before anything is sent, so whoever goes on has it.
func TestASetThatIsKilledGoesOnWithItsValue(t *testing.T) {
	const value = "My-Own-Pass_9"
	p := newPlace(t)
	p.write("users.csv", "login\nann\nbob\n")
	p.write("staff.star", `workflow(users = csv("users.csv", key = "login"), backend = backend("memory", latency = "1s"))`)
	cmd := p.command("set", "staff.star", "ann", "--value-stdin")
	cmd.Stdin = strings.NewReader(value + "\n")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	for end := time.Now().Add(30 * time.Second); !strings.Contains(p.rekey("runs", "--json").stdout, `"run"`); {
		if time.Now().After(end) {
			t.Fatal("no run within 30s")
		}
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait()
	p.must(0, "resume", "last", "--yes")
	if r := p.must(0, "reveal", "last"); strings.Count(r.stdout, "\n") != 1 || !strings.Contains(r.stdout, value) {
		t.Errorf("the ledger has %q, want the value of ann alone", r.stdout)
	}
}
