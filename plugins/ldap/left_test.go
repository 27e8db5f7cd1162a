package ldap

import (
	"fmt"
	"strings"
	"testing"
	"time"

	goldap "github.com/go-ldap/ldap/v3"

	"github.com/rekey-host/rekey/plugins/ldap/ldaptest"
	"github.com/rekey-host/rekey/sdk"
)

// samba is the part of Samba's schema that matters here.
var samba = []string{
	`attributetype ( 1.3.6.1.4.1.7165.2.1.25 NAME 'sambaNTPassword' EQUALITY caseIgnoreIA5Match SYNTAX 1.3.6.1.4.1.1466.115.121.1.26{32} SINGLE-VALUE )`,
	`attributetype ( 1.3.6.1.4.1.7165.2.1.24 NAME 'sambaLMPassword' EQUALITY caseIgnoreIA5Match SYNTAX 1.3.6.1.4.1.1466.115.121.1.26{32} SINGLE-VALUE )`,
	`attributetype ( 1.3.6.1.4.1.7165.2.1.27 NAME 'sambaPwdLastSet' EQUALITY integerMatch SYNTAX 1.3.6.1.4.1.1466.115.121.1.27 SINGLE-VALUE )`,
	`objectclass ( 1.3.6.1.4.1.7165.2.2.6 NAME 'sambaSamAccount' SUP top AUXILIARY MAY ( sambaNTPassword $ sambaLMPassword $ sambaPwdLastSet ) )`,
}

// classes gives an entry further object classes.
func classes(entry string, more ...string) string {
	for _, c := range more {
		entry = strings.Replace(entry, "objectClass: ", "objectClass: "+c+"\nobjectClass: ", 1)
	}
	return entry
}

// TestCheckSaysWhatASetLeavesBehind is A.10.
func TestCheckSaysWhatASetLeavesBehind(t *testing.T) {
	ldif := ""
	for n := range 3 {
		ldif += classes(ldaptest.Entry(fmt.Sprint("sam", n), people, "x"), "sambaSamAccount") + "\nsambaNTPassword: 0CB6948805F797BF2A82807973B89537\n\n"
	}
	for n := range 2 {
		ldif += classes(ldaptest.Entry(fmt.Sprint("sha", n), people, "x"), "posixAccount", "shadowAccount") + fmt.Sprintf("\nuidNumber: %d\ngidNumber: 1\nhomeDirectory: /x\nshadowLastChange: 15000\nshadowMax: 90\n\n", n)
	}
	ldif += classes(ldaptest.Entry("idle", people, "x"), "shadowAccount") + "\n\n"
	for _, c := range []struct {
		name   string
		before []string
		want   int
	}{{"seen", nil, 2}, {"hidden", []string{"access to attrs=sambaNTPassword by * none"}, 2}} {
		s := ldaptest.Start(t, ldaptest.Options{Global: samba, LDIF: ldif, Before: c.before})
		f := open(t, s).Check(t.Context())
		if len(f) != c.want {
			t.Fatalf("%s: %+v", c.name, f)
		}
		for n, w := range []string{"3 of the entries under base_dn have sambaNTPassword", "2 of the entries under base_dn have shadowLastChange"} {
			if f[n].Severity != sdk.Warning || !strings.Contains(f[n].Message, w) || f[n].Fix == "" {
				t.Errorf("%s: %+v, want a warning %q", c.name, f[n], w)
			}
		}
	}
	if f := open(t, ldaptest.Start(t, ldaptest.Options{Users: 3})).Check(t.Context()); len(f) != 0 {
		t.Errorf("where there is nothing: %+v", f)
	}
}

// TestCheckCountsTheGraceLoginsOfBindDN: each connection uses one up, so the
// operator has to know.
func TestCheckCountsTheGraceLoginsOfBindDN(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, policy string
		says         string
		severity     sdk.Severity
	}{
		{"on grace logins", "pwdMaxAge: 1\npwdGraceAuthnLimit: 9", "grace logins are left", sdk.Warning},
		{"the last one", "pwdMaxAge: 1\npwdGraceAuthnLimit: 1", "the last of its grace logins", sdk.Bad},
		{"expires soon", "pwdMaxAge: 1000\npwdExpireWarning: 999", "expires in 16m", sdk.Warning},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := ldaptest.Start(t, ldaptest.Options{PPolicy: true, LDIF: "dn: cn=short,ou=policies,dc=rekey,dc=test\nobjectClass: device\nobjectClass: pwdPolicy\ncn: short\npwdAttribute: userPassword\n" + c.policy + "\n\n"})
			root, err := s.Root()
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = root.Close() }()
			m := goldap.NewModifyRequest(s.BindDN, nil)
			m.Replace("pwdPolicySubentry", []string{"cn=short,ou=policies," + s.BaseDN})
			if err := root.Modify(m); err != nil {
				t.Fatal(err)
			}
			if _, err := root.PasswordModify(goldap.NewPasswordModifyRequest(s.BindDN, "", s.Password)); err != nil {
				t.Fatal(err)
			}
			time.Sleep(2100 * time.Millisecond) // the server counts in seconds
			f := open(t, s).Check(t.Context())
			if len(f) != 1 || f[0].Severity != c.severity || !strings.Contains(f[0].Message, c.says) {
				t.Errorf("%+v, want %q", f, c.says)
			}
		})
	}
}

func TestAccountsListsNoAliasesAndSaysFederated(t *testing.T) {
	s := ldaptest.Start(t, ldaptest.Options{LDIF: manyNamed + ldaptest.Entry("far", people, "x") + "\nuserPassword: {SASL}far@REALM\n\n" +
		"dn: ou=elsewhere," + people + "\nobjectClass: referral\nobjectClass: extensibleObject\nou: elsewhere\nuid: elsewhere\nref: ldap://other.example/ou=x\n\n"})
	status := map[string]sdk.Status{}
	if err := open(t, s).List(t.Context(), "", nil, func(a sdk.Account) error { status[a.Login] = a.Status; return nil }); err != nil {
		t.Fatal(err)
	}
	if _, ok := status["pointer"]; ok || status["elsewhere"] != "" {
		t.Errorf("got %v, want neither alias nor referral", status)
	}
	if status["far"] != sdk.StatusFederated || status["cy"] != sdk.StatusActive {
		t.Errorf("got %v, want far federated", status)
	}
	if a, err := open(t, s).Find(t.Context(), "far"); err != nil || a.Status != sdk.StatusFederated {
		t.Errorf("find: %v %v", a.Status, err)
	}
}

// What a server tells in the entry of the service account, told in days.
func TestCheckSaysWhenTheServiceAccountEnds(t *testing.T) {
	domain := startFakeDomain(t)
	in := func(left time.Duration) string {
		return fmt.Sprint(time.Now().Add(left).UnixNano()/100 + 116444736000000000)
	}
	for _, tt := range []struct {
		name, attribute, value, says string
	}{
		{"password, soon", "msDS-UserPasswordExpiryTimeComputed", in(73 * time.Hour), "its password expires in 3 days"},
		{"password, very soon", "msDS-UserPasswordExpiryTimeComputed", in(90*time.Minute + 30*time.Second), "its password expires in 1h30m"},
		{"password, later", "msDS-UserPasswordExpiryTimeComputed", in(1000 * time.Hour), ""},
		{"password, never", "msDS-UserPasswordExpiryTimeComputed", "9223372036854775807", ""},
		{"account, soon", "accountExpires", in(49 * time.Hour), "the account expires in 2 days"},
		{"account, never", "accountExpires", "0", ""},
	} {
		rotator := domain.accounts[strings.ToLower(domain.dn("rotator"))]
		domain.mu.Lock()
		rotator.attributes[tt.attribute] = tt.value
		domain.mu.Unlock()
		f := domain.instance(t).Check(t.Context())
		if tt.says == "" && len(f) > 0 || tt.says != "" && (len(f) != 1 || f[0].Severity != sdk.Warning || !strings.Contains(f[0].Message, tt.says)) {
			t.Errorf("%s: %+v, want %q", tt.name, f, tt.says)
		}
		domain.mu.Lock()
		delete(rotator.attributes, tt.attribute)
		domain.mu.Unlock()
	}
}

// TestCheckSaysWhatClockAndCertificateAreLike: of a directory that tells its
// time, and of one that shows a certificate.
func TestCheckSaysWhatClockAndCertificateAreLike(t *testing.T) {
	domain := startFakeDomain(t)
	domain.ahead = 7 * time.Minute
	f := domain.instance(t).Check(t.Context())
	if len(f) != 1 || f[0].Severity != sdk.Warning || !strings.Contains(f[0].Message, "ahead of this machine's") || f[0].Fix == "" {
		t.Errorf("its clock: %+v", f)
	}
	s := ldaptest.Start(t, ldaptest.Options{TLS: true})
	for days, want := range map[int]string{0: "", 85: "the server's certificate ends in 4 days"} {
		i, err := (&Backend{Now: func() time.Time { return time.Now().AddDate(0, 0, days) }}).Configure(t.Context(), config(s, "url", s.TLSURL, "ca_file", s.CAFile))
		if err != nil {
			t.Fatal(err)
		}
		f := i.(sdk.Checker).Check(t.Context())
		if want == "" && len(f) > 0 || want != "" && (len(f) != 1 || !strings.Contains(f[0].Message, want)) {
			t.Errorf("%d days on: %+v, want %q", days, f, want)
		}
		_ = i.Close()
	}
}
