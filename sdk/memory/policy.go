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
func generate(rand io.Reader, p sdk.Policy) (secret.Value, error) {
	length := max(generatedLength, p.MinLength)
	if p.MaxLength > 0 {
		length = min(length, p.MaxLength)
	}
	b := make([]byte, length)
	for range 1000 {
		if _, err := io.ReadFull(rand, b); err != nil {
			return secret.Value{}, fmt.Errorf("randomness: %w", err)
		}
		for n := range b {
			b[n] = alphabet[b[n]&63]
		}
		if text := string(b); len(violations(p, text, "")) == 0 {
			return secret.New(text), nil
		}
	}
	return secret.Value{}, sdk.Errorf(sdk.Internal, "no value satisfies the policy")
}

// violations returns the rules of p that the value breaks, in a fixed order.
func violations(p sdk.Policy, value, account string) []sdk.Violation {
	var broken []sdk.Violation
	add := func(is bool, rule sdk.Rule, limit int, format string) {
		if is {
			broken = append(broken, sdk.Violation{Rule: rule, Limit: limit, Message: fmt.Sprintf(format, limit)})
		}
	}
	n := countsOf(value)
	add(n.all < p.MinLength, sdk.RuleMinLength, p.MinLength, "the value is too short: the least is %d")
	add(p.MaxLength > 0 && n.all > p.MaxLength, sdk.RuleMaxLength, p.MaxLength, "the value is too long: the most is %d")
	add(n.lower < p.Lower, sdk.RuleLower, p.Lower, "too few lower-case letters: the least is %d")
	add(n.upper < p.Upper, sdk.RuleUpper, p.Upper, "too few upper-case letters: the least is %d")
	add(n.digits < p.Digits, sdk.RuleDigits, p.Digits, "too few digits: the least is %d")
	add(n.symbols < p.Symbols, sdk.RuleSymbols, p.Symbols, "too few symbols: the least is %d")
	add(p.MaxRepeat > 0 && n.run > p.MaxRepeat, sdk.RuleMaxRepeat, p.MaxRepeat, "a character repeats too often: the most is %d")
	if strings.ContainsAny(value, p.Forbid) {
		broken = append(broken, sdk.Violation{Rule: sdk.RuleForbidden, Message: "the value has a forbidden character"})
	}
	if p.NoAccountName && account != "" && strings.Contains(strings.ToLower(value), strings.ToLower(account)) {
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
	for _, r := range value {
		n.all++
		switch {
		case unicode.IsLower(r):
			n.lower++
		case unicode.IsUpper(r):
			n.upper++
		case unicode.IsDigit(r):
			n.digits++
		case !unicode.IsLetter(r):
			n.symbols++
		}
		if r != last {
			run = 0
		}
		run++
		last = r
		n.run = max(n.run, run)
	}
	return n
}
