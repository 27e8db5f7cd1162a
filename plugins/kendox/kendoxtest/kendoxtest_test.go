package kendoxtest_test

import (
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/rekey-host/rekey/plugins/kendox/kendoxtest"
)

type client struct {
	t *testing.T
	s *kendoxtest.Server
	// id of the session
	id string
}

func begin(t *testing.T, o kendoxtest.Options) client {
	t.Helper()
	s := kendoxtest.New(o)
	if err := s.Listen("127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	s.Add(kendoxtest.User{Login: "admin", Rights: kendoxtest.AllRights()}, "pw")
	s.Add(kendoxtest.User{Login: "jdoe", ID: "11111111-2222-3333-4444-555555555555"}, "old-pass-0")
	return client{t: t, s: s}
}

// call makes one call and returns status and body.
func (c client) call(name string, arguments map[string]any) (int, string) {
	c.t.Helper()
	if arguments == nil {
		arguments = map[string]any{}
	}
	if c.id != "" {
		arguments["connectionId"] = c.id
	}
	body, err := json.Marshal(arguments)
	if err != nil {
		c.t.Fatal(err)
	}
	answer, err := http.Post(c.s.URL()+"/"+name, "application/json", strings.NewReader(string(body)))
	if err != nil {
		c.t.Fatal(err)
	}
	defer func() { _ = answer.Body.Close() }()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		c.t.Fatal(err)
	}
	return answer.StatusCode, strings.TrimSpace(string(text))
}

// as returns the client with a session.
func (c client) as(user, password string) client {
	c.t.Helper()
	_, body := c.call("Authentication/Logon", map[string]any{"userName": user, "passwordHashed": c.s.Hash(password)})
	var r struct{ LogonResult struct{ ConnectionID string } }
	if err := json.Unmarshal([]byte(body), &r); err != nil || r.LogonResult.ConnectionID == "" {
		c.t.Fatalf("logon = %s, %v", body, err)
	}
	c.id = r.LogonResult.ConnectionID
	return c
}

func (c client) wants(name string, arguments map[string]any, status int, want string) {
	c.t.Helper()
	if got, body := c.call(name, arguments); got != status || !strings.Contains(body, want) {
		c.t.Errorf("%s = %d %s; want %d with %s", name, got, body, status, want)
	}
}

func TestSetUserPasswordHashed(t *testing.T) {
	c := begin(t, kendoxtest.Options{})
	hash := c.s.Hash("new-pass-1")
	jdoe := func(v string) map[string]any {
		return map[string]any{"userId": "11111111-2222-3333-4444-555555555555", "newPasswordHashed": v}
	}
	c.wants("Common/SetUserPasswordHashed", jdoe(hash), 500, `"ErrorCode":10008`)
	c = c.as("admin", "pw")
	c.wants("Common/SetUserPasswordHashed", jdoe(hash), 200, "{ }")
	c.wants("Common/SetUserPasswordHashed", jdoe("newTestPassword"), 500, "(10085)")
	c.wants("Common/SetUserPasswordHashed", map[string]any{"userId": "x", "newPasswordHashed": hash}, 500, "(10047)")
	c.wants("Common/SetUserPasswordHashed", map[string]any{"userId": strings.ToUpper(kendoxtest.DCIAdmin), "newPasswordHashed": hash}, 500, "(10369)")
	if !c.s.Accepts("jdoe", "new-pass-1") {
		t.Error("the new password is not taken")
	}
	c.s.CheckOut("root", 1)
	c.wants("Common/SetUserPasswordHashed", jdoe(hash), 500, "is already checked out by user root (10129)")
	c.wants("Common/SetUserPasswordHashed", jdoe(hash), 200, "{ }")
	c.s.Update("admin", func(u *kendoxtest.User) { u.Rights = u.Rights[1:] })
	c.wants("Common/SetUserPasswordHashed", jdoe(hash), 500, "Not enough rights (Access to users and user groups, 01002040-38a7-11d8-a902-0050bf427e8f) (10071)")
	c.as("dciadmin", "dciadmin").wants("Common/SetUserPasswordHashed", map[string]any{"userId": kendoxtest.DCIAdmin, "newPasswordHashed": hash}, 200, "{ }")
}

func TestSetUserPasswordChecksTheRules(t *testing.T) {
	c := begin(t, kendoxtest.Options{Rules: kendoxtest.Rules{MinLength: 8, Letter: true, Special: true, Mixed: true, Digit: true}}).as("admin", "pw")
	for value, want := range map[string]string{"aB1!": "(10081)", "12345678!": "(10082)", "aB345678": "(10083)", "ab345678!": "(10084)", "aBcdefgh!": "(10086)"} {
		c.wants("Common/SetUserPassword", map[string]any{"userId": "11111111-2222-3333-4444-555555555555", "newPassword": value}, 500, want)
	}
	c.wants("Common/SetUserPassword", map[string]any{"userId": "11111111-2222-3333-4444-555555555555", "newPassword": "aBcdefg1!"}, 200, "{ }")
	if !c.s.Accepts("jdoe", "aBcdefg1!") {
		t.Error("the new password is not taken")
	}
}

func TestSessionsIdleOut(t *testing.T) {
	now := time.Unix(0, 0)
	c := begin(t, kendoxtest.Options{Now: func() time.Time { return now }}).as("admin", "pw")
	for range 3 {
		now = now.Add(9 * time.Minute)
		c.wants("Authentication/GetLogonResult", nil, 200, `"ConnectionTimeoutSeconds":600`)
	}
	now = now.Add(10 * time.Minute)
	c.wants("Authentication/GetLogonResult", nil, 500, "isn't valid or has expired (10008)")
	if n := c.s.Open(); n != 0 {
		t.Errorf("%d sessions are open", n)
	}
}

func TestLogons(t *testing.T) {
	c := begin(t, kendoxtest.Options{Tenant: "acme", Sessions: 1, Licences: 2})
	logon := func(tenant, user, password string) map[string]any {
		return map[string]any{"tenantName": tenant, "userName": user, "passwordHashed": c.s.Hash(password)}
	}
	c.wants("Authentication/Logon", logon("other", "admin", "pw"), 500, "(10038)")
	c.wants("Authentication/Logon", logon("acme", "admin", "wrong"), 500, "(10006)")
	c.wants("Authentication/Logon", logon("acme", "nobody", "pw"), 500, "(10006)")
	c.wants("Authentication/Logon", logon("ACME", "admin", "pw"), 200, `"IsVerificationCodeNeeded":false`)
	c.wants("Authentication/Logon", logon("acme", "admin", "pw"), 500, "(10055)")
	c.wants("Authentication/Logon", logon("acme", "jdoe", "old-pass-0"), 200, "ConnectionId")
	c.wants("Authentication/Logon", logon("acme", "dciadmin", "dciadmin"), 500, "(10054)")
}

func TestASecondFactorBlocksEverythingElse(t *testing.T) {
	c := begin(t, kendoxtest.Options{})
	c.s.Update("admin", func(u *kendoxtest.User) { u.SecondFactor = true })
	c = c.as("admin", "pw")
	for _, name := range []string{"Common/GetUserStore", "Common/GetAllUsersSimple", "Common/GetUserAdminAccessRights", "Common/GetOwnUser", "Common/GetUserSimple", "Common/SetUserPassword"} {
		c.wants(name, nil, 500, "(10152)")
	}
	c.wants("Authentication/SetConnectionVerificationCode", map[string]any{"verificationCode": "0"}, 500, "(10150)")
	c.wants("Authentication/SetConnectionVerificationCode", map[string]any{"verificationCode": "123456"}, 200, "{ }")
	c.wants("Authentication/SetConnectionVerificationCode", map[string]any{"verificationCode": "123456"}, 500, "(10151)")
	c.wants("Common/GetOwnUser", nil, 200, `"UserMustChangePassword":false`)
	c.wants("Authentication/Logoff", nil, 200, "{ }")
	c.wants("Authentication/Logoff", nil, 500, "(10008)")
}

func TestListsOfUsers(t *testing.T) {
	c := begin(t, kendoxtest.Options{}).as("admin", "pw")
	c.s.Add(kendoxtest.User{Login: "off", Inactive: true}, "x")
	c.wants("Common/GetUserStore", nil, 200, `"LoginName":"off"`)
	c.wants("Common/GetAllUsersSimple", map[string]any{"userFilter": map[string]any{}}, 200, `"InactiveAndObsoleteUsers":[]`)
	c.wants("Common/GetAllUsersSimple", map[string]any{"userFilter": map[string]any{"RemoveInactiveUsers": false}}, 200, `"LoginName":"off"`)
	c.wants("Common/GetUserSimple", map[string]any{"userId": "11111111-2222-3333-4444-555555555555"}, 200, `"LoginName":"jdoe"`)
	c.wants("Common/GetUserAdminAccessRights", map[string]any{"userId": nil}, 200, kendoxtest.RightPassword)
	if status, _ := c.call("Common/Nothing", nil); status != 404 {
		t.Errorf("a method that is not there = %d", status)
	}
}

func TestStatusShowsNoSecrets(t *testing.T) {
	c := begin(t, kendoxtest.Options{}).as("admin", "pw")
	c.wants("Common/SetUserPassword", map[string]any{"userId": "11111111-2222-3333-4444-555555555555", "newPassword": "new-pass-1"}, 200, "{ }")
	answer, err := http.Get(c.s.Host() + "/simulator/status")
	if err != nil {
		t.Fatal(err)
	}
	body, _ := io.ReadAll(answer.Body)
	_ = answer.Body.Close()
	if !strings.Contains(string(body), `"changes": 1`) || strings.Contains(string(body), "pass-") || strings.Contains(string(body), c.s.Hash("new-pass-1")) || strings.Contains(string(body), c.id) {
		t.Errorf("status = %s", body)
	}
}
