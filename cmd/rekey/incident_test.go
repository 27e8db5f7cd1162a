package main_test

import (
	"context"
	"fmt"
	"net/url"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/rekey-host/rekey/plugins/ldap/ldaptest"
	"github.com/rekey-host/rekey/plugins/postgres/postgrestest"
)

// enter logs a role in, and returns what asks the session whether it is open.
func enter(t *testing.T, server *postgrestest.Server, role, value string) (open func() bool) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), fmt.Sprintf("postgres://%s@%s/postgres?sslmode=disable", url.UserPassword(role, value), server.Address))
	if err != nil {
		t.Fatalf("%s is not let in: %v", role, err)
	}
	t.Cleanup(func() { _ = conn.Close(context.Background()) })
	return func() bool {
		_, err := conn.Exec(t.Context(), "SELECT 1")
		return err == nil
	}
}

// TestIncidentEndsWhoIsIn runs the shipped script on a real PostgreSQL: who came in
// with a leaked password is thrown out and does not come back, others stay. Of a
// role that is let in with anything nothing is proven, and that is said.
func TestIncidentEndsWhoIsIn(t *testing.T) {
	server := postgrestest.Start(t, postgrestest.Options{})
	t.Cleanup(server.Remove)
	if _, err := server.SQL(t.Context(), "CREATE ROLE ann LOGIN PASSWORD 'Leaked-1'", "CREATE ROLE ben LOGIN PASSWORD 'Leaked-2'",
		"CREATE ROLE other LOGIN PASSWORD 'Kept-3'", "CREATE ROLE trusted_one LOGIN"); err != nil {
		t.Fatal(err)
	}
	p := newPlace(t, "SERVICE_PASSWORD="+server.Password)
	p.write("leaked.csv", "login,current\nann,Leaked-1\nben,\ntrusted_one,Leaked-4\n")
	ann, ben, other := enter(t, server, "ann", "Leaked-1"), enter(t, server, "ben", "Leaked-2"), enter(t, server, "other", "Kept-3")
	p.must(3, "run", "@rekey/incident.star", "url="+server.URL, "user="+server.User, "insecure=true", "--yes")
	if ann() || ben() || !other() {
		t.Error("a session of a leaked account is open, or another one has ended")
	}
	list := table(t, p.read("incident.csv"))
	for role, want := range map[string]string{"ann": "done refused ended", "ben": "done not tried ended", "trusted_one": "partial  "} {
		if got := fmt.Sprint(list[role]["status"], " ", list[role]["old"], " ", list[role]["sessions"]); got != want {
			t.Errorf("%s: %q, want %q", role, got, want)
		}
	}
	if !strings.Contains(list["trusted_one"]["message"], "whether the leaked password still works is not known") {
		t.Errorf("of a role that anything lets in the operator reads %q", list["trusted_one"]["message"])
	}
	in := server.Logons(t, []postgrestest.Logon{{Role: "ann", Value: list["ann"]["password"]}, {Role: "ben", Value: list["ben"]["password"]}, {Role: "other", Value: "Kept-3"}})
	if len(in) != 3 {
		t.Errorf("only %v log in with what the list says", in)
	}
	if page := p.read("incident.html"); strings.Contains(page, list["ann"]["password"]) {
		t.Error("the page has a password in it")
	}
}

// TestIncidentNamesWhoIsStillIn: a directory cannot end sessions.
func TestIncidentNamesWhoIsStillIn(t *testing.T) {
	d := newDirectory(t, ldaptest.Options{Users: 2})
	d.env = []string{"SERVICE_PASSWORD=" + d.Password}
	d.write("leaked.csv", "login,current\n"+d.logins[0]+",never it was\n")
	d.must(0, "run", "@rekey/incident.star", "backend=ldap", "url="+d.URL, "base_dn="+d.BaseDN, "user="+d.BindDN, "insecure=true", "must_change=false", "--yes")
	row := table(t, d.read("incident.csv"))[d.logins[0]]
	if row["status"] != "done" || row["old"] != "refused" || row["sessions"] != "open: ldap cannot end them" {
		t.Errorf("%v", row["sessions"])
	}
	if page := d.read("incident.html"); !strings.Contains(page, "open: ldap cannot end them") {
		t.Error("the page does not name the account")
	}
	if r := d.must(2, "run", "@rekey/incident.star", "backend=ldap", "url="+d.URL, "user="+d.BindDN, "insecure=true", "--yes"); !strings.Contains(r.stderr, "base_dn= is for backend=ldap") {
		t.Error(r.stderr)
	}
}
