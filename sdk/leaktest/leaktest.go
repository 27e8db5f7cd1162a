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
// have to be made such that none of these occurs by accident.
func New(secrets ...string) *Finder {
	f := &Finder{needles: map[[4]byte][]needle{}, known: map[string]bool{}}
	for _, s := range secrets {
		for _, form := range [...]string{s, norm.NFD.String(s), strings.ToUpper(s), reversed(s)} {
			for _, piece := range pieces(form) {
				f.addPiece(piece)
			}
		}
	}
	return f
}

// Find returns the form of the first piece of a secret that stands in the text,
// and nothing of the secret itself; "" if there is none.
func (f *Finder) Find(text []byte) string {
	small := lower(text)
	for i := 0; i+4 <= len(small); i++ {
		if bit := mix(small[i:]); f.maybe[bit>>6]&(1<<(bit&63)) == 0 {
			continue
		}
		for _, n := range f.needles[[4]byte(small[i:i+4])] {
			if n.at(text, small, i) {
				return n.form
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
func pieces(s string) []string {
	var out []string
	for from := range s {
		for to := from + Piece; to <= len(s); to++ {
			if to == len(s) || s[to]&0xC0 != 0x80 {
				out = append(out, s[from:to])
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
func special(s, format string) string {
	var b strings.Builder
	for _, c := range []byte(s) {
		if c < '!' || c > '~' || strings.IndexByte(`\"+,;<>=#()*`, c) >= 0 {
			fmt.Fprintf(&b, format, c)
			continue
		}
		b.WriteByte(c)
	}
	return b.String()
}

func characters(s, format string) string {
	var b strings.Builder
	for _, r := range s {
		fmt.Fprintf(&b, format, r)
	}
	return b.String()
}

func listed(s, format, between string) string {
	var parts []string
	for _, c := range []byte(s) {
		parts = append(parts, fmt.Sprintf(format, c))
	}
	return strings.Join(parts, between)
}

func wide(s string, order binary.AppendByteOrder) string {
	var b []byte
	for _, u := range utf16.Encode([]rune(s)) {
		b = order.AppendUint16(b, u)
	}
	return string(b)
}

func reversed(s string) string {
	r := []rune(s)
	slices.Reverse(r)
	return string(r)
}

// formsOf are the forms in which case does not matter.
func formsOf(s string) map[string]string {
	out := map[string]string{"UTF-16LE": wide(s, binary.LittleEndian), "UTF-16BE": wide(s, binary.BigEndian)}
	for name, one := range escapes {
		out[name] = one(s)
		for over, other := range escapes {
			out[name+" in "+over] = other(one(s))
		}
	}
	for _, between := range []string{"", " ", ":", "-", ", ", ","} {
		out["hex "+between] = listed(s, "%02x", between)
		out["0x "+between] = listed(s, "0x%02x", between)
		out[`\x `+between] = listed(s, `\x%02x`, between)
	}
	for _, between := range []string{" ", ",", ", ", ";", "."} {
		out["decimal "+between] = listed(s, "%d", between)
	}
	for _, between := range []string{" ", "-", ".", ":", ",", "_"} {
		out["spaced "+between] = strings.Join(strings.Split(s, ""), between)
	}
	return out
}

// exact are the forms in which case matters: of base64 and base32 the letters
// that a piece alone decides, wherever it stands in a longer text.
func exact(s string) map[string]string {
	out := map[string]string{}
	for _, text := range [...]string{s, wide(s, binary.LittleEndian)} {
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
	for i, c := range text {
		if c >= 'A' && c <= 'Z' {
			c += 'a' - 'A'
		}
		out[i] = c
	}
	return out
}

// mix spreads four bytes over the bits of Finder.maybe.
func mix(b []byte) uint32 {
	return (uint32(b[0]) | uint32(b[1])<<8 | uint32(b[2])<<16 | uint32(b[3])<<24) * 2654435761 >> 13
}
