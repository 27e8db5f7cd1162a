package openiam

import (
	"fmt"
	"strconv"
	"strings"
	"unicode/utf16"

	"github.com/rekey-host/rekey/sdk"
	"github.com/rekey-host/rekey/sdk/secret"
)

// symbols are the only characters that OpenIAM counts as such.
const symbols = "!\"#$%&'()*+,-./:;<=>?@"

// rules is a password policy: by attribute its two values.
type rules map[string][2]string

func (r rules) number(name string, value int) int {
	count, err := strconv.Atoi(strings.TrimSpace(r[name][value]))
	if err != nil || count < 0 {
		return 0
	}
	return count
}

func (r rules) on(name string) bool { return strings.EqualFold(strings.TrimSpace(r[name][0]), "true") }

// policy is the rules in the words of sdk. What a rule of OpenIAM says beyond
// them stands in the note.
func (r rules) policy() sdk.Policy {
	policy := sdk.Policy{
		MinLength: r.number("PWD_LEN", 0), MaxLength: r.number("PWD_LEN", 1),
		Letters: r.number("ALPHA_CHARS", 0), Lower: r.number("LOWERCASE_CHARS", 0), Upper: r.number("UPPERCASE_CHARS", 0),
		Digits: r.number("NUMERIC_CHARS", 0), Symbols: r.number("NON_ALPHA_CHARS", 0),
		Forbid: r["REJECT_CHARS_IN_PSWD"][0], NoAccountName: r.on("PWD_LOGIN"), History: r.number("PWD_HIST_VER", 0),
	}
	if policy.Symbols > 0 {
		policy.AllowedSymbols = symbols
	}
	if r.on("PWD_EQ_PWD") {
		policy.ForbidWords = []string{"password"}
	}
	policy.Note = r.note()
	return policy
}

func (r rules) note() string {
	var notes []string
	for _, class := range []struct{ name, word string }{{"ALPHA_CHARS", "letters"}, {"LOWERCASE_CHARS", "lower-case letters"},
		{"UPPERCASE_CHARS", "upper-case letters"}, {"NUMERIC_CHARS", "digits"}, {"NON_ALPHA_CHARS", "symbols"}} {
		if count := r.number(class.name, 1); count > 0 {
			notes = append(notes, fmt.Sprintf("at most %d %s", count, class.word))
		}
	}
	if r.on("PWD_NAME") {
		notes = append(notes, "must not contain the first or last name")
	}
	if count, ok := r.changes(); ok {
		notes = append(notes, fmt.Sprintf("at most %d setPassword until a reset sets the counter back", count))
	}
	return strings.Join(notes, "; ")
}

// changes is how many changes a user may have, and whether there is a limit.
func (r rules) changes() (int, bool) {
	count, err := strconv.Atoi(strings.TrimSpace(r["PASSWORD_CHANGE_ALLOWED"][0]))
	return count, err == nil
}

// limits adds to a refusal the number of the broken rule, and says of
// a length which end of it.
func (r rules) limits(failure *sdk.Error, value secret.Value) {
	for index := range failure.Violations {
		violation := &failure.Violations[index]
		switch violation.Rule {
		case sdk.RuleLetters:
			violation.Limit = r.number("ALPHA_CHARS", 0)
		case sdk.RuleDigits:
			violation.Limit = r.number("NUMERIC_CHARS", 0)
		case sdk.RuleLower:
			violation.Limit = r.number("LOWERCASE_CHARS", 0)
		case sdk.RuleUpper:
			violation.Limit = r.number("UPPERCASE_CHARS", 0)
		case sdk.RuleSymbols:
			violation.Limit = r.number("NON_ALPHA_CHARS", 0)
		case sdk.RuleHistory:
			violation.Limit = r.number("PWD_HIST_VER", 0)
		case sdk.RuleChangeCount:
			violation.Limit = r.number("PASSWORD_CHANGE_ALLOWED", 0)
			if count, ok := r.changes(); ok && count == 0 {
				failure.Code, failure.Violations, failure.Message = sdk.ChangeNotAllowed, nil, "the policy allows no change (PASSWORD_CHANGE_ALLOWED is 0)"
				return
			}
		case sdk.RuleOpaque:
			r.length(failure, violation, value)
		}
	}
}

// length tells which end of PWD_LEN was missed. OpenIAM counts UTF-16 units.
func (r rules) length(failure *sdk.Error, violation *sdk.Violation, value secret.Value) {
	if normal(violation.Native) != "FAILLENGTHRULE" {
		return
	}
	count := len(utf16.Encode([]rune(value.Reveal())))
	lowest, highest := r.number("PWD_LEN", 0), r.number("PWD_LEN", 1)
	switch {
	case count < lowest:
		violation.Rule, violation.Limit, violation.Message = sdk.RuleMinLength, lowest, fmt.Sprintf("too short: at least %d characters", lowest)
	case highest > 0 && count > highest:
		violation.Rule, violation.Limit, violation.Message = sdk.RuleMaxLength, highest, fmt.Sprintf("too long: at most %d characters", highest)
	default:
		return
	}
	failure.Message = violation.Message
}
