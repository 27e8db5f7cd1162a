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
	none class = -1 // a letter without case: never counted and never generated
)

func classes() []class { return []class{lower, upper, digit, symbol} }

// classOf returns the class of a character.
func classOf(letter rune) class {
	switch {
	case unicode.IsLower(letter):
		return lower
	case unicode.IsUpper(letter):
		return upper
	case unicode.IsDigit(letter):
		return digit
	case unicode.IsLetter(letter):
		return none
	}
	return symbol
}

// many names count characters of the class.
func (c class) many(count int) string {
	one := [...]string{"lower-case letter", "upper-case letter", "digit", "symbol"}[c]
	if count == 1 {
		return article(one) + " " + one
	}
	return fmt.Sprintf("%d %ss", count, one)
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
	for index := rune('!'); index <= '~'; index++ {
		all = append(all, index)
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
// characters: one alone is not mistaken for another.
func withoutLookAlikes(all, set []rune) []rune {
	return slices.DeleteFunc(slices.Clone(set), func(letter rune) bool {
		for _, group := range lookAlikes() {
			if strings.ContainsRune(group, letter) && members(group, all) > 1 {
				return true
			}
		}
		return false
	})
}

func members(group string, all []rune) int {
	count := 0
	for _, letter := range group {
		if slices.Contains(all, letter) {
			count++
		}
	}
	return count
}

// unsafeFirst are characters that make a spreadsheet run what follows.
const unsafeFirst = "=+-@\t\r"
