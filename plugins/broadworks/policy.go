package broadworks

import (
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"
	"unicode"

	"github.com/rekey-host/rekey/sdk"
	"github.com/rekey-host/rekey/sdk/rest"
)

// rules asks for the rules of each kind of credential.
type rules struct{ *Instance }

// rulesLife is how long fetched rules are taken for the present ones.
const rulesLife = 5 * time.Minute

const digits = "0123456789"

// passwordRules are those of web and SIP passwords.
type passwordRules struct {
	UseServiceProviderSettings          rest.Bool
	DisallowAuthenticationName          rest.Bool
	DisallowUserID                      rest.Bool
	DisallowOldPassword                 rest.Bool
	DisallowReversedOldPassword         rest.Bool
	RestrictMinDigits                   rest.Bool
	MinDigits                           rest.Int
	RestrictMinUpperCaseLetters         rest.Bool
	MinUpperCaseLetters                 rest.Int
	RestrictMinLowerCaseLetters         rest.Bool
	MinLowerCaseLetters                 rest.Int
	RestrictMinNonAlphanumericCharacter rest.Bool `json:"restrictMinNonAlphanumericCharacters"`
	MinNonAlphanumericCharacters        rest.Int
	MinLength                           rest.Int
	DisallowPreviousPasswords           rest.Bool
	NumberOfPreviousPasswords           rest.Int
}

func (r passwordRules) policy() sdk.Policy {
	policy := sdk.Policy{MinLength: int(r.MinLength.N), NoAccountName: r.DisallowUserID.On || r.DisallowAuthenticationName.On}
	policy.Digits = when(r.RestrictMinDigits, r.MinDigits)
	policy.Upper = when(r.RestrictMinUpperCaseLetters, r.MinUpperCaseLetters)
	policy.Lower = when(r.RestrictMinLowerCaseLetters, r.MinLowerCaseLetters)
	policy.Symbols = when(r.RestrictMinNonAlphanumericCharacter, r.MinNonAlphanumericCharacters)
	policy.History = max(when(r.DisallowPreviousPasswords, r.NumberOfPreviousPasswords), when(r.DisallowOldPassword, rest.Int{N: 1}))
	if r.DisallowReversedOldPassword.On {
		policy.Note = "not the old one backwards"
	}
	return policy
}

func when(on rest.Bool, n rest.Int) int {
	if !on.On {
		return 0
	}
	return max(1, int(n.N))
}

// passcodeRules are those of voicemail passcodes.
type passcodeRules struct {
	UseRuleLevel                rest.Text
	DisallowRepeatedDigits      rest.Bool
	NumberOfRepeatedDigits      rest.Int
	DisallowRepeatedPatterns    rest.Bool
	DisallowContiguousSequences rest.Bool
	NumberOfAscendingDigits     rest.Int
	NumberOfDescendingDigits    rest.Int
	DisallowUserNumber          rest.Bool
	DisallowReversedUserNumber  rest.Bool
	DisallowOldPasscode         rest.Bool
	NumberOfPreviousPasscodes   rest.Int
	DisallowReversedOldPasscode rest.Bool
	MinCodeLength               rest.Int
	MaxCodeLength               rest.Int
}

// policy takes a configured run as the shortest that fails.
func (r passcodeRules) policy() sdk.Policy {
	policy := sdk.Policy{Alphabet: digits, MinLength: int(r.MinCodeLength.N), MaxLength: int(r.MaxCodeLength.N), History: when(r.DisallowOldPasscode, r.NumberOfPreviousPasscodes)}
	if r.DisallowRepeatedDigits.On {
		policy.MaxRepeat = max(1, int(r.NumberOfRepeatedDigits.N)-1)
	}
	if r.DisallowContiguousSequences.On {
		policy.MaxSequence = max(1, shorter(int(r.NumberOfAscendingDigits.N), int(r.NumberOfDescendingDigits.N))-1)
	}
	var notes []string
	for _, rule := range []struct {
		on   rest.Bool
		text string
	}{
		{r.DisallowRepeatedPatterns, "no repeated pattern"}, {r.DisallowUserNumber, "not the user's number"},
		{r.DisallowReversedUserNumber, "not the user's number backwards"}, {r.DisallowReversedOldPasscode, "not the old one backwards"},
	} {
		if rule.on.On {
			notes = append(notes, rule.text)
		}
	}
	policy.Note = strings.Join(notes, "; ")
	return policy
}

// shorter is the smaller of two set numbers.
func shorter(first, second int) int {
	if first == 0 || second != 0 && second < first {
		return second
	}
	return first
}

// cache keeps each kind's rules for a while. It is safe for concurrent use.
type cache struct {
	now  func() time.Time
	mu   sync.Mutex
	kept map[string]kept
}

type kept struct {
	policy sdk.Policy
	at     time.Time
}

func (c *cache) get(kind string) (sdk.Policy, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	kept, ok := c.kept[kind]
	return kept.policy, ok && c.now().Sub(kept.at) < rulesLife
}

func (c *cache) put(kind string, policy sdk.Policy) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.kept == nil {
		c.kept = map[string]kept{}
	}
	c.kept[kind] = kept{policy, c.now()}
}

func (i rules) fetch(do exchange, kind string) (sdk.Policy, *rest.Failure) {
	switch kind {
	case SIP:
		return i.fetchSIP(do)
	case Voicemail:
		return i.fetchPasscode(do)
	}
	var r passwordRules
	failure := decode(do, get("/groups/password-rules", i.ofGroup()), &r)
	if unread(failure) {
		return sdk.Policy{Note: unknownRules}, nil
	}
	return r.policy(), failure
}

// unknownRules stand for rules missing where they were looked for, or not
// for this login.
const unknownRules = "the rules could not be read; the platform checks them"

// unread reports whether an answer keeps the rules from being known, for good:
// the value is then checked by the platform alone, whatever its kind.
func unread(failure *rest.Failure) bool {
	return absent(failure) || failure != nil && failure.Err.Code == sdk.PermissionDenied
}

// fetchSIP goes by the provider's rules where it has its own, else by the
// system's.
func (i rules) fetchSIP(do exchange) (sdk.Policy, *rest.Failure) {
	var r passwordRules
	failure := decode(do, get("/service-providers/sip-authentication-password-rules", i.ofProvider()), &r)
	if failure != nil && !unread(failure) {
		return sdk.Policy{}, failure
	}
	if failure != nil || !r.UseServiceProviderSettings.On {
		r = passwordRules{}
		failure = decode(do, get("/system/sip-authentication-password-rules", nil), &r)
	}
	if unread(failure) {
		return sdk.Policy{Note: unknownRules}, nil
	}
	policy := r.policy()
	policy.MaxLength = 60 // of the schema
	return policy, failure
}

// fetchPasscode goes by the level that the group's rules name.
func (i rules) fetchPasscode(do exchange) (sdk.Policy, *rest.Failure) {
	var r passcodeRules
	failure := decode(do, get("/groups/passcode-rules", i.ofGroup()), &r)
	if failure != nil && !unread(failure) {
		return sdk.Policy{}, failure
	}
	switch level := strings.ToLower(strings.ReplaceAll(string(r.UseRuleLevel), " ", "")); level {
	case "serviceprovider", "provider", "enterprise":
		r = passcodeRules{}
		failure = decode(do, get("/service-providers/passcode-rules", i.ofProvider()), &r)
	case "system":
		r = passcodeRules{}
		failure = decode(do, get("/system/passcode-rules", nil), &r)
	}
	if unread(failure) {
		return sdk.Policy{Alphabet: digits, Note: unknownRules}, nil
	}
	return r.policy(), failure
}

// absent reports whether the interface has no such page, or does not show it to
// this login.
func absent(failure *rest.Failure) bool {
	if failure == nil {
		return false
	}
	switch failure.Answer.Status {
	case http.StatusNotFound, http.StatusForbidden, http.StatusMethodNotAllowed, http.StatusNotImplemented:
		return true
	}
	return false
}

func (i rules) ofGroup() url.Values {
	return url.Values{"serviceProviderId": {i.provider}, "groupId": {i.group}}
}

func (i rules) ofProvider() url.Values { return url.Values{"serviceProviderId": {i.provider}} }

// broken returns the rules that a value breaks, of those that need no memory.
func broken(policy sdk.Policy, value, account string) []sdk.Violation {
	counts := count(value)
	repeat, sequence := runs(value)
	name, _, _ := strings.Cut(strings.ToLower(account), "@")
	lower := strings.ToLower(value)
	var list []sdk.Violation
	for _, r := range []struct {
		broken bool
		rule   sdk.Rule
		limit  int
	}{
		{counts.all < policy.MinLength, sdk.RuleMinLength, policy.MinLength},
		{policy.MaxLength > 0 && counts.all > policy.MaxLength, sdk.RuleMaxLength, policy.MaxLength},
		{counts.digits < policy.Digits, sdk.RuleDigits, policy.Digits},
		{counts.upper < policy.Upper, sdk.RuleUpper, policy.Upper},
		{counts.lower < policy.Lower, sdk.RuleLower, policy.Lower},
		{counts.symbols < policy.Symbols, sdk.RuleSymbols, policy.Symbols},
		{policy.Alphabet != "" && strings.Trim(value, policy.Alphabet) != "", sdk.RuleForbidden, 0},
		{policy.MaxRepeat > 0 && repeat > policy.MaxRepeat, sdk.RuleMaxRepeat, policy.MaxRepeat},
		{policy.MaxSequence > 0 && sequence > policy.MaxSequence, sdk.RuleMaxSequence, policy.MaxSequence},
		{policy.NoAccountName && (strings.Contains(lower, strings.ToLower(account)) || len(name) > 2 && strings.Contains(lower, name)), sdk.RuleContainsName, 0},
	} {
		if r.broken {
			list = append(list, sdk.Violation{Rule: r.rule, Limit: r.limit})
		}
	}
	return list
}

type counts struct{ all, digits, upper, lower, symbols int }

func count(value string) (counts counts) {
	for _, letter := range value {
		counts.all++
		switch {
		case unicode.IsDigit(letter):
			counts.digits++
		case unicode.IsUpper(letter):
			counts.upper++
		case unicode.IsLower(letter):
			counts.lower++
		default:
			counts.symbols++
		}
	}
	return counts
}

// runs returns the longest run of one character, and of digits that ascend or
// descend by one.
func runs(value string) (repeat, sequence int) {
	var last rune
	same, up, down := 0, 0, 0
	for index, letter := range value {
		step := letter - last
		number := index > 0 && unicode.IsDigit(letter) && unicode.IsDigit(last)
		same = next(index > 0 && step == 0, same)
		up = next(number && step == 1, up)
		down = next(number && step == -1, down)
		repeat, sequence, last = max(repeat, same), max(sequence, up, down), letter
	}
	return repeat, sequence
}

func next(goesOn bool, run int) int {
	if goesOn {
		return run + 1
	}
	return 1
}
