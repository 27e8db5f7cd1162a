package password

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestRulesOfPasswordManagersAreRead(t *testing.T) {
	special := string(ofClass(symbol)) + " "
	tests := []struct {
		text string
		want Spec
	}{
		{"", Spec{}},
		{" ; ;", Spec{}},
		{"minlength: 8; minlength: 12; maxlength: 30; maxlength: 20; max-consecutive: 3; max-consecutive: 2", Spec{MinLength: ptr(12), MaxLength: ptr(20), MaxRepeat: ptr(2)}},
		{"MINLENGTH:8;", Spec{MinLength: ptr(8)}},
		{"required: lower; required: UPPER; required : digit ; required: special", Spec{Lower: ptr(1), Upper: ptr(1), Digits: ptr(1), Symbols: ptr(1),
			Allowed: ptr(lowerChars + string(ofClass(upper)) + digitChars + special)}},
		{"required: lower, digit; allowed: [-_]", Spec{Allowed: ptr(lowerChars + digitChars + "-_"), OneOf: []string{lowerChars + digitChars}}},
		{"required: [-a]]", Spec{Allowed: ptr("-a]"), OneOf: []string{"-a]"}}},
		{"allowed: [;:,]; required: digit", Spec{Digits: ptr(1), Allowed: ptr(";:," + digitChars)}},
		{"allowed: unicode", Spec{Allowed: ptr(string(printable()) + " ")}},
		{"allowed: []", Spec{Allowed: ptr("")}},
	}
	for _, c := range tests {
		got, err := ParseRules(c.text)
		if err != nil {
			t.Errorf("%q: %v", c.text, err)
			continue
		}
		if diff := cmp.Diff(&c.want, got); diff != "" {
			t.Errorf("%q (-want +got)\n%s", c.text, diff)
		}
	}
}

func TestMistakesInRulesAreNamedWithTheirPlace(t *testing.T) {
	for text, want := range map[string]string{
		"minlenght: 8":              "character 1: want one of allowed, required, minlength, maxlength, max-consecutive",
		"minlength 8":               "character 11: want a colon after minlength",
		"minlength: ":               "character 12: want a number from 1 to 1024",
		"minlength: 0":              "character 12: want a number from 1 to 1024",
		"minlength: 1025":           "character 12: want a number from 1 to 1024",
		"minlength: 8, 9":           "character 13: the rule minlength goes on with ','",
		"required: lower upper":     "character 17: the rule required goes on with 'u'",
		"required: lower,":          "character 17: want one of upper, lower, digit, special, ascii-printable, unicode, or characters in brackets",
		"required: [a-z]":           "character 13: a hyphen within brackets",
		"required: [ä]":             "character 12: want a printable character of ASCII",
		"required: [abc":            "character 11: the bracket is not closed",
		"allowed: digit; : lower":   "character 17: want one of allowed, required, minlength, maxlength, max-consecutive",
		"required: digit; [a]":      "character 18: want one of allowed, required, minlength, maxlength, max-consecutive",
		"allowed: digits; required": "character 10: want one of upper, lower, digit, special, ascii-printable, unicode, or characters in brackets",
	} {
		_, err := ParseRules(text)
		var found *RulesError
		if !errors.As(err, &found) || found.Error() != want {
			t.Errorf("%q: %v, want %s", text, err, want)
		}
	}
}

// Values of rules as pages publish them meet the rules, by a reading of its own.
func TestValuesMeetTheRulesOfPages(t *testing.T) {
	for _, c := range []struct {
		text     string
		required []string // sets
		allowed  string
		run      int
	}{
		{"minlength: 6; maxlength: 6; required: digit; allowed: digit", []string{digitChars}, digitChars, 0},
		{"minlength: 8; maxlength: 63; required: lower; required: upper; required: digit; allowed: [-().&@?'#,/\"+]", []string{lowerChars, digitChars}, "", 0},
		{"minlength: 8; maxlength: 8; required: [O0]; required: [!]; allowed: ascii-printable; max-consecutive: 1", []string{"O0", "!"}, "", 1},
		{"required: lower, upper; required: digit, [-]; allowed: lower", []string{lowerChars + string(ofClass(upper)), digitChars + "-"}, lowerChars + string(ofClass(upper)) + digitChars + "-", 0},
		{"minlength: 40; max-consecutive: 2", nil, "", 2},
	} {
		spec, err := ParseRules(c.text)
		if err != nil {
			t.Fatal(err)
		}
		recipe, from := combine(t, spec), seeded(1)
		for range 300 {
			value := []rune(generate(t, recipe, from))
			for _, set := range c.required {
				if !strings.ContainsAny(string(value), set) {
					t.Errorf("%s: %q has none of %q", c.text, string(value), set)
				}
			}
			if c.allowed != "" && slices.ContainsFunc(value, func(letter rune) bool { return !strings.ContainsRune(c.allowed, letter) }) {
				t.Errorf("%s: %q has a character outside %q", c.text, string(value), c.allowed)
			}
			if c.run > 0 && longestRepeat(value) > c.run {
				t.Errorf("%s: %q repeats a character", c.text, string(value))
			}
			if found := recipe.check(string(value), nil); len(found) > 0 {
				t.Errorf("%s: Check of %q = %v", c.text, string(value), found)
			}
		}
	}
}

func TestARequiredCharacterIsCheckedToo(t *testing.T) {
	spec, err := ParseRules("required: lower, digit; allowed: [-]")
	if err != nil {
		t.Fatal(err)
	}
	recipe := combine(t, spec)
	if found := recipe.check("----", nil); len(found) != 1 || !strings.HasPrefix(found[0].Message, "one of ") {
		t.Errorf("Check = %v, want the required characters", found)
	}
}

func FuzzParseRules(f *testing.F) {
	f.Add("minlength: 20; required: lower; required: upper; allowed: digit, [-_.]; max-consecutive: 2")
	f.Add("required: [-a]]; allowed: ascii-printable")
	f.Fuzz(func(t *testing.T, text string) {
		spec, err := ParseRules(text)
		var found *RulesError
		if err != nil && (!errors.As(err, &found) || found.At < 1 || found.At > len([]rune(text))+1) {
			t.Fatalf("%q: %v", text, err)
		}
		if err == nil {
			_, _ = Combine(spec, nil)
		}
	})
}
