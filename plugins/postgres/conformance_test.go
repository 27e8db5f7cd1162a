package postgres_test

import (
	"context"
	"fmt"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/rekey-host/rekey/plugins/internal/reachtest"
	"github.com/rekey-host/rekey/plugins/kept/kepttest"
	"github.com/rekey-host/rekey/plugins/postgres"
	"github.com/rekey-host/rekey/plugins/postgres/postgrestest"
	"github.com/rekey-host/rekey/sdk"
	"github.com/rekey-host/rekey/sdk/backendtest"
	"github.com/rekey-host/rekey/sdk/secret"
)

// clusters are those of the package's tests, each started by the first that needs
// it: of the PostgreSQL that Debian has, and of the newest.
var clusters [2]struct {
	sync.Once
	*postgrestest.Server
}

// onNewest is in the names of tests that are for the newest.
const onNewest = "PostgreSQL 18"

// each runs a test on either PostgreSQL.
func each(t *testing.T, test func(t *testing.T)) {
	t.Run("PostgreSQL of Debian", test)
	t.Run(onNewest, test)
}

// newest reports whether a test is for the newest PostgreSQL.
func newest(t testing.TB) bool {
	return strings.Contains(t.Name(), strings.ReplaceAll(onNewest, " ", "_"))
}

func cluster(t testing.TB) *postgrestest.Server {
	t.Helper()
	one := &clusters[0]
	if newest(t) {
		one = &clusters[1]
	}
	one.Do(func() { one.Server = postgrestest.Start(t, postgrestest.Options{TLS: true, Newest: newest(t)}) })
	if one.Server == nil {
		t.Fatal("the cluster did not start")
	}
	return one.Server
}

func TestMain(m *testing.M) {
	code := m.Run()
	for index := range clusters {
		if clusters[index].Server != nil {
			clusters[index].Remove()
		}
	}
	os.Exit(code)
}

// admits has one role administer another: since PostgreSQL 16 rekey's has to.
func admits(t testing.TB, role, admin string) {
	t.Helper()
	if newest(t) {
		sql(t, "GRANT "+quote(role)+" TO "+quote(admin)+" WITH ADMIN TRUE, INHERIT FALSE, SET FALSE")
	}
}

// sql runs statements as the superuser.
func sql(t testing.TB, statements ...string) []string {
	t.Helper()
	found, err := cluster(t).SQL(t.Context(), statements...)
	if err != nil {
		t.Fatal(err)
	}
	return found
}

var targets atomic.Int32

// target is a set of roles of its own, reached through a relay of its own.
func target(t testing.TB) backendtest.Target {
	server := cluster(t)
	relay := reachtest.NewRelay(t, server.Address)
	number := targets.Add(1)
	name := func(role string) string { return fmt.Sprintf("%s %d", role, number) }
	var create, drop []string
	for _, role := range []string{"ann", "Bob \"'\\", "cy@acme.example"} {
		create = append(create, `CREATE ROLE `+quote(name(role))+` LOGIN`)
		drop = append(drop, `DROP ROLE `+quote(name(role)))
	}
	create = append(create, `CREATE ROLE `+quote(name("super"))+` LOGIN SUPERUSER`, `CREATE ROLE `+quote(name("own"))+` LOGIN CREATEROLE PASSWORD 'own-Secret-0'`, `GRANT pg_signal_backend TO `+quote(name("own")))
	drop = append(drop, `DROP ROLE `+quote(name("super")), `DROP ROLE `+quote(name("own")))
	sql(t, create...)
	for _, role := range []string{"ann", "Bob \"'\\", "cy@acme.example"} {
		admits(t, name(role), name("own"))
	}
	t.Cleanup(func() { _, _ = server.SQL(context.Background(), drop...) })
	return backendtest.Target{
		Config: sdk.Config{
			Values:  map[string]any{"url": "postgres://127.0.0.1:" + relay.Port, "user": name("own"), "ca_file": server.CAFile, "server_name": "localhost", "iterations": int64(1)},
			Secrets: map[string]secret.Value{"password": secret.New("own-Secret-0")},
		},
		Accounts: []string{name("ann"), name("Bob \"'\\"), name("cy@acme.example")},
		Session:  func(account, value string) func() bool { return session(t, account, value) },
		Missing:  "nobody",
		Own:      name("own"),
		OwnValue: "own-Secret-0",
		Refusing: map[string]sdk.Code{name("own"): sdk.Protected, "pg_monitor": sdk.Protected, name("super"): sdk.Protected},
		Hashed: map[string]backendtest.Hashed{
			"scram-sha-256": {Hash: "SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ==$WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=:wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU=", Value: "pencil"},
		},
		Wrong: []backendtest.Wrong{
			{Field: "url"},
			{Field: "url", Value: "mysql://db.example"},
			{Field: "user"},
			{Field: "iterations", Value: int64(-1)},
			{Field: "ca_file", Value: "/no/such/file"},
		},
		Down:   relay.Stop,
		Server: "127.0.0.1:" + relay.Port, Setting: "url",
	}
}

func TestBackendKeepsTheContract(t *testing.T) {
	report := kepttest.Report(t, "../kept/postgres.json")
	each(t, func(t *testing.T) {
		backendtest.Run(t, backendtest.Options{Backend: postgres.New(), Target: target, Report: report})
	})
}

func TestExecutableKeepsTheContract(t *testing.T) {
	path := backendtest.Build(t, "./rekey-backend-postgres")
	backendtest.RunExecutable(t, backendtest.Options{Target: target}, path)
}
