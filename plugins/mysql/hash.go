package mysql

import (
	"crypto/sha1"
	"crypto/sha512"
	"encoding/base64"
	"encoding/hex"
	"regexp"
	"strings"
	"unicode/utf8"

	"filippo.io/edwards25519"

	"github.com/rekey-host/rekey/sdk"
)

// The ways of proving a password that a set can give one for, by the names of
// their plugins, which are those of the hash formats too.
const (
	native      = "mysql_native_password"
	ed25519     = "ed25519"
	cachingSHA2 = "caching_sha2_password"
)

var (
	nativeForm  = regexp.MustCompile(`^\*[0-9A-F]{40}$`)
	ed25519Form = regexp.MustCompile(`^[A-Za-z0-9+/]{43}$`)
	sha2Form    = regexp.MustCompile(`(?s)^\$A\$[0-9A-F]{3}\$.{20}[./0-9A-Za-z]{43}$`)
)

// hashOf returns what the server keeps of a value; "" where only the server can
// make that.
func hashOf(plugin, value string) string {
	switch plugin {
	case native:
		once := sha1.Sum([]byte(value))
		twice := sha1.Sum(once[:])
		return "*" + strings.ToUpper(hex.EncodeToString(twice[:]))
	case ed25519:
		return publicKey(value)
	}
	return ""
}

// publicKey is what the plugin ed25519 keeps: the public key whose secret is the
// password itself.
func publicKey(value string) string {
	secret := sha512.Sum512([]byte(value))
	scalar, err := edwards25519.NewScalar().SetBytesWithClamping(secret[:32])
	if err != nil {
		panic(err) // only for another length
	}
	return base64.RawStdEncoding.EncodeToString(new(edwards25519.Point).ScalarBaseMult(scalar).Bytes())
}

// refuseHash returns why a text is not what it is said to be.
func refuseHash(format, text string) *sdk.Error {
	forms := map[string]*regexp.Regexp{native: nativeForm, ed25519: ed25519Form, cachingSHA2: sha2Form}
	form, ok := forms[format]
	switch {
	case !ok:
		return sdk.Errorf(sdk.Unsupported, "hash_format: got %q, want %s, %s or %s", format, native, ed25519, cachingSHA2)
	case !form.MatchString(text):
		return sdk.Errorf(sdk.InvalidOperation, "hash_format: the value is no hash of %s", format)
	}
	return nil
}

// refuseValue returns why a value is none that a client can send.
func refuseValue(value string) *sdk.Error {
	var broken sdk.Violation
	switch {
	case value == "":
		broken = sdk.Violation{Rule: sdk.RuleMinLength, Limit: 1, Message: "the value is empty: the account would have no password"}
	case !utf8.ValidString(value):
		broken = sdk.Violation{Rule: sdk.RuleEncoding, Message: "the value is not UTF-8"}
	case strings.ContainsRune(value, 0):
		broken = sdk.Violation{Rule: sdk.RuleForbidden, Message: "the value has a NUL, which no client can send"}
	default:
		return nil
	}
	return &sdk.Error{Code: sdk.PolicyViolation, Message: broken.Message, Violations: []sdk.Violation{broken}}
}
