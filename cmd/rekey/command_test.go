package main_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rekey-host/rekey/plugins/command/kerberostest"
)

// TestKerberosScript rotates principals of a real KDC with kadmin.local; kinit
// logs in with what the list says, and neither run nor KDC keeps a value in clear.
func TestKerberosScript(t *testing.T) {
	var principals []string
	var users strings.Builder
	users.WriteString("login,password\n")
	for n := range 25 {
		principals = append(principals, fmt.Sprintf("user%d", n))
		fmt.Fprintf(&users, "user%d,\n", n)
	}
	kdc := kerberostest.Start(t, principals...)
	p := newPlace(t)
	p.write("users.csv", users.String()+"nobody,\nuser3/x,\ngiven,Giv3n value \"x\"\n")
	kdc.Admin(t, "add_principal -randkey given\n")
	args := []string{"run", "@rekey/kerberos.star", "krb5_config=" + strings.TrimPrefix(kdc.Env[0], "KRB5_CONFIG="), "kdc_profile=" + strings.TrimPrefix(kdc.Env[1], "KRB5_KDC_PROFILE="), "max_failures=100", "--yes"}
	p.must(3, args...)
	list := table(t, p.read("passwords.csv"))
	for _, name := range []string{"user0", "user7", "user24"} {
		if !kdc.Login(t, name, list[name]["password"]) {
			t.Errorf("kinit does not take what the list says of %s", name)
		}
	}
	if !kdc.Login(t, "given", `Giv3n value "x"`) || list["nobody"]["password"] != "" {
		t.Error("a given value was not set, or there is one of nobody")
	}
	if r := p.must(0, "show", "last", "--user", "nobody"); !strings.Contains(r.stdout, "AccountNotFound") {
		t.Errorf("nobody is told as\n%s", r.stdout)
	}
	for _, log := range kdc.Logs {
		if text, err := os.ReadFile(log); err == nil && (strings.Contains(string(text), list["user0"]["password"]) || strings.Contains(string(text), "Giv3n")) {
			t.Errorf("%s has a value", filepath.Base(log))
		}
	}
}

// TestWhatIsNotProvenIsSaid: at plan, of a tool without verify.
func TestWhatIsNotProvenIsSaid(t *testing.T) {
	p := newPlace(t)
	p.write("s.star", `workflow(users = rows(["ann"], key = "login"), backend = backend("command", set = ["/bin/true", "{account}"], set_input = "{value}\n"))`)
	for _, command := range [][]string{{"plan", "s.star"}, {"run", "s.star", "--yes", "--new"}} {
		if r := p.must(0, command...); !strings.Contains(r.stderr, "not proven") {
			t.Errorf("%s says nothing of it:\n%s", command[0], r.stderr)
		}
	}
	if r := p.must(0, "backends", "command"); !strings.Contains(r.stdout, "NOT PROVEN") {
		t.Error("backends does not say it")
	}
	if r := p.must(2, "plan", "s.star", "--sandbox"); !strings.Contains(r.stderr, "--no-sandbox command lets it") {
		t.Errorf("in the sandbox the operator reads\n%s", r.stderr)
	}
}
