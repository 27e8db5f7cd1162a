package broadworkstest_test

import (
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/rekey-host/rekey/plugins/broadworks/broadworkstest"
)

// TestRequestFormsOfClients holds the simulator against the forms that public
// clients send: a client library, reporting scripts, the documents' samples.
func TestRequestFormsOfClients(t *testing.T) {
	const form, asJSON = "application/x-www-form-urlencoded", "application/json"
	credentials := url.Values{"username": {"admin"}, "password": {"adm1n-pw"}}.Encode()
	for _, f := range []struct {
		name, method, path, kind, body string
		lenient, strict                int
		want                           string // a part of a good answer
	}{
		{"login as JSON", "POST", "/auth/token", asJSON, `{"username":"admin","password":"adm1n-pw"}`, 200, 200, `"token"`},
		{"login as JSON in UTF-8", "POST", "/auth/token", asJSON + "; charset=utf-8", `{"username":"admin","password":"adm1n-pw"}`, 200, 200, `"token"`},
		{"login as a form", "POST", "/auth/token", form, credentials, 200, 415, `"token"`},
		{"login as a form, wrong", "POST", "/auth/token", form, "username=admin&password=x", 401, 415, ""},
		{"login as JSON that does not say so", "POST", "/auth/token", "", `{"username":"admin","password":"adm1n-pw"}`, 200, 415, `"token"`},
		{"a set as a form", "PUT", "/users/passwords", form, "userId=ann%40acme.example&newPassword=Abcdefgh-1", 400, 415, ""},
		{"a set", "PUT", "/users/passwords", asJSON, `{"userId":"ann@acme.example","newPassword":"Abcdefgh-1"}`, 200, 200, "{}"},
		{"a read with a body", "GET", "/auth/session", asJSON, "{}", 200, 200, `"loginType": "Provisioning"`},
		{"one provider", "GET", "/service-providers?serviceProviderId=Acme", "", "", 200, 200, `"defaultDomain": "acme.example"`},
		{"no such provider", "GET", "/service-providers?serviceProviderId=x", "", "", 404, 404, ""},
		{"all providers", "GET", "/service-providers", "", "", 200, 200, "["},
		{"one group", "GET", "/groups?serviceProviderId=Acme&groupId=Sales", "", "", 200, 200, `"isEnterprise": true`},
		{"no such group", "GET", "/groups?serviceProviderId=Acme&groupId=x", "", "", 404, 404, ""},
		{"all groups", "GET", "/groups?serviceProviderId=Acme", "", "", 200, 200, "["},
		{"users of an enterprise", "GET", "/users?serviceProviderId=Acme", "", "", 200, 200, "bob@acme.example"},
		{"users of a group", "GET", "/users" + grp, "", "", 200, 200, "ann@acme.example"},
		{"a passcode of four digits", "PUT", "/users/portal-passcode", asJSON, `{"userId":"ann@acme.example","newPasscode":"8471"}`, 200, 200, "[]"},
		{"a passcode of eight", "PUT", "/users/portal-passcode", asJSON, `{"userId":"ann@acme.example","newPasscode":"84716209"}`, 400, 400, ""},
	} {
		for strict, want := range map[bool]int{false: f.lenient, true: f.strict} {
			s := start(t, broadworkstest.Options{Strict: strict}, broadworkstest.User{ID: ann}, broadworkstest.User{ID: "bob@acme.example", Group: "Support"})
			status, text := send(t, s, f.method, f.path, f.kind, f.body)
			if status != want || status < 300 && !strings.Contains(text, f.want) || status < 300 && (f.want == "[") != strings.HasPrefix(text, "[\n") && f.want != "[]" && !strings.HasPrefix(f.path, "/users?") {
				t.Errorf("%s, strict %t: %d %s; want %d with %s", f.name, strict, status, text, want, f.want)
			}
		}
	}
}

func send(t *testing.T, s *broadworkstest.Simulator, method, path, kind, body string) (int, string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, s.URL()+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	if kind != "" {
		r.Header.Set("Content-Type", kind)
	}
	r.Header.Set("Authorization", "Bearer "+s.Token("admin"))
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = answer.Body.Close() }()
	text, _ := io.ReadAll(answer.Body)
	return answer.StatusCode, string(text)
}

// Negative numbers of days are strings, as the platform writes them.
func TestDaysAreWrittenAsThePlatformDoes(t *testing.T) {
	for days, want := range map[int]any{-2147483648: "-2147483648", -107: "-107", 0: 0.0, 30: 30.0} {
		s := start(t, broadworkstest.Options{Expires: &days}, broadworkstest.User{ID: ann})
		for _, path := range []string{"/auth/session", "/users/login-info?userId=" + ann, "/users/password?userId=" + ann} {
			_, text := send(t, s, "GET", path, "", "")
			var got map[string]any
			if json.Unmarshal([]byte(text), &got) != nil || got["passwordExpiresDays"] != want {
				t.Errorf("%s: %d days are %v, want %v", path, days, got["passwordExpiresDays"], want)
			}
		}
	}
}
