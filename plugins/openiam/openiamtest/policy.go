package openiamtest

import (
	"slices"
	"strconv"
	"strings"
	"unicode/utf16"
)

// Policy is a password policy: by the name of an attribute its two values. An
// attribute without a value switches its rule off.
type Policy struct {
	ID         string
	Attributes map[string][2]string
}

// DefaultPolicy returns a copy of policy 4000, the shipped one,
// associated with GLOBAL.
func DefaultPolicy() Policy {
	return Policy{ID: "4000", Attributes: map[string][2]string{
		"PWD_LEN": {"8", "12"}, "NUMERIC_CHARS": {"1"}, "PWD_HIST_VER": {"6"}, "PASSWORD_CHANGE_ALLOWED": {"1"},
		"REJECT_CHARS_IN_PSWD": {"<>"}, "PWD_EXPIRATION": {"90"}, "PWD_EXPIRATION_ON_RESET": {"2"}, "PWD_EXP_GRACE": {"5"},
		"PWD_EXP_WARN": {"7"}, "CHNG_PSWD_ON_RESET": {"1"},
		"NON_ALPHA_CHARS": {}, "ALPHA_CHARS": {}, "UPPERCASE_CHARS": {}, "LOWERCASE_CHARS": {}, "PWD_NAME": {}, "PWD_LOGIN": {},
	}}
}

// With returns a copy with one attribute set to one or two values, or present
// without a value.
func (p Policy) With(name string, values ...string) Policy {
	attributes := map[string][2]string{}
	for key, v := range p.Attributes {
		attributes[key] = v
	}
	var pair [2]string
	copy(pair[:], values)
	attributes[name] = pair
	p.Attributes = attributes
	return p
}

func (p Policy) first(name string) string { return p.Attributes[name][0] }

func (p Policy) number(name string) (int, bool) {
	count, err := strconv.Atoi(p.first(name))
	return count, err == nil
}

// candidate is a value about to be set.
type candidate struct {
	policy   Policy
	identity *identity
	user     *User
	value    string
	blank    bool // the element was missing or empty
}

// codes of the rules.
const (
	codeLength    = "FAIL_LENGTH_RULE"
	codeHistory   = "FAIL_HISTORY_RULE"
	codeFrequency = "FAIL_PASSWORD_CHANGE_FREQUENCY"
)

// broken returns the code of the first rule that the value breaks, in the
// order of the rules' numbers. null is true where the source would dereference
// a missing password.
func (c candidate) broken() (code string, null bool) {
	if c.blank && c.historyOn() {
		return "", true
	}
	for _, rule := range []func() string{c.history, c.length, c.classes, c.principal, c.name, c.word, c.frequency, c.rejected} {
		if code := rule(); code != "" {
			return code, false
		}
	}
	return "", false
}

func (c candidate) historyOn() bool {
	return c.policy.first("PWD_HIST_VER") != "" && len(c.identity.History) > 0
}

func (c candidate) history() string {
	count, ok := c.policy.number("PWD_HIST_VER")
	if !ok {
		return ""
	}
	recent := c.identity.History
	if len(recent) > count {
		recent = recent[len(recent)-count:]
	}
	if slices.Contains(recent, c.value) {
		return codeHistory
	}
	return ""
}

func (c candidate) length() string {
	return c.between("PWD_LEN", len(utf16.Encode([]rune(c.value))), codeLength)
}

// between checks a count against the two values of an attribute.
func (c candidate) between(name string, count int, code string) string {
	pair, ok := c.policy.Attributes[name]
	if !ok {
		return ""
	}
	if c.blank {
		return code
	}
	lowest, _ := strconv.Atoi(pair[0])
	highest, _ := strconv.Atoi(pair[1])
	if lowest > 0 && count < lowest || highest > 0 && count > highest {
		return code
	}
	return ""
}

// classes checks the character classes, all of them ASCII.
func (c candidate) classes() string {
	in := func(ranges ...byte) int {
		count := 0
		for i := 0; i < len(c.value); i++ {
			for index := 0; index < len(ranges); index += 2 {
				if c.value[i] >= ranges[index] && c.value[i] <= ranges[index+1] {
					count++
				}
			}
		}
		return count
	}
	for _, rule := range []struct {
		name string
		n    int
		code string
	}{
		{"NUMERIC_CHARS", in('0', '9'), "FAIL_NUMERIC_CHAR_RULE"},
		{"UPPERCASE_CHARS", in('A', 'Z'), "FAIL_UPPER_CASE_RULE"},
		{"LOWERCASE_CHARS", in('a', 'z'), "FAIL_LOWER_CASE_RULE"},
		{"NON_ALPHA_CHARS", in('!', '/', ':', '@'), "FAIL_NON_APHANUMERIC_RULE"},
		{"ALPHA_CHARS", in('A', 'Z', 'a', 'z'), "FAIL_ALPHA_CHAR_RULE"},
	} {
		if code := c.between(rule.name, rule.n, rule.code); code != "" {
			return code
		}
	}
	return ""
}

func (c candidate) contains(attribute, word, code string) string {
	if strings.EqualFold(c.policy.first(attribute), "true") && word != "" &&
		strings.Contains(strings.ToLower(c.value), strings.ToLower(word)) {
		return code
	}
	return ""
}

func (c candidate) principal() string {
	return c.contains("PWD_LOGIN", c.identity.Principal, "FAIL_NEQ_PRINCIPAL")
}

func (c candidate) name() string {
	if c.user.First == "" || c.user.Last == "" {
		return ""
	}
	if code := c.contains("PWD_NAME", c.user.First, "FAIL_NEQ_NAME"); code != "" {
		return code
	}
	return c.contains("PWD_NAME", c.user.Last, "FAIL_NEQ_NAME")
}

func (c candidate) word() string { return c.contains("PWD_EQ_PWD", "password", "FAIL_NEQ_PASSWORD") }

func (c candidate) frequency() string {
	if count, ok := c.policy.number("PASSWORD_CHANGE_ALLOWED"); ok && c.identity.ChangeCount >= count {
		return codeFrequency
	}
	return ""
}

func (c candidate) rejected() string {
	set := c.policy.first("REJECT_CHARS_IN_PSWD")
	if set == "" {
		return ""
	}
	if c.blank || strings.ContainsAny(c.value, set) {
		return "FAIL_REJECT_CHARS_IN_PSWD"
	}
	return ""
}
