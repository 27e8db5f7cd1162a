package htpasswd

import (
	"crypto/md5"
	"crypto/subtle"
	"strings"

	"github.com/rekey-host/rekey/plugins/internal/shacrypt"
)

// md5Order is the order of the digest's bytes in the text.
var md5Order = []byte{0, 6, 12, 1, 7, 13, 2, 8, 14, 3, 9, 15, 4, 10, 5, 11}

// md5Crypt returns the text of Poul-Henning Kamp's hash: $1$ as he made it,
// $apr1$ as Apache renamed it. Its cost is fixed and, today, small.
func md5Crypt(magic string, password, salt []byte) string {
	hash := md5.New()
	hash.Write(password)
	hash.Write(salt)
	hash.Write(password)
	inner := hash.Sum(nil)

	hash.Reset()
	hash.Write(password)
	hash.Write([]byte(magic))
	hash.Write(salt)
	hash.Write(shacrypt.Stretch(inner, len(password)))
	for index := len(password); index > 0; index >>= 1 {
		if index&1 == 1 {
			hash.Write([]byte{0})
		} else {
			hash.Write(password[:1])
		}
	}
	sum := hash.Sum(nil)

	for i := range 1000 {
		hash.Reset()
		if i%2 == 1 {
			hash.Write(password)
		} else {
			hash.Write(sum)
		}
		if i%3 != 0 {
			hash.Write(salt)
		}
		if i%7 != 0 {
			hash.Write(password)
		}
		if i%2 == 1 {
			hash.Write(sum)
		} else {
			hash.Write(password)
		}
		sum = hash.Sum(sum[:0])
	}
	return magic + string(salt) + "$" + shacrypt.Encode(sum, md5Order)
}

// md5Matches compares with a $1$ or $apr1$ text.
func md5Matches(text string, password []byte) bool {
	parts := strings.SplitN(text, "$", 4) // "", name, salt, digest
	if len(parts) != 4 {
		return false
	}
	salt := parts[2][:min(8, len(parts[2]))]
	got := md5Crypt("$"+parts[1]+"$", password, []byte(salt))
	_, digest, _ := strings.Cut(got[len(parts[1])+2:], "$")
	return subtle.ConstantTimeCompare([]byte(digest), []byte(parts[3])) == 1
}
