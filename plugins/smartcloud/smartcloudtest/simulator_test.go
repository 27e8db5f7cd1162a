package smartcloudtest_test

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/rekey-host/rekey/plugins/smartcloud/smartcloudtest"
)

const (
	admin   = "admin@acme.example"
	adminPW = "adm1n-of-acme"
	ann     = "ann@acme.example"
	auth    = "/api/bss/service/authentication/"
	profile = "/api/bss/resource/subscriber?_namedQuery=getSubscriberByEmailAddress&emailAddress="
)

func start(t *testing.T, o smartcloudtest.Options, accounts ...smartcloudtest.Account) *smartcloudtest.Simulator {
	t.Helper()
	o.AdminPassword = adminPW
	s := smartcloudtest.New(o, accounts...)
	if err := s.Listen("127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s
}

// call does one request as somebody and returns its status, headers and body.
func call(t *testing.T, s *smartcloudtest.Simulator, who, password, method, path, body string, headers ...string) (int, http.Header, string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, s.URL()+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	if who != "" {
		r.SetBasicAuth(who, password)
	}
	for n := 0; n+1 < len(headers); n += 2 {
		r.Header.Set(headers[n], headers[n+1])
	}
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = answer.Body.Close() }()
	text, _ := io.ReadAll(answer.Body)
	return answer.StatusCode, answer.Header, string(text)
}

func credential(fields ...string) string {
	c := map[string]string{}
	for n := 0; n+1 < len(fields); n += 2 {
		c[fields[n]] = fields[n+1]
	}
	text, _ := json.Marshal(map[string]any{"UserCredential": c})
	return string(text)
}

func TestRequestsHaveTheDocumentedStatus(t *testing.T) {
	tests := []struct {
		name, who, method, path, body string
		want                          int
	}{
		{"one-time", admin, "POST", auth + "setOneTimePassword", credential("LoginName", ann, "NewPassword", "one_time_passw0rd"), 204},
		{"one-time without a login", admin, "POST", auth + "setOneTimePassword", credential("LoginName", "", "NewPassword", "one_time_passw0rd"), 400},
		{"change", admin, "POST", auth + "changePassword", credential("LoginName", ann, "OldPassword", "onet1me!", "NewPassword", "new_passw0rd", "ConfirmPassword", "new_passw0rd"), 204},
		{"change without the old", admin, "POST", auth + "changePassword", credential("LoginName", ann, "NewPassword", "new_passw0rd", "ConfirmPassword", "new_passw0rd"), 400},
		{"change without the confirmation", admin, "POST", auth + "changePassword", credential("LoginName", ann, "OldPassword", "onet1me!", "NewPassword", "new_passw0rd"), 400},
		{"change with another confirmation", admin, "POST", auth + "changePassword", credential("LoginName", ann, "OldPassword", "onet1me!", "NewPassword", "new_passw0rd", "ConfirmPassword", "x"), 400},
		{"change with a wrong old", admin, "POST", auth + "changePassword", credential("LoginName", ann, "OldPassword", "x", "NewPassword", "new_passw0rd", "ConfirmPassword", "new_passw0rd"), 400},
		{"change by the user", ann, "POST", auth + "changePassword", credential("LoginName", ann, "OldPassword", "onet1me!", "NewPassword", "new_passw0rd", "ConfirmPassword", "new_passw0rd"), 403},
		{"set", admin, "POST", auth + "setUserPassword", credential("LoginName", ann, "NewPassword", "new_passw0rd"), 204},
		{"set against the policy", admin, "POST", auth + "setUserPassword?bypassPolicy=false", credential("LoginName", ann, "NewPassword", "short"), 400},
		{"set past the policy", admin, "POST", auth + "setUserPassword?bypassPolicy=true", credential("LoginName", ann, "NewPassword", "short"), 204},
		{"set of nobody", admin, "POST", auth + "setUserPassword", credential("LoginName", "x@acme.example", "NewPassword", "new_passw0rd"), 404},
		{"set of nothing", admin, "POST", auth + "setUserPassword", credential("LoginName", ann), 400},
		{"not JSON", admin, "POST", auth + "setUserPassword", "<a/>", 400},
		{"reset", admin, "POST", auth + "resetPassword?loginName=ann%40acme.example", "", 204},
		{"reset of an address with a blank", admin, "POST", auth + "resetPassword?loginName=bob%40acme.example%20", "", 404},
		{"nobody's request", "", "GET", profile + ann, "", 401},
		{"a stranger's request", "who@acme.example", "GET", profile + ann, "", 401},
		{"own profile", ann, "GET", profile + ann, "", 200},
		{"somebody else's", ann, "GET", profile + admin, "", 403},
		{"nobody's profile", admin, "GET", profile + "x", "", 404},
		{"an unknown query", admin, "GET", "/api/bss/resource/subscriber?_namedQuery=x", "", 400},
		{"a page of nothing", admin, "GET", "/api/bss/resource/subscriber?_pageNumber=9&_pageSize=10", "", 200},
		{"page zero", admin, "GET", "/api/bss/resource/subscriber?_pageNumber=0", "", 400},
		{"an unknown call", admin, "POST", "/api/bss/service/authentication/x", "", 404},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			s := start(t, smartcloudtest.Options{}, smartcloudtest.Account{Login: ann, Password: "onet1me!"})
			password := map[string]string{admin: adminPW, ann: "onet1me!"}[test.who]
			status, _, body := call(t, s, test.who, password, test.method, test.path, test.body)
			if status != test.want || status == 204 && body != "" {
				t.Errorf("got %d %s, want %d", status, body, test.want)
			}
		})
	}
}

func TestAnErrorHasAllItsKeys(t *testing.T) {
	for spelling, keys := range map[string]string{"A": "ResponseCode ResponseMessage Severity Useraction MessageCode", "B": "responseCode ResponseMessage severity userAction messageId"} {
		s := start(t, smartcloudtest.Options{Spelling: spelling})
		_, _, body := call(t, s, admin, adminPW, "POST", auth+"setOneTimePassword", credential("LoginName", "", "NewPassword", "x"))
		var e struct{ BSSResponse map[string]string }
		if err := json.Unmarshal([]byte(body), &e); err != nil {
			t.Fatal(err)
		}
		for _, key := range strings.Fields(keys) {
			if e.BSSResponse[key] == "" {
				t.Errorf("%s: no %s in %s", spelling, key, body)
			}
		}
	}
}

func TestAOneTimePasswordWorksOnceAndCanBeChanged(t *testing.T) {
	s := start(t, smartcloudtest.Options{}, smartcloudtest.Account{Login: ann, Password: "f1rst-value", State: smartcloudtest.Pending})
	call(t, s, admin, adminPW, "POST", auth+"setOneTimePassword", credential("LoginName", ann, "NewPassword", "onet1me!"))
	for n, want := range []int{200, 401} {
		if status, _, _ := call(t, s, ann, "onet1me!", "GET", profile+ann, ""); status != want {
			t.Errorf("logon %d: got %d, want %d", n, status, want)
		}
	}
	call(t, s, admin, adminPW, "POST", auth+"changePassword", credential("LoginName", ann, "OldPassword", "onet1me!", "NewPassword", "new_passw0rd", "ConfirmPassword", "new_passw0rd"))
	for range 2 {
		if status, _, _ := call(t, s, ann, "new_passw0rd", "GET", profile+ann, ""); status != 200 {
			t.Errorf("logon with the final password: got %d, want 200", status)
		}
	}
	if s.State(ann) != smartcloudtest.Active {
		t.Errorf("state %s, want ACTIVE", s.State(ann))
	}
}

func TestTheLastEightAreRefused(t *testing.T) {
	s := start(t, smartcloudtest.Options{}, smartcloudtest.Account{Login: ann, Password: "value-numb3r-0"})
	set := func(n int) int {
		status, _, _ := call(t, s, admin, adminPW, "POST", auth+"setUserPassword", credential("LoginName", ann, "NewPassword", "value-numb3r-"+strconv.Itoa(n)))
		return status
	}
	for n := 1; n <= 8; n++ {
		if status := set(n); status != 204 {
			t.Fatalf("value %d: %d", n, status)
		}
	}
	for _, n := range []int{8, 1} {
		if status := set(n); status != 400 {
			t.Errorf("value %d again: got %d, want 400", n, status)
		}
	}
	if status := set(0); status != 204 {
		t.Errorf("the ninth last: got %d, want 204", status)
	}
}

func TestAStateCanBeMoved(t *testing.T) {
	s := start(t, smartcloudtest.Options{})
	status, _, body := call(t, s, admin, adminPW, "POST", "/api/bss/resource/subscriber", `{"Subscriber":{"CustomerId":1,"Person":{"RoleSet":["User"],"EmailAddress":"ann@acme.example"}}}`)
	var id struct{ Long int64 }
	if json.Unmarshal([]byte(body), &id) != nil || status != 200 {
		t.Fatalf("add: %d %s", status, body)
	}
	path := "/api/bss/resource/subscriber/" + strconv.FormatInt(id.Long, 10)
	for _, step := range []struct {
		op, want string
		status   int
	}{
		{"suspendSubscriber", "PENDING", 409}, {"activateSubscriber", "ACTIVE", 204}, {"suspendSubscriber", "SUSPENDED", 204},
		{"unSuspendSubscriber", "ACTIVE", 204}, {"x", "ACTIVE", 400},
	} {
		if status, _, _ := call(t, s, admin, adminPW, "POST", path, "", "x-operation", step.op); status != step.status || s.State(ann) != step.want {
			t.Errorf("%s: %d, %s; want %d, %s", step.op, status, s.State(ann), step.status, step.want)
		}
	}
	if status, _, _ := call(t, s, admin, adminPW, "DELETE", path+"?moveToSoftDelete=true", ""); status != 204 || s.State(ann) != smartcloudtest.SoftDeleted {
		t.Errorf("soft delete: %d, %s", status, s.State(ann))
	}
	if status, _, _ := call(t, s, admin, adminPW, "DELETE", path, ""); status != 204 || s.State(ann) != "" {
		t.Errorf("delete: %d, %s", status, s.State(ann))
	}
}

func TestAboveTheBudgetAllIsRefusedUntilThePeriodEnds(t *testing.T) {
	now := time.Unix(0, 0)
	s := start(t, smartcloudtest.Options{Now: func() time.Time { return now }, Budget: smartcloudtest.Budget{
		Limit: 5, Period: time.Minute, Weights: map[string]int{"resetPassword": 3}, RetryAfter: true}}, smartcloudtest.Account{Login: ann})
	try := func() (int, string) {
		status, h, _ := call(t, s, admin, adminPW, "POST", auth+"resetPassword?loginName="+ann, "")
		return status, h.Get("Retry-After")
	}
	if status, _ := try(); status != 204 {
		t.Errorf("within the budget: %d", status)
	}
	if status, after := try(); status != 503 || after == "" {
		t.Errorf("above it: %d, Retry-After %q", status, after)
	}
	now = now.Add(time.Minute)
	if status, _ := try(); status != 204 {
		t.Errorf("in the next period: %d", status)
	}
}

func TestTheStatusTellsNumbersOnly(t *testing.T) {
	s := start(t, smartcloudtest.Options{}, smartcloudtest.Account{Login: ann, Password: "onet1me!", OneTime: true, State: smartcloudtest.Pending})
	_, _, body := call(t, s, "", "", "GET", "/simulator", "")
	var got bytes.Buffer
	if err := json.Compact(&got, []byte(body)); err != nil {
		t.Fatal(err)
	}
	want := `{"accounts":2,"states":{"ACTIVE":1,"PENDING":1},"one_time":1,"permanent":1,"changed":0,"mails":0,"requests":{},"refused_by_budget":0}`
	if got.String() != want {
		t.Errorf("got %s, want %s", got.String(), want)
	}
}
