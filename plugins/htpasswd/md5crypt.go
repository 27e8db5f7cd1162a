package htpasswd

import (
	"crypto/md5"
	"crypto/subtle"
	"strings"
)

// md5Order is the order of the digest's bytes in the text.
var md5Order = []byte{0, 6, 12, 1, 7, 13, 2, 8, 14, 3, 9, 15, 4, 10, 5, 11}

// md5Crypt returns the text of Poul-Henning Kamp's hash: $1$ as he made it,
// $apr1$ as Apache renamed it. Its cost is fixed and, today, small.
func md5Crypt(magic string, password, salt []byte) string {
	h := md5.New()
	h.Write(password)
	h.Write(salt)
	h.Write(password)
	inner := h.Sum(nil)

	h.Reset()
	h.Write(password)
	h.Write([]byte(magic))
	h.Write(salt)
	h.Write(stretch(inner, len(password)))
	for n := len(password); n > 0; n >>= 1 {
		if n&1 == 1 {
			h.Write([]byte{0})
		} else {
			h.Write(password[:1])
		}
	}
	sum := h.Sum(nil)

	for i := range 1000 {
		h.Reset()
		if i%2 == 1 {
			h.Write(password)
		} else {
			h.Write(sum)
		}
		if i%3 != 0 {
			h.Write(salt)
		}
		if i%7 != 0 {
			h.Write(password)
		}
		if i%2 == 1 {
			h.Write(sum)
		} else {
			h.Write(password)
		}
		sum = h.Sum(sum[:0])
	}
	return magic + string(salt) + "$" + encode(sum, md5Order)
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
