package kendox_test

import (
	"strings"
	"testing"

	"github.com/rekey-host/rekey/plugins/kendox"
	"github.com/rekey-host/rekey/plugins/kendox/kendoxtest"
	"github.com/rekey-host/rekey/plugins/kept/kepttest"
	"github.com/rekey-host/rekey/sdk"
	"github.com/rekey-host/rekey/sdk/backendtest"
)

// contractTarget starts a server that takes hashes, or with plain values, which
// it holds to its own rules.
func contractTarget(t testing.TB, plain bool) backendtest.Target {
	s := kendoxtest.New(kendoxtest.Options{Strict: !plain, Rules: kendoxtest.Rules{MinLength: 8, Letter: true, Digit: true}})
	if err := s.Listen("127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	logins := []string{"jdoe", "bob", "cy@acme.example", "o'dee"}
	for _, login := range logins {
		s.Add(kendoxtest.User{Login: login, Name: login, Domain: "ACME"}, "old-pass-0")
	}
	s.Add(kendoxtest.User{Login: "rekey", Rights: kendoxtest.AllRights()}, service)
	s.Add(kendoxtest.User{Login: "gone", Obsolete: true}, "old-pass-0")
	s.Add(kendoxtest.User{Login: "windows", NoInternalPassword: true}, "old-pass-0")
	return backendtest.Target{
		Config:   config(s, "min_length", 8, "digits", 1),
		Accounts: logins,
		Holds:    func(account, _, value string) bool { return s.Accepts(account, value) },
		Missing:  "nobody",
		Refusing: map[string]sdk.Code{"gone": sdk.AccountStatus, "windows": sdk.NoCredential, "dciadmin": sdk.Protected, "rekey": sdk.Protected},
		Weak:     "no-digit-in-it",
		Hashed:   map[string]backendtest.Hashed{"sha512-base64": {Hash: digest(canary), Value: canary}},
		Options:  map[string]any{"plain": plain},
		Wrong: []backendtest.Wrong{
			{Field: "url", Value: "http://docs.example/InfoShare/Json"},
			{Field: "user", Value: ""},
			{Field: "hash_encoding", Value: "latin-1"},
			{Field: "min_length", Value: int64(-1)},
			{Field: "max_length", Value: int64(5)},
		},
		Down:   s.Close,
		Server: strings.Split(s.URL(), "/")[2], Setting: "url",
	}
}

func TestBackendKeepsTheContract(t *testing.T) {
	report := kepttest.Report(t, "../kept/kendox.json")
	for name, plain := range map[string]bool{"hashed": false, "plain": true} {
		t.Run(name, func(t *testing.T) {
			backendtest.Run(t, backendtest.Options{Backend: kendox.New(), Report: report, Target: func(t testing.TB) backendtest.Target {
				x := contractTarget(t, plain)
				if plain {
					x.Hashed = nil // a hash cannot be sent as the value itself
				}
				return x
			}})
		})
	}
}

func TestExecutableKeepsTheContract(t *testing.T) {
	path := backendtest.Build(t, "./rekey-backend-kendox")
	backendtest.RunExecutable(t, backendtest.Options{Target: func(t testing.TB) backendtest.Target {
		return contractTarget(t, false)
	}}, path)
}
