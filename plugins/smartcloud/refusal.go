package smartcloud

import (
	"net/http"
	"strconv"
	"strings"

	"github.com/rekey-host/rekey/sdk"
	"github.com/rekey-host/rekey/sdk/rest"
)

// envelope is the error body. Its keys have two spellings; encoding/json
// ignores case, so one field reads responseCode and ResponseCode alike.
type envelope struct {
	BSSResponse *struct {
		ResponseCode     rest.Text
		ResponseMessage  rest.Text
		Useraction       rest.Text // also userAction
		MessageCode      rest.Text
		MessageID        rest.Text
		ExceptionMessage rest.Text
	}
}

// explain reads the error body into a failure. An answer in another form than
// the system's own says nothing about an account: it may come from a proxy, or
// from another site altogether.
func explain(f *rest.Failure) {
	if f.Answer.Form() == "HTML" && f.Answer.Status/100 == 4 && f.Answer.Status != http.StatusTooManyRequests && f.Answer.Status != http.StatusUnauthorized {
		f.Err.Code = sdk.TargetError
	}
	if f.Answer.Status == http.StatusServiceUnavailable && f.Err.RetryAfter > 0 {
		f.Err.Code = sdk.RateLimited
	}
	var e envelope
	if f.Answer.JSON(&e) != nil || e.BSSResponse == nil {
		return
	}
	b := e.BSSResponse
	if id := string(b.MessageCode + b.MessageID); id != "" {
		f.Err.Native = id
	}
	f.Err.Message = strings.TrimSpace(string(b.ResponseMessage))
	if f.Err.Message == "" {
		f.Err.Message = "HTTP " + strconv.Itoa(f.Answer.Status)
	}
	if action := strings.TrimSpace(string(b.Useraction)); action != "" {
		f.Err.Message += " (" + action + ")"
	}
}

// said is the text of an answer as it came: what is in a Failure has been
// scrubbed, and a password may be a word that tells two refusals apart.
func said(a rest.Answer) string {
	var e envelope
	if a.JSON(&e) != nil || e.BSSResponse == nil {
		return ""
	}
	return string(e.BSSResponse.ResponseMessage + " " + e.BSSResponse.Useraction)
}

// judge says what the answer to a password operation means for the account it
// was sent for. Only 204 is success: any other 2xx is not this system's, or one
// that has accepted the request and not done it yet.
func judge(op sdk.Operation, found subscriber, a rest.Answer, f *rest.Failure) *rest.Failure {
	switch {
	case f == nil && a.Status != http.StatusNoContent:
		e := sdk.Errorf(sdk.TargetError, "answered HTTP %d, want 204", a.Status)
		e.Native = "HTTP " + strconv.Itoa(a.Status)
		return &rest.Failure{Outcome: sdk.Unknown, Err: e, Answer: a}
	case f == nil || f.Outcome != sdk.Refused:
		return f
	}
	switch f.Answer.Status {
	case http.StatusConflict, http.StatusPreconditionFailed:
		f.Err.Code, f.Err.AccountStatus = sdk.AccountStatus, found.status()
	case http.StatusBadRequest, http.StatusUnprocessableEntity:
		if f.Err.Code == sdk.InvalidOperation {
			badRequest(op, found, f.Err, strings.ToLower(said(f.Answer)))
		}
	}
	return f
}

// badRequest tells the reasons of a 400 apart. None of the texts is
// documented, so words decide, and the rules that can be checked here.
func badRequest(op sdk.Operation, found subscriber, e *sdk.Error, said string) {
	has := func(words ...string) bool {
		for _, w := range words {
			if strings.Contains(said, w) {
				return true
			}
		}
		return false
	}
	rules := broken(op.Value.Reveal(), op.Account)
	switch {
	case has("suspend", "not active", "in state", "deleted"):
		e.Code, e.AccountStatus = sdk.AccountStatus, found.status()
	case has("federat"):
		e.Code = sdk.NoCredential
	case op.Verb == sdk.Reset, has("missing", "loginname"):
	case len(rules) > 0:
		e.Code, e.Violations = sdk.PolicyViolation, rules
	case has("one of the last", "last 8", "histor", "previous", "reuse", "re-use", "used before", "recent") && !has("at least", "blank", "in a row", "user name"):
		e.Code, e.Violations = sdk.PolicyViolation, []sdk.Violation{{Rule: sdk.RuleHistory, Limit: history, Native: e.Native}}
	case has("policy", "comply", "password rule", "weak", "strength"):
		e.Code, e.Violations = sdk.PolicyViolation, []sdk.Violation{{Rule: sdk.RuleOpaque, Native: e.Native}}
	case op.Verb == sdk.Change:
		e.Code = sdk.WrongCurrentPassword
	default:
		e.Code, e.Violations = sdk.PolicyViolation, []sdk.Violation{{Rule: sdk.RuleOpaque, Native: e.Native}}
	}
}
