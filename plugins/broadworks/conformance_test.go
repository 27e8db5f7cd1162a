package broadworks_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/rekey-host/rekey/plugins/broadworks"
	"github.com/rekey-host/rekey/plugins/broadworks/broadworkstest"
	"github.com/rekey-host/rekey/plugins/kept/kepttest"
	"github.com/rekey-host/rekey/sdk"
	"github.com/rekey-host/rekey/sdk/backendtest"
)

// passcode returns the nth passcode: high and low digits by turns, so that
// there are no runs.
func passcode(n int) string {
	code := make([]byte, 6)
	for i := range code {
		code[i] = "60"[i%2] + byte(n>>(2*i)&3)
	}
	return string(code)
}

// contractTarget starts a group with its system's default rules.
func contractTarget(t testing.TB, kind string) backendtest.Target {
	users := []string{ann, "bob@acme.example", "cy@acme.example", "o'dee@acme.example"}
	s := broadworkstest.New(broadworkstest.Options{Password: loginPW, Strict: kind != broadworks.Voicemail})
	for n, id := range users {
		s.Add(broadworkstest.User{ID: id, Extension: fmt.Sprint(5550 + n)})
	}
	s.Add(broadworkstest.User{ID: "web-only@acme.example", Services: []string{}})
	if err := s.Listen("127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	x := backendtest.Target{
		Config:   config(s.URL()),
		Kind:     kind,
		Accounts: users,
		Values:   map[string]func(int) string{broadworks.Voicemail: passcode},
		Holds:    func(account, kind, value string) bool { return s.Value(account, kind) == value },
		Missing:  "nobody@acme.example",
		Refusing: map[string]sdk.Code{"admin": sdk.Protected},
		Weak:     map[string]string{broadworks.SIP: "Sh0rt-one", broadworks.Voicemail: "123456", broadworks.Web: "no-digit-In-it"}[kind],
		Wrong: []backendtest.Wrong{
			{Field: "url", Value: "http://odin.example/api/v2"},
			{Field: "url", Value: s.URL() + "/users"},
			{Field: "user", Value: ""},
			{Field: "provider", Value: ""},
			{Field: "group", Value: ""},
		},
		Down:   s.Close,
		Server: strings.Split(s.URL(), "/")[2], Setting: "url",
	}
	if kind != broadworks.Web {
		x.Refusing["web-only@acme.example"] = sdk.NoCredential
		x.Unverifiable = true
	}
	return x
}

func TestBackendKeepsTheContract(t *testing.T) {
	report := kepttest.Report(t, "../kept/broadworks.json")
	for _, kind := range kinds {
		t.Run(kind, func(t *testing.T) {
			backendtest.Run(t, backendtest.Options{Backend: broadworks.New(), Report: report, Target: func(t testing.TB) backendtest.Target {
				return contractTarget(t, kind)
			}})
		})
	}
}

func TestExecutableKeepsTheContract(t *testing.T) {
	path := backendtest.Build(t, "./rekey-backend-broadworks")
	backendtest.RunExecutable(t, backendtest.Options{Target: func(t testing.TB) backendtest.Target {
		return contractTarget(t, broadworks.Web)
	}}, path)
}
