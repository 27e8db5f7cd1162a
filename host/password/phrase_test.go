package password

import (
	"errors"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/rekey-host/rekey/sdk"
)

func TestTheWordListIsTheLargeListOfTheEFF(t *testing.T) {
	words := strings.Fields(wordsText)
	if len(words) != 7776 || words[0] != "abacus" || words[len(words)-1] != "zoom" || !slices.IsSorted(words) {
		t.Errorf("%d words from %s to %s", len(words), words[0], words[len(words)-1])
	}
	for i, word := range words {
		if len(word) < 3 || len(word) > longestWord {
			t.Errorf("%q has %d letters", word, len(word))
		}
		if i > 0 && strings.HasPrefix(word, words[i-1]) {
			t.Errorf("%q begins with %q: values without separators could be the same", word, words[i-1])
		}
	}
}

func TestValuesOfWords(t *testing.T) {
	tests := []struct {
		name    string
		words   Words
		demands []Demand
		want    func(words []string, rest string) bool
		bits    float64
	}{
		{"plain", Words{6, "-"}, nil, func(words []string, rest string) bool { return len(words) >= 6 && rest == "" }, 6 * 12.925},
		{"capitals", Words{4, "."}, []Demand{{"a", sdk.Policy{Upper: 2}}}, func(words []string, rest string) bool { return len(words) == 4 && words[0][0] < 'a' && rest == "" }, 4 * 12.925},
		{"digits", Words{3, " "}, []Demand{{"a", sdk.Policy{Digits: 2}}}, func(words []string, rest string) bool { return len(words) == 3 && len(rest) == 2 }, 3*12.925 + 6},
		{"symbols and a separator of letters", Words{2, "X"}, []Demand{{"a", sdk.Policy{Symbols: 1, AllowedSymbols: "!"}}, {"b", sdk.Policy{Forbid: "-"}}}, func(words []string, rest string) bool { return len(words) == 2 && rest == "!" }, 2 * 12.925},
		{"classes", Words{3, ""}, []Demand{{"a", sdk.Policy{Classes: 3}}}, nil, 3*12.925 + 3},
		{"short ones only", Words{3, "-"}, []Demand{{"a", sdk.Policy{MaxLength: 20}}}, func(words []string, rest string) bool { return true }, 0},
	}
	for _, c := range tests {
		t.Run(c.name, func(t *testing.T) {
			recipe, from := combine(t, &Spec{Words: &c.words}, c.demands...), seeded(1)
			if c.bits > 0 && math.Abs(recipe.Entropy()-c.bits) > 1.5 {
				t.Errorf("%.1f bits, want about %.1f", recipe.Entropy(), c.bits)
			}
			if got := recipe.Shape(); got != counted(c.words.Count, "word") {
				t.Errorf("Shape = %s", got)
			}
			for range 200 {
				value := generate(t, recipe, from)
				if found := recipe.check(value, nil); len(found) > 0 {
					t.Fatalf("Check of %q = %v", value, found)
				}
				if len([]rune(value)) > recipe.longest() {
					t.Fatalf("%q is longer than %d", value, recipe.longest())
				}
				core := strings.TrimRight(value, "0123456789!#%*+=?_~")
				if c.want != nil && !c.want(strings.Split(core, c.words.Separator), value[len(core):]) {
					t.Fatalf("%q", value)
				}
			}
		})
	}
}

func TestWordsThatARuleForbidsAreAContradiction(t *testing.T) {
	for _, c := range []struct {
		name   string
		words  Words
		demand sdk.Policy
		want   []string
	}{
		{"too long", Words{6, "-"}, sdk.Policy{MaxLength: 12}, []string{`the script wants 6 words with "-" between them`, "a wants 12 or fewer characters", "which hardly any value meets"}},
		{"separator", Words{6, "-"}, sdk.Policy{Forbid: "-"}, []string{`the script wants 6 words with "-" between them`, `a forbids "-"`, "which hardly any value meets"}},
		{"no letters", Words{1, ""}, sdk.Policy{Alphabet: digitChars}, []string{`the script wants 1 word with "" between them`, "a forbids all lower-case letters", "which hardly any value meets"}},
	} {
		_, err := Combine(&Spec{Words: &c.words}, []Demand{{"a", c.demand}})
		var found *Contradiction
		if !errors.As(err, &found) || !slices.Equal(found.Rules, c.want) {
			t.Errorf("%s: %v, want %q", c.name, err, c.want)
		}
	}
}
