package command

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/rekey-host/rekey/sdk"
	"github.com/rekey-host/rekey/sdk/secret"
)

// refuse returns why an account may not be given to the command, nil if it may.
func (c command) refuse(account string) *sdk.Error {
	rest := false // an argument before was "--"
	for _, arg := range c.args {
		switch {
		case !arg.has(accountHole):
			rest = rest || arg.fill(nil) == "--"
		case arg.begins(accountHole) && !rest && strings.HasPrefix(account, "-"):
			return sdk.Errorf(sdk.InvalidOperation, "account %q: %s would take it for an option; put \"--\" before {account} if it knows that", account, c.path)
		case arg.blank() && (strings.ContainsFunc(account, odd) || strings.HasPrefix(account, "-")):
			return sdk.Errorf(sdk.InvalidOperation, "account %q: in an argument with blanks it may hold only letters, digits and . _ @ / + -, which does not come first", account)
		}
	}
	if ends := c.input.after(accountHole); strings.ContainsAny(account, ends) {
		return sdk.Errorf(sdk.InvalidOperation, "account %q: holds one of %q, which ends a name in %s_input", account, ends, c.name)
	}
	return nil
}

// odd reports whether a character may mean something in a language of a tool.
func odd(letter rune) bool {
	return !unicode.IsLetter(letter) && !unicode.IsDigit(letter) && !strings.ContainsRune("._@/+-", letter)
}

// refuseAccount returns why an account is none.
func (s *settings) refuseAccount(account string, command command) *sdk.Error {
	switch {
	case account == "":
		return sdk.Errorf(sdk.InvalidOperation, "the account is empty")
	case !utf8.ValidString(account) || strings.ContainsFunc(account, unicode.IsControl):
		return sdk.Errorf(sdk.InvalidOperation, "account %q: holds control characters or is not UTF-8", account)
	case s.accounts != nil && !s.accounts.MatchString(account):
		return sdk.Errorf(sdk.InvalidOperation, "account %q: does not fit the pattern of accounts", account)
	}
	return command.refuse(account)
}

// forbidden are the characters that a value may not hold, control characters
// aside.
func (s *settings) forbidden() string {
	return s.forbid + s.set.input.after(valueHole) + s.verify.input.after(valueHole)
}

// refuseValue returns why a value cannot be given to the tool.
func (s *settings) refuseValue(value secret.Value) *sdk.Error {
	text := value.Reveal()
	switch {
	case text == "":
		return sdk.Errorf(sdk.InvalidOperation, "the value is empty")
	case !utf8.ValidString(text) || strings.ContainsFunc(text, unicode.IsControl):
		return violation(sdk.RuleEncoding, 0, "the value holds control characters or is not UTF-8")
	case strings.ContainsAny(text, s.forbidden()):
		return violation(sdk.RuleForbidden, 0, "the value holds a character that the tool would read otherwise")
	case utf8.RuneCountInString(text) < s.minLength:
		return violation(sdk.RuleMinLength, s.minLength, "the value is too short")
	case s.maxBytes > 0 && len(text) > s.maxBytes:
		return violation(sdk.RuleMaxLength, s.maxBytes, "the value has too many bytes")
	}
	return nil
}

func violation(rule sdk.Rule, limit int, message string) *sdk.Error {
	return &sdk.Error{Code: sdk.PolicyViolation, Message: message, Violations: []sdk.Violation{{Rule: rule, Limit: limit, Message: message}}}
}
