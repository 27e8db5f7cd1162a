package ldap

import (
	"strings"
	"testing"

	"github.com/rekey-host/rekey/plugins/ldap/ldaptest"
	"github.com/rekey-host/rekey/sdk"
)

// With all that an administrator switches on to see who did what, no value
// stands in the server's log, and neither does the hash of one.
func TestTheServersLogHasNoValues(t *testing.T) {
	s := ldaptest.Start(t, ldaptest.Options{Users: 3, PPolicy: true, Log: "trace,args,conns,filter,acl,stats,stats2,shell,parse,sync", Global: samba,
		LDIF: ofBoth(1), Before: mayWrite(sambaAndShadow)})
	asRoot(t, s, s.PolicyDN(), "pwdCheckQuality", "0")
	i := open(t, s, "update_samba", true, "update_shadow", true)
	attribute := openOther(t, s, "mode", "attribute")
	plain := openOther(t, s, "mode", "attribute", "hash", "plain")
	const value = "Zq7-canary-"
	wantReceipt(t, i.Apply(t.Context(), set("user0", value+"1")), "applied")
	wantReceipt(t, i.Apply(t.Context(), change("user0", value+"1", value+"2")), "applied")
	wantReceipt(t, i.Apply(t.Context(), must(set("both0", value+"3"), true)), "applied")
	wantReceipt(t, attribute.Apply(t.Context(), set("user1", value+"4")), "applied")
	wantReceipt(t, plain.Apply(t.Context(), set("user2", value+"5")), "applied")
	wantReceipt(t, i.Apply(t.Context(), set(s.DeniedDN(), value+"6")), "refused PermissionDenied")
	wantVerdict(t, i, "user0", value+"2", sdk.Accepted)
	wantVerdict(t, i, "user0", value+"7", sdk.Rejected)
	log := s.Log()
	if !strings.Contains(log, "PASSMOD") || !strings.Contains(log, "userPassword") {
		t.Fatal("the log does not say what was done")
	}
	for _, secret := range []string{"Zq7-canary", ntHash(value + "3"), "{SSHA}"} {
		if at := strings.Index(log, secret); at >= 0 {
			line := log[strings.LastIndex(log[:at], "\n")+1:]
			t.Errorf("the log has a value in the line %q", strings.SplitN(line, secret, 2)[0])
		}
	}
	if !strings.Contains(New().Describe().Doc, "slapd's levels BER and packets\ndump all that it reads") {
		t.Error("the documentation does not say which levels of the log have values")
	}
}
