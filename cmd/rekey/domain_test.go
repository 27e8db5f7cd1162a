package main_test

import (
	"encoding/csv"
	"fmt"
	"strings"
	"testing"

	"github.com/rekey-host/rekey/plugins/ldap/ldaptest"
)

// TestADRotateOnARealDomain runs the shipped script on Samba: every kind of name,
// two names of one user, an administrator and somebody who is not there.
func TestADRotateOnARealDomain(t *testing.T) {
	d := ldaptest.StartDomain(t)
	if err := d.AddRotator("rotator", "Rotator 123"); err != nil {
		t.Fatal(err)
	}
	first := func(login string) string { return "First value of " + login + " 1" }
	for n := range 6 {
		login := fmt.Sprint("user", n)
		if err := d.AddUser(login, login, first(login)); err != nil {
			t.Fatal(err)
		}
	}
	p := newPlace(t, "AD_BIND_PASSWORD=Rotator 123")
	rows := map[string]string{ // login → the user who is meant
		"user0": "user0", `ADTEST\user1`: "user1", "user2@ad.test": "user2", d.DN("user3"): "user3",
		"user4": "user4", "user4@ad.test": "user4", "Administrator": "", "rotator": "", "nobody": "",
	}
	list := "login\n"
	for login := range rows {
		list += `"` + login + `"` + "\n"
	}
	p.write("users.csv", list)
	run := []string{"run", "@rekey/ad_rotate.star", "url=" + d.URL, "base_dn=" + d.BaseDN, "bind_dn=rotator@ad.test", "ca_file=" + d.CAFile,
		"server_name=" + d.ServerName, "max_failures=100", "first=3", "second=3", "--yes"}
	p.must(3, run...)
	lines, err := csv.NewReader(strings.NewReader(p.read("ad_passwords.csv"))).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	done := map[string]bool{}
	for _, line := range lines[1:] {
		login, password, status := line[0], line[1], line[2]
		user := rows[login]
		switch {
		case status != "done":
		case user == "" || done[user]:
			t.Errorf("%s is done", login)
		case d.Bind(d.DN(user), password) != nil:
			t.Errorf("%s is done, and its password does not log on", login)
		case d.Bind(d.DN(user), first(user)) == nil:
			t.Errorf("%s is done, and its old password logs on", login)
		default:
			done[user] = true
		}
	}
	if len(done) != 5 {
		t.Errorf("done are %v, want user0 to user4", done)
	}
	if d.Bind(d.DN("rotator"), "Rotator 123") != nil {
		t.Error("the script's own user has lost its password")
	}
	shown := p.must(0, "show", "last").stdout
	for _, code := range []string{"DuplicateAccount", "Protected", "AccountNotFound"} {
		if !strings.Contains(shown, code) {
			t.Errorf("show says nothing of %s:\n%s", code, shown)
		}
	}

	p.must(0, append(run, "filter=(sAMAccountName=user5)", "must_change=true", "out=must.csv", "--new")...)
	lines, err = csv.NewReader(strings.NewReader(p.read("must.csv"))).ReadAll()
	if err != nil || len(lines) != 2 || lines[1][2] != "done" {
		t.Fatalf("with must_change: %v, %v, want one user done", lines, err)
	}
	if err := d.Bind(d.DN("user5"), lines[1][1]); err == nil || !strings.Contains(err.Error(), "data 773") {
		t.Errorf("the logon says %v, want that the password has to be changed", err)
	}
}
