package wire

import (
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// layers is how many encodings may lie over each other: JSON around a quoted
// text is two.
const layers = 2

// view is a text with its escapes taken away, and where each byte came from.
type view struct {
	text string
	from []int // of len(text)+1 places in the source; nil: the source itself
}

// source returns the place in the source text of a place in the view.
func (v view) source(i int) int {
	if v.from == nil {
		return i
	}
	return v.from[i]
}

// decoders are the escapes, and the byte without which there are none.
var decoders = []struct {
	trigger byte
	next    func(s string) (plain string, n int) // what s starts with, and how many bytes that takes; 0: nothing
}{
	{'%', percent},
	{'+', plus},
	{'\\', backslash},
	{'&', entity},
}

// eachView calls do with the text as it is and with every way of taking up to
// depth layers of escapes away.
func eachView(v view, depth int, do func(view)) {
	do(v)
	if depth == 0 {
		return
	}
	for _, d := range decoders {
		if strings.IndexByte(v.text, d.trigger) < 0 {
			continue
		}
		if w, changed := v.decode(d.next); changed {
			eachView(w, depth-1, do)
		}
	}
}

func (v view) decode(next func(string) (string, int)) (view, bool) {
	var out strings.Builder
	from := make([]int, 0, len(v.text)+1)
	changed := false
	for i := 0; i < len(v.text); {
		plain, n := next(v.text[i:])
		if n == 0 {
			plain, n = v.text[i:i+1], 1
		} else {
			changed = true
		}
		for range len(plain) {
			from = append(from, v.source(i))
		}
		out.WriteString(plain)
		i += n
	}
	return view{text: out.String(), from: append(from, v.source(len(v.text)))}, changed
}

func percent(s string) (string, int) {
	if len(s) < 3 || s[0] != '%' {
		return "", 0
	}
	n, err := strconv.ParseUint(s[1:3], 16, 8)
	if err != nil {
		return "", 0
	}
	return string([]byte{byte(n)}), 3
}

// plus is percent as in a query, where + is a space.
func plus(s string) (string, int) {
	if s[0] == '+' {
		return " ", 1
	}
	return percent(s)
}

// backslash knows the escapes of Go, JSON and C.
func backslash(s string) (string, int) {
	if len(s) < 2 || s[0] != '\\' {
		return "", 0
	}
	switch s[1] {
	case '"', '\'', '\\', '/', '`':
		return s[1:2], 2
	case 'a', 'b', 'f', 'n', 'r', 't', 'v':
		return map[byte]string{'a': "\a", 'b': "\b", 'f': "\f", 'n': "\n", 'r': "\r", 't': "\t", 'v': "\v"}[s[1]], 2
	case 'x':
		return escapedByte(s, 2, 4, 16)
	case 'u':
		return escapedUTF16(s)
	case 'U':
		return escapedRune(s, 10)
	}
	if s[1] >= '0' && s[1] <= '7' {
		return escapedByte(s, 1, 4, 8)
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

// escapedUTF16 is \uXXXX, twice for a character outside the first plane.
func escapedUTF16(s string) (string, int) {
	const one = 6
	hi, err := strconv.ParseUint(s[2:min(len(s), one)], 16, 16)
	if err != nil || len(s) < one {
		return "", 0
	}
	if utf16.IsSurrogate(rune(hi)) && len(s) >= 2*one && s[one:one+2] == `\u` {
		if lo, err := strconv.ParseUint(s[one+2:2*one], 16, 16); err == nil {
			return string(utf16.DecodeRune(rune(hi), rune(lo))), 2 * one
		}
	}
	return string(rune(hi)), one
}

// entity knows the character references of XML.
func entity(s string) (string, int) {
	end := strings.IndexByte(s[:min(len(s), 10)], ';')
	if s[0] != '&' || end < 2 {
		return "", 0
	}
	switch name := s[1:end]; {
	case name == "amp":
		return "&", end + 1
	case name == "lt":
		return "<", end + 1
	case name == "gt":
		return ">", end + 1
	case name == "quot":
		return `"`, end + 1
	case name == "apos":
		return "'", end + 1
	case strings.HasPrefix(name, "#x"), strings.HasPrefix(name, "#X"):
		return reference(name[2:], 16, end+1)
	case name[0] == '#':
		return reference(name[1:], 10, end+1)
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
