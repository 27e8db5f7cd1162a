package password

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/rekey-host/rekey/host/diag"
	"github.com/rekey-host/rekey/sdk"
	"github.com/rekey-host/rekey/sdk/secret"
)

// leastName is how long a name has to be for a given value to be refused for
// containing it: systems that have the rule leave shorter ones alone, and a
// refusal here is final. Generated values avoid short ones too.
const leastName = 3

// Check returns the rules of the policy that a value breaks, in the order of
// the policy's fields; nil for a value that breaks no known rule
// here. names are what the value must not contain under NoAccountName; those
// of one or two characters do not count. Messages quote neither the value nor
// a word found in it. A value that breaks UTF-8 is RuleEncoding, and nothing
// else is said of it.
func Check(policy sdk.Policy, value secret.Value, names []string) []sdk.Violation {
	return checkText(policy, value.Reveal(), names)
}

// findings collects violations.
type findings []sdk.Violation

func (f *findings) add(rule sdk.Rule, limit int, message string) {
	*f = append(*f, sdk.Violation{Rule: rule, Limit: limit, Message: message})
}

// least and most write their text only for a broken rule: nearly all
// values are good.
func (f *findings) least(have, want int, rule sdk.Rule, noun string) {
	if have < want {
		f.add(rule, want, counted(want, noun)+" at least")
	}
}

func (f *findings) most(have, limit int, rule sdk.Rule, noun string) {
	if limit > 0 && have > limit {
		f.add(rule, limit, counted(limit, noun)+" at most")
	}
}

func checkText(policy sdk.Policy, text string, names []string) []sdk.Violation {
	var f findings
	if !utf8.ValidString(text) {
		f.add(sdk.RuleEncoding, 0, "not valid utf-8")
		return f
	}
	runes := []rune(text)
	defer clear(runes)
	tally := tallyOf(runes)
	f.least(len(runes), policy.MinLength, sdk.RuleMinLength, "character")
	f.most(len(runes), policy.MaxLength, sdk.RuleMaxLength, "character")
	f.most(len(text), policy.MaxBytes, sdk.RuleMaxLength, "byte")
	f.least(tally.letters, policy.Letters, sdk.RuleLetters, "letter")
	f.least(tally.of[lower], policy.Lower, sdk.RuleLower, "lower-case letter")
	f.least(tally.of[upper], policy.Upper, sdk.RuleUpper, "upper-case letter")
	f.least(tally.of[digit], policy.Digits, sdk.RuleDigits, "digit")
	f.least(tally.of[symbol], policy.Symbols, sdk.RuleSymbols, "symbol")
	f.least(tally.of[digit]+tally.of[symbol], policy.NonLetters, sdk.RuleNonLetters, "non-letter")
	if tally.classes() < policy.Classes {
		f.add(sdk.RuleClasses, policy.Classes, fmt.Sprintf("%d at least of lower, upper, digits, symbols", policy.Classes))
	}
	f.characters(policy, runes)
	f.runs(policy, runes)
	if policy.NoAccountName && holds(text, names, leastName) {
		f.add(sdk.RuleContainsName, 0, "contains the account's name")
	}
	if holds(text, policy.ForbidWords, 1) {
		f.add(sdk.RuleContainsWord, 0, "contains a forbidden word")
	}
	return f
}

// characters adds at most one violation: of the characters themselves.
func (f *findings) characters(policy sdk.Policy, text []rune) {
	for i, letter := range text {
		switch {
		case policy.Alphabet != "" && !strings.ContainsRune(policy.Alphabet, letter),
			policy.AllowedSymbols != "" && classOf(letter) == symbol && !strings.ContainsRune(policy.AllowedSymbols, letter),
			strings.ContainsRune(policy.Forbid, letter):
			f.add(sdk.RuleForbidden, 0, "contains a forbidden character")
			return
		case i == 0 && strings.ContainsRune(policy.ForbidFirst, letter):
			f.add(sdk.RuleForbidden, 0, "starts with a forbidden character")
			return
		}
	}
}

// runs adds the violations of characters that follow each other.
func (f *findings) runs(policy sdk.Policy, text []rune) {
	if policy.MaxRepeat > 0 && longestRepeat(text) > policy.MaxRepeat {
		f.add(sdk.RuleMaxRepeat, policy.MaxRepeat, fmt.Sprintf("a character %d times in a row at most", policy.MaxRepeat))
	}
	if policy.MaxSequence > 0 && longestSequence(text) > policy.MaxSequence {
		f.add(sdk.RuleMaxSequence, policy.MaxSequence, fmt.Sprintf("%d digits in sequence at most", policy.MaxSequence))
	}
}

// tally counts the characters of a text.
type tally struct {
	of      [classCount]int
	letters int // with those that have no case
}

func tallyOf(text []rune) tally {
	var t tally
	for _, letter := range text {
		class := classOf(letter)
		if class != none {
			t.of[class]++
		}
		if class != digit && class != symbol {
			t.letters++
		}
	}
	return t
}

func (t tally) classes() int { return needs{of: t.of}.classes() }

// longestRepeat is the length of the longest run of one character.
func longestRepeat(text []rune) int {
	longest, run := 0, 0
	for i, letter := range text {
		if i > 0 && letter != text[i-1] {
			run = 0
		}
		run++
		longest = max(longest, run)
	}
	return longest
}

// longestSequence is the length of the longest run of digits that go up by
// one, or down by one; a single digit is one.
func longestSequence(text []rune) int {
	longest, run, step := 0, 0, rune(0)
	for i, letter := range text {
		switch {
		case !unicode.IsDigit(letter):
			run = 0
			continue
		case run == 0:
			run = 1
		case run > 1 && letter == text[i-1]+step:
			run++
		case letter == text[i-1]+1 || letter == text[i-1]-1:
			run, step = 2, letter-text[i-1]
		default:
			run = 1
		}
		longest = max(longest, run)
	}
	return longest
}

// holds reports whether one of the words, of so many characters at least, is
// in the text, ignoring case and Unicode form.
func holds(text string, words []string, least int) bool {
	if len(words) == 0 {
		return false
	}
	folded := diag.Fold(text)
	for _, word := range words {
		if utf8.RuneCountInString(word) >= least && strings.Contains(folded, diag.Fold(word)) {
			return true
		}
	}
	return false
}

// checkOf returns what the recipe's Check does.
func checkOf(spec *Spec, demands []Demand, recipe *Recipe) func(text string, names []string) []sdk.Violation {
	own := limitsOf(rulesOfSpec(spec))
	policy := sdk.Policy{MinLength: own.min, MaxLength: own.max, Lower: own.need[lower], Upper: own.need[upper],
		Digits: own.need[digit], Symbols: own.need[symbol], MaxRepeat: own.repeat, NoAccountName: recipe.noNames}
	if recipe.noRuns {
		policy.MaxRepeat, policy.MaxSequence = least(policy.MaxRepeat, pinRun), pinRun
	}
	return func(text string, names []string) []sdk.Violation {
		f := findings(checkText(policy, text, names))
		for _, demand := range demands {
			f.join(checkText(demand.Policy, text, names))
		}
		f.join(own.strange(text))
		for _, set := range own.oneOf {
			if !strings.ContainsAny(text, set) {
				f.add(sdk.RuleCustom, 0, fmt.Sprintf("one of %q at least", set))
			}
		}
		if recipe.common && isCommon([]rune(text)) {
			f.add(sdk.RuleDictionary, 0, "is a common password")
		}
		return f
	}
}

// join adds the missing violations.
func (f *findings) join(more []sdk.Violation) {
	for _, violation := range more {
		known := false
		for _, have := range *f {
			known = known || have.Rule == violation.Rule && have.Limit == violation.Limit
		}
		if !known {
			*f = append(*f, violation)
		}
	}
}
