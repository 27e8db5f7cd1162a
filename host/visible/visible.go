// Package visible shows hidden characters: control characters, which a terminal
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
func Hidden(letter rune) bool {
	switch {
	case letter == '\t' || letter == '\n' || letter >= ' ' && letter < 0x7F:
		return false
	case unicode.IsControl(letter), unicode.In(letter, unicode.Zl, unicode.Zp):
		return true
	case unicode.Is(unicode.Cf, letter):
		return !unicode.Is(unicode.Prepended_Concatenation_Mark, letter)
	}
	return unicode.In(letter, unicode.Variation_Selector, unicode.Other_Default_Ignorable_Code_Point) // drawn as nothing, fillers among them
}

// Find returns the place of the first hidden character, or -1.
func Find(text string) int { return strings.IndexFunc(text, Hidden) }

// Name is how messages call a hidden character.
func Name(letter rune) string {
	switch {
	case letter >= 0x202A && letter <= 0x202E, letter >= 0x2066 && letter <= 0x2069, letter == 0x200E, letter == 0x200F, letter == 0x61C:
		return fmt.Sprintf("U+%04X, which changes the order in which text is shown", letter)
	case unicode.IsControl(letter):
		return fmt.Sprintf("U+%04X, a control character", letter)
	}
	return fmt.Sprintf("U+%04X, which is not seen", letter)
}

// Escape shows hidden characters and bytes outside UTF-8 as \x1b, \u202e
// and \U000e0041. All else stays, backslashes included.
func Escape(text string) string {
	if utf8.ValidString(text) && Find(text) < 0 {
		return text
	}
	var out strings.Builder
	for i := 0; i < len(text); {
		letter, count := utf8.DecodeRuneInString(text[i:])
		switch {
		case letter == utf8.RuneError && count == 1:
			fmt.Fprintf(&out, `\x%02x`, text[i])
		case !Hidden(letter):
			out.WriteString(text[i : i+count])
		case letter < 0x80:
			fmt.Fprintf(&out, `\x%02x`, letter)
		case letter < 0x10000:
			fmt.Fprintf(&out, `\u%04x`, letter)
		default:
			fmt.Fprintf(&out, `\U%08x`, letter)
		}
		i += count
	}
	return out.String()
}

// Writer escapes its input. It is safe for concurrent use.
type Writer struct {
	To io.Writer

	mu   sync.Mutex
	half []byte // of a character whose rest was not written yet
}

// Write holds back half a character at the end.
func (w *Writer) Write(data []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	text := append(w.half, data...)
	whole := len(text) - incomplete(text)
	w.half = append([]byte(nil), text[whole:]...)
	if _, err := io.WriteString(w.To, Escape(string(text[:whole]))); err != nil {
		return 0, err
	}
	return len(data), nil
}

// incomplete is how many bytes at the end begin a character without ending it.
func incomplete(text []byte) int {
	for index := 1; index <= min(len(text), utf8.UTFMax-1); index++ {
		if last := text[len(text)-index:]; utf8.RuneStart(last[0]) {
			if utf8.FullRune(last) {
				return 0
			}
			return index
		}
	}
	return 0
}
