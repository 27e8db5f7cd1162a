package smartcloud

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/rekey-host/rekey/sdk"
)

// The documented policy of a cloud service account.
const (
	minLength  = 8
	minLetters = 4
	minOthers  = 1
	maxRepeat  = 2
	history    = 8
	blanks     = " \t\n\v\f\r\u00a0\u0085"
)

// userName is the part of an address before the @. One of a letter or two is
// ignored: nearly every value contains it.
func userName(account string) string {
	name, _, _ := strings.Cut(account, "@")
	if len(name) < 3 {
		return ""
	}
	return name
}

// broken returns the documented rules that a value breaks, as far as they can
// be checked without the system.
func broken(value, account string) []sdk.Violation {
	letters, others, run, longest, last := 0, 0, 0, 0, rune(-1)
	for _, letter := range value {
		if unicode.IsLetter(letter) {
			letters++
		} else {
			others++
		}
		if run++; letter != last {
			run, last = 1, letter
		}
		longest = max(longest, run)
	}
	lower, name := strings.ToLower(value), strings.ToLower(userName(account))
	named := account != "" && strings.Contains(lower, strings.ToLower(account)) || name != "" && strings.Contains(lower, name)
	var list []sdk.Violation
	for _, rule := range []struct {
		broken bool
		rule   sdk.Rule
		limit  int
	}{
		{utf8.RuneCountInString(value) < minLength, sdk.RuleMinLength, minLength},
		{letters < minLetters, sdk.RuleLetters, minLetters},
		{others < minOthers, sdk.RuleNonLetters, minOthers},
		{strings.ContainsFunc(value, unicode.IsSpace), sdk.RuleForbidden, 0},
		{longest > maxRepeat, sdk.RuleMaxRepeat, maxRepeat},
		{named, sdk.RuleContainsName, 0},
	} {
		if rule.broken {
			list = append(list, sdk.Violation{Rule: rule.rule, Limit: rule.limit})
		}
	}
	return list
}
