package command

import (
	"fmt"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/rekey-host/rekey/plugins/internal/run"
	"github.com/rekey-host/rekey/sdk"
	"github.com/rekey-host/rekey/sdk/secret"
)

// command is one program with its arguments. Without a path it is not given.
type command struct {
	name  string // of the setting
	path  string
	args  []template
	input template
}

func (c command) given() bool { return c.path != "" }

// uses reports whether the command has a hole anywhere.
func (c command) uses(name hole) bool {
	return c.input.has(name) || slices.ContainsFunc(c.args, func(arg template) bool { return arg.has(name) })
}

// settings are those of an instance.
type settings struct {
	set, verify, find, list, unlock, check command

	answers   rules
	found     []*regexp.Regexp // of what find prints
	listed    *regexp.Regexp   // of a line of list; nil: a line is an account
	accounts  *regexp.Regexp   // nil: any
	env       []string
	secret    secret.Value
	minLength int
	maxBytes  int
	forbid    string
}

// needs are the holes that a command may have, and must.
var needs = []struct {
	name    string
	account bool // it is about one
	value   bool
}{
	{"set", true, true}, {"verify", true, true}, {"find", true, false}, {"list", false, false},
	{"unlock", true, false}, {"check", false, false},
}

func newSettings(config sdk.Config) (*settings, error) {
	made := &settings{secret: config.Secret("secret"), minLength: config.Int("min_length"), maxBytes: config.Int("max_bytes"), forbid: config.Text("forbid")}
	places := []*command{&made.set, &made.verify, &made.find, &made.list, &made.unlock, &made.check}
	for index, need := range needs {
		command, err := newCommand(config, need.name, need.account, need.value)
		if err != nil {
			return nil, invalid(err)
		}
		*places[index] = command
	}
	switch {
	case !made.set.given():
		return nil, sdk.Errorf(sdk.InvalidConfig, "set: missing")
	case made.minLength < 0:
		return nil, sdk.Errorf(sdk.InvalidConfig, "min_length: %d is below 0", made.minLength)
	case made.maxBytes < 0:
		return nil, sdk.Errorf(sdk.InvalidConfig, "max_bytes: %d is below 0", made.maxBytes)
	}
	if err := made.read(config); err != nil {
		return nil, invalid(err)
	}
	return made, nil
}

// read takes the settings that are languages of their own.
func (s *settings) read(config sdk.Config) (err error) {
	if s.answers, err = newRules(config.List("answers")); err != nil {
		return err
	}
	if s.env, err = environment(config.List("env")); err != nil {
		return err
	}
	if text := config.Text("accounts"); text != "" {
		if s.accounts, err = regexp.Compile("^(?:" + text + ")$"); err != nil {
			return fmt.Errorf("accounts: %w", err)
		}
	}
	for _, text := range config.List("find_output") {
		pattern, err := grouped("find_output", text)
		if err != nil {
			return err
		}
		s.found = append(s.found, pattern)
	}
	if text := config.Text("list_output"); text != "" {
		if s.listed, err = grouped("list_output", text); err == nil && s.listed.SubexpIndex("account") < 0 {
			err = fmt.Errorf("list_output: %q has no group (?P<account>…)", text)
		}
	}
	return err
}

// refuseAccount returns why an account is none.
func (s *settings) refuseAccount(account string, command command) *sdk.Error {
	switch {
	case account == "":
		return sdk.Errorf(sdk.InvalidOperation, "the account is empty")
	case !utf8.ValidString(account) || strings.ContainsFunc(account, unicode.IsControl):
		return sdk.Errorf(sdk.InvalidOperation, "account %q: holds control characters or is not UTF-8", account)
	case s.accounts != nil && !s.accounts.MatchString(account):
		return sdk.Errorf(sdk.InvalidOperation, "account %q: does not fit the pattern of accounts", account)
	}
	return command.refuse(account)
}

// forbidden are the characters that a value may not hold, control characters
// aside.
func (s *settings) forbidden() string {
	return s.forbid + s.set.input.after(valueHole) + s.verify.input.after(valueHole)
}

// refuseValue returns why a value cannot be given to the tool.
func (s *settings) refuseValue(value secret.Value) *sdk.Error {
	text := value.Reveal()
	switch {
	case text == "":
		return sdk.Errorf(sdk.InvalidOperation, "the value is empty")
	case !utf8.ValidString(text) || strings.ContainsFunc(text, unicode.IsControl):
		return violation(sdk.RuleEncoding, 0, "the value holds control characters or is not UTF-8")
	case strings.ContainsAny(text, s.forbidden()):
		return violation(sdk.RuleForbidden, 0, "the value holds a character that the tool would read otherwise")
	case utf8.RuneCountInString(text) < s.minLength:
		return violation(sdk.RuleMinLength, s.minLength, "the value is too short")
	case s.maxBytes > 0 && len(text) > s.maxBytes:
		return violation(sdk.RuleMaxLength, s.maxBytes, "the value has too many bytes")
	}
	return nil
}

func invalid(err error) *sdk.Error { return sdk.Errorf(sdk.InvalidConfig, "%s", err) }

// newCommand reads a program, its arguments and its input.
func newCommand(config sdk.Config, name string, account, value bool) (command, error) {
	words, input := config.List(name), config.Text(name+"_input")
	if len(words) == 0 {
		if input != "" {
			return command{}, fmt.Errorf("%s_input: there is no %s", name, name)
		}
		return command{}, nil
	}
	made := command{name: name, path: words[0]}
	if !filepath.IsAbs(made.path) {
		return made, fmt.Errorf("%s: %q is no absolute path", name, made.path)
	}
	inArgs, inInput := []hole{secretFDHole}, []hole{secretHole}
	if account {
		inArgs, inInput = append(inArgs, accountHole), append(inInput, accountHole)
	}
	if value {
		inArgs, inInput = append(inArgs, valueFDHole), append(inInput, valueHole)
	}
	for _, word := range words[1:] {
		arg, err := parse(word, inArgs...)
		if err == nil && strings.ContainsRune(word, 0) {
			err = fmt.Errorf("%q holds a NUL", word)
		}
		if err != nil {
			return made, fmt.Errorf("%s: %w", name, err)
		}
		made.args = append(made.args, arg)
	}
	var err error
	if made.input, err = parse(input, inInput...); err != nil {
		return made, fmt.Errorf("%s_input: %w", name, err)
	}
	return made, made.lacks(config, account, value)
}

// lacks returns what a command needs and does not have.
func (c command) lacks(config sdk.Config, account, value bool) error {
	switch {
	case account && !c.uses(accountHole):
		return fmt.Errorf("%s: {account} stands neither in it nor in %s_input", c.name, c.name)
	case value && !c.uses(valueHole) && !c.uses(valueFDHole):
		return fmt.Errorf("%s: {value} does not stand in %s_input, nor {value-fd} in an argument", c.name, c.name)
	case (c.uses(secretHole) || c.uses(secretFDHole)) && !config.Secret("secret").Present():
		return fmt.Errorf("secret: missing, and %s has a place for it", c.name)
	}
	return nil
}

// refuse returns why an account may not be given to the command, nil if it may.
func (c command) refuse(account string) *sdk.Error {
	rest := false // an argument before was "--"
	for _, arg := range c.args {
		switch {
		case !arg.has(accountHole):
			rest = rest || arg.fill(nil) == "--"
		case arg.begins(accountHole) && !rest && strings.HasPrefix(account, "-"):
			return sdk.Errorf(sdk.InvalidOperation, "account %q: %s would take it for an option; put \"--\" before {account} if it knows that", account, c.path)
		case arg.blank() && (strings.ContainsFunc(account, odd) || strings.HasPrefix(account, "-")):
			return sdk.Errorf(sdk.InvalidOperation, "account %q: in an argument with blanks it may hold only letters, digits and . _ @ / + -, which does not come first", account)
		}
	}
	if ends := c.input.after(accountHole); strings.ContainsAny(account, ends) {
		return sdk.Errorf(sdk.InvalidOperation, "account %q: holds one of %q, which ends a name in %s_input", account, ends, c.name)
	}
	return nil
}

// groups are what a pattern can tell of an account.
var groups = []string{"account", "id", "login", "name", "mail", "status", "stamp"}

func grouped(setting, text string) (*regexp.Regexp, error) {
	pattern, err := regexp.Compile("(?m)" + text)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", setting, err)
	}
	for _, name := range pattern.SubexpNames() {
		if name != "" && !slices.Contains(groups, name) {
			return nil, fmt.Errorf("%s: %q: there is no group %q; there is %s", setting, text, name, strings.Join(groups, ", "))
		}
	}
	return pattern, nil
}

var (
	assignment = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*=[^\x00]*$`)
	secretive  = regexp.MustCompile(`(?i)(password|passwd|passphrase|secret|token|_pw|pwd)=`)
)

// environment returns all that a program gets to see of one.
func environment(lines []string) ([]string, error) {
	env := run.Environment()
	for _, line := range lines {
		name, _, _ := strings.Cut(line, "=")
		switch {
		case !assignment.MatchString(line):
			return nil, fmt.Errorf("env: %q is not NAME=VALUE", name)
		case secretive.MatchString(line):
			return nil, fmt.Errorf("env: %s looks like a secret, and others can see environments; use the setting secret with {secret} in an input, or {secret-fd}", name)
		}
		env = append(env, line)
	}
	return env, nil
}
