package launch_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/rekey-host/rekey/host/launch"
	"github.com/rekey-host/rekey/sdk"
	"github.com/rekey-host/rekey/sdk/secret"
)

// file makes a file that a test can try to start.
func file(t *testing.T, content string, mode os.FileMode) launch.Command {
	t.Helper()
	path := filepath.Join(t.TempDir(), "rekey-backend-test")
	if err := os.WriteFile(path, []byte(content), mode); err != nil {
		t.Fatal(err)
	}
	return launch.Command{Path: path, Name: "test"}
}

func TestAPluginThatDoesNotStartIsExplainedInOneLine(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name    string
		command launch.Command
		phase   launch.Phase
		want    string // with the fix
	}{
		{"missing", launch.Command{Path: "/nowhere/rekey-backend-test", Name: "test"}, launch.PhaseStart, "/nowhere/rekey-backend-test does not exist; install it again"},
		{"missing, with a digest", launch.Command{Path: "/nowhere/rekey-backend-test", Name: "test", Digest: "00"}, launch.PhaseStart, "does not exist; install it again"},
		{"not executable", file(t, "x", 0o600), launch.PhaseStart, "may not be executed; chmod +x it"},
		{"no program", file(t, "x", 0o700), launch.PhaseStart, "is no program for this system; build it for"},
		{"no interpreter", file(t, "#!/nowhere/python\n", 0o700), launch.PhaseStart, "the interpreter that the first line of"},
		{"exits with words", command(t, "words"), launch.PhaseExit, "ended before it was ready: exit status 3: cannot find [31mlibfoo.so.3; start "},
		{"prints rubbish", command(t, "rubbish"), launch.PhaseHandshake, `printed "Welcome to ACME backend 2000" on standard output instead of its handshake; if it is a rekey plugin, it has to print to standard error`},
		{"prints an endless line", command(t, "endless"), launch.PhaseHandshake, `xxx…" on standard output instead of its handshake`},
		{"a newer protocol", command(t, "version2"), launch.PhaseVersion, "speaks version 2 of the plugin protocol, this rekey speaks 1; upgrade rekey"},
		{"an older protocol", command(t, "version0"), launch.PhaseVersion, "speaks version 0 of the plugin protocol, this rekey speaks 1; upgrade the plugin"},
		{"another go-plugin", command(t, "core2"), launch.PhaseVersion, "speaks version 2 of go-plugin's protocol, this rekey speaks 1; rebuild the plugin"},
		{"net/rpc", command(t, "netrpc"), launch.PhaseVersion, "does not speak gRPC; rebuild it with the SDK"},
		{"no certificate", command(t, "nocert"), launch.PhaseHandshake, "sent no certificate in its handshake; it has to answer PLUGIN_CLIENT_CERT"},
		{"no socket", command(t, "nowhere"), launch.PhaseConnect, "; rebuild it with the SDK"},
		{"a plugin of another program", command(t, "foreign"), launch.PhaseExit, "by hand to see more"},
		{"panics when it is described", command(t, "bad describe"), launch.PhaseConnect, "panicked in Describe"},
		{"ends when it is described", command(t, "die describe"), launch.PhaseConnect, "ended while it was asked what it is: exit status 4; report it"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			w := plug(t, c.command, launch.Options{StartTimeout: 20 * time.Second})
			w.Note(secret.New(canary))
			_, err := w.Describe(t.Context())
			var start *launch.StartError
			if !errors.As(err, &start) {
				t.Fatalf("got %v, want a start error", err)
			}
			if start.Phase != c.phase || !strings.HasPrefix(err.Error(), "plugin test: ") || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%s: %s\nwant %s: …%s", start.Phase, err, c.phase, c.want)
			}
			if strings.Contains(err.Error(), "\n") || len(err.Error()) > 600 {
				t.Errorf("%q is not one short line", err)
			}
			noLeak(t, "the error", err.Error())
			noLeak(t, "the log", w.log.String())
			if left, _ := os.ReadDir(w.dir); len(left) > 0 {
				t.Errorf("%s is left in the directory of sockets", left[0].Name())
			}
		})
	}
}

func TestASilentPluginIsGivenUp(t *testing.T) {
	t.Parallel()
	w := plug(t, command(t, "silent"), launch.Options{StartTimeout: 200 * time.Millisecond})
	_, err := w.Describe(t.Context())
	var start *launch.StartError
	if !errors.As(err, &start) || start.Phase != launch.PhaseTimeout || !strings.Contains(err.Error(), "said nothing on standard output within 200ms; is ") {
		t.Errorf("got %v", err)
	}
}

func TestANoisyLibraryIsForgiven(t *testing.T) {
	t.Parallel()
	w := plug(t, command(t, "noisy"), launch.Options{})
	d, err := w.Describe(t.Context())
	if err != nil || d.Name != "test" || d.Version != "1.2.3" {
		t.Errorf("got %v %v", d.Name, err)
	}
	if !strings.Contains(w.log.String(), "a library says hello") {
		t.Errorf("the log does not tell: %s", w.log)
	}
}

// TestBreachesOfAStartAreCounted: its noise, and what it can do without having
// said so.
func TestBreachesOfAStartAreCounted(t *testing.T) {
	t.Parallel()
	w := plug(t, command(t, "noisy"), launch.Options{})
	w.open(t, sdk.Config{})
	got := strings.Join(w.Breaches(), "; ")
	if !strings.HasSuffix(got, "; lines on standard output, which belongs to the handshake (1)") || !strings.HasPrefix(got, "abilities that its description does not declare (2)") {
		t.Errorf("got %q", got)
	}
}

func TestAChangedExecutableIsNotStarted(t *testing.T) {
	t.Parallel()
	c := plain(t, "good")
	c.Digest = strings.Repeat("0", 64)
	w := plug(t, c, launch.Options{})
	if _, err := w.Describe(t.Context()); err == nil || !strings.Contains(err.Error(), "has changed since it was looked at") {
		t.Errorf("got %v", err)
	}
	var err error
	if c.Digest, _, err = launch.Digest(c.Path); err != nil {
		t.Fatal(err)
	}
	w = plug(t, c, launch.Options{})
	if r := one(t, w.open(t, sdk.Config{}), sdk.Operation{Account: "anna"}); r.Outcome != sdk.Applied {
		t.Errorf("with its own digest: %v %v", r.Outcome, r.Err)
	}
}

// TestAScriptThatIsReplacedWhileItStartsIsSentNothing: a script cannot be run
// from an open file, so it is compared again before it is configured.
func TestAScriptThatIsReplacedWhileItStartsIsSentNothing(t *testing.T) {
	t.Parallel()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	for mischief, want := range map[string]string{
		"true":                               "",
		`cp "$0" "$0.new"; mv "$0.new" "$0"`: "its file was replaced while it was started",
		`echo >> "$0"`:                       "its file was replaced while it was started",
		`mv "$0" "$0.old"; cp "$0.old" "$0"; rm "$0"; mv "$0.old" "$0"`: "its file was replaced while it was started",
		`rm "$0"`: "its file was replaced while it was started",
	} {
		c := file(t, "#!/bin/sh\n"+mischief+"\nexec '"+self+"' plugin good\n", 0o700)
		if c.Digest, _, err = launch.Digest(c.Path); err != nil {
			t.Fatal(err)
		}
		w := plug(t, c, launch.Options{})
		_, err := w.Plugin.Open(t.Context(), sdk.Config{Label: "x", Concurrency: 1})
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%s: %v, want %q", mischief, err, want)
		}
	}
}

func TestAStartThatIsGivenUpCostsNothing(t *testing.T) {
	t.Parallel()
	w := plug(t, command(t, "silent"), launch.Options{})
	for range 6 {
		ctx, stop := context.WithCancel(t.Context())
		time.AfterFunc(20*time.Millisecond, stop)
		if _, err := w.Describe(ctx); !errors.Is(err, &sdk.Error{Code: sdk.Cancelled}) {
			t.Fatalf("got %v, want Cancelled", err)
		}
	}
}

func TestCloseDoesNotWaitForAStart(t *testing.T) {
	t.Parallel()
	w := plug(t, command(t, "silent"), launch.Options{StartTimeout: time.Minute})
	got := make(chan error, 1)
	go func() { _, err := w.Describe(t.Context()); got <- err }()
	for len(entries(w.dir)) == 0 {
		time.Sleep(time.Millisecond)
	}
	_ = w.Close()
	if err := <-got; !errors.Is(err, &sdk.Error{Code: sdk.Cancelled}) {
		t.Errorf("got %v, want Cancelled", err)
	}
	if left := entries(w.dir); len(left) > 0 {
		t.Errorf("left: %v", left)
	}
}

func entries(dir string) (names []string) {
	list, _ := os.ReadDir(dir)
	for _, e := range list {
		names = append(names, e.Name())
	}
	return names
}

func TestAnInstanceThatCannotBeConfiguredIsExplained(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		mood string
		code sdk.Code
		want string
	}{
		{"panic", sdk.Internal, "panicked in Configure"},
		{"refuse", sdk.InvalidConfig, "cannot log in with [redacted]"},
		{"exit", sdk.Unreachable, "exit status 5"},
	} {
		t.Run(c.mood, func(t *testing.T) {
			t.Parallel()
			w := plug(t, command(t, "good"), launch.Options{})
			_, err := w.Open(t.Context(), sdk.Config{Label: "x", Values: map[string]any{"mood": c.mood}, Secrets: map[string]secret.Value{"password": secret.New(canary)}})
			if !errors.Is(err, &sdk.Error{Code: c.code}) || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "\n") {
				t.Errorf("got %v, want %s …%s", err, c.code, c.want)
			}
			noLeak(t, "the error", err.Error())
			noLeak(t, "the log", w.log.String())
			if c.mood == "exit" {
				return
			}
			if r := one(t, w.open(t, sdk.Config{}), sdk.Operation{Account: "anna"}); r.Outcome != sdk.Applied {
				t.Errorf("the process is of no use afterwards: %v", r.Err)
			}
		})
	}
}
