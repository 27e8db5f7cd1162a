package rest_test

import (
	"encoding/pem"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rekey-host/rekey/sdk"
	"github.com/rekey-host/rekey/sdk/rest"
	"github.com/rekey-host/rekey/sdk/rest/resttest"
	"github.com/rekey-host/rekey/sdk/secret"
)

// proxyTo is a proxy that reaches one server, whatever host it is asked for.
func proxyTo(t *testing.T, s *httptest.Server) *resttest.Proxy {
	t.Helper()
	p := resttest.NewProxy(func(string) string { return s.Listener.Addr().String() })
	t.Cleanup(p.Close)
	return p
}

// server starts one, with TLS and its certificate in a file or without.
func server(t *testing.T, encrypted bool, h http.HandlerFunc) (s *httptest.Server, roots string) {
	t.Helper()
	if !encrypted {
		s = httptest.NewServer(h)
		t.Cleanup(s.Close)
		return s, ""
	}
	s = httptest.NewTLSServer(h)
	t.Cleanup(s.Close)
	roots = filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(roots, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw}), 0o600); err != nil {
		t.Fatal(err)
	}
	return s, roots
}

func TestTheProxyOfTheSettingsIsOnTheWay(t *testing.T) {
	tests := []struct {
		name, base string
		encrypted  bool
		asked      string
	}{
		{"https, a name that only the proxy knows", "https://example.com/api", true, "CONNECT example.com:443"},
		{"https, this machine", "https://127.0.0.1:7/api", true, "CONNECT 127.0.0.1:7"},
		{"http, a name that only the proxy knows", "http://apps.acme.test/api", false, "PUT http://apps.acme.test/api/p"},
		{"http, this machine", "http://localhost:7/api", false, "PUT http://localhost:7/api/p"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			var got *http.Request
			s, roots := server(t, test.encrypted, func(w http.ResponseWriter, r *http.Request) { got = r; _, _ = w.Write([]byte("{}")) })
			p := proxyTo(t, s)
			login := rest.Basic("jo", canary)
			p.Login = login.Reveal()
			c := clientOf(t, test.base, func(o *rest.Options) {
				o.CAFile, o.Insecure, o.Proxy = roots, true, rest.Proxy{URL: p.URL, User: "jo", Password: canary}
			})
			for range 2 {
				if _, f := c.Do(t.Context(), put("{}")); f != nil {
					t.Fatal(f)
				}
			}
			if got.URL.Path != "/api/p" || got.Header.Get("Proxy-Authorization") != "" {
				t.Errorf("the server got %s, Proxy-Authorization %q", got.URL.Path, got.Header.Get("Proxy-Authorization"))
			}
			if asked := p.Asked(); asked[0] != test.asked || test.encrypted && len(asked) != 1 {
				t.Errorf("the proxy was asked %q, want %q, a tunnel once", asked, test.asked)
			}
		})
	}
}

func TestAProxyThatIsNoneIsRefused(t *testing.T) {
	tests := []struct {
		name, base string
		in         rest.Proxy
		want       sdk.Code
	}{
		{"http", "https://cloud.example", rest.Proxy{URL: "http://proxy.example:3128"}, ""},
		{"https", "https://cloud.example", rest.Proxy{URL: "https://proxy.example/"}, ""},
		{"a login in it", "https://cloud.example", rest.Proxy{URL: "http://me:hunter2@proxy.example"}, sdk.InvalidConfig},
		{"socks", "https://cloud.example", rest.Proxy{URL: "socks5://proxy.example"}, sdk.InvalidConfig},
		{"host and port", "https://cloud.example", rest.Proxy{URL: "proxy.example:3128"}, sdk.InvalidConfig},
		{"an address and port", "https://cloud.example", rest.Proxy{URL: "10.0.0.1:3128"}, sdk.InvalidConfig},
		{"no host", "https://cloud.example", rest.Proxy{URL: "http://:3128"}, sdk.InvalidConfig},
		{"a path", "https://cloud.example", rest.Proxy{URL: "http://proxy.example/proxy.pac"}, sdk.InvalidConfig},
		{"not a URL", "https://cloud.example", rest.Proxy{URL: "http://h%zz:hunter2/"}, sdk.InvalidConfig},
		{"a user without a password", "https://cloud.example", rest.Proxy{URL: "http://proxy.example", User: "jo"}, sdk.InvalidConfig},
		{"a password without a user", "https://cloud.example", rest.Proxy{URL: "http://proxy.example", Password: secret.New("hunter2")}, sdk.InvalidConfig},
		{"a user without a proxy", "https://cloud.example", rest.Proxy{User: "jo", Password: secret.New("hunter2")}, sdk.InvalidConfig},
		{"clear text to this machine, through another", "http://localhost:8080", rest.Proxy{URL: "http://proxy.example"}, sdk.InsecureTransport},
		{"clear text within this machine", "http://localhost:8080", rest.Proxy{URL: "http://127.0.0.1:3128"}, ""},
		{"clear text elsewhere, through this machine", "http://cloud.example", rest.Proxy{URL: "http://127.0.0.1:3128"}, sdk.InsecureTransport},
	}
	for _, test := range tests {
		_, err := rest.New(rest.Options{Base: test.base, Proxy: test.in})
		var e *sdk.Error
		if errors.As(err, &e) && e.Code != test.want || (err == nil) != (test.want == "") {
			t.Errorf("%s: got %v, want %q", test.name, err, test.want)
		}
		if err != nil && strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s: the error quotes the password: %v", test.name, err)
		}
	}
}

// Nothing of a request has left before the tunnel stands, so no outcome of a
// broken proxy is unknown, and the message says which of the two it was.
func TestWhatAProxyRefusesWasNotSent(t *testing.T) {
	gone, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_ = gone.Close()
	tests := []struct {
		name, base string
		answer     resttest.Answer
		proxy      string
		want       string // outcome, code, words of the message
	}{
		{"down", "https://example.com", nil, "http://" + gone.Addr().String(), "refused Unreachable the proxy " + gone.Addr().String() + ": connection refused"},
		{"no such name", "https://example.com", nil, "http://proxy.acme.invalid:1", "refused Unreachable the proxy proxy.acme.invalid:1: the name does not resolve"},
		{"TLS to a proxy without", "https://example.com", resttest.Say(200, "", ""), "https://PROXY", "refused Unreachable the proxy PROXY: it does not speak TLS"},
		{"it cannot reach the server", "https://example.com", resttest.HTML(502), "", "refused Unreachable example.com: the proxy PROXY does not connect to it: HTTP 502 Bad Gateway to CONNECT"},
		{"it does not want to", "https://example.com", resttest.HTML(403), "", "refused Unreachable example.com: the proxy PROXY does not connect to it: HTTP 403 Forbidden to CONNECT"},
		{"it hangs up", "https://example.com", resttest.Drop(), "", "refused Unreachable example.com, through the proxy PROXY: no connection"},
		{"it is no proxy", "https://example.com", resttest.Say(200, "text/html", "<html>"), "", "refused Unreachable example.com, through the proxy PROXY: "},
		{"it wants another login, https", "https://example.com", resttest.Say(407, "", canary.Reveal()), "", "refused InvalidConfig the proxy PROXY wants a login (HTTP 407); check proxy_user and proxy_password"},
		{"it wants another login, http", "http://example.com", resttest.Say(407, "", canary.Reveal()), "", "refused InvalidConfig the proxy PROXY wants a login (HTTP 407); check proxy_user and proxy_password"},
		{"it loses what it forwarded", "http://example.com", resttest.Drop(), "", "unknown ConnectionLost example.com: the connection broke"},
		{"its server does not answer", "http://example.com", resttest.HTML(504), "", "unknown Timeout HTTP 504"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			p := resttest.NewProxy(nil)
			t.Cleanup(p.Close)
			p.Answer = test.answer
			at := p.Listener.Addr().String()
			c := clientOf(t, test.base, func(o *rest.Options) {
				o.Insecure, o.Proxy = true, rest.Proxy{URL: "http://" + at, User: "jo", Password: canary}
				if test.proxy != "" {
					o.Proxy.URL = strings.Replace(test.proxy, "PROXY", at, 1)
				}
				o.Explain = func(f *rest.Failure) {
					if f.Answer.Status == http.StatusProxyAuthRequired {
						t.Error("the proxy's answer is taken for the server's")
					}
				}
			})
			_, f := c.Do(t.Context(), put("{}"))
			if f == nil {
				t.Fatal("it went through")
			}
			got := f.Outcome.String() + " " + string(f.Err.Code) + " " + f.Err.Message
			if want := strings.ReplaceAll(test.want, "PROXY", at); !strings.HasPrefix(got, want) {
				t.Errorf("got %q, want %q", got, want)
			}
			if strings.Contains(got, canary.Reveal()) {
				t.Errorf("a secret in %q", got)
			}
		})
	}
}
