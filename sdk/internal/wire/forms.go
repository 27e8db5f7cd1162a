package wire

import (
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// form is one way in which a secret may stand in a text.
type form struct {
	text string
	rule rule
}

// rule says where a form counts.
type rule uint8

const (
	anywhere rule = iota
	asWord        // not next to a letter or a digit
	quoted        // between quotes, or after = or : and before the end of the word
)

// formsOf returns the forms of a secret that escapes do not change.
func formsOf(s string) []form {
	if s == "" {
		return nil
	}
	how := anywhere
	switch {
	case len(s) == 1:
		how = quoted
	case len(s) < 4:
		how = asWord
	}
	out := []form{{s, how}}
	if len(s) == 1 {
		return out
	}
	out = appendEncoded(out, s, max(how, encodedRule(len(s))))
	if wide := utf16le(s); len(wide) >= 4 {
		out = appendEncoded(append(out, form{wide, anywhere}), wide, anywhere)
	}
	return out
}

// shortest returns how many bytes each form of a secret has at least. Only
// UTF-16 can be shorter than the secret itself.
func shortest(s string) int { return min(len(s), 2*utf8.RuneCountInString(s)) }

// encodedRule keeps encodings of six letters and less from matching inside
// words.
func encodedRule(n int) rule {
	if n < 4 {
		return asWord
	}
	return anywhere
}

func appendEncoded(out []form, s string, how rule) []form {
	lower := hex.EncodeToString([]byte(s))
	out = append(out, form{lower, how}, form{strings.ToUpper(lower), how})
	for shift := range 3 {
		text := base64.RawStdEncoding.EncodeToString([]byte("\x00\x00"[:shift] + s))
		if shift == 0 {
			out = appendBase64(out, text, how)
		}
		if core := base64Core(text, len(s), shift); len(core) >= 6 && how == anywhere {
			out = appendBase64(out, core, how)
		}
	}
	return out
}

// urlLetters are those in which the alphabet for URLs differs.
var urlLetters = strings.NewReplacer("+", "-", "/", "_")

// appendBase64 adds a text in both alphabets.
func appendBase64(out []form, text string, how rule) []form {
	out = append(out, form{text, how})
	if strings.ContainsAny(text, "+/") {
		out = append(out, form{urlLetters.Replace(text), how})
	}
	return out
}

// base64Core returns the letters that n bytes have in the base64 of any text
// that holds them after shift bytes (modulo 3): those that they alone decide.
func base64Core(text string, n, shift int) string {
	return text[(shift*8+5)/6 : (shift+n)*8/6]
}

func utf16le(s string) string {
	if !utf8.ValidString(s) {
		return ""
	}
	var b []byte
	for _, u := range utf16.Encode([]rune(s)) {
		b = binary.LittleEndian.AppendUint16(b, u)
	}
	return string(b)
}

func (r rule) allows(text string, from, to int) bool {
	before, after := byte(' '), byte(' ')
	if from > 0 {
		before = text[from-1]
	}
	if to < len(text) {
		after = text[to]
	}
	switch r {
	case asWord:
		return !wordByte(before) && !wordByte(after)
	case quoted:
		open := strings.IndexByte("\"'`=:", before) >= 0
		return open && !wordByte(after)
	default:
		return true
	}
}

func wordByte(b byte) bool {
	return b >= 'a' && b <= 'z' || b >= 'A' && b <= 'Z' || b >= '0' && b <= '9' || b >= utf8.RuneSelf || b == '_'
}
