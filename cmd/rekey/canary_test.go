package main_test

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
	"unicode/utf16"

	"github.com/rekey-host/rekey/plugins/ldap/ldaptest"
)

// The canaries: one is given to accounts, one logs a plugin in.
const (
	canary      = "c\"a\\n%y é1Xq7"
	loginCanary = "l\"o\\g%i é9Zw3"
)

// forms are all the ways in which a password could be written somewhere.
func forms(password string) map[string][]byte {
	quoted, _ := json.Marshal(password)
	all := map[string][]byte{
		"raw":          []byte(password),
		"Go quoted":    []byte(strings.Trim(strconv.Quote(password), `"`)),
		"ASCII quoted": []byte(strings.Trim(strconv.QuoteToASCII(password), `"`)),
		"JSON":         []byte(strings.Trim(string(quoted), `"`)),
		"query":        []byte(url.QueryEscape(password)),
		"path":         []byte(url.PathEscape(password)),
		"hex":          []byte(hex.EncodeToString([]byte(password))),
		"HEX":          []byte(strings.ToUpper(hex.EncodeToString([]byte(password)))),
		"UTF-16LE":     utf16le(password),
	}
	for shift := range 3 { // base64 of it inside something longer
		for name, enc := range map[string]*base64.Encoding{"base64": base64.RawStdEncoding, "base64url": base64.RawURLEncoding} {
			text := enc.EncodeToString(append(bytes.Repeat([]byte{'x'}, shift), password...))
			all[fmt.Sprintf("%s+%d", name, shift)] = []byte(text[4 : len(text)-3])
		}
	}
	return all
}

func utf16le(s string) []byte {
	var out []byte
	for _, u := range utf16.Encode([]rune(s)) {
		out = append(out, byte(u), byte(u>>8))
	}
	return out
}

// leak reports the first form of a canary that is in the bytes.
func leak(text []byte) string {
	for _, password := range []string{canary, loginCanary} {
		for name, form := range forms(password) {
			if bytes.Contains(text, form) {
				return name
			}
		}
	}
	return ""
}

// watcher looks at the arguments and the environment of every process that a
// command starts.
type watcher struct {
	mu    sync.Mutex
	found []string
	seen  map[string]bool
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
	if form := leak(text); form != "" {
		w.found = append(w.found, path+" has it "+form)
	}
}

// watched runs a command to its end and looks for the canaries in what it
// printed and in all its processes.
func watched(t *testing.T, w *watcher, cmd *exec.Cmd, exits ...int) {
	t.Helper()
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	var looking sync.WaitGroup
	looking.Go(func() { w.watch(cmd.Process.Pid, done) })
	_ = cmd.Wait()
	close(done)
	looking.Wait()
	code := cmd.ProcessState.ExitCode()
	expected := false
	for _, e := range exits {
		expected = expected || e == code
	}
	if !expected {
		t.Errorf("%q: exit %d, want one of %v", cmd.Args[1:], code, exits)
	}
	for name, text := range map[string][]byte{"standard output": stdout.Bytes(), "standard error": stderr.Bytes()} {
		if form := leak(text); form != "" {
			t.Errorf("%q: %s has the canary, %s", cmd.Args[1:], name, form)
		}
	}
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
		if form := leak(text); form != "" {
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

func TestNoPasswordLeavesButInTheColumnThatNamesIt(t *testing.T) {
	server := ldaptest.Start(t, ldaptest.Options{Users: 3})
	for _, level := range []string{"error", "trace"} {
		t.Run(level, func(t *testing.T) { canaryRun(t, server, level) })
	}
}

func canaryRun(t *testing.T, server *ldaptest.Server, level string) {
	plugins := leakyPlugin(t, "1")
	p := newPlace(t, "LOGIN_CANARY="+loginCanary, "REKEY_LOG="+level, "REKEY_PLUGIN_DIR="+plugins)
	script := strings.NewReplacer("@URL@", server.URL, "@BASE@", server.BaseDN, "@BIND@", server.BindDN).Replace(canaryScript)
	p.write("canary.star", script)
	p.write("ds.pw", server.Password+"\n")
	field := `"` + strings.ReplaceAll(canary, `"`, `""`) + `"`
	list := "login,given\n"
	for _, login := range []string{"user0", "user1", "user2", "refused", "unknown", "hook", "panics"} {
		list += login + "," + field + "\n"
	}
	p.write("users.csv", list)
	w := &watcher{seen: map[string]bool{}}
	watched(t, w, p.command("run", "canary.star", "--yes"), 3, 4, 5)
	watched(t, w, p.command("resume", "last", "--yes"), 0, 3, 4, 5)
	watched(t, w, p.command("show", "last", "--user", "refused"), 0)
	watched(t, w, p.command("report", "last", "--format", "jsonl"), 0)
	watched(t, w, p.command("report", "last", "--format", "html"), 0)
	watched(t, w, p.command("audit", "prove", "last", "panics"), 0)
	watched(t, w, p.command("audit", "export", "last", "--out", "all.bundle"), 0)
	killed(t, w, p)
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

// killed kills a run in its middle; what it leaves behind is swept later.
func killed(t *testing.T, w *watcher, p *place) {
	t.Helper()
	cmd := p.command("run", "canary.star", "--yes", "--new")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	time.AfterFunc(150*time.Millisecond, func() { _ = cmd.Process.Kill() })
	done := make(chan struct{})
	var looking sync.WaitGroup
	looking.Go(func() { w.watch(cmd.Process.Pid, done) })
	_ = cmd.Wait()
	close(done)
	looking.Wait()
}

// leakyPlugin builds the plugin that tells everything, and returns its directory.
func leakyPlugin(t *testing.T, version string) string {
	t.Helper()
	dir := t.TempDir()
	build := exec.Command("go", "build", "-ldflags", "-X main.version="+version, "-o", filepath.Join(dir, "rekey-backend-leaky"), "./testdata/leaky")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build: %v\n%s", err, out)
	}
	return dir
}
