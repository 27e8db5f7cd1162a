package kendox

import (
	"crypto/sha512"
	"encoding/base64"
	"encoding/binary"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/rekey-host/rekey/sdk"
	"github.com/rekey-host/rekey/sdk/secret"
)

// digest is what InfoShare takes for a password: Base64 of SHA-512, unsalted.
func digest(value secret.Value, encoding string) secret.Value {
	text := []byte(value.Reveal())
	if encoding == utf16leText {
		units := utf16.Encode([]rune(value.Reveal()))
		text = make([]byte, 0, 2*len(units))
		for _, unit := range units {
			text = binary.LittleEndian.AppendUint16(text, unit)
		}
	}
	sum := sha512.Sum512(text)
	return secret.New(base64.StdEncoding.EncodeToString(sum[:]))
}

// isDigest reports whether a given hash is Base64 of 64 bytes, in the one
// spelling without stray bits.
func isDigest(value secret.Value) bool {
	data, err := base64.StdEncoding.Strict().DecodeString(value.Reveal())
	return err == nil && len(data) == sha512.Size && len(value.Reveal()) == base64.StdEncoding.EncodedLen(sha512.Size)
}

// counts are how many characters of each class a value has.
type counts struct{ all, lower, upper, digits, symbols int }

func count(text string) counts {
	var n counts
	for _, letter := range text {
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
	}
	return n
}

// violates checks a plain value against the client's policy. The server sees
// a hash only and cannot.
func (i *Instance) violates(value secret.Value) *sdk.Error {
	if !utf8.ValidString(value.Reveal()) {
		return &sdk.Error{Code: sdk.PolicyViolation, Message: "the value is not UTF-8",
			Violations: []sdk.Violation{{Rule: sdk.RuleEncoding, Message: "is not UTF-8"}}}
	}
	counts, policy := count(value.Reveal()), i.policy
	failure := &sdk.Error{Code: sdk.PolicyViolation, Message: "the value breaks the rules of this backend's settings"}
	add := func(broken bool, rule sdk.Rule, limit int, native string) {
		if broken {
			failure.Violations = append(failure.Violations, sdk.Violation{Rule: rule, Limit: limit, Native: native})
			failure.Message += ", " + native
		}
	}
	add(counts.all < policy.MinLength, sdk.RuleMinLength, policy.MinLength, "min_length")
	add(policy.MaxLength > 0 && counts.all > policy.MaxLength, sdk.RuleMaxLength, policy.MaxLength, "max_length")
	add(counts.lower < policy.Lower, sdk.RuleLower, policy.Lower, "lower")
	add(counts.upper < policy.Upper, sdk.RuleUpper, policy.Upper, "upper")
	add(counts.digits < policy.Digits, sdk.RuleDigits, policy.Digits, "digits")
	add(counts.symbols < policy.Symbols, sdk.RuleSymbols, policy.Symbols, "symbols")
	if failure.Violations == nil {
		return nil
	}
	return failure
}
