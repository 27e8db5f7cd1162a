// Package targetfile reads a backendtest.Target from a JSON file, so that a
// plugin in any language is held to the contract without a line of Go:
//
//	{
//	  "files":    {"accounts.json": "{\"ann\": {}, \"bob\": {}, \"cy\": {}}"},
//	  "start":    ["./server", "--port", "0"],
//	  "config":   {"path": "{dir}/accounts.json"},
//	  "secrets":  {"password": "of the service account"},
//	  "accounts": ["ann", "bob", "cy"],
//	  "missing":  "nobody",
//	  "refusing": {"eve": "AccountStatus"},
//	  "weak":     "short",
//	  "holds":    ["./logon", "{account}", "{kind}"],
//	  "down":     ["./server", "--stop"]
//	}
//
// Each check has a target of its own, in a directory of its own: "{dir}" in any
// text is its path. There "files" are written. "start" is started, in the
// directory of the JSON file, and killed when the check ends; the first line of its
// standard output is an object whose members are added to "config". "holds" gets a
// value on standard input, and exits with 0 if the target accepts it for the
// account, with 1 if not. Without "down" the target is taken away by killing what
// "start" started, or without that by removing the files.
//
// "setting" names the field of "config" that says where the server is, as a URL or an
// address of this machine, and "server" its address, if it is another: the kit then
// stands between the two, and cuts, holds and drops what they say.
//
// Further members add checks, as those of backendtest.Target do: "kind" is the
// credential that the checks are about; "present" the value that the accounts have,
// where they can only be changed; "values" good values, where those of the kit do
// not fit; "aliases" further names of accounts, by name; "locked" an account that an
// unlock makes usable; "history" true where a value that was used before is refused;
// "hashed" {"FORMAT": {"hash": …, "value": …}}; "options" those of every set; "wrong" a list of
// {"field": …, "value": …} that Configure has to refuse, without a value a missing one;
// "lacks" declared abilities that this target has not; "unverifiable" true where verify
// cannot tell.
package targetfile

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/rekey-host/rekey/sdk"
	"github.com/rekey-host/rekey/sdk/backendtest"
	"github.com/rekey-host/rekey/sdk/secret"
)

// File is what the JSON file says.
type File struct {
	Files   map[string]string `json:"files"`
	Start   []string          `json:"start"`
	Config  map[string]any    `json:"config"`
	Secrets map[string]string `json:"secrets"`

	Accounts []string            `json:"accounts"`
	Present  string              `json:"present"`
	Kind     string              `json:"kind"`
	Values   []string            `json:"values"`
	Holds    []string            `json:"holds"`
	Missing  string              `json:"missing"`
	Refusing map[string]sdk.Code `json:"refusing"`
	Aliases  map[string]string   `json:"aliases"`
	Locked   string              `json:"locked"`
	Weak     string              `json:"weak"`
	History  bool                `json:"history"`
	Hashed   map[string]hashed   `json:"hashed"`
	Options  map[string]any      `json:"options"`
	Wrong    []wrong             `json:"wrong"`
	Down     []string            `json:"down"`
	Server   string              `json:"server"`
	Setting  string              `json:"setting"`
	Lacks    []sdk.Ability       `json:"lacks"`

	Unverifiable bool `json:"unverifiable"`

	dir string // of the JSON file
}

type hashed struct {
	Hash  string `json:"hash"`
	Value string `json:"value"`
}

type wrong struct {
	Field string `json:"field"`
	Value any    `json:"value"`
}

// Read reads a file. The error names the file and what is wrong with it.
func Read(path string) (*File, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	path, err = filepath.Abs(path)
	if err != nil {
		return nil, err
	}
	made := &File{dir: filepath.Dir(path)}
	dec := json.NewDecoder(bytes.NewReader(text))
	dec.DisallowUnknownFields()
	dec.UseNumber()
	if err := dec.Decode(made); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("%s: more follows after the end", path)
	}
	if len(made.Accounts) < 3 {
		return nil, fmt.Errorf("%s: accounts: has %d, the kit needs three that may be set", path, len(made.Accounts))
	}
	return made, nil
}

// Target makes a target, as backendtest.Options wants it.
func (f *File) Target(t testing.TB) backendtest.Target {
	t.Helper()
	made := &target{File: f, dir: t.TempDir()}
	for name, text := range f.Files {
		path := filepath.Join(made.dir, name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o700), os.WriteFile(path, []byte(text), 0o600)); err != nil {
			t.Fatal(err)
		}
	}
	config, err := made.started(t)
	if err != nil {
		t.Fatal(err)
	}
	return backendtest.Target{
		Config: config, Accounts: f.Accounts, Present: f.Present, Kind: f.Kind, Value: f.value(), Holds: made.holds(t), Missing: f.Missing,
		Refusing: f.Refusing, Aliases: f.Aliases, Locked: f.Locked, Weak: f.Weak, History: f.History, Hashed: f.hashed(), Options: f.Options,
		Wrong: f.wrong(), Down: func() { made.down(t) }, Away: made.away(), Server: made.server(config), Setting: f.Setting, Unverifiable: f.Unverifiable, Lacks: f.Lacks,
	}
}

// value returns the nth of the good values; nil: the kit's own.
func (f *File) value() func(int) string {
	if len(f.Values) == 0 {
		return nil
	}
	return func(n int) string { return f.Values[n%len(f.Values)] }
}

func (f *File) hashed() map[string]backendtest.Hashed {
	made := map[string]backendtest.Hashed{}
	for format, value := range f.Hashed {
		made[format] = backendtest.Hashed{Hash: value.Hash, Value: value.Value}
	}
	return made
}

func (f *File) wrong() []backendtest.Wrong {
	var list []backendtest.Wrong
	for _, one := range f.Wrong {
		list = append(list, backendtest.Wrong{Field: one.Field, Value: number(one.Value)})
	}
	return list
}

// target is one that stands.
type target struct {
	*File
	dir     string
	process *exec.Cmd // nil: none was started
}

// started starts the target, and returns the settings that reach it.
func (t *target) started(tb testing.TB) (sdk.Config, error) {
	config := sdk.Config{Values: map[string]any{}, Secrets: map[string]secret.Value{}}
	for name, value := range t.Config {
		config.Values[name] = t.filled(number(value))
	}
	for name, value := range t.Secrets {
		config.Secrets[name] = secret.New(t.text(value))
	}
	if len(t.Start) == 0 {
		return config, nil
	}
	said, err := t.start(tb)
	for name, value := range said {
		config.Values[name] = number(value)
	}
	return config, err
}

// start starts the process, and returns the object that it prints first.
func (t *target) start(tb testing.TB) (said map[string]any, err error) {
	t.process = t.command(tb, t.Start)
	t.process.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	stdout, err := t.process.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := t.process.Start(); err != nil {
		return nil, fmt.Errorf("start: %w", err)
	}
	tb.Cleanup(t.kill)
	line, err := bufio.NewReader(stdout).ReadBytes('\n')
	if err != nil {
		return nil, fmt.Errorf("start: %s ended before it said where it is: %w", t.Start[0], err)
	}
	dec := json.NewDecoder(bytes.NewReader(line))
	dec.UseNumber()
	if err := dec.Decode(&said); err != nil {
		return nil, fmt.Errorf("start: the first line of %s is no JSON object: %w", t.Start[0], err)
	}
	return said, nil
}

func (t *target) kill() {
	_ = syscall.Kill(-t.process.Process.Pid, syscall.SIGKILL)
	_ = t.process.Wait()
}

// command is a command line of the file.
func (t *target) command(tb testing.TB, line []string, more ...string) *exec.Cmd {
	replacer := strings.NewReplacer(append([]string{"{dir}", t.dir}, more...)...)
	var words []string
	for _, word := range line {
		words = append(words, replacer.Replace(word))
	}
	cmd := exec.CommandContext(tb.Context(), words[0], words[1:]...)
	cmd.Dir, cmd.Stderr = t.File.dir, os.Stderr
	return cmd
}

// holds asks the command of the file; nil: the kit asks the backend.
func (t *target) holds(tb testing.TB) func(account, kind, value string) bool {
	if len(t.Holds) == 0 {
		return nil
	}
	return func(account, kind, value string) bool {
		cmd := t.command(tb, t.Holds, "{account}", account, "{kind}", kind)
		cmd.Stdin = strings.NewReader(value)
		err := cmd.Run()
		var exit *exec.ExitError
		if err != nil && (!errors.As(err, &exit) || exit.ExitCode() != 1) {
			tb.Errorf("holds: %s: %v; want exit status 0 or 1", t.Holds[0], err)
		}
		return err == nil
	}
}

// down takes the target away.
func (t *target) down(tb testing.TB) {
	switch {
	case len(t.Down) > 0:
		if err := t.command(tb, t.Down).Run(); err != nil {
			tb.Errorf("down: %s: %v", t.Down[0], err)
		}
	case t.process != nil:
		t.kill()
	default:
		for name := range t.Files {
			_ = os.Remove(filepath.Join(t.dir, name))
		}
	}
}

// away takes the files away for a time, where they are all that there is; nil: the
// target is more than that.
func (t *target) away() func() (back func()) {
	if t.process != nil || len(t.Files) == 0 || len(t.Down) > 0 {
		return nil
	}
	return func() func() {
		there, hidden := t.dir, t.dir+".away"
		_ = os.Rename(there, hidden)
		return func() { _ = os.Rename(hidden, there) }
	}
}

// server is the address that the kit stands before; "": the file names no setting of
// one. Without "server" it is what the setting holds, as an address or a URL.
func (t *target) server(config sdk.Config) string {
	if t.Setting == "" || t.Server != "" {
		return t.text(t.Server)
	}
	value := fmt.Sprint(config.Values[t.Setting])
	if parsed, err := url.Parse(value); err == nil && parsed.Host != "" {
		return parsed.Host
	}
	return value
}

// filled is a setting with the directory in the place of its name.
func (t *target) filled(value any) any {
	switch value := value.(type) {
	case string:
		return t.text(value)
	case []any:
		var list []string
		for _, one := range value {
			list = append(list, t.text(fmt.Sprint(one)))
		}
		return list
	}
	return value
}

func (t *target) text(text string) string { return strings.ReplaceAll(text, "{dir}", t.dir) }

// number is a JSON number as settings have it.
func number(value any) any {
	if text, ok := value.(json.Number); ok {
		if count, err := text.Int64(); err == nil {
			return count
		}
		return text.String()
	}
	return value
}
