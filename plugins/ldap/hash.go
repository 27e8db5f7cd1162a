package ldap

import (
	"crypto/rand"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"encoding/hex"
	"hash"
	"regexp"
	"slices"
	"strings"
	"unicode/utf16"

	//lint:ignore SA1019 Samba takes no other hash
	"golang.org/x/crypto/md4" //nolint:staticcheck // as above
)

// What mode attribute does to a value before it is sent.
const (
	hashSSHA    = "ssha"
	hashSSHA256 = "ssha256"
	hashSSHA512 = "ssha512"
	hashPlain   = "plain"
)

func knownHash(name string) bool {
	return slices.Contains([]string{hashSSHA, hashSSHA256, hashSSHA512, hashPlain}, name)
}

// userPassword returns the text that the attribute gets for a plain value.
func userPassword(kind, value string) string {
	switch kind {
	case hashSSHA256:
		return salted("{SSHA256}", sha256.New(), value)
	case hashSSHA512:
		return salted("{SSHA512}", sha512.New(), value)
	case hashPlain:
		return value
	}
	return salted("{SSHA}", sha1.New(), value)
}

// salted is RFC 2307 with a salt behind the digest.
func salted(scheme string, sum hash.Hash, value string) string {
	salt := make([]byte, 8)
	_, _ = rand.Read(salt) // never fails
	sum.Write([]byte(value))
	sum.Write(salt)
	return scheme + base64.StdEncoding.EncodeToString(append(sum.Sum(nil), salt...))
}

// schemed is what a server takes for a hash instead of hashing it.
var schemed = regexp.MustCompile(`^\{[A-Za-z0-9./_-]+\}`)

// ntHash is what Samba and Windows keep of a password: MD4 of UTF-16LE.
func ntHash(value string) string {
	sum := md4.New()
	for _, count := range utf16.Encode([]rune(value)) {
		sum.Write([]byte{byte(count), byte(count >> 8)})
	}
	return strings.ToUpper(hex.EncodeToString(sum.Sum(nil)))
}

// unicodePwd is the value of Active Directory's attribute: quoted, UTF-16LE.
func unicodePwd(value string) string {
	units := utf16.Encode([]rune(`"` + value + `"`))
	out := make([]byte, 0, 2*len(units))
	for _, count := range units {
		out = append(out, byte(count), byte(count>>8))
	}
	return string(out)
}
