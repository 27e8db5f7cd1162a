package ldap

import (
	"strings"
	"testing"

	"github.com/rekey-host/rekey/plugins/ldap/internal/ldapwire"
	"github.com/rekey-host/rekey/plugins/ldap/ldaptest"
	"github.com/rekey-host/rekey/sdk"
	"github.com/rekey-host/rekey/sdk/secret"
)

// What a domain stands on is not rotated by way of a list of accounts.
func TestWhatADomainStandsOnIsGuarded(t *testing.T) {
	for _, tt := range []struct {
		name       string
		attributes map[string]string
		admins     bool
		want       string // in the refusal; "": none
	}{
		{"a user", map[string]string{"sAMAccountName": "ann", "userAccountControl": "512"}, false, ""},
		{"a user who was never one", map[string]string{"sAMAccountName": "ann", "adminCount": "0"}, false, ""},
		{"an administrator", map[string]string{"sAMAccountName": "ann", "adminCount": "1"}, false, "rotate_admins = True"},
		{"an administrator who is meant", map[string]string{"sAMAccountName": "ann", "adminCount": "1"}, true, ""},
		{"krbtgt", map[string]string{"sAMAccountName": "KRBTGT", "adminCount": "1"}, true, "holds the domain together"},
		{"of a read-only controller", map[string]string{"sAMAccountName": "krbtgt_21045"}, true, "holds the domain together"},
		{"a controller", map[string]string{"sAMAccountName": "DC1$", "userAccountControl": "532480"}, true, "domain controller"},
		{"a trust", map[string]string{"sAMAccountName": "OTHER$", "userAccountControl": "2080"}, true, "trust"},
	} {
		item := entry{ldapwire.Entry{DN: "CN=x,DC=ad,DC=test"}}
		for name, value := range tt.attributes {
			item.Attributes = append(item.Attributes, ldapwire.Attribute{Name: name, Values: []string{value}})
		}
		r := &resolver{server: &server{settings: settings{directory: directory{mode: modeAD}, rotateAdmins: tt.admins}}}
		failed := r.guarded("x", item)
		if tt.want == "" && failed != nil || tt.want != "" && (failed == nil || !strings.Contains(failed.Message, tt.want)) {
			t.Errorf("%s: %v, want %q", tt.name, failed, tt.want)
		}
	}
}

// However bind_dn is spelled, and however the account is: it is rekey itself.
func TestTheServiceAccountIsProtectedHoweverItIsSpelled(t *testing.T) {
	rotator := ldaptest.Entry("rotator2", people, "x") + "\n\n"
	s := ldaptest.Start(t, ldaptest.Options{LDIF: rotator})
	c := config(s, "bind_dn", "userid=Rotator2, ou=people,DC=rekey,dc=test")
	c.Secrets["bind_password"] = secret.New("x")
	i := configure(t, c).(*resetting)
	for _, name := range []string{"rotator2", "uid=rotator2," + people, "0.9.2342.19200300.100.1.1=rotator2,organizationalUnitName=people,dc=rekey,dc=test"} {
		wantReceipt(t, i.Apply(t.Context(), set(name, "new value")), "refused Protected")
	}
	wantBind(t, s, "uid=rotator2,"+people, "x", true)
}

func TestAReadOnlyControllerIsToldAtCheck(t *testing.T) {
	root := entry{ldapwire.Entry{Attributes: []ldapwire.Attribute{{Name: "supportedCapabilities", Values: []string{ldapwire.OIDActiveDir, ldapwire.OIDReadOnlyDir}}}}}
	c := &checker{server: &server{settings: settings{directory: directory{mode: modeAD}}}}
	if f := c.checkMode(root); len(f) != 1 || f[0].Severity != sdk.Bad || f[0].Code != sdk.ReadOnly {
		t.Errorf("got %+v, want ReadOnly", f)
	}
	root.Attributes[0].Values = root.Attributes[0].Values[:1]
	if f := c.checkMode(root); len(f) > 0 {
		t.Errorf("a writable one: %+v", f)
	}
}
