package scripttest

import (
	"encoding/json"
	"fmt"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"go.starlark.net/starlark"

	"github.com/rekey-host/rekey/host/workflow"
	"github.com/rekey-host/rekey/sdk"
	"github.com/rekey-host/rekey/sdk/secret"
)

// given are the arguments of t.run and t.plan.
type given struct {
	script                                     string
	users, params, backends, fail, files, kill starlark.Value
	approve                                    bool
}

// unpack reads the arguments.
func (g *given) unpack(name string, args starlark.Tuple, kwargs []starlark.Tuple) error {
	return starlark.UnpackArgs(name, args, kwargs, "script", &g.script, "users?", &g.users, "params?", &g.params, "backends?", &g.backends,
		"crash_after?", &g.kill, "fail?", &g.fail, "approve?", &g.approve, "files?", &g.files)
}

// scene is what they say; dir is that of the test file.
func (g *given) scene(dir string) (*scene, error) {
	made := &scene{script: scriptIn(dir, g.script), approve: g.approve, files: map[string]string{}}
	for _, read := range []struct {
		name  string
		value starlark.Value
		into  func(any) error
	}{{"users", g.users, made.readUsers}, {"params", g.params, made.readParams}, {"backends", g.backends, made.readBackends}, {"fail", g.fail, made.readFails}, {"files", g.files, made.readFiles}} {
		if read.value == nil || read.value == starlark.None {
			continue
		}
		value, err := goValue(read.value)
		if err == nil {
			err = read.into(value)
		}
		if err != nil {
			return nil, fmt.Errorf("%s: %w", read.name, err)
		}
	}
	return made, nil
}

// scriptIn is where a test's script is: beside the test, or one that ships with rekey.
func scriptIn(dir, name string) string {
	if strings.HasPrefix(name, "@") || filepath.IsAbs(name) {
		return name
	}
	if strings.HasPrefix(dir, "@") {
		return path.Join(dir, name)
	}
	return filepath.Join(dir, name)
}

func (s *scene) readUsers(value any) error {
	list, ok := value.([]any)
	if !ok {
		return fmt.Errorf("want a list of strings or dicts")
	}
	s.rows = list
	for i, row := range list {
		switch row.(type) {
		case string, map[string]any:
		default:
			return fmt.Errorf("element %d: want a string or a dict", i+1)
		}
	}
	return nil
}

func (s *scene) readParams(value any) error {
	table, ok := value.(map[string]any)
	if !ok {
		return fmt.Errorf("want a dict")
	}
	for name, value := range table {
		text, err := paramText(value)
		if err != nil {
			return err
		}
		s.params = append(s.params, name+"="+text)
	}
	slices.Sort(s.params)
	return nil
}

// paramText is a parameter as the command line has it.
func paramText(value any) (string, error) {
	switch v := value.(type) {
	case string:
		return v, nil
	case []any:
		var parts []string
		for _, item := range v {
			parts = append(parts, fmt.Sprint(item))
		}
		return strings.Join(parts, ","), nil
	case map[string]any:
		text, err := json.Marshal(v)
		return string(text), err
	}
	return fmt.Sprint(value), nil
}

func (s *scene) readBackends(value any) error {
	table, ok := value.(map[string]any)
	if !ok {
		return fmt.Errorf("want a dict of labels")
	}
	s.seeds = map[string]map[string]seed{}
	for label, accounts := range table {
		s.seeds[label] = map[string]seed{}
		named, ok := accounts.(map[string]any)
		if !ok {
			return fmt.Errorf("%q: want a dict of accounts", label)
		}
		for name, about := range named {
			made, err := seedOf(name, about)
			if err != nil {
				return fmt.Errorf("%q: account %q: %w", label, name, err)
			}
			s.seeds[label][name] = made
		}
	}
	return nil
}

// seedOf reads an account: its password, None for one without, or a dict.
func seedOf(name string, about any) (seed, error) {
	made := seed{account: sdk.Account{Account: name, ID: name, Login: name, Status: sdk.StatusActive}, values: map[string]secret.Value{}}
	switch v := about.(type) {
	case nil:
	case string:
		made.values[""] = secret.New(v)
	case map[string]any:
		for field, value := range v {
			if err := made.read(field, value); err != nil {
				return made, err
			}
		}
	default:
		return made, fmt.Errorf("want its password, None or a dict")
	}
	return made, nil
}

// read reads one field of an account.
func (s *seed) read(field string, value any) error {
	text, isText := value.(string)
	table, isTable := value.(map[string]any)
	truth, isBool := value.(bool)
	texts := map[string]*string{"id": &s.account.ID, "login": &s.account.Login, "name": &s.account.Name, "mail": &s.account.Mail}
	switch into := texts[field]; {
	case into != nil && isText:
		*into = text
	case field == "password" && isText:
		s.values[""] = secret.New(text)
	case field == "status" && isText && slices.Contains(sdk.Statuses(), sdk.Status(text)):
		s.account.Status = sdk.Status(text)
	case field == "must_change" && isBool:
		s.account.MustChange = &truth
	case field == "kinds" && isTable:
		for kind, value := range table {
			s.values[kind] = secret.New(fmt.Sprint(value))
		}
	case field == "attributes" && isTable:
		s.account.Attributes = map[string]string{}
		for name, value := range table {
			s.account.Attributes[name] = fmt.Sprint(value)
		}
	default:
		return fmt.Errorf("%s = %v: want password, kinds, status, must_change, id, login, name, mail or attributes, each of its type", field, value)
	}
	return nil
}

func (s *scene) readFails(value any) error {
	table, ok := value.(map[string]any)
	if !ok {
		return fmt.Errorf(`want a dict, as {"set ann": "AccountNotFound"}`)
	}
	for at, codes := range table {
		made, err := parseFailure(at)
		if err != nil {
			return err
		}
		list, isList := codes.([]any)
		if !isList {
			list = []any{codes}
		}
		for _, code := range list {
			text, isText := code.(string)
			if _, known := workflow.KnownCode(text); !isText || text != "" && text != lostCode && !known {
				return fmt.Errorf(`%q: %v is no code; write one of the codes that "rekey docs codes" lists, "lost", or a list of them with "" where a call succeeds`, at, code)
			}
			made.codes = append(made.codes, text)
		}
		s.fails = append(s.fails, made)
	}
	slices.SortFunc(s.fails, func(a, b failure) int { return len(b.account+b.label) - len(a.account+a.label) })
	return nil
}

func (s *scene) readFiles(value any) error {
	table, ok := value.(map[string]any)
	if !ok {
		return fmt.Errorf("want a dict of names and texts")
	}
	for name, text := range table {
		content, isText := text.(string)
		if !isText {
			return fmt.Errorf("%q: want a text", name)
		}
		s.files[name] = content
	}
	return nil
}
