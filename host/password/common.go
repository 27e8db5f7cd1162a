package password

import (
	_ "embed"
	"strings"
	"unicode"
)

// commonText has the passwords that attackers try first, in lower case, sorted,
// one a line: those of zxcvbn-ts, under the licence in common.LICENSE, and a few
// of our own.
//
//go:embed common.txt
var commonText string

// longestCommon is how many characters the words of the list have at most:
// longer texts, as generated values are, are not looked up. Ten words of the
// source were longer.
const longestCommon = 16

// isCommon reports whether a text is a common password, in any case, or one
// with digits and symbols around it, as in Summer2026!.
func isCommon(text []rune) bool {
	core := text
	for len(core) > 0 && !unicode.IsLetter(core[0]) {
		core = core[1:]
	}
	for len(core) > 0 && !unicode.IsLetter(core[len(core)-1]) {
		core = core[:len(core)-1]
	}
	return listed(commonText, text) || len(core) < len(text) && listed(commonText, core)
}

// listed reports whether a sorted list has a text, in any case, as a line.
func listed(list string, text []rune) bool {
	var room [longestCommon]byte
	if len(text) == 0 || len(text) > longestCommon {
		return false
	}
	for i, letter := range text {
		if letter >= 0x80 {
			return false
		}
		room[i] = byte(unicode.ToLower(letter))
	}
	word := string(room[:len(text)])
	for low, high := 0, len(list); low < high; {
		middle := low + (high-low)/2
		start := strings.LastIndexByte(list[:middle], '\n') + 1
		line, _, _ := strings.Cut(list[start:], "\n")
		switch strings.Compare(line, word) {
		case 0:
			return true
		case -1:
			low = start + len(line) + 1
		default:
			high = start
		}
	}
	return false
}
