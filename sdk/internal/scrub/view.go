package scrub

import (
	"encoding/binary"
	"html"
	"slices"
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// layers is how many escapes may lie over each other.
const layers = 4

// view is a text with something taken away, and where each byte came from.
type view struct {
	text     string
	from, to []int32 // of each byte, in the source; nil: the source itself
	depth    int     // how many layers were taken away
	coded    bool    // it was decoded from something that has no words
}

func (v view) start(i int) int32 {
	if v.from == nil {
		return int32(i)
	}
	return v.from[i]
}

func (v view) end(i int) int32 {
	if v.to == nil {
		return int32(i + 1)
	}
	return v.to[i]
}

// builder makes a view of a view.
type builder struct {
	of       view
	text     []byte
	from, to []int32
	plain    bool // the texts alone are wanted
}

// add appends bytes that stand for what is at from..to of the view below.
func (b *builder) add(bytes string, from, to int) {
	b.text = append(b.text, bytes...)
	if b.plain {
		return
	}
	start, end := b.of.start(from), b.of.end(to-1)
	for range len(bytes) {
		b.from, b.to = append(b.from, start), append(b.to, end)
	}
}

func newBuilder(of view, plain bool) *builder {
	b := &builder{of: of, plain: plain, text: make([]byte, 0, len(of.text))}
	if !plain {
		b.from, b.to = make([]int32, 0, len(of.text)), make([]int32, 0, len(of.text))
	}
	return b
}

// reset makes room for another view.
func (b *builder) reset(of view) {
	b.of, b.text, b.from, b.to = of, b.text[:0], b.from[:0], b.to[:0]
}

func (b *builder) view() view {
	return view{text: string(b.text), from: b.from, to: b.to, depth: b.of.depth + 1, coded: b.of.coded}
}

// escape is one kind of them.
type escape struct {
	triggers string                       // the bytes without which there are none
	next     func(s string) (string, int) // what s starts with, and how many bytes that takes; 0: nothing
}

// The escapes. The order matters: in a chain the first that fits counts.
const (
	percents = 1 << iota
	ldaps
	slashes
	entities
	printables
	doubles
	allEscapes = 1<<iota - 1
)

var escapes = [...]escape{
	{"%", percent},
	{`\`, backslashHex},
	{`\`, backslash},
	{"&", entity},
	{"=", printable},
	{"'\"`%$]}^", doubled},
}

// chains are the escapes that are taken away at once, each of which hides
// nothing of the others: what one misreads, another does not.
var chains = [...]int{
	percents | slashes | entities | doubles,
	percents | ldaps | slashes | entities | doubles,
	percents | slashes | entities | printables | doubles,
	percents, slashes, entities,
}

// present returns the escapes that a text has.
func present(text string) (mask int) {
	for i := 0; i < len(text) && mask != allEscapes; i++ {
		if unescaped(text[i]) {
			continue
		}
		for n := range escapes {
			if mask&(1<<n) == 0 && strings.IndexByte(escapes[n].triggers, text[i]) >= 0 {
				if _, took := escapes[n].next(text[i:]); took > 0 {
					mask |= 1 << n
				}
			}
		}
	}
	return mask
}

// unescaped reports whether a byte begins no escape.
func unescaped(c byte) bool {
	return c >= utf8.RuneSelf || c >= '0' && c <= '9' || c >= 'A' && c <= 'Z' || c >= 'a' && c <= 'z' || c <= ' '
}

// eachDecoded calls do with the text behind each chain of escapes.
func eachDecoded(v view, plain bool, do func(view)) {
	mask := present(v.text)
	if mask == 0 {
		return
	}
	var done [len(chains)]int
	for n, chain := range chains {
		use := chain & mask
		if use == 0 || slices.Contains(done[:n], use) {
			continue
		}
		done[n] = use
		if w, changed := v.decode(use, plain); changed {
			do(w)
		}
	}
}

func (v view) decode(use int, plain bool) (view, bool) {
	b := newBuilder(v, plain)
	changed := false
	for i := 0; i < len(v.text); {
		text, n := next(v.text[i:], use)
		if n == 0 {
			text, n = v.text[i:i+1], 1
		} else {
			changed = true
		}
		b.add(text, i, i+n)
		i += n
	}
	return b.view(), changed
}

func next(s string, use int) (string, int) {
	c := s[0]
	if unescaped(c) {
		return "", 0
	}
	for i := range escapes {
		if use&(1<<i) == 0 || strings.IndexByte(escapes[i].triggers, c) < 0 {
			continue
		}
		if text, n := escapes[i].next(s); n > 0 {
			return text, n
		}
	}
	return "", 0
}

// plainForms returns the forms of a secret that text is compared with: as it
// is, and with the escapes taken away that it seems to have itself.
func plainForms(s string) []string {
	forms := []string{s}
	for at := 0; at < len(forms) && len(forms) < 8; at++ {
		eachDecoded(view{text: forms[at]}, true, func(v view) {
			for _, have := range forms {
				if have == v.text {
					return
				}
			}
			forms = append(forms, v.text)
		})
	}
	return forms
}

func percent(s string) (string, int) {
	if len(s) < 3 {
		return "", 0
	}
	if n, err := strconv.ParseUint(s[1:3], 16, 8); err == nil {
		return string([]byte{byte(n)}), 3
	}
	if s[1] == 'u' || s[1] == 'U' { // of JavaScript's escape()
		return escapedUTF16(s)
	}
	return "", 0
}

// printable is quoted-printable.
func printable(s string) (string, int) {
	switch {
	case strings.HasPrefix(s, "=\n"):
		return "", 2
	case strings.HasPrefix(s, "=\r\n"):
		return "", 3
	case len(s) < 3:
		return "", 0
	}
	n, err := strconv.ParseUint(s[1:3], 16, 8)
	if err != nil {
		return "", 0
	}
	return string([]byte{byte(n)}), 3
}

// doubled is a quote twice where it stands for itself, and what shells make of
// one within quotes.
func doubled(s string) (string, int) {
	switch {
	case strings.HasPrefix(s, `'\''`), strings.HasPrefix(s, `"\""`):
		return s[:1], 4
	case strings.HasPrefix(s, `'"'"'`), strings.HasPrefix(s, `"'"'"`):
		return s[:1], 5
	case len(s) > 1 && s[0] == '^' && strings.IndexByte(`"^&|<>%!()`, s[1]) >= 0:
		return s[1:2], 2
	case len(s) > 1 && s[1] == s[0]:
		return s[:1], 2
	}
	return "", 0
}

// backslashHex is the escape of LDAP.
func backslashHex(s string) (string, int) {
	if len(s) < 3 {
		return "", 0
	}
	n, err := strconv.ParseUint(s[1:3], 16, 8)
	if err != nil {
		return "", 0
	}
	return string([]byte{byte(n)}), 3
}

// controls are the escapes of control characters.
var controls = [...]byte{'a': '\a', 'b': '\b', 'e': 0x1B, 'f': '\f', 'n': '\n', 'r': '\r', 't': '\t', 'v': '\v'}

// backslash knows the escapes of Go, JSON and C, and takes any other sign for
// itself.
func backslash(s string) (string, int) {
	if len(s) < 2 {
		return "", 0
	}
	switch c := s[1]; {
	case c == 'x':
		return escapedByte(s, 2, 4, 16)
	case c == 'u':
		return escapedUTF16(s)
	case c == 'U':
		return escapedRune(s, 10)
	case c >= '0' && c <= '7':
		if text, n := escapedByte(s, 1, 4, 8); n > 0 {
			return text, n
		}
		return "\x00", 2
	case int(c) < len(controls) && controls[c] != 0:
		return string(rune(controls[c])), 2
	case c == '\n':
		return "", 2
	case c >= ' ' && c < 0x7F && (c < 'A' || c > 'Z') && (c < 'a' || c > 'z') && (c < '0' || c > '9'):
		return s[1:2], 2
	}
	return "", 0
}

func escapedByte(s string, from, to, base int) (string, int) {
	if len(s) < to {
		return "", 0
	}
	n, err := strconv.ParseUint(s[from:to], base, 8)
	if err != nil {
		return "", 0
	}
	return string([]byte{byte(n)}), to
}

func escapedRune(s string, to int) (string, int) {
	if len(s) < to {
		return "", 0
	}
	n, err := strconv.ParseUint(s[2:to], 16, 32)
	if err != nil || n > utf8.MaxRune {
		return "", 0
	}
	return string(rune(n)), to
}

// escapedUTF16 is \uXXXX, twice for a character outside the first plane, and
// \u{X}.
func escapedUTF16(s string) (string, int) {
	const one = 6
	if len(s) > 2 && s[2] == '{' {
		end := strings.IndexByte(s[:min(len(s), 12)], '}')
		if end < 0 {
			return "", 0
		}
		return reference(s[3:end], 16, end+1)
	}
	hi, err := strconv.ParseUint(s[2:min(len(s), one)], 16, 16)
	if err != nil || len(s) < one {
		return "", 0
	}
	if utf16.IsSurrogate(rune(hi)) && len(s) >= 2*one && s[one:one+2] == s[:2] {
		if lo, err := strconv.ParseUint(s[one+2:2*one], 16, 16); err == nil {
			return string(utf16.DecodeRune(rune(hi), rune(lo))), 2 * one
		}
	}
	return string(rune(hi)), one
}

// entity knows the character references of HTML.
func entity(s string) (string, int) {
	end := strings.IndexByte(s[:min(len(s), 34)], ';')
	if end < 2 {
		return "", 0
	}
	switch name := s[1:end]; {
	case strings.HasPrefix(name, "#x"), strings.HasPrefix(name, "#X"):
		return reference(name[2:], 16, end+1)
	case name[0] == '#':
		return reference(name[1:], 10, end+1)
	}
	if text := html.UnescapeString(s[:end+1]); !strings.HasSuffix(text, ";") {
		return text, end + 1
	}
	return "", 0
}

func reference(digits string, base, n int) (string, int) {
	r, err := strconv.ParseUint(digits, base, 32)
	if err != nil || r > utf8.MaxRune {
		return "", 0
	}
	return string(rune(r)), n
}

// spaced returns what stands with one and the same sign between its
// characters.
func spaced(v view) (view, bool) {
	b := builder{of: v}
	for i := 0; i < len(v.text); {
		if n := b.spacedRun(i); n > 0 {
			i += n
			continue
		}
		_, n := utf8.DecodeRuneInString(v.text[i:])
		i += n
	}
	w := b.view()
	w.coded = true
	return w, len(b.text) > 0
}

// spacedRun adds the run that starts at a place, of four characters at least,
// and returns how many bytes it takes.
func (b *builder) spacedRun(at int) int {
	text := b.of.text
	_, first := utf8.DecodeRuneInString(text[at:])
	if at+first >= len(text) || !separates(text[at+first]) {
		return 0
	}
	sep, count, end := text[at+first], 1, at+first
	for end+1 < len(text) && text[end] == sep {
		_, n := utf8.DecodeRuneInString(text[end+1:])
		end += 1 + n
		count++
	}
	if count < 4 {
		return 0
	}
	for i := at; i < end; {
		_, n := utf8.DecodeRuneInString(text[i:])
		b.add(text[i:i+n], i, i+n)
		i += n + 1
	}
	b.add(string(barrier), end-1, end)
	return end - at
}

// separates reports whether a byte may stand between the characters of a word.
func separates(c byte) bool {
	return c < utf8.RuneSelf && (c < '0' || c > '9') && (c < 'A' || c > 'Z') && (c < 'a' || c > 'z')
}

// wide returns the text as UTF-16 of one order of bytes, from one of two places
// on.
func wide(v view, order binary.ByteOrder, at int) view {
	b := builder{of: v}
	for i := at; i+1 < len(v.text); {
		n := 2
		r := rune(order.Uint16([]byte(v.text[i : i+2])))
		if utf16.IsSurrogate(r) && i+3 < len(v.text) {
			r, n = utf16.DecodeRune(r, rune(order.Uint16([]byte(v.text[i+2:i+4])))), 4
		}
		b.add(string(r), i, i+n)
		i += n
	}
	return b.view()
}
