package main_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/rekey-host/rekey/plugins/mysql/mysqltest"
)

const mysqlHandover = `"""The service account among the others."""

a = backend("mysql", label = "a", url = "%s", user = "service", password = secret.env("MYSQL_PASSWORD"), insecure = True, timeout = "1s", concurrency = 4)

def rotate(user, step):
    if user.login != "service":
        step.set(a, user.login, step.generate())
        return
    for n in range(6):
        step.handover(a, "service", step.generate())

workflow(users = csv("users.csv", key = "login"), rotate = rotate)
`

// accounts are those of a MariaDB, as one of which rekey logs in.
type accounts struct {
	*mysqltest.Server
	*place
	now map[string]string // the value that each has
}

func newAccounts(t *testing.T) *accounts {
	t.Helper()
	made := &accounts{mysqltest.Start(t, mysqltest.Options{}), newPlace(t), map[string]string{}}
	t.Cleanup(made.Remove)
	users := "login\n"
	for _, name := range []string{"user0", "user1", "service", "user2", "user3"} {
		made.now[name] = name + "-before"
		if _, err := made.SQL(t.Context(), fmt.Sprintf("CREATE USER %s IDENTIFIED BY '%s'", name, made.now[name])); err != nil {
			t.Fatal(err)
		}
		users += name + "\n"
	}
	if _, err := made.SQL(t.Context(), "GRANT CREATE USER ON *.* TO service", "GRANT SELECT ON mysql.* TO service"); err != nil {
		t.Fatal(err)
	}
	made.env = []string{"MYSQL_PASSWORD=" + made.now["service"]}
	made.write("users.csv", users)
	made.write("handover.star", fmt.Sprintf(mysqlHandover, made.URL))
	return made
}

// in reports which of the values log in, by PyMySQL.
func (a *accounts) in(user string, values []string) []bool {
	a.t.Helper()
	var logons []mysqltest.Logon
	for _, value := range values {
		logons = append(logons, mysqltest.Logon{User: user, Value: value})
	}
	let := make([]bool, len(values))
	for n, name := range a.Logons(a.t, logons) {
		let[n] = strings.HasPrefix(name, user+"@")
	}
	return let
}

// wantKnown looks for the value of each account among those that the ledger reveals,
// newest first, and the one from before the run; of a finished run it is the newest.
func (a *accounts) wantKnown(run string, done bool) {
	a.t.Helper()
	revealed, rows := a.revealed(run), a.reported(run)
	for user, before := range a.now {
		var values []string
		for _, one := range revealed[user] {
			values = append(values, one.Password)
		}
		if done {
			values = values[:min(1, len(values))]
		} else {
			values = append(values, before)
		}
		known := false
		for n, let := range a.in(user, values) {
			if known = known || let; let {
				a.now[user] = values[n]
			}
		}
		if !known || done && rows[user].Status != "done" {
			a.t.Errorf("%s: %s, and none of %d values is its password", user, rows[user].Status, len(values))
		}
	}
	if done {
		a.env = []string{"MYSQL_PASSWORD=" + a.now["service"]}
	}
}

// TestMySQLKilledHandoverLocksNobodyOut: as on slapd, with accounts.
func TestMySQLKilledHandoverLocksNobodyOut(t *testing.T) {
	want := handoverKills() / 4
	a := newAccounts(t)
	hits, tries := a.killedHandovers(want, func(run string) { a.wantKnown(run, false) }, func(run string) { a.wantKnown(run, true) })
	wantKills(t, "mysql", hits, tries, want)
}
