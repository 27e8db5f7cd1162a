package main_test

import (
	"fmt"
	"net/url"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/rekey-host/rekey/plugins/postgres/postgrestest"
)

const postgresHandover = `"""The service role among the others."""

a = backend("postgres", label = "a", url = "%s", user = "service", password = secret.env("PG_PASSWORD"), insecure = True, timeout = "1s", concurrency = 4)

def rotate(user, step):
    if user.login != "service":
        step.set(a, user.login, step.generate())
        return
    for n in range(12):
        step.handover(a, "service", step.generate())

workflow(users = csv("users.csv", key = "login"), rotate = rotate)
`

// cluster is a PostgreSQL with roles, one of which rekey logs in as.
type cluster struct {
	*postgrestest.Server
	*place
	now map[string]string // the value that each role has
}

func newCluster(t *testing.T, roles int) *cluster {
	t.Helper()
	c := &cluster{postgrestest.Start(t, postgrestest.Options{}), newPlace(t), map[string]string{}}
	t.Cleanup(c.Remove)
	users := "login\n"
	for n := range roles {
		name, rights := fmt.Sprint("role", n), ""
		if n == roles/2 {
			name, rights = "service", "CREATEROLE"
		}
		c.now[name] = name + "-before"
		if _, err := c.SQL(t.Context(), fmt.Sprintf("CREATE ROLE %s LOGIN %s PASSWORD '%s'", name, rights, c.now[name])); err != nil {
			t.Fatal(err)
		}
		users += name + "\n"
	}
	c.env = []string{"PG_PASSWORD=" + c.now["service"]}
	c.write("users.csv", users)
	c.write("handover.star", fmt.Sprintf(postgresHandover, c.URL))
	return c
}

// logsOn reports whether the server lets a role in.
func (c *cluster) logsOn(role, value string) bool {
	conn, err := pgx.Connect(c.t.Context(), fmt.Sprintf("postgres://%s@%s/postgres?sslmode=disable", url.UserPassword(role, value), c.Address))
	if err == nil {
		_ = conn.Close(c.t.Context())
	}
	return err == nil
}

// wantKnown looks for the value of each role among those that the ledger reveals,
// newest first, and the one from before the run.
func (c *cluster) wantKnown(run string) {
	c.t.Helper()
	revealed := c.revealed(run)
	for role, before := range c.now {
		known := c.logsOn(role, before)
		for n := 0; !known && n < len(revealed[role]); n++ {
			c.now[role] = revealed[role][n].Password
			known = c.logsOn(role, c.now[role])
		}
		if !known {
			c.t.Errorf("%s: nobody knows its password: %d revealed values do not work, nor does the one from before", role, len(revealed[role]))
		}
	}
}

// wantDone wants a finished run whose newest values work, and has the next one
// log in with them.
func (c *cluster) wantDone(run string) {
	c.t.Helper()
	rows, revealed := c.reported(run), c.revealed(run)
	var logons []postgrestest.Logon
	for role := range c.now {
		if rows[role].Status != "done" {
			c.t.Errorf("%s: %s %s, want done", role, rows[role].Status, rows[role].Code)
		}
		c.now[role] = revealed[role][0].Password
		logons = append(logons, postgrestest.Logon{Role: role, Value: c.now[role]})
	}
	if in := c.Logons(c.t, logons); len(in) != len(logons) {
		c.t.Errorf("psql logs in as %q, and not as the next one with the newest value of the ledger", in)
	}
	c.env = []string{"PG_PASSWORD=" + c.now["service"]}
}

// TestPostgresKilledHandoverLocksNobodyOut: as on slapd, with roles.
func TestPostgresKilledHandoverLocksNobodyOut(t *testing.T) {
	want := handoverKills()
	c := newCluster(t, 9)
	hits, tries := c.killedHandovers(want, c.wantKnown, c.wantDone)
	wantKills(t, "postgres", hits, tries, want)
}
