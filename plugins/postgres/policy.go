package postgres

import (
	"context"
	"strings"
	"unicode/utf8"

	"github.com/rekey-host/rekey/sdk"
)

// Policy returns the rules of passwordcheck where it is known to be loaded: it
// sees no value itself, so they are kept here.
func (i *Instance) Policy(ctx context.Context, _, _ string) (sdk.Policy, error) {
	ctx, cancel := i.Bounded(ctx)
	defer cancel()
	met, failed := i.met(ctx)
	switch {
	case failed != nil:
		return sdk.Policy{}, failed
	case !met.checks():
		return sdk.Policy{MinLength: 1, Note: "the server sees verifiers, no values: rules of its own cannot be checked there"}, nil
	}
	return sdk.Policy{MinLength: met.minLength, Letters: 1, NonLetters: 1, NoAccountName: true, Note: "the rules of passwordcheck, kept by rekey: the server sees verifiers, no values"}, nil
}

// checks reports whether passwordcheck is loaded, as far as the role may see.
func (s *server) checks() bool { return strings.Contains(s.libraries, "passwordcheck") }

// breaks returns the rules of passwordcheck that a value breaks.
func (s *server) breaks(account, value string) *sdk.Error {
	if !s.checks() {
		return nil
	}
	letter := func(char rune) bool { return char >= 'a' && char <= 'z' || char >= 'A' && char <= 'Z' }
	var broken []sdk.Violation
	if utf8.RuneCountInString(value) < s.minLength {
		broken = append(broken, sdk.Violation{Rule: sdk.RuleMinLength, Limit: s.minLength, Native: "passwordcheck", Message: "the value is too short"})
	}
	if !strings.ContainsFunc(value, letter) {
		broken = append(broken, sdk.Violation{Rule: sdk.RuleLetters, Limit: 1, Native: "passwordcheck", Message: "the value has no letter"})
	}
	if strings.IndexFunc(value, func(char rune) bool { return !letter(char) }) < 0 {
		broken = append(broken, sdk.Violation{Rule: sdk.RuleNonLetters, Limit: 1, Native: "passwordcheck", Message: "the value has letters only"})
	}
	if strings.Contains(strings.ToLower(value), strings.ToLower(account)) {
		broken = append(broken, sdk.Violation{Rule: sdk.RuleContainsName, Native: "passwordcheck", Message: "the value contains the name of the role"})
	}
	if broken == nil {
		return nil
	}
	return &sdk.Error{Code: sdk.PolicyViolation, Message: broken[0].Message + ", says passwordcheck", Violations: broken}
}
