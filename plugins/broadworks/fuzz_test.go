package broadworks

import (
	"slices"
	"strings"
	"testing"

	"github.com/rekey-host/rekey/sdk"
	"github.com/rekey-host/rekey/sdk/rest"
)

// FuzzOdinErrors: whatever a body says, its status decides whether something
// may have changed; the reason is a known code, and nothing of the body gets
// into it after the secrets have been taken out of what was read.
func FuzzOdinErrors(f *testing.F) {
	for _, body := range []string{
		"", "{}", "[]", "null", "7", "<html>", "\ufeff{}", `{"error":"x`, `{"error":null}`, `{"error":{"code":1},"status":"400","details":["x"]}`,
		`{"error":"[Error 4962] Invalid password","status":400,"details":"Bad Request"}`, `{"error":"[Error 5202] Account is disabled."}`,
		`{"error":"[Error 5404] Unauthorized transaction."}`, `{"error":"[Error 4008] User not found: x"}`, `{"details":"Service Authentication is not assigned to user"}`,
		`{"message":"password must not be the same as the old password"}`, `{"error":"The passcode was one of the previous 3."}`, `{"error":"a\u0000\r\nb"}`,
	} {
		for _, status := range []int{200, 202, 204, 304, 400, 401, 402, 403, 404, 409, 422, 429, 500, 503} {
			f.Add(status, []byte(body))
		}
	}
	const cleaned = "what the server said, cleaned"
	f.Fuzz(func(t *testing.T, status int, body []byte) {
		status = 200 + int(uint(status)%400)
		answer := rest.Answer{Status: status, Body: body}
		outcome, code := rest.Classify(status)
		failure := &rest.Failure{Outcome: outcome, Err: &sdk.Error{Code: code, Message: "HTTP", Native: "HTTP"}, Answer: answer}
		if status < 300 {
			failure = nil
		} else {
			explain(failure)
			if failure.Outcome != outcome {
				t.Fatalf("%d %q: explained as %+v", status, body, failure)
			}
			failure.Err.Message, failure.Err.Native = cleaned, "HTTP"
		}
		got := judge(answer, failure)
		switch {
		case got == nil && (status >= 300 || status == 202 || words(answer) != ""):
			t.Fatalf("%d %q: taken for a success", status, body)
		case got == nil:
			return
		case status < 300 && got.Outcome != sdk.Unknown, status >= 300 && got.Outcome != outcome:
			t.Fatalf("%d %q: got %v", status, body, got.Outcome)
		case !slices.Contains(sdk.Codes(), got.Err.Code), status >= 300 && !strings.HasSuffix(got.Err.Message, cleaned):
			t.Fatalf("%d %q: got %+v", status, body, got.Err)
		case status < 300 && len(got.Err.Message) > 80:
			t.Fatalf("%d %q: quoted: %+v", status, body, got.Err)
		}
	})
}

// FuzzUsers: an answer about users is a list or an error; so are those about
// services and of generators.
func FuzzUsers(f *testing.F) {
	for _, body := range []string{
		`[]`, `[{"userId":"ann@acme.example","firstName":"Ann"}]`, `{"userId":"ann@acme.example","extension":1000}`, `{"total":30,"count":1,"offset":0,"data":[{"userId":"a"}]}`,
		`{"total":-1,"data":null}`, `[null]`, `[{"userId":7}]`, `7`, "{}", "", "<html>", `{"userServices":[{"serviceName":"Authentication","assigned":true}]}`,
		`{"userServices":null,"servicePackServices":[{"serviceName":7}]}`, `{"passwords":["a",null]}`, `{"passcode":7}`,
	} {
		f.Add([]byte(body))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		do := func(rest.Request) (rest.Answer, *rest.Failure) { return rest.Answer{Status: 200, Body: body}, nil }
		list, failure := users(do, rest.Request{})
		if failure != nil && (failure.Outcome != sdk.Refused || failure.Err.Code != sdk.TargetError) {
			t.Fatalf("%q: got %v %v", body, failure.Outcome, failure)
		}
		for _, u := range list.data {
			u.account()
		}
		if failure := assigned(do, "ann@acme.example", credentials[SIP]); failure != nil && failure.Outcome != sdk.Refused {
			t.Fatalf("%q: got %v", body, failure)
		}
		if values, failure := ask(do, "/password/generate", nil); failure != nil && (failure.Outcome != sdk.Refused || values != nil) {
			t.Fatalf("%q: got %d values, %v", body, len(values), failure)
		}
	})
}
