package launch_test

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log"
	"log/slog"
	"os"
	"os/exec"
	"os/signal"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/go-plugin"
	"go.uber.org/goleak"

	"github.com/rekey-host/rekey/host/launch"
	"github.com/rekey-host/rekey/sdk"
	"github.com/rekey-host/rekey/sdk/secret"
	"github.com/rekey-host/rekey/sdk/serve"
)

// canary is a password that formatters and escapers treat specially.
const canary = `c"a\n%y é1Xq7`

// TestMain turns the test binary into a plugin, or into a host that can be
// killed, when it is started as one.
func TestMain(m *testing.M) {
	if len(os.Args) > 2 && os.Args[1] == "plugin" {
		actors[os.Args[2]]()
		os.Exit(0)
	}
	if len(os.Args) > 1 && os.Args[1] == "confine" {
		fmt.Fprintln(os.Stderr, launch.Confine(os.Args[2:]))
		os.Exit(1)
	}
	if len(os.Args) > 2 && os.Args[1] == "host" {
		beHost(os.Args[2], os.Args[3])
	}
	flag.Parse()
	if err := flag.Set("test.parallel", "8"); err != nil { // these tests wait for processes more than they work
		panic(err)
	}
	goleak.VerifyTestMain(m)
}

// actors are what a plugin process of these tests may do.
var actors = map[string]func(){
	"good": func() { serve.Main(backend{}) },
	"words": func() {
		fmt.Fprintln(os.Stderr, "cannot find \x1b[31mlibfoo.so.3\u202e")
		os.Exit(3)
	},
	"rubbish":          func() { fmt.Println("Welcome to ACME backend 2000"); rest() },
	"endless":          func() { _, _ = io.Copy(os.Stdout, endless("x")); rest() },
	"version2":         func() { fmt.Println("1|2|unix|/tmp/x|grpc|Zm9v"); rest() },
	"version0":         func() { fmt.Println("1|0|unix|/tmp/x|grpc|Zm9v"); rest() },
	"core2":            func() { fmt.Println("2|1|unix|/tmp/x|grpc|Zm9v"); rest() },
	"netrpc":           func() { fmt.Println("1|1|unix|/tmp/x|netrpc|Zm9v"); rest() },
	"nocert":           func() { fmt.Println("1|1|unix|/tmp/x|grpc|"); rest() },
	"nowhere":          func() { fmt.Println("1|1|unix|/nowhere/x|grpc|Zm9v"); rest() },
	"silent":           rest,
	"without landlock": systemActor,
	"foreign":          foreign,
	"bad describe":     func() { serve.Main(describer(func() { panic("in Describe: " + canary) })) },
	"die describe":     func() { serve.Main(describer(func() { os.Exit(4) })) },
	"noisy":            func() { fmt.Println("a library says hello"); serve.Main(backend{}) },
	"stubborn": func() {
		signal.Ignore(syscall.SIGTERM, syscall.SIGINT, syscall.SIGHUP)
		_ = os.Unsetenv("PLUGIN_LIVENESS_FD")
		serveRaw(rawPlugin{stream: neverAnswer})
	},
	"breaks":  func() { serveRaw(rawPlugin{stream: breakAfter}) },
	"never":   func() { serveRaw(rawPlugin{stream: neverAnswer}) },
	"twice":   func() { serveRaw(rawPlugin{stream: answerTwice}) },
	"another": func() { serveRaw(rawPlugin{stream: answerAnother}) },
}

// rest keeps the process until it is killed.
func rest() { select {} }

type endless string

func (e endless) Read(b []byte) (int, error) { return copy(b, bytes.Repeat([]byte(e), len(b))), nil }

// foreign is a plugin of another program.
func foreign() {
	plugin.Serve(&plugin.ServeConfig{HandshakeConfig: plugin.HandshakeConfig{
		ProtocolVersion: 1, MagicCookieKey: "TF_PLUGIN_MAGIC_COOKIE", MagicCookieValue: "d602bf8f"}})
}

type describer func()

func (d describer) Describe() sdk.Description                                 { d(); return sdk.Description{} }
func (describer) Configure(context.Context, sdk.Config) (sdk.Instance, error) { return nil, nil }

// backend does what the account of an operation says.
type backend struct{}

func (backend) Describe() sdk.Description {
	return sdk.Description{Name: "test", Version: "1.2.3", Verbs: []sdk.Verb{sdk.Set, sdk.Change, sdk.Reset, sdk.Unlock, sdk.Revoke, sdk.Handover}, Config: []sdk.Field{
		{Name: "password", Type: sdk.Secret}, {Name: "mood", Type: sdk.String}, {Name: "path", Type: sdk.Path}, {Name: "url", Type: sdk.URL}}}
}

func (backend) Configure(_ context.Context, c sdk.Config) (sdk.Instance, error) {
	switch c.Text("mood") {
	case "panic":
		panic("in Configure: " + c.Secret("password").Reveal())
	case "refuse":
		return nil, fmt.Errorf("cannot log in with %s", c.Secret("password").Reveal())
	case "exit":
		os.Exit(5)
	case "sleep":
		rest()
	}
	return instance{c}, nil
}

type instance struct{ config sdk.Config }

func (instance) Close() error { return nil }

func (i instance) Apply(ctx context.Context, op sdk.Operation) sdk.Receipt {
	switch what, arg, _ := strings.Cut(op.Account, " "); what {
	case "panic":
		panic("in Apply: " + op.Value.Reveal())
	case "block":
		<-ctx.Done()
		return sdk.Lost(sdk.Errorf(sdk.Timeout, "blocked"))
	case "pid":
		return sdk.Receipt{Outcome: sdk.Applied, Ref: strconv.Itoa(os.Getpid())}
	case "secret":
		ok := i.config.Secret("password").Equal(secret.New(canary))
		return sdk.Receipt{Outcome: sdk.Applied, Ref: fmt.Sprint(i.config.Label, " ", ok)}
	case "lose":
		return sdk.Lost(sdk.Errorf(sdk.ConnectionLost, "no answer"))
	case "deny":
		return sdk.Refuse(sdk.Errorf(sdk.PolicyViolation, "no"))
	case "handed":
		return sdk.Receipt{Outcome: sdk.Applied, Ref: handed(i.config)}
	case "flood":
		n, _ := strconv.Atoi(arg)
		flood(n)
	case "say":
		fmt.Fprintln(os.Stderr, arg)
	case "line":
		n, _ := strconv.Atoi(arg)
		_, _ = io.CopyN(os.Stderr, endless("y"), int64(n))
	case "hunger":
		for all := [][]byte{}; ; {
			all = append(all, bytes.Repeat([]byte{1}, 16<<20))
			runtime.KeepAlive(all)
		}
	case "child":
		return child(arg)
	case "leak":
		spill(i.config, op)
		return sdk.Refuse(sdk.Errorf(sdk.TargetError, "%s", everyForm(op.Value.Reveal())))
	case "die":
		fmt.Fprintln(os.Stderr, everyForm(op.Value.Reveal()))
		panicElsewhere(op.Value.Reveal())
	}
	return sdk.Receipt{Outcome: sdk.Applied, Ref: op.Account}
}

func (i instance) Unlock(ctx context.Context, op sdk.Operation) sdk.Receipt { return i.Apply(ctx, op) }

func (i instance) Find(_ context.Context, account string) (sdk.Account, error) {
	a := sdk.Account{Account: account, Attributes: map[string]string{}}
	probe(account, a.Attributes)
	return a, nil
}

// handed tells which of the values that arg counts the instance was given, in its
// order.
func handed(config sdk.Config) string {
	var list []string
	for _, value := range config.Handed {
		for n := range 10 {
			if value.Equal(nth(n)) {
				list = append(list, strconv.Itoa(n))
			}
		}
	}
	return strings.Join(list, " ")
}

// nth is one of a row of passwords.
func nth(n int) secret.Value { return secret.New(fmt.Sprint(canary, n)) }

func flood(n int) {
	line := bytes.Repeat([]byte("z"), 99)
	line = append(line, '\n')
	for range n / len(line) {
		_, _ = os.Stderr.Write(line)
	}
}

// child starts a process that holds the plugin's standard error and lives long.
func child(how string) sdk.Receipt {
	cmd := exec.Command("sleep", "600")
	cmd.Stderr, cmd.Stdout = os.Stderr, os.Stderr
	if how == "daemon" {
		cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	}
	if err := cmd.Start(); err != nil {
		return sdk.Refuse(sdk.AsError(err, sdk.Internal))
	}
	return sdk.Receipt{Outcome: sdk.Applied, Ref: strconv.Itoa(cmd.Process.Pid)}
}

// spill says secrets wherever a plugin can.
func spill(c sdk.Config, op sdk.Operation) {
	for _, form := range append(forms(op.Value.Reveal()), forms(c.Secret("password").Reveal())...) {
		for _, level := range []slog.Level{slog.LevelDebug - 4, slog.LevelDebug, slog.LevelInfo, slog.LevelWarn, slog.LevelError} {
			c.Log.Log(context.Background(), level, "m "+form, "k", form, form, 1)
		}
		log.Println(form)
		slog.Warn(form, "k", form)
		fmt.Fprintln(os.Stderr, form)
		fmt.Println(form)
	}
}

func panicElsewhere(text string) {
	go panic(text)
	rest()
}

// probe tells what the process sees.
func probe(what string, out map[string]string) {
	switch what {
	case "environment":
		for _, e := range os.Environ() {
			k, v, _ := strings.Cut(e, "=")
			out[k] = v
		}
	case "stdin":
		n, err := os.Stdin.Read(make([]byte, 1))
		out["stdin"] = fmt.Sprint(n, " ", errors.Is(err, io.EOF))
	default:
		probeSystem(what, out)
	}
}

// command starts this binary as an actor. Built with the race detector it would
// linger for a second when it ends.
func command(t testing.TB, actor string) launch.Command {
	c := plain(t, actor)
	return launch.Command{Path: "/usr/bin/env", Args: append([]string{"GORACE=atexit_sleep_ms=0", c.Path}, c.Args...), Name: c.Name}
}

// plain is command without anything before the binary.
func plain(t testing.TB, actor string) launch.Command {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	return launch.Command{Path: self, Args: []string{"plugin", actor}, Name: "test"}
}

// shortDir is a directory whose path leaves room for a socket's.
func shortDir(t testing.TB) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "rk")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}

// watched is a plugin whose log is kept.
type watched struct {
	*launch.Plugin
	log *lines
	dir string
}

func plug(t testing.TB, c launch.Command, o launch.Options) *watched {
	t.Helper()
	w := &watched{log: &lines{}, dir: o.RunDir}
	if w.dir == "" {
		w.dir = shortDir(t)
	}
	o.RunDir = w.dir
	if o.StartTimeout == 0 {
		o.StartTimeout = time.Minute // many tests start their plugins at once
	}
	o.Log = hclog.New(&hclog.LoggerOptions{Output: w.log, Level: hclog.Trace})
	w.Plugin = launch.New(c, o)
	t.Cleanup(func() {
		if log := w.told(); t.Failed() {
			t.Logf("the log's end: %s", log[max(0, len(log)-4<<10):])
		}
	})
	return w
}

func (w *watched) open(t testing.TB, c sdk.Config) *launch.Instance {
	t.Helper()
	if c.Label == "" {
		c.Label = "x"
	}
	if c.Concurrency == 0 {
		c.Concurrency = 8
	}
	if c.Timeout == 0 {
		c.Timeout = time.Minute
	}
	i, err := w.Open(t.Context(), c)
	if err != nil {
		t.Fatalf("%v\n%s", err, w.log)
	}
	return i
}

// told closes the plugin and returns all of its log: what a plugin wrote before
// an answer may be read after it.
func (w *watched) told() string {
	_ = w.Close()
	return w.log.String()
}

// lines is a log that can be read while it is written.
type lines struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *lines) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(b)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// one applies one operation.
func one(t testing.TB, i *launch.Instance, op sdk.Operation) sdk.Receipt {
	t.Helper()
	op.ID = op.Account + fmt.Sprint(time.Now().UnixNano())
	op.Verb = cmp.Or(op.Verb, sdk.Set)
	if op.Verb == sdk.Set && op.Value.Empty() {
		op.Value = secret.New("a value")
	}
	return all(t, i, []sdk.Operation{op})[0]
}

// all applies operations and returns their receipts; it fails unless each has
// exactly one.
func all(t testing.TB, i *launch.Instance, ops []sdk.Operation) []sdk.Receipt {
	t.Helper()
	s := send(i, ops)
	return s.receipts(t)
}

// sent is operations on their way.
type sent struct {
	mu   sync.Mutex
	got  [][]sdk.Receipt
	left int
	done chan struct{}
}

func send(i *launch.Instance, ops []sdk.Operation) *sent {
	s := &sent{got: make([][]sdk.Receipt, len(ops)), left: len(ops), done: make(chan struct{})}
	i.Submit(ops, s.answer(0))
	return s
}

func (s *sent) answer(offset int) func(int, sdk.Receipt) {
	return func(n int, r sdk.Receipt) {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.got[offset+n] = append(s.got[offset+n], r)
		if len(s.got[offset+n]) == 1 {
			if s.left--; s.left == 0 {
				close(s.done)
			}
		}
	}
}

func (s *sent) receipts(t testing.TB) []sdk.Receipt {
	t.Helper()
	select {
	case <-s.done:
	case <-time.After(2 * time.Minute): // with the race detector, on a loaded machine
		t.Fatal("operations were never answered")
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []sdk.Receipt
	for n, r := range s.got {
		if len(r) != 1 {
			t.Fatalf("operation %d has %d answers", n, len(r))
		}
		out = append(out, r[0])
	}
	return out
}

// numbered returns n sets of the same account.
func numbered(n int, account string) []sdk.Operation {
	ops := make([]sdk.Operation, n)
	for k := range ops {
		ops[k] = sdk.Operation{ID: fmt.Sprint(account, k), Verb: sdk.Set, Account: account, Value: secret.New(fmt.Sprint("value", k))}
	}
	return ops
}

func pidOf(t testing.TB, i *launch.Instance) int {
	t.Helper()
	r := one(t, i, sdk.Operation{Account: "pid"})
	pid, err := strconv.Atoi(r.Ref)
	if err != nil {
		t.Fatalf("%v %v", r.Outcome, r.Err)
	}
	return pid
}

// gone waits until a process is no more, or is a zombie that nobody reaps.
func gone(t testing.TB, pid int, within time.Duration) {
	t.Helper()
	for end := time.Now().Add(within); alive(pid); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("process %d still runs after %v", pid, within)
		}
	}
}

func alive(pid int) bool {
	if syscall.Kill(pid, 0) != nil {
		return false
	}
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	return err != nil || !strings.Contains(string(stat), ") Z ")
}
