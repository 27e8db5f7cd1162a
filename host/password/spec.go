package password

import "github.com/rekey-host/rekey/sdk"

// Spec is what a script's policy(...) asks for. A set field is a
// demand; a nil one leaves room for the wishes: 20 characters, one of each
// class, no account name, no common password.
type Spec struct {
	Length, MinLength, MaxLength  *int
	Lower, Upper, Digits, Symbols *int      // at least so many; 0: not one
	MaxRepeat                     *int      // no run of one character longer than this; 0: no rule
	AllowedSymbols                *string   // of the symbols only these, all of them, look-alikes too
	Forbid                        *string   // characters to avoid
	Allowed                       *string   // only these characters; nil: printable ASCII
	OneOf                         []string  // of each of these sets one character at least
	NoAccountName, Blocklist      *bool     // false takes the wish back
	Breached                      *Breached // no password of this list; nil: any
	Pin                           bool      // policy.pin: digits only, Length of them (6), no trivial runs
	Words                         *Words    // policy.words: several words; nil: characters
}

// Held says why the blocklist that the script asks for has a given value: "a
// common password", "a breached password"; "" if it does not, or without one.
func (s *Spec) Held(value string) (string, error) {
	switch {
	case s == nil || s.Blocklist == nil || !*s.Blocklist:
		return "", nil
	case isCommon([]rune(value)):
		return "a common password", nil
	case s.Breached == nil:
		return "", nil
	}
	held, err := s.Breached.Holds(value)
	if err != nil || !held {
		return "", err
	}
	return "a breached password", nil
}

// require demands one of the characters: a whole class is counted, of any
// other list one has to be found.
func (s *Spec) require(list []rune) {
	one := 1
	for class, count := range map[class]**int{lower: &s.Lower, upper: &s.Upper, digit: &s.Digits, symbol: &s.Symbols} {
		if whole(list, class) {
			*count = &one
			return
		}
	}
	if len(list) > 0 {
		s.OneOf = append(s.OneOf, string(list))
	}
}

// Demand is the rules of one owner: a backend's label.
type Demand struct {
	Owner  string
	Policy sdk.Policy
}

// Owners of rules that no backend has.
const (
	ownerScript = "the script"
	ownerRekey  = "rekey"
)
