package sdk

// Policy is a set of rules for the values of a credential. A zero field adds no
// rule. Counts are of characters (Unicode code points), MaxBytes of UTF-8
// bytes.
type Policy struct {
	MinLength int
	MaxLength int
	MaxBytes  int

	Letters    int // at least so many letters of either case
	Lower      int // at least so many lower-case letters
	Upper      int
	Digits     int
	Symbols    int // at least so many besides letters and digits
	NonLetters int // at least so many digits or symbols
	Classes    int // at least so many of: lower, upper, digits, symbols

	Alphabet       string // only these characters; "" for any
	AllowedSymbols string // of the symbols only these; "" for any
	Forbid         string // characters that must not occur
	ForbidFirst    string // not as the first character

	MaxRepeat   int // no run of one character longer than this
	MaxSequence int // no ascending or descending run of digits longer than this

	NoAccountName bool     // must not contain the account's name, ignoring case
	ForbidWords   []string // must not contain these, ignoring case
	History       int      // the target remembers so many earlier values; it alone can check
	Note          string   // what the rules above cannot say
}

// Rule names one rule of a Policy in a Violation.
type Rule string

// The rules. Opaque is a refusal whose rule the target does not name, Custom
// one that no other rule describes.
const (
	RuleMinLength     Rule = "min_length"
	RuleMaxLength     Rule = "max_length"
	RuleLetters       Rule = "letters"
	RuleLower         Rule = "lower"
	RuleUpper         Rule = "upper"
	RuleDigits        Rule = "digits"
	RuleSymbols       Rule = "symbols"
	RuleNonLetters    Rule = "non_letters"
	RuleClasses       Rule = "classes"
	RuleForbidden     Rule = "forbidden_characters"
	RuleMaxRepeat     Rule = "max_repeat"
	RuleMaxSequence   Rule = "max_sequence"
	RuleContainsName  Rule = "contains_name"
	RuleContainsWord  Rule = "contains_word"
	RuleSameAsCurrent Rule = "same_as_current"
	RuleHistory       Rule = "history"
	RuleMinAge        Rule = "min_age"
	RuleChangeCount   Rule = "change_count"
	RuleDictionary    Rule = "dictionary"
	RuleQuality       Rule = "quality"
	RuleEncoding      Rule = "encoding"
	RuleOpaque        Rule = "opaque"
	RuleCustom        Rule = "custom"
)

// Rules returns every rule, in the order of their declaration. A plugin's rule
// unknown here arrives as RuleCustom: a rule is shown and kept as it is,
// so it must not be a text.
func Rules() []Rule {
	return []Rule{RuleMinLength, RuleMaxLength, RuleLetters, RuleLower, RuleUpper, RuleDigits, RuleSymbols,
		RuleNonLetters, RuleClasses, RuleForbidden, RuleMaxRepeat, RuleMaxSequence, RuleContainsName, RuleContainsWord,
		RuleSameAsCurrent, RuleHistory, RuleMinAge, RuleChangeCount, RuleDictionary, RuleQuality, RuleEncoding,
		RuleOpaque, RuleCustom}
}

// Violation is one broken rule.
type Violation struct {
	Rule    Rule
	Limit   int    // the rule's number, if it has one
	Native  string // the target's own name for it
	Message string // for people; never quotes the value
}

// AnotherValueHelps reports whether a different value can satisfy the rule:
// true for all but those about time and counts.
func (v Violation) AnotherValueHelps() bool {
	return v.Rule != RuleMinAge && v.Rule != RuleChangeCount
}
