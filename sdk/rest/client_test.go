package rest_test

import (
	"encoding/pem"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/rekey-host/rekey/sdk"
	"github.com/rekey-host/rekey/sdk/rest"
)

func TestNewRefusesUnsafeBases(t *testing.T) {
	empty := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(empty, []byte("no certificate"), 0o600); err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name string
		in   rest.Options
		want sdk.Code
	}{
		{"https", rest.Options{Base: "https://cloud.example/"}, ""},
		{"http to this machine by name", rest.Options{Base: "http://localhost:8080/api/v2"}, ""},
		{"http to this machine by address", rest.Options{Base: "http://127.9.9.9"}, ""},
		{"http to this machine by IPv6", rest.Options{Base: "http://[::1]:80"}, ""},
		{"http elsewhere", rest.Options{Base: "http://cloud.example"}, sdk.InsecureTransport},
		{"http to a name that only looks local", rest.Options{Base: "http://localhost.example"}, sdk.InsecureTransport},
		{"http elsewhere, insecure", rest.Options{Base: "http://cloud.example", Insecure: true}, ""},
		{"no scheme", rest.Options{Base: "cloud.example"}, sdk.InvalidConfig},
		{"another scheme", rest.Options{Base: "ftp://cloud.example"}, sdk.InvalidConfig},
		{"no host", rest.Options{Base: "https:///api"}, sdk.InvalidConfig},
		{"a password in it", rest.Options{Base: "https://me:hunter2@cloud.example"}, sdk.InvalidConfig},
		{"a query", rest.Options{Base: "https://cloud.example/?a=b"}, sdk.InvalidConfig},
		{"not a URL", rest.Options{Base: "https://h%zz:hunter2/"}, sdk.InvalidConfig},
		{"no such CA file", rest.Options{Base: "https://cloud.example", CAFile: filepath.Join(t.TempDir(), "none")}, sdk.InvalidConfig},
		{"a CA file without certificates", rest.Options{Base: "https://cloud.example", CAFile: empty}, sdk.InvalidConfig},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			_, err := rest.New(test.in)
			var e *sdk.Error
			if errors.As(err, &e) && e.Code != test.want || (err == nil) != (test.want == "") {
				t.Errorf("New(%q) = %v, want %q", test.in.Base, err, test.want)
			}
			if err != nil && strings.Contains(err.Error(), "hunter2") {
				t.Errorf("the error quotes the password: %v", err)
			}
		})
	}
}

func TestTheRequestIsWhatWasAskedFor(t *testing.T) {
	var got *http.Request
	c := newClient(t, func(w http.ResponseWriter, r *http.Request) { got = r; w.WriteHeader(204) }, func(o *rest.Options) {
		o.Base += "/api/v2/"
		o.UserAgent = "rekey-test/1"
	})
	_, f := c.Do(t.Context(), rest.Request{Method: "POST", Path: "/a%2fb/c", Query: map[string][]string{"who": {"é&+ b@x"}},
		Body: []byte("{}"), Header: http.Header{"x-operation": {"activate"}}, Authorization: rest.Basic("me", canary)})
	if f != nil {
		t.Fatal(f)
	}
	user, password, _ := got.BasicAuth()
	facts := []struct{ name, got, want string }{
		{"path", got.URL.EscapedPath(), "/api/v2/a%2fb/c"},
		{"query", got.URL.Query().Get("who"), "é&+ b@x"},
		{"content type", got.Header.Get("Content-Type"), "application/json"},
		{"accept", got.Header.Get("Accept"), "application/json"},
		{"user agent", got.Header.Get("User-Agent"), "rekey-test/1"},
		{"own header", got.Header.Get("X-Operation"), "activate"},
		{"user", user, "me"},
		{"password", password, canary.Reveal()},
	}
	for _, f := range facts {
		if f.got != f.want {
			t.Errorf("%s: got %q, want %q", f.name, f.got, f.want)
		}
	}
}

func TestARawQueryIsSentAsItIs(t *testing.T) {
	var got string
	c := newClient(t, func(w http.ResponseWriter, r *http.Request) { got = r.URL.RawQuery; w.WriteHeader(204) })
	for want, r := range map[string]rest.Request{
		"wsdl":  {Method: "GET", RawQuery: "wsdl"},
		"wsdl=": {Method: "GET", Query: map[string][]string{"wsdl": {""}}},
		"":      {Method: "GET"},
	} {
		if _, f := c.Do(t.Context(), r); f != nil || got != want {
			t.Errorf("the query is %q, want %q; %v", got, want, f)
		}
	}
}

func TestConnectionsAreReused(t *testing.T) {
	seen := map[string]bool{}
	c := newClient(t, func(w http.ResponseWriter, r *http.Request) { seen[r.RemoteAddr] = true; _, _ = w.Write([]byte("{}")) })
	for range 5 {
		if _, f := c.Do(t.Context(), rest.Request{Method: "GET"}); f != nil {
			t.Fatal(f)
		}
	}
	if len(seen) != 1 {
		t.Errorf("5 exchanges took %d connections, want 1", len(seen))
	}
}

func TestAProxyOfTheEnvironmentIsNotUsed(t *testing.T) {
	t.Setenv("HTTP_PROXY", "http://127.0.0.1:1")
	t.Setenv("http_proxy", "http://127.0.0.1:1")
	c := newClient(t, func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(204) })
	if _, f := c.Do(t.Context(), rest.Request{Method: "GET"}); f != nil {
		t.Fatal(f)
	}
}

// TestAServerWithoutTLSIsNamed: https to a port that speaks plain HTTP is no
// system that is down.
func TestAServerWithoutTLSIsNamed(t *testing.T) {
	plain := httptest.NewServer(http.NotFoundHandler())
	defer plain.Close()
	c, err := rest.New(rest.Options{Base: strings.Replace(plain.URL, "http:", "https:", 1)})
	if err != nil {
		t.Fatal(err)
	}
	if _, f := c.Do(t.Context(), rest.Request{Method: "GET"}); f == nil || !strings.Contains(f.Err.Message, "without TLS") {
		t.Errorf("%v", f)
	}
}

// TestAnAnswerShowsTheServersClockAndCertificate, also one that is a refusal.
func TestAnAnswerShowsTheServersClockAndCertificate(t *testing.T) {
	t.Parallel()
	date := time.Now().Add(-10 * time.Minute)
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Date", date.UTC().Format(http.TimeFormat))
		w.WriteHeader(http.StatusForbidden)
	}))
	defer server.Close()
	file := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw}), 0o600); err != nil {
		t.Fatal(err)
	}
	ends := server.Certificate().NotAfter
	client, err := rest.New(rest.Options{Base: server.URL, CAFile: file, Now: func() time.Time { return ends.AddDate(0, 0, -2) }})
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	if found := client.Findings(); found != nil {
		t.Errorf("before any answer: %v", found)
	}
	if _, failure := client.Do(t.Context(), rest.Request{Method: "GET", ReadOnly: true}); failure == nil {
		t.Fatal("no failure")
	}
	found := client.Findings()
	if len(found) != 2 || !strings.Contains(found[0].Message, "10m") || !strings.Contains(found[0].Message, "behind this machine's") ||
		!strings.Contains(found[1].Message, "certificate ends in 2 days") {
		t.Errorf("%+v", found)
	}
}
