package ldap

import (
	"errors"
	"strings"
	"testing"

	"github.com/rekey-host/rekey/plugins/ldap/ldaptest"
	"github.com/rekey-host/rekey/sdk"
)

// byCertificate are the settings of a logon by certificate.
func byCertificate(s *ldaptest.Server, more ...any) sdk.Config {
	c := config(s, append([]any{"url", s.TLSURL, "ca_file", s.CAFile, "insecure", false, "auth", "external", "bind_dn", ""}, more...)...)
	c.Secrets = nil
	return c
}

func TestACertificateLogsOn(t *testing.T) {
	s := ldaptest.Start(t, ldaptest.Options{Users: 2, TLS: true, Global: []string{"TLSVerifyClient demand", `authz-regexp "^cn=([^,]+)$" "cn=$1,dc=rekey,dc=test"`}})
	shown := []any{"cert_file", s.CertFile, "key_file", s.KeyFile}
	for name, c := range map[string]sdk.Config{
		"ldaps":     byCertificate(s, shown...),
		"start_tls": byCertificate(s, append(shown, "url", s.URL, "start_tls", true)...),
	} {
		i := configure(t, c).(*resetting)
		if f := i.Check(t.Context()); len(f) > 0 {
			t.Errorf("%s: Check = %+v", name, f)
		}
		wantReceipt(t, i.Apply(t.Context(), set("user0", "by certificate, "+name)), "applied")
		wantVerdict(t, i, "user0", "by certificate, "+name, sdk.Accepted)
		wantReceipt(t, i.Apply(t.Context(), set(s.BindDN, "its own")), "refused Protected")
	}
	password := config(s, append([]any{"url", s.TLSURL, "ca_file", s.CAFile, "insecure", false}, shown...)...)
	wantReceipt(t, configure(t, password).(*resetting).Apply(t.Context(), set("user1", "with a password too")), "applied")

	without := config(s, "url", s.TLSURL, "ca_file", s.CAFile, "insecure", false)
	f := configure(t, without).(sdk.Checker).Check(t.Context())
	if len(f) != 1 || f[0].Severity != sdk.Bad || !strings.Contains(f[0].Message, "cert_file") {
		t.Errorf("without a certificate: %+v, want a word on cert_file", f)
	}
	other := ldaptest.Start(t, ldaptest.Options{TLS: true})
	f = configure(t, byCertificate(s, "cert_file", other.CertFile, "key_file", other.KeyFile)).(sdk.Checker).Check(t.Context())
	if len(f) != 1 || f[0].Severity != sdk.Bad || !strings.Contains(f[0].Message, "cert_file") {
		t.Errorf("with another authority's certificate: %+v, want a word on cert_file", f)
	}
}

func TestSettingsOfACertificateAreChecked(t *testing.T) {
	s := ldaptest.Start(t, ldaptest.Options{TLS: true})
	for _, tt := range []struct {
		name string
		more []any
		says string
	}{
		{"no certificate", nil, "cert_file and key_file"},
		{"no key", []any{"cert_file", s.CertFile}, "key_file: missing"},
		{"no certificate to the key", []any{"key_file", s.KeyFile}, "cert_file: missing"},
		{"another's key", []any{"cert_file", s.CertFile, "key_file", strings.Replace(s.KeyFile, "client", "server", 1)}, "no pair"},
		{"no such file", []any{"cert_file", s.CertFile + "x", "key_file", s.KeyFile}, "cert_file: "},
		{"in clear", []any{"cert_file", s.CertFile, "key_file", s.KeyFile, "url", s.URL, "ca_file", "", "insecure", true}, "cert_file: needs ldaps:// or start_tls"},
	} {
		_, err := New().Configure(t.Context(), byCertificate(s, tt.more...))
		if !errors.Is(err, &sdk.Error{Code: sdk.InvalidConfig}) || !strings.Contains(err.Error(), tt.says) {
			t.Errorf("%s: %v, want %q", tt.name, err, tt.says)
		}
	}
}
