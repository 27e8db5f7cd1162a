package main_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

const growing = `package main

import (
	"context"
	"time"

	"github.com/rekey-host/rekey/sdk"
	"github.com/rekey-host/rekey/sdk/serve"
)

type backend struct{}

func (backend) Describe() sdk.Description {
	return sdk.Description{Name: "growing", Version: %q, Verbs: []sdk.Verb{sdk.Set}}
}

func (backend) Configure(context.Context, sdk.Config) (sdk.Instance, error) { return backend{}, nil }

// Apply takes longer than the script allows, as with a breakpoint in it.
func (backend) Apply(ctx context.Context, op sdk.Operation) sdk.Receipt {
	select {
	case <-time.After(700 * time.Millisecond):
		return sdk.OK()
	case <-ctx.Done():
		return sdk.Lost(sdk.Errorf(sdk.Timeout, "late"))
	}
}

func (backend) Close() error { return nil }

func main() { serve.Main(backend{}) }
`

// TestAPluginIsDevelopedWhileRunsUseIt: what is saved is built and serves in the place of
// what was there, under an address that stays; a run says that it is not pinned; nothing
// is killed for being late; what cannot be built leaves what was there.
func TestAPluginIsDevelopedWhileRunsUseIt(t *testing.T) {
	t.Parallel()
	p := newPlace(t, goEnvironment(t)...)
	p.must(0, "plugin", "new", "growing", "--lang", "go", "--target", "http")
	source := filepath.Join("rekey-backend-growing", "main.go")
	for _, test := range []string{"backend_test.go", "main_test.go"} {
		_ = os.Remove(filepath.Join(p.dir, "rekey-backend-growing", test))
	}
	p.write(source, fmt.Sprintf(growing, "1"))
	p.write("x.star", `b = backend("growing", timeout = "200ms")
def rotate(user, step):
    step.set(b, user.login, step.generate())
workflow(users = rows(["ann", "bob"], key = "login"), rotate = rotate)
`)
	dev := developed(t, p, "rekey-backend-growing")
	first := dev.next(t)
	p.env = append(p.env, "REKEY_REATTACH="+dev.reattach(t))

	const warned = `rekey: warning: backend "growing": the plugin growing is not pinned and not confined: it is attached to by REKEY_REATTACH`
	const served = "backend growing: growing %s, attached by REKEY_REATTACH, not pinned"
	r := p.must(0, "plan", "x.star")
	if !strings.Contains(r.stderr, warned) || !strings.Contains(r.stdout, fmt.Sprintf(served, "1")) {
		t.Errorf("plan:\n%s%s", r.stdout, r.stderr)
	}
	if r := p.must(0, "resume", "last", "--yes"); !strings.Contains(r.stderr, warned) || !strings.Contains(r.stderr, "2 done") {
		t.Errorf("resume: %s", r.stderr)
	}

	p.write(source, "package main\n\nfunc main() { no }\n")
	dev.said(t, `main.go:3:\d+: undefined: no`)
	if err := syscall.Kill(first, 0); err != nil {
		t.Errorf("what cannot be built ended what was there: %v", err)
	}
	p.write(source, fmt.Sprintf(growing, "2"))
	if second := dev.next(t); second == first {
		t.Error("nothing was started anew")
	}
	p.must(0, "run", "x.star", "--yes", "--new")
	if r := p.must(0, "show", "last"); !strings.Contains(r.stdout, fmt.Sprintf(served, "2")) {
		t.Errorf("show: %s", r.stdout)
	}
	if r := p.must(0, "show", "last", "--json"); !strings.Contains(r.stdout, `"served": "attached by REKEY_REATTACH, not pinned"`) {
		t.Errorf("show --json: %s", r.stdout)
	}
	p.must(0, "audit", "export", "last", "--out", "all.bundle")
	if bundle := p.read("all.bundle"); !strings.Contains(bundle, `"plugin growing":"growing 2 attached by REKEY_REATTACH, not pinned"`) {
		t.Errorf("the bundle does not say that it was not pinned: %.2000s", bundle)
	}
	p.must(0, "plan", "x.star", "--new")
	dev.end(t)
	if r := p.must(2, "resume", "last", "--yes"); !strings.Contains(r.stderr, "is rekey plugin dev still running?") {
		t.Errorf("afterwards: %s", r.stderr)
	}
	p.env[len(p.env)-1] = "REKEY_REATTACH={"
	if r := p.must(2, "run", "x.star", "--yes", "--new"); !strings.Contains(r.stderr, "REKEY_REATTACH: it is no JSON as rekey plugin dev prints it") {
		t.Errorf("no JSON: %s", r.stderr)
	}
}

// TestAScriptIsStartedAnewWhenItIsSaved, and of one that ends is told why.
func TestAScriptIsStartedAnewWhenItIsSaved(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	p.write("tool/rekey-backend-tool", "#!/bin/sh\necho 'no database, no fun' >&2\nexit 7\n")
	must(t, os.Chmod(filepath.Join(p.dir, "tool/rekey-backend-tool"), 0o755))
	dev := developed(t, p, "tool")
	dev.said(t, "plugin tool: ended before it was ready: exit status 7: no database, no fun")
	p.write("tool/beside.sh", "# saved")
	dev.said(t, "exit status 7: no database, no fun")
	dev.end(t)
	if r := p.must(2, "plugin", "dev", "nowhere"); !strings.Contains(r.stderr, "nowhere: no such file or directory; give the folder of a plugin") {
		t.Errorf("nowhere: %s", r.stderr)
	}
}

// goEnvironment lets go build in another home with what is there already.
func goEnvironment(t *testing.T) []string {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "go", "env", "GOMODCACHE", "GOCACHE", "GOPROXY").Output()
	must(t, err)
	of := strings.Fields(string(out))
	return []string{"GOMODCACHE=" + of[0], "GOCACHE=" + of[1], "GOPROXY=" + of[2]}
}

// development is a rekey plugin dev that runs.
type development struct {
	cmd    *exec.Cmd
	stdout *bufio.Reader
	mu     sync.Mutex
	text   string // of standard error, what was not looked at yet
	ended  chan struct{}
}

func developed(t *testing.T, p *place, path string) *development {
	t.Helper()
	made := &development{cmd: p.command("plugin", "dev", path), ended: make(chan struct{})}
	stdout, err := made.cmd.StdoutPipe()
	must(t, err)
	stderr, err := made.cmd.StderrPipe()
	must(t, err)
	made.stdout = bufio.NewReader(stdout)
	must(t, made.cmd.Start())
	go func() {
		defer close(made.ended)
		_, _ = io.Copy(made, stderr)
	}()
	t.Cleanup(func() { _ = made.cmd.Process.Kill() })
	return made
}

// Write keeps what is said.
func (d *development) Write(text []byte) (int, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.text += string(text)
	return len(text), nil
}

// said waits until something is said that was not looked at before.
func (d *development) said(t *testing.T, pattern string) []string {
	t.Helper()
	wanted := regexp.MustCompile(pattern)
	for deadline := time.Now().Add(2 * time.Minute); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		d.mu.Lock()
		found := wanted.FindStringSubmatchIndex(d.text)
		var parts []string
		if found != nil {
			parts = wanted.FindStringSubmatch(d.text)
			d.text = d.text[found[1]:]
		}
		text := d.text
		d.mu.Unlock()
		if found != nil {
			return parts
		}
		select {
		case <-d.ended:
			t.Fatalf("it ended and never said %s: %s", pattern, text)
		default:
		}
	}
	t.Fatalf("it never says %s: %s", pattern, d.text)
	return nil
}

// next waits for the next program to run, and returns its process.
func (d *development) next(t *testing.T) (pid int) {
	t.Helper()
	_, _ = fmt.Sscan(d.said(t, `growing runs as process (\d+), for a debugger: dlv attach`)[1], &pid)
	return pid
}

// reattach reads what it prints for the shell.
func (d *development) reattach(t *testing.T) string {
	t.Helper()
	line, err := d.stdout.ReadString('\n')
	must(t, err)
	value, isOne := strings.CutPrefix(strings.TrimSuffix(line, "'\n"), "export REKEY_REATTACH='")
	if !isOne {
		t.Fatalf("it prints %s", line)
	}
	return value
}

// end interrupts it, and waits for its end.
func (d *development) end(t *testing.T) {
	t.Helper()
	must(t, d.cmd.Process.Signal(os.Interrupt))
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	select {
	case <-d.ended:
	case <-ctx.Done():
		t.Fatal("it does not end")
	}
	if err := d.cmd.Wait(); err != nil {
		t.Errorf("interrupted: %v", err)
	}
}
