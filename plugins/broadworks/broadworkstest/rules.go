package broadworkstest

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"unicode"
)

// The kinds of credentials.
const (
	SIP       = "sip"
	Voicemail = "voicemail"
	Web       = "web"
)

// The levels of passcode rules.
const (
	LevelSystem   = "System"
	LevelProvider = "Service Provider"
	LevelGroup    = "Group"
)

// PasswordRules are those of web and SIP passwords.
type PasswordRules struct {
	UseServiceProviderSettings          bool `json:"useServiceProviderSettings,omitempty"` // of SIP
	DisallowAuthenticationName          bool `json:"disallowAuthenticationName,omitempty"` // of SIP
	DisallowUserID                      bool `json:"disallowUserId"`
	DisallowOldPassword                 bool `json:"disallowOldPassword"`
	DisallowReversedOldPassword         bool `json:"disallowReversedOldPassword"`
	RestrictMinDigits                   bool `json:"restrictMinDigits"`
	MinDigits                           int  `json:"minDigits"`
	RestrictMinUpperCaseLetters         bool `json:"restrictMinUpperCaseLetters"`
	MinUpperCaseLetters                 int  `json:"minUpperCaseLetters"`
	RestrictMinLowerCaseLetters         bool `json:"restrictMinLowerCaseLetters"`
	MinLowerCaseLetters                 int  `json:"minLowerCaseLetters"`
	RestrictMinNonAlphanumericCharacter bool `json:"restrictMinNonAlphanumericCharacters"`
	MinNonAlphanumericCharacters        int  `json:"minNonAlphanumericCharacters"`
	MinLength                           int  `json:"minLength"`
	MaxFailedLoginAttempts              int  `json:"maxFailedLoginAttempts"`
	PasswordExpiresDays                 int  `json:"passwordExpiresDays"`
	DisallowPreviousPasswords           bool `json:"disallowPreviousPasswords"`
	NumberOfPreviousPasswords           int  `json:"numberOfPreviousPasswords"`
}

// PasscodeRules are those of voicemail passcodes.
type PasscodeRules struct {
	UseRuleLevel                           string `json:"useRuleLevel,omitempty"` // of a group
	DisallowRepeatedDigits                 bool   `json:"disallowRepeatedDigits"`
	NumberOfRepeatedDigits                 int    `json:"numberOfRepeatedDigits"`
	DisallowRepeatedPatterns               bool   `json:"disallowRepeatedPatterns"`
	DisallowContiguousSequences            bool   `json:"disallowContiguousSequences"`
	NumberOfAscendingDigits                int    `json:"numberOfAscendingDigits"`
	NumberOfDescendingDigits               int    `json:"numberOfDescendingDigits"`
	DisallowUserNumber                     bool   `json:"disallowUserNumber"`
	DisallowReversedUserNumber             bool   `json:"disallowReversedUserNumber"`
	DisallowOldPasscode                    bool   `json:"disallowOldPasscode"`
	NumberOfPreviousPasscodes              int    `json:"numberOfPreviousPasscodes"`
	DisallowReversedOldPasscode            bool   `json:"disallowReversedOldPasscode"`
	MinCodeLength                          int    `json:"minCodeLength"`
	MaxCodeLength                          int    `json:"maxCodeLength"`
	DisableLoginAfterMaxFailedLoginAttempt bool   `json:"disableLoginAfterMaxFailedLoginAttempts"`
	MaxFailedLoginAttempts                 int    `json:"maxFailedLoginAttempts"`
}

// Rules are all rules of the system.
type Rules struct {
	GroupWeb         PasswordRules
	SystemWeb        PasswordRules // of generators without a group
	ProviderSIP      PasswordRules
	SystemSIP        PasswordRules
	GroupPasscode    PasscodeRules
	ProviderPasscode PasscodeRules
	SystemPasscode   PasscodeRules
}

// DefaultRules are what a system might be delivered with: web passwords of 8
// with a digit, an upper and a lower-case letter; SIP passwords of 12 with the
// same; passcodes of 4 to 6 digits without runs, by the group's rules, which is
// what public clients take.
func DefaultRules() Rules {
	web := PasswordRules{
		DisallowUserID: true, RestrictMinDigits: true, MinDigits: 1, RestrictMinUpperCaseLetters: true, MinUpperCaseLetters: 1,
		RestrictMinLowerCaseLetters: true, MinLowerCaseLetters: 1, MinLength: 8, MaxFailedLoginAttempts: 5,
	}
	sip := web
	sip.MinLength, sip.DisallowAuthenticationName = 12, true
	code := PasscodeRules{
		UseRuleLevel: LevelGroup, DisallowRepeatedDigits: true, NumberOfRepeatedDigits: 3, DisallowContiguousSequences: true,
		NumberOfAscendingDigits: 3, NumberOfDescendingDigits: 3, DisallowUserNumber: true, DisallowReversedUserNumber: true,
		MinCodeLength: 4, MaxCodeLength: 6, DisableLoginAfterMaxFailedLoginAttempt: true, MaxFailedLoginAttempts: 5,
	}
	return Rules{GroupWeb: web, SystemWeb: web, ProviderSIP: sip, SystemSIP: sip, GroupPasscode: code, ProviderPasscode: code, SystemPasscode: code}
}

// sip returns the SIP rules in force.
func (r Rules) sip() PasswordRules {
	if r.ProviderSIP.UseServiceProviderSettings {
		return r.ProviderSIP
	}
	return r.SystemSIP
}

// passcode returns the passcode rules in force.
func (r Rules) passcode() PasscodeRules {
	switch r.GroupPasscode.UseRuleLevel {
	case LevelSystem:
		return r.SystemPasscode
	case LevelProvider:
		return r.ProviderPasscode
	}
	return r.GroupPasscode
}

// breaks returns what a value breaks, "" if nothing. history is newest last.
func (r PasswordRules) breaks(value string, names, history []string) string {
	digits, upper, lower, others, length := 0, 0, 0, 0, 0
	for _, letter := range value {
		length++
		switch {
		case unicode.IsDigit(letter):
			digits++
		case unicode.IsUpper(letter):
			upper++
		case unicode.IsLower(letter):
			lower++
		default:
			others++
		}
	}
	switch {
	case length < r.MinLength || length > 60:
		return fmt.Sprintf("must be between %d and 60 characters long", r.MinLength)
	case r.RestrictMinDigits && digits < r.MinDigits:
		return fmt.Sprintf("must contain at least %d digit(s)", r.MinDigits)
	case r.RestrictMinUpperCaseLetters && upper < r.MinUpperCaseLetters:
		return fmt.Sprintf("must contain at least %d upper case letter(s)", r.MinUpperCaseLetters)
	case r.RestrictMinLowerCaseLetters && lower < r.MinLowerCaseLetters:
		return fmt.Sprintf("must contain at least %d lower case letter(s)", r.MinLowerCaseLetters)
	case r.RestrictMinNonAlphanumericCharacter && others < r.MinNonAlphanumericCharacters:
		return fmt.Sprintf("must contain at least %d non-alphanumeric character(s)", r.MinNonAlphanumericCharacters)
	}
	for _, name := range names {
		if name != "" && (r.DisallowUserID || r.DisallowAuthenticationName) && strings.Contains(strings.ToLower(value), strings.ToLower(name)) {
			return "must not contain the login or authentication name"
		}
	}
	past := memory{word: "password", old: r.DisallowOldPassword, reversed: r.DisallowReversedOldPassword}
	if r.DisallowPreviousPasswords {
		past.earlier = r.NumberOfPreviousPasswords
	}
	return past.breaks(value, history)
}

// memory is the part of the rules that needs earlier values.
type memory struct {
	word          string // for a value
	old, reversed bool   // the last one is refused, or its reverse
	earlier       int    // how many earlier ones are refused
}

// breaks returns what a value breaks, "" if nothing. history is newest last.
func (m memory) breaks(value string, history []string) string {
	if len(history) == 0 {
		return ""
	}
	last := history[len(history)-1]
	switch {
	case m.old && value == last:
		return "must not be the same as the old " + m.word
	case m.reversed && value == reverse(last):
		return "must not be the reverse of the old " + m.word
	case slices.Contains(history[max(0, len(history)-m.earlier):], value):
		return fmt.Sprintf("must not be one of the previous %d %ss", m.earlier, m.word)
	}
	return ""
}

func reverse(text string) string {
	list := []rune(text)
	slices.Reverse(list)
	return string(list)
}

// breaks returns what a passcode breaks, "" if nothing.
func (r PasscodeRules) breaks(value string, numbers, history []string) string {
	if value == "" || strings.Trim(value, "0123456789") != "" {
		return "must consist of digits"
	}
	if len(value) < r.MinCodeLength || len(value) > r.MaxCodeLength {
		return fmt.Sprintf("must be between %d and %d digits long", r.MinCodeLength, r.MaxCodeLength)
	}
	switch {
	case r.DisallowRepeatedDigits && run(value, 0) >= r.NumberOfRepeatedDigits:
		return fmt.Sprintf("must not contain %d repeated digits", r.NumberOfRepeatedDigits)
	case r.DisallowContiguousSequences && run(value, 1) >= r.NumberOfAscendingDigits:
		return fmt.Sprintf("must not contain %d ascending digits", r.NumberOfAscendingDigits)
	case r.DisallowContiguousSequences && run(value, -1) >= r.NumberOfDescendingDigits:
		return fmt.Sprintf("must not contain %d descending digits", r.NumberOfDescendingDigits)
	case r.DisallowRepeatedPatterns && pattern(value):
		return "must not contain repeated patterns"
	}
	for _, name := range numbers {
		if name != "" && (r.DisallowUserNumber && value == name || r.DisallowReversedUserNumber && value == reverse(name)) {
			return "must not be the user's number, forwards or backwards"
		}
	}
	past := memory{word: "passcode", reversed: r.DisallowReversedOldPasscode}
	if r.DisallowOldPasscode {
		past.earlier = max(1, r.NumberOfPreviousPasscodes)
	}
	return past.breaks(value, history)
}

// run is the length of the longest run of digits that differ by step.
func run(value string, step int) int {
	longest, length := 1, 1
	for i := 1; i < len(value); i++ {
		if length++; int(value[i])-int(value[i-1]) != step {
			length = 1
		}
		longest = max(longest, length)
	}
	return longest
}

// pattern reports whether the value is one group of digits over and over.
func pattern(value string) bool {
	for index := 2; index <= len(value)/2; index++ {
		if len(value)%index == 0 && strings.Repeat(value[:index], len(value)/index) == value {
			return true
		}
	}
	return false
}

// generate makes a value that breaks nothing; it need not be a good secret.
func (r PasswordRules) generate() string {
	const digits, upper, lower, others = "23456789", "ABCDEFGHJKLMNPQRSTUVWXYZ", "abcdefghijkmnpqrstuvwxyz", "!#%&*+-/=?@_"
	pick := func(from string, count int) string {
		data := make([]byte, count)
		for i := range data {
			data[i] = from[rand.IntN(len(from))]
		}
		return string(data)
	}
	value := pick(digits, max(1, r.MinDigits)) + pick(upper, max(1, r.MinUpperCaseLetters)) + pick(lower, max(1, r.MinLowerCaseLetters)) + pick(others, max(1, r.MinNonAlphanumericCharacters))
	value += pick(lower+upper+digits, max(0, max(12, r.MinLength)-len(value)))
	text := []byte(value)
	rand.Shuffle(len(text), func(i, other int) { text[i], text[other] = text[other], text[i] })
	return string(text)
}

func (r PasscodeRules) generate() string {
	for {
		value := ""
		for len(value) < r.MaxCodeLength {
			value += strconv.Itoa(rand.IntN(10))
		}
		if r.breaks(value, nil, nil) == "" {
			return value
		}
	}
}
