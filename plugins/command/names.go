package command

import (
	"strings"
	"unicode"

	"github.com/rekey-host/rekey/sdk"
)

// odd reports whether a character may mean something in a language of a tool.
func odd(letter rune) bool {
	return !unicode.IsLetter(letter) && !unicode.IsDigit(letter) && !strings.ContainsRune("._@/+-", letter)
}

func violation(rule sdk.Rule, limit int, message string) *sdk.Error {
	return &sdk.Error{Code: sdk.PolicyViolation, Message: message, Violations: []sdk.Violation{{Rule: rule, Limit: limit, Message: message}}}
}
