package ssh_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/rekey-host/rekey/plugins/ssh/sshtest"
	"github.com/rekey-host/rekey/sdk"
)

// TestNamesOfOneMachineAreOne: by another address, by another name, in other letters,
// as another login and over another way. Another machine is another one, with the same
// key too.
func TestNamesOfOneMachineAreOne(t *testing.T) {
	users := []string{"ann:$6$saltsalt$x:19000:0:99999:7:::", "shut:$6$saltsalt$x:19000:0:99999:7:::"}
	one, other := sshtest.Start(t, sshtest.Options{Users: users}), sshtest.Start(t, sshtest.Options{Users: users})
	relay := newRelay(t, one.Address)
	port := one.Address[len("127.0.0.1:"):]
	addresses := []string{one.Address, relay.Addr().String(), "localhost:" + port, other.Address}
	text := sshtest.Line(other.Address, other.HostKey)
	for _, address := range addresses[:3] {
		text += sshtest.Line(address, one.HostKey)
	}
	known := filepath.Join(t.TempDir(), "known")
	if err := os.WriteFile(known, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	allow(t, other, one)
	i := open(t, one, "known_hosts", known)
	names := []string{"ann@" + addresses[0], "ann@" + addresses[1], "ann@LOCALHOST.:" + port, "shut@" + addresses[1], "ann@" + addresses[3], "ann@127.0.0.1:9"}
	found, err := i.Resolve(t.Context(), names)
	if err != nil || len(found) != len(names) {
		t.Fatalf("%v, %v", found, err)
	}
	again, err := open(t, one, "known_hosts", known, "user", "rekey", "jump", []string{"rekey@" + other.Address}).Resolve(t.Context(), names[:1])
	if err != nil {
		t.Fatal(err)
	}
	first := found[0]
	for _, same := range []sdk.Identity{found[1], found[2], again[0]} {
		if same != first || same.ID != "ann" || same.Err != nil {
			t.Errorf("%+v, want %+v", same, first)
		}
	}
	if found[3].Target != first.Target || found[3].ID == first.ID || found[4].Target == first.Target || found[4].Err != nil {
		t.Errorf("another user and another machine: %+v and %+v, beside %+v", found[3], found[4], first)
	}
	if found[5].Err == nil || found[5].Err.Code != sdk.Unreachable || found[5].ID != "" {
		t.Errorf("a host that is not there: %+v", found[5])
	}
	applied(t, i, set(names[0], "a value"))
	if after, err := i.Resolve(t.Context(), names[1:2]); err != nil || after[0] != first {
		t.Errorf("after a set: %+v, %v, want %+v", after, err, first)
	}
}

// TestAMachineThatMayNotBeAsked is told by its address.
func TestAMachineThatMayNotBeAsked(t *testing.T) {
	server := sshtest.Start(t, sshtest.Options{Config: "Match User rekey\nForceCommand case $SSH_ORIGINAL_COMMAND in sudo*) exec $SSH_ORIGINAL_COMMAND;; *) exit 9;; esac\nMatch all\n"})
	found, err := open(t, server, "user", "rekey").Resolve(t.Context(), []string{"ann@" + server.Address})
	if err != nil || found[0].Err != nil || found[0].Target != "ssh://"+server.Address || found[0].ID != "ann" {
		t.Errorf("%+v, %v", found, err)
	}
}
