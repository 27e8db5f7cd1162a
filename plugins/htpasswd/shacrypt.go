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
	sum := v.new()
	sum.Write(password)
	sum.Write(salt)
	sum.Write(password)
	data := sum.Sum(nil)

	sum.Reset()
	sum.Write(password)
	sum.Write(salt)
	sum.Write(stretch(data, len(password)))
	for index := len(password); index > 0; index >>= 1 {
		if index&1 == 1 {
			sum.Write(data)
		} else {
			sum.Write(password)
		}
	}
	text := sum.Sum(nil)

	raw := stretch(repeated(sum, password, len(password)), len(password))
	s := stretch(repeated(sum, salt, 16+int(text[0])), len(salt))
	return v.rounds(sum, text, raw, s, rounds)
}

func (v shaVariant) rounds(sum hash.Hash, text, data, raw []byte, count int) []byte {
	for i := range count {
		sum.Reset()
		if i%2 == 1 {
			sum.Write(data)
		} else {
			sum.Write(text)
		}
		if i%3 != 0 {
			sum.Write(raw)
		}
		if i%7 != 0 {
			sum.Write(data)
		}
		if i%2 == 1 {
			sum.Write(text)
		} else {
			sum.Write(data)
		}
		text = sum.Sum(text[:0])
	}
	return text
}

// repeated returns the digest of count times text.
func repeated(sum hash.Hash, text []byte, count int) []byte {
	sum.Reset()
	for range count {
		sum.Write(text)
	}
	return sum.Sum(nil)
}

// stretch repeats block up to count bytes.
func stretch(block []byte, count int) []byte {
	out := make([]byte, 0, count+len(block))
	for len(out) < count {
		out = append(out, block...)
	}
	return out[:count]
}

// encode writes a digest as crypt(3) does: three bytes, the lowest last, as
// four characters, the lowest first.
func encode(digest, order []byte) string {
	var out strings.Builder
	for len(order) > 0 {
		count := min(3, len(order))
		var word uint
		for _, at := range order[:count] {
			word = word<<8 | uint(digest[at])
		}
		for range count + 1 {
			out.WriteByte(cryptAlphabet[word&63])
			word >>= 6
		}
		order = order[count:]
	}
	return out.String()
}

// shaMatches compares with a $5$ or $6$ text.
func shaMatches(text string, password []byte) bool {
	shaVariant := sha512Crypt
	if strings.HasPrefix(text, sha256Crypt.magic) {
		shaVariant = sha256Crypt
	}
	rounds, salt, want, ok := cutSHA(text)
	if !ok {
		return false
	}
	got := encode(shaVariant.digest(password, []byte(salt), rounds), shaVariant.order)
	return subtle.ConstantTimeCompare([]byte(got), []byte(want)) == 1
}

// cutSHA takes a $5$ or $6$ text apart, its limits on rounds and salt applied.
func cutSHA(text string) (rounds int, salt, digest string, ok bool) {
	rest := text[3:]
	rounds = defaultRounds
	if after, named := strings.CutPrefix(rest, "rounds="); named {
		number, tail, found := strings.Cut(after, "$")
		count, err := strconv.Atoi(number)
		if !found || err != nil {
			return 0, "", "", false
		}
		rounds, rest = min(max(count, minRounds), 999999999), tail
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
