package postgres

import (
	"crypto/hmac"
	"crypto/pbkdf2"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"

	"github.com/rekey-host/rekey/sdk"
	"github.com/rekey-host/rekey/sdk/secret"
)

// The hash formats: what pg_authid.rolpassword may hold.
const (
	formatSCRAM = "scram-sha-256"
	formatMD5   = "md5"
)

// unseen are the characters that RFC 4013 maps to nothing, and the one format
// character that some clients take for a space.
var unseen = &unicode.RangeTable{R16: []unicode.Range16{
	{Lo: 0x00AD, Hi: 0x00AD, Stride: 1}, {Lo: 0x034F, Hi: 0x034F, Stride: 1}, {Lo: 0x1806, Hi: 0x1806, Stride: 1}, {Lo: 0x180B, Hi: 0x180D, Stride: 1},
	{Lo: 0x200B, Hi: 0x200D, Stride: 1}, {Lo: 0x2060, Hi: 0x2060, Stride: 1}, {Lo: 0xFE00, Hi: 0xFE0F, Stride: 1}, {Lo: 0xFEFF, Hi: 0xFEFF, Stride: 1},
}}

// refuseValue returns why a value is none that every client would log in with.
// Clients prepare a value by RFC 4013, by RFC 8265, or not at all, and send one
// that they may not prepare as it is: a value that is its own normal form in all
// of them is the same in each.
func refuseValue(value string) *sdk.Error {
	spaces := func(letter rune) bool { return letter != ' ' && unicode.Is(unicode.Zs, letter) }
	switch {
	case value == "":
		return violation(sdk.Violation{Rule: sdk.RuleMinLength, Limit: 1, Message: "the value is empty"})
	case !utf8.ValidString(value):
		return violation(sdk.Violation{Rule: sdk.RuleEncoding, Message: "the value is not UTF-8"})
	case strings.ContainsRune(value, 0):
		return violation(sdk.Violation{Rule: sdk.RuleForbidden, Message: "the value has a NUL, which no client can send"})
	case norm.NFKC.String(value) != value, norm.NFC.String(value) != value, strings.ContainsFunc(value, spaces),
		strings.ContainsFunc(value, func(letter rune) bool { return unicode.Is(unseen, letter) }):
		return violation(sdk.Violation{Rule: sdk.RuleEncoding, Message: "the value has characters that clients prepare in different ways (SASLprep): some could not log in"})
	}
	return nil
}

func violation(violation sdk.Violation) *sdk.Error {
	return &sdk.Error{Code: sdk.PolicyViolation, Message: violation.Message, Violations: []sdk.Violation{violation}}
}

const saltBytes = 16

// newVerifier is what a server keeps of a password, RFC 5803 as PostgreSQL
// writes it.
func newVerifier(value secret.Value, iterations int) secret.Value {
	salt := make([]byte, saltBytes)
	_, _ = rand.Read(salt) // never fails
	return secret.New(verifier(value.Reveal(), salt, iterations))
}

func verifier(value string, salt []byte, iterations int) string {
	salted, err := pbkdf2.Key(sha256.New, value, salt, iterations, sha256.Size)
	if err != nil {
		panic(err) // only for a key of no length, or one that FIPS 140 forbids
	}
	stored := sha256.Sum256(mac(salted, "Client Key"))
	encode := base64.StdEncoding.EncodeToString
	return fmt.Sprintf("SCRAM-SHA-256$%d:%s$%s:%s", iterations, encode(salt), encode(stored[:]), encode(mac(salted, "Server Key")))
}

func mac(key []byte, text string) []byte {
	made := hmac.New(sha256.New, key)
	made.Write([]byte(text))
	return made.Sum(nil)
}

var (
	scramForm = regexp.MustCompile(`^SCRAM-SHA-256\$([1-9][0-9]{0,8}):([A-Za-z0-9+/=]+)\$([A-Za-z0-9+/=]+):([A-Za-z0-9+/=]+)$`)
	md5Form   = regexp.MustCompile(`^md5[0-9a-f]{32}$`)
)

// refuseHash returns why a server would not take a text for what it is said to
// be. What it does not know it takes for a password in clear.
func refuseHash(format, text string) *sdk.Error {
	switch {
	case format == formatMD5 && md5Form.MatchString(text), format == formatSCRAM && wellFormed(text):
		return nil
	case format == formatMD5:
		return sdk.Errorf(sdk.InvalidOperation, `hash_format: the value is not "md5" and 32 digits of 0-9 and a-f; the server would take it for a password in clear`)
	case format == formatSCRAM:
		return sdk.Errorf(sdk.InvalidOperation, "hash_format: the value is not SCRAM-SHA-256$ITERATIONS:SALT$STORED:SERVER; the server would take it for a password in clear")
	}
	return sdk.Errorf(sdk.Unsupported, "hash_format: got %q, want %s or %s", format, formatSCRAM, formatMD5)
}

// wellFormed reports whether a text is a verifier down to the lengths of its
// keys.
func wellFormed(text string) bool {
	parts := scramForm.FindStringSubmatch(text)
	if parts == nil {
		return false
	}
	if iterations, err := strconv.Atoi(parts[1]); err != nil || iterations < 1 {
		return false
	}
	for index, want := range []int{0, sha256.Size, sha256.Size} {
		raw, err := base64.StdEncoding.Strict().DecodeString(parts[2+index])
		if err != nil || len(raw) == 0 || want > 0 && len(raw) != want {
			return false
		}
	}
	return true
}

// stamp differs after every change of a verifier, whose salt is new each time,
// and tells nothing of it. An md5 hash has none: its digest could be searched.
func stamp(verifier string) string {
	if !strings.HasPrefix(verifier, "SCRAM-SHA-256$") {
		return ""
	}
	sum := sha256.Sum256([]byte(verifier))
	return hex.EncodeToString(sum[:16])
}
