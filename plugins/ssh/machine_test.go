package ssh_test

import (
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/rekey-host/rekey/plugins/ssh"
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

// whose is the target of an account, or the code of why there is none.
func whose(t *testing.T, i *ssh.Instance, name string) string {
	t.Helper()
	found, err := i.Resolve(t.Context(), []string{name})
	if err != nil {
		t.Fatal(err)
	}
	if found[0].Err != nil {
		return string(found[0].Err.Code)
	}
	return found[0].Target
}

// TestAMachineIsTheSameAfterABoot, for who knew it before and for who did not.
func TestAMachineIsTheSameAfterABoot(t *testing.T) {
	server := sshtest.Start(t, sshtest.Options{})
	i, name := open(t, server), "root@"+server.Address
	before := whose(t, i, name)
	if !strings.HasPrefix(before, "ssh:machine ") {
		t.Fatal(before)
	}
	server.Stop()
	if err := server.Restart(); err != nil {
		t.Fatal(err)
	}
	for what, i := range map[string]*ssh.Instance{"in the run": i, "in a resume": open(t, server)} {
		if after := whose(t, i, name); after != before {
			t.Errorf("%s: %q, want %q", what, after, before)
		}
	}
}

// TestAnAddressStaysOneMachine: what is another one later in a run is refused; what was
// not met before is not.
func TestAnAddressStaysOneMachine(t *testing.T) {
	server := sshtest.Start(t, sshtest.Options{})
	i, name := open(t, server), "root@"+server.Address
	before := whose(t, i, name)
	for text, want := range map[string]string{strings.Repeat("5eed", 8) + "\n": "ssh:machine 5eed", "uninitialized\n": "ssh://" + server.Address, "": "ssh://" + server.Address, "garbage\n": "TargetUnavailable"} {
		server.Stop()
		if err := errors.Join(os.WriteFile(server.Etc("machine-id"), []byte(text), 0o644), server.Restart()); err != nil {
			t.Fatal(err)
		}
		if said := whose(t, open(t, server), name); !strings.HasPrefix(said, want) {
			t.Errorf("%q: %q, want %q", text, said, want)
		}
		if said := whose(t, i, name); said != "Ambiguous" && said != "TargetUnavailable" {
			t.Errorf("%q after %q: %q, want a refusal", text, before, said)
		}
	}
}

// TestAMachineThatHasNoNumber is told by its address, in whatever way that is written; one
// that may not be asked is not told.
func TestAMachineThatHasNoNumber(t *testing.T) {
	server := sshtest.Start(t, sshtest.Options{})
	if err := os.Remove(server.Etc("machine-id")); err != nil {
		t.Fatal(err)
	}
	host, port, _ := strings.Cut(server.Address, ":")
	number, _ := strconv.ParseInt(port, 10, 32)
	for _, name := range []string{"root@" + server.Address, "root@" + host} {
		if said := whose(t, open(t, server, "port", number), name); said != "ssh://"+server.Address {
			t.Errorf("%s: %q", name, said)
		}
	}
	server = sshtest.Start(t, sshtest.Options{Config: "Match User rekey\nForceCommand case $SSH_ORIGINAL_COMMAND in sudo*) exec $SSH_ORIGINAL_COMMAND;; *) exit 9;; esac\nMatch all\n"})
	if said := whose(t, open(t, server, "user", "rekey"), "ann@"+server.Address); said != "TargetUnavailable" {
		t.Errorf("one that may not be asked: %q", said)
	}
}
