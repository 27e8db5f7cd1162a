package ldap_test

import (
	"strings"
	"testing"

	"github.com/rekey-host/rekey/plugins/kept/kepttest"
	"github.com/rekey-host/rekey/plugins/ldap"
	"github.com/rekey-host/rekey/plugins/ldap/ldaptest"
	"github.com/rekey-host/rekey/sdk"
	"github.com/rekey-host/rekey/sdk/backendtest"
	"github.com/rekey-host/rekey/sdk/secret"
)

// target is a server of its own.
func target(t testing.TB, o ldaptest.Options, mode string) backendtest.Target {
	o.Users = 5
	s := ldaptest.Start(t, o)
	return backendtest.Target{
		Config: sdk.Config{
			Values:  map[string]any{"url": s.URL, "insecure": true, "bind_dn": s.BindDN, "base_dn": s.BaseDN, "mode": mode},
			Secrets: map[string]secret.Value{"bind_password": secret.New(s.Password)},
		},
		Accounts: []string{"user0", "user1", "user2", "user3", "user4"},
		Holds: func(account, _, value string) bool {
			return s.Bind("uid="+account+",ou=people,"+s.BaseDN, value) == nil
		},
		Missing:  "nobody",
		Refusing: map[string]sdk.Code{s.BindDN: sdk.Protected, "denied0": sdk.PermissionDenied},
		Wrong: []backendtest.Wrong{
			{Field: "url"},
			{Field: "url", Value: "https://ds.example"},
			{Field: "bind_dn"},
			{Field: "base_dn", Value: "not a DN"},
			{Field: "mode", Value: "x500"},
			{Field: "login_attribute", Value: "uid)(x"},
			{Field: "page_size", Value: int64(-1)},
		},
		Down:   s.Stop,
		Server: strings.TrimPrefix(s.URL, "ldap://"), Setting: "url",
	}
}

func TestBackendKeepsTheContract(t *testing.T) {
	report := kepttest.Report(t, "../kept/ldap.json")
	t.Run("rfc3062", func(t *testing.T) { extended(t, report) })
	t.Run("attribute", func(t *testing.T) { attribute(t, report) })
}

func extended(t *testing.T, report func(backendtest.Promise)) {
	forGood := ldaptest.Entry("locked", "ou=people,dc=rekey,dc=test", "x") + "\npwdAccountLockedTime: 000001010000Z\n\n"
	backendtest.Run(t, backendtest.Options{Backend: ldap.New(), Report: report, Target: func(t testing.TB) backendtest.Target {
		x := target(t, ldaptest.Options{PPolicy: true, LDIF: forGood}, "rfc3062")
		x.Locked, x.Weak, x.History = "locked", "short", true
		return x
	}})
}

func TestExecutableKeepsTheContract(t *testing.T) {
	path := backendtest.Build(t, "./rekey-backend-ldap")
	backendtest.RunExecutable(t, backendtest.Options{Target: func(t testing.TB) backendtest.Target { return target(t, ldaptest.Options{}, "rfc3062") }}, path)
}

// attribute is without a policy: it could check neither length nor history of a hash.
func attribute(t *testing.T, report func(backendtest.Promise)) {
	backendtest.Run(t, backendtest.Options{Backend: ldap.New(), Report: report, Target: func(t testing.TB) backendtest.Target {
		x := target(t, ldaptest.Options{}, "attribute")
		x.Hashed = map[string]backendtest.Hashed{"rfc2307": {Hash: "{SSHA}xx94JgJAZA3KbaeSb7ydql5GS3dzYWx0c2FsdA==", Value: "behind the hash"}}
		x.Lacks = []sdk.Ability{sdk.CanReset}
		x.Own, x.OwnValue = x.Config.Text("bind_dn"), x.Config.Secret("bind_password").Reveal()
		return x
	}})
}
