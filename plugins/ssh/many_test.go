package ssh_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/rekey-host/rekey/plugins/ssh/sshtest"
	"github.com/rekey-host/rekey/sdk"
)

// share is how much of something that takes long is done: all of it by make faults.
func share(few, all int) int {
	if os.Getenv("REKEY_FAULTS") == "full" {
		return all
	}
	return few
}

// together calls do for each number, sixteen at once.
func together(count int, do func(n int)) {
	var next atomic.Int64
	var workers sync.WaitGroup
	for range 16 {
		workers.Go(func() {
			for n := int(next.Add(1) - 1); n < count; n = int(next.Add(1) - 1) {
				do(n)
			}
		})
	}
	workers.Wait()
}

// TestThousandsOfAccounts of many hosts have a value of their own each, which openssl
// finds in their lines and with which OpenSSH's client logs in; those that have to
// change it are asked, those that were locked are let in again, and the list has all.
func TestThousandsOfAccounts(t *testing.T) {
	hosts, users := share(4, 50), share(10, 40)
	servers := make([]*sshtest.Server, hosts)
	var addresses []string
	known := ""
	for h := range servers {
		var lines []string
		for u := range users {
			mark := ""
			if u%10 == 9 {
				mark = "!"
			}
			lines = append(lines, fmt.Sprintf("user%d:%s$6$saltsalt$x:19000:0:99999:7:::", u, mark))
		}
		servers[h] = sshtest.Start(t, sshtest.Options{Users: lines, Config: "MaxStartups 100\n"})
		allow(t, servers[h], servers[0])
		known += sshtest.Line(servers[h].Address, servers[h].HostKey)
		addresses = append(addresses, servers[h].Address)
	}
	file := filepath.Join(t.TempDir(), "known")
	if err := os.WriteFile(file, []byte(known), 0o600); err != nil {
		t.Fatal(err)
	}
	i := open(t, servers[0], "known_hosts", file, "hosts", addresses)
	var logons atomic.Int64
	together(hosts*users, func(n int) {
		server, user := servers[n%hosts], fmt.Sprint("user", n/hosts)
		value, name := fmt.Sprintf("value of %s %d", user, n), user+"@"+server.Address
		op, must := set(name, value), n/hosts%10 == 3
		op.MustChange = &must
		if n/hosts%10 == 9 {
			wantRefused(t, i.Apply(t.Context(), op), sdk.AccountStatus, "locked")
			if r := i.Unlock(t.Context(), sdk.Operation{ID: "u", Attempt: 1, Verb: sdk.Unlock, Account: name}); r.Outcome != sdk.Applied {
				t.Errorf("unlock of %s: %v", name, r.Err)
			}
		}
		applied(t, i, op)
		if !server.Holds(user, value) {
			t.Errorf("%s: openssl does not find the value", name)
		}
		if n/hosts%10 == 5 && logons.Add(1) > 0 && !logsIn(t, server, user, value) {
			t.Errorf("%s: OpenSSH's client does not log in", name)
		}
		if must {
			wantVerdict(t, i, name, value, sdk.AcceptedMustChange)
		}
	})
	count := 0
	if err := i.List(t.Context(), "user*", nil, func(account sdk.Account) error { count++; return nil }); err != nil || count != hosts*users {
		t.Errorf("%d are listed of %d, %v", count, hosts*users, err)
	}
	t.Logf("counts: ssh: %d accounts of %d hosts, %d logons of OpenSSH's client", hosts*users, hosts, logons.Load())
}

// TestHostileValuesOfAccountsWithOddNames log in by OpenSSH's client; and no hostile
// name with a hostile value changes an account.
func TestHostileValuesOfAccountsWithOddNames(t *testing.T) {
	odd := []string{"0day", "_x", "a.b", "a-b", "UPPER", "x$", strings.Repeat("n", 32), "root2", "9", "a_b.c-d"}
	var users []string
	for _, name := range odd {
		users = append(users, name+":$6$saltsalt$x:19000:0:99999:7:::")
	}
	server := sshtest.Start(t, sshtest.Options{Users: append(users, "still:$6$saltsalt$x:19000:0:99999:7:::"), Config: "MaxStartups 100\n"})
	i := open(t, server)
	still, logons := server.Shadow("still"), 0
	for n := range share(10, len(hostile)) {
		name, value := odd[n%len(odd)], hostile[n*4%len(hostile)]
		r := i.Apply(t.Context(), set(name+"@"+server.Address, value))
		switch {
		case r.Outcome == sdk.Refused && r.Err.Code == sdk.PolicyViolation:
		case r.Outcome != sdk.Applied:
			t.Errorf("%s, value %q: %v %v", name, value, r.Outcome, r.Err)
		case !strings.Contains(value, "\x00"):
			logons++
			if !logsIn(t, server, name, value) {
				t.Errorf("%s: OpenSSH's client does not log in with %q", name, value)
			}
		}
	}
	each := share(2, len(hostile))
	together(len(hostile)*each, func(n int) {
		name, value := hostile[n/each], hostile[(n/each*7+n%each)%len(hostile)]
		r := i.Apply(t.Context(), set(name+"@"+server.Address, value))
		if r.Outcome != sdk.Refused || r.Err.Code != sdk.InvalidOperation && r.Err.Code != sdk.AccountNotFound && r.Err.Code != sdk.PolicyViolation {
			t.Errorf("account %q, value %q: %v %v", name, value, r.Outcome, r.Err)
		}
	})
	if server.Shadow("still") != still {
		t.Error("an account changed that was not named")
	}
	t.Logf("counts: ssh: %d logons with hostile values, %d pairs of hostile names and values", logons, len(hostile)*each)
}
