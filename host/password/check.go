package password

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/rekey-host/rekey/sdk"
	"github.com/rekey-host/rekey/sdk/secret"
)

// tally counts what the rules are about.
type tally struct {
	length, lower, upper, digits, symbols int
}

func (t tally) letters() int { return t.lower + t.upper }

func (t tally) classes() int {
	n := 0
	for _, c := range []int{t.lower, t.upper, t.digits, t.symbols} {
		if c > 0 {
			n++
		}
	}
	return n
}

// count tallies a value. A letter without case counts as lower.
func count(value string) tally {
	t := tally{length: utf8.RuneCountInString(value)}
	for _, r := range value {
		switch {
		case unicode.IsUpper(r):
			t.upper++
		case unicode.IsLetter(r):
			t.lower++
		case unicode.IsDigit(r):
			t.digits++
		default:
			t.symbols++
		}
	}
	return t
}

// Check returns the rules of p that the value breaks, in a fixed order. names
// are what the value must not contain where p says so; shorter ones than three
// characters are ignored. A rule that only the target can check is not broken.
func Check(p sdk.Policy, v secret.Value, names []string) []sdk.Violation {
	value := v.Reveal()
	var broken []sdk.Violation
	add := func(bad bool, rule sdk.Rule, limit int) {
		if bad {
			broken = append(broken, sdk.Violation{Rule: rule, Limit: limit})
		}
	}
	t := count(value)
	add(t.length < p.MinLength, sdk.RuleMinLength, p.MinLength)
	add(p.MaxLength > 0 && t.length > p.MaxLength, sdk.RuleMaxLength, p.MaxLength)
	add(p.MaxBytes > 0 && len(value) > p.MaxBytes, sdk.RuleMaxLength, p.MaxBytes)
	add(t.letters() < p.Letters, sdk.RuleLetters, p.Letters)
	add(t.lower < p.Lower, sdk.RuleLower, p.Lower)
	add(t.upper < p.Upper, sdk.RuleUpper, p.Upper)
	add(t.digits < p.Digits, sdk.RuleDigits, p.Digits)
	add(t.symbols < p.Symbols, sdk.RuleSymbols, p.Symbols)
	add(t.digits+t.symbols < p.NonLetters, sdk.RuleNonLetters, p.NonLetters)
	add(t.classes() < p.Classes, sdk.RuleClasses, p.Classes)
	add(!charactersAllowed(p, value), sdk.RuleForbidden, 0)
	add(p.MaxRepeat > 0 && longestRepeat(value) > p.MaxRepeat, sdk.RuleMaxRepeat, p.MaxRepeat)
	add(p.MaxSequence > 0 && longestSequence(value) > p.MaxSequence, sdk.RuleMaxSequence, p.MaxSequence)
	add(p.NoAccountName && containsAny(value, names, 3), sdk.RuleContainsName, 0)
	add(containsAny(value, p.ForbidWords, 1), sdk.RuleContainsWord, 0)
	return broken
}

func charactersAllowed(p sdk.Policy, value string) bool {
	for i, r := range value {
		switch {
		case p.Alphabet != "" && !strings.ContainsRune(p.Alphabet, r),
			strings.ContainsRune(p.Forbid, r),
			i == 0 && strings.ContainsRune(p.ForbidFirst, r),
			p.AllowedSymbols != "" && isSymbol(r) && !strings.ContainsRune(p.AllowedSymbols, r):
			return false
		}
	}
	return true
}

func isSymbol(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsDigit(r) }

// longestRepeat is the longest run of one character.
func longestRepeat(value string) int {
	longest, run := 0, 0
	var before rune
	for i, r := range value {
		if i > 0 && r == before {
			run++
		} else {
			run = 1
		}
		before = r
		longest = max(longest, run)
	}
	return longest
}

// longestSequence is the longest run of digits that ascend or descend by one.
func longestSequence(value string) int {
	longest, up, down := 0, 0, 0
	var before rune
	for _, r := range value {
		if !unicode.IsDigit(r) {
			up, down, before = 0, 0, 0
			continue
		}
		up, down = follow(up, r == before+1), follow(down, r == before-1)
		before = r
		longest = max(longest, up, down)
	}
	return longest
}

func follow(run int, goesOn bool) int {
	if run > 0 && goesOn {
		return run + 1
	}
	return 1
}

// containsAny reports whether the value contains one of the words of at least
// so many characters, ignoring case.
func containsAny(value string, words []string, least int) bool {
	folded := strings.ToLower(value)
	for _, w := range words {
		if utf8.RuneCountInString(w) >= least && strings.Contains(folded, strings.ToLower(w)) {
			return true
		}
	}
	return false
}
