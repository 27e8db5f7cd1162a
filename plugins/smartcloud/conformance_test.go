package smartcloud_test

import (
	"strings"
	"testing"

	"github.com/rekey-host/rekey/plugins/kept/kepttest"
	"github.com/rekey-host/rekey/plugins/smartcloud"
	"github.com/rekey-host/rekey/plugins/smartcloud/smartcloudtest"
	"github.com/rekey-host/rekey/sdk"
	"github.com/rekey-host/rekey/sdk/backendtest"
)

// contractTarget starts an organisation with accounts in every state. more are
// settings, as name and value.
func contractTarget(t testing.TB, more ...any) backendtest.Target {
	logins := []string{ann, "bob@acme.example", "cy+sales@acme.example", "o'dee@acme.example"}
	s := smartcloudtest.New(smartcloudtest.Options{AdminPassword: adminPW, RepeatAllowed: true, Strict: len(more) > 1 && more[1] == "never"})
	for _, login := range logins {
		s.Add(smartcloudtest.Account{Login: login, Password: tempPW})
	}
	s.Add(smartcloudtest.Account{Login: "sue@acme.example", Password: tempPW, State: smartcloudtest.Suspended},
		smartcloudtest.Account{Login: "fay@acme.example", Password: tempPW, Realm: smartcloudtest.Federated})
	if err := s.Listen("127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return backendtest.Target{
		Config:   config(s.URL(), more...),
		Accounts: logins,
		Holds:    func(account, _, value string) bool { now, _ := s.Password(account); return now == value },
		Missing:  "nobody@acme.example",
		Refusing: map[string]sdk.Code{"sue@acme.example": sdk.AccountStatus, "fay@acme.example": sdk.NoCredential, admin: sdk.Protected},
		Weak:     "without-a-digit-aaa",
		History:  true,
		Wrong: []backendtest.Wrong{
			{Field: "url", Value: "http://cloud.example"},
			{Field: "admin", Value: ""},
			{Field: "budget", Value: "often"},
			{Field: "weights", Value: []string{"subscriber"}},
		},
		Down:   s.Close,
		Server: strings.TrimPrefix(s.URL(), "http://"), Setting: "url",
	}
}

func TestBackendKeepsTheContract(t *testing.T) {
	report := kepttest.Report(t, "../kept/smartcloud.json")
	for name, settings := range map[string][]any{
		"without logons": {"logon_check", "never"},
		"with logons":    {"logon_check", "verify"},
	} {
		t.Run(name, func(t *testing.T) {
			backendtest.Run(t, backendtest.Options{Backend: smartcloud.New(), Report: report, Target: func(t testing.TB) backendtest.Target {
				x := contractTarget(t, settings...)
				if settings[1] != "verify" {
					x.Lacks = []sdk.Ability{sdk.CanVerify}
				}
				return x
			}})
		})
	}
}

func TestExecutableKeepsTheContract(t *testing.T) {
	path := backendtest.Build(t, "./rekey-backend-smartcloud")
	backendtest.RunExecutable(t, backendtest.Options{Target: func(t testing.TB) backendtest.Target {
		return contractTarget(t, "logon_check", "verify")
	}}, path)
}
