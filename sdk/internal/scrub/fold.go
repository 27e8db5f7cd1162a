package scrub

import (
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// unit is a character of a normal form, and where in the source it came from.
type unit struct {
	is       rune
	from, to int32
}

// stream is a text in normal form.
type stream []unit

func (s *stream) add(is rune, from, to int32) { *s = append(*s, unit{is, from, to}) }

// barrier is a unit that no secret has. It stands between parts that do not
// belong together.
const barrier = unicode.MaxRune

// alphanumeric takes barriers too: what they part is never neighbours.
func alphanumeric(u rune) bool { return letter(u) || digit(u) || u == barrier }

// mark reports whether a unit is the accent of the one before. Pieces pass over
// them; of what is found whole they tell one word from another.
func mark(u rune) bool { return u >= 0x300 && unicode.Is(unicode.M, u) }

func letter(u rune) bool {
	return u >= 'a' && u <= 'z' || u >= utf8.RuneSelf && unicode.IsLetter(u)
}

func digit(u rune) bool {
	return u >= '0' && u <= '9' || u >= utf8.RuneSelf && unicode.IsNumber(u)
}

// fold appends the normal form of a view. Blanks, line ends and + (a blank in
// queries) are ' '; what is not seen is nothing. Where nothing wide is looked
// for, bytes that are not UTF-8 are not asked for their letter.
func (s *stream) fold(v view, wide bool) {
	*s = (*s)[:0]
	for i := 0; i < len(v.text); {
		if c := v.text[i]; c < utf8.RuneSelf {
			if u := foldASCII(c); u != 0 {
				s.add(u, v.start(i), v.end(i))
			}
			i++
			continue
		}
		r, n := utf8.DecodeRuneInString(v.text[i:])
		if r == utf8.RuneError && n == 1 {
			r = latin1(v.text[i])
			if !wide {
				s.add(r|unseen, v.start(i), v.end(i))
				i++
				continue
			}
		}
		s.foldRune(r, v.start(i), v.end(i+n-1))
		i += n
	}
}

// unseen makes a unit of a byte that no secret has.
const unseen = 1 << 24

// latin1 is what a byte stands for that is not UTF-8.
func latin1(b byte) rune {
	if b < 0xA0 {
		return 0
	}
	return rune(b)
}

// foldASCII returns 0 for what is not seen.
func foldASCII(c byte) rune {
	switch {
	case c >= 'A' && c <= 'Z':
		return rune(c) + 'a' - 'A'
	case c > ' ' && c != '+' && c != 0x7F:
		return rune(c)
	case c == ' ' || c == '+' || c == '\n' || c == '\r' || c == '\t':
		return ' '
	}
	return 0
}

// foldRune appends a character that is not ASCII.
func (s *stream) foldRune(r rune, from, to int32) {
	switch {
	case r == barrier, r >= 0x3400 && r < 0xA000:
		s.add(r, from, to)
		return
	case r == 0 || r == utf8.RuneError:
		return
	}
	var buf [64]byte
	for _, d := range string(norm.NFKD.AppendString(buf[:0], string(r))) {
		s.foldPlain(d, from, to)
	}
}

// foldPlain appends a character that is not composed.
func (s *stream) foldPlain(r rune, from, to int32) {
	switch {
	case r < utf8.RuneSelf:
		if u := foldASCII(byte(r)); u != 0 {
			s.add(u, from, to)
		}
	case unicode.IsSpace(r):
		s.add(' ', from, to)
	case r == 'ß', r == 'ẞ':
		s.add('s', from, to)
		s.add('s', from, to)
	case !unicode.Is(unicode.C, r):
		s.add(unicode.ToLower(unicode.ToUpper(r)), from, to)
	}
}
