package password

import (
	crand "crypto/rand"
	"errors"
	"io"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/rekey-host/rekey/sdk"
	"github.com/rekey-host/rekey/sdk/secret"
)

func ptr[T any](v T) *T { return &v }

// seeded is a reader of the same random bytes every time.
func seeded(n byte) io.Reader { return rand.NewChaCha8([32]byte{n}) }

func combine(t testing.TB, spec *Spec, demands ...Demand) *Recipe {
	t.Helper()
	r, err := Combine(spec, demands)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func generate(t testing.TB, r *Recipe, from io.Reader, names ...string) string {
	t.Helper()
	v, err := r.Generate(from, names)
	if err != nil {
		t.Fatal(err)
	}
	return v.Reveal()
}

const (
	digitChars = "0123456789"
	lowerChars = "abcdefghijklmnopqrstuvwxyz"
)

func TestContradictionsNameRulesAndOwners(t *testing.T) {
	tests := []struct {
		name    string
		spec    *Spec
		demands []Demand
		want    []string
	}{
		{"lengths", nil, []Demand{{"smartcloud", sdk.Policy{MinLength: 8, Digits: 2}}, {"voicemail", sdk.Policy{MaxLength: 6}}},
			[]string{"smartcloud wants 8 or more characters", "voicemail wants 6 or fewer characters"}},
		{"script against backend", &Spec{Length: ptr(30)}, []Demand{{"old", sdk.Policy{MaxLength: 8, Lower: 1}}},
			[]string{"the script wants exactly 30 characters", "old wants 8 or fewer characters"}},
		{"script against itself", &Spec{MinLength: ptr(9), MaxLength: ptr(8)}, nil,
			[]string{"the script wants 9 or more characters", "the script wants 8 or fewer characters"}},
		{"bytes", nil, []Demand{{"a", sdk.Policy{MinLength: 80}}, {"b", sdk.Policy{MaxBytes: 72}}},
			[]string{"a wants 80 or more characters", "b takes 72 bytes at most"}},
		{"all symbols forbidden", nil, []Demand{{"x", sdk.Policy{Symbols: 1}}, {"y", sdk.Policy{Alphabet: lowerChars + digitChars}}},
			[]string{"x requires a symbol", "y forbids all symbols"}},
		{"all symbols forbidden one by one", nil, []Demand{{"x", sdk.Policy{Symbols: 2}}, {"y", sdk.Policy{Forbid: "!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~"}}},
			[]string{"x requires 2 symbols", "y forbids all symbols"}},
		{"symbols that do not meet", nil, []Demand{{"x", sdk.Policy{Symbols: 1}}, {"y", sdk.Policy{AllowedSymbols: "!#"}}, {"z", sdk.Policy{AllowedSymbols: "-_"}}},
			[]string{"x requires a symbol", `y allows of the symbols only "!#"`, `z allows of the symbols only "-_"`}},
		{"no symbols for the script", &Spec{Symbols: ptr(0)}, []Demand{{"x", sdk.Policy{Symbols: 1}}},
			[]string{"the script forbids all symbols", "x requires a symbol"}},
		{"no upper", nil, []Demand{{"x", sdk.Policy{Upper: 1}}, {"y", sdk.Policy{Alphabet: lowerChars}}},
			[]string{"x requires an upper-case letter", "y forbids all upper-case letters"}},
		{"too much for the length", nil, []Demand{{"a", sdk.Policy{Lower: 5, Digits: 5, Upper: 1}}, {"b", sdk.Policy{MaxLength: 9}}},
			[]string{"a requires 5 lower-case letters", "a requires 5 digits", "b wants 9 or fewer characters"}},
		{"letters and others", nil, []Demand{{"a", sdk.Policy{Letters: 5}}, {"b", sdk.Policy{NonLetters: 5}}, {"c", sdk.Policy{MaxLength: 9}}},
			[]string{"a requires 5 or more letters", "b requires 5 or more digits and symbols", "c wants 9 or fewer characters"}},
		{"letters", nil, []Demand{{"a", sdk.Policy{Letters: 4}}, {"b", sdk.Policy{Alphabet: digitChars}}},
			[]string{"a requires 4 or more letters", "b forbids all lower-case letters", "b forbids all upper-case letters"}},
		{"classes", nil, []Demand{{"a", sdk.Policy{Classes: 3}}, {"b", sdk.Policy{Alphabet: lowerChars + digitChars}}},
			[]string{"a requires 3 of lower, upper, digits, symbols", "b forbids all upper-case letters", "b forbids all symbols"}},
		{"pin", &Spec{Pin: true}, []Demand{{"a", sdk.Policy{Lower: 1}}},
			[]string{"the script wants digits only", "a requires a lower-case letter"}},
		{"nothing left", nil, []Demand{{"a", sdk.Policy{Alphabet: "01"}}, {"b", sdk.Policy{Alphabet: "23"}}},
			[]string{`a allows of the digits only "01"`, "b forbids all lower-case letters", "b forbids all upper-case letters", `b allows of the digits only "23"`, "b forbids all symbols"}},
		{"one character, no runs", nil, []Demand{{"a", sdk.Policy{Alphabet: "7", MinLength: 3}}, {"b", sdk.Policy{MaxRepeat: 2}}},
			[]string{"a wants 3 or more characters", "a forbids all lower-case letters", "a forbids all upper-case letters", `a allows of the digits only "7"`, "a forbids all symbols", "b allows a character 2 times in a row at most"}},
		{"nothing to start with", nil, []Demand{{"a", sdk.Policy{Alphabet: "+-"}}},
			[]string{"a forbids all lower-case letters", "a forbids all upper-case letters", "a forbids all digits", `a allows of the symbols only "+-"`, "rekey starts no value with one of = + - @"}},
		{"longer than anything", nil, []Demand{{"a", sdk.Policy{MinLength: 5000}}},
			[]string{"a wants 5000 or more characters", "rekey makes 1024 characters at most"}},
		{"no length", &Spec{Length: ptr(0)}, nil, []string{"the script wants exactly 0 characters"}},
		{"runs that leave hardly a value", &Spec{Length: ptr(100)}, []Demand{{"a", sdk.Policy{Alphabet: digitChars, MaxRepeat: 1}}},
			[]string{"the script wants exactly 100 characters", "a forbids all lower-case letters", "a forbids all upper-case letters", "a forbids all symbols", "a allows a character 1 times in a row at most", "which hardly any value meets"}},
	}
	for _, c := range tests {
		t.Run(c.name, func(t *testing.T) {
			_, err := Combine(c.spec, c.demands)
			var found *Contradiction
			if !errors.As(err, &found) {
				t.Fatalf("Combine: %v, want a contradiction", err)
			}
			if diff := cmp.Diff(c.want, found.Rules); diff != "" {
				t.Errorf("rules (-want +got)\n%s", diff)
			}
		})
	}
}

func TestWishesGiveWayToDemands(t *testing.T) {
	tests := []struct {
		name    string
		spec    *Spec
		demands []Demand
		length  int
		dropped []string
	}{
		{"nothing said", nil, nil, 20, nil},
		{"longer", nil, []Demand{{"a", sdk.Policy{MinLength: 24}}}, 24, nil},
		{"the backends' maximum", nil, []Demand{{"a", sdk.Policy{MaxLength: 16}}, {"b", sdk.Policy{MaxLength: 12}}}, 12, []string{"20 characters: b wants 12 or fewer characters"}},
		{"bytes", nil, []Demand{{"a", sdk.Policy{MaxBytes: 14}}}, 14, []string{"20 characters: a takes 14 bytes at most"}},
		{"the script's length", &Spec{Length: ptr(10)}, nil, 10, nil},
		{"the script's maximum", &Spec{MaxLength: ptr(10)}, nil, 10, nil},
		{"a class", nil, []Demand{{"a", sdk.Policy{Alphabet: lowerChars + digitChars}}}, 20, []string{"an upper-case letter: a forbids all upper-case letters", "a symbol: a forbids all symbols"}},
		{"a class by two", nil, []Demand{{"a", sdk.Policy{AllowedSymbols: "!"}}, {"b", sdk.Policy{Forbid: "!"}}}, 20, []string{`a symbol: a allows of the symbols only "!", b forbids "!"`}},
		{"a class that the script does not want", &Spec{Symbols: ptr(0)}, nil, 20, nil},
		{"no room", nil, []Demand{{"a", sdk.Policy{MaxLength: 3, Digits: 2}}}, 3, []string{"an upper-case letter: there is no room for it in 3 characters", "a symbol: there is no room for it in 3 characters", "20 characters: a wants 3 or fewer characters"}},
		{"needs more than the wish", nil, []Demand{{"a", sdk.Policy{Digits: 30}}}, 33, nil},
		{"pin", &Spec{Pin: true}, nil, 6, nil},
		{"pin with a maximum", &Spec{Pin: true}, []Demand{{"a", sdk.Policy{MaxLength: 4}}}, 4, []string{"6 characters: a wants 4 or fewer characters"}},
		{"pin without a choice", &Spec{Pin: true}, []Demand{{"a", sdk.Policy{Alphabet: "7"}}}, 6, []string{"no trivial runs: nearly every value has one", "no common password: nearly every value is one"}},
	}
	for _, c := range tests {
		t.Run(c.name, func(t *testing.T) {
			r := combine(t, c.spec, c.demands...)
			if diff := cmp.Diff(c.dropped, r.Dropped()); diff != "" || r.length != c.length {
				t.Errorf("length %d, want %d; dropped (-want +got)\n%s", r.length, c.length, diff)
			}
			if got := generate(t, r, seeded(1)); len(got) != c.length {
				t.Errorf("value of %d characters, want %d", len(got), c.length)
			}
		})
	}
}

func TestTheDefaultHasEachClassAndNoLookAlikes(t *testing.T) {
	r := combine(t, nil)
	from := seeded(1)
	for range 5000 {
		v := generate(t, r, from, "ann")
		if broken := Check(sdk.Policy{MinLength: 20, MaxLength: 20, Lower: 1, Upper: 1, Digits: 1, Symbols: 1, NoAccountName: true}, secret.New(v), []string{"ann"}); broken != nil {
			t.Fatalf("value breaks %v", broken)
		}
		if strings.ContainsAny(v, "0O1lI|'`") || strings.ContainsAny(v[:1], "=+-@\t\r") {
			t.Fatalf("%q holds a look-alike, or starts a formula", v)
		}
	}
}

func TestLookAlikesAreUsedWhereADemandNeedsThem(t *testing.T) {
	tests := []struct {
		name    string
		spec    *Spec
		policy  sdk.Policy
		chars   string // all that occur
		oneEach bool
	}{
		{"no others", nil, sdk.Policy{Alphabet: "lI"}, "lI", true},
		{"of several, one is left", nil, sdk.Policy{Alphabet: "1abc"}, "1abc", true},
		{"pins have no letters", &Spec{Pin: true}, sdk.Policy{}, digitChars, true},
		{"the script names symbols", &Spec{AllowedSymbols: ptr("|'`"), Lower: ptr(0), Upper: ptr(0), Digits: ptr(0)}, sdk.Policy{}, "|'`", true},
		{"unfriendly symbols only", nil, sdk.Policy{Alphabet: "a<>"}, "a<>", true},
		{"friendly ones are preferred", nil, sdk.Policy{Alphabet: "a<>!"}, "a!", true},
		{"other scripts", nil, sdk.Policy{Alphabet: "äö"}, "äö", true},
		{"other scripts where there is ASCII", nil, sdk.Policy{Alphabet: "aäö"}, "a", true},
		{"a space if there is no other symbol", nil, sdk.Policy{Alphabet: "a ", Symbols: 1}, "a ", true},
	}
	for _, c := range tests {
		t.Run(c.name, func(t *testing.T) {
			r := combine(t, c.spec, Demand{"a", c.policy})
			seen := map[rune]bool{}
			from := seeded(2)
			for range 500 {
				for _, x := range generate(t, r, from) {
					seen[x] = true
				}
			}
			for _, x := range c.chars {
				if !seen[x] {
					t.Errorf("%q never occurs", x)
				}
				delete(seen, x)
			}
			for x := range seen {
				t.Errorf("%q occurs", x)
			}
		})
	}
}

func TestAPinHasDigitsOnlyAndNoTrivialRun(t *testing.T) {
	r := combine(t, &Spec{Pin: true, Length: ptr(6)})
	from := seeded(3)
	for range 20_000 {
		v := generate(t, r, from)
		if broken := Check(sdk.Policy{MinLength: 6, MaxLength: 6, Alphabet: digitChars, MaxRepeat: 2, MaxSequence: 2}, secret.New(v), nil); broken != nil || v == "121212" {
			t.Fatalf("pin %s breaks %v", v, broken)
		}
	}
}

// genPolicy draws policies that are often hard to meet.
func genPolicy() *rapid.Generator[sdk.Policy] {
	return rapid.Custom(func(t *rapid.T) sdk.Policy {
		few := func(name string, most int) int {
			return rapid.OneOf(rapid.Just(0), rapid.Just(0), rapid.IntRange(0, most)).Draw(t, name)
		}
		chars := func(name string) string {
			return rapid.OneOf(rapid.Just(""), rapid.Just(""), rapid.StringMatching(`[ -~äÖ]{0,30}`)).Draw(t, name)
		}
		p := sdk.Policy{MinLength: few("min", 30), MaxBytes: few("bytes", 72), Letters: few("letters", 8), Lower: few("lower", 5),
			Upper: few("upper", 5), Digits: few("digits", 8), Symbols: few("symbols", 5), NonLetters: few("others", 8), Classes: few("classes", 4),
			Alphabet: chars("alphabet"), AllowedSymbols: chars("allowed"), Forbid: chars("forbid"), ForbidFirst: chars("first"),
			MaxRepeat: few("repeat", 3), MaxSequence: few("sequence", 3), NoAccountName: rapid.Bool().Draw(t, "names")}
		if rapid.Bool().Draw(t, "has a maximum") {
			p.MaxLength = rapid.IntRange(1, 40).Draw(t, "max")
		}
		if rapid.Bool().Draw(t, "has words") {
			p.ForbidWords = []string{rapid.StringMatching(`[a-zA-Z0-9]{2,5}`).Draw(t, "word")}
		}
		return p
	})
}

func genSpec() *rapid.Generator[*Spec] {
	return rapid.Custom(func(t *rapid.T) *Spec {
		if rapid.Bool().Draw(t, "no spec") {
			return nil
		}
		maybe := func(name string, most int) *int {
			if rapid.IntRange(0, 3).Draw(t, name+"?") > 0 {
				return nil
			}
			return ptr(rapid.IntRange(0, most).Draw(t, name))
		}
		s := &Spec{Length: maybe("length", 40), MinLength: maybe("min", 30), MaxLength: maybe("max", 40), Lower: maybe("lower", 4), Upper: maybe("upper", 4),
			Digits: maybe("digits", 8), Symbols: maybe("symbols", 4), MaxRepeat: maybe("repeat", 3), Pin: rapid.IntRange(0, 5).Draw(t, "pin") == 0}
		if rapid.Bool().Draw(t, "forbids") {
			s.Forbid = ptr(rapid.StringMatching(`[ -~]{0,20}`).Draw(t, "forbid"))
		}
		if rapid.Bool().Draw(t, "names symbols") {
			s.AllowedSymbols = ptr(rapid.StringMatching(`[!-/]{0,9}`).Draw(t, "symbols allowed"))
		}
		return s
	})
}

// TestEveryValueMeetsEveryPolicy draws what scripts and backends may ask for:
// it is a contradiction of two or more rules, or every value meets all.
func TestEveryValueMeetsEveryPolicy(t *testing.T) {
	met := 0
	rapid.Check(t, func(t *rapid.T) {
		spec := genSpec().Draw(t, "spec")
		var demands []Demand
		for i, p := range rapid.SliceOfN(genPolicy(), 0, 3).Draw(t, "policies") {
			demands = append(demands, Demand{string(rune('a' + i)), p})
		}
		r, err := Combine(spec, demands)
		var clash *Contradiction
		if errors.As(err, &clash) && len(clash.Rules) > 0 {
			return
		}
		if err != nil {
			t.Fatal(err)
		}
		met++
		from := seeded(byte(rapid.IntRange(0, 255).Draw(t, "seed")))
		names := []string{"ann", "", "x.y@acme.example"}
		for range 20 {
			v, err := r.Generate(from, names)
			if err != nil {
				t.Fatal(err)
			}
			for _, d := range demands {
				if broken := Check(d.Policy, v, names); broken != nil {
					t.Fatalf("%q breaks %v of %+v", v.Reveal(), broken, d.Policy)
				}
			}
			if broken := r.Check(v, names); broken != nil {
				t.Fatalf("%q breaks %v of the recipe", v.Reveal(), broken)
			}
			if strings.ContainsAny(v.Reveal()[:1], "=+-@\t\r") {
				t.Fatalf("%q starts a formula", v.Reveal())
			}
		}
	})
	least := 10
	if testing.Short() { // rapid draws twenty then, of which a handful contradict themselves
		least = 3
	}
	if met < least {
		t.Errorf("%d of the policies could be met, want enough to prove something", met)
	}
}

// TestContradictionsHoldNoRuleTooMany draws demands that clash and leaves each
// rule of the explanation out in turn: the others can then be met.
func TestContradictionsHoldNoRuleTooMany(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var rules []rule
		for i, p := range rapid.SliceOfN(genPolicy(), 1, 3).Draw(t, "policies") {
			rules = append(rules, rulesOf(string(rune('a'+i)), p)...)
		}
		if possible(rules) {
			return
		}
		texts := coreOf(rules, possible)
		var core []rule
		for _, r := range rules {
			if slices.Contains(texts, r.text()) && !slices.ContainsFunc(core, func(c rule) bool { return c.text() == r.text() }) {
				core = append(core, r)
			}
		}
		if possible(core) {
			t.Fatalf("the rules of the explanation can be met: %q", texts)
		}
		for i, r := range core {
			if !possible(slices.Delete(slices.Clone(core), i, i+1)) {
				t.Fatalf("%q is in the explanation and clashes with nothing: %q", r.text(), texts)
			}
		}
	})
}

// chiSquare returns the statistic of counts that should be equal.
func chiSquare(counts []int) float64 {
	total := 0
	for _, n := range counts {
		total += n
	}
	want, sum := float64(total)/float64(len(counts)), 0.0
	for _, n := range counts {
		sum += (float64(n) - want) * (float64(n) - want) / want
	}
	return sum
}

// chiLimit is what chi-square exceeds once in a million with so many counts
// (Wilson and Hilferty).
func chiLimit(counts int) float64 {
	df := float64(counts - 1)
	return df * math.Pow(1-2/(9*df)+4.75*math.Sqrt(2/(9*df)), 3)
}

// TestCharactersAreUniformAtEveryPlace makes 200,000 values: at each place,
// all characters of a class are equally frequent, and the classes are as
// frequent as at any other place.
func TestCharactersAreUniformAtEveryPlace(t *testing.T) {
	const values = 200_000
	r := combine(t, nil)
	r.first = "" // which makes the first place another
	var chars [20][128]int
	var places [classCount][20]int
	from := seeded(4)
	for range values {
		for i, c := range []byte(generate(t, r, from)) {
			chars[i][c]++
			places[classOf(rune(c))][i]++
		}
	}
	for c, set := range r.sets {
		if got := chiSquare(places[c][:]); got > chiLimit(20) {
			t.Errorf("%s by place: chi-square %.0f, limit %.0f", class(c).plural(), got, chiLimit(20))
		}
		for place := range chars {
			counts := make([]int, len(set))
			for i, x := range set {
				counts[i] = chars[place][x]
			}
			if got := chiSquare(counts); got > chiLimit(len(set)) {
				t.Errorf("%s at place %d: chi-square %.0f, limit %.0f", class(c).plural(), place, got, chiLimit(len(set)))
			}
		}
	}
}

// TestEveryValueIsEquallyLikely makes 200,000 values of a recipe that has few,
// counts those that there are, and expects each as often as any other.
func TestEveryValueIsEquallyLikely(t *testing.T) {
	tests := []struct{ policy, wishes sdk.Policy }{
		{sdk.Policy{Alphabet: "abAB23!#", MaxLength: 4}, sdk.Policy{Lower: 1, Upper: 1, Digits: 1, Symbols: 1}},
		{sdk.Policy{Alphabet: "abcA2!", MaxLength: 4, Digits: 2, Letters: 1}, sdk.Policy{Lower: 1, Upper: 1}},
		{sdk.Policy{Alphabet: "abA23!", MaxLength: 5, Letters: 3, NonLetters: 2, MaxRepeat: 1, ForbidFirst: "a"}, sdk.Policy{Lower: 1, Upper: 1, Digits: 1, Symbols: 1}},
		{sdk.Policy{Alphabet: "aB2=", MaxLength: 5, Classes: 3}, sdk.Policy{Lower: 1, Upper: 1, Digits: 1, Symbols: 1}},
	}
	for _, c := range tests {
		p := c.policy
		r := combine(t, &Spec{Blocklist: ptr(false)}, Demand{"a", p})
		alphabet := string(join(r.sets))
		var all []string
		var fill func(head string)
		fill = func(head string) {
			if len(head) < r.length {
				for _, x := range alphabet {
					fill(head + string(x))
				}
				return
			}
			if Check(p, secret.New(head), nil) == nil && Check(c.wishes, secret.New(head), nil) == nil && !strings.ContainsAny(head[:1], unsafeFirst) {
				all = append(all, head)
			}
		}
		fill("")
		counts := map[string]int{}
		from := seeded(5)
		for range 200_000 {
			counts[generate(t, r, from)]++
		}
		of := make([]int, len(all))
		for i, v := range all {
			of[i] = counts[v]
			delete(counts, v)
		}
		if len(counts) > 0 {
			t.Errorf("%+v: values that break it: %v", p, counts)
		}
		if got := chiSquare(of); got > chiLimit(len(of)) {
			t.Errorf("%+v: %d values, chi-square %.0f, limit %.0f", p, len(of), got, chiLimit(len(of)))
		}
		if want := math.Log2(float64(len(all))); math.Abs(r.Entropy()-want) > 0.06 {
			t.Errorf("%+v: entropy %.3f bits, there are %d values: %.3f", p, r.Entropy(), len(all), want)
		}
	}
}

func TestEntropyIsTheLogarithmOfTheNumberOfValues(t *testing.T) {
	tests := []struct {
		name string
		spec *Spec
		demo sdk.Policy
		want float64
	}{
		{"one class", nil, sdk.Policy{Alphabet: "abcdefgh", MaxLength: 10}, 30},
		{"long", nil, sdk.Policy{Alphabet: "ab", MinLength: 1000}, 1000},
		{"two classes, one each", &Spec{Upper: ptr(0), Symbols: ptr(0), Length: ptr(2)}, sdk.Policy{Alphabet: "ab23"}, 3},
	}
	for _, c := range tests {
		t.Run(c.name, func(t *testing.T) {
			r := combine(t, c.spec, Demand{"a", c.demo})
			if got := r.Entropy(); math.Abs(got-c.want) > 1e-6 {
				t.Errorf("Entropy = %v bits, want %v", got, c.want)
			}
		})
	}
	if got := combine(t, nil).Entropy(); got < 120 || got > 123 {
		t.Errorf("Entropy of the default = %.1f bits, want 120 to 123", got)
	}
	pin := combine(t, &Spec{Pin: true}).Entropy()
	if pin < 19.4 || pin > math.Log2(1e6) {
		t.Errorf("Entropy of a pin = %.2f bits, want a little less than %.2f", pin, math.Log2(1e6))
	}
}

func TestBelowIsUniform(t *testing.T) {
	d := &dice{from: seeded(6)}
	for _, n := range []int{1, 2, 3, 10, 25, 68, 94, 1000} {
		counts := make([]int, n)
		for range 200 * n {
			counts[d.below(n)]++
		}
		if got := chiSquare(counts); n > 1 && got > chiLimit(n) {
			t.Errorf("below(%d): chi-square %.0f, limit %.0f", n, got, chiLimit(n))
		}
	}
}

// TestBelowRejectsExactlyTheSurplus tries all pairs of bytes: each number
// comes of equally many.
func TestBelowRejectsExactlyTheSurplus(t *testing.T) {
	for _, n := range []int{3, 10, 68, 94} {
		counts := make([]int, n)
		for x := range 1 << 16 {
			d := &dice{from: strings.NewReader(""), full: true}
			d.used = len(d.buf) - copy(d.buf[len(d.buf)-2:], []byte{byte(x), byte(x >> 8)})
			if got := d.below(n); d.err == nil {
				counts[got]++
			}
		}
		for i, c := range counts {
			if c != (1<<16)/n {
				t.Errorf("below(%d): %d comes of %d pairs, want %d", n, i, c, (1<<16)/n)
			}
		}
	}
}

func TestGenerateKeepsNamesOut(t *testing.T) {
	r := combine(t, nil, Demand{"a", sdk.Policy{Alphabet: "abcdABCD"}})
	from := seeded(7)
	for range 2000 {
		if v := strings.ToLower(generate(t, r, from, "AB", "")); strings.Contains(v, "ab") {
			t.Fatal("value holds the name")
		}
	}
	if v := generate(t, combine(t, &Spec{NoAccountName: ptr(false)}, Demand{"a", sdk.Policy{Alphabet: "a"}}), from, "a"); v != strings.Repeat("a", 20) {
		t.Errorf("value %q, want the only one that there is: the script does not mind names", v)
	}
}

func TestGenerateFailsWhereNamesLeaveNothing(t *testing.T) {
	r := combine(t, nil, Demand{"a", sdk.Policy{Alphabet: "ab", MaxLength: 4}})
	if _, err := r.Generate(seeded(8), []string{"a", "b"}); err == nil || !strings.Contains(err.Error(), "no value without the user's names") {
		t.Errorf("Generate: %v, want an error about names", err)
	}
}

func TestGenerateFailsWithItsReader(t *testing.T) {
	r := combine(t, nil)
	for n := range 100 {
		_, err := r.Generate(io.LimitReader(seeded(9), int64(n)), nil)
		if !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Errorf("Generate of %d random bytes: %v, want the reader's error", n, err)
		}
	}
}

func TestCheckFindsEachBrokenRule(t *testing.T) {
	tests := []struct {
		name  string
		p     sdk.Policy
		value string
		want  sdk.Violation
	}{
		{"min", sdk.Policy{MinLength: 8}, "sécret", sdk.Violation{Rule: sdk.RuleMinLength, Limit: 8, Message: "8 characters at least"}},
		{"max", sdk.Policy{MaxLength: 5}, "sécret", sdk.Violation{Rule: sdk.RuleMaxLength, Limit: 5, Message: "5 characters at most"}},
		{"bytes", sdk.Policy{MaxBytes: 6}, "sécret", sdk.Violation{Rule: sdk.RuleMaxLength, Limit: 6, Message: "6 bytes at most"}},
		{"letters", sdk.Policy{Letters: 2}, "a1-", sdk.Violation{Rule: sdk.RuleLetters, Limit: 2, Message: "2 letters at least"}},
		{"lower", sdk.Policy{Lower: 1}, "A1-", sdk.Violation{Rule: sdk.RuleLower, Limit: 1, Message: "1 lower-case letter at least"}},
		{"upper", sdk.Policy{Upper: 1}, "a1-", sdk.Violation{Rule: sdk.RuleUpper, Limit: 1, Message: "1 upper-case letter at least"}},
		{"digits", sdk.Policy{Digits: 2}, "a1-", sdk.Violation{Rule: sdk.RuleDigits, Limit: 2, Message: "2 digits at least"}},
		{"symbols", sdk.Policy{Symbols: 1}, "aé1", sdk.Violation{Rule: sdk.RuleSymbols, Limit: 1, Message: "1 symbol at least"}},
		{"others", sdk.Policy{NonLetters: 3}, "a1-", sdk.Violation{Rule: sdk.RuleNonLetters, Limit: 3, Message: "3 non-letters at least"}},
		{"classes", sdk.Policy{Classes: 4}, "a1-", sdk.Violation{Rule: sdk.RuleClasses, Limit: 4, Message: "4 at least of lower, upper, digits, symbols"}},
		{"alphabet", sdk.Policy{Alphabet: "abc"}, "abd", sdk.Violation{Rule: sdk.RuleForbidden, Message: "contains a forbidden character"}},
		{"symbols allowed", sdk.Policy{AllowedSymbols: "-"}, "a1+", sdk.Violation{Rule: sdk.RuleForbidden, Message: "contains a forbidden character"}},
		{"forbidden", sdk.Policy{Forbid: "é"}, "aé", sdk.Violation{Rule: sdk.RuleForbidden, Message: "contains a forbidden character"}},
		{"first", sdk.Policy{ForbidFirst: "a"}, "aa", sdk.Violation{Rule: sdk.RuleForbidden, Message: "starts with a forbidden character"}},
		{"repeat", sdk.Policy{MaxRepeat: 2}, "xaaay", sdk.Violation{Rule: sdk.RuleMaxRepeat, Limit: 2, Message: "a character 2 times in a row at most"}},
		{"up", sdk.Policy{MaxSequence: 2}, "x123", sdk.Violation{Rule: sdk.RuleMaxSequence, Limit: 2, Message: "2 digits in sequence at most"}},
		{"down after up", sdk.Policy{MaxSequence: 3}, "x2343210", sdk.Violation{Rule: sdk.RuleMaxSequence, Limit: 3, Message: "3 digits in sequence at most"}},
		{"name", sdk.Policy{NoAccountName: true}, "xxANNxx", sdk.Violation{Rule: sdk.RuleContainsName, Message: "contains the account's name"}},
		{"name in another form", sdk.Policy{NoAccountName: true}, "xxJOSE\u0301xx", sdk.Violation{Rule: sdk.RuleContainsName, Message: "contains the account's name"}},
		{"word", sdk.Policy{ForbidWords: []string{"acme"}}, "Acme-2026", sdk.Violation{Rule: sdk.RuleContainsWord, Message: "contains a forbidden word"}},
		{"encoding", sdk.Policy{MinLength: 99}, "\xff", sdk.Violation{Rule: sdk.RuleEncoding, Message: "not valid utf-8"}},
	}
	for _, c := range tests {
		t.Run(c.name, func(t *testing.T) {
			got := Check(c.p, secret.New(c.value), []string{"", "x", "ann", "José"})
			if diff := cmp.Diff([]sdk.Violation{c.want}, got); diff != "" {
				t.Errorf("Check(%+v, %q) (-want +got)\n%s", c.p, c.value, diff)
			}
		})
	}
}

func TestCheckFindsNothingWrongWithGoodValues(t *testing.T) {
	tests := []struct {
		p     sdk.Policy
		value string
	}{
		{sdk.Policy{}, ""},
		{sdk.Policy{MinLength: 6, MaxLength: 6}, "sécret"},
		{sdk.Policy{MaxSequence: 2, MaxRepeat: 2}, "1213243 aabb 9890"},
		{sdk.Policy{NoAccountName: true}, "xanx"},
		{sdk.Policy{ForbidWords: []string{""}}, "x"},
		{sdk.Policy{Letters: 2, Lower: 1, Classes: 3, NonLetters: 2}, "a漢1-"},
	}
	for _, c := range tests {
		if got := Check(c.p, secret.New(c.value), []string{"", "x", "an", "ann"}); got != nil {
			t.Errorf("Check(%+v, %q) = %v, want nothing", c.p, c.value, got)
		}
	}
}

func TestRecipeCheckHoldsTheScriptsRulesToo(t *testing.T) {
	r := combine(t, &Spec{MinLength: ptr(4), Symbols: ptr(0), Forbid: ptr("x")}, Demand{"a", sdk.Policy{MinLength: 5}}, Demand{"b", sdk.Policy{MinLength: 5, Digits: 1}})
	tests := []struct {
		value string
		want  []sdk.Rule
	}{
		{"ab3", []sdk.Rule{sdk.RuleMinLength, sdk.RuleMinLength}},
		{"qwzdev", []sdk.Rule{sdk.RuleDigits}},
		{"qwzde-7", []sdk.Rule{sdk.RuleForbidden}},
		{"qwzdex7", []sdk.Rule{sdk.RuleForbidden}},
		{"Password1", []sdk.Rule{sdk.RuleDictionary}},
		{"annAnn77", []sdk.Rule{sdk.RuleContainsName}},
		{"a7漢bcd", nil},
	}
	for _, c := range tests {
		var got []sdk.Rule
		for _, v := range r.Check(secret.New(c.value), []string{"ann"}) {
			got = append(got, v.Rule)
		}
		if diff := cmp.Diff(c.want, got); diff != "" {
			t.Errorf("Check(%q) (-want +got)\n%s", c.value, diff)
		}
	}
}

func TestCommonPasswordsAreKeptOut(t *testing.T) {
	for _, v := range []string{"password", "PassWord", "Summer2026!", "123456", "!!dragon!!", "qwertz"} {
		if !isCommon([]rune(v)) {
			t.Errorf("%q is not common", v)
		}
	}
	for _, v := range []string{"", "xdragonx", "dragonflyer", "73920184", "pässword", strings.Repeat("password", 9)} {
		if isCommon([]rune(v)) {
			t.Errorf("%q is common", v)
		}
	}
	words := strings.Fields(commonText)
	for i, w := range words {
		if !isCommon([]rune(strings.ToUpper(w))) || i > 0 && w <= words[i-1] {
			t.Errorf("%q in the list is never found", w)
		}
	}
	if len(words) < 49000 {
		t.Errorf("the list has %d words", len(words))
	}
	r := combine(t, nil, Demand{"a", sdk.Policy{Alphabet: "12", MaxLength: 6}})
	from := seeded(10)
	for range 2000 {
		if v := generate(t, r, from); isCommon([]rune(v)) {
			t.Fatalf("%q is common", v)
		}
	}
}

func BenchmarkGenerate(b *testing.B) {
	r := combine(b, nil)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := r.Generate(crand.Reader, []string{"ann@acme.example", "ann"}); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkCheck looks at a sound value under a policy with a bit of everything.
func BenchmarkCheck(b *testing.B) {
	p := sdk.Policy{MinLength: 8, MaxLength: 64, Lower: 1, Digits: 1, Classes: 3, MaxRepeat: 3, MaxSequence: 4, Forbid: "<>&", NoAccountName: true}
	v := secret.New(generate(b, combine(b, nil), seeded(1)))
	names := []string{"ann@acme.example"}
	b.ReportAllocs()
	for b.Loop() {
		if found := Check(p, v, names); found != nil {
			b.Fatal(found)
		}
	}
}

func BenchmarkCombine(b *testing.B) {
	demands := []Demand{{"a", sdk.Policy{MinLength: 8, MaxLength: 64, Classes: 3}}, {"b", sdk.Policy{MaxRepeat: 2, Forbid: "<>&"}}}
	for b.Loop() {
		if _, err := Combine(nil, demands); err != nil {
			b.Fatal(err)
		}
	}
}
