package htpasswd

import (
	"crypto/sha1"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/hex"
	"io"
	"strings"

	"golang.org/x/crypto/bcrypt"

	"github.com/rekey-host/rekey/plugins/internal/shacrypt"
	"github.com/rekey-host/rekey/sdk"
)

const (
	defaultCost = 10
	bcryptBytes = 72  // bcrypt ignores what comes after
	otherBytes  = 255 // Apache's htpasswd takes no more, -v included
)

// scheme is one kind of hash.
type scheme struct {
	name     string
	prefixes []string
	matches  func(hash string, password []byte) bool // nil: only recognised
	unsalted bool
}

// schemes are tried in order.
var schemes = []scheme{
	{name: "bcrypt", prefixes: []string{"$2y$", "$2b$", "$2a$"}, matches: bcryptMatches},
	{name: "sha512", prefixes: []string{"$6$"}, matches: shacrypt.Matches},
	{name: "sha256", prefixes: []string{"$5$"}, matches: shacrypt.Matches},
	{name: "apr1", prefixes: []string{"$apr1$"}, matches: md5Matches},
	{name: "md5", prefixes: []string{"$1$"}, matches: md5Matches},
	{name: "sha", prefixes: []string{"{SHA}"}, matches: shaLDAPMatches, unsalted: true},
	{name: "ssha", prefixes: []string{"{SSHA}"}, matches: shaLDAPMatches},
	{name: "yescrypt", prefixes: []string{"$y$", "$gy$"}}, // by crypt(3) of the servers' system
	{name: "sha1crypt", prefixes: []string{"$sha1$"}},
	{name: "plain", prefixes: []string{"{PLAIN}"}, unsalted: true},
}

// schemeOf returns the kind of a hash; one without a name if it is not known.
func schemeOf(hash string) scheme {
	for _, scheme := range schemes {
		for _, path := range scheme.prefixes {
			if strings.HasPrefix(hash, path) {
				return scheme
			}
		}
	}
	if strings.HasPrefix(hash, "$7$") && !mosquitto.MatchString(hash) {
		return scheme{name: "scrypt"}
	}
	if len(hash) == 13 && strings.Trim(hash, shacrypt.Alphabet) == "" {
		return scheme{name: "des"}
	}
	return scheme{unsalted: true}
}

// verdict tells whether the servers would accept password for hash.
func verdict(hash string, password []byte) sdk.Verdict {
	scheme := schemeOf(hash)
	switch {
	case scheme.matches == nil:
		return sdk.CannotTell
	case shacrypt.TooSlow(hash):
		return sdk.CannotTell
	case scheme.matches(hash, password):
		return sdk.Accepted
	}
	return sdk.Rejected
}

// stamp differs after every change of a salted hash, and tells nothing of it.
// Unsalted ones have none: their digest could be searched.
func stamp(hash string) string {
	if schemeOf(hash).unsalted {
		return ""
	}
	sum := sha256.Sum256([]byte(hash))
	return hex.EncodeToString(sum[:16])
}

func bcryptMatches(hash string, password []byte) bool {
	return bcrypt.CompareHashAndPassword([]byte(hash), password) == nil
}

// shaLDAPMatches takes {SHA} and {SSHA}: the salt is what follows the digest.
func shaLDAPMatches(hash string, password []byte) bool {
	_, text, _ := strings.Cut(hash, "}")
	raw, err := base64.StdEncoding.DecodeString(text)
	if err != nil || len(raw) < sha1.Size {
		return false
	}
	sum := sha1.New()
	sum.Write(password)
	sum.Write(raw[sha1.Size:])
	return subtle.ConstantTimeCompare(sum.Sum(nil), raw[:sha1.Size]) == 1
}

// hasher makes the hashes of new values.
type hasher struct {
	kind string
	cost int // or rounds
	rand io.Reader
}

// newHasher checks kind and cost; cost defaultCost or 0 is the kind's own
// default.
func newHasher(kind string, cost int, rand io.Reader) (hasher, error) {
	if kind == "" {
		kind = "bcrypt"
	}
	if cost == 0 {
		cost = defaultCost
	}
	low, high := 4, 17
	switch kind {
	case "bcrypt":
	case "sha512", "sha256":
		low, high = shacrypt.MinRounds, shacrypt.MaxRounds
		if cost == defaultCost {
			cost = shacrypt.DefaultRounds
		}
	case "apr1":
		low, high = defaultCost, defaultCost
	default:
		return hasher{}, sdk.Errorf(sdk.InvalidConfig, "hash: got %q, want bcrypt, sha512, sha256 or apr1", kind)
	}
	if cost < low || cost > high {
		return hasher{}, costError(kind, cost, low, high)
	}
	return hasher{kind: kind, cost: cost, rand: rand}, nil
}

func costError(kind string, cost, low, high int) *sdk.Error {
	if low == high {
		return sdk.Errorf(sdk.InvalidConfig, "cost: got %d, but the cost of %s is fixed; leave it out", cost, kind)
	}
	return sdk.Errorf(sdk.InvalidConfig, "cost: got %d, want %d to %d for %s", cost, low, high, kind)
}

// maxBytes is the longest value that the hash takes.
func (h hasher) maxBytes() int {
	if h.kind == "bcrypt" {
		return bcryptBytes
	}
	return otherBytes
}

// refuse returns why a value cannot be hashed; nil if it can.
func (h hasher) refuse(password []byte) *sdk.Error {
	switch {
	case len(password) == 0:
		return violation(sdk.Violation{Rule: sdk.RuleMinLength, Limit: 1, Message: "the value is empty"})
	case len(password) > h.maxBytes():
		return violation(sdk.Violation{Rule: sdk.RuleMaxLength, Limit: h.maxBytes(), Native: "bytes",
			Message: h.kind + " takes no more bytes of UTF-8 than the limit"})
	}
	return nil
}

func violation(violation sdk.Violation) *sdk.Error {
	failure := sdk.Errorf(sdk.PolicyViolation, "%s, limit %d", violation.Message, violation.Limit)
	failure.Violations = []sdk.Violation{violation}
	return failure
}

// hash returns what stands in the file for password.
func (h hasher) hash(password []byte) (string, error) {
	switch h.kind {
	case "sha512":
		return h.sha(shacrypt.SHA512, password)
	case "sha256":
		return h.sha(shacrypt.SHA256, password)
	case "apr1":
		salt, err := shacrypt.Salt(h.rand, 8)
		if err != nil {
			return "", err
		}
		return md5Crypt("$apr1$", password, salt), nil
	}
	sum, err := bcrypt.GenerateFromPassword(password, h.cost)
	if err != nil {
		return "", err
	}
	// Same algorithm, other name: older Apache and crypt(3) know $2y$ only.
	return "$2y$" + strings.TrimPrefix(string(sum), "$2a$"), nil
}

func (h hasher) sha(variant shacrypt.Variant, password []byte) (string, error) {
	salt, err := shacrypt.Salt(h.rand, 16)
	if err != nil {
		return "", err
	}
	return variant.Crypt(password, salt, h.cost), nil
}
