package password

import (
	"fmt"
	"slices"
	"strings"
	"unicode"
)

// class is one of the kinds of characters that policies count.
type class int

const (
	lower class = iota
	upper
	digit
	symbol
	classCount
	none class = -1 // a letter without case: it is counted by nobody and never generated
)

func classes() []class { return []class{lower, upper, digit, symbol} }

// classOf returns the class of a character.
func classOf(r rune) class {
	switch {
	case unicode.IsLower(r):
		return lower
	case unicode.IsUpper(r):
		return upper
	case unicode.IsDigit(r):
		return digit
	case unicode.IsLetter(r):
		return none
	}
	return symbol
}

// many names n characters of the class.
func (c class) many(n int) string {
	one := [...]string{"lower-case letter", "upper-case letter", "digit", "symbol"}[c]
	if n == 1 {
		return article(one) + " " + one
	}
	return fmt.Sprintf("%d %ss", n, one)
}

func article(noun string) string {
	if strings.HasPrefix(noun, "u") {
		return "an"
	}
	return "a"
}

// plural names all characters of the class.
func (c class) plural() string {
	return [...]string{"lower-case letters", "upper-case letters", "digits", "symbols"}[c]
}

// printable returns the characters of ASCII that can be seen, in order.
func printable() []rune {
	var all []rune
	for r := rune('!'); r <= '~'; r++ {
		all = append(all, r)
	}
	return all
}

// friendly are the symbols that neither shells, nor URLs, nor CSV, nor markup
// treat as their own inside a value. They are preferred where a policy leaves
// the choice: a dozen more symbols would add a tenth of a bit a character.
const friendly = "!#%*+-.=?_~"

// lookAlikes are groups of characters that people take for each other.
func lookAlikes() []string { return []string{"0O", "1lI|", "'`"} }

// withoutLookAlikes leaves out the groups of which two or more are among all
// characters: of one alone, nobody takes it for another.
func withoutLookAlikes(all, set []rune) []rune {
	return slices.DeleteFunc(slices.Clone(set), func(r rune) bool {
		for _, group := range lookAlikes() {
			if strings.ContainsRune(group, r) && members(group, all) > 1 {
				return true
			}
		}
		return false
	})
}

func members(group string, all []rune) int {
	n := 0
	for _, r := range group {
		if slices.Contains(all, r) {
			n++
		}
	}
	return n
}

// unsafeFirst are characters that make a spreadsheet run what follows.
const unsafeFirst = "=+-@\t\r"
