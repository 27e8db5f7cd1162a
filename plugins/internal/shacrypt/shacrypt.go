// Package shacrypt makes and compares the hashes of crypt(3) that begin with $5$
// and $6$. It knows nothing of the files that they stand in.
package shacrypt

import (
	"crypto/sha256"
	"crypto/sha512"
	"crypto/subtle"
	"hash"
	"io"
	"strconv"
	"strings"
)

// The rounds of a hash.
const (
	DefaultRounds = 5000     // which a hash leaves out
	MinRounds     = 1000     // what is less counts as this
	MaxRounds     = 10000000 // a few seconds; the format allows a hundred times more
)

// Alphabet is the base 64 of crypt(3).
const Alphabet = "./0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"

// Variant is one of the two hashes of Ulrich Drepper's "Unix crypt using
// SHA-256 and SHA-512", version 0.6.
type Variant struct {
	magic string
	new   func() hash.Hash
	order []byte // of the digest's bytes in the text, three for four characters
}

// SHA256 makes hashes that begin with $5$.
var SHA256 = Variant{"$5$", sha256.New, []byte{
	0, 10, 20, 21, 1, 11, 12, 22, 2, 3, 13, 23, 24, 4, 14, 15, 25, 5, 6, 16, 26,
	27, 7, 17, 18, 28, 8, 9, 19, 29, 31, 30,
}}

// SHA512 makes hashes that begin with $6$.
var SHA512 = Variant{"$6$", sha512.New, []byte{
	0, 21, 42, 22, 43, 1, 44, 2, 23, 3, 24, 45, 25, 46, 4, 47, 5, 26, 6, 27, 48,
	28, 49, 7, 50, 8, 29, 9, 30, 51, 31, 52, 10, 53, 11, 32, 12, 33, 54, 34, 55,
	13, 56, 14, 35, 15, 36, 57, 37, 58, 16, 59, 17, 38, 18, 39, 60, 40, 61, 19,
	62, 20, 41, 63,
}}

// Crypt returns the whole text; it names the rounds unless they are the
// default.
func (v Variant) Crypt(password, salt []byte, rounds int) string {
	head := v.magic
	if rounds != DefaultRounds {
		head += "rounds=" + strconv.Itoa(rounds) + "$"
	}
	return head + string(salt) + "$" + Encode(v.digest(password, salt, rounds), v.order)
}

// digest follows the specification's steps 1 to 21; the names are its own.
func (v Variant) digest(password, salt []byte, rounds int) []byte {
	sum := v.new()
	sum.Write(password)
	sum.Write(salt)
	sum.Write(password)
	data := sum.Sum(nil)

	sum.Reset()
	sum.Write(password)
	sum.Write(salt)
	sum.Write(Stretch(data, len(password)))
	for index := len(password); index > 0; index >>= 1 {
		if index&1 == 1 {
			sum.Write(data)
		} else {
			sum.Write(password)
		}
	}
	text := sum.Sum(nil)

	raw := Stretch(repeated(sum, password, len(password)), len(password))
	s := Stretch(repeated(sum, salt, 16+int(text[0])), len(salt))
	return v.rounds(sum, text, raw, s, rounds)
}

func (v Variant) rounds(sum hash.Hash, text, data, raw []byte, count int) []byte {
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

// Stretch repeats block up to count bytes.
func Stretch(block []byte, count int) []byte {
	out := make([]byte, 0, count+len(block))
	for len(out) < count {
		out = append(out, block...)
	}
	return out[:count]
}

// Encode writes a digest as crypt(3) does: three bytes, the lowest last, as
// four characters, the lowest first.
func Encode(digest, order []byte) string {
	var out strings.Builder
	for len(order) > 0 {
		count := min(3, len(order))
		var word uint
		for _, at := range order[:count] {
			word = word<<8 | uint(digest[at])
		}
		for range count + 1 {
			out.WriteByte(Alphabet[word&63])
			word >>= 6
		}
		order = order[count:]
	}
	return out.String()
}

// Matches compares with a $5$ or $6$ text.
func Matches(text string, password []byte) bool {
	variant := SHA512
	if strings.HasPrefix(text, SHA256.magic) {
		variant = SHA256
	}
	rounds, salt, want, ok := Cut(text)
	if !ok {
		return false
	}
	got := Encode(variant.digest(password, []byte(salt), rounds), variant.order)
	return subtle.ConstantTimeCompare([]byte(got), []byte(want)) == 1
}

// Cut takes a $5$ or $6$ text apart, its limits on rounds and salt applied.
func Cut(text string) (rounds int, salt, digest string, ok bool) {
	rest := text[3:]
	rounds = DefaultRounds
	if after, named := strings.CutPrefix(rest, "rounds="); named {
		number, tail, found := strings.Cut(after, "$")
		count, err := strconv.Atoi(number)
		if !found || err != nil {
			return 0, "", "", false
		}
		rounds, rest = min(max(count, MinRounds), 999999999), tail
	}
	salt, digest, ok = strings.Cut(rest, "$")
	return rounds, salt[:min(16, len(salt))], digest, ok
}

// TooSlow reports whether a hash asks for more rounds than anyone waits for.
func TooSlow(text string) bool {
	if !strings.HasPrefix(text, SHA512.magic) && !strings.HasPrefix(text, SHA256.magic) {
		return false
	}
	rounds, _, _, _ := Cut(text)
	return rounds > MaxRounds
}

// Salt returns count random characters of the alphabet.
func Salt(random io.Reader, count int) ([]byte, error) {
	salt := make([]byte, count)
	if _, err := io.ReadFull(random, salt); err != nil {
		return nil, err
	}
	for index, value := range salt {
		salt[index] = Alphabet[value&63]
	}
	return salt, nil
}
