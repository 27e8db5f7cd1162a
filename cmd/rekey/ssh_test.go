package main_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rekey-host/rekey/plugins/ssh/sshtest"
)

// TestFleetRootScript gives root of each host a password of its own: one has
// another key than known_hosts says, one keeps root from logging in by password.
func TestFleetRootScript(t *testing.T) {
	hosts := make([]*sshtest.Server, 4)
	known, list := "", "host\n"
	for n := range hosts {
		options := sshtest.Options{Config: "MaxStartups 50\n"}
		if n == 3 {
			options.Config = "PermitRootLogin prohibit-password\n"
		}
		hosts[n] = sshtest.Start(t, options)
		hosts[n].SetShadow(t, "root", "root:$6$saltsalt$x:19000:0:99999:7:::")
		key, err := os.ReadFile(filepath.Join(filepath.Dir(hosts[0].KeyFile), "authorized_keys"))
		if err == nil {
			err = os.WriteFile(filepath.Join(filepath.Dir(hosts[n].KeyFile), "authorized_keys"), key, 0o644)
		}
		if err != nil {
			t.Fatal(err)
		}
		shown := hosts[n].HostKey
		if n == 2 {
			shown = hosts[0].HostKey
		}
		known += sshtest.Line(hosts[n].Address, shown)
		list += hosts[n].Address + "\n"
	}
	p := newPlace(t)
	p.write("hosts.csv", list)
	p.write("known", known)
	p.must(3, "run", "@rekey/fleet_root.star", "known_hosts=known", "key_file="+hosts[0].KeyFile, "max_failures=100", "--yes")
	passwords := table(t, p.read("passwords.csv"))
	for _, n := range []int{0, 1, 3} {
		if !hosts[n].Holds("root", passwords[hosts[n].Address]["password"]) {
			t.Errorf("host %d does not have what the list says", n)
		}
	}
	if r := p.must(0, "show", "last", "--user", hosts[2].Address); !strings.Contains(r.stdout, "InsecureTransport") || passwords[hosts[2].Address]["password"] != "" {
		t.Errorf("the host with another key is told as\n%s", r.stdout)
	}
	if r := p.must(0, "show", "last", "--user", hosts[3].Address); !strings.Contains(r.stdout, "done") || !strings.Contains(r.stdout, "not proven") {
		t.Errorf("what a logon cannot prove is told as\n%s", r.stdout)
	}
}

// TestAHostByTwoNamesIsOne: its second row is refused with the first one named, and
// nothing is sent for it.
func TestAHostByTwoNamesIsOne(t *testing.T) {
	host := sshtest.Start(t, sshtest.Options{})
	host.SetShadow(t, "root", "root:$6$saltsalt$x:19000:0:99999:7:::")
	alias := strings.Replace(host.Address, "127.0.0.1", "LocalHost", 1)
	p := newPlace(t)
	p.write("hosts.csv", "host\n"+host.Address+"\n"+alias+"\n")
	p.write("known", sshtest.Line(host.Address, host.HostKey)+sshtest.Line(strings.ToLower(alias), host.HostKey))
	p.must(3, "run", "@rekey/fleet_root.star", "known_hosts=known", "key_file="+host.KeyFile, "max_failures=100", "--yes")
	passwords := table(t, p.read("passwords.csv"))
	if !host.Holds("root", passwords[host.Address]["password"]) || passwords[alias]["password"] != "" {
		t.Errorf("the list is %v", passwords)
	}
	if r := p.must(0, "show", "last", "--user", alias); !strings.Contains(r.stdout, "DuplicateAccount") || !strings.Contains(r.stdout, host.Address) {
		t.Errorf("the second name is told as\n%s", r.stdout)
	}
}
