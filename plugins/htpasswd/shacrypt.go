package htpasswd

import (
	"crypto/sha256"
	"crypto/sha512"
	"crypto/subtle"
	"hash"
	"strconv"
	"strings"
)

// cryptAlphabet is the base 64 of crypt(3).
const cryptAlphabet = "./0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"

// shaVariant is one of the two hashes of Ulrich Drepper's "Unix crypt using
// SHA-256 and SHA-512", version 0.6.
type shaVariant struct {
	magic string
	new   func() hash.Hash
	order []byte // of the digest's bytes in the text, three for four characters
}

var sha256Crypt = shaVariant{"$5$", sha256.New, []byte{
	0, 10, 20, 21, 1, 11, 12, 22, 2, 3, 13, 23, 24, 4, 14, 15, 25, 5, 6, 16, 26,
	27, 7, 17, 18, 28, 8, 9, 19, 29, 31, 30,
}}

var sha512Crypt = shaVariant{"$6$", sha512.New, []byte{
	0, 21, 42, 22, 43, 1, 44, 2, 23, 3, 24, 45, 25, 46, 4, 47, 5, 26, 6, 27, 48,
	28, 49, 7, 50, 8, 29, 9, 30, 51, 31, 52, 10, 53, 11, 32, 12, 33, 54, 34, 55,
	13, 56, 14, 35, 15, 36, 57, 37, 58, 16, 59, 17, 38, 18, 39, 60, 40, 61, 19,
	62, 20, 41, 63,
}}

// crypt returns the whole text; it names the rounds unless they are the
// default.
func (v shaVariant) crypt(password, salt []byte, rounds int) string {
	head := v.magic
	if rounds != defaultRounds {
		head += "rounds=" + strconv.Itoa(rounds) + "$"
	}
	return head + string(salt) + "$" + encode(v.digest(password, salt, rounds), v.order)
}

// digest follows the specification's steps 1 to 21; the names are its own.
func (v shaVariant) digest(password, salt []byte, rounds int) []byte {
	h := v.new()
	h.Write(password)
	h.Write(salt)
	h.Write(password)
	b := h.Sum(nil)

	h.Reset()
	h.Write(password)
	h.Write(salt)
	h.Write(stretch(b, len(password)))
	for n := len(password); n > 0; n >>= 1 {
		if n&1 == 1 {
			h.Write(b)
		} else {
			h.Write(password)
		}
	}
	a := h.Sum(nil)

	p := stretch(repeated(h, password, len(password)), len(password))
	s := stretch(repeated(h, salt, 16+int(a[0])), len(salt))
	return v.rounds(h, a, p, s, rounds)
}

func (v shaVariant) rounds(h hash.Hash, a, p, s []byte, n int) []byte {
	for i := range n {
		h.Reset()
		if i%2 == 1 {
			h.Write(p)
		} else {
			h.Write(a)
		}
		if i%3 != 0 {
			h.Write(s)
		}
		if i%7 != 0 {
			h.Write(p)
		}
		if i%2 == 1 {
			h.Write(a)
		} else {
			h.Write(p)
		}
		a = h.Sum(a[:0])
	}
	return a
}

// repeated returns the digest of n times text.
func repeated(h hash.Hash, text []byte, n int) []byte {
	h.Reset()
	for range n {
		h.Write(text)
	}
	return h.Sum(nil)
}

// stretch repeats block up to n bytes.
func stretch(block []byte, n int) []byte {
	out := make([]byte, 0, n+len(block))
	for len(out) < n {
		out = append(out, block...)
	}
	return out[:n]
}

// encode writes a digest as crypt(3) does: three bytes, the lowest last, as
// four characters, the lowest first.
func encode(digest, order []byte) string {
	var out strings.Builder
	for len(order) > 0 {
		n := min(3, len(order))
		var word uint
		for _, at := range order[:n] {
			word = word<<8 | uint(digest[at])
		}
		for range n + 1 {
			out.WriteByte(cryptAlphabet[word&63])
			word >>= 6
		}
		order = order[n:]
	}
	return out.String()
}

// shaMatches compares with a $5$ or $6$ text.
func shaMatches(text string, password []byte) bool {
	v := sha512Crypt
	if strings.HasPrefix(text, sha256Crypt.magic) {
		v = sha256Crypt
	}
	rounds, salt, want, ok := cutSHA(text)
	if !ok {
		return false
	}
	got := encode(v.digest(password, []byte(salt), rounds), v.order)
	return subtle.ConstantTimeCompare([]byte(got), []byte(want)) == 1
}

// cutSHA takes a $5$ or $6$ text apart, its limits on rounds and salt applied.
func cutSHA(text string) (rounds int, salt, digest string, ok bool) {
	rest := text[3:]
	rounds = defaultRounds
	if after, named := strings.CutPrefix(rest, "rounds="); named {
		number, tail, found := strings.Cut(after, "$")
		n, err := strconv.Atoi(number)
		if !found || err != nil {
			return 0, "", "", false
		}
		rounds, rest = min(max(n, minRounds), 999999999), tail
	}
	salt, digest, ok = strings.Cut(rest, "$")
	return rounds, salt[:min(16, len(salt))], digest, ok
}

// tooSlow reports whether a hash asks for more rounds than anyone waits for.
func tooSlow(text string) bool {
	if !strings.HasPrefix(text, sha512Crypt.magic) && !strings.HasPrefix(text, sha256Crypt.magic) {
		return false
	}
	rounds, _, _, _ := cutSHA(text)
	return rounds > maxRounds
}
