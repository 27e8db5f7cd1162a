package source

import (
	"bytes"
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/rekey-host/rekey/sdk/secret"
)

// cell makes a cell of a column from its text. The complaint does not quote
// the text of a guarded cell.
func (f forms) cell(column Column, text []byte, guarded bool) (any, *complaint) {
	if bad := controlIn(column, text); bad != nil {
		return nil, bad
	}
	switch {
	case column.Secret && len(text) == 0 && !column.Optional:
		return nil, emptySecret(column)
	case column.Secret:
		return secret.New(string(text)), nil
	case column.Type == String:
		return string(text), nil
	}
	cell, bad := f.typed(column, string(bytes.Trim(text, " \t")))
	if bad != nil && guarded {
		bad = &complaint{Message: fmt.Sprintf("column %q: not a value of type %s", column.Name, column.Type), Fix: f.howToWrite(column.Type)}
	}
	return cell, bad
}

// controlIn finds a control character. The lines of a text are its own, but a
// secret is one.
func controlIn(column Column, text []byte) *complaint {
	switch {
	case !hasControl(text):
		return nil
	case !hasControl(withoutBreaks(text)) && column.Secret:
		return brokenLine("secret column", column)
	case !hasControl(withoutBreaks(text)):
		return nil
	}
	return controlFlaw(column)
}

// brokenLine is the complaint of a key or a secret of several lines: the likely
// cause is a quote that belongs to a value before it.
func brokenLine(what string, column Column) *complaint {
	return &complaint{Message: fmt.Sprintf("%s %q has a line break", what, column.Name), Fix: "write it on one line; in a CSV file, a quote before it may not be closed"}
}

// withoutBreaks is the text without its line ends, LF and CRLF.
func withoutBreaks(text []byte) []byte {
	if bytes.IndexByte(text, '\n') < 0 {
		return text
	}
	return bytes.ReplaceAll(bytes.ReplaceAll(text, []byte("\r\n"), nil), []byte("\n"), nil)
}

func emptySecret(column Column) *complaint {
	return &complaint{Message: fmt.Sprintf("secret column %q is empty", column.Name), Fix: "fill it in, or list the column in optional="}
}

func controlFlaw(column Column) *complaint {
	return &complaint{Message: fmt.Sprintf("control character in column %q", column.Name), Fix: "remove it; a value is one line of text"}
}

// typed reads the text of a cell of a type other than String.
func (f forms) typed(column Column, text string) (any, *complaint) {
	if text == "" {
		return f.empty(column.Type), nil
	}
	switch column.Type {
	case Int:
		if count, err := strconv.ParseInt(text, 10, 64); err == nil {
			return count, nil
		}
		return nil, mistyped(column, text, f.howToWrite(Int))
	case Bool:
		if value, ok := f.truth(text); ok {
			return value, nil
		}
		return nil, mistyped(column, text, f.howToWrite(Bool))
	case Date:
		if at, err := time.Parse(f.layout, text); err == nil {
			return Day{at}, nil
		}
		return nil, f.noDay(column, text)
	}
	return text, nil
}

func mistyped(column Column, text, fix string) *complaint {
	return &complaint{Message: fmt.Sprintf("column %q: %q is not a value of type %s", column.Name, shorten(text), column.Type), Fix: fix}
}

// looksLikeDay reports whether the text is digits as in 2006-01-02.
func looksLikeDay(text string) bool {
	return len(text) == len(time.DateOnly) && strings.Trim(text[:4]+text[5:7]+text[8:], "0123456789") == "" && text[4] == '-' && text[7] == '-'
}

// shorten keeps messages on one line of a terminal.
func shorten(text string) string {
	const most = 40
	if utf8.RuneCountInString(text) <= most {
		return text
	}
	return string([]rune(text)[:most]) + "…"
}

func boolOf(text string) (value, ok bool) {
	for _, word := range []string{"true", "yes", "1"} {
		if equalASCII(text, word) {
			return true, true
		}
	}
	for _, word := range []string{"false", "no", "0"} {
		if equalASCII(text, word) {
			return false, true
		}
	}
	return false, false
}

// equalASCII compares with a lower-case word, ignoring the case of A to Z.
func equalASCII(text, word string) bool {
	if len(text) != len(word) {
		return false
	}
	for i := range len(text) {
		char := text[i]
		if 'A' <= char && char <= 'Z' {
			char += 'a' - 'A'
		}
		if char != word[i] {
			return false
		}
	}
	return true
}

func isControl(letter rune) bool { return unicode.IsControl(letter) }

// hasControl reports whether the text, valid UTF-8, holds a control character:
// of ASCII, or U+0080 to U+009F, whose first byte is C2.
func hasControl(text []byte) bool {
	for i, value := range text {
		if value < 0x20 || value == 0x7F || value == 0xC2 && text[i+1] < 0xA0 {
			return true
		}
	}
	return false
}

// textFlaw returns the flaw of a text that a script made, or nil.
func textFlaw(column Column, text string) *complaint {
	switch {
	case !utf8.ValidString(text):
		return &complaint{Message: fmt.Sprintf("column %q is not valid utf-8", column.Name)}
	case hasControl(withoutBreaks([]byte(text))):
		return controlFlaw(column)
	}
	return nil
}
