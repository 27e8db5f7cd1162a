package redis_test

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/rekey-host/rekey/plugins/internal/reachtest"
	"github.com/rekey-host/rekey/plugins/kept/kepttest"
	"github.com/rekey-host/rekey/plugins/redis"
	"github.com/rekey-host/rekey/plugins/redis/redistest"
	"github.com/rekey-host/rekey/sdk"
	"github.com/rekey-host/rekey/sdk/backendtest"
	"github.com/rekey-host/rekey/sdk/secret"
)

// shared is the server of the package's tests, started by the first that needs
// it.
var shared struct {
	sync.Once
	*redistest.Server
}

func server(t testing.TB) *redistest.Server {
	t.Helper()
	shared.Do(func() { shared.Server = redistest.Start(t, redistest.Options{TLS: true}) })
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

// users makes users, by the rules of ACL SETUSER, for the time of the test.
func users(t testing.TB, running *redistest.Server, made map[string]string) {
	t.Helper()
	var create, drop []string
	for name, rules := range made {
		create = append(create, "ACL SETUSER "+redistest.Quote(name)+" "+rules)
		drop = append(drop, "ACL DELUSER "+redistest.Quote(name))
	}
	if said, err := running.CLI(create...); err != nil || strings.Contains(said, "ERR") {
		t.Fatalf("%v: %s", err, said)
	}
	t.Cleanup(func() { _, _ = running.CLI(drop...) })
}

var targets atomic.Int32

// target is a set of users of its own, reached through a relay of its own.
func target(t testing.TB) backendtest.Target {
	running := server(t)
	relay := reachtest.NewRelay(t, strings.TrimPrefix(running.SecureURL, "rediss://"))
	number := targets.Add(1)
	name := func(user string) string { return fmt.Sprintf("%s-%d", user, number) }
	users(t, running, map[string]string{name("ann"): "on", name(`Bob"'\`): "on", name("cy@acme.example"): "on"})
	sum := sha256.Sum256([]byte("pencil"))
	return backendtest.Target{
		Config: sdk.Config{
			Values:  map[string]any{"url": "rediss://127.0.0.1:" + relay.Port, "user": running.User, "ca_file": running.CAFile},
			Secrets: map[string]secret.Value{"password": secret.New(running.Password)},
		},
		Accounts: []string{name("ann"), name(`Bob"'\`), name("cy@acme.example")},
		Session:  func(account, value string) func() bool { return session(t, account, value) },
		Missing:  "nobody",
		Refusing: map[string]sdk.Code{"rotator": sdk.Protected},
		Hashed:   map[string]backendtest.Hashed{"sha256": {Hash: hex.EncodeToString(sum[:]), Value: "pencil"}},
		Wrong: []backendtest.Wrong{
			{Field: "url"},
			{Field: "url", Value: "http://cache.example"},
			{Field: "save", Value: "often"},
			{Field: "ca_file", Value: "/no/such/file"},
		},
		Down:   relay.Stop,
		Server: "127.0.0.1:" + relay.Port, Setting: "url",
	}
}

func TestBackendKeepsTheContract(t *testing.T) {
	backendtest.Run(t, backendtest.Options{Backend: redis.New(), Target: target, Report: kepttest.Report(t, "../kept/redis.json")})
}

func TestExecutableKeepsTheContract(t *testing.T) {
	path := backendtest.Build(t, "./rekey-backend-redis")
	backendtest.RunExecutable(t, backendtest.Options{Target: target}, path)
}
