package workflow

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"unicode/utf8"

	"go.starlark.net/starlark"

	"github.com/rekey-host/rekey/host/internal/home"
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
		NoAccountName: optionalBool(args, "no_account_name"),
	}
	blocklist(args, spec)
	contradiction(args, spec)
	return &policyValue{spec}, nil
}

// breachPrefix begins the name of a blocklist of breached passwords.
const breachPrefix = "hibp:"

// blocklist reads the argument of that name: whether common passwords are
// refused, or a file of breached ones, with which the common ones are refused too.
func blocklist(args *arguments, spec *password.Spec) {
	text, named := args.value("blocklist").(starlark.String)
	if !named {
		spec.Blocklist = optionalBool(args, "blocklist")
		return
	}
	yes := true
	spec.Blocklist = &yes
	path, ok := strings.CutPrefix(string(text), breachPrefix)
	if !ok || path == "" {
		args.badValue("blocklist", `write "hibp:FILE", True or False`, "blocklist: %q names no list", string(text))
		return
	}
	if args.unresolved("blocklist") {
		return
	}
	list, err := openBreached(args, path)
	if err != nil {
		args.bad("blocklist", "", "blocklist: %s: %s", path, err)
	}
	spec.Breached = list
}

// openBreached opens a file of breached passwords. It stays open as long as the
// policy is used.
func openBreached(args *arguments, path string) (*password.Breached, error) {
	full, err := home.Expand(path, args.in.opts.Home)
	if err != nil {
		return nil, err
	}
	if !filepath.IsAbs(full) {
		full = filepath.Join(args.in.opts.WorkDir, full)
	}
	file, err := os.Open(full)
	if err != nil {
		return nil, errors.Unwrap(err)
	}
	info, err := file.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = errors.New("is not a regular file, and the list is searched where it lies")
	}
	var list *password.Breached
	if err == nil {
		list, err = password.NewBreached(file, info.Size())
	}
	if err != nil {
		_ = file.Close()
	}
	return list, err
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

// Bounds of what policy.words makes.
const (
	maxWords     = 32
	maxSeparator = 8
)

func evalWords(args *arguments) (starlark.Value, error) {
	count, separator := args.number("count", 1), args.text("separator")
	if count > maxWords {
		args.badValue("count", "", "count = %d: want at most %d", count, maxWords)
	}
	if utf8.RuneCountInString(separator) > maxSeparator || strings.ContainsFunc(separator, func(letter rune) bool { return letter < ' ' || letter > '~' }) {
		args.badValue("separator", "", "separator: want at most %d printable characters of ASCII", maxSeparator)
	}
	spec := &password.Spec{Words: &password.Words{Count: count, Separator: separator}}
	contradiction(args, spec)
	return &policyValue{spec}, nil
}

func evalParse(args *arguments) (starlark.Value, error) {
	spec, err := password.ParseRules(args.text("text"))
	if err != nil {
		var found *password.RulesError
		errors.As(err, &found)
		args.badValue("text", found.Fix, "text: %s", found)
		spec = &password.Spec{}
	}
	contradiction(args, spec)
	return &policyValue{spec}, nil
}

// count returns an optional number neither below least nor absurd.
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
