//go:build draft

package broadworks

import (
	"context"
	"encoding/json"
	"net/http"
	"regexp"
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
	if f.Answer.Status/100 == 4 && f.Answer.Status != http.StatusTooManyRequests {
		f.Err.Code = meaning(f.Err.Code, f.Err.Native, strings.ToLower(f.Err.Message))
		if f.Err.Code == sdk.AccountStatus {
			f.Err.AccountStatus = sdk.StatusLocked
		}
	}
}

// meaning tells refusals apart by their words: the statuses and numbers of most
// are not known.
func meaning(code sdk.Code, native, said string) sdk.Code {
	has := func(parts ...string) bool {
		for _, p := range parts {
			if !strings.Contains(said, p) {
				return false
			}
		}
		return true
	}
	switch {
	case native == "Error 5404" || has("unauthorized transaction"):
		return sdk.PermissionDenied
	case native == "Error 5202" || has("account", "disabled") || has("account", "locked") || has("login", "disabled"):
		return sdk.AccountStatus
	case code == sdk.LoginExpired || code == sdk.PermissionDenied || code == sdk.AccountNotFound:
		return code
	case has("user", "not found"):
		return sdk.AccountNotFound
	case has("service", "not assigned") || has("service", "not authorized"):
		return sdk.NoCredential
	case has("password") || has("passcode"):
		return sdk.PolicyViolation
	case code == sdk.Conflict:
		return sdk.AccountStatus
	}
	return code
}

// judge says what the answer to a PUT means.
func judge(a rest.Answer, f *rest.Failure) *rest.Failure {
	switch {
	case f != nil && f.Answer.Status == http.StatusConflict && f.Err.Code == sdk.Conflict:
		f.Err.Code = sdk.AccountStatus
	case f != nil && f.Answer.Status == http.StatusPaymentRequired:
		f.Err.Code = sdk.InvalidConfig
		f.Err.Message = "the login's password has to be changed first: " + f.Err.Message
	case f == nil && (a.Form() == "HTML" || a.Status == http.StatusAccepted):
		return &rest.Failure{Outcome: sdk.Unknown, Err: sdk.Errorf(sdk.TargetError, "the answer is not the interface's own: HTTP %d, %s", a.Status, a.Form()), Answer: a}
	case f == nil && a.Form() == "JSON" && words(a) != "":
		return &rest.Failure{Outcome: sdk.Unknown, Err: sdk.Errorf(sdk.TargetError, "HTTP %d, with an error in it", a.Status), Answer: a}
	}
	return f
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
	f.Err.Violations = []sdk.Violation{{Rule: spoken(strings.ToLower(f.Err.Message)), Native: f.Err.Native}}
}

// spoken is the rule that a text speaks of.
func spoken(said string) sdk.Rule {
	for _, r := range []struct {
		word string
		rule sdk.Rule
	}{
		{"previous", sdk.RuleHistory}, {"histor", sdk.RuleHistory}, {"recent", sdk.RuleHistory},
		{"reverse", sdk.RuleCustom}, {"backwards", sdk.RuleCustom}, {"pattern", sdk.RuleCustom}, {"number", sdk.RuleContainsWord},
		{"same as the old", sdk.RuleSameAsCurrent}, {"same as old", sdk.RuleSameAsCurrent}, {"current p", sdk.RuleSameAsCurrent},
		{"name", sdk.RuleContainsName},
	} {
		if strings.Contains(said, r.word) {
			return r.rule
		}
	}
	return sdk.RuleOpaque
}
