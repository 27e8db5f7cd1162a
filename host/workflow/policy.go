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

func evalPolicy(args *arguments) (starlark.Value, error) {
	spec := &password.Spec{
		Length: count(args, "length", 1), MinLength: count(args, "min_length", 1), MaxLength: count(args, "max_length", 1),
		Lower: count(args, "lower", 0), Upper: count(args, "upper", 0), Digits: count(args, "digits", 0), Symbols: count(args, "symbols", 0),
		MaxRepeat: count(args, "max_repeat", 1), AllowedSymbols: optionalText(args, "allowed_symbols"), Forbid: optionalText(args, "forbid"),
		NoAccountName: optionalBool(args, "no_account_name"), Blocklist: optionalBool(args, "blocklist"),
	}
	contradiction(args, spec)
	return &policyValue{spec}, nil
}

// contradiction notes demands of the policy that no value can meet.
func contradiction(args *arguments, spec *password.Spec) {
	if len(args.problems) > 0 || args.unresolved("") {
		return
	}
	if _, err := password.Combine(spec, nil); err != nil {
		args.bad("", "", "%s", err)
	}
}

func evalPin(args *arguments) (starlark.Value, error) {
	count := args.number("length", 1)
	if count > maxLength {
		args.badValue("length", "", "length = %d: want at most %d", count, maxLength)
	}
	return &policyValue{&password.Spec{Pin: true, Length: &count}}, nil
}

// count returns an optional number, neither below least nor absurd.
func count(args *arguments, name string, least int) *int {
	if !args.has(name) {
		return nil
	}
	count := args.number(name, least)
	if count > maxLength {
		args.badValue(name, "", "%s = %d: want at most %d", name, count, maxLength)
	}
	return &count
}
