package mysql_test

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
	"github.com/rekey-host/rekey/plugins/mysql"
	"github.com/rekey-host/rekey/plugins/mysql/mysqltest"
	"github.com/rekey-host/rekey/sdk"
	"github.com/rekey-host/rekey/sdk/backendtest"
	"github.com/rekey-host/rekey/sdk/secret"
)

// shared is the server of the package's tests, started by the first that needs
// it.
var shared struct {
	sync.Once
	*mysqltest.Server
}

func server(t testing.TB) *mysqltest.Server {
	t.Helper()
	shared.Do(func() {
		shared.Server = mysqltest.Start(t, mysqltest.Options{TLS: true, Args: []string{"--plugin-load-add=auth_ed25519"}})
	})
	if shared.Server == nil {
		t.Fatal("the server did not start")
	}
	return shared.Server
}

func TestMain(m *testing.M) {
	code := m.Run()
	if shared.Server != nil {
		shared.Remove()
	}
	os.Exit(code)
}

// query runs statements as the superuser.
func query(t testing.TB, statements ...string) []string {
	t.Helper()
	found, err := server(t).SQL(t.Context(), statements...)
	if err != nil {
		t.Fatal(err)
	}
	return found
}

// account is user@host in a statement.
func account(name string) string {
	at := strings.LastIndexByte(name, '@')
	quote := func(text string) string { return "`" + strings.ReplaceAll(text, "`", "``") + "`" }
	return quote(name[:at]) + "@" + quote(name[at+1:])
}

// accounts makes accounts, by the words of CREATE USER, for the time of the test.
func accounts(t testing.TB, made map[string]string) {
	t.Helper()
	running := server(t)
	for name, words := range made {
		query(t, "CREATE USER "+account(name)+" "+words)
		t.Cleanup(func() { _, _ = running.SQL(context.Background(), "DROP USER IF EXISTS "+account(name)) })
	}
}

var targets atomic.Int32

// target is a set of accounts of its own, reached through a relay of its own, which
// tells the server who is behind it.
func target(t testing.TB) backendtest.Target {
	running := server(t)
	relay := reachtest.NewRelay(t, running.Address).Announce()
	number := targets.Add(1)
	name := func(user string) string { return fmt.Sprintf("%s %d@%%", user, number) }
	accounts(t, map[string]string{
		name("ann"): "", name("Bob `'\\"): "", name("cy@acme.example"): "IDENTIFIED VIA ed25519 USING PASSWORD('x')",
		name("super"): "", name("locked"): "ACCOUNT LOCK", name("socket"): "IDENTIFIED VIA unix_socket",
		name("own"): "IDENTIFIED BY 'own-Secret-0'",
	})
	query(t, rights(name("own"))...)
	query(t, "GRANT SUPER ON *.* TO "+account(name("super")))
	return backendtest.Target{
		Config: sdk.Config{
			Values:  map[string]any{"url": "mysql://127.0.0.1:" + relay.Port, "user": strings.TrimSuffix(name("own"), "@%"), "ca_file": running.CAFile, "server_name": "localhost"},
			Secrets: map[string]secret.Value{"password": secret.New("own-Secret-0")},
		},
		Accounts: []string{name("ann"), name("Bob `'\\"), name("cy@acme.example")},
		Session:  func(account, value string) func() bool { return session(t, strings.TrimSuffix(account, "@%"), value) },
		Missing:  "nobody@%",
		Refusing: map[string]sdk.Code{"mariadb.sys@localhost": sdk.Protected, name("super"): sdk.Protected, name("socket"): sdk.NoCredential},
		Aliases:  map[string]string{strings.TrimSuffix(name("ann"), "@%"): name("ann")},
		Locked:   name("locked"),
		Own:      name("own"),
		OwnValue: "own-Secret-0",
		Hashed: map[string]backendtest.Hashed{
			"mysql_native_password": {Hash: "*2470C0C06DEE42FD1618BB99005ADCA2EC9D1E19", Value: "password"},
			"ed25519":               {Hash: "ZIgUREUg5PVgQ6LskhXmO+eZLS0nC8be6HPjYWR4YJY", Value: "secret"},
		},
		Wrong: []backendtest.Wrong{
			{Field: "url"},
			{Field: "url", Value: "postgres://db.example"},
			{Field: "user"},
			{Field: "send", Value: "both"},
			{Field: "ca_file", Value: "/no/such/file"},
		},
		Down:   relay.Stop,
		Server: "127.0.0.1:" + relay.Port, Setting: "url",
	}
}

func TestBackendKeepsTheContract(t *testing.T) {
	backendtest.Run(t, backendtest.Options{Backend: mysql.New(), Target: target, Report: kepttest.Report(t, "../kept/mysql.json")})
}

func TestExecutableKeepsTheContract(t *testing.T) {
	path := backendtest.Build(t, "./rekey-backend-mysql")
	backendtest.RunExecutable(t, backendtest.Options{Target: target}, path)
}
