package kendoxtest_test

import (
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/rekey-host/rekey/plugins/kendox/kendoxtest"
)

// TestRequestFormsOfClients holds the simulator against the forms that clients
// send: the reference's samples, a connector's, what a hand with curl writes.
func TestRequestFormsOfClients(t *testing.T) {
	const set = "Common/SetUserPasswordHashed"
	for _, f := range []struct {
		name, method, kind, body string
		lenient, strict          int
		options                  kendoxtest.Options
	}{
		{"the reference's call", set, "application/json", `{"connectionId": "SESSION", "userId": "11111111-2222-3333-4444-555555555555", "newPasswordHashed": "HASH"}`, 200, 200, kendoxtest.Options{}},
		{"in UTF-8", set, "application/json; charset=utf-8", `{"connectionId": "SESSION", "userId": "11111111-2222-3333-4444-555555555555", "newPasswordHashed": "HASH"}`, 200, 200, kendoxtest.Options{}},
		{"in another order", set, "application/json", `{"newPasswordHashed": "HASH", "userId": "11111111-2222-3333-4444-555555555555", "connectionId": "SESSION"}`, 200, 200, kendoxtest.Options{}},
		{"the sample's text in place of a hash", set, "application/json", `{"connectionId": "SESSION", "userId": "11111111-2222-3333-4444-555555555555", "newPasswordHashed": "newTestPassword"}`, 500, 500, kendoxtest.Options{}},
		{"the same, as the sample suggests", set, "application/json", `{"connectionId": "SESSION", "userId": "11111111-2222-3333-4444-555555555555", "newPasswordHashed": "newTestPassword"}`, 200, 200, kendoxtest.Options{Loose: true}},
		{"JSON that does not say so", set, "", `{"connectionId": "SESSION", "userId": "11111111-2222-3333-4444-555555555555", "newPasswordHashed": "HASH"}`, 200, 400, kendoxtest.Options{}},
		{"a parameter that is not listed", set, "application/json", `{"connectionId": "SESSION", "userId": "11111111-2222-3333-4444-555555555555", "newPasswordHashed": "HASH", "tenantName": "x"}`, 200, 400, kendoxtest.Options{}},
		{"a final slash", set + "/", "application/json", `{"connectionId": "SESSION", "userId": "11111111-2222-3333-4444-555555555555", "newPasswordHashed": "HASH"}`, 200, 404, kendoxtest.Options{}},
		{"a logon without what is optional", "Authentication/Logon", "application/json", `{"userName": "admin", "passwordHashed": "PW"}`, 200, 200, kendoxtest.Options{}},
		{"a logon with null for what is optional", "Authentication/Logon", "application/json", `{"tenantName": null, "userName": "admin", "passwordHashed": "PW", "clientId": null, "timeZoneOffsetMinutes": 0}`, 200, 200, kendoxtest.Options{}},
		{"a logon with a number as text", "Authentication/Logon", "application/json", `{"userName": "admin", "passwordHashed": "PW", "timeZoneOffsetMinutes": "0"}`, 200, 400, kendoxtest.Options{}},
		{"rights of oneself", "Common/GetUserAdminAccessRights", "application/json", `{"connectionId": "SESSION", "userId": null}`, 200, 200, kendoxtest.Options{}},
		{"not JSON", set, "application/json", `<a/>`, 400, 400, kendoxtest.Options{}},
		{"nothing there", "Common/Nothing", "application/json", `{}`, 404, 404, kendoxtest.Options{}},
	} {
		for strict, want := range map[bool]int{false: f.lenient, true: f.strict} {
			f.options.Strict = strict
			c := begin(t, f.options)
			session := c.as("admin", "pw").id
			body := strings.NewReplacer("SESSION", session, "HASH", c.s.Hash("new-pass-1"), "PW", c.s.Hash("pw")).Replace(f.body)
			r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, c.s.URL()+"/"+f.method, strings.NewReader(body))
			if err != nil {
				t.Fatal(err)
			}
			if f.kind != "" {
				r.Header.Set("Content-Type", f.kind)
			}
			answer, err := http.DefaultClient.Do(r)
			if err != nil {
				t.Fatal(err)
			}
			text, _ := io.ReadAll(answer.Body)
			_ = answer.Body.Close()
			if answer.StatusCode != want {
				t.Errorf("%s, strict %t: %d %s; want %d", f.name, strict, answer.StatusCode, text, want)
			}
		}
	}
}
