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
func digest(v secret.Value, encoding string) secret.Value {
	text := []byte(v.Reveal())
	if encoding == utf16leText {
		units := utf16.Encode([]rune(v.Reveal()))
		text = make([]byte, 0, 2*len(units))
		for _, unit := range units {
			text = binary.LittleEndian.AppendUint16(text, unit)
		}
	}
	sum := sha512.Sum512(text)
	return secret.New(base64.StdEncoding.EncodeToString(sum[:]))
}

// isDigest reports whether a given hash is Base64 of 64 bytes, in the one
// spelling that has no stray bits.
func isDigest(v secret.Value) bool {
	b, err := base64.StdEncoding.Strict().DecodeString(v.Reveal())
	return err == nil && len(b) == sha512.Size && len(v.Reveal()) == base64.StdEncoding.EncodedLen(sha512.Size)
}

// counts are how many characters of each class a value has.
type counts struct{ all, lower, upper, digits, symbols int }

func count(text string) counts {
	var n counts
	for _, r := range text {
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
	}
	return n
}

// violates checks a plain value against the client's policy. The server sees
// a hash only and cannot.
func (i *Instance) violates(v secret.Value) *sdk.Error {
	if !utf8.ValidString(v.Reveal()) {
		return &sdk.Error{Code: sdk.PolicyViolation, Message: "the value is not UTF-8",
			Violations: []sdk.Violation{{Rule: sdk.RuleEncoding, Message: "is not UTF-8"}}}
	}
	n, p := count(v.Reveal()), i.policy
	e := &sdk.Error{Code: sdk.PolicyViolation, Message: "the value breaks the rules of this backend's settings"}
	add := func(broken bool, rule sdk.Rule, limit int, native string) {
		if broken {
			e.Violations = append(e.Violations, sdk.Violation{Rule: rule, Limit: limit, Native: native})
			e.Message += ", " + native
		}
	}
	add(n.all < p.MinLength, sdk.RuleMinLength, p.MinLength, "min_length")
	add(p.MaxLength > 0 && n.all > p.MaxLength, sdk.RuleMaxLength, p.MaxLength, "max_length")
	add(n.lower < p.Lower, sdk.RuleLower, p.Lower, "lower")
	add(n.upper < p.Upper, sdk.RuleUpper, p.Upper, "upper")
	add(n.digits < p.Digits, sdk.RuleDigits, p.Digits, "digits")
	add(n.symbols < p.Symbols, sdk.RuleSymbols, p.Symbols, "symbols")
	if e.Violations == nil {
		return nil
	}
	return e
}
