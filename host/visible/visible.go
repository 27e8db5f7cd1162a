// Package visible shows what is not seen: control characters, which a terminal
// obeys, and characters that change the order or the look of others and leave
// no mark themselves. It knows nothing of where a text goes.
package visible

import (
	"fmt"
	"io"
	"strings"
	"sync"
	"unicode"
	"unicode/utf8"
)

// Hidden reports whether a character is not seen, or says how others are shown:
// controls, bidi controls, joiners, blanks of no width, tags, variation selectors. Ordinary blanks,
// tabs and line ends are not meant, nor signs of scripts that enclose digits.
func Hidden(r rune) bool {
	switch {
	case r == '\t' || r == '\n' || r >= ' ' && r < 0x7F:
		return false
	case unicode.IsControl(r), unicode.In(r, unicode.Zl, unicode.Zp):
		return true
	case unicode.Is(unicode.Cf, r):
		return !unicode.Is(unicode.Prepended_Concatenation_Mark, r)
	}
	return unicode.In(r, unicode.Variation_Selector, unicode.Other_Default_Ignorable_Code_Point) // what is drawn as nothing, fillers among it
}

// Find returns the place of the first hidden character, -1 if there is none.
func Find(text string) int { return strings.IndexFunc(text, Hidden) }

// Name is how messages call a hidden character.
func Name(r rune) string {
	switch {
	case r >= 0x202A && r <= 0x202E, r >= 0x2066 && r <= 0x2069, r == 0x200E, r == 0x200F, r == 0x61C:
		return fmt.Sprintf("U+%04X, which changes the order in which text is shown", r)
	case unicode.IsControl(r):
		return fmt.Sprintf("U+%04X, a control character", r)
	}
	return fmt.Sprintf("U+%04X, which is not seen", r)
}

// Escape shows hidden characters and bytes that are not UTF-8 as \x1b, \u202e
// and \U000e0041. All else stays, backslashes included.
func Escape(text string) string {
	if utf8.ValidString(text) && Find(text) < 0 {
		return text
	}
	var b strings.Builder
	for i := 0; i < len(text); {
		r, n := utf8.DecodeRuneInString(text[i:])
		switch {
		case r == utf8.RuneError && n == 1:
			fmt.Fprintf(&b, `\x%02x`, text[i])
		case !Hidden(r):
			b.WriteString(text[i : i+n])
		case r < 0x80:
			fmt.Fprintf(&b, `\x%02x`, r)
		case r < 0x10000:
			fmt.Fprintf(&b, `\u%04x`, r)
		default:
			fmt.Fprintf(&b, `\U%08x`, r)
		}
		i += n
	}
	return b.String()
}

// Writer escapes what is written to it. It is safe for concurrent use.
type Writer struct {
	To io.Writer

	mu   sync.Mutex
	half []byte // of a character whose rest was not written yet
}

// Write holds back half a character at the end.
func (w *Writer) Write(b []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	text := append(w.half, b...)
	whole := len(text) - incomplete(text)
	w.half = append([]byte(nil), text[whole:]...)
	if _, err := io.WriteString(w.To, Escape(string(text[:whole]))); err != nil {
		return 0, err
	}
	return len(b), nil
}

// incomplete is how many bytes at the end begin a character without ending it.
func incomplete(text []byte) int {
	for n := 1; n <= min(len(text), utf8.UTFMax-1); n++ {
		if last := text[len(text)-n:]; utf8.RuneStart(last[0]) {
			if utf8.FullRune(last) {
				return 0
			}
			return n
		}
	}
	return 0
}
