package main_test

import (
	"bytes"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/rekey-host/rekey/plugins/ldap/ldaptest"
	"github.com/rekey-host/rekey/sdk/leaktest"
)

// The canaries: one is given to accounts, one logs a plugin in.
const (
	canary      = "c\"a\\n%y é1Xq7"
	loginCanary = "l\"o\\g%i é9Zw3"
)

// oracle finds any six bytes of the canaries.
var oracle = sync.OnceValue(func() *leaktest.Finder { return leaktest.New(canary, loginCanary) })

// leaked returns the form of the first piece of a canary in the bytes.
func leaked(text []byte) string { return oracle().Find(text) }

// watcher looks at the arguments and the environment of every process that a
// command starts.
type watcher struct {
	mu     sync.Mutex
	found  []string
	seen   map[string]bool
	looked map[string]bool // texts that were searched: most are there at every look
}

func (w *watcher) watch(pid int, done <-chan struct{}) {
	for {
		w.look(pid)
		select {
		case <-done:
			return
		case <-time.After(2 * time.Millisecond):
		}
	}
}

// look reads /proc of the process and of those that it started.
func (w *watcher) look(pid int) {
	w.file(fmt.Sprintf("/proc/%d/cmdline", pid))
	tasks, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", pid))
	for _, task := range tasks {
		list, _ := os.ReadFile(task)
		for _, child := range strings.Fields(string(list)) {
			n, _ := strconv.Atoi(child)
			if !forked(pid, n) {
				w.file("/proc/" + child + "/environ")
				w.look(n)
			}
		}
	}
}

// forked reports whether a child is still its parent: between fork and exec it
// shows the parent's own arguments and environment.
func forked(parent, child int) bool {
	of := func(pid int) []byte {
		text, _ := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
		return text
	}
	return bytes.Equal(of(parent), of(child))
}

func (w *watcher) file(path string) {
	text, err := os.ReadFile(path)
	if err != nil || len(text) == 0 {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.seen[filepath.Base(path)] = true
	if w.looked[string(text)] {
		return
	}
	if w.looked == nil {
		w.looked = map[string]bool{}
	}
	w.looked[string(text)] = true
	if form := leaked(text); form != "" {
		w.found = append(w.found, path+" has it "+form)
	}
}

// watched runs a command to its end and looks for the canaries in what it
// printed and in all its processes.
func watched(t *testing.T, w *watcher, cmd *exec.Cmd, exits ...int) {
	t.Helper()
	stopped(t, w, cmd, nil, exits...)
}

// stopped is watched for a command that is sent signals, one after the other,
// once it rotates somebody. One that they end has the exit code -1.
func stopped(t *testing.T, w *watcher, cmd *exec.Cmd, signals []os.Signal, exits ...int) {
	t.Helper()
	var stdout bytes.Buffer
	stderr := &trigger{word: []byte("rotating"), seen: make(chan struct{})}
	cmd.Stdout, cmd.Stderr = &stdout, stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	var others sync.WaitGroup
	others.Go(func() { w.watch(cmd.Process.Pid, done) })
	others.Go(func() { send(cmd.Process, signals, stderr.seen, done) })
	_ = cmd.Wait()
	close(done)
	others.Wait()
	if code := cmd.ProcessState.ExitCode(); !slices.Contains(exits, code) {
		t.Errorf("%q, sent %v: exit %d, want one of %v", cmd.Args[1:], signals, code, exits)
	}
	for name, text := range map[string][]byte{"standard output": stdout.Bytes(), "standard error": stderr.text.Bytes()} {
		if form := leaked(text); form != "" {
			t.Errorf("%q, sent %v: %s has the canary, %s", cmd.Args[1:], signals, name, form)
		}
	}
}

// send sends the signals when the first channel is closed, unless the second is.
func send(p *os.Process, signals []os.Signal, when, unless <-chan struct{}) {
	for _, s := range signals {
		select {
		case <-when:
			_ = p.Signal(s)
			time.Sleep(50 * time.Millisecond) // two at once are one
		case <-unless:
		}
	}
}

// trigger keeps what is written and tells when a word was.
type trigger struct {
	text bytes.Buffer
	word []byte
	once sync.Once
	seen chan struct{}
}

func (x *trigger) Write(b []byte) (int, error) {
	n, err := x.text.Write(b)
	if bytes.Contains(x.text.Bytes(), x.word) {
		x.once.Do(func() { close(x.seen) })
	}
	return n, err
}

// sweep looks for the canaries in every file below a directory but the named.
func sweep(t *testing.T, dir string, but ...string) int {
	t.Helper()
	files := 0
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		for _, b := range but {
			if strings.HasSuffix(path, b) {
				return nil
			}
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		files++
		if form := leaked(text); form != "" {
			t.Errorf("%s has the canary, %s", path, form)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

const canaryScript = `
leaky = backend("leaky", password = secret.env("LOGIN_CANARY"), attempts = 1, patience = "1s", timeout = "2s")
web = backend("htpasswd", path = "web.htpasswd", create = True, hash = "sha256")
ds = backend("ldap", url = "@URL@", base_dn = "@BASE@", bind_dn = "@BIND@", bind_password = secret.file("ds.pw"), insecure = True, attempts = 1)

def rotate(user, step):
    print("rotating", user.login, user.given, [user.given], "%s" % user.given)
    if user.login == "hook":
        fail("the hook has %s" % user.given)
    step.set(web, user.login, user.given)
    step.try_verify(leaky, user.login, user.given) == None
    told = step.try_set(leaky, user.login, user.given)
    found = step.find(leaky, user.login)
    print("found", found.id, found.status, found.kinds)
    directory = step.try_set(ds, user.login, user.given)
    if not told.ok:
        return failed(told.message + " " + str(user.given))
    step.change(ds, user.login, old = user.given, new = user.given)

workflow(
    users = csv("users.csv", key = "login", secrets = ["given"]),
    rotate = rotate,
    concurrency = 2,
    reports = [
        report.summary(),
        report.html("report.html"),
        report.json("all.json", row = lambda r: {"login": r.user.login, "message": r.message, "native": r.native, "status": r.status}),
        report.csv("passwords.csv", row = lambda r: {"login": r.user.login, "password": r.user.given}),
    ],
)
`

// tlsScript speaks TLS to a server that does not.
const tlsScript = `
workflow(
    users = csv("users.csv", key = "login", secrets = ["given"]),
    backend = backend("ldap", url = "@URL@", base_dn = "@BASE@", bind_dn = "@BIND@", bind_password = secret.env("LOGIN_CANARY"), attempts = 1),
)
`

func TestNoPasswordLeavesButInTheColumnThatNamesIt(t *testing.T) {
	server := ldaptest.Start(t, ldaptest.Options{Users: 3})
	for _, level := range []string{"error", "trace"} {
		t.Run(level, func(t *testing.T) { canaryRun(t, server, level) })
	}
}

func canaryRun(t *testing.T, server *ldaptest.Server, level string) {
	plugins := leakyPlugin(t, "1")
	p := newPlace(t, "LOGIN_CANARY="+loginCanary, "REKEY_LOG="+level, "REKEY_PLUGIN_DIR="+plugins)
	filled := strings.NewReplacer("@URL@", server.URL, "@BASE@", server.BaseDN, "@BIND@", server.BindDN)
	p.write("canary.star", filled.Replace(canaryScript))
	p.write("tls.star", strings.Replace(filled.Replace(tlsScript), "ldap://", "ldaps://", 1))
	p.write("ds.pw", server.Password+"\n")
	field := `"` + strings.ReplaceAll(canary, `"`, `""`) + `"`
	list := "login,given\n"
	for _, login := range []string{"user0", "user1", "user2", "refused", "rules", "locked", "unknown", "hook", "panics"} {
		list += login + "," + field + "\n"
	}
	p.write("users.csv", list)
	w := &watcher{seen: map[string]bool{}}
	watched(t, w, p.command("run", "canary.star", "--yes", "--no-exercise"), 3, 4, 5)
	watched(t, w, p.command("resume", "last", "--yes"), 0, 3, 4, 5)
	watched(t, w, p.command("show", "last", "--user", "refused"), 0)
	watched(t, w, p.command("report", "last", "--format", "jsonl"), 0)
	watched(t, w, p.command("report", "last", "--format", "html"), 0)
	watched(t, w, p.command("audit", "prove", "last", "panics"), 0)
	watched(t, w, p.command("audit", "export", "last", "--out", "all.bundle"), 0)
	if !leakyWasHeard(t, p) {
		t.Error("nothing of the leaky plugin came through: the other checks prove nothing")
	}
	endsOfAProcess(t, w, p)
	for _, problem := range w.found {
		t.Error(problem)
	}
	// The environment of a process that is not dumpable is root's to read.
	if !w.seen["cmdline"] || os.Getuid() == 0 && !w.seen["environ"] {
		t.Errorf("the watcher saw only %v: no plugin was looked at", w.seen)
	}
	if n := sweep(t, p.dir, "users.csv", "passwords.csv"); n < 8 {
		t.Errorf("only %d files were looked at", n)
	}
	if text := p.read("passwords.csv"); !strings.Contains(text, field) {
		t.Error("the column that names it lacks it: the other checks prove nothing")
	}
}

// leakyWasHeard reports whether what the plugin says reached a report, scrubbed.
func leakyWasHeard(t *testing.T, p *place) bool {
	t.Helper()
	return strings.Contains(p.read("all.json"), "[redacted]")
}

// TestTheCanaryTestCanFail has a canary, and a piece of one, in all places that
// are looked at.
func TestTheCanaryTestCanFail(t *testing.T) {
	for _, text := range []string{canary, "x" + strings.ToUpper(canary[2:8]), fmt.Sprint([]byte(loginCanary)), fmt.Sprintf("% x", canary[4:])} {
		if leaked([]byte(text)) == "" {
			t.Errorf("%q passes", text)
		}
	}
	if form := leaked([]byte("[redacted] c\"a l\"o 1Xq7 9Zw3")); form != "" {
		t.Errorf("nothing is taken for a canary: %s", form)
	}
	w := &watcher{seen: map[string]bool{}}
	path := filepath.Join(t.TempDir(), "cmdline")
	if err := os.WriteFile(path, []byte("rekey\x00--password="+loginCanary[3:]), 0o600); err != nil {
		t.Fatal(err)
	}
	if w.file(path); len(w.found) != 1 {
		t.Error("the watcher does not see an argument")
	}
}

// endsOfAProcess are those in the middle of a run, and one whose connection never
// stands. What they leave behind is swept later.
func endsOfAProcess(t *testing.T, w *watcher, p *place) {
	t.Helper()
	for _, end := range []struct {
		signals []os.Signal
		exit    int
	}{
		{[]os.Signal{os.Interrupt}, 130},
		{[]os.Signal{os.Interrupt, os.Interrupt}, 130},
		{[]os.Signal{os.Kill}, -1},
		{[]os.Signal{syscall.SIGQUIT}, 1}, // the runtime dumps its goroutines, as it does in a panic, and one line is shown of it
	} {
		stopped(t, w, p.command("run", "canary.star", "--yes", "--new", "--no-exercise"), end.signals, end.exit)
	}
	watched(t, w, p.command("run", "tls.star", "--yes"), 2)
}

// leakyPlugin returns a directory of the test's own with the plugin that tells
// everything.
func leakyPlugin(t *testing.T, version string) string {
	t.Helper()
	built := filepath.Join(filepath.Dir(binary), "leaky-"+version)
	build, _ := leakyBuilds.LoadOrStore(version, sync.OnceValue(func() error {
		if out, err := exec.Command("go", "build", "-ldflags", "-X main.version="+version, "-o", built, "./testdata/leaky").CombinedOutput(); err != nil {
			return fmt.Errorf("build: %w\n%s", err, out)
		}
		return nil
	}))
	if err := build.(func() error)(); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(built)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "rekey-backend-leaky"), text, 0o755); err != nil {
		t.Fatal(err)
	}
	return dir
}

// leakyBuilds are the builds of that plugin, by version: each is made once.
var leakyBuilds sync.Map
