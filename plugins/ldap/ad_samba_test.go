//go:build samba

package ldap

import (
	"crypto/tls"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	goldap "github.com/go-ldap/ldap/v3"

	"github.com/rekey-host/rekey/plugins/ldap/ldaptest"
	"github.com/rekey-host/rekey/sdk"
	"github.com/rekey-host/rekey/sdk/secret"
)

const (
	sambaBase  = "DC=ad,DC=test"
	sambaAdmin = "Adm1n-Passw0rd"
	sambaURL   = "ldaps://127.0.0.1"
)

// TestSamba holds a real Samba domain to what TestActiveDirectory says of the
// simulated one. It wants root, the ports of a domain on 127.0.0.1, and the
// Debian packages samba samba-dsdb-modules samba-vfs-modules
// samba-ad-provision winbind:
//
//	go test -tags samba -run TestSamba ./plugins/ldap
func TestSamba(t *testing.T) {
	certificate := ldaptest.Start(t, ldaptest.Options{TLS: true}) // is all that is wanted of it
	startSamba(t, certificate.CAFile)
	administrator := sambaLogon(t, certificate.CAFile, "Administrator@ad.test", sambaAdmin)
	dn := func(login string) string { return "CN=" + login + ",CN=Users," + sambaBase }
	first := func(login string) string { return "First value of " + login + " 1" }
	for n := range 5 {
		login := fmt.Sprint("user", n)
		sambaAccount(t, administrator, dn(login), login, first(login))
	}
	sambaAccount(t, administrator, dn("rotator"), "rotator", "Rotator 123")
	group := goldap.NewModifyRequest(dn("Domain Admins"), nil)
	group.Add("member", []string{dn("rotator")})
	if err := administrator.Modify(group); err != nil {
		t.Fatal(err)
	}
	domain{
		dn:    dn,
		first: first,
		logon: func(dn, value string) bool {
			c := sambaConnection(t, certificate.CAFile)
			defer c.Close()
			return c.Bind(dn, value) == nil
		},
		write: func(t *testing.T, dn, attribute, value string) {
			m := goldap.NewModifyRequest(dn, nil)
			m.Replace(attribute, []string{value})
			if err := administrator.Modify(m); err != nil {
				t.Fatal(err)
			}
		},
		instance: func(t *testing.T) *Instance {
			return configure(t, sdk.Config{
				Concurrency: 4,
				Timeout:     20 * time.Second,
				Values: map[string]any{"url": sambaURL, "bind_dn": "rotator@ad.test", "base_dn": sambaBase, "mode": "ad",
					"ca_file": certificate.CAFile, "page_size": int64(2)},
				Secrets: map[string]secret.Value{"bind_password": secret.New("Rotator 123")},
			}).(*Instance)
		},
	}.test(t)
}

// startSamba provisions a domain and runs it until the test ends. The
// certificate and its key lie beside the authority's.
func startSamba(t *testing.T, ca string) {
	t.Helper()
	dir, err := os.MkdirTemp("", "rk")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	conf, empty := filepath.Join(dir, "smb.conf"), filepath.Join(dir, "empty.conf")
	sambaFile(t, empty, "")
	sambaRun(t, "domain", "provision", "-s", empty, "--targetdir="+dir, "--realm=AD.TEST", "--domain=ADTEST",
		"--server-role=dc", "--dns-backend=NONE", "--adminpass="+sambaAdmin, "--host-name=dc1", "--host-ip=127.0.0.1")
	at := func(name string) string { return filepath.Join(dir, name) }
	sambaFile(t, conf, "[global]\nnetbios name = DC1\nrealm = AD.TEST\nworkgroup = ADTEST\nserver role = active directory domain controller\n"+
		"server services = ldap\ninterfaces = 127.0.0.1/8\nbind interfaces only = yes\nold password allowed period = 0\n"+
		"private dir = "+at("private")+"\nstate directory = "+at("state")+"\ncache directory = "+at("cache")+"\nlock dir = "+dir+
		"\npid directory = "+dir+"\nncalrpc dir = "+at("ncalrpc")+"\nwinbindd socket directory = "+at("winbindd")+
		"\nntp signd socket directory = "+at("ntp_signd")+"\nbinddns dir = "+at("bind-dns")+"\nlog file = "+at("log")+
		"\ntls cafile = "+ca+"\ntls certfile = "+filepath.Join(filepath.Dir(ca), "server.pem")+"\ntls keyfile = "+filepath.Join(filepath.Dir(ca), "server.key")+"\n")
	sambaRun(t, "domain", "passwordsettings", "set", "-s", conf, "-H", at("private/sam.ldb"),
		"--min-pwd-age=0", "--account-lockout-threshold=3", "--account-lockout-duration=30", "--reset-account-lockout-after=30")
	samba := exec.Command("samba", "-F", "--no-process-group", "-M", "prefork", "-s", conf)
	samba.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGTERM}
	if err := samba.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = samba.Process.Signal(syscall.SIGTERM)
		_ = samba.Wait()
	})
}

func sambaFile(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func sambaRun(t *testing.T, args ...string) {
	t.Helper()
	if out, err := exec.Command("samba-tool", args...).CombinedOutput(); err != nil {
		t.Fatalf("samba-tool: %v\n%s", err, out)
	}
}

// sambaConnection waits until the domain answers.
func sambaConnection(t *testing.T, ca string) *goldap.Conn {
	t.Helper()
	pool, err := authorities(ca)
	if err != nil {
		t.Fatal(err)
	}
	for end := time.Now().Add(time.Minute); ; time.Sleep(50 * time.Millisecond) {
		c, err := goldap.DialURL(sambaURL, goldap.DialWithTLSConfig(&tls.Config{RootCAs: pool, ServerName: "127.0.0.1"}))
		if err == nil {
			return c
		}
		if time.Now().After(end) {
			t.Fatal(err)
		}
	}
}

func sambaLogon(t *testing.T, ca, name, value string) *goldap.Conn {
	t.Helper()
	c := sambaConnection(t, ca)
	t.Cleanup(func() { _ = c.Close() })
	if err := c.Bind(name, value); err != nil {
		t.Fatal(err)
	}
	return c
}

func sambaAccount(t *testing.T, c *goldap.Conn, dn, login, value string) {
	t.Helper()
	add := goldap.NewAddRequest(dn, nil)
	for name, v := range map[string]string{"objectClass": "user", "sAMAccountName": login, "userPrincipalName": login + "@ad.test",
		"unicodePwd": unicodePwd(value), "userAccountControl": "512"} {
		add.Attribute(name, []string{v})
	}
	if err := c.Add(add); err != nil {
		t.Fatal(err)
	}
}
