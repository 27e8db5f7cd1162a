package main_test

import (
	"bytes"
	"testing"
	"time"

	"github.com/rekey-host/rekey/plugins/ldap/ldaptest"
)

// A server that dies in the middle of a run and comes back is waited for: what
// had no answer is sent again with the same value, and nobody fails for it.
func TestSlapdThatIsRestartedInTheMiddleIsWaitedFor(t *testing.T) {
	d := newDirectory(t, ldaptest.Options{Users: 2000, Sync: true})
	cmd := d.command(d.rotate()...)
	var said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &said, &said
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	for end := time.Now().Add(time.Minute); d.Bind(d.dn["user200"], d.now["user200"]) == nil; {
		if time.Now().After(end) {
			t.Fatal("the run does not begin")
		}
	}
	d.Kill()
	if err := d.Restart(); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err != nil {
		t.Fatalf("%v\n%s", err, said.String())
	}
	var c tally
	d.wantFinished("last", &c)
	t.Logf("%d sets were sent again", c.resent)
	if c.resent == 0 {
		t.Error("the kill hit nothing")
	}
}
