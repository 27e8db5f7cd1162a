package tree

import (
	"bytes"
	"fmt"
	"unicode/utf8"

	"github.com/rekey-host/rekey/host/diag"
)

// MaxDigits is how many digits a number of a script has at most: whatever is made
// of longer ones takes longer than they are long.
const MaxDigits = 100_000

// longNumber finds a number that the scanner would work on for long. Nothing
// else is found: mistakes in the text are for the scanner to tell.
func longNumber(file string, text []byte) *diag.Problem {
	for at := 0; at < len(text); {
		end := at + token(text[at:])
		if isDigit(text[at]) && end-at > MaxDigits {
			return tooLong(file, text, at)
		}
		at = end
	}
	return nil
}

func tooLong(file string, text []byte, at int) *diag.Problem {
	lines := Lines(string(text[:at]))
	return &diag.Problem{File: file, Line: len(lines), Column: len(lines[len(lines)-1]) + 1,
		Message: fmt.Sprintf("a number of more than %d digits", MaxDigits), Fix: "put it into quotes, if it is a text"}
}

// token is how long the token is that a text begins with, or the comment.
func token(text []byte) int {
	switch char := text[0]; {
	case char == '#':
		return until(text, '\n')
	case char == '"' || char == '\'':
		return quoted(text)
	case isDigit(char):
		return run(text, func(octet byte) bool { return isWord(octet) || octet == '.' })
	case isWord(char):
		return run(text, isWord)
	}
	return 1
}

// quoted is how long the text in quotes is that a text begins with. One whose
// quotes do not end goes to the end of the line.
func quoted(text []byte) int {
	mark, isLine := text[:1], true
	if three := bytes.Repeat(mark, 3); bytes.HasPrefix(text, three) {
		mark, isLine = three, false
	}
	for at := len(mark); at < len(text); at++ {
		switch {
		case text[at] == '\\':
			at++
		case isLine && text[at] == '\n':
			return at
		case bytes.HasPrefix(text[at:], mark):
			return at + len(mark)
		}
	}
	return len(text)
}

func until(text []byte, end byte) int {
	if i := bytes.IndexByte(text, end); i >= 0 {
		return i
	}
	return len(text)
}

func run(text []byte, of func(byte) bool) int {
	for i, char := range text {
		if !of(char) {
			return i
		}
	}
	return len(text)
}

func isDigit(char byte) bool { return '0' <= char && char <= '9' }

// isWord reports whether a byte may be of a name.
func isWord(char byte) bool {
	return isDigit(char) || char == '_' || 'a' <= char && char <= 'z' || 'A' <= char && char <= 'Z' || char >= utf8.RuneSelf
}
