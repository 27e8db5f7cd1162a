package main_test

import (
	"bytes"
	"fmt"
	"testing"
	"time"
)

// A process tries again and again without a word in the ledger. If it is killed
// then, what it sent last may arrive long after its newest record: the next one
// waits for that before it sends another value.
func TestFaultsSlapdTheLastAttemptOfAKilledProcessIsWaitedFor(t *testing.T) {
	const timeout, attempts = 600 * time.Millisecond, 3
	x := newArena(t, 1, newRandomTally())
	x.write("users.csv", "login\nuser0\n")
	x.write("late.star", fmt.Sprintf(`"""Two values."""
a = backend("ldap", label = "a", url = "%s", bind_dn = "%s", bind_password = secret.env("LDAP_BIND_PASSWORD"), base_dn = "%s",
    insecure = True, timeout = "%s", attempts = %d)

def rotate(user, step):
    step.set(a, user.login, step.generate())
    step.set(a, user.login, step.generate())

workflow(users = csv("users.csv", key = "login"), rotate = rotate,
    reports = [report.json("out.json", row = lambda r: {"login": r.user.login, "a": r.passwords.get("a"), "b": None})])
`, x.relays["a"].URL, x.servers["a"].BindDN, x.servers["a"].BaseDN, timeout, attempts))
	x.relays["a"].Hold(100, 0)
	cmd := x.command("run", "late.star", "--yes")
	var said bytes.Buffer
	cmd.Stderr = &said
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	for end := time.Now().Add(time.Minute); x.relays["a"].Seen() < attempts; time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("%d attempts\n%s", x.relays["a"].Seen(), said.String())
		}
	}
	late := time.AfterFunc(4*timeout-timeout/4, x.relays["a"].Release)
	defer late.Stop()
	_ = cmd.Process.Kill()
	_ = cmd.Wait()
	x.relays["a"].Hold(0, 0)
	run := x.last()
	x.check("after a kill", run, x.calm(run))
}
