package kendox

import (
	"bytes"
	"encoding/json"
	"net/http"
	"regexp"
	"strconv"
	"strings"

	"github.com/rekey-host/rekey/sdk"
	"github.com/rekey-host/rekey/sdk/rest"
)

// meaning is what a ServiceException's code says.
type meaning struct {
	code  sdk.Code
	rules []sdk.Rule // of a PolicyViolation
	text  string
}

// meanings are the codes that the reference lists with the calls of this
// plugin and their siblings. Each is a condition that the server checks before
// it changes anything.
var meanings = map[int]meaning{
	10006: {sdk.LoginExpired, nil, "the user cannot log in: wrong name or password, or not active"},
	10007: {sdk.InvalidConfig, nil, "there is no Windows identity"},
	10008: {sdk.LoginExpired, nil, "the session is not valid or has ended"},
	10038: {sdk.InvalidConfig, nil, "the tenant is not known; check tenant"},
	10047: {sdk.AccountNotFound, nil, "no such user"},
	10052: {sdk.InvalidConfig, nil, "the user may not log in by Windows"},
	10053: {sdk.TargetUnavailable, nil, "no licence is left"},
	10054: {sdk.TargetUnavailable, nil, "no licence is left"},
	10055: {sdk.TargetUnavailable, nil, "the user has too many sessions; end some of them"},
	10063: {sdk.TargetError, nil, "the token's life is over"},
	10068: {sdk.TargetError, nil, "the login name exists"},
	10071: {sdk.PermissionDenied, nil, "the service account lacks a right"},
	10072: {sdk.Protected, nil, "DCIAdmin cannot be deactivated"},
	10078: {sdk.TargetError, nil, "the server refused it"},
	10081: {sdk.PolicyViolation, []sdk.Rule{sdk.RuleMinLength}, "too short"},
	10082: {sdk.PolicyViolation, []sdk.Rule{sdk.RuleLetters}, "needs a letter"},
	10083: {sdk.PolicyViolation, []sdk.Rule{sdk.RuleSymbols}, "needs a special character"},
	10084: {sdk.PolicyViolation, []sdk.Rule{sdk.RuleUpper, sdk.RuleLower}, "needs upper-case and lower-case letters"},
	10085: {sdk.PolicyViolation, []sdk.Rule{sdk.RuleOpaque}, "the server could not set it and does not say why"},
	10086: {sdk.PolicyViolation, []sdk.Rule{sdk.RuleDigits}, "needs a digit"},
	10129: {sdk.Conflict, nil, "another user has the administrative context; it is tried again"},
	10144: {sdk.SecondFactorNeeded, nil, "the second factor's code could not be sent"},
	10145: {sdk.TargetError, nil, "the server's mail settings are wrong"},
	10146: {sdk.TargetError, nil, "the user has no mail address"},
	10147: {sdk.SecondFactorNeeded, nil, "the second factor's code could not be sent"},
	10148: {sdk.SecondFactorNeeded, nil, "the second factor is not complete"},
	10149: {sdk.SecondFactorNeeded, nil, "the second factor's code could not be sent"},
	10150: {sdk.SecondFactorNeeded, nil, "the second factor's code is wrong"},
	10151: {sdk.TargetError, nil, "the second factor is not needed"},
	10152: {sdk.SecondFactorNeeded, nil, "the service account has a second factor; use one without"},
	10153: {sdk.SecondFactorNeeded, nil, "the second factor's code could not be sent"},
	10154: {sdk.SecondFactorNeeded, nil, "the second factor is not complete"},
	10157: {sdk.TargetError, nil, "the second factor was confirmed already"},
	10165: {sdk.AccountStatus, nil, "the user is not valid"},
	10166: {sdk.TargetError, nil, "the mail could not be sent"},
	10167: {sdk.TargetError, nil, "the mail could not be sent"},
	10168: {sdk.ChangeNotAllowed, nil, "no attempt is left"},
	10169: {sdk.TargetError, nil, "the server could not make a password"},
	10170: {sdk.Ambiguous, nil, "several users have the mail address"},
	10244: {sdk.AccountNotFound, nil, "the token's user does not exist"},
	10256: {sdk.TargetError, nil, "the server refused it"},
	10263: {sdk.TargetError, nil, "the server refused it"},
	10264: {sdk.TargetError, nil, "the server refused it"},
	10369: {sdk.Protected, nil, "only DCIAdmin may set DCIAdmin's password"},
	10376: {sdk.TargetError, nil, "the token is not valid"},
}

// exception is a ServiceException as it was found in an answer.
type exception struct {
	code int
	text string // the server's own words
}

// describe turns an exception into a failure. An unknown code leaves
// the outcome open.
func (e exception) describe(failure *rest.Failure) {
	failure.Err.Native = strconv.Itoa(e.code)
	meaning, known := meanings[e.code]
	if !known {
		failure.Outcome, failure.Err.Code, failure.Err.Message = sdk.Unknown, sdk.TargetError, "an exception that this plugin does not know: "+e.text
		return
	}
	failure.Outcome, failure.Err.Code, failure.Err.Message = sdk.Refused, meaning.code, meaning.text
	switch e.code {
	case 10071, 10129:
		failure.Err.Message += ": " + strings.TrimSpace(trailing.ReplaceAllString(e.text, ""))
	}
	failure.Err.Violations = nil
	for _, rule := range meaning.rules {
		failure.Err.Violations = append(failure.Err.Violations, sdk.Violation{Rule: rule, Native: failure.Err.Native, Message: meaning.text})
	}
	if meaning.code == sdk.AccountStatus {
		failure.Err.AccountStatus = sdk.StatusUnknown
	}
}

// bracketed is how a message carries its code; trailing is that at its end.
var (
	bracketed = regexp.MustCompile(`\((1[0-9]{4})\)`)
	trailing  = regexp.MustCompile(`\s*\(1[0-9]{4}\)\s*$`)
)

// explain reads what a status other than 2xx came with.
func explain(failure *rest.Failure) {
	if exception, ok := find(failure.Answer.Body); ok {
		exception.describe(failure)
		return
	}
	switch failure.Answer.Status {
	case http.StatusNotFound, http.StatusGone:
		failure.Err.Code, failure.Err.Message = sdk.InvalidConfig, "there is no such service; check the url, which ends in /InfoShare/Json"
	case http.StatusUnauthorized:
		failure.Err.Code, failure.Err.Message = sdk.InvalidConfig, "something before InfoShare wants a login of its own"
	case http.StatusBadRequest:
		failure.Err.Message = "the server does not understand the request"
	}
}

// find looks for a ServiceException in a body of any form.
func find(body []byte) (exception, bool) {
	var value any
	decoder := json.NewDecoder(bytes.NewReader(body))
	decoder.UseNumber()
	if decoder.Decode(&value) != nil {
		return inText(string(body))
	}
	made := exception{text: message(value)}
	if made.code = number(value, 0); made.code == 0 {
		found, ok := inText(made.text)
		if !ok {
			found, ok = inText(string(body))
		}
		return found, ok
	}
	return made, true
}

func inText(text string) (exception, bool) {
	list := bracketed.FindStringSubmatch(text)
	if list == nil {
		return exception{}, false
	}
	code, err := strconv.Atoi(list[1])
	return exception{code, text}, err == nil
}

// deepest is how far into a body is looked.
const deepest = 8

// number returns the first code under one of the names that errors use.
func number(v any, depth int) int {
	switch v := v.(type) {
	case map[string]any:
		for _, name := range sorted(v) {
			if count := asCode(name, v[name]); count != 0 {
				return count
			}
		}
		for _, name := range sorted(v) {
			if count := deeper(v[name], depth); count != 0 {
				return count
			}
		}
	case []any:
		for _, value := range v {
			if count := deeper(value, depth); count != 0 {
				return count
			}
		}
	}
	return 0
}

func deeper(value any, depth int) int {
	if depth >= deepest {
		return 0
	}
	return number(value, depth+1)
}

func asCode(name string, value any) int {
	switch strings.ToLower(name) {
	case "errorcode", "code", "faultcode":
	default:
		return 0
	}
	text, _ := value.(string)
	if number, ok := value.(json.Number); ok {
		text = number.String()
	}
	count, err := strconv.Atoi(strings.TrimSpace(text))
	if err != nil || count < 10000 || count > 19999 {
		return 0
	}
	return count
}

// message returns the text that an error has for people.
func message(value any) string {
	object, _ := value.(map[string]any)
	for _, name := range sorted(object) {
		switch strings.ToLower(name) {
		case "message", "reason", "faultstring", "errormessage", "error":
			if text, ok := object[name].(string); ok {
				return text
			}
		}
	}
	for _, name := range sorted(object) {
		if inner, ok := object[name].(map[string]any); ok {
			if text := message(inner); text != "" {
				return text
			}
		}
	}
	if text, ok := value.(string); ok {
		return text
	}
	return ""
}
