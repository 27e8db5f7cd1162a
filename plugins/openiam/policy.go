package openiam

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"unicode/utf16"

	"github.com/rekey-host/rekey/sdk"
	"github.com/rekey-host/rekey/sdk/rest"
	"github.com/rekey-host/rekey/sdk/secret"
)

// symbols are the only characters that OpenIAM counts as such.
const symbols = "!\"#$%&'()*+,-./:;<=>?@"

// rules is a password policy: by attribute its two values.
type rules map[string][2]string

// Policy returns the policy of the account, or of policy_principal where no
// account is named. Without both OpenIAM has nothing to tell, and there are no
// rules.
func (i *Instance) Policy(ctx context.Context, account, _ string) (sdk.Policy, error) {
	named := account
	if named == "" {
		named = i.policyPrincipal
	}
	if named == "" {
		return sdk.Policy{Note: "OpenIAM tells its policy for an account only: name one with policy_principal"}, nil
	}
	t, err := i.target(named)
	if err != nil {
		return sdk.Policy{}, err
	}
	p, f := i.rules(ctx, t)
	if f != nil {
		return sdk.Policy{}, f.AsError()
	}
	return p.policy(), nil
}

// rules reads the policy of an identity. The server answers a fault for one
// that does not exist, so that is looked up before it is believed.
func (i *Instance) rules(ctx context.Context, t target) (rules, *rest.Failure) {
	answer, f := i.call(ctx, i.passwords, message{operation: "getPasswordPolicy", fields: t.fields(), readOnly: true})
	if f != nil {
		if _, missing := i.find(ctx, t); missing != nil && missing.Err.Code == sdk.AccountNotFound {
			return nil, missing
		}
		return nil, f
	}
	policy := answer.child("policy")
	if answer.attribute("status") != "success" || policy == nil {
		return nil, rest.Refusal(sdk.Errorf(sdk.TargetError, "the server has no password policy for %s", t))
	}
	r := rules{}
	for _, n := range policy.children {
		if n.name == "policyAttributes" {
			r[strings.ToUpper(n.value("name"))] = [2]string{n.raw("value1"), n.raw("value2")}
		}
	}
	return r, nil
}

// raw is the text of a child as it stands: blanks may be meant.
func (n *node) raw(name string) string {
	if c := n.child(name); c != nil {
		return c.text
	}
	return ""
}

func (r rules) number(name string, value int) int {
	n, err := strconv.Atoi(strings.TrimSpace(r[name][value]))
	if err != nil || n < 0 {
		return 0
	}
	return n
}

func (r rules) on(name string) bool { return strings.EqualFold(strings.TrimSpace(r[name][0]), "true") }

// policy is the rules in the words of sdk. What a rule of OpenIAM says beyond
// them stands in the note.
func (r rules) policy() sdk.Policy {
	p := sdk.Policy{
		MinLength: r.number("PWD_LEN", 0), MaxLength: r.number("PWD_LEN", 1),
		Letters: r.number("ALPHA_CHARS", 0), Lower: r.number("LOWERCASE_CHARS", 0), Upper: r.number("UPPERCASE_CHARS", 0),
		Digits: r.number("NUMERIC_CHARS", 0), Symbols: r.number("NON_ALPHA_CHARS", 0),
		Forbid: r["REJECT_CHARS_IN_PSWD"][0], NoAccountName: r.on("PWD_LOGIN"), History: r.number("PWD_HIST_VER", 0),
	}
	if p.Symbols > 0 {
		p.AllowedSymbols = symbols
	}
	if r.on("PWD_EQ_PWD") {
		p.ForbidWords = []string{"password"}
	}
	p.Note = r.note()
	return p
}

func (r rules) note() string {
	var notes []string
	for _, class := range []struct{ name, word string }{{"ALPHA_CHARS", "letters"}, {"LOWERCASE_CHARS", "lower-case letters"},
		{"UPPERCASE_CHARS", "upper-case letters"}, {"NUMERIC_CHARS", "digits"}, {"NON_ALPHA_CHARS", "symbols"}} {
		if n := r.number(class.name, 1); n > 0 {
			notes = append(notes, fmt.Sprintf("at most %d %s", n, class.word))
		}
	}
	if r.on("PWD_NAME") {
		notes = append(notes, "must not contain the first or last name")
	}
	if n, ok := r.changes(); ok {
		notes = append(notes, fmt.Sprintf("at most %d setPassword until a reset sets the counter back", n))
	}
	return strings.Join(notes, "; ")
}

// changes is how many changes a user may have, and whether there is a limit.
func (r rules) changes() (int, bool) {
	n, err := strconv.Atoi(strings.TrimSpace(r["PASSWORD_CHANGE_ALLOWED"][0]))
	return n, err == nil
}

// limits adds to a refusal the number of the rule that was broken, and says of
// a length which end of it.
func (r rules) limits(e *sdk.Error, v secret.Value) {
	for n := range e.Violations {
		x := &e.Violations[n]
		switch x.Rule {
		case sdk.RuleLetters:
			x.Limit = r.number("ALPHA_CHARS", 0)
		case sdk.RuleDigits:
			x.Limit = r.number("NUMERIC_CHARS", 0)
		case sdk.RuleLower:
			x.Limit = r.number("LOWERCASE_CHARS", 0)
		case sdk.RuleUpper:
			x.Limit = r.number("UPPERCASE_CHARS", 0)
		case sdk.RuleSymbols:
			x.Limit = r.number("NON_ALPHA_CHARS", 0)
		case sdk.RuleHistory:
			x.Limit = r.number("PWD_HIST_VER", 0)
		case sdk.RuleChangeCount:
			x.Limit = r.number("PASSWORD_CHANGE_ALLOWED", 0)
			if n, ok := r.changes(); ok && n == 0 {
				e.Code, e.Violations, e.Message = sdk.ChangeNotAllowed, nil, "the policy allows no change (PASSWORD_CHANGE_ALLOWED is 0)"
				return
			}
		case sdk.RuleOpaque:
			r.length(e, x, v)
		}
	}
}

// length tells which end of PWD_LEN was missed. OpenIAM counts UTF-16 units.
func (r rules) length(e *sdk.Error, x *sdk.Violation, v secret.Value) {
	if normal(x.Native) != "FAILLENGTHRULE" {
		return
	}
	n := len(utf16.Encode([]rune(v.Reveal())))
	lowest, highest := r.number("PWD_LEN", 0), r.number("PWD_LEN", 1)
	switch {
	case n < lowest:
		x.Rule, x.Limit, x.Message = sdk.RuleMinLength, lowest, fmt.Sprintf("too short: at least %d characters", lowest)
	case highest > 0 && n > highest:
		x.Rule, x.Limit, x.Message = sdk.RuleMaxLength, highest, fmt.Sprintf("too long: at most %d characters", highest)
	default:
		return
	}
	e.Message = x.Message
}
