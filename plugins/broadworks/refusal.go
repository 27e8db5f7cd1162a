package broadworks

import (
	"encoding/json"
	"net/http"
	"regexp"
	"strconv"
	"strings"

	"github.com/rekey-host/rekey/sdk"
	"github.com/rekey-host/rekey/sdk/rest"
)

// complaint is the error body. Any of its keys may be absent, and of any type.
type complaint struct {
	Error   json.RawMessage
	Details json.RawMessage
	Message json.RawMessage
}

func text(raw json.RawMessage) string {
	var text string
	if json.Unmarshal(raw, &text) != nil {
		return ""
	}
	return strings.TrimSpace(text)
}

// words returns what the body says, "" if it is not an error body.
func words(answer rest.Answer) string {
	var c complaint
	if answer.JSON(&c) != nil {
		return ""
	}
	for _, raw := range []json.RawMessage{c.Error, c.Message, c.Details} {
		if name := text(raw); name != "" {
			return name
		}
	}
	return ""
}

var number = regexp.MustCompile(`^\[(Error \d+)\]\s*`)

// explain reads the error body into a failure. A page says nothing about a
// user: it comes from a proxy or from another site.
func explain(failure *rest.Failure) {
	said := words(failure.Answer)
	if said == "" {
		if size := failure.Answer.Status; failure.Answer.Form() == "HTML" && size/100 == 4 && size != http.StatusUnauthorized && size != http.StatusTooManyRequests {
			failure.Err.Code = sdk.TargetError
		}
		return
	}
	failure.Err.Message = said
	if list := number.FindStringSubmatch(said); list != nil {
		failure.Err.Native, failure.Err.Message = list[1], strings.TrimPrefix(said, list[0])
	}
	lower := strings.ToLower(said)
	switch {
	case failure.Answer.Status == http.StatusPaymentRequired:
		failure.Err.Code = sdk.InvalidConfig
	case failure.Answer.Status == http.StatusUnauthorized && disabled(failure.Err.Native, lower):
		failure.Err.AccountStatus = sdk.StatusLocked
	case failure.Answer.Status/100 != 4 || failure.Err.Code == sdk.LoginExpired || failure.Err.Code == sdk.RateLimited:
	case failure.Err.Native == "Error 5404" || has(lower, "unauthorized transaction"):
		failure.Err.Code = sdk.PermissionDenied
	case has(lower, "user", "not found"):
		failure.Err.Code = sdk.AccountNotFound
	}
}

func has(said string, parts ...string) bool {
	for _, path := range parts {
		if !strings.Contains(said, path) {
			return false
		}
	}
	return true
}

func disabled(native, said string) bool {
	return native == "Error 5202" || has(said, "account", "disabled") || has(said, "account", "locked") || has(said, "login", "disabled")
}

// judge says what the answer to a PUT means. The statuses and numbers of most
// refusals are not known, so their words decide.
func judge(answer rest.Answer, failure *rest.Failure) *rest.Failure {
	if failure == nil {
		return doubt(answer)
	}
	if failure.Answer.Status == http.StatusPaymentRequired {
		failure.Err.Message = "the login's password has to be changed first: " + failure.Err.Message
	}
	if failure.Err.Code != sdk.InvalidOperation && failure.Err.Code != sdk.Conflict && failure.Err.Code != sdk.TargetError || failure.Outcome != sdk.Refused {
		return failure
	}
	said := strings.ToLower(words(failure.Answer))
	switch {
	case disabled(failure.Err.Native, said):
		failure.Err.Code, failure.Err.AccountStatus = sdk.AccountStatus, sdk.StatusLocked
	case has(said, "service", "not assigned") || has(said, "service", "not authorized"):
		failure.Err.Code = sdk.NoCredential
	case has(said, "password") || has(said, "passcode"):
		failure.Err.Code = sdk.PolicyViolation
	}
	if failure.Err.Code == sdk.Conflict {
		failure.Err.Code = sdk.AccountStatus // a state that refuses: the same request will be refused again
	}
	return failure
}

// doubt returns why a 2xx answer is not taken for a success.
func doubt(answer rest.Answer) *rest.Failure {
	why := ""
	switch {
	case answer.Form() == "HTML" || answer.Status == http.StatusAccepted:
		why = "the answer is not the interface's own: " + answer.Form()
	case words(answer) != "":
		why = "the answer has an error in it"
	default:
		return nil
	}
	failure := sdk.Errorf(sdk.TargetError, "HTTP %d: %s", answer.Status, why)
	failure.Native = "HTTP " + strconv.Itoa(answer.Status)
	return &rest.Failure{Outcome: sdk.Unknown, Err: failure, Answer: answer}
}

// spoken is the rule that a text speaks of.
func spoken(said string) sdk.Rule {
	for _, r := range []struct {
		word string
		rule sdk.Rule
	}{
		{"previous", sdk.RuleHistory}, {"histor", sdk.RuleHistory}, {"recent", sdk.RuleHistory},
		{"reverse", sdk.RuleCustom}, {"backwards", sdk.RuleCustom}, {"pattern", sdk.RuleCustom}, {"number", sdk.RuleCustom},
		{"same as the old", sdk.RuleSameAsCurrent}, {"same as old", sdk.RuleSameAsCurrent}, {"current p", sdk.RuleSameAsCurrent},
		{"name", sdk.RuleContainsName},
	} {
		if strings.Contains(said, r.word) {
			return r.rule
		}
	}
	return sdk.RuleOpaque
}
