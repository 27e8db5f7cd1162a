package ldap

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/rekey-host/rekey/plugins/ldap/ldaptest"
	"github.com/rekey-host/rekey/sdk"
	"github.com/rekey-host/rekey/sdk/secret"
)

// TestWhatKeepsFromTheServerIsToldInTheWordsOfTheSettings is C.2: each failure
// on the way to the server names the setting, what is wrong and what to do.
func TestWhatKeepsFromTheServerIsToldInTheWordsOfTheSettings(t *testing.T) {
	s := ldaptest.Start(t, ldaptest.Options{TLS: true})
	nobody, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_ = nobody.Close()
	port := func(url string) string { return url[strings.LastIndex(url, ":"):] }
	for _, c := range []struct {
		name, url string
		more      map[string]any
		code      sdk.Code
		says      []string
	}{
		{"ldaps on a plain port", "ldaps://127.0.0.1" + port(s.URL), nil, sdk.Unreachable, []string{"url: ", "does not speak TLS", "start_tls = True", "636"}},
		{"ldap on a TLS port", "ldap://127.0.0.1" + port(s.TLSURL), nil, sdk.Unreachable, []string{"url: ", "closed the connection without an answer", "ldaps://"}},
		{"nobody there", "ldap://" + nobody.Addr().String(), nil, sdk.Unreachable, []string{"url: nothing listens at " + nobody.Addr().String(), "is the server up"}},
		{"no such name", "ldap://no-such-name.invalid", nil, sdk.Unreachable, []string{"url: the name \"no-such-name.invalid\""}},
		{"no such socket", "ldapi:///nowhere/ldapi", nil, sdk.Unreachable, []string{"url: there is no socket /nowhere/ldapi"}},
		{"unknown authority", s.TLSURL, nil, sdk.InvalidConfig, []string{"url: ", "ldaptest CA", "ca_file names the authority to trust"}},
		{"name of its own", s.TLSURL, map[string]any{"ca_file": s.CAFile, "server_name": "ds.acme.example"}, sdk.InvalidConfig, []string{"is for localhost, 127.0.0.1, not for ds.acme.example", "server_name"}},
		{"bind_dn that is none", s.URL, map[string]any{"bind_dn": "rotator"}, sdk.InvalidConfig, []string{"bind_dn", "write a DN"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			cfg := config(s, "url", c.url)
			for name, v := range c.more {
				cfg.Values[name] = v
			}
			i := configure(t, cfg).(sdk.Checker)
			f := i.Check(t.Context())
			if len(f) != 1 || f[0].Severity != sdk.Bad || f[0].Code != c.code {
				t.Fatalf("%+v, want one bad finding %s", f, c.code)
			}
			for _, w := range c.says {
				if !strings.Contains(f[0].Message, w) {
					t.Errorf("%q does not say %q", f[0].Message, w)
				}
			}
			if strings.HasSuffix(f[0].Message, "EOF") {
				t.Errorf("%q leaves it at that", f[0].Message)
			}
		})
	}
	named := open(t, s, "url", strings.Replace(s.TLSURL, "127.0.0.1", "127.0.0.2", 1), "ca_file", s.CAFile, "server_name", "localhost", "insecure", false)
	_ = named // the server listens on 127.0.0.1 only: that it is configured is enough
	if f := open(t, s, "url", s.TLSURL, "ca_file", s.CAFile, "server_name", "localhost", "insecure", false).Check(t.Context()); len(f) > 0 {
		t.Errorf("with a server name: %+v", f)
	}
}

// TestEveryKindOfCertificateHasAdviceOfItsOwn makes a certificate of each kind
// that clients refuse.
func TestEveryKindOfCertificateHasAdviceOfItsOwn(t *testing.T) {
	day := 24 * time.Hour
	now := time.Now()
	for _, c := range []struct {
		name string
		edit func(*x509.Certificate)
		says []string
	}{
		{"common name only", func(x *x509.Certificate) { x.IPAddresses = nil }, []string{"common name only (ds)", "subject alternative name for 127.0.0.1"}},
		{"another name", func(x *x509.Certificate) { x.IPAddresses, x.DNSNames = nil, []string{"ldap.acme.test"} }, []string{"is for ldap.acme.test, not for 127.0.0.1", "server_name"}},
		{"expired", func(x *x509.Certificate) { x.NotBefore, x.NotAfter = now.Add(-2*day), now.Add(-day) }, []string{"expired at", "renewed"}},
		{"not yet", func(x *x509.Certificate) { x.NotBefore, x.NotAfter = now.Add(day), now.Add(2*day) }, []string{"is not valid before", "clock"}},
		{"for clients", func(x *x509.Certificate) { x.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth} }, []string{"not one for servers", "serverAuth"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			url, ca := secured(t, c.edit)
			i := configure(t, sdk.Config{Timeout: 10 * time.Second, Concurrency: 1, Values: map[string]any{"url": url, "ca_file": ca, "bind_dn": "cn=x,dc=y"},
				Secrets: map[string]secret.Value{"bind_password": secret.New("x")}}).(sdk.Checker)
			f := i.Check(t.Context())
			if len(f) != 1 || f[0].Code != sdk.InvalidConfig || strings.Contains(f[0].Message, "ca_file") {
				t.Fatalf("%+v", f)
			}
			for _, w := range c.says {
				if !strings.Contains(f[0].Message, w) {
					t.Errorf("%q does not say %q", f[0].Message, w)
				}
			}
		})
	}
}

// secured listens with a certificate, and returns where, and the authority.
func secured(t *testing.T, edit func(*x509.Certificate)) (url, ca string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	root := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "trial"}, IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageCertSign, NotBefore: time.Now().Add(-72 * time.Hour), NotAfter: time.Now().Add(72 * time.Hour)}
	leaf := &x509.Certificate{SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: "ds"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour)}
	edit(leaf)
	signed := func(c *x509.Certificate) []byte {
		der, err := x509.CreateCertificate(rand.Reader, c, root, &key.PublicKey, key)
		if err != nil {
			t.Fatal(err)
		}
		return der
	}
	ca = filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(ca, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: signed(root)}), 0o600); err != nil {
		t.Fatal(err)
	}
	l, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{signed(leaf)}, PrivateKey: key}}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() { _ = c.(*tls.Conn).Handshake(); _ = c.Close() }()
		}
	}()
	return "ldaps://" + l.Addr().String(), ca
}

func TestTheSocketTellsWhoAsks(t *testing.T) {
	s := ldaptest.Start(t, ldaptest.Options{Users: 1, Before: []string{
		`access to * by dn.regex="gidNumber=[0-9]+\\+uidNumber=[0-9]+,cn=peercred,cn=external,cn=auth" write by * break`}})
	path := strings.TrimPrefix(s.Socket, "ldapi://")
	for _, url := range []string{s.Socket, "ldapi://" + strings.ReplaceAll(path, "/", "%2F"), "ldapi://" + strings.ReplaceAll(path, "/", "%2f") + "/"} {
		i := configure(t, sdk.Config{Timeout: 10 * time.Second, Concurrency: 2, Values: map[string]any{"url": url, "auth": "external", "base_dn": s.BaseDN}})
		if f := i.(sdk.Checker).Check(t.Context()); len(f) > 0 {
			t.Errorf("%s: %+v", url, f)
		}
		wantReceipt(t, i.Apply(t.Context(), set("user0", "by "+url)), "applied")
		wantBind(t, s, s.UserDN(0), "by "+url, true)
	}
	for _, c := range []struct {
		values map[string]any
		says   string
	}{
		{map[string]any{"url": s.Socket}, `auth = "external" (SASL EXTERNAL)`},
		{map[string]any{"url": s.URL, "auth": "external", "insecure": true}, "external is for ldapi://"},
		{map[string]any{"url": s.Socket, "auth": "external", "bind_dn": "cn=x"}, "leave bind_dn and bind_password out"},
	} {
		if _, err := New().Configure(t.Context(), sdk.Config{Values: c.values}); err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%v: %v, want %q", c.values, err, c.says)
		}
	}
}
