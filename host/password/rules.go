package password

import (
	"fmt"
	"slices"
	"unicode/utf8"

	"github.com/rekey-host/rekey/host/diag"
	"github.com/rekey-host/rekey/sdk"
)

// rule is one demand of one owner, in words and as what it does to limits.
// Rules only ever narrow, in any order.
type rule struct {
	owner string
	words string
	apply func(*limits)
}

// text is the rule as people read it.
func (r rule) text() string { return r.owner + " " + r.words }

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
}

// rulesOf takes a policy apart.
func rulesOf(owner string, p sdk.Policy) []rule {
	s := &ruleSet{owner: owner}
	s.count(p.MinLength, "wants %d or more characters", func(l *limits, n int) { l.min = max(l.min, n) })
	s.count(p.MaxLength, "wants %d or fewer characters", func(l *limits, n int) { l.max = least(l.max, n) })
	s.count(p.MaxBytes, "takes %d bytes at most", func(l *limits, n int) { l.bytes = least(l.bytes, n) })
	for c, n := range [...]int{p.Lower, p.Upper, p.Digits, p.Symbols} {
		s.need(class(c), n)
	}
	s.count(p.Letters, "requires %d or more letters", func(l *limits, n int) { l.letters = max(l.letters, n) })
	s.count(p.NonLetters, "requires %d or more digits and symbols", func(l *limits, n int) { l.nonLetters = max(l.nonLetters, n) })
	s.count(p.Classes, "requires %d of lower, upper, digits, symbols", func(l *limits, n int) { l.classes = max(l.classes, n) })
	if p.Alphabet != "" {
		for _, c := range classes() {
			s.only(c, p.Alphabet)
		}
	}
	if p.AllowedSymbols != "" {
		s.only(symbol, p.AllowedSymbols)
	}
	s.forbid(p.Forbid)
	if p.ForbidFirst != "" {
		s.add(fmt.Sprintf("forbids %q as the first character", p.ForbidFirst), func(l *limits) { l.first += p.ForbidFirst })
	}
	s.count(p.MaxRepeat, "allows a character %d times in a row at most", func(l *limits, n int) { l.repeat = least(l.repeat, n) })
	s.count(p.MaxSequence, "allows %d digits in sequence at most", func(l *limits, n int) { l.sequence = least(l.sequence, n) })
	if p.NoAccountName {
		s.add("forbids the account's name", func(l *limits) { l.noNames = true })
	}
	for _, w := range p.ForbidWords {
		if w != "" {
			s.add(fmt.Sprintf("forbids the word %q", w), func(l *limits) { l.words = append(l.words, diag.Fold(w)) })
		}
	}
	return s.rules
}

// rulesOfSpec takes a script's demands apart.
func rulesOfSpec(p *Spec) []rule {
	s := &ruleSet{owner: ownerScript}
	if p.Length != nil {
		n := *p.Length
		s.add("wants exactly "+counted(n, "character"), func(l *limits) { l.min, l.max = max(l.min, n), leastZero(l.max, n) })
	}
	if p.MinLength != nil {
		s.count(*p.MinLength, "wants %d or more characters", func(l *limits, n int) { l.min = max(l.min, n) })
	}
	if p.MaxLength != nil {
		s.add(fmt.Sprintf("wants %d or fewer characters", *p.MaxLength), func(l *limits) { l.max = leastZero(l.max, *p.MaxLength) })
	}
	for c, n := range [...]*int{p.Lower, p.Upper, p.Digits, p.Symbols} {
		switch {
		case n == nil:
		case *n <= 0:
			s.only(class(c), "")
		default:
			s.need(class(c), *n)
		}
	}
	if p.Pin {
		s.digitsOnly()
	}
	if p.AllowedSymbols != nil {
		s.only(symbol, *p.AllowedSymbols)
		s.rules = append(s.rules, rule{ownerScript, "names its symbols", func(l *limits) { l.told = append(l.told, []rune(*p.AllowedSymbols)...) }})
	}
	if p.Forbid != nil {
		s.forbid(*p.Forbid)
	}
	if p.MaxRepeat != nil {
		s.count(*p.MaxRepeat, "allows a character %d times in a row at most", func(l *limits, n int) { l.repeat = least(l.repeat, n) })
	}
	if p.NoAccountName != nil && *p.NoAccountName {
		s.add("forbids the account's name", func(l *limits) { l.noNames = true })
	}
	if p.Blocklist != nil && *p.Blocklist {
		s.add("forbids common passwords", func(l *limits) { l.noCommon = true })
	}
	return s.rules
}

// maxValue is the longest value that anybody wants made.
const maxValue = 1024

// ownRules hold for every value that is generated.
func ownRules() []rule {
	s := &ruleSet{owner: ownerRekey}
	s.add("starts no value with one of = + - @", func(l *limits) { l.first += unsafeFirst })
	s.add("makes 1024 characters at most", func(l *limits) { l.max = least(l.max, maxValue) })
	return s.rules
}

// least returns the smaller of two limits, of which 0 is none.
func least(a, b int) int {
	if a == 0 || b != 0 && b < a {
		return b
	}
	return a
}

// leastZero is least for a b that means 0 where it says so: nothing fits.
func leastZero(a, b int) int {
	if b <= 0 {
		return -1
	}
	return least(a, b)
}

// counted says a number of things.
func counted(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

// ruleSet collects the rules of one owner.
type ruleSet struct {
	owner string
	rules []rule
}

func (s *ruleSet) add(words string, apply func(*limits)) {
	s.rules = append(s.rules, rule{s.owner, words, apply})
}

// count adds a rule with a number, of which 0 is none.
func (s *ruleSet) count(n int, words string, apply func(*limits, int)) {
	if n > 0 {
		s.add(fmt.Sprintf(words, n), func(l *limits) { apply(l, n) })
	}
}

func (s *ruleSet) need(c class, n int) {
	if n > 0 {
		s.add("requires "+c.many(n), func(l *limits) { l.need[c] = max(l.need[c], n) })
	}
}

// only adds the rule that of the class there are only the characters in set.
func (s *ruleSet) only(c class, set string) {
	var allowed []rune
	for _, r := range set {
		if classOf(r) == c {
			allowed = append(allowed, r)
		}
	}
	words := fmt.Sprintf("allows of the %s only %q", c.plural(), string(allowed))
	if len(allowed) == 0 {
		words = "forbids all " + c.plural()
	}
	s.add(words, func(l *limits) {
		l.named = append(l.named, allowed...)
		l.char[c] = append(l.char[c], func(r rune) bool { return slices.Contains(allowed, r) })
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
	for _, c := range classes() {
		var out []rune
		for _, r := range set {
			if classOf(r) == c {
				out = append(out, r)
			}
		}
		if len(out) == 0 {
			continue
		}
		words := fmt.Sprintf("forbids %q", string(out))
		if !slices.ContainsFunc(printable(), func(r rune) bool { return classOf(r) == c && !slices.Contains(out, r) }) {
			words = "forbids all " + c.plural()
		}
		s.add(words, func(l *limits) {
			l.char[c] = append(l.char[c], func(r rune) bool { return !slices.Contains(out, r) })
		})
	}
}

// limitsOf puts rules together.
func limitsOf(rules []rule) *limits {
	l := &limits{}
	for _, r := range rules {
		r.apply(l)
	}
	return l
}

// allows reports whether every rule allows the character.
func (l *limits) allows(r rune) bool {
	c := classOf(r)
	if c == none || !utf8.ValidRune(r) {
		return false
	}
	for _, ok := range l.char[c] {
		if !ok(r) {
			return false
		}
	}
	return true
}
