package password

import (
	_ "embed"
	"strings"
	"unicode"
)

//go:embed common.txt
var commonText string

// longestCommon is how long the words of the list are at most: nothing longer is
// looked up.
const longestCommon = 13

// commonPasswords returns the passwords that attackers try first, in lower case.
func commonPasswords() map[string]bool {
	lines := strings.Fields(commonText)
	all := make(map[string]bool, len(lines))
	for _, word := range lines {
		all[word] = true
	}
	return all
}

// isCommon reports whether a text is a common password, in any case, or one
// with digits and symbols around it, as in Summer2026!.
func isCommon(common map[string]bool, text []rune) bool {
	var low [longestCommon]byte
	core := text
	for len(core) > 0 && !unicode.IsLetter(core[0]) {
		core = core[1:]
	}
	for len(core) > 0 && !unicode.IsLetter(core[len(core)-1]) {
		core = core[:len(core)-1]
	}
	for _, list := range [][]rune{text, core} {
		if len(list) > longestCommon {
			continue
		}
		ascii := true
		for i, letter := range list {
			ascii = ascii && letter < 0x80
			low[i] = byte(unicode.ToLower(letter))
		}
		if ascii && common[string(low[:len(list)])] {
			return true
		}
	}
	return false
}
