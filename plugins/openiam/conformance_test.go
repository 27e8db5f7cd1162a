package openiam_test

import (
	"strings"
	"testing"

	"github.com/rekey-host/rekey/plugins/kept/kepttest"
	"github.com/rekey-host/rekey/plugins/openiam"
	"github.com/rekey-host/rekey/plugins/openiam/openiamtest"
	"github.com/rekey-host/rekey/sdk"
	"github.com/rekey-host/rekey/sdk/backendtest"
	"github.com/rekey-host/rekey/sdk/secret"
)

// contractTarget starts a server whose policy allows many changes of long
// values.
func contractTarget(t testing.TB, strict bool, verify string) backendtest.Target {
	s := openiamtest.New(openiamtest.Options{Strict: strict, User: "svc", Password: "svc-canary-9", ReturnResets: true, CheckStatus: true})
	if err := s.Listen("127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	s.SetPolicy("GLOBAL", openiamtest.DefaultPolicy().With("PWD_LEN", "8", "40").With("PASSWORD_CHANGE_ALLOWED", "100"))
	principals := []string{"jdoe", "bob", "cy@acme.example", "o'dee"}
	for _, p := range append(principals, "lou", "tom", "svc") {
		s.Add(openiamtest.User{ID: "u-" + p, First: "F" + p, Last: "L" + p}, openiamtest.Key{Principal: p}, "old-pass-0")
	}
	s.Update(openiamtest.Key{Principal: "tom"}, func(_ *openiamtest.Identity, u *openiamtest.User) { u.Status = openiamtest.Terminated })
	s.Update(openiamtest.Key{Principal: "lou"}, func(i *openiamtest.Identity, _ *openiamtest.User) { i.Locked = true })
	return backendtest.Target{
		Config: sdk.Config{
			Values:  map[string]any{"url": s.URL(), "user": "svc", "policy_principal": "jdoe", "verify": verify},
			Secrets: map[string]secret.Value{"password": secret.New("svc-canary-9")},
		},
		Accounts: principals,
		Holds: func(account, _, value string) bool {
			i, ok := s.Identity(openiamtest.Key{Principal: account})
			return ok && i.Password == value
		},
		Missing:  "nobody",
		Refusing: map[string]sdk.Code{"tom": sdk.AccountStatus, "svc": sdk.Protected},
		Locked:   "lou",
		Weak:     "no-digit-in-it",
		History:  true,
		Wrong: []backendtest.Wrong{
			{Field: "url", Value: "http://idm.example/openiam-idm-esb/idmsrvc/ProvisionControllerService"},
			{Field: "user"},
			{Field: "security_domain", Value: "a\x00b"},
			{Field: "managed_system", Value: "\x01"},
		},
		Down:   s.Close,
		Server: strings.Split(s.URL(), "/")[2], Setting: "url",
	}
}

func TestBackendKeepsTheContract(t *testing.T) {
	report := kepttest.Report(t, "../kept/openiam.json")
	for _, test := range []struct {
		name   string
		strict bool
		verify string
	}{{"equal, strict", true, "equal"}, {"equal", false, "equal"}, {"logon, strict", true, "logon"}} {
		t.Run(test.name, func(t *testing.T) {
			backendtest.Run(t, backendtest.Options{Backend: openiam.New(), Report: report, Target: func(t testing.TB) backendtest.Target {
				return contractTarget(t, test.strict, test.verify)
			}})
		})
	}
}

func TestExecutableKeepsTheContract(t *testing.T) {
	path := backendtest.Build(t, "./rekey-backend-openiam")
	backendtest.RunExecutable(t, backendtest.Options{Target: func(t testing.TB) backendtest.Target {
		return contractTarget(t, false, "equal")
	}}, path)
}
