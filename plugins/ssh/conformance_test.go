package ssh_test

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/rekey-host/rekey/plugins/kept/kepttest"
	"github.com/rekey-host/rekey/plugins/ssh"
	"github.com/rekey-host/rekey/plugins/ssh/sshtest"
	"github.com/rekey-host/rekey/sdk"
	"github.com/rekey-host/rekey/sdk/backendtest"
	"github.com/rekey-host/rekey/sdk/secret"
)

// shared is one host for all targets of the kit: each has users of its own.
var shared struct {
	once   sync.Once
	server *sshtest.Server
	err    error
	dir    string
	next   atomic.Int64
}

func TestMain(m *testing.M) {
	code := m.Run()
	if shared.server != nil {
		shared.server.Stop()
		_ = os.RemoveAll(shared.dir)
	}
	os.Exit(code)
}

// someUsers is how many the shared host has; a target takes five, with the last of
// which rekey logs in.
const someUsers = 1500

const ownSecret = "own-Secret-0"

func sharedHost(t testing.TB) *sshtest.Server {
	t.Helper()
	shared.once.Do(func() {
		var users []string
		own := line("own", ownSecret)
		for n := range someUsers {
			name := fmt.Sprint("user", n)
			text := name + ":$6$saltsalt$x:19000:0:99999:7:::"
			switch n % 5 {
			case 3:
				text = name + ":!$6$saltsalt$x:19000:0:99999:7:::"
			case 4:
				text = name + strings.TrimPrefix(own, "own")
			}
			users = append(users, text)
		}
		if shared.dir, shared.err = os.MkdirTemp("", "rk"); shared.err == nil {
			shared.server, shared.err = sshtest.New(shared.dir, sshtest.Options{Users: users, Config: "MaxStartups 100\n", Sudo: "ALL ALL=(ALL) NOPASSWD: ALL\n"})
		}
	})
	if shared.err != nil {
		t.Fatal(shared.err)
	}
	return shared.server
}

// relay is another address of a host, which can be taken away.
type relay struct {
	net.Listener
	mu    sync.Mutex
	conns []net.Conn
	held  sync.RWMutex // for writing: nothing passes
}

// hold lets nothing pass, or lets all pass again.
func (r *relay) hold(on bool) {
	if on {
		r.held.Lock()
	} else {
		r.held.Unlock()
	}
}

// pass copies until either end is closed.
func (r *relay) pass(to, from net.Conn) {
	buffer := make([]byte, 32<<10)
	for {
		count, err := from.Read(buffer)
		r.held.RLock()
		_, failed := to.Write(buffer[:count])
		r.held.RUnlock()
		if err != nil || failed != nil {
			_ = to.Close()
			return
		}
	}
}

func newRelay(t testing.TB, to string) *relay {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	made := &relay{Listener: listener}
	go made.serve(to)
	t.Cleanup(made.cut)
	return made
}

func (r *relay) serve(to string) {
	for {
		near, err := r.Accept()
		if err != nil {
			return
		}
		far, err := net.Dial("tcp", to)
		if err != nil {
			_ = near.Close()
			continue
		}
		r.mu.Lock()
		r.conns = append(r.conns, near, far)
		r.mu.Unlock()
		for _, pair := range [][2]net.Conn{{near, far}, {far, near}} {
			go r.pass(pair[0], pair[1])
		}
	}
}

func (r *relay) cut() {
	_ = r.Close()
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, conn := range r.conns {
		_ = conn.Close()
	}
}

// values are the settings for a host at an address.
func values(t testing.TB, server *sshtest.Server, addresses ...string) map[string]any {
	t.Helper()
	var known strings.Builder
	for _, address := range addresses {
		known.WriteString(sshtest.Line(address, server.HostKey))
	}
	path := filepath.Join(t.TempDir(), "known_hosts")
	if err := os.WriteFile(path, []byte(known.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	return map[string]any{"user": "root", "key_file": server.KeyFile, "known_hosts": path, "hosts": addresses}
}

func target(t testing.TB) backendtest.Target {
	server := sharedHost(t)
	relay := newRelay(t, server.Address)
	address := relay.Addr().String()
	first := shared.next.Add(5) - 5
	if first+5 > someUsers {
		t.Fatal("the shared host has too few users")
	}
	name := func(n int64) string { return fmt.Sprintf("user%d@%s", first+n, address) }
	settings := values(t, server, address)
	settings["min_length"], settings["rounds"] = int64(6), int64(1000)
	settings["user"], _, _ = strings.Cut(name(4), "@")
	delete(settings, "key_file")
	return backendtest.Target{
		Config:   sdk.Config{Values: settings, Secrets: map[string]secret.Value{"password": secret.New(ownSecret)}},
		Accounts: []string{name(0), name(1), name(2)},
		Aliases:  map[string]string{strings.Replace(name(0), "127.0.0.1", "[::ffff:127.0.0.1]", 1): name(0)},
		Holds: func(account, _, value string) bool {
			user, _, _ := strings.Cut(account, "@")
			return server.Holds(user, value)
		},
		Missing:  "nosuch@" + address,
		Refusing: map[string]sdk.Code{name(3): sdk.AccountStatus, "sshd@" + address: sdk.NoCredential},
		Locked:   name(3),
		Own:      name(4),
		OwnValue: ownSecret,
		Weak:     "short",
		Wrong: []backendtest.Wrong{
			{Field: "user"},
			{Field: "user", Value: "ro ot"},
			{Field: "known_hosts"},
			{Field: "port", Value: int64(0)},
			{Field: "sudo", Value: "maybe"},
			{Field: "locked", Value: "maybe"},
			{Field: "rounds", Value: int64(1)},
			{Field: "min_length", Value: int64(-1)},
			{Field: "jump", Value: []string{"bastion"}},
			{Field: "hosts", Value: []string{"a b"}},
		},
		Down: relay.cut,
	}
}

func TestBackendKeepsTheContract(t *testing.T) {
	backendtest.Run(t, backendtest.Options{Backend: ssh.New(), Target: target, Report: kepttest.Report(t, "../kept/ssh.json")})
}

func TestExecutableKeepsTheContract(t *testing.T) {
	path := backendtest.Build(t, "./rekey-backend-ssh")
	backendtest.RunExecutable(t, backendtest.Options{Target: target}, path)
}
