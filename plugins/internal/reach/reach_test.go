package reach

import (
	"crypto/tls"
	"errors"
	"net"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/rekey-host/rekey/plugins/internal/reachtest"
	"github.com/rekey-host/rekey/sdk"
)

var (
	upgrading = Kind{Scheme: "db", Port: 5432, Socket: ".s.db"}
	apart     = Kind{Scheme: "kv", Secure: "kvs", Port: 6379}
)

func TestSettings(t *testing.T) {
	dir := t.TempDir()
	for _, test := range []struct {
		kind   Kind
		values map[string]any
		want   string // the address, or a part of the error
		secure bool
	}{
		{upgrading, map[string]any{"url": "db://h"}, "h:5432", true},
		{upgrading, map[string]any{"url": "db://h:7", "insecure": true}, "h:7", false},
		{upgrading, map[string]any{"url": "db://[::1]:7"}, "[::1]:7", true},
		{upgrading, map[string]any{"url": "unix://" + dir}, dir + "/.s.db", false},
		{upgrading, map[string]any{"url": "unix:///run/other"}, "/run/other", false},
		{apart, map[string]any{"url": "kvs://h"}, "h:6379", true},
		{apart, map[string]any{"url": "kv://127.0.0.1", "insecure": true}, "127.0.0.1:6379", false},
		{apart, map[string]any{"url": "kv://127.0.0.1"}, "InsecureTransport: url: kv:// would carry passwords in clear", false},
		{apart, map[string]any{"url": "http://h"}, `InvalidConfig: url: got scheme "http"`, false},
		{upgrading, map[string]any{"url": "db://u:p@h"}, "InvalidConfig: url: want db://HOST", false},
		{upgrading, map[string]any{"url": "db://h/base"}, "InvalidConfig: url: want db://HOST", false},
		{upgrading, map[string]any{"url": "unix://run"}, "InvalidConfig: url: want unix:///PATH", false},
		{upgrading, map[string]any{}, "InvalidConfig: url: missing", false},
		{upgrading, map[string]any{"url": "db://h", "insecure": true, "server_name": "x"}, "InvalidConfig: server_name", false},
		{upgrading, map[string]any{"url": "db://h", "ca_file": filepath.Join(dir, "none")}, "InvalidConfig: ca_file", false},
	} {
		place, err := test.kind.Place(sdk.Config{Values: test.values})
		switch {
		case err != nil && !strings.HasPrefix(err.Error(), test.want):
			t.Errorf("%v: %v, want %s", test.values, err, test.want)
		case err == nil && (place.Address != test.want || (place.TLS != nil) != test.secure):
			t.Errorf("%v: address %q, TLS %v, want %q, %v", test.values, place.Address, place.TLS != nil, test.want, test.secure)
		}
	}
}

// Every way in which there is no connection is told with what mends it.
func TestFaults(t *testing.T) {
	authority := reachtest.NewAuthority(t)
	good := authority.Serve(t, authority.Certificate(t, reachtest.Names{Hosts: []string{"localhost"}}))
	expired := authority.Serve(t, authority.Certificate(t, reachtest.Names{Hosts: []string{"localhost"}, Expired: true}))
	nameless := authority.Serve(t, authority.Certificate(t, reachtest.Names{}))
	silent := reachtest.Closing(t)
	for _, test := range []struct {
		name   string
		values map[string]any
		code   sdk.Code
		want   string
	}{
		{"good", map[string]any{"url": "db://localhost:" + good, "ca_file": authority.File}, "", ""},
		{"a name of one's own", map[string]any{"url": "db://127.0.0.1:" + good, "ca_file": authority.File, "server_name": "localhost"}, "", ""},
		{"another name", map[string]any{"url": "db://127.0.0.1:" + good, "ca_file": authority.File}, sdk.InvalidConfig, "is for localhost, not for 127.0.0.1"},
		{"no name", map[string]any{"url": "db://localhost:" + nameless, "ca_file": authority.File}, sdk.InvalidConfig, "has a common name only"},
		{"expired", map[string]any{"url": "db://localhost:" + expired, "ca_file": authority.File}, sdk.InvalidConfig, "expired at"},
		{"not trusted", map[string]any{"url": "db://localhost:" + good}, sdk.InvalidConfig, "ca_file names the authority"},
		{"hangs up", map[string]any{"url": "db://localhost:" + silent}, sdk.Unreachable, "closed the connection"},
		{"nothing there", map[string]any{"url": "db://127.0.0.1:9"}, sdk.Unreachable, "nothing listens at 127.0.0.1:9"},
		{"no such name", map[string]any{"url": "db://no-such.invalid"}, sdk.Unreachable, `the name "no-such.invalid"`},
		{"no socket", map[string]any{"url": "unix:///no/such/socket"}, sdk.Unreachable, "there is no socket"},
	} {
		t.Run(test.name, func(t *testing.T) {
			place, err := upgrading.Place(sdk.Config{Values: test.values, Timeout: 5 * time.Second})
			if err != nil {
				t.Fatal(err)
			}
			err = secured(t, place)
			if test.code == "" {
				if err != nil {
					t.Fatal(err)
				}
				return
			}
			if failure := place.Fault(err); failure.Code != test.code || !strings.Contains(failure.Message, test.want) {
				t.Errorf("%v, want %s: …%s", failure, test.code, test.want)
			}
		})
	}
}

func secured(t *testing.T, place Place) error {
	ctx, cancel := place.Bounded(t.Context())
	defer cancel()
	conn, err := place.Dial(ctx)
	if err != nil {
		return err
	}
	defer conn.Close()
	if place.TLS == nil {
		return errors.New("in clear")
	}
	return tls.Client(conn, place.TLS).HandshakeContext(ctx)
}

func TestAConnectionThatTheServerEndedIsHungUp(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	conn, err := net.Dial("tcp", listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	server, err := listener.Accept()
	if err != nil {
		t.Fatal(err)
	}
	if HungUp(conn) {
		t.Error("an idle connection counts as hung up")
	}
	go func() { _, _ = conn.Read(make([]byte, 1)) }() // as a client that reads ahead
	time.Sleep(10 * time.Millisecond)
	asked := make(chan bool, 1)
	go func() { asked <- HungUp(conn) }()
	select {
	case over := <-asked:
		if over {
			t.Error("a connection that is read from counts as hung up")
		}
	case <-time.After(5 * time.Second):
		t.Fatal("HungUp waits for who reads")
	}
	server.Close()
	for deadline := time.Now().Add(5 * time.Second); !HungUp(conn); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("an ended connection does not count as hung up")
		}
	}
}
