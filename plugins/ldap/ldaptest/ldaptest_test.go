package ldaptest

import (
	"crypto/tls"
	"crypto/x509"
	"os"
	"strings"
	"testing"

	"github.com/go-ldap/ldap/v3"
)

func TestServerServes(t *testing.T) {
	s := Start(t, Options{Users: 2000, Sync: true, TLS: true, PPolicy: true})
	for dn, password := range map[string]string{
		s.UserDN(0): s.UserPassword(0), s.UserDN(1999): s.UserPassword(1999), s.DeniedDN(): s.UserPassword(0), s.RootDN: s.RootPW,
	} {
		if err := s.Bind(dn, password); err != nil {
			t.Errorf("Bind(%q) = %v, want nil", dn, err)
		}
		if err := s.Bind(dn, password+"x"); !ldap.IsErrorWithCode(err, ldap.LDAPResultInvalidCredentials) {
			t.Errorf("Bind(%q) with another password = %v, want invalid credentials", dn, err)
		}
	}
	pem, err := os.ReadFile(s.CAFile)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(pem)
	c, err := ldap.DialURL(s.TLSURL, ldap.DialWithTLSConfig(&tls.Config{RootCAs: pool, ServerName: "127.0.0.1"}))
	if err != nil {
		t.Fatal(err)
	}
	_ = c.Close()
}

func TestServerKeepsItsDataOverARestart(t *testing.T) {
	s := Start(t, Options{Users: 1, Sync: true})
	before := s.Pid()
	s.Kill()
	if err := s.Bind(s.UserDN(0), s.UserPassword(0)); err == nil {
		t.Fatal("a killed server answers")
	}
	if err := s.Restart(); err != nil {
		t.Fatal(err)
	}
	if err := s.Bind(s.UserDN(0), s.UserPassword(0)); err != nil || s.Pid() == before {
		t.Errorf("after a restart: %v, pid %d, was %d", err, s.Pid(), before)
	}
}

func TestConfigurationThatSlapdRefusesIsAnError(t *testing.T) {
	dir, err := os.MkdirTemp("", "rk")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = os.RemoveAll(dir) }()
	s, err := Run(t.Context(), dir, Options{Extra: []string{"no-such-directive"}})
	if err == nil {
		s.Stop()
		t.Fatal("Run = nil, want slapadd's complaint")
	}
	if !strings.Contains(err.Error(), "no-such-directive") {
		t.Errorf("Run = %v, want the directive named", err)
	}
}

func TestProxyCutsWhereItIsTold(t *testing.T) {
	s := Start(t, Options{Users: 1})
	p := StartProxy(t, s)
	tests := []struct {
		fault         Fault
		name, applied string
	}{{Pass, "no fault", "new-0"}, {CutRequest, "request cut", "new-0"}, {CutAnswer, "answer cut", "new-2"}}
	for n, tt := range tests {
		c, err := ldap.DialURL(p.URL)
		if err != nil {
			t.Fatal(err)
		}
		if err := c.Bind(s.BindDN, s.Password); err != nil {
			t.Fatal(err)
		}
		p.Next(tt.fault)
		_, err = c.PasswordModify(ldap.NewPasswordModifyRequest(s.UserDN(0), "", []string{"new-0", "new-1", "new-2"}[n]))
		if cut := err != nil; cut != (tt.fault != Pass) {
			t.Errorf("%s: PasswordModify = %v", tt.name, err)
		}
		_ = c.Close()
		if err := s.Bind(s.UserDN(0), tt.applied); err != nil {
			t.Errorf("%s: %q does not work: %v", tt.name, tt.applied, err)
		}
	}
	if got := p.Connections(); got != len(tests) {
		t.Errorf("Connections() = %d, want %d", got, len(tests))
	}
}
