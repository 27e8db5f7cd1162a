package sqltable

import (
	"crypto/hmac"
	"crypto/md5"
	"crypto/pbkdf2"
	"crypto/rand"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/subtle"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"hash"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/go-crypt/crypt/algorithm/shacrypt"
	"github.com/go-crypt/x/yescrypt"
	"golang.org/x/crypto/argon2"
	"golang.org/x/crypto/bcrypt"
	"golang.org/x/crypto/scrypt"

	"github.com/rekey-host/rekey/sdk"
)

// The formats.
const (
	argon2id    = "argon2id"
	bcrypted    = "bcrypt"
	scrypted    = "scrypt"
	django      = "pbkdf2-django"
	keycloak    = "pbkdf2-keycloak"
	phpass      = "phpass"
	sha512crypt = "sha512-crypt"
	yescrypted  = "yescrypt"
	ssha        = "ssha"
	ha1         = "ha1"
)

func formats() []string {
	return []string{argon2id, bcrypted, scrypted, django, keycloak, phpass, sha512crypt, yescrypted, ssha, ha1}
}

// hashable are those of which a hash that is made elsewhere is one text.
func hashable() []string {
	return slices.DeleteFunc(formats(), func(name string) bool { return name == keycloak })
}

// costs are the default, the least and the most of a format; zeros where it has
// none.
var costs = map[string][3]int{
	argon2id: {2, 1, 100}, bcrypted: {10, 4, 17}, scrypted: {15, 4, 22}, django: {720_000, 1, 100_000_000}, keycloak: {210_000, 1, 100_000_000},
	phpass: {13, 7, 30}, sha512crypt: {100_000, 1000, 10_000_000}, yescrypted: {12, 10, 18}, ssha: {}, ha1: {},
}

// hasher makes hashes of one format.
type hasher struct {
	format              string
	cost                int
	memory, parallelism int
	realm               string
}

func newHasher(config sdk.Config) (hasher, error) {
	made := hasher{format: config.Text("hash"), cost: config.Int("cost"), memory: config.Int("memory"), parallelism: config.Int("parallelism"), realm: config.Text("realm")}
	cost, ok := costs[made.format]
	if made.cost == 0 {
		made.cost = cost[0]
	}
	switch {
	case !ok:
		return hasher{}, sdk.Errorf(sdk.InvalidConfig, "hash: got %q, want one of %s", made.format, strings.Join(formats(), ", "))
	case made.cost < cost[1] || made.cost > cost[2]:
		return hasher{}, sdk.Errorf(sdk.InvalidConfig, "cost: got %d, want %d to %d for %s", made.cost, cost[1], cost[2], made.format)
	case made.format != argon2id && (made.memory != 0 || made.parallelism != 0):
		return hasher{}, sdk.Errorf(sdk.InvalidConfig, "memory and parallelism are for %s", argon2id)
	case (made.format == ha1) != (made.realm != ""):
		return hasher{}, sdk.Errorf(sdk.InvalidConfig, "realm: %s needs one, and it alone", ha1)
	}
	if made.memory == 0 {
		made.memory = 19456
	}
	if made.parallelism == 0 {
		made.parallelism = 1
	}
	if made.memory < 8*made.parallelism || made.memory > 4<<20 || made.parallelism < 1 || made.parallelism > 255 {
		return hasher{}, sdk.Errorf(sdk.InvalidConfig, "memory: got %d KiB for %d threads, want at least 8 a thread and at most 4 GiB", made.memory, made.parallelism)
	}
	return made, nil
}

// bcryptBytes is all that bcrypt looks at.
const bcryptBytes = 72

// refuse returns why a value cannot be hashed so that the application takes it.
func (h hasher) refuse(value string) *sdk.Error {
	var broken sdk.Violation
	switch {
	case value == "":
		broken = sdk.Violation{Rule: sdk.RuleMinLength, Limit: 1, Message: "the value is empty"}
	case !utf8.ValidString(value):
		broken = sdk.Violation{Rule: sdk.RuleEncoding, Message: "the value is not UTF-8"}
	case strings.ContainsRune(value, 0):
		broken = sdk.Violation{Rule: sdk.RuleForbidden, Message: "the value has a NUL"}
	case h.format == bcrypted && len(value) > bcryptBytes:
		broken = sdk.Violation{Rule: sdk.RuleMaxLength, Limit: bcryptBytes, Native: "bytes", Message: "bcrypt looks at no more bytes of UTF-8 than the limit"}
	default:
		return nil
	}
	return &sdk.Error{Code: sdk.PolicyViolation, Message: broken.Message, Violations: []sdk.Violation{broken}}
}

// hashed is what the columns hold: data only of keycloak.
type hashed struct{ text, data string }

// make returns the hash of a value for the account that key names.
func (h hasher) make(key, value string) (hashed, error) {
	salt := make([]byte, 16)
	_, _ = rand.Read(salt) // never fails
	password := []byte(value)
	raw, std := base64.RawStdEncoding, base64.StdEncoding
	switch h.format {
	case argon2id:
		sum := argon2.IDKey(password, salt, uint32(h.cost), uint32(h.memory), uint8(h.parallelism), 32)
		return hashed{text: fmt.Sprintf("$argon2id$v=19$m=%d,t=%d,p=%d$%s$%s", h.memory, h.cost, h.parallelism, raw.EncodeToString(salt), raw.EncodeToString(sum))}, nil
	case bcrypted:
		sum, err := bcrypt.GenerateFromPassword(password, h.cost)
		// Same algorithm, other name, which PHP knows too.
		return hashed{text: "$2y$" + strings.TrimPrefix(string(sum), "$2a$")}, err
	case scrypted:
		sum, err := scrypt.Key(password, salt, 1<<h.cost, 8, 1, 32)
		return hashed{text: fmt.Sprintf("$scrypt$ln=%d,r=8,p=1$%s$%s", h.cost, raw.EncodeToString(salt), raw.EncodeToString(sum))}, err
	case django:
		word := letters(salt)
		sum, err := pbkdf2.Key(sha256.New, value, []byte(word), h.cost, sha256.Size)
		return hashed{text: fmt.Sprintf("pbkdf2_sha256$%d$%s$%s", h.cost, word, std.EncodeToString(sum))}, err
	case keycloak:
		return h.keycloak(value, salt)
	case phpass:
		return hashed{text: phpassHash(password, letters(salt)[:8], h.cost)}, nil
	case sha512crypt:
		return h.sha512crypt(value)
	case yescrypted:
		setting := slices.Concat([]byte("$y$"), yescrypt.EncodeSetting(0, h.cost, yescryptBlocks), []byte("$"), yescrypt.Encode64(salt))
		text, err := yescrypt.Hash(password, setting)
		return hashed{text: string(text)}, err
	case ssha:
		sum := sha1.Sum(append(password, salt[:8]...))
		return hashed{text: "{SSHA}" + std.EncodeToString(append(sum[:], salt[:8]...))}, nil
	}
	return hashed{text: h.ha1(key, value)}, nil
}

// yescryptBlocks is the size of a block as crypt(3) has it; 128 bytes each.
const yescryptBlocks = 32

func (h hasher) sha512crypt(value string) (hashed, error) {
	made, err := shacrypt.New(shacrypt.WithVariant(shacrypt.VariantSHA512), shacrypt.WithIterations(h.cost))
	if err != nil {
		return hashed{}, err
	}
	digest, err := made.Hash(value)
	if err != nil {
		return hashed{}, err
	}
	return hashed{text: digest.Encode()}, nil
}

func (h hasher) ha1(key, value string) string {
	sum := md5.Sum([]byte(key + ":" + h.realm + ":" + value))
	return hex.EncodeToString(sum[:])
}

// keycloakSecret and keycloakData are the two columns of Keycloak.
type keycloakSecret struct {
	Value      string              `json:"value"`
	Salt       string              `json:"salt"`
	Additional map[string][]string `json:"additionalParameters"`
}

type keycloakData struct {
	Iterations int                 `json:"hashIterations"`
	Algorithm  string              `json:"algorithm"`
	Additional map[string][]string `json:"additionalParameters"`
}

func (h hasher) keycloak(value string, salt []byte) (hashed, error) {
	sum, err := pbkdf2.Key(sha512.New, value, salt, h.cost, sha512.Size)
	if err != nil {
		return hashed{}, err
	}
	secret, err := json.Marshal(keycloakSecret{base64.StdEncoding.EncodeToString(sum), base64.StdEncoding.EncodeToString(salt), map[string][]string{}})
	if err != nil {
		return hashed{}, err
	}
	data, err := json.Marshal(keycloakData{h.cost, "pbkdf2-sha512", map[string][]string{}})
	return hashed{string(secret), string(data)}, err
}

// saltAlphabet is that of crypt(3), which is safe in every format.
const saltAlphabet = "./0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"

// letters are random letters and digits made of random bytes.
func letters(random []byte) string {
	made := make([]byte, len(random))
	for index, value := range random {
		made[index] = saltAlphabet[2:][int(value)%62]
	}
	return string(made)
}

// phpassHash is the portable hash of phpass: MD5, many times.
func phpassHash(password []byte, salt string, cost int) string {
	sum := md5.Sum(append([]byte(salt), password...))
	for range 1 << cost {
		sum = md5.Sum(append(sum[:], password...))
	}
	return "$P$" + string(saltAlphabet[cost]) + salt + phpassEncode(sum[:])
}

// phpassEncode writes three bytes as four letters, the low bits first.
func phpassEncode(sum []byte) string {
	var text strings.Builder
	for index := 0; index < len(sum); index += 3 {
		value, bits := uint32(sum[index]), 12
		if index+1 < len(sum) {
			value, bits = value|uint32(sum[index+1])<<8, 18
		}
		if index+2 < len(sum) {
			value, bits = value|uint32(sum[index+2])<<16, 24
		}
		for shift := 0; shift < bits; shift += 6 {
			text.WriteByte(saltAlphabet[value>>shift&63])
		}
	}
	return text.String()
}

// forms are what hashes look like, by format. Keycloak's is JSON.
var forms = map[string]*regexp.Regexp{
	argon2id:    regexp.MustCompile(`^\$argon2id\$v=19\$m=(\d{1,8}),t=(\d{1,3}),p=(\d{1,3})\$([A-Za-z0-9+/]+)\$([A-Za-z0-9+/]+)$`),
	bcrypted:    regexp.MustCompile(`^\$2[aby]\$(\d\d)\$[./A-Za-z0-9]{53}$`),
	scrypted:    regexp.MustCompile(`^\$scrypt\$ln=(\d{1,2}),r=(\d{1,2}),p=(\d{1,2})\$([A-Za-z0-9+/]+)\$([A-Za-z0-9+/]+)$`),
	django:      regexp.MustCompile(`^pbkdf2_sha256\$(\d{1,9})\$([^$]+)\$([A-Za-z0-9+/=]+)$`),
	phpass:      regexp.MustCompile(`^\$[PH]\$([./0-9A-Za-z])([./0-9A-Za-z]{8})[./0-9A-Za-z]{22}$`),
	sha512crypt: regexp.MustCompile(`^\$6\$(rounds=\d{1,9}\$)?[^$]{1,16}\$[./0-9A-Za-z]{86}$`),
	yescrypted:  regexp.MustCompile(`^\$y\$j[./0-9A-Za-z]{2}\$[./0-9A-Za-z]{2,86}\$[./0-9A-Za-z]{43}$`),
	ssha:        regexp.MustCompile(`^\{SSHA\}([A-Za-z0-9+/=]+)$`),
	ha1:         regexp.MustCompile(`^[0-9a-f]{32}$`),
	keycloak:    regexp.MustCompile(`^\{.*"value".*\}$`),
}

// formatOf returns the format of a hash; "" if it is not known.
func formatOf(text string) string {
	for _, format := range formats() {
		if forms[format].MatchString(text) {
			return format
		}
	}
	return ""
}

// unusable reports what no value fits.
func unusable(text string) bool {
	return text == "" || strings.HasPrefix(text, "!") || strings.HasPrefix(text, "*")
}

// matches compares a value with what the columns hold. It does not know hashes
// of other formats than those here, nor work that takes too long.
func (h hasher) matches(key, value string, held hashed) sdk.Verdict {
	format := formatOf(held.text)
	var same, known bool
	switch format {
	case argon2id, scrypted, django:
		same, known = derived(format, forms[format].FindStringSubmatch(held.text), value)
	case keycloak:
		same, known = keycloakMatches(value, held)
	case bcrypted:
		same, known = bcrypt.CompareHashAndPassword([]byte(held.text), []byte(value)) == nil, true
	case phpass:
		parts := forms[phpass].FindStringSubmatch(held.text)
		cost := strings.Index(saltAlphabet, parts[1])
		if known = cost <= 20; known {
			same = equal([]byte("$P$"+held.text[3:]), []byte(phpassHash([]byte(value), parts[2], cost)))
		}
	case sha512crypt:
		digest, err := shacrypt.Decode(held.text)
		if known = err == nil; known {
			same = digest.Match(value)
		}
	case yescrypted:
		made, err := yescrypt.Hash([]byte(value), []byte(held.text))
		same, known = equal(made, []byte(held.text)), err == nil
	case ssha:
		same, known = sshaMatches(held.text, value), true
	case ha1:
		same, known = equal([]byte(held.text), []byte(h.ha1(key, value))), h.format == ha1
	}
	switch {
	case !known:
		return sdk.CannotTell
	case same:
		return sdk.Accepted
	}
	return sdk.Rejected
}

func equal(first, second []byte) bool { return subtle.ConstantTimeCompare(first, second) == 1 }

// derived compares with hashes of key derivations; known is false for
// parameters that are out of reason.
func derived(format string, parts []string, value string) (same, known bool) {
	number := func(index int) int { count, _ := strconv.Atoi(parts[index]); return count }
	if format == django {
		want, err := base64.StdEncoding.DecodeString(parts[3])
		if err != nil || number(1) > 10_000_000 {
			return false, false
		}
		sum, err := pbkdf2.Key(sha256.New, value, []byte(parts[2]), number(1), len(want))
		return err == nil && hmac.Equal(sum, want), err == nil
	}
	salt, err := base64.RawStdEncoding.DecodeString(parts[4])
	want, other := base64.RawStdEncoding.DecodeString(parts[5])
	if err != nil || other != nil || len(want) < 4 {
		return false, false
	}
	if format == argon2id {
		if number(1) > 4<<20 || number(2) < 1 || number(3) < 1 || number(3) > 255 {
			return false, false
		}
		return hmac.Equal(argon2.IDKey([]byte(value), salt, uint32(number(2)), uint32(number(1)), uint8(number(3)), uint32(len(want))), want), true
	}
	if log, r, p := number(1), number(2), number(3); log < 1 || log > 22 || r < 1 || p < 1 || p > 16 || r<<log > 8<<20 { // 128 bytes each
		return false, false
	}
	sum, err := scrypt.Key([]byte(value), salt, 1<<number(1), number(2), number(3), len(want))
	return err == nil && hmac.Equal(sum, want), err == nil
}

func keycloakMatches(value string, held hashed) (same, known bool) {
	var secret keycloakSecret
	var data keycloakData
	if json.Unmarshal([]byte(held.text), &secret) != nil || json.Unmarshal([]byte(held.data), &data) != nil || data.Iterations < 1 || data.Iterations > 10_000_000 {
		return false, false
	}
	salt, err := base64.StdEncoding.DecodeString(secret.Salt)
	want, other := base64.StdEncoding.DecodeString(secret.Value)
	kinds := map[string]func() hash.Hash{"pbkdf2-sha512": sha512.New, "pbkdf2-sha256": sha256.New, "pbkdf2": sha1.New}
	kind, ok := kinds[data.Algorithm]
	if err != nil || other != nil || !ok || len(want) == 0 {
		return false, false
	}
	sum, err := pbkdf2.Key(kind, value, salt, data.Iterations, len(want))
	return err == nil && hmac.Equal(sum, want), err == nil
}

func sshaMatches(text, value string) bool {
	raw, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(text, "{SSHA}"))
	if err != nil || len(raw) < sha1.Size {
		return false
	}
	sum := sha1.Sum(slices.Concat([]byte(value), raw[sha1.Size:]))
	return equal(sum[:], raw[:sha1.Size])
}
