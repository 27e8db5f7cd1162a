package password

import (
	"fmt"
	"slices"
	"strings"

	"github.com/rekey-host/rekey/host/diag"
	"github.com/rekey-host/rekey/sdk"
)

// rule is one demand of one owner, in words and as a change of limits.
// Rules only ever narrow, in any order.
type rule struct {
	owner string
	words string
	apply func(*limits)
}

// text is the rule as people read it.
func (r rule) text() string { return r.owner + " " + r.words }

// rulesOf takes a policy apart.
func rulesOf(owner string, policy sdk.Policy) []rule {
	made := &ruleSet{owner: owner}
	made.count(policy.MinLength, "wants %d or more characters", func(l *limits, count int) { l.min = max(l.min, count) })
	made.count(policy.MaxLength, "wants %d or fewer characters", func(l *limits, count int) { l.max = least(l.max, count) })
	made.count(policy.MaxBytes, "takes %d bytes at most", func(l *limits, count int) { l.bytes = least(l.bytes, count) })
	for index, count := range [...]int{policy.Lower, policy.Upper, policy.Digits, policy.Symbols} {
		made.need(class(index), count)
	}
	made.count(policy.Letters, "requires %d or more letters", func(l *limits, count int) { l.letters = max(l.letters, count) })
	made.count(policy.NonLetters, "requires %d or more digits and symbols", func(l *limits, count int) { l.nonLetters = max(l.nonLetters, count) })
	made.count(policy.Classes, "requires %d of lower, upper, digits, symbols", func(l *limits, count int) { l.classes = max(l.classes, count) })
	if policy.Alphabet != "" {
		for _, class := range classes() {
			made.only(class, policy.Alphabet)
		}
	}
	if policy.AllowedSymbols != "" {
		made.only(symbol, policy.AllowedSymbols)
	}
	made.forbid(policy.Forbid)
	if policy.ForbidFirst != "" {
		made.add(fmt.Sprintf("forbids %q as the first character", policy.ForbidFirst), func(l *limits) { l.first += policy.ForbidFirst })
	}
	made.count(policy.MaxRepeat, "allows a character %d times in a row at most", func(l *limits, count int) { l.repeat = least(l.repeat, count) })
	made.count(policy.MaxSequence, "allows %d digits in sequence at most", func(l *limits, count int) { l.sequence = least(l.sequence, count) })
	if policy.NoAccountName {
		made.add("forbids the account's name", func(l *limits) { l.noNames = true })
	}
	for _, word := range policy.ForbidWords {
		if word != "" {
			made.add(fmt.Sprintf("forbids the word %q", word), func(l *limits) { l.words = append(l.words, diag.Fold(word)) })
		}
	}
	return made.rules
}

// rulesOfSpec takes a script's demands apart.
func rulesOfSpec(spec *Spec) []rule {
	made := &ruleSet{owner: ownerScript}
	if spec.Length != nil {
		count := *spec.Length
		made.add("wants exactly "+counted(count, "character"), func(l *limits) { l.min, l.max = max(l.min, count), leastZero(l.max, count) })
	}
	if spec.MinLength != nil {
		made.count(*spec.MinLength, "wants %d or more characters", func(l *limits, count int) { l.min = max(l.min, count) })
	}
	if spec.MaxLength != nil {
		made.add(fmt.Sprintf("wants %d or fewer characters", *spec.MaxLength), func(l *limits) { l.max = leastZero(l.max, *spec.MaxLength) })
	}
	for index, count := range [...]*int{spec.Lower, spec.Upper, spec.Digits, spec.Symbols} {
		switch {
		case count == nil:
		case *count <= 0:
			made.only(class(index), "")
		default:
			made.need(class(index), *count)
		}
	}
	if spec.Pin {
		made.digitsOnly()
	}
	if spec.AllowedSymbols != nil {
		made.only(symbol, *spec.AllowedSymbols)
		made.rules = append(made.rules, rule{ownerScript, "names its symbols", func(l *limits) { l.told = append(l.told, []rune(*spec.AllowedSymbols)...) }})
	}
	if spec.Forbid != nil {
		made.forbid(*spec.Forbid)
	}
	made.ofParsed(spec)
	if spec.MaxRepeat != nil {
		made.count(*spec.MaxRepeat, "allows a character %d times in a row at most", func(l *limits, count int) { l.repeat = least(l.repeat, count) })
	}
	if spec.NoAccountName != nil && *spec.NoAccountName {
		made.add("forbids the account's name", func(l *limits) { l.noNames = true })
	}
	if spec.Blocklist != nil && *spec.Blocklist {
		made.add("forbids common passwords", func(l *limits) { l.noCommon = true })
	}
	if spec.Words != nil {
		made.add(spec.Words.text(), func(l *limits) { l.phrase = spec.Words })
	}
	return made.rules
}

// ofParsed adds the demands that only passwordrules make.
func (s *ruleSet) ofParsed(spec *Spec) {
	for _, class := range classes() {
		if spec.Allowed != nil && !slices.Equal(ofClass(class), withinClass(class, *spec.Allowed)) {
			s.only(class, *spec.Allowed)
		}
	}
	for _, set := range spec.OneOf {
		s.add(fmt.Sprintf("requires one of %q", set), func(l *limits) {
			l.oneOf = append(l.oneOf, set)
			l.named = append(l.named, []rune(set)...)
		})
	}
}

// withinClass returns the characters of a text in the class that can
// be seen, sorted.
func withinClass(class class, text string) []rune {
	return slices.DeleteFunc(ofClass(class), func(letter rune) bool { return !strings.ContainsRune(text, letter) })
}

// maxValue is the longest value that anybody wants made.
const maxValue = 1024

// ownRules hold for every generated value.
func ownRules() []rule {
	made := &ruleSet{owner: ownerRekey}
	made.add("starts no value with one of = + - @", func(l *limits) { l.first += unsafeFirst })
	made.add("makes 1024 characters at most", func(l *limits) { l.max = least(l.max, maxValue) })
	return made.rules
}

// least returns the smaller of two limits, of which 0 means unlimited.
func least(first, second int) int {
	if first == 0 || second != 0 && second < first {
		return second
	}
	return first
}

// leastZero is least for a second that means 0 where it says so: nothing fits.
func leastZero(first, second int) int {
	if second <= 0 {
		return -1
	}
	return least(first, second)
}

// counted says a number of things.
func counted(count int, noun string) string {
	if count == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", count, noun)
}

// ruleSet collects the rules of one owner.
type ruleSet struct {
	owner string
	rules []rule
}

func (s *ruleSet) add(words string, apply func(*limits)) {
	s.rules = append(s.rules, rule{s.owner, words, apply})
}

// count adds a rule with a number, of which 0 means no rule.
func (s *ruleSet) count(count int, words string, apply func(*limits, int)) {
	if count > 0 {
		s.add(fmt.Sprintf(words, count), func(l *limits) { apply(l, count) })
	}
}

func (s *ruleSet) need(class class, count int) {
	if count > 0 {
		s.add("requires "+class.many(count), func(l *limits) { l.need[class] = max(l.need[class], count) })
	}
}

// only adds the rule that of the class there are only the characters in set.
func (s *ruleSet) only(class class, set string) {
	var allowed []rune
	for _, letter := range set {
		if classOf(letter) == class {
			allowed = append(allowed, letter)
		}
	}
	words := fmt.Sprintf("allows of the %s only %q", class.plural(), string(allowed))
	if len(allowed) == 0 {
		words = "forbids all " + class.plural()
	}
	s.add(words, func(l *limits) {
		l.named = append(l.named, allowed...)
		l.char[class] = append(l.char[class], func(letter rune) bool { return slices.Contains(allowed, letter) })
	})
}

// digitsOnly is what makes a PIN.
func (s *ruleSet) digitsOnly() {
	s.add("wants digits only", func(l *limits) {
		for _, c := range []class{lower, upper, symbol} {
			l.char[c] = append(l.char[c], func(rune) bool { return false })
		}
	})
}

// forbid adds a rule for each class of which there are characters in set.
func (s *ruleSet) forbid(set string) {
	for _, class := range classes() {
		var out []rune
		for _, letter := range set {
			if classOf(letter) == class {
				out = append(out, letter)
			}
		}
		if len(out) == 0 {
			continue
		}
		words := fmt.Sprintf("forbids %q", string(out))
		if !slices.ContainsFunc(printable(), func(letter rune) bool { return classOf(letter) == class && !slices.Contains(out, letter) }) {
			words = "forbids all " + class.plural()
		}
		s.add(words, func(l *limits) {
			l.char[class] = append(l.char[class], func(letter rune) bool { return !slices.Contains(out, letter) })
		})
	}
}

// limitsOf puts rules together.
func limitsOf(rules []rule) *limits {
	made := &limits{}
	for _, rule := range rules {
		rule.apply(made)
	}
	return made
}

// hasOneOfEach reports whether a character of each set is in the text.
func hasOneOfEach(text []rune, sets []string) bool {
	for _, set := range sets {
		if !slices.ContainsFunc(text, func(letter rune) bool { return strings.ContainsRune(set, letter) }) {
			return false
		}
	}
	return true
}
