// Package leaktest is an oracle for tests: it finds a secret, or any piece of one,
// in what a program printed or left behind. It knows nothing of how secrets are
// scrubbed, and looks the other way round: for each piece of a secret it makes
// the forms in which programs write it, and searches for all of them at once.
package leaktest

import (
	"encoding/base32"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"encoding/xml"
	"fmt"
	"html"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"unicode/utf16"

	"golang.org/x/text/unicode/norm"
)

// Piece is how many bytes of a secret are a leak.
const Piece = 6

// Finder looks for secrets.
type Finder struct {
	maybe   [1 << 13]uint64 // a bit for the first four bytes of each needle, in small letters
	needles map[[4]byte][]needle
	known   map[string]bool
}

// needle is one form of a piece.
type needle struct {
	text string // in small letters, unless it is exact
	full string // as it was made
	form string
	same bool // letters of either case are the same
}

// New returns a finder of the secrets and of their pieces of six bytes. They
// have to be made such that these do not occur by accident.
func New(secrets ...string) *Finder {
	finder := &Finder{needles: map[[4]byte][]needle{}, known: map[string]bool{}}
	for _, text := range secrets {
		for _, form := range [...]string{text, norm.NFD.String(text), strings.ToUpper(text), reversed(text)} {
			for _, piece := range pieces(form) {
				finder.addPiece(piece)
			}
		}
	}
	return finder
}

// Find returns the form of the first piece of a secret that stands in the text,
// and nothing of the secret itself; "" without a leak.
func (f *Finder) Find(text []byte) string {
	small := lower(text)
	for i := 0; i+4 <= len(small); i++ {
		if bit := mix(small[i:]); f.maybe[bit>>6]&(1<<(bit&63)) == 0 {
			continue
		}
		for _, needle := range f.needles[[4]byte(small[i:i+4])] {
			if needle.at(text, small, i) {
				return needle.form
			}
		}
	}
	return ""
}

func (n needle) at(text, small []byte, i int) bool {
	if i+len(n.text) > len(small) {
		return false
	}
	if n.same {
		return string(small[i:i+len(n.text)]) == n.text
	}
	return string(text[i:i+len(n.full)]) == n.full
}

// pieces are the shortest runs of whole characters of at least Piece bytes.
func pieces(text string) []string {
	var out []string
	for from := range text {
		for to := from + Piece; to <= len(text); to++ {
			if to == len(text) || text[to]&0xC0 != 0x80 {
				out = append(out, text[from:to])
				break
			}
		}
	}
	return out
}

func (f *Finder) addPiece(piece string) {
	f.add("raw", piece, true)
	for form, text := range formsOf(piece) {
		f.add(form, text, true)
	}
	for form, text := range exact(piece) {
		f.add(form, text, false)
	}
}

func (f *Finder) add(form, text string, same bool) {
	small := string(lower([]byte(text)))
	key := text
	if same {
		key = small
	}
	if f.known[key] || len(text) < Piece {
		return
	}
	f.known[key] = true
	bit := mix([]byte(small))
	f.maybe[bit>>6] |= 1 << (bit & 63)
	first := [4]byte([]byte(small[:4]))
	f.needles[first] = append(f.needles[first], needle{small, text, form, same})
}

// escapes are what may lie over a piece, also over each other.
var escapes = map[string]func(string) string{
	"quoted":         func(s string) string { return inner(strconv.Quote(s)) },
	"quoted ASCII":   func(s string) string { return inner(strconv.QuoteToASCII(s)) },
	"JSON":           func(s string) string { b, _ := json.Marshal(s); return inner(string(b)) },
	"query":          url.QueryEscape,
	"path":           url.PathEscape,
	"percent":        func(s string) string { return strings.ReplaceAll(url.QueryEscape(s), "+", "%20") },
	"HTML":           html.EscapeString,
	"XML":            func(s string) string { var b strings.Builder; _ = xml.EscapeText(&b, []byte(s)); return b.String() },
	"CSV":            func(s string) string { return strings.ReplaceAll(s, `"`, `""`) },
	"SQL":            func(s string) string { return strings.ReplaceAll(s, "'", "''") },
	"LDAP":           func(s string) string { return special(s, `\%02x`) },
	"printable":      func(s string) string { return special(s, "=%02X") },
	"entities":       func(s string) string { return characters(s, "&#%d;") },
	"hex entities":   func(s string) string { return characters(s, "&#x%x;") },
	"JSON escapes":   func(s string) string { return characters(s, `\u%04x`) },
	"two lines":      func(s string) string { return s[:Piece/2] + "\n" + s[Piece/2:] },
	"two CRLF lines": func(s string) string { return s[:Piece/2] + "\r\n" + s[Piece/2:] },
}

func inner(quoted string) string { return quoted[1 : len(quoted)-1] }

// special writes all but letters, digits and a few signs in a format.
func special(text, format string) string {
	var out strings.Builder
	for _, char := range []byte(text) {
		if char < '!' || char > '~' || strings.IndexByte(`\"+,;<>=#()*`, char) >= 0 {
			fmt.Fprintf(&out, format, char)
			continue
		}
		out.WriteByte(char)
	}
	return out.String()
}

func characters(text, format string) string {
	var out strings.Builder
	for _, letter := range text {
		fmt.Fprintf(&out, format, letter)
	}
	return out.String()
}

func listed(text, format, between string) string {
	var parts []string
	for _, char := range []byte(text) {
		parts = append(parts, fmt.Sprintf(format, char))
	}
	return strings.Join(parts, between)
}

func wide(text string, order binary.AppendByteOrder) string {
	var data []byte
	for _, count := range utf16.Encode([]rune(text)) {
		data = order.AppendUint16(data, count)
	}
	return string(data)
}

func reversed(text string) string {
	list := []rune(text)
	slices.Reverse(list)
	return string(list)
}

// formsOf are the forms in which case does not matter.
func formsOf(text string) map[string]string {
	out := map[string]string{"UTF-16LE": wide(text, binary.LittleEndian), "UTF-16BE": wide(text, binary.BigEndian)}
	for name, one := range escapes {
		out[name] = one(text)
		for over, other := range escapes {
			out[name+" in "+over] = other(one(text))
		}
	}
	for _, between := range []string{"", " ", ":", "-", ", ", ","} {
		out["hex "+between] = listed(text, "%02x", between)
		out["0x "+between] = listed(text, "0x%02x", between)
		out[`\x `+between] = listed(text, `\x%02x`, between)
	}
	for _, between := range []string{" ", ",", ", ", ";", "."} {
		out["decimal "+between] = listed(text, "%d", between)
	}
	for _, between := range []string{" ", "-", ".", ":", ",", "_"} {
		out["spaced "+between] = strings.Join(strings.Split(text, ""), between)
	}
	return out
}

// exact are the forms in which case matters: of base64 and base32 the letters
// that a piece alone decides, wherever it stands in a longer text.
func exact(name string) map[string]string {
	out := map[string]string{}
	for _, text := range [...]string{name, wide(name, binary.LittleEndian)} {
		for shift := range 3 {
			padded := string(make([]byte, shift)) + text
			core := func(letters string, bits int) string { return letters[(shift*8+bits-1)/bits : len(padded)*8/bits] }
			out[fmt.Sprintf("base64 +%d %d", shift, len(text))] = core(base64.RawStdEncoding.EncodeToString([]byte(padded)), 6)
			out[fmt.Sprintf("base64url +%d %d", shift, len(text))] = core(base64.RawURLEncoding.EncodeToString([]byte(padded)), 6)
		}
		for shift := range 5 {
			padded := string(make([]byte, shift)) + text
			letters := base32.StdEncoding.WithPadding(base32.NoPadding).EncodeToString([]byte(padded))
			out[fmt.Sprintf("base32 +%d %d", shift, len(text))] = letters[(shift*8+4)/5 : len(padded)*8/5]
		}
	}
	return out
}

// lower keeps every byte in its place.
func lower(text []byte) []byte {
	out := make([]byte, len(text))
	for i, char := range text {
		if char >= 'A' && char <= 'Z' {
			char += 'a' - 'A'
		}
		out[i] = char
	}
	return out
}

// mix spreads four bytes over the bits of Finder.maybe.
func mix(data []byte) uint32 {
	return (uint32(data[0]) | uint32(data[1])<<8 | uint32(data[2])<<16 | uint32(data[3])<<24) * 2654435761 >> 13
}
