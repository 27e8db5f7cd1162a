package main_test

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"
)

// elsewhere is a plugin that serves as on another machine.
type elsewhere struct {
	mu      sync.Mutex // of address
	t       *testing.T
	program string
	dir     string
	address string // that it listens on
	pin     string // of its key
	client  string // the pin of who may connect
	cmd     *exec.Cmd
}

// remotely makes the place connect to a plugin through a relay.
func remotely(t *testing.T, p *place, mode string) (*elsewhere, *wireCutter) {
	t.Helper()
	must(t, os.MkdirAll(filepath.Join(p.dir, "target"), 0o700))
	p.env = append(p.env, "REKEY_PLUGIN_DIR="+filepath.Join(p.dir, "plugins"))
	made := &elsewhere{t: t, dir: t.TempDir(), address: "127.0.0.1:0"}
	made.program = filepath.Join(made.dir, "rekey-backend-"+mode)
	must(t, os.Link(faultyProgram(t), made.program))
	args := []string{"plugin", "connect", mode, "--address", "127.0.0.1:1", "--cert", "our.crt", "--key", "our.key"}
	r := p.must(2, args...)
	made.client = pinIn(t, r.stderr)
	if !strings.Contains(r.stderr, "--peer-pin wants the SHA-256 of the plugin's public key") {
		t.Errorf("without a pin: %s", r.stderr)
	}
	out, _ := made.command().CombinedOutput()
	made.pin = pinIn(t, string(out))
	made.start(made.client)
	cutter := cutting(t, made)
	args[4] = cutter.address()
	r = p.must(0, append(args, "--peer-pin", made.pin)...)
	if !strings.Contains(r.stdout, "connected to "+mode+" 1 at "+cutter.address()+"\n  its key is SHA-256 "+made.pin) {
		t.Errorf("connect: %s", r.stdout)
	}
	return made, cutter
}

// faultyProgram is that of testdata/faulty, built once.
var faultyBuild = sync.OnceValue(func() error {
	if out, err := exec.Command("go", "build", "-o", filepath.Join(filepath.Dir(binary), "faulty"), "./testdata/faulty").CombinedOutput(); err != nil {
		return fmt.Errorf("build: %w\n%s", err, out)
	}
	return nil
})

func faultyProgram(t *testing.T) string {
	t.Helper()
	must(t, faultyBuild())
	return filepath.Join(filepath.Dir(binary), "faulty")
}

func pinIn(t *testing.T, text string) string {
	t.Helper()
	pin := regexp.MustCompile(`[0-9a-f]{64}`).FindString(text)
	if pin == "" {
		t.Fatalf("there is no pin in %s", text)
	}
	return pin
}

func (e *elsewhere) command(clients ...string) *exec.Cmd {
	args := []string{"serve", "--listen", e.address, "--cert", "its.crt", "--key", "its.key"}
	for _, pin := range clients {
		args = append(args, "--client-pin", pin)
	}
	cmd := exec.Command(e.program, args...)
	cmd.Dir, cmd.Env = e.dir, []string{"HOME=" + e.dir}
	return cmd
}

// start has it listen, where it listened before.
func (e *elsewhere) start(clients ...string) {
	e.t.Helper()
	e.cmd = e.command(clients...)
	said, err := e.cmd.StderrPipe()
	must(e.t, err)
	must(e.t, e.cmd.Start())
	cmd := e.cmd
	e.t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	lines := bufio.NewReader(said)
	line, err := lines.ReadString('\n')
	listens := regexp.MustCompile(`listens on (\S+), its key is SHA-256 `).FindStringSubmatch(line)
	if err != nil || listens == nil {
		e.t.Fatalf("it says %q, %v", line, err)
	}
	e.mu.Lock()
	e.address = listens[1]
	e.mu.Unlock()
	go func() { _, _ = io.Copy(io.Discard, lines) }()
}

// kill ends it without a word.
func (e *elsewhere) kill() {
	_ = e.cmd.Process.Kill()
	_ = e.cmd.Wait()
}

// at is where it listens now.
func (e *elsewhere) at() string {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.address
}

// wireCutter stands between the two ends.
type wireCutter struct {
	listener net.Listener
	mu       sync.Mutex
	open     []net.Conn
}

func cutting(t *testing.T, to *elsewhere) *wireCutter {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	made := &wireCutter{listener: listener}
	t.Cleanup(func() { _ = listener.Close(); made.cut() })
	go func() {
		for {
			near, err := listener.Accept()
			if err != nil {
				return
			}
			far, err := net.Dial("tcp", to.at())
			if err != nil {
				_ = near.Close()
				continue
			}
			made.mu.Lock()
			made.open = append(made.open, near, far)
			made.mu.Unlock()
			for _, pair := range [][2]net.Conn{{near, far}, {far, near}} {
				go func() {
					_, _ = io.Copy(pair[0], pair[1])
					_, _ = near.Close(), far.Close()
				}()
			}
		}
	}()
	return made
}

func (w *wireCutter) address() string { return w.listener.Addr().String() }

// cut ends all connections.
func (w *wireCutter) cut() {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, conn := range w.open {
		_ = conn.Close()
	}
	w.open = nil
}

const farScript = `b = backend(%q, target = "target", timeout = "2s", patience = "20s", concurrency = 4)
def rotate(user, step):
    step.set(b, user.login, step.generate())
workflow(users = rows(["u%%d" %% n for n in range(%d)], key = "login"), rotate = rotate)
`

// TestAPluginOnAnotherMachine serves as one here does; each end knows the other by its
// key, and a run says which.
func TestAPluginOnAnotherMachine(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	far, cutter := remotely(t, p, "honest")
	p.write("x.star", fmt.Sprintf(farScript, "honest", 8))
	if o := p.outcome(0, "run", "x.star", "--yes"); o.Counts["done"] != 8 {
		t.Errorf("got %v", o.Counts)
	}
	served := "remote " + cutter.address() + ", key SHA-256 " + far.pin
	if r := p.must(0, "show", "last"); !strings.Contains(r.stdout, "backend honest: honest 1, "+served) {
		t.Errorf("show: %s", r.stdout)
	}
	p.must(0, "audit", "export", "last", "--out", "all.bundle")
	if bundle := p.read("all.bundle"); !strings.Contains(bundle, `"plugin honest":"honest 1 `+served+`"`) {
		t.Errorf("the bundle does not name the plugin: %.2000s", bundle)
	}
	if r := p.must(0, "plugin", "list"); !strings.Contains(r.stdout, "honest  1  locked  key SHA-256 "+far.pin[:16]+"…  on another machine, "+cutter.address()) {
		t.Errorf("list: %s", r.stdout)
	}
	p.must(0, "plugin", "verify")
	if r := p.must(0, "backends"); !strings.Contains(r.stdout, "honest ") {
		t.Errorf("backends: %s", r.stdout)
	}
	lock := p.read("plugins/rekey.lock")
	if strings.Contains(lock, "PRIVATE") || !strings.Contains(lock, `"key": "`+filepath.Join(p.dir, "our.key")+`"`) {
		t.Errorf("the lock: %s", lock)
	}

	p.must(0, "plan", "x.star", "--new")
	other := strings.Replace(lock, far.pin, far.client, 1)
	p.write("plugins/rekey.lock", other)
	if r := p.must(2, "resume", "last", "--yes", "--accept-change"); !strings.Contains(r.stderr, "its key is SHA-256 "+far.pin+", and that is another than the lock file has; nothing was sent to it") {
		t.Errorf("another key than the lock's: %s", r.stderr)
	}
	p.write("plugins/rekey.lock", lock)
	r := p.must(2, "plugin", "connect", "honest", "--address", far.address, "--cert", "another.crt", "--key", "another.key", "--peer-pin", far.pin)
	if !strings.Contains(r.stderr, "plugin honest: "+far.address+": the other end ") || !strings.Contains(r.stderr, "--client-pin") {
		t.Errorf("another client: %s", r.stderr)
	}
	must(t, os.Chmod(filepath.Join(p.dir, "our.key"), 0o644))
	if r := p.must(2, "resume", "last", "--yes"); !strings.Contains(r.stderr, "our.key: others may read it; chmod 600 it") {
		t.Errorf("a key that others may read: %s", r.stderr)
	}
	must(t, os.Chmod(filepath.Join(p.dir, "our.key"), 0o600))
	far.kill()
	cutter.cut()
	must(t, cutter.listener.Close())
	if r := p.must(2, "resume", "last", "--yes"); !strings.Contains(r.stderr, cutter.address()+": it cannot be reached: ") {
		t.Errorf("nobody there: %s", r.stderr)
	}
}

// TestWhatAConnectionLosesIsSettled twenty times, at random moments: the program there is
// killed and started again, the connection is cut, the host is killed. Then every user
// is done, and has the value that the ledger says.
func TestWhatAConnectionLosesIsSettled(t *testing.T) {
	t.Parallel()
	const times, users = 20, 24
	lost := 0
	for n := range times {
		p := newPlace(t)
		far, cutter := remotely(t, p, "late-by-a-moment")
		p.write("x.star", fmt.Sprintf(farScript, "late-by-a-moment", users))
		cmd := p.command("run", "x.star", "--yes")
		must(t, cmd.Start())
		for deadline := time.Now().Add(time.Minute); len(setIn(p)) == 0 && time.Now().Before(deadline); {
			time.Sleep(time.Millisecond)
		}
		time.Sleep(time.Duration(rand.IntN(250)) * time.Millisecond)
		switch n % 3 {
		case 0:
			far.kill()
			far.start(far.client)
		case 1:
			cutter.cut()
		case 2:
			_ = cmd.Process.Kill()
		}
		_ = cmd.Wait()
		exit := cmd.ProcessState.ExitCode()
		if exit != 0 {
			lost++
		}
		for tries := 0; exit != 0 && tries < 3; tries++ {
			r := p.rekey("resume", "last", "--yes")
			if exit = r.exit; exit != 0 && exit != 5 {
				t.Fatalf("resume: exit %d\n%s", exit, r.stderr)
			}
		}
		if o := shown(t, p); exit != 0 || o.Counts["done"] != users {
			t.Fatalf("try %d: exit %d, %v", n, exit, o.Counts)
		}
		sealed := revealed(t, p)
		for account, has := range setIn(p) {
			if hashed(sealed[account]) != has {
				t.Errorf("try %d: %s has another value than the ledger says", n, account)
			}
		}
		far.kill()
	}
	if lost < times/4 {
		t.Errorf("%d of %d runs lost something: the test shows nothing", lost, times)
	}
}

// setIn are the hashes of what the target has, by account.
func setIn(p *place) map[string]string {
	has := map[string]string{}
	paths, _ := filepath.Glob(filepath.Join(p.dir, "target", "u*"))
	for _, path := range paths {
		if text, err := os.ReadFile(path); err == nil && !strings.HasSuffix(path, ".new") {
			has[filepath.Base(path)] = string(text)
		}
	}
	return has
}

// revealed is the newest sealed value of each account.
func revealed(t *testing.T, p *place) map[string]string {
	t.Helper()
	var list []struct{ Account, Password string }
	must(t, json.Unmarshal([]byte(p.must(0, "reveal", "last", "--json").stdout), &list))
	newest := map[string]string{}
	for _, one := range list {
		if _, has := newest[one.Account]; !has {
			newest[one.Account] = one.Password
		}
	}
	return newest
}
