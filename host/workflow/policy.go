package workflow

import (
	"fmt"

	"go.starlark.net/starlark"

	"github.com/rekey-host/rekey/host/password"
)

// policyValue is what policy() makes.
type policyValue struct{ spec *password.Spec }

func (p *policyValue) String() string        { return "policy" }
func (p *policyValue) Type() string          { return "policy" }
func (p *policyValue) Freeze()               {}
func (p *policyValue) Truth() starlark.Bool  { return true }
func (p *policyValue) Hash() (uint32, error) { return 0, fmt.Errorf("a policy is no key") }

// maxLength bounds the length of a password.
const maxLength = 1024

func (c *call) policy() (starlark.Value, error) {
	s := &password.Spec{
		Length: c.count("length", 1), MinLength: c.count("min_length", 1), MaxLength: c.count("max_length", 1),
		Lower: c.count("lower", 0), Upper: c.count("upper", 0), Digits: c.count("digits", 0), Symbols: c.count("symbols", 0),
		MaxRepeat: c.count("max_repeat", 1), AllowedSymbols: c.optionalText("allowed_symbols"), Forbid: c.optionalText("forbid"),
		NoAccountName: c.optionalBool("no_account_name"), Blocklist: c.optionalBool("blocklist"),
	}
	c.contradiction(s)
	return &policyValue{s}, nil
}

// contradiction notes demands of the policy that no value can meet.
func (c *call) contradiction(s *password.Spec) {
	if len(c.problems) > 0 || c.loose("") {
		return
	}
	if _, err := password.Combine(s, nil); err != nil {
		c.bad("", "", "%s", err)
	}
}

func (c *call) pin() (starlark.Value, error) {
	n := c.number("length", 1)
	if n > maxLength {
		c.badValue("length", "", "length = %d: want at most %d", n, maxLength)
	}
	return &policyValue{&password.Spec{Pin: true, Length: &n}}, nil
}

// count returns an optional number that is neither below least nor absurd.
func (c *call) count(name string, least int) *int {
	if !c.has(name) {
		return nil
	}
	n := c.number(name, least)
	if n > maxLength {
		c.badValue(name, "", "%s = %d: want at most %d", name, n, maxLength)
	}
	return &n
}

func (c *call) optionalText(name string) *string {
	if !c.has(name) {
		return nil
	}
	s := c.text(name)
	return &s
}

func (c *call) optionalBool(name string) *bool {
	if !c.has(name) {
		return nil
	}
	b := bool(c.value(name).Truth())
	return &b
}
