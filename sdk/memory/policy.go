package memory

import (
	"fmt"
	"io"
	"strings"
	"unicode"

	"github.com/rekey-host/rekey/sdk"
	"github.com/rekey-host/rekey/sdk/secret"
)

// alphabet has 64 characters, so that the low six bits of a random byte pick
// one without bias. It leaves out look-alikes.
const alphabet = "abcdefghijkmnpqrstuvwxyzABCDEFGHJKLMNPQRSTUVWXYZ23456789.:;!*~?&"

const generatedLength = 20

// generate returns a value that the policy allows.
func generate(rand io.Reader, policy sdk.Policy) (secret.Value, error) {
	length := max(generatedLength, policy.MinLength)
	if policy.MaxLength > 0 {
		length = min(length, policy.MaxLength)
	}
	data := make([]byte, length)
	for range 1000 {
		if _, err := io.ReadFull(rand, data); err != nil {
			return secret.Value{}, fmt.Errorf("randomness: %w", err)
		}
		for index := range data {
			data[index] = alphabet[data[index]&63]
		}
		if text := string(data); len(violations(policy, text, "")) == 0 {
			return secret.New(text), nil
		}
	}
	return secret.Value{}, sdk.Errorf(sdk.Internal, "no value satisfies the policy")
}

// violations returns the rules of policy that the value breaks, in a fixed order.
func violations(policy sdk.Policy, value, account string) []sdk.Violation {
	var broken []sdk.Violation
	add := func(is bool, rule sdk.Rule, limit int, format string) {
		if is {
			broken = append(broken, sdk.Violation{Rule: rule, Limit: limit, Message: fmt.Sprintf(format, limit)})
		}
	}
	counts := countsOf(value)
	add(counts.all < policy.MinLength, sdk.RuleMinLength, policy.MinLength, "the value is too short: the least is %d")
	add(policy.MaxLength > 0 && counts.all > policy.MaxLength, sdk.RuleMaxLength, policy.MaxLength, "the value is too long: the most is %d")
	add(counts.lower < policy.Lower, sdk.RuleLower, policy.Lower, "too few lower-case letters: the least is %d")
	add(counts.upper < policy.Upper, sdk.RuleUpper, policy.Upper, "too few upper-case letters: the least is %d")
	add(counts.digits < policy.Digits, sdk.RuleDigits, policy.Digits, "too few digits: the least is %d")
	add(counts.symbols < policy.Symbols, sdk.RuleSymbols, policy.Symbols, "too few symbols: the least is %d")
	add(policy.MaxRepeat > 0 && counts.run > policy.MaxRepeat, sdk.RuleMaxRepeat, policy.MaxRepeat, "a character repeats too often: the most is %d")
	if strings.ContainsAny(value, policy.Forbid) {
		broken = append(broken, sdk.Violation{Rule: sdk.RuleForbidden, Message: "the value has a forbidden character"})
	}
	if policy.NoAccountName && account != "" && strings.Contains(strings.ToLower(value), strings.ToLower(account)) {
		broken = append(broken, sdk.Violation{Rule: sdk.RuleContainsName, Message: "the value contains the account's name"})
	}
	return broken
}

// counts are the numbers of characters of a value; run is the longest run of
// one character.
type counts struct{ all, lower, upper, digits, symbols, run int }

func countsOf(value string) counts {
	var n counts
	var last rune
	run := 0
	for _, letter := range value {
		n.all++
		switch {
		case unicode.IsLower(letter):
			n.lower++
		case unicode.IsUpper(letter):
			n.upper++
		case unicode.IsDigit(letter):
			n.digits++
		case !unicode.IsLetter(letter):
			n.symbols++
		}
		if letter != last {
			run = 0
		}
		run++
		last = letter
		n.run = max(n.run, run)
	}
	return n
}
