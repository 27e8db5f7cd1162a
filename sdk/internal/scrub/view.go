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
	coded    bool    // it was decoded from something without words
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

// escape is one kind of them.
type escape struct {
	triggers string                       // the bytes without which no such code occurs
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

// chains are the escapes taken away at once, each of which hides
// nothing of the others: what one misreads, another does not.
var chains = [...]int{
	percents | slashes | entities | doubles,
	percents | ldaps | slashes | entities | doubles,
	percents | slashes | entities | printables | doubles,
	percents, slashes, entities,
}

// begun is the escapes that each byte may begin.
var begun = triggered()

func triggered() (of [256]uint8) {
	for index, escape := range escapes {
		for i := range len(escape.triggers) {
			of[escape.triggers[i]] |= 1 << index
		}
	}
	return of
}

// present returns the escapes that a text has.
func present(text string) (mask int) {
	for i := 0; i < len(text) && mask != allEscapes; i++ {
		open := int(begun[text[i]]) &^ mask
		for index := 0; open != 0; index, open = index+1, open>>1 {
			if open&1 == 0 {
				continue
			}
			if _, took := escapes[index].next(text[i:]); took > 0 {
				mask |= 1 << index
			}
		}
	}
	return mask
}

// eachDecoded calls do with the text behind each chain of escapes.
func eachDecoded(view view, plain bool, do func(view)) {
	mask := present(view.text)
	if mask == 0 {
		return
	}
	var done [len(chains)]int
	for index, chain := range chains {
		use := chain & mask
		if use == 0 || slices.Contains(done[:index], use) {
			continue
		}
		done[index] = use
		if w, changed := view.decode(use, plain); changed {
			do(w)
		}
	}
}

func (v view) decode(use int, plain bool) (view, bool) {
	builder := newBuilder(v, plain)
	changed := false
	for i := 0; i < len(v.text); {
		text, count := next(v.text[i:], use)
		if count == 0 {
			text, count = v.text[i:i+1], 1
		} else {
			changed = true
		}
		builder.add(text, i, i+count)
		i += count
	}
	return builder.view(), changed
}

func next(name string, use int) (string, int) {
	use &= int(begun[name[0]])
	for i := 0; use != 0; i, use = i+1, use>>1 {
		if use&1 == 0 {
			continue
		}
		if text, count := escapes[i].next(name); count > 0 {
			return text, count
		}
	}
	return "", 0
}

// plainForms returns the forms of a secret that text is compared with: as it
// is, and with the escapes taken away that it seems to have itself.
func plainForms(text string) []string {
	forms := []string{text}
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

func percent(text string) (string, int) {
	if len(text) < 3 {
		return "", 0
	}
	if count, err := strconv.ParseUint(text[1:3], 16, 8); err == nil {
		return string([]byte{byte(count)}), 3
	}
	if text[1] == 'u' || text[1] == 'U' { // of JavaScript's escape()
		return escapedUTF16(text)
	}
	return "", 0
}

// printable is quoted-printable.
func printable(text string) (string, int) {
	switch {
	case strings.HasPrefix(text, "=\n"):
		return "", 2
	case strings.HasPrefix(text, "=\r\n"):
		return "", 3
	case len(text) < 3:
		return "", 0
	}
	count, err := strconv.ParseUint(text[1:3], 16, 8)
	if err != nil {
		return "", 0
	}
	return string([]byte{byte(count)}), 3
}

// doubled is a quote twice where it stands for itself, and what shells make of
// one within quotes.
func doubled(text string) (string, int) {
	switch {
	case strings.HasPrefix(text, `'\''`), strings.HasPrefix(text, `"\""`):
		return text[:1], 4
	case strings.HasPrefix(text, `'"'"'`), strings.HasPrefix(text, `"'"'"`):
		return text[:1], 5
	case len(text) > 1 && text[0] == '^' && strings.IndexByte(`"^&|<>%!()`, text[1]) >= 0:
		return text[1:2], 2
	case len(text) > 1 && text[1] == text[0]:
		return text[:1], 2
	}
	return "", 0
}

// backslashHex is the escape of LDAP.
func backslashHex(text string) (string, int) {
	if len(text) < 3 {
		return "", 0
	}
	count, err := strconv.ParseUint(text[1:3], 16, 8)
	if err != nil {
		return "", 0
	}
	return string([]byte{byte(count)}), 3
}

// controls are the escapes of control characters.
var controls = [...]byte{'a': '\a', 'b': '\b', 'e': 0x1B, 'f': '\f', 'n': '\n', 'r': '\r', 't': '\t', 'v': '\v'}

// backslash knows the escapes of Go, JSON and C, and takes any other sign for
// itself.
func backslash(name string) (string, int) {
	if len(name) < 2 {
		return "", 0
	}
	switch char := name[1]; {
	case char == 'x':
		return escapedByte(name, 2, 4, 16)
	case char == 'u':
		return escapedUTF16(name)
	case char == 'U':
		return escapedRune(name, 10)
	case char >= '0' && char <= '7':
		if text, count := escapedByte(name, 1, 4, 8); count > 0 {
			return text, count
		}
		return "\x00", 2
	case int(char) < len(controls) && controls[char] != 0:
		return string(rune(controls[char])), 2
	case char == '\n':
		return "", 2
	case char >= ' ' && char < 0x7F && (char < 'A' || char > 'Z') && (char < 'a' || char > 'z') && (char < '0' || char > '9'):
		return name[1:2], 2
	}
	return "", 0
}

func escapedByte(text string, from, to, base int) (string, int) {
	if len(text) < to {
		return "", 0
	}
	count, err := strconv.ParseUint(text[from:to], base, 8)
	if err != nil {
		return "", 0
	}
	return string([]byte{byte(count)}), to
}

func escapedRune(text string, to int) (string, int) {
	if len(text) < to {
		return "", 0
	}
	count, err := strconv.ParseUint(text[2:to], 16, 32)
	if err != nil || count > utf8.MaxRune {
		return "", 0
	}
	return string(rune(count)), to
}

// escapedUTF16 is \uXXXX, twice for a character outside the first plane, and
// \u{X}.
func escapedUTF16(text string) (string, int) {
	const one = 6
	if len(text) > 2 && text[2] == '{' {
		end := strings.IndexByte(text[:min(len(text), 12)], '}')
		if end < 0 {
			return "", 0
		}
		return reference(text[3:end], 16, end+1)
	}
	hi, err := strconv.ParseUint(text[2:min(len(text), one)], 16, 16)
	if err != nil || len(text) < one {
		return "", 0
	}
	if utf16.IsSurrogate(rune(hi)) && len(text) >= 2*one && text[one:one+2] == text[:2] {
		if lo, err := strconv.ParseUint(text[one+2:2*one], 16, 16); err == nil {
			return string(utf16.DecodeRune(rune(hi), rune(lo))), 2 * one
		}
	}
	return string(rune(hi)), one
}

// entity knows the character references of HTML.
func entity(value string) (string, int) {
	end := strings.IndexByte(value[:min(len(value), 34)], ';')
	if end < 2 {
		return "", 0
	}
	switch name := value[1:end]; {
	case strings.HasPrefix(name, "#x"), strings.HasPrefix(name, "#X"):
		return reference(name[2:], 16, end+1)
	case name[0] == '#':
		return reference(name[1:], 10, end+1)
	}
	if text := html.UnescapeString(value[:end+1]); !strings.HasSuffix(text, ";") {
		return text, end + 1
	}
	return "", 0
}

func reference(digits string, base, count int) (string, int) {
	number, err := strconv.ParseUint(digits, base, 32)
	if err != nil || number > utf8.MaxRune {
		return "", 0
	}
	return string(rune(number)), count
}

// spaced returns what stands with one and the same sign between its
// characters.
func spaced(view view) (view, bool) {
	made := builder{of: view}
	for i := 0; i < len(view.text); {
		if count := addSpaced(&made, i); count > 0 {
			i += count
			continue
		}
		_, number := utf8.DecodeRuneInString(view.text[i:])
		i += number
	}
	w := made.view()
	w.coded = true
	return w, len(made.text) > 0
}

// addSpaced adds the run that starts at a place, of four characters at least,
// and returns how many bytes it takes.
func addSpaced(b *builder, at int) int {
	text := b.of.text
	_, first := utf8.DecodeRuneInString(text[at:])
	if at+first >= len(text) || !separates(text[at+first]) {
		return 0
	}
	sep, count, end := text[at+first], 1, at+first
	for end+1 < len(text) && text[end] == sep {
		_, number := utf8.DecodeRuneInString(text[end+1:])
		end += 1 + number
		count++
	}
	if count < 4 {
		return 0
	}
	for i := at; i < end; {
		_, count := utf8.DecodeRuneInString(text[i:])
		b.add(text[i:i+count], i, i+count)
		i += count + 1
	}
	b.add(string(barrier), end-1, end)
	return end - at
}

// separates reports whether a byte may stand between the characters of a word.
func separates(char byte) bool {
	return char < utf8.RuneSelf && (char < '0' || char > '9') && (char < 'A' || char > 'Z') && (char < 'a' || char > 'z')
}

// wide returns the text as UTF-16 of one order of bytes, from one of two places
// on.
func wide(view view, order binary.ByteOrder, at int) view {
	made := builder{of: view}
	for i := at; i+1 < len(view.text); {
		count := 2
		letter := rune(order.Uint16([]byte(view.text[i : i+2])))
		if utf16.IsSurrogate(letter) && i+3 < len(view.text) {
			letter, count = utf16.DecodeRune(letter, rune(order.Uint16([]byte(view.text[i+2:i+4])))), 4
		}
		made.add(string(letter), i, i+count)
		i += count
	}
	return made.view()
}
