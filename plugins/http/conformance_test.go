package http_test

import (
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/rekey-host/rekey/plugins/http"
	"github.com/rekey-host/rekey/plugins/http/littletest"
	"github.com/rekey-host/rekey/plugins/kept/kepttest"
	"github.com/rekey-host/rekey/sdk"
	"github.com/rekey-host/rekey/sdk/backendtest"
	"github.com/rekey-host/rekey/sdk/define"
	"github.com/rekey-host/rekey/sdk/secret"
)

const firstPW = "First-Of-All_1"

// defined returns the backend of a definition of this package.
func defined(t testing.TB, path string) sdk.Backend {
	t.Helper()
	backend, err := define.Of(http.New(), beside(t, path), "")
	if err != nil {
		t.Fatal(err)
	}
	return backend
}

func littleConfig(url string) sdk.Config {
	return sdk.Config{Values: map[string]any{"definition": "testdata/little.star", "url": url, "client": littletest.Client}, Secrets: map[string]secret.Value{"secret": secret.New(littletest.Secret)}}
}

func littleTarget(t testing.TB) backendtest.Target {
	server := littletest.Start(t, firstPW, "ann", "bob", "cy", "o'dee/x y?#%", "locked")
	return backendtest.Target{
		Config:   littleConfig(server.URL),
		Accounts: []string{"ann", "bob", "cy", "o'dee/x y?#%"},
		Holds:    server.Holds,
		Missing:  "nobody",
		Refusing: map[string]sdk.Code{"locked": sdk.AccountStatus, littletest.Client: sdk.Protected},
		Locked:   "locked",
		Weak:     "short",
		History:  true,
		Session:  server.Session,
		Wrong:    []backendtest.Wrong{{Field: "url", Value: "http://cloud.example"}, {Field: "client", Value: ""}},
		Down:     server.Close,
		Server:   strings.Split(server.URL, "/")[2], Setting: "url",
	}
}

func TestADefinitionKeepsTheContract(t *testing.T) {
	backendtest.Run(t, backendtest.Options{Backend: defined(t, "testdata/little.star"), Target: littleTarget, Report: kepttest.Report(t, "../kept/http.json")})
}

func TestTheExecutableKeepsTheContract(t *testing.T) {
	backendtest.RunExecutable(t, backendtest.Options{Target: littleTarget}, backendtest.Build(t, "./rekey-backend-http"), beside(t, "testdata/little.star"))
}

// beside returns where a file of this package is: a plugin works in the root.
func beside(t testing.TB, path string) string {
	t.Helper()
	_, own, _, _ := runtime.Caller(0)
	return filepath.Join(filepath.Dir(own), path)
}
