package password

import (
	_ "embed"
	"fmt"
	"math"
	"strings"
	"unicode"
)

// wordsText is the large word list of the Electronic Frontier Foundation, under
// the licence in words.LICENSE. No word begins another one, so that values of
// words can be told apart even without separators.
//
//go:embed words.txt
var wordsText string

// Words asks for values of several words of a list.
type Words struct {
	Count     int
	Separator string
}

// text says the demand.
func (w Words) text() string {
	return fmt.Sprintf("wants %s with %q between them", counted(w.Count, "word"), w.Separator)
}

// phrase makes values of words. Capitals, digits and symbols are added where
// the rules require them: the first letter of each word, and the end.
type phrase struct {
	limits *limits
	words  []string
	asked  Words
	upper  bool
	digits int
	marks  int    // symbols at the end
	mark   []rune // that they are taken from
	figure []rune // that the digits are taken from
}

// phraseOf returns the maker of values of words; ok says whether the rules
// leave the characters that it needs.
func phraseOf(limits *limits) (*phrase, bool) {
	sets := limits.sets()
	needs, ok := limits.needs(sets)
	if !ok {
		return nil, false
	}
	between := tallyOf([]rune(strings.Repeat(limits.phrase.Separator, limits.phrase.Count-1)))
	made := &phrase{limits: limits, words: strings.Fields(wordsText), asked: *limits.phrase, upper: needs.of[upper] > between.of[upper]}
	made.digits = max(0, needs.of[digit]-between.of[digit])
	made.marks = max(0, needs.of[symbol]-between.of[symbol])
	others := made.digits + made.marks + between.of[digit] + between.of[symbol]
	made.figure, made.mark = withoutLookAlikes(join(sets), sets[digit]), friendlyOf(sets[symbol])
	if missing := max(0, needs.nonLetters-others); len(sets[digit]) > 0 {
		made.digits += missing
	} else {
		made.marks += missing
	}
	return made, (made.digits == 0 || len(made.figure) > 0) && (made.marks == 0 || len(made.mark) > 0)
}

// friendlyOf returns the symbols safe to paste, or all without such.
func friendlyOf(set []rune) []rune {
	var nice []rune
	for _, letter := range set {
		if strings.ContainsRune(friendly, letter) {
			nice = append(nice, letter)
		}
	}
	if len(nice) == 0 {
		return set
	}
	return nice
}

// bits is the logarithm of the number of values.
func (p *phrase) bits() float64 {
	return float64(p.asked.Count)*math.Log2(float64(len(p.words))) +
		float64(p.digits)*math.Log2(float64(max(1, len(p.figure)))) + float64(p.marks)*math.Log2(float64(max(1, len(p.mark))))
}

// roll appends one of the values.
func (p *phrase) roll(dice *dice, text []rune) []rune {
	for i := range p.asked.Count {
		if i > 0 {
			text = append(text, []rune(p.asked.Separator)...)
		}
		for place, letter := range p.words[dice.below(len(p.words))] {
			if p.upper && place == 0 {
				letter = unicode.ToUpper(letter)
			}
			text = append(text, letter)
		}
	}
	for range p.digits {
		text = append(text, p.figure[dice.below(len(p.figure))])
	}
	for range p.marks {
		text = append(text, p.mark[dice.below(len(p.mark))])
	}
	return text
}

// longestWord is how many letters the words of the list have at most.
const longestWord = 9

// longest is how many characters a value has at most.
func (p *phrase) longest() int {
	return p.asked.Count*(longestWord+len(p.asked.Separator)) + p.digits + p.marks
}

// shape says what the values look like.
func (p *phrase) shape() string { return counted(p.asked.Count, "word") }
