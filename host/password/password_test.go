package password

import (
	"crypto/rand"
	"errors"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/rekey-host/rekey/sdk"
	"github.com/rekey-host/rekey/sdk/secret"
)

func ptr[T any](v T) *T { return &v }

func TestTheDefaultIsTwentyCharactersOfEachClass(t *testing.T) {
	r, err := Combine(nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	v, err := r.Generate(rand.Reader, nil)
	if err != nil {
		t.Fatal(err)
	}
	if broken := Check(sdk.Policy{MinLength: 20, MaxLength: 20, Classes: 4}, v, nil); len(broken) > 0 {
		t.Errorf("breaks %v", broken)
	}
	if bits := r.Entropy(); bits < 110 {
		t.Errorf("%.0f bits, want at least 110", bits)
	}
}

func TestContradictionsNameTheirOwners(t *testing.T) {
	for _, c := range []struct {
		name    string
		spec    *Spec
		demands []Demand
		want    []string
	}{
		{"lengths", nil, []Demand{{"cloud", sdk.Policy{MinLength: 8}}, {"voicemail", sdk.Policy{MaxLength: 6}}}, []string{"cloud wants 8 or more", "voicemail wants 6 or fewer"}},
		{"script against backend", &Spec{Length: ptr(30)}, []Demand{{"old", sdk.Policy{MaxLength: 8}}}, []string{"the script wants 30", "old wants 8"}},
		{"symbols", nil, []Demand{{"a", sdk.Policy{Symbols: 1}}, {"b", sdk.Policy{Alphabet: allLower + allDigits}}}, []string{"a wants 1 or more symbols", "b leaves none"}},
		{"too much for the length", nil, []Demand{{"a", sdk.Policy{Lower: 5, Digits: 5}}, {"b", sdk.Policy{MaxLength: 8}}}, []string{"a wants 5", "b wants 8"}},
		{"classes", nil, []Demand{{"a", sdk.Policy{Classes: 3}}, {"b", sdk.Policy{Alphabet: "0123456789"}}}, []string{"a wants 3 kinds", "only 1"}},
		{"letters", nil, []Demand{{"a", sdk.Policy{Letters: 4}}, {"b", sdk.Policy{Alphabet: "0123456789"}}}, []string{"a wants 4 letters"}},
	} {
		_, err := Combine(c.spec, c.demands)
		var found *Contradiction
		if !errors.As(err, &found) {
			t.Errorf("%s: %v, want a contradiction", c.name, err)
			continue
		}
		for _, part := range c.want {
			if !strings.Contains(err.Error(), part) {
				t.Errorf("%s: %q does not say %q", c.name, err, part)
			}
		}
	}
}

func TestWishesGiveWayToDemands(t *testing.T) {
	r, err := Combine(nil, []Demand{{"web", sdk.Policy{MaxLength: 12, Alphabet: allLower + allDigits}}})
	if err != nil {
		t.Fatal(err)
	}
	if r.Length() != 12 || len(r.Dropped()) != 2 {
		t.Errorf("length %d, dropped %q; want 12 and two classes", r.Length(), r.Dropped())
	}
}

func TestAPinHasDigitsOnlyAndNoRun(t *testing.T) {
	r, err := Combine(&Spec{Pin: true, Length: ptr(6)}, nil)
	if err != nil {
		t.Fatal(err)
	}
	for range 2000 {
		v, err := r.Generate(rand.Reader, nil)
		if err != nil {
			t.Fatal(err)
		}
		if broken := Check(sdk.Policy{MinLength: 6, MaxLength: 6, Alphabet: allDigits, MaxSequence: 3}, v, nil); len(broken) > 0 {
			t.Fatalf("breaks %v", broken)
		}
	}
}

// TestAnyRecipeIsObeyed draws policies; what is no contradiction has to be
// satisfied by every value.
func TestAnyRecipeIsObeyed(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		small := rapid.IntRange(0, 3)
		p := sdk.Policy{MinLength: rapid.IntRange(0, 24).Draw(t, "min"), MaxLength: rapid.IntRange(0, 40).Draw(t, "max"),
			Lower: small.Draw(t, "lower"), Upper: small.Draw(t, "upper"), Digits: small.Draw(t, "digits"), Symbols: small.Draw(t, "symbols"),
			Letters: rapid.IntRange(0, 6).Draw(t, "letters"), NonLetters: rapid.IntRange(0, 6).Draw(t, "others"),
			Forbid: rapid.StringMatching(`[a-zA-Z0-9!-/]{0,20}`).Draw(t, "forbid"), MaxRepeat: rapid.IntRange(2, 4).Draw(t, "repeat"),
			AllowedSymbols: rapid.SampledFrom([]string{"", "!#%", "-_."}).Draw(t, "symbols allowed"), NoAccountName: true}
		r, err := Combine(nil, []Demand{{"target", p}})
		var clash *Contradiction
		if errors.As(err, &clash) {
			return
		}
		if err != nil {
			t.Fatal(err)
		}
		v, err := r.Generate(rand.Reader, []string{"alice"})
		if err != nil {
			return // a few characters and a short run: said so, nothing made
		}
		if broken := Check(p, v, []string{"alice"}); len(broken) > 0 {
			t.Fatalf("policy %+v: breaks %v", p, broken)
		}
	})
}

// TestCharactersAreUniform is a chi-square test over the characters beyond the
// required ones: 71 degrees of freedom, 1 in a million at 150.
func TestCharactersAreUniform(t *testing.T) {
	d := dice{from: rand.Reader}
	for _, n := range []int{2, 8, 10, 24, 71, 72, 100, 255, 256} {
		counts := make([]float64, n)
		const each = 2000
		for range each * n {
			counts[d.roll(n)]++
		}
		chi := 0.0
		for _, c := range counts {
			chi += (c - each) * (c - each) / each
		}
		if limit := float64(n) + 8*sqrt(2*float64(n)) + 30; chi > limit {
			t.Errorf("roll(%d): chi-square %.0f, limit %.0f", n, chi, limit)
		}
	}
}

func sqrt(x float64) float64 {
	y := x
	for range 40 {
		y = (y + x/y) / 2
	}
	return y
}

func TestNoValueStartsAFormula(t *testing.T) {
	r, err := Combine(nil, []Demand{{"a", sdk.Policy{AllowedSymbols: "=+-@!"}}})
	if err != nil {
		t.Fatal(err)
	}
	for range 5000 {
		v, err := r.Generate(rand.Reader, nil)
		if err != nil {
			t.Fatal(err)
		}
		if strings.ContainsAny(v.Reveal()[:1], neverFirst) {
			t.Fatal("a value starts with what a spreadsheet would run")
		}
	}
}

func TestCheckFindsEachBrokenRule(t *testing.T) {
	for _, c := range []struct {
		policy sdk.Policy
		value  string
		want   sdk.Rule
	}{
		{sdk.Policy{MinLength: 8}, "short", sdk.RuleMinLength},
		{sdk.Policy{MaxLength: 4}, "short", sdk.RuleMaxLength},
		{sdk.Policy{MaxBytes: 4}, "ééé", sdk.RuleMaxLength},
		{sdk.Policy{Letters: 4}, "abc1234", sdk.RuleLetters},
		{sdk.Policy{Lower: 1}, "ABC", sdk.RuleLower},
		{sdk.Policy{Upper: 1}, "abc", sdk.RuleUpper},
		{sdk.Policy{Digits: 1}, "abc", sdk.RuleDigits},
		{sdk.Policy{Symbols: 1}, "abc1", sdk.RuleSymbols},
		{sdk.Policy{NonLetters: 1}, "abc", sdk.RuleNonLetters},
		{sdk.Policy{Classes: 3}, "abc1", sdk.RuleClasses},
		{sdk.Policy{Forbid: "<>"}, "a<b", sdk.RuleForbidden},
		{sdk.Policy{Alphabet: "0123456789"}, "12a4", sdk.RuleForbidden},
		{sdk.Policy{AllowedSymbols: "-"}, "a+b", sdk.RuleForbidden},
		{sdk.Policy{MaxRepeat: 2}, "abbbc", sdk.RuleMaxRepeat},
		{sdk.Policy{MaxSequence: 3}, "x1234", sdk.RuleMaxSequence},
		{sdk.Policy{MaxSequence: 3}, "x4321", sdk.RuleMaxSequence},
		{sdk.Policy{NoAccountName: true}, "xxALICExx", sdk.RuleContainsName},
		{sdk.Policy{ForbidWords: []string{"acme"}}, "Acme-2026", sdk.RuleContainsWord},
	} {
		broken := Check(c.policy, secret.New(c.value), []string{"alice"})
		if len(broken) != 1 || broken[0].Rule != c.want {
			t.Errorf("%+v: %v, want %s", c.policy, broken, c.want)
		}
	}
}

func BenchmarkGenerate(b *testing.B) {
	r, err := Combine(nil, nil)
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if _, err := r.Generate(rand.Reader, []string{"alice@example.org", "alice"}); err != nil {
			b.Fatal(err)
		}
	}
}
