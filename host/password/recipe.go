package password

import (
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/rekey-host/rekey/host/diag"
	"github.com/rekey-host/rekey/sdk"
	"github.com/rekey-host/rekey/sdk/secret"
)

const (
	// leastLikely: one value in so many at least meets a recipe's rules.
	leastLikely = 500
	// accepted is how many values that meet them are counted to know how many
	// do not: the loss in bits is right to a twentieth.
	accepted = 1000
	// attempts is how many values are made before Generate gives up. Of a
	// recipe that one value in 500 meets, it gives up once in e^131 times:
	// only names that leave nothing make it.
	attempts = 1 << 16
)

// Recipe makes values that meet all rules it was combined from. It does not
// change and is safe for concurrent use.
type Recipe struct {
	length   int
	sets     [classCount][]rune
	counts   *counts
	first    string // not as the first character
	repeat   int    // 0: any
	sequence int    // 0: any
	words    []string
	oneOf    []string
	phrase   *phrase   // nil: characters
	breached *Breached // nil: any
	noNames  bool
	noRuns   bool    // of a PIN: in repeat and sequence already
	common   bool    // common passwords are refused
	loss     float64 // bits that discarding values takes
	dropped  []string
	rules    []RuleText
	check    func(text string, names []string) []sdk.Violation
}

// RuleText is one rule in words, and whose it is: a backend's label, "the script" or
// "rekey".
type RuleText struct {
	Owner string `json:"owner"`
	Rule  string `json:"rule"`
}

// Rules returns the rules that the recipe combines, in the order of their owners: the
// script, the backends, rekey.
func (r *Recipe) Rules() []RuleText { return r.rules }

// Shape says what a value looks like: "20 characters", "6 words".
func (r *Recipe) Shape() string {
	if r.phrase != nil {
		return r.phrase.shape()
	}
	return counted(r.length, "character")
}

// Entropy returns the bits of a value. All values of the length that have the
// needed characters of each class are equally likely, so it is the
// logarithm of their number, exactly; less what the other rules (first
// character, runs, words, common passwords) take, which is measured when the
// recipe is made, to a twentieth of a bit. What a user's names take is not in
// it.
func (r *Recipe) Entropy() float64 {
	if r.phrase != nil {
		return r.phrase.bits() - r.loss
	}
	return r.counts.bits - r.loss
}

// Dropped returns the wishes that gave way to demands, each as "wish: why".
func (r *Recipe) Dropped() []string { return slices.Clone(r.dropped) }

// Check returns what a value breaks of the demands that the recipe was made
// of, and of the wishes beyond its make: names in it, where the
// script does not allow them, and common passwords (sdk.RuleDictionary).
func (r *Recipe) Check(value secret.Value, names []string) []sdk.Violation {
	return r.check(value.Reveal(), names)
}

// Generate returns a new value: how many characters of each class it has, a
// shuffle of the classes, then a character of its class at each place. Values
// that break a rule about more than counts are discarded whole, so that those
// that remain are equally likely too. names must not occur in it,
// ignoring case; empty ones do not count. It fails if the reader does, and if
// names leave hardly any value. It may be called concurrently if rand may be
// read so.
func (r *Recipe) Generate(rand io.Reader, names []string) (secret.Value, error) {
	made := &dice{from: rand}
	var room [32]rune
	text := room[:0]
	if most := r.longest(); most > len(room) {
		text = make([]rune, 0, most)
	}
	defer func() { clear(text[:cap(text)]); clear(made.buf[:]) }()
	for range attempts {
		text = r.draw(made, text[:0])
		if made.err != nil {
			return secret.Value{}, fmt.Errorf("password: random bytes: %w", made.err)
		}
		if !r.meets(text) || r.names(text, names) {
			continue
		}
		breached, err := r.isBreached(text)
		if err != nil {
			return secret.Value{}, fmt.Errorf("password: %w", err)
		}
		if !breached {
			return secret.New(string(text)), nil
		}
	}
	return secret.Value{}, fmt.Errorf("password: in %d attempts no value without the user's names in it", attempts)
}

// isBreached reports whether a value is in the list of breached passwords.
func (r *Recipe) isBreached(text []rune) (bool, error) {
	if r.breached == nil {
		return false, nil
	}
	return r.breached.Holds(string(text))
}

// longest is how many characters a value has at most.
func (r *Recipe) longest() int {
	if r.phrase != nil {
		return r.phrase.longest()
	}
	return r.length
}

// draw appends one of the values that have the needed characters, or words.
func (r *Recipe) draw(dice *dice, text []rune) []rune {
	if r.phrase != nil {
		return r.phrase.roll(dice, text)
	}
	text = slices.Grow(text, r.length)[:r.length]
	r.roll(dice, text)
	return text
}

// names reports whether one of the names is in a value that must not hold them.
func (r *Recipe) names(text []rune, names []string) bool {
	if !r.noNames {
		return false
	}
	for _, name := range names {
		if name != "" && len(name) <= 4*len(text) && containsFolded(text, diag.Fold(name)) {
			return true
		}
	}
	return false
}

// roll fills text with one of the values that have the needed characters.
func (r *Recipe) roll(dice *dice, text []rune) {
	n := r.counts.pick(dice)
	place := 0
	for index := range n {
		for range n[index] {
			text[place] = rune(index)
			place++
		}
	}
	for i := len(text) - 1; i > 0; i-- {
		other := dice.below(i + 1)
		text[i], text[other] = text[other], text[i]
	}
	for i, letter := range text {
		text[i] = r.sets[letter][dice.below(len(r.sets[letter]))]
	}
}

// meets reports whether a value meets the rules beyond counts.
func (r *Recipe) meets(text []rune) bool {
	if r.phrase != nil {
		return r.phrase.limits.met(text) && !(r.common && isCommon(text))
	}
	switch {
	case strings.ContainsRune(r.first, text[0]),
		r.repeat > 0 && longestRepeat(text) > r.repeat,
		r.sequence > 0 && longestSequence(text) > r.sequence,
		r.common && isCommon(text),
		!hasOneOfEach(text, r.oneOf):
		return false
	}
	for _, word := range r.words {
		if containsFolded(text, word) {
			return false
		}
	}
	return true
}

// calibrate measures how many values the rules discard, with random numbers
// the same every time; it reports whether enough are left.
func (r *Recipe) calibrate() bool {
	made := &dice{from: rand.NewChaCha8([32]byte{})}
	var text []rune
	met, tries := 0, 0
	for met < accepted && tries < leastLikely*(16+met) {
		text = r.draw(made, text[:0])
		tries++
		if r.meets(text) {
			met++
		}
	}
	if met == tries {
		return true
	}
	r.loss = math.Log2(float64(tries) / float64(max(met, 1)))
	return met*leastLikely >= tries
}

func (r *Recipe) sizes() (n [classCount]int) {
	for index, set := range r.sets {
		n[index] = len(set)
	}
	return n
}

// containsFolded reports whether the word, folded already, is in the text,
// ignoring case. Generated values have no characters whose case folds to more
// than one.
func containsFolded(text []rune, word string) bool {
	count := utf8.RuneCountInString(word)
	for i := 0; i+count <= len(text); i++ {
		if startsFolded(text[i:], word) {
			return true
		}
	}
	return false
}

// startsFolded is containsFolded of the start of a long enough text.
func startsFolded(text []rune, word string) bool {
	i := 0
	for _, letter := range word {
		if unicode.ToLower(text[i]) != letter {
			return false
		}
		i++
	}
	return true
}
