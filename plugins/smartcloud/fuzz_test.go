package smartcloud

import (
	"slices"
	"strings"
	"testing"

	"github.com/rekey-host/rekey/sdk"
	"github.com/rekey-host/rekey/sdk/rest"
	"github.com/rekey-host/rekey/sdk/secret"
)

// operations are one of each call.
func operations() []sdk.Operation {
	yes := true
	set := sdk.Operation{ID: "1", Attempt: 1, Verb: sdk.Set, Account: "ann@acme.example", Value: secret.New("new-passw0rd")}
	once, change, reset := set, set, set
	once.MustChange = &yes
	change.Verb, change.Old = sdk.Change, secret.New("temp0rary!")
	reset.Verb, reset.Value = sdk.Reset, secret.Value{}
	return []sdk.Operation{set, once, change, reset}
}

// FuzzBSSErrors: whatever a body says, its status decides whether something
// may have changed; the reason is a known code, and nothing of the body gets
// into it after the secrets have been taken out of what was read.
func FuzzBSSErrors(f *testing.F) {
	for _, body := range []string{
		"", "{}", "[]", "null", `{"BSSResponse":null}`, `{"BSSResponse":[]}`, `{"BSSResponse":{"ResponseMessage":7}}`, "<html>", "\ufeff{}",
		`{"BSSResponse":{"ResponseCode":"400","ResponseMessage":"The password was used before.","Severity":"Error","Useraction":"Do it right.","MessageCode":"BZSAU1015E"}}`,
		`{"BSSResponse":{"responseCode":"400","ResponseMessage":"Subscriber is suspended.","severity":"Error","userAction":"Do it right.","messageId":"X","ExceptionMessage":"com.ibm.X"}}`,
		`{"bssresponse":{"RESPONSEMESSAGE":"one of the last 8","messagecode":"x"}}`, `{"BSSResponse":{"ResponseMessage":"federated\u0000\r\n"}}`,
	} {
		for _, status := range []int{202, 204, 304, 400, 401, 404, 409, 422, 500, 503} {
			for n := range operations() {
				f.Add(status, n, []byte(body))
			}
		}
	}
	const cleaned = "what the server said, cleaned"
	f.Fuzz(func(t *testing.T, status, n int, body []byte) {
		status = 200 + int(uint(status)%400)
		op := operations()[uint(n)%4]
		answer := rest.Answer{Status: status, Body: body}
		outcome, code := rest.Classify(status)
		failure := &rest.Failure{Outcome: outcome, Err: &sdk.Error{Code: code, Message: "HTTP", Native: "HTTP"}, Answer: answer}
		if status < 300 {
			failure = nil
		} else {
			explain(failure)
			if failure.Outcome != outcome || failure.Err.Message == "" {
				t.Fatalf("%d %q: explained as %+v", status, body, failure)
			}
			failure.Err.Message, failure.Err.Native = cleaned, cleaned
		}
		got := judge(op, subscriber{SubscriberState: "ACTIVE"}, answer, failure)
		switch {
		case status == 204 && got != nil, status != 204 && got == nil:
			t.Fatalf("%d %q: got %v", status, body, got)
		case got == nil:
			return
		case status < 300 && got.Outcome != sdk.Unknown, status >= 300 && got.Outcome != outcome:
			t.Fatalf("%d %q: got %v", status, body, got.Outcome)
		case !slices.Contains(sdk.Codes(), got.Err.Code), status >= 300 && got.Err.Message != cleaned:
			t.Fatalf("%d %q: got %+v", status, body, got.Err)
		}
		for _, v := range got.Err.Violations {
			if got.Err.Code != sdk.PolicyViolation || v.Message != "" || v.Native != "" && v.Native != cleaned {
				t.Fatalf("%d %q: got %+v", status, body, got.Err)
			}
		}
	})
}

// FuzzSubscribers: an answer to a query is a list or an error, and an operation
// goes to no account but the one with the address.
func FuzzSubscribers(f *testing.F) {
	for _, body := range []string{
		`{"List":[{"Id":20000001,"CustomerId":1,"SubscriberState":"ACTIVE","Person":{"EmailAddress":"ann@acme.example","SecurityRealm":"NON_FEDERATED"}}]}`,
		`{"List":[]}`, `{"List":null}`, `{"List":[null]}`, `{"List":[{"Id":"x"}]}`, `{"List":[{"Person":{"EmailAddress":"ann@acme.example","SecurityRealm":7}}]}`,
		`{"List":[{"Person":{"EmailAddress":"ANN@acme.example"}},{"Person":{"EmailAddress":"ann@acme.example"}}]}`, `{"List":[[]]}`, "{}", "", "<html>",
	} {
		f.Add([]byte(body))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		list, failure := subscribers(rest.Answer{Status: 200, Body: body})
		if failure != nil {
			if failure.Outcome != sdk.Refused || failure.Err.Code != sdk.TargetError {
				t.Fatalf("%q: got %v %v", body, failure.Outcome, failure)
			}
			return
		}
		for _, s := range list {
			s.account()
			s.attributes([]string{"Person", "RoleSet", "Id"})
		}
		one, failure := only(list, "ann@acme.example")
		if failure == nil && !strings.EqualFold(one.Person.EmailAddress, "ann@acme.example") {
			t.Fatalf("%q: picked %+v", body, one)
		}
	})
}
