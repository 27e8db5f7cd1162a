package smartcloudtest_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/rekey-host/rekey/plugins/smartcloud/smartcloudtest"
)

// TestRequestFormsOfClients holds the simulator against the forms that public
// clients send, and with Strict against those of the documents only.
func TestRequestFormsOfClients(t *testing.T) {
	const subscriber, customer = "/api/bss/resource/subscriber", "/api/bss/resource/customer"
	person := `"Person":{"EmailAddress":"new@acme.example","GivenName":"N","FamilyName":"W","RoleSet":["User"]}`
	set := credential("LoginName", ann, "NewPassword", "new_passw0rd")
	for _, f := range []struct {
		name, method, path, kind, body string
		lenient, strict                int
		want                           string
	}{
		{"a set", "POST", auth + "setUserPassword?bypassPolicy=false", "application/json", set, 204, 204, ""},
		{"a set that does not say that it is JSON", "POST", auth + "setUserPassword", "", set, 204, 415, ""},
		{"a set in UTF-8", "POST", auth + "setUserPassword", "application/json; charset=UTF-8", set, 204, 204, ""},
		{"a reset without a body", "POST", auth + "resetPassword?loginName=" + ann, "", "", 204, 204, ""},
		{"the list", "GET", subscriber, "", "", 200, 200, `"List"`},
		{"the list, with a final slash", "GET", subscriber + "/", "", "", 200, 404, `"List"`},
		{"a query, with a final slash", "GET", subscriber + "/?_pageNumber=1&_pageSize=10", "", "", 200, 404, `"List"`},
		{"one by id", "GET", subscriber + "/20000001", "", "", 200, 200, `"Subscriber"`},
		{"one by id, with a final slash", "GET", subscriber + "/20000001/", "", "", 200, 404, `"Subscriber"`},
		{"a new one, by a number", "POST", subscriber + "?suppressEmail=true", "application/json", `{"Subscriber":{"CustomerId":1,` + person + `}}`, 200, 200, `"Long"`},
		{"a new one, by text", "POST", subscriber, "application/json", `{"Subscriber":{"CustomerId":"1",` + person + `}}`, 200, 400, `"Long"`},
		{"a new one, by a word", "POST", subscriber, "application/json", `{"Subscriber":{"CustomerId":"x",` + person + `}}`, 400, 400, ""},
		{"a new one of no organisation", "POST", subscriber, "application/json", `{"Subscriber":{` + person + `}}`, 200, 200, `"Long"`},
		{"customers", "GET", customer, "", "", 200, 200, `"List"`},
		{"customers, with a final slash", "GET", customer + "/", "", "", 200, 404, `"List"`},
		{"a customer", "GET", customer + "/1", "", "", 200, 200, `"OrgName":"Organisation 1"`},
		{"a customer by name", "GET", customer + "?_namedQuery=getCustomerByOrgName&orgName=organisation%201", "", "", 200, 200, `"List"`},
		{"a customer's contact and its dates", "GET", customer + "/1", "", "", 200, 200, `"Contact":{"Created":"`},
		{"no such customer", "GET", customer + "/7", "", "", 404, 404, ""},
		{"no such name", "GET", customer + "?_namedQuery=getCustomerByOrgName&orgName=x", "", "", 404, 404, ""},
		{"an unknown path", "GET", "/api/bss/resource/subscription", "", "", 404, 404, ""},
		{"an unknown place", "GET", "/x", "", "", 404, 404, ""},
		{"an unknown method", "PUT", subscriber, "application/json", "{}", 404, 404, ""},
		{"a blank after the address", "POST", auth + "resetPassword?loginName=" + ann + "%20", "", "", 204, 404, ""},
	} {
		for strict, want := range map[bool]int{false: f.lenient, true: f.strict} {
			s := start(t, smartcloudtest.Options{Strict: strict}, smartcloudtest.Account{Login: ann, Password: "onet1me!"})
			var headers []string
			if f.kind != "" {
				headers = []string{"Content-Type", f.kind}
			}
			status, _, body := call(t, s, admin, adminPW, f.method, f.path, f.body, headers...)
			if status != want || status < 300 && !strings.Contains(body, f.want) {
				t.Errorf("%s, strict %t: %d %s; want %d with %s", f.name, strict, status, body, want, f.want)
			}
			var e struct{ BSSResponse map[string]string }
			if status >= 400 && (json.Unmarshal([]byte(body), &e) != nil || e.BSSResponse["ResponseMessage"] == "") {
				t.Errorf("%s, strict %t: the error is not the envelope: %s", f.name, strict, body)
			}
		}
	}
}

// A person has the dates and the owner that clients parse.
func TestAPersonHasItsDates(t *testing.T) {
	now := time.Date(2026, 3, 1, 12, 30, 0, 0, time.UTC)
	s := start(t, smartcloudtest.Options{Now: func() time.Time { return now }}, smartcloudtest.Account{Login: ann, Password: "onet1me!"})
	now = now.Add(time.Hour)
	call(t, s, admin, adminPW, "POST", auth+"setUserPassword", credential("LoginName", ann, "NewPassword", "new_passw0rd"))
	_, _, body := call(t, s, admin, adminPW, "GET", profile+ann, "")
	var got struct {
		List []struct{ Person map[string]any }
	}
	if err := json.Unmarshal([]byte(body), &got); err != nil {
		t.Fatal(err)
	}
	person := got.List[0].Person
	for name, want := range map[string]string{"Created": "03/01/2026 12:30:00", "Modified": "03/01/2026 13:30:00"} {
		if person[name] != want {
			t.Errorf("%s is %v, want %s", name, person[name], want)
		}
	}
	if _, ok := person["Deleted"]; !ok || person["Owner"] != 1.0 {
		t.Errorf("Deleted %v, Owner %v", person["Deleted"], person["Owner"])
	}
}
