package broadworks

import (
	"context"
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
	var s string
	if json.Unmarshal(raw, &s) != nil {
		return ""
	}
	return strings.TrimSpace(s)
}

// words returns what the body says, "" if it is not an error body.
func words(a rest.Answer) string {
	var c complaint
	if a.JSON(&c) != nil {
		return ""
	}
	for _, raw := range []json.RawMessage{c.Error, c.Message, c.Details} {
		if s := text(raw); s != "" {
			return s
		}
	}
	return ""
}

var number = regexp.MustCompile(`^\[(Error \d+)\]\s*`)

// explain reads the error body into a failure. A page says nothing about a
// user: it comes from a proxy or from another site.
func explain(f *rest.Failure) {
	said := words(f.Answer)
	if said == "" {
		if s := f.Answer.Status; f.Answer.Form() == "HTML" && s/100 == 4 && s != http.StatusUnauthorized && s != http.StatusTooManyRequests {
			f.Err.Code = sdk.TargetError
		}
		return
	}
	f.Err.Message = said
	if m := number.FindStringSubmatch(said); m != nil {
		f.Err.Native, f.Err.Message = m[1], strings.TrimPrefix(said, m[0])
	}
	lower := strings.ToLower(said)
	switch {
	case f.Answer.Status == http.StatusPaymentRequired:
		f.Err.Code = sdk.InvalidConfig
	case f.Answer.Status == http.StatusUnauthorized && disabled(f.Err.Native, lower):
		f.Err.AccountStatus = sdk.StatusLocked
	case f.Answer.Status/100 != 4 || f.Err.Code == sdk.LoginExpired || f.Err.Code == sdk.RateLimited:
	case f.Err.Native == "Error 5404" || has(lower, "unauthorized transaction"):
		f.Err.Code = sdk.PermissionDenied
	case has(lower, "user", "not found"):
		f.Err.Code = sdk.AccountNotFound
	}
}

func has(said string, parts ...string) bool {
	for _, p := range parts {
		if !strings.Contains(said, p) {
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
func judge(a rest.Answer, f *rest.Failure) *rest.Failure {
	if f == nil {
		return doubt(a)
	}
	if f.Answer.Status == http.StatusPaymentRequired {
		f.Err.Message = "the login's password has to be changed first: " + f.Err.Message
	}
	if f.Err.Code != sdk.InvalidOperation && f.Err.Code != sdk.Conflict && f.Err.Code != sdk.TargetError || f.Outcome != sdk.Refused {
		return f
	}
	said := strings.ToLower(words(f.Answer))
	switch {
	case disabled(f.Err.Native, said):
		f.Err.Code, f.Err.AccountStatus = sdk.AccountStatus, sdk.StatusLocked
	case has(said, "service", "not assigned") || has(said, "service", "not authorized"):
		f.Err.Code = sdk.NoCredential
	case has(said, "password") || has(said, "passcode"):
		f.Err.Code = sdk.PolicyViolation
	}
	if f.Err.Code == sdk.Conflict {
		f.Err.Code = sdk.AccountStatus // a state that refuses: the same request will be refused again
	}
	return f
}

// doubt returns why a 2xx answer is not taken for a success.
func doubt(a rest.Answer) *rest.Failure {
	why := ""
	switch {
	case a.Form() == "HTML" || a.Status == http.StatusAccepted:
		why = "the answer is not the interface's own: " + a.Form()
	case words(a) != "":
		why = "the answer has an error in it"
	default:
		return nil
	}
	e := sdk.Errorf(sdk.TargetError, "HTTP %d: %s", a.Status, why)
	e.Native = "HTTP " + strconv.Itoa(a.Status)
	return &rest.Failure{Outcome: sdk.Unknown, Err: e, Answer: a}
}

// attribute names the rules that a refused value breaks: those that can be
// checked here, else what the text speaks of.
func (i *Instance) attribute(ctx context.Context, op sdk.Operation, f *rest.Failure) {
	rules, err := i.Policy(ctx, op.Account, op.Kind)
	if err == nil {
		if list := broken(rules, op.Value.Reveal(), op.Account); len(list) > 0 {
			f.Err.Code, f.Err.Violations = sdk.PolicyViolation, list
			return
		}
	}
	if f.Err.Code != sdk.PolicyViolation {
		return
	}
	f.Err.Violations = []sdk.Violation{{Rule: spoken(strings.ToLower(words(f.Answer))), Native: f.Err.Native}}
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
