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

// alphanumeric takes barriers too: the characters they part are never neighbours.
func alphanumeric(char rune) bool { return letter(char) || digit(char) || char == barrier }

// mark reports whether a unit is the accent of the one before. Pieces pass over
// them; in a secret found whole they tell one word from another.
func mark(letter rune) bool { return letter >= 0x300 && unicode.Is(unicode.M, letter) }

func letter(letter rune) bool {
	return letter >= 'a' && letter <= 'z' || letter >= utf8.RuneSelf && unicode.IsLetter(letter)
}

func digit(letter rune) bool {
	return letter >= '0' && letter <= '9' || letter >= utf8.RuneSelf && unicode.IsNumber(letter)
}

// fold appends the normal form of a view. Blanks, line ends and + (a blank in
// queries) are ' '; invisible characters are nothing. Where nothing wide is looked
// for, bytes outside UTF-8 are not asked for their letter.
func (s *stream) fold(view view, wide bool) {
	*s = (*s)[:0]
	for i := 0; i < len(view.text); {
		if char := view.text[i]; char < utf8.RuneSelf {
			if letter := foldASCII(char); letter != 0 {
				s.add(letter, view.start(i), view.end(i))
			}
			i++
			continue
		}
		r, count := utf8.DecodeRuneInString(view.text[i:])
		if r == utf8.RuneError && count == 1 {
			r = latin1(view.text[i])
			if !wide {
				s.add(r|unseen, view.start(i), view.end(i))
				i++
				continue
			}
		}
		s.foldRune(r, view.start(i), view.end(i+count-1))
		i += count
	}
}

// unseen makes a unit of a byte that no secret has.
const unseen = 1 << 24

// latin1 is the character of a byte outside UTF-8.
func latin1(value byte) rune {
	if value < 0xA0 {
		return 0
	}
	return rune(value)
}

// foldASCII returns 0 for invisible characters.
func foldASCII(char byte) rune {
	switch {
	case char >= 'A' && char <= 'Z':
		return rune(char) + 'a' - 'A'
	case char > ' ' && char != '+' && char != 0x7F:
		return rune(char)
	case char == ' ' || char == '+' || char == '\n' || char == '\r' || char == '\t':
		return ' '
	}
	return 0
}

// foldRune appends a character outside ASCII.
func (s *stream) foldRune(letter rune, from, to int32) {
	switch {
	case letter == barrier, letter >= 0x3400 && letter < 0xA000:
		s.add(letter, from, to)
		return
	case letter == 0 || letter == utf8.RuneError:
		return
	}
	var buf [64]byte
	for _, char := range string(norm.NFKD.AppendString(buf[:0], string(letter))) {
		s.foldPlain(char, from, to)
	}
}

// foldPlain appends an uncomposed character.
func (s *stream) foldPlain(letter rune, from, to int32) {
	switch {
	case letter < utf8.RuneSelf:
		if char := foldASCII(byte(letter)); char != 0 {
			s.add(char, from, to)
		}
	case unicode.IsSpace(letter):
		s.add(' ', from, to)
	case letter == 'ß', letter == 'ẞ':
		s.add('s', from, to)
		s.add('s', from, to)
	case !unicode.Is(unicode.C, letter):
		s.add(unicode.ToLower(unicode.ToUpper(letter)), from, to)
	}
}

// windows calls do with each window of the stream, blanks and accents passed over, and with
// each single letter and digit that differs, and the window's
// number.
func (s stream) windows(do func(roller *roller, at int)) {
	var all, alnum roller
	pure := 0 // letters and digits since the last sign
	for _, unit := range s {
		if !visible(unit.is) {
			continue
		}
		sign := !alphanumeric(unit.is)
		if sign {
			pure = 0
		} else {
			pure++
		}
		if all.push(unit) {
			do(&all, all.n-window)
		}
		if !sign && alnum.push(unit) && pure < window {
			do(&alnum, alnum.n-window)
		}
	}
}

// worded reports whether a window may consist of the letters a to z alone: only
// such a one may be ordinary.
func (s stream) worded() bool {
	letters := 0
	for _, unit := range s {
		switch {
		case unit.is >= 'a' && unit.is <= 'z':
			if letters++; letters == window {
				return true
			}
		case alphanumeric(unit.is):
			letters = 0
		}
	}
	return false
}
