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
func explain(failure *rest.Failure) {
	if failure.Answer.Form() == "HTML" && failure.Answer.Status/100 == 4 && failure.Answer.Status != http.StatusTooManyRequests && failure.Answer.Status != http.StatusUnauthorized {
		failure.Err.Code = sdk.TargetError
	}
	if failure.Answer.Status == http.StatusServiceUnavailable && failure.Err.RetryAfter > 0 {
		failure.Err.Code = sdk.RateLimited
	}
	var e envelope
	if failure.Answer.JSON(&e) != nil || e.BSSResponse == nil {
		return
	}
	b := e.BSSResponse
	if id := string(b.MessageCode + b.MessageID); id != "" {
		failure.Err.Native = id
	}
	failure.Err.Message = strings.TrimSpace(string(b.ResponseMessage))
	if failure.Err.Message == "" {
		failure.Err.Message = "HTTP " + strconv.Itoa(failure.Answer.Status)
	}
	if action := strings.TrimSpace(string(b.Useraction)); action != "" {
		failure.Err.Message += " (" + action + ")"
	}
}

// said is the text of an answer as it came: the text in a Failure has been
// scrubbed, and a password may be a word that tells two refusals apart.
func said(answer rest.Answer) string {
	var e envelope
	if answer.JSON(&e) != nil || e.BSSResponse == nil {
		return ""
	}
	return string(e.BSSResponse.ResponseMessage + " " + e.BSSResponse.Useraction)
}

// judge says what the answer to a password operation means for the account it
// was sent for. Only 204 is success: any other 2xx is not this system's, or one
// that accepted the request and has not done it yet.
func judge(op sdk.Operation, found subscriber, answer rest.Answer, failure *rest.Failure) *rest.Failure {
	switch {
	case failure == nil && answer.Status != http.StatusNoContent:
		e := sdk.Errorf(sdk.TargetError, "answered HTTP %d, want 204", answer.Status)
		e.Native = "HTTP " + strconv.Itoa(answer.Status)
		return &rest.Failure{Outcome: sdk.Unknown, Err: e, Answer: answer}
	case failure == nil || failure.Outcome != sdk.Refused:
		return failure
	}
	switch failure.Answer.Status {
	case http.StatusConflict, http.StatusPreconditionFailed:
		failure.Err.Code, failure.Err.AccountStatus = sdk.AccountStatus, found.status()
	case http.StatusBadRequest, http.StatusUnprocessableEntity:
		if failure.Err.Code == sdk.InvalidOperation {
			badRequest(op, found, failure.Err, strings.ToLower(said(failure.Answer)))
		}
	}
	return failure
}

// badRequest tells the reasons of a 400 apart. No text is
// documented, so words decide, and the rules that can be checked here.
func badRequest(op sdk.Operation, found subscriber, failure *sdk.Error, said string) {
	has := func(words ...string) bool {
		for _, word := range words {
			if strings.Contains(said, word) {
				return true
			}
		}
		return false
	}
	rules := broken(op.Value.Reveal(), op.Account)
	switch {
	case has("suspend", "not active", "in state", "deleted"):
		failure.Code, failure.AccountStatus = sdk.AccountStatus, found.status()
	case has("federat"):
		failure.Code = sdk.NoCredential
	case op.Verb == sdk.Reset, has("missing", "loginname"):
	case len(rules) > 0:
		failure.Code, failure.Violations = sdk.PolicyViolation, rules
	case has("one of the last", "last 8", "histor", "previous", "reuse", "re-use", "used before", "recent") && !has("at least", "blank", "in a row", "user name"):
		failure.Code, failure.Violations = sdk.PolicyViolation, []sdk.Violation{{Rule: sdk.RuleHistory, Limit: history, Native: failure.Native}}
	case has("policy", "comply", "password rule", "weak", "strength"):
		failure.Code, failure.Violations = sdk.PolicyViolation, []sdk.Violation{{Rule: sdk.RuleOpaque, Native: failure.Native}}
	case op.Verb == sdk.Change:
		failure.Code = sdk.WrongCurrentPassword
	default:
		failure.Code, failure.Violations = sdk.PolicyViolation, []sdk.Violation{{Rule: sdk.RuleOpaque, Native: failure.Native}}
	}
}
