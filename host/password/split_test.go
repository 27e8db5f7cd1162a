package password

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/rekey-host/rekey/sdk"
)

func TestAContradictionNamesTheFewestValues(t *testing.T) {
	long, short := sdk.Policy{MinLength: 14}, sdk.Policy{MaxLength: 12}
	digits, letters := sdk.Policy{Alphabet: digitChars}, sdk.Policy{Lower: 1}
	for _, c := range []struct {
		name    string
		spec    *Spec
		demands []Demand
		want    string // after the rules; "": no split helps
	}{
		{"two", nil, []Demand{{"a", long}, {"b", short}}, "2 values do: one for a, one for b"},
		{"the odd one out", nil, []Demand{{"a", long}, {"b", short}, {"c", long}, {"d", sdk.Policy{}}}, "2 values do: one for a and c and d, one for b"},
		{"another clash than the one named", nil, []Demand{{"a", long}, {"b", short}, {"pin", digits}, {"d", letters}},
			"2 values do: one for a and d, one for b and pin (a wants 14 or more characters, b wants 12 or fewer characters)"},
		{"three", nil, []Demand{{"a", sdk.Policy{Alphabet: digitChars, MaxLength: 4}}, {"b", sdk.Policy{Alphabet: lowerChars}}, {"c", sdk.Policy{Digits: 6}}},
			"3 values do: one for a, one for b (a forbids all lower-case letters, b forbids all upper-case letters, b forbids all digits, b forbids all symbols), one for c (a wants 4 or fewer characters, c requires 6 digits)"},
		{"the script against one", &Spec{Symbols: ptr(0)}, []Demand{{"a", sdk.Policy{Symbols: 1}}, {"b", sdk.Policy{}}}, ""},
		{"one alone", nil, []Demand{{"a", sdk.Policy{MinLength: 14, MaxLength: 12}}}, ""},
		{"the script alone", &Spec{Length: ptr(0)}, []Demand{{"a", sdk.Policy{}}, {"b", sdk.Policy{}}}, ""},
	} {
		_, err := Combine(c.spec, c.demands)
		if err == nil {
			t.Fatalf("%s: no contradiction", c.name)
		}
		_, text, _ := strings.Cut(err.Error(), "; ")
		if want := strings.TrimSuffix(c.want+"; make each with step.generate(targets = [...])", "; "); c.want == "" && text != "" || c.want != "" && text != want {
			t.Errorf("%s:\n%s\nwant %s", c.name, err, want)
		}
	}
}

// Many systems are divided without trying every set of them, and each part has
// values.
func TestManyOwnersAreDividedToo(t *testing.T) {
	var demands []Demand
	for i := range 12 {
		policy := sdk.Policy{MinLength: 14}
		if i%2 == 1 {
			policy = sdk.Policy{MaxLength: 12}
		}
		demands = append(demands, Demand{fmt.Sprintf("s%02d", i), policy})
	}
	_, err := Combine(nil, demands)
	var found *Contradiction
	if !errors.As(err, &found) || len(found.Split) != 2 || len(found.Split[0].Owners) != 6 || len(found.Split[1].Owners) != 6 {
		t.Fatalf("%v, want two values for six each", err)
	}
}
