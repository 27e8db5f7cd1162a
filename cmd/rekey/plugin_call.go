package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/rekey-host/rekey/host"
	"github.com/rekey-host/rekey/host/launch"
	"github.com/rekey-host/rekey/host/workbench"
	"github.com/rekey-host/rekey/sdk"
	"github.com/rekey-host/rekey/sdk/dial"
	"github.com/rekey-host/rekey/sdk/secret"
)

type pluginCallCmd struct {
	Program    string `arg:"" name:"PATH" help:"The plugin's program, in any language." type:"path"`
	Verb       string `arg:"" name:"VERB" help:"set, change, verify, find, policy, unlock, revoke, handover; list and check need no account."`
	Account    string `arg:"" optional:"" name:"ACCOUNT" help:"Of list, the filter."`
	Config     string `required:"" help:"The settings, in JSON: {\"config\": {…}, \"secrets\": {…}}; a target file does that needs neither start nor {dir}." type:"path" placeholder:"FILE"`
	ValueStdin bool   `help:"Read the value from standard input, one line; of a change two, the present one first."`
	Kind       string `help:"Which credential of the account." placeholder:"KIND"`
	Trace      bool   `help:"Show each message to and from the plugin, without secrets, and its log."`
}

// maxValue bounds what is read as a value.
const maxValue = 1 << 20

// Run makes one call.
func (c *pluginCallCmd) Run(app *app) error {
	request, err := c.request(app)
	if err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	options, err := c.launching(app)
	if err != nil {
		return err
	}
	answer, err := workbench.Call(ctx, request, options)
	var started *launch.StartError
	switch {
	case errors.As(err, &started):
		for _, line := range started.Stderr {
			fmt.Fprintln(app.process.stderr, line)
		}
		return &host.UsageError{Message: err.Error()}
	case err != nil:
		return &host.UsageError{Message: err.Error(), Fix: "see " + c.Config}
	}
	return c.tell(app, answer)
}

// launching are the options of the process: nothing confines it, and with --trace
// its log and its messages are shown.
func (c *pluginCallCmd) launching(app *app) (launch.Options, error) {
	log, err := app.logger()
	if err != nil {
		return launch.Options{}, err
	}
	options := launch.Options{Log: log, StartTimeout: time.Minute}
	if c.Trace {
		options.Stderr = app.process.stderr
		options.Trace = func(frame dial.Frame) {
			arrow := "<-"
			if frame.Sent {
				arrow = "->"
			}
			fmt.Fprintf(app.process.stderr, "%s %s %s\n", arrow, frame.Method, frame.Text)
		}
	}
	return options, nil
}

func (c *pluginCallCmd) request(app *app) (workbench.Request, error) {
	request := workbench.Request{Program: c.Program, Verb: c.Verb, Account: c.Account, Kind: c.Kind}
	if info, err := os.Stat(c.Program); err != nil || !info.Mode().IsRegular() {
		return request, &host.UsageError{Message: c.Program + ": no program", Fix: "give the file rekey-backend-NAME"}
	}
	text, err := os.ReadFile(c.Config)
	if err == nil {
		request.Values, request.Secrets, err = workbench.Settings(text, func(reference string) (string, error) { return referred(app, filepath.Dir(c.Config), reference) })
	}
	if err != nil {
		return request, &host.UsageError{Message: "--config: " + c.Config + ": " + strings.TrimPrefix(err.Error(), "open "+c.Config+": ")}
	}
	if err := c.values(app, &request); err != nil {
		return request, err
	}
	if err := request.Sound(); err != nil {
		return request, &host.UsageError{Message: err.Error()}
	}
	return request, nil
}

// values reads as many as the verb takes.
func (c *pluginCallCmd) values(app *app, request *workbench.Request) error {
	count := workbench.Wants(c.Verb)
	switch {
	case !slices.Contains(workbench.Verbs(), c.Verb):
		return &host.UsageError{Message: request.Sound().Error()}
	case count == 0 && c.ValueStdin:
		return &host.UsageError{Message: c.Verb + " takes no value", Fix: "leave --value-stdin away"}
	case count > 0 && !c.ValueStdin && !app.interactive():
		return &host.UsageError{Message: c.Verb + " needs a value, and there is no terminal to ask for it", Fix: "give --value-stdin"}
	}
	list, err := c.given(app, count)
	if err != nil {
		return err
	}
	if count > 0 {
		request.Value, request.Old = list[count-1], list[0]
	}
	if count == 1 {
		request.Old = secret.Value{}
	}
	return nil
}

// given reads so many values, of a terminal or as the lines of standard input: those
// and no other.
func (c *pluginCallCmd) given(app *app, count int) ([]secret.Value, error) {
	var list []secret.Value
	if !c.ValueStdin {
		for i := range count {
			value, err := app.prompt(context.Background(), []string{"Value", "Present value"}[count-1-i])
			if err != nil {
				return nil, &host.UsageError{Message: fmt.Sprintf("%s needs %s", c.Verb, counted(int64(count), "value"))}
			}
			list = append(list, value)
		}
		return list, nil
	}
	if count == 0 {
		return nil, nil
	}
	text, err := io.ReadAll(io.LimitReader(app.process.stdin, maxValue+1))
	if err == nil && len(text) > maxValue {
		return nil, &host.UsageError{Message: fmt.Sprintf("standard input has more than %d bytes", maxValue), Fix: "give the value alone"}
	}
	lines := strings.Split(strings.TrimSuffix(string(text), "\n"), "\n")
	if err != nil || len(text) == 0 || len(lines) != count {
		return nil, &host.UsageError{Message: fmt.Sprintf("%s needs %s on standard input", c.Verb, counted(int64(count), "line"))}
	}
	for _, line := range lines {
		list = append(list, secret.New(strings.TrimSuffix(line, "\r")))
	}
	return list, nil
}

// referred resolves env:NAME and file:PATH, the latter as secret.file of a script does.
func referred(app *app, dir, reference string) (string, error) {
	kind, name, _ := strings.Cut(reference, ":")
	switch kind {
	case "env":
		if value := app.env(name); value != "" {
			return value, nil
		}
		return "", fmt.Errorf("%s is not set", name)
	case "file":
		path := name
		if !filepath.IsAbs(path) {
			path = filepath.Join(dir, path)
		}
		value, err := host.SecretFile(context.Background(), path, name)
		if err != nil {
			return "", err
		}
		return value.Reveal(), nil
	}
	return "", errors.New("want env:NAME or file:PATH")
}

// tell prints an answer, and ends with the status of what it says.
func (c *pluginCallCmd) tell(app *app, answer workbench.Answer) error {
	if app.cli.JSON {
		printJSON(app.process.stdout, answer)
	} else {
		c.print(app, answer)
	}
	switch {
	case answer.Outcome == sdk.Unknown.String(), answer.Verdict == sdk.CannotTell.String():
		return errExit(host.ExitUnknown)
	case answer.Code != "", answer.Verdict == sdk.Rejected.String(), answer.Verdict == sdk.Blocked.String(), answer.Ready != nil && !*answer.Ready:
		return errExit(host.ExitFailures)
	}
	return nil
}

func (c *pluginCallCmd) print(app *app, answer workbench.Answer) {
	out := app.process.stdout
	words := answer.Outcome + answer.Verdict
	if answer.Code != "" {
		words = strings.TrimSpace(fmt.Sprintf("%s %s: %s", words, answer.Code, answer.Message))
	}
	if words != "" {
		fmt.Fprintln(out, words)
	}
	for _, line := range details(answer) {
		fmt.Fprintln(out, "  "+line)
	}
}

// details are what an answer says besides, one a line.
func details(answer workbench.Answer) []string {
	var list []string
	add := func(name, value string) {
		if value != "" {
			list = append(list, name+": "+value)
		}
	}
	add("native", answer.Native)
	add("account status", string(answer.Status))
	add("retry after", answer.RetryAfter)
	add("ref", answer.Ref)
	add("stamp", answer.Stamp)
	for _, one := range []struct {
		name  string
		value any
	}{{"rules", answer.Violations}, {"account", answer.Account}, {"accounts", answer.Accounts}, {"policy", answer.Policy}, {"findings", answer.Findings}} {
		add(one.name, asJSON(one.value))
	}
	if answer.Ready != nil {
		add("ready", fmt.Sprint(*answer.Ready))
	}
	for _, breach := range answer.Breaches {
		add("broke the contract", breach)
	}
	return list
}

// asJSON is a part of an answer in one line; "" of what is not there.
func asJSON(value any) string {
	if value == nil {
		return ""
	}
	var text strings.Builder
	enc := json.NewEncoder(&text)
	enc.SetEscapeHTML(false)
	_ = enc.Encode(value) // it was read from JSON
	return strings.TrimSuffix(text.String(), "\n")
}
