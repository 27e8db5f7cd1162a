package ldap

import (
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rekey-host/rekey/sdk"
	"github.com/rekey-host/rekey/sdk/secret"
)

// relay leads each new connection to the address that is chosen, as a name with
// several addresses or a load balancer does.
func relay(t *testing.T, to *atomic.Pointer[string]) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	go func() {
		for {
			client, err := listener.Accept()
			if err != nil {
				return
			}
			server, err := net.Dial("tcp", *to.Load())
			if err != nil {
				_ = client.Close()
				continue
			}
			go func() { copyAll(server, client) }()
			go func() { copyAll(client, server) }()
		}
	}()
	return listener.Addr().String()
}

func copyAll(to, from net.Conn) {
	buffer := make([]byte, 64<<10)
	for {
		count, err := from.Read(buffer)
		if err != nil {
			_, _ = to.Close(), from.Close()
			return
		}
		_, _ = to.Write(buffer[:count])
	}
}

// A set at one domain controller, and a verify at another that has not heard of
// it, would say that the value is not the account's.
func TestARunKeepsToOneDomainController(t *testing.T) {
	first, second := startFakeDomain(t), startFakeDomain(t)
	first.service, second.service = "CN=NTDS Settings,CN=DC1", "CN=NTDS Settings,CN=DC2"
	var to atomic.Pointer[string]
	to.Store(&first.address)
	settings := settings{
		directory: directory{base: first.base, loginAttribute: defaultLoginAD, mode: modeAD},
		dialer:    dialer{network: "tcp", address: relay(t, &to), patience: 10 * time.Second},
		bindDN:    "rotator@ad.test", passwords: sdk.NewPasswords(nil, secret.New("Rotator 123")), concurrency: 2, page: 2,
	}
	i := newInstance(settings, time.Now)
	t.Cleanup(func() { _ = i.Close() })
	wantReceipt(t, i.Apply(t.Context(), set("user0", "New value 1")), "applied")
	to.Store(&second.address)
	verdict, err := i.Verify(t.Context(), "user0", "", secret.New("New value 1"))
	if failed := sdk.AsError(err, sdk.Internal); verdict != sdk.CannotTell || failed == nil || failed.Code != sdk.Unreachable || !strings.Contains(failed.Message, "several domain controllers") {
		t.Errorf("at another domain controller: %v, %v, want CannotTell and why", verdict, err)
	}
	to.Store(&first.address)
	wantVerdict(t, i, "user0", "New value 1", sdk.Accepted)
	if second.bind(second.dn("user0"), "First value of user0 1").Code != resultSuccess {
		t.Error("the second domain controller was written to")
	}
}

// The name of a domain has many addresses: the first that answered is kept.
func TestTheAddressThatAnsweredIsKept(t *testing.T) {
	domain := startFakeDomain(t)
	host, port, err := net.SplitHostPort(domain.address)
	if err != nil || host != "127.0.0.1" {
		t.Fatal(domain.address, err)
	}
	i := newInstance(settings{
		directory: directory{base: domain.base, loginAttribute: defaultLoginAD, mode: modeAD},
		dialer:    dialer{network: "tcp", address: net.JoinHostPort("localhost", port), patience: 10 * time.Second},
		bindDN:    "rotator@ad.test", passwords: sdk.NewPasswords(nil, secret.New("Rotator 123")), concurrency: 2,
	}, time.Now)
	t.Cleanup(func() { _ = i.Close() })
	wantReceipt(t, i.Apply(t.Context(), set("user0", "New value 1")), "applied")
	i.server.address = "127.0.0.1:1" // what the name leads to from now on
	wantVerdict(t, i, "user0", "New value 1", sdk.Accepted)
}
