package main_test

import (
	"encoding/csv"
	"fmt"
	"strings"
	"testing"

	"github.com/rekey-host/rekey/plugins/ldap/ldaptest"
)

// TestInitialiseMakesTemporaryPasswordsPermanent runs the shipped script against
// a real directory: each user's own change, over TLS.
func TestInitialiseMakesTemporaryPasswordsPermanent(t *testing.T) {
	const users, faster = 300, 7 // the users who changed theirs before we came
	server := ldaptest.Start(t, ldaptest.Options{Users: users, TLS: true})
	p := newPlace(t, "DS_PASSWORD="+server.Password)
	var list strings.Builder
	list.WriteString("login;temporary\n")
	for n := range users {
		temporary := server.UserPassword(n)
		if n < faster {
			temporary += "-wrong"
		}
		fmt.Fprintf(&list, "user%d;%s\n", n, temporary)
	}
	p.write("accounts.csv", list.String())
	config := fmt.Sprintf(`{"url": %q, "base_dn": %q, "bind_dn": %q, "ca_file": %q, "bind_password": {"$secret": "env:DS_PASSWORD"}}`,
		server.TLSURL, server.BaseDN, server.BindDN, server.CAFile)
	args := []string{"run", "@rekey/initialise.star", "backend=ldap", "accounts=accounts.csv", "config=" + config, "--yes"}
	if o := p.outcome(4, args...); o.Counts["failed"] < 6 || o.Counts["pending"] == 0 {
		t.Fatalf("the canary wave went over its threshold, but: %+v", o)
	}
	p.must(4, "resume", "last", "--yes") // it stays stopped until somebody says so
	o := p.outcome(3, "resume", "last", "--yes", "--over-threshold")
	if o.Counts["done"] != users-faster || o.Counts["failed"] != faster {
		t.Fatalf("got %v", o.Counts)
	}
	for login, row := range table(t, p.read("passwords.csv")) {
		n := 0
		_, _ = fmt.Sscanf(login, "user%d", &n)
		dn, password := server.UserDN(n), row["password"]
		if row["status"] == "failed" {
			password = server.UserPassword(n)
		} else if server.Bind(dn, server.UserPassword(n)) == nil {
			t.Errorf("%s: the temporary password still works", login)
		}
		if err := server.Bind(dn, password); err != nil {
			t.Errorf("%s (%s): %v", login, row["status"], err)
		}
	}
	if r := p.must(0, "show", "last", "--code", "WrongCurrentPassword"); strings.Count(r.stdout, "WrongCurrentPassword") < faster {
		t.Errorf("the reason is not named:\n%s", r.stdout)
	}
}

// table reads a CSV report: rows by their first column.
func table(t *testing.T, text string) map[string]map[string]string {
	t.Helper()
	rows, err := csv.NewReader(strings.NewReader(text)).ReadAll()
	if err != nil || len(rows) == 0 {
		t.Fatalf("report: %v", err)
	}
	found := map[string]map[string]string{}
	for _, r := range rows[1:] {
		found[r[0]] = map[string]string{}
		for i, name := range rows[0] {
			found[r[0]][name] = r[i]
		}
	}
	return found
}
