package password

import (
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/rekey-host/rekey/sdk"
)

// limits is what a set of rules leaves.
type limits struct {
	min, max   int // characters; max 0: any number
	bytes      int // 0: any number
	need       [classCount]int
	letters    int
	nonLetters int
	classes    int
	char       [classCount][]func(rune) bool // what a character of the class has to satisfy
	named      []rune                        // that some rule lists by itself
	told       []rune                        // of them, symbols that the script listed
	first      string                        // not as the first character
	repeat     int                           // 0: any
	sequence   int                           // 0: any
	words      []string                      // lower case
	noNames    bool
	noCommon   bool
	oneOf      []string // sets of which one character each has to occur
	phrase     *Words   // nil: characters
}

// strange finds characters that the rules do not allow.
func (l *limits) strange(text string) []sdk.Violation {
	var f findings
	for _, letter := range text {
		if classOf(letter) != none && !l.allows(letter) {
			f.add(sdk.RuleForbidden, 0, "contains a forbidden character")
			break
		}
	}
	return f
}

// most is the most characters that a value of the sets can have; negative: any
// number.
func (l *limits) most(sets [classCount][]rune) int {
	most := l.max
	switch {
	case most < 0:
		most = 0
	case most == 0:
		most = -1
	}
	if l.bytes > 0 {
		width := 1
		for _, letter := range join(sets) {
			width = max(width, utf8.RuneLen(letter))
		}
		if count := l.bytes / width; most < 0 || count < most {
			most = count
		}
	}
	if count := len(join(sets)); count == 1 && l.repeat > 0 && (most < 0 || l.repeat < most) {
		most = l.repeat
	}
	return most
}

// sets returns the characters of each class that the rules leave. Those that
// are not printable ASCII are there only where a rule names them and the class
// would be empty without.
func (l *limits) sets() [classCount][]rune {
	var sets [classCount][]rune
	add := func(all []rune, to func(class) bool) {
		for _, letter := range all {
			if class := classOf(letter); class != none && to(class) && l.allows(letter) && !slices.Contains(sets[class], letter) {
				sets[class] = append(sets[class], letter)
			}
		}
	}
	add(printable(), func(class) bool { return true })
	var empty [classCount]bool
	for index := range sets {
		empty[index] = len(sets[index]) == 0
	}
	seen := slices.DeleteFunc(slices.Clone(l.named), func(letter rune) bool { return letter != ' ' && !unicode.IsGraphic(letter) || unicode.IsMark(letter) })
	add(seen, func(c class) bool { return empty[c] })
	return sets
}

// needs returns what the rules require, with as many classes as they require;
// ok says whether the sets have characters for it.
func (l *limits) needs(sets [classCount][]rune) (n needs, ok bool) {
	n = needs{l.need, l.letters, l.nonLetters}
	for index := range sets {
		if n.of[index] > 0 && len(sets[index]) == 0 {
			return n, false
		}
	}
	if l.letters > 0 && len(sets[lower])+len(sets[upper]) == 0 || l.nonLetters > 0 && len(sets[digit])+len(sets[symbol]) == 0 {
		return n, false
	}
	for n.classes() < l.classes {
		if !n.another(sets) {
			return n, false
		}
	}
	return n, true
}

// met reports whether a value meets the limits.
func (l *limits) met(text []rune) bool {
	bytes, tally := 0, tallyOf(text)
	for i, letter := range text {
		bytes += utf8.RuneLen(letter)
		if !l.allows(letter) || i == 0 && strings.ContainsRune(l.first, letter) {
			return false
		}
	}
	for class, count := range l.need {
		if tally.of[class] < count {
			return false
		}
	}
	others := tally.of[digit] + tally.of[symbol]
	return len(text) >= l.min && (l.max == 0 || len(text) <= l.max) && (l.bytes == 0 || bytes <= l.bytes) &&
		tally.letters >= l.letters && others >= l.nonLetters && tally.classes() >= l.classes && l.orderly(text)
}

// orderly reports whether a value meets the limits of runs, words and sets.
func (l *limits) orderly(text []rune) bool {
	return (l.repeat == 0 || longestRepeat(text) <= l.repeat) && (l.sequence == 0 || longestSequence(text) <= l.sequence) &&
		!slices.ContainsFunc(l.words, func(word string) bool { return containsFolded(text, word) }) && hasOneOfEach(text, l.oneOf)
}

// allows reports whether every rule allows the character.
func (l *limits) allows(letter rune) bool {
	class := classOf(letter)
	if class == none || !utf8.ValidRune(letter) {
		return false
	}
	for _, ok := range l.char[class] {
		if !ok(letter) {
			return false
		}
	}
	return true
}
