package broadworkstest_test

import (
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/rekey-host/rekey/plugins/broadworks/broadworkstest"
)

const (
	ann = "ann@acme.example"
	grp = "?serviceProviderId=Acme&groupId=Sales"
)

func start(t *testing.T, o broadworkstest.Options, users ...broadworkstest.User) *broadworkstest.Simulator {
	t.Helper()
	o.Password = "adm1n-pw"
	s := broadworkstest.New(o, users...)
	if err := s.Listen("127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s
}

// call does one request and returns its status and its JSON, which every
// answer has to be.
func call(t *testing.T, s *broadworkstest.Simulator, token, method, path, body string) (int, any) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, s.URL()+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+token)
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = answer.Body.Close() }()
	text, _ := io.ReadAll(answer.Body)
	var v any
	if path != "/nowhere" && json.Unmarshal(text, &v) != nil {
		t.Fatalf("%s %s: the answer is no JSON: %q", method, path, text)
	}
	return answer.StatusCode, v
}

func login(t *testing.T, s *broadworkstest.Simulator, name, password string) string {
	t.Helper()
	status, v := call(t, s, "", "POST", "/auth/token", `{"username":"`+name+`","password":"`+password+`"}`)
	if status != 200 {
		t.Fatalf("login: %d %v", status, v)
	}
	return v.(map[string]any)["token"].(string)
}

func TestRequestsHaveTheirStatus(t *testing.T) {
	user := broadworkstest.User{ID: ann, Values: map[string]string{"web": "Pr3sent-web"}}
	bare := broadworkstest.User{ID: "bare@acme.example", Services: []string{}}
	tests := []struct {
		name, method, path, body string
		want                     int
	}{
		{"sip", "PUT", "/users/authentication", `{"userId":"ann@acme.example","newPassword":"Abcdefgh-1234"}`, 200},
		{"sip, too short", "PUT", "/users/authentication", `{"userId":"ann@acme.example","newPassword":"Abc-1"}`, 400},
		{"sip, no service", "PUT", "/users/authentication", `{"userId":"bare@acme.example","newPassword":"Abcdefgh-1234"}`, 400},
		{"sip, nobody", "PUT", "/users/authentication", `{"userId":"x@acme.example","newPassword":"Abcdefgh-1234"}`, 404},
		{"voicemail", "PUT", "/users/portal-passcode", `{"userId":"ann@acme.example","newPasscode":"847162"}`, 200},
		{"voicemail, a run", "PUT", "/users/portal-passcode", `{"userId":"ann@acme.example","newPasscode":"123847"}`, 400},
		{"voicemail, letters", "PUT", "/users/portal-passcode", `{"userId":"ann@acme.example","newPasscode":"84716a"}`, 400},
		{"web", "PUT", "/users/passwords", `{"userId":"ann@acme.example","newPassword":"Abcdefgh-1"}`, 200},
		{"web, no digit", "PUT", "/users/passwords", `{"userId":"ann@acme.example","newPassword":"Abcdefgh-"}`, 400},
		{"not JSON", "PUT", "/users/passwords", `<a/>`, 400},
		{"a read shows no secret", "GET", "/users/portal-passcode?userId=" + ann, "", 200},
		{"a page for a service", "GET", "/users/authentication?userId=bare@acme.example", "", 400},
		{"passwords without a group", "GET", "/password/generate?limit=3", "", 200},
		{"passwords of a group", "GET", "/password/generate" + grp + "&limit=3", "", 200},
		{"passwords of no group", "GET", "/password/generate?serviceProviderId=Acme&groupId=Nobody", "", 404},
		{"passcodes", "GET", "/passcode/generate" + grp, "", 200},
		{"passcodes without a group", "GET", "/passcode/generate", "", 404},
		{"a limit of nothing", "GET", "/passcode/generate" + grp + "&limit=0", "", 400},
		{"one for sip", "GET", "/sip-password/generate", "", 200},
		{"rules", "GET", "/groups/password-rules" + grp, "", 200},
		{"other rules", "PUT", "/groups/passcode-rules" + grp, `{"minCodeLength":4}`, 200},
		{"groups", "GET", "/groups?serviceProviderId=Acme", "", 200},
		{"providers", "GET", "/service-providers", "", 200},
		{"services of the group", "GET", "/groups/services/assigned" + grp, "", 200},
		{"the session", "GET", "/auth/session", "", 200},
		{"as another", "POST", "/auth/switch-user", `{"username":"ann@acme.example"}`, 200},
		{"nowhere", "GET", "/nowhere", "", 404},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			s := start(t, broadworkstest.Options{}, user, bare)
			status, v := call(t, s, login(t, s, "admin", "adm1n-pw"), test.method, test.path, test.body)
			if status != test.want {
				t.Errorf("got %d %v, want %d", status, v, test.want)
			}
			if m, _ := v.(map[string]any); status >= 400 && test.path != "/nowhere" && (m["error"] == "" || m["status"] == nil || m["details"] == nil) {
				t.Errorf("the error lacks a key: %v", v)
			}
		})
	}
}

func TestATokenHasItsLife(t *testing.T) {
	now := time.Unix(0, 0)
	s := start(t, broadworkstest.Options{TokenLife: time.Minute, Now: func() time.Time { return now }}, broadworkstest.User{ID: ann})
	first := login(t, s, "admin", "adm1n-pw")
	status, v := call(t, s, first, "PUT", "/auth/token", "{}")
	second := v.(map[string]any)["token"].(string)
	if status != 200 || second == first {
		t.Errorf("renewed: %d, the same token %v", status, second == first)
	}
	if status, _ := call(t, s, first, "GET", "/auth/session", ""); status != 401 {
		t.Errorf("the old token: %d, want 401", status)
	}
	now = now.Add(time.Minute)
	for method, path := range map[string]string{"GET": "/users?userId=" + ann, "PUT": "/auth/session"} {
		if status, _ := call(t, s, second, method, path, "{}"); status != 401 {
			t.Errorf("%s %s with a dead token: %d, want 401", method, path, status)
		}
	}
}

func TestAUserMayOnlyLogIn(t *testing.T) {
	s := start(t, broadworkstest.Options{}, broadworkstest.User{ID: ann, Values: map[string]string{"web": "Pr3sent-web"}})
	token := login(t, s, ann, "Pr3sent-web")
	for path, want := range map[string]int{"/auth/session": 200, "/users/login-info?userId=" + ann: 200, "/users?userId=" + ann: 403} {
		if status, _ := call(t, s, token, "GET", path, ""); status != want {
			t.Errorf("%s: got %d, want %d", path, status, want)
		}
	}
}

func TestAPasswordThatHasToBeChangedIs402(t *testing.T) {
	s := start(t, broadworkstest.Options{MustChange: true})
	const wrong, right = `{"username":"admin","password":"x"}`, `{"username":"admin","password":"adm1n-pw"}`
	for body, want := range map[string]int{wrong: 401, right: 402} {
		if status, _ := call(t, s, "", "POST", "/auth/token", body); status != want {
			t.Errorf("%s: got %d, want %d", body, status, want)
		}
	}
	if status, _ := call(t, s, "", "PUT", "/auth/password", `{"userId":"admin","oldPassword":"adm1n-pw","newPassword":"N3w-secret"}`); status != 200 {
		t.Errorf("change: %d", status)
	}
	login(t, s, "admin", "N3w-secret")
}

func TestAPasscodeLiftsTheLock(t *testing.T) {
	s := start(t, broadworkstest.Options{}, broadworkstest.User{ID: ann})
	token := login(t, s, "admin", "adm1n-pw")
	s.DisableVoicemail(ann)
	locked := func() any {
		_, v := call(t, s, token, "GET", "/users/portal-passcode?userId="+ann, "")
		return v.(map[string]any)["isLoginDisabled"]
	}
	before := locked()
	call(t, s, token, "PUT", "/users/portal-passcode", `{"userId":"ann@acme.example","newPasscode":"847162"}`)
	if after := locked(); before != true || after != false {
		t.Errorf("locked before %v, after %v; want true, false", before, after)
	}
}

func TestTheStatusTellsNumbersOnly(t *testing.T) {
	s := start(t, broadworkstest.Options{}, broadworkstest.User{ID: ann})
	call(t, s, login(t, s, "admin", "adm1n-pw"), "PUT", "/users/passwords", `{"userId":"ann@acme.example","newPassword":"Abcdefgh-1"}`)
	answer, err := http.Get(strings.TrimSuffix(s.URL(), "/api/v2") + "/simulator")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = answer.Body.Close() }()
	text, _ := io.ReadAll(answer.Body)
	var got struct {
		Users int
		Set   map[string]int
	}
	if json.Unmarshal(text, &got) != nil || got.Users != 1 || got.Set["web"] != 1 || got.Set["sip"] != 0 {
		t.Errorf("got %s", text)
	}
	for _, secret := range []string{"Abcdefgh", ann} {
		if strings.Contains(string(text), secret) {
			t.Errorf("%q is in %s", secret, text)
		}
	}
}
