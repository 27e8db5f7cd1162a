package kendox

import (
	"crypto/sha512"
	"encoding/base64"
	"encoding/binary"
	"unicode"
	"unicode/utf16"

	"github.com/rekey-host/rekey/sdk/secret"
)

// digest is what InfoShare takes for a password: Base64 of SHA-512, unsalted.
func digest(value secret.Value, encoding string) secret.Value {
	text := []byte(value.Reveal())
	if encoding == utf16leText {
		units := utf16.Encode([]rune(value.Reveal()))
		text = make([]byte, 0, 2*len(units))
		for _, unit := range units {
			text = binary.LittleEndian.AppendUint16(text, unit)
		}
	}
	sum := sha512.Sum512(text)
	return secret.New(base64.StdEncoding.EncodeToString(sum[:]))
}

// isDigest reports whether a given hash is Base64 of 64 bytes, in the one
// spelling without stray bits.
func isDigest(value secret.Value) bool {
	data, err := base64.StdEncoding.Strict().DecodeString(value.Reveal())
	return err == nil && len(data) == sha512.Size && len(value.Reveal()) == base64.StdEncoding.EncodedLen(sha512.Size)
}

// counts are how many characters of each class a value has.
type counts struct{ all, lower, upper, digits, symbols int }

func count(text string) counts {
	var n counts
	for _, letter := range text {
		n.all++
		switch {
		case unicode.IsLower(letter):
			n.lower++
		case unicode.IsUpper(letter):
			n.upper++
		case unicode.IsDigit(letter):
			n.digits++
		case !unicode.IsLetter(letter):
			n.symbols++
		}
	}
	return n
}
