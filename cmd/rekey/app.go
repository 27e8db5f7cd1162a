package main

import (
	"bufio"
	"cmp"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"os/user"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/hashicorp/go-hclog"
	"golang.org/x/term"

	"github.com/rekey-host/rekey/host"
	"github.com/rekey-host/rekey/host/engine"
	"github.com/rekey-host/rekey/scripts"
	"github.com/rekey-host/rekey/sdk/secret"
)

// app is what commands are given: the command line and the process.
type app struct {
	cli     *cli
	process process
	vitals  host.Vitals
}

// version returns the version of the build.
func version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok || info.Main.Version == "" || info.Main.Version == "(devel)" {
		return "0.1.0-dev"
	}
	return strings.TrimPrefix(info.Main.Version, "v")
}

// open makes the host of a command.
func (a *app) open() (*host.Host, error) {
	config, err := a.config()
	if err != nil {
		return nil, err
	}
	return host.New(config)
}

// openWithoutRuns makes the host of a command that looks at scripts and plugins
// only: it needs no state directory, and so no home directory.
func (a *app) openWithoutRuns() (*host.Host, error) {
	config, err := a.config()
	if errors.Is(err, errHomeless) {
		err = nil
	}
	if err != nil {
		return nil, err
	}
	return host.NewWithoutRuns(config)
}

func (a *app) config() (host.Config, error) {
	log, err := a.logger()
	if err != nil {
		return host.Config{}, err
	}
	self, err := os.Executable()
	if err != nil {
		return host.Config{}, err
	}
	dir, err := os.Getwd()
	if err != nil {
		return host.Config{}, err
	}
	config := host.Config{
		PluginDir: a.env("REKEY_PLUGIN_DIR"), IdentityPath: a.env("REKEY_AGE_IDENTITY"), Recipients: a.recipients(), Home: home(),
		Reaps: true, PluginLog: a.cli.PluginLog, Sandbox: a.cli.Sandbox, Unconfined: a.cli.NoSandbox, Reattach: a.env("REKEY_REATTACH"), Bundled: a.process.bundled, Self: self, Embedded: scripts.FS, WorkDir: dir,
		Version: version(), OSUser: osUser(), Hostname: hostname(),
		Stdin: a.process.stdin, Stdout: a.stdout(), Taken: a.cli.JSON, Stderr: a.process.stderr, Log: log, LookupEnv: a.process.lookupEnv,
		Random: rand.Reader, Now: time.Now, Clock: engine.SystemClock{},
		Vitals: &a.vitals, Panicked: abnormalExit{a}.panicked, Fatal: abnormalExit{a}.fatal, Crash: crashPoint(),
	}
	if a.interactive() {
		config.Prompt, config.Confirm = a.prompt, a.confirm
	}
	if !a.cli.JSON {
		config.Planned = func(preview host.Preview) { showPreview(a.process.stdout, preview) }
	}
	if bar := progressOf(a); bar != nil {
		config.Progress = bar
	}
	config.StateDir, err = a.stateDir()
	return config, err
}

// home is the home directory; "" if unknown.
func home() string {
	dir, err := os.UserHomeDir()
	if err != nil {
		return ""
	}
	return dir
}

// errHomeless says that the state directory has no place.
var errHomeless = &host.UsageError{Message: "there is no home directory", Fix: "give --state DIR"}

// recipients are those of REKEY_RECIPIENTS.
func (a *app) recipients() []string {
	return strings.FieldsFunc(a.env("REKEY_RECIPIENTS"), func(letter rune) bool { return letter == ',' || letter == ' ' || letter == '\n' })
}

// stdout is where results for people go: with --json the JSON object has
// standard output for itself.
func (a *app) stdout() io.Writer {
	if a.cli.JSON {
		return a.process.stderr
	}
	return a.process.stdout
}

func (a *app) env(name string) string {
	value, _ := a.process.lookupEnv(name)
	return value
}

// stateDir is --state, REKEY_STATE or the XDG state directory.
func (a *app) stateDir() (string, error) {
	if a.cli.State != "" {
		return filepath.Abs(a.cli.State)
	}
	if dir := a.env("XDG_STATE_HOME"); filepath.IsAbs(dir) {
		return filepath.Join(dir, "rekey"), nil
	}
	dir := home()
	if dir == "" {
		return "", errHomeless
	}
	return filepath.Join(dir, ".local", "state", "rekey"), nil
}

// logger writes to standard error at the level of REKEY_LOG.
func (a *app) logger() (hclog.Logger, error) {
	name := strings.ToLower(cmp.Or(a.env("REKEY_LOG"), "error"))
	if !slices.Contains([]string{"error", "warn", "info", "debug", "trace"}, name) {
		return nil, &host.UsageError{Message: fmt.Sprintf("REKEY_LOG is %q", a.env("REKEY_LOG")), Fix: "use error, warn, info, debug or trace"}
	}
	return hclog.New(&hclog.LoggerOptions{Name: "rekey", Level: hclog.LevelFromString(name), Output: a.process.stderr,
		JSONFormat: a.cli.LogFormat == "json"}), nil
}

func (a *app) interactive() bool {
	return term.IsTerminal(int(a.process.stdin.Fd())) && a.process.stderr.terminal()
}

// prompt reads a secret without echo.
func (a *app) prompt(ctx context.Context, label string) (secret.Value, error) {
	stdin := int(a.process.stdin.Fd())
	before, err := term.GetState(stdin)
	if err != nil {
		return secret.Value{}, err
	}
	fmt.Fprintf(a.process.stderr, "%s: ", label)
	text, err := answered(ctx, func() (string, error) {
		text, err := term.ReadPassword(stdin)
		return string(text), err
	})
	fmt.Fprintln(a.process.stderr)
	if err != nil {
		return secret.Value{}, errors.Join(err, term.Restore(stdin, before)) // an interrupt leaves the echo off
	}
	if text == "" {
		return secret.Value{}, errors.New("nothing was typed")
	}
	return secret.New(text), nil
}

// confirm shows a plan and asks.
func (a *app) confirm(ctx context.Context, preview host.Preview) (bool, error) {
	showPreview(a.process.stderr, preview)
	fmt.Fprintf(a.process.stderr, "Apply to %s? [y/N] ", counted(preview.Due, "user"))
	answer, err := answered(ctx, func() (string, error) { return bufio.NewReader(a.process.stdin).ReadString('\n') })
	if err != nil && !errors.Is(err, io.EOF) {
		fmt.Fprintln(a.process.stderr)
		return false, err
	}
	answer = strings.ToLower(strings.TrimSpace(answer))
	return answer == "y" || answer == "yes", nil
}

// answered waits for what a person types, or for a signal. After a signal the
// process ends, and the reading with it.
func answered(ctx context.Context, read func() (string, error)) (string, error) {
	type answer struct {
		text string
		err  error
	}
	got := make(chan answer, 1)
	go func() { text, err := read(); got <- answer{text, err} }()
	select {
	case answer := <-got:
		return answer.text, answer.err
	case <-ctx.Done():
		return "", host.ErrInterrupted
	}
}

// signals returns two contexts: stop ends at the first signal, hard at the
// second. The third ends the process, whatever it waits for: a file that no one
// writes, a target that hangs. The ledger makes that safe. They are caught until
// the process is gone: one that comes at its very end does not change its status.
func (a *app) signals() (hard, stop context.Context) {
	hard, cancelHard := context.WithCancel(context.Background())
	stop, cancelStop := context.WithCancel(hard)
	got := make(chan os.Signal, 3)
	for _, s := range []os.Signal{os.Interrupt, syscall.SIGTERM, syscall.SIGHUP} {
		if !signal.Ignored(s) { // by nohup, or by a shell that put rekey into the background
			signal.Notify(got, s)
		}
	}
	// Who reads what rekey prints may go: writes to it fail then, and the run goes
	// on. Caught and not ignored, so that plugins do not inherit it.
	signal.Notify(make(chan os.Signal, 1), syscall.SIGPIPE)
	go func() {
		<-got
		cancelStop() // first: standard error may block
		a.process.stderr.hurry()
		go fmt.Fprintln(a.process.stderr, "rekey: stopping: work in flight finishes; a second signal cancels it, a third ends rekey at once")
		<-got
		cancelHard()
		<-got
		os.Exit(host.ExitInterrupted)
	}()
	return hard, stop
}

func osUser() string {
	u, err := user.Current()
	if err != nil {
		return fmt.Sprintf("uid %d", os.Getuid())
	}
	return u.Username
}

func hostname() string {
	name, err := os.Hostname()
	if err != nil {
		return "unknown"
	}
	return name
}

func printJSON(w io.Writer, value any) {
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	_ = enc.Encode(value)
}

// counted returns "1 user" or "2,000 users".
func counted(count int64, what string) string {
	if count == 1 {
		return "1 " + what
	}
	return thousands(count) + " " + what + "s"
}

// thousands writes a number with commas.
func thousands(count int64) string {
	text := fmt.Sprint(count)
	for i := len(text) - 3; i > 0; i -= 3 {
		text = text[:i] + "," + text[i:]
	}
	return text
}
