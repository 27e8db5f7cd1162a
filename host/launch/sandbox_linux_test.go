package launch_test

import (
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/rekey-host/rekey/host/launch"
	"github.com/rekey-host/rekey/sdk"
)

// attack tries what a hostile plugin would. Each target is "what argument"; the
// answer is "allowed", or why not.
func attack(target string) string {
	what, arg, _ := strings.Cut(target, " ")
	host := os.Getppid()
	var err error
	switch what {
	case "read":
		_, err = os.ReadFile(arg)
	case "list":
		_, err = os.ReadDir(arg)
	case "write":
		err = os.WriteFile(arg, []byte("x"), 0o600)
	case "replace":
		if err = os.WriteFile(arg+".new", []byte("y"), 0o600); err == nil {
			err = os.Rename(arg+".new", arg)
		}
	case "remove":
		err = os.Remove(arg)
	case "scratch":
		var f *os.File
		if f, err = os.CreateTemp("", "x"); err == nil {
			_ = f.Close()
		}
	case "memory":
		err = readMemory(fmt.Sprintf("/proc/%d/mem", host))
	case "environ":
		_, err = os.ReadFile(fmt.Sprintf("/proc/%d/environ", host))
	case "descriptors":
		_, err = os.ReadDir(fmt.Sprintf("/proc/%d/fd", host))
	case "trace":
		err = seize(host)
	case "signal":
		err = syscall.Kill(host, syscall.Signal(0))
	case "exec":
		err = exec.Command(arg, "-c", "true").Run()
	case "connect":
		err = dialed("tcp", arg)
	case "fastopen", "multipath":
		err = around(what, arg)
	case "listen":
		var l net.Listener
		if l, err = net.Listen("tcp", "127.0.0.1:0"); err == nil {
			_ = l.Close()
		}
	case "raw":
		var fd int
		if fd, err = unix.Socket(unix.AF_INET, unix.SOCK_RAW, unix.IPPROTO_ICMP); err == nil {
			_ = unix.Close(fd)
		}
	case "udp":
		err = dialed("udp", "127.0.0.1:9")
	case "abstract":
		err = dialed("unix", "@"+arg)
	}
	if err != nil {
		return err.Error()
	}
	return "allowed"
}

// seize becomes a debugger of the process, until the thread ends.
func seize(pid int) error {
	got := make(chan error)
	go func() {
		runtime.LockOSThread() // and never unlocked: the thread ends with the goroutine
		got <- unix.PtraceSeize(pid)
	}()
	return <-got
}

// around connects to a port of this machine in a way that is no connect of TCP.
func around(how, port string) error {
	protocol := unix.IPPROTO_TCP
	if how == "multipath" {
		protocol = unix.IPPROTO_MPTCP
	}
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM, protocol)
	if err != nil {
		return err
	}
	defer func() { _ = unix.Close(fd) }()
	n, err := strconv.Atoi(port)
	if err != nil {
		return err
	}
	to := &unix.SockaddrInet4{Port: n, Addr: [4]byte{127, 0, 0, 1}}
	if how == "multipath" {
		return unix.Connect(fd, to)
	}
	return unix.Sendto(fd, []byte("x"), unix.MSG_FASTOPEN, to)
}

func readMemory(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	return f.Close()
}

func dialed(network, address string) error {
	c, err := net.DialTimeout(network, address, time.Second)
	if err != nil {
		return err
	}
	return c.Close()
}

// world is what there is to be attacked.
type world struct {
	state, data, users, ca, outside string
	granted, other                  net.Listener
	abstract                        net.Listener
}

func newWorld(t *testing.T) *world {
	t.Helper()
	dir, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	w := &world{state: filepath.Join(dir, "state"), data: filepath.Join(dir, "data"), outside: filepath.Join(dir, "outside")}
	w.users, w.ca = filepath.Join(w.data, "users"), filepath.Join(dir, "ca.pem")
	for _, d := range []string{w.state, w.data, w.outside} {
		if err := os.Mkdir(d, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	for _, f := range []string{filepath.Join(w.state, "identity.txt"), w.users, w.ca, filepath.Join(w.outside, "x")} {
		if err := os.WriteFile(f, []byte("x"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	listen := func(network, address string) net.Listener {
		l, err := net.Listen(network, address)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = l.Close() })
		return l
	}
	w.granted, w.other = listen("tcp", "127.0.0.1:0"), listen("tcp", "127.0.0.1:0")
	w.abstract = listen("unix", fmt.Sprintf("@rekey-test-%d-%d", os.Getpid(), time.Now().UnixNano()))
	return w
}

func port(l net.Listener) int { return l.Addr().(*net.TCPAddr).Port }

// sandboxed are options that confine with this binary.
func sandboxed(t testing.TB) launch.Options {
	t.Helper()
	missing, err := launch.Confinable()
	if err != nil {
		t.Fatalf("these tests need a kernel with Landlock: %v", err)
	}
	if len(missing) > 0 {
		t.Logf("this kernel cannot deny: %v", missing)
	}
	return launch.Options{Sandbox: true, Confine: []string{plain(t, "").Path, "confine"}, Memory: 1 << 47, // what the race detector takes
		Environ: []string{"PATH=/usr/bin:/bin", "GORACE=atexit_sleep_ms=0"}}
}

// TestAHostilePluginGetsNothingThatItWasNotGranted tries everything twice: what
// is denied in the sandbox is allowed outside, or the test shows nothing.
func TestAHostilePluginGetsNothingThatItWasNotGranted(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	d := sdk.Description{Egress: []string{"{url}"}, Paths: []string{"{ca}", "write {path}"}}
	config := sdk.Config{Values: map[string]any{"url": fmt.Sprintf("http://127.0.0.1:%d", port(w.granted)), "path": w.users, "ca": w.ca}}
	grants, err := launch.GrantsOf(d, config, []string{w.state})
	if err != nil {
		t.Fatal(err)
	}
	inside, outside := plain(t, "good"), plain(t, "good")
	inside.Grants = grants
	confined := plug(t, inside, sandboxed(t)).open(t, sdk.Config{})
	free := plug(t, outside, launch.Options{}).open(t, sdk.Config{})
	missing, _ := launch.Confinable()
	lacks := func(what string) bool { return strings.Contains(strings.Join(missing, " "), what) }
	for _, c := range []struct {
		target string
		denied bool
	}{
		{"read " + filepath.Join(w.state, "identity.txt"), true},
		{"list " + w.state, true},
		{"write " + filepath.Join(w.state, "new"), true},
		{"read /etc/passwd", true},
		{"list /", true},
		{"write " + filepath.Join(w.outside, "x"), true},
		{"remove " + filepath.Join(w.outside, "x"), true},
		{"memory", true},
		{"environ", true},
		{"descriptors", true},
		{"trace", true},
		{"signal", !lacks("signals")},
		{"exec /bin/sh", true},
		{fmt.Sprintf("connect 127.0.0.1:%d", port(w.other)), !lacks("TCP")},
		{"listen", !lacks("TCP")},
		{fmt.Sprint("fastopen ", port(w.other)), true},
		{fmt.Sprint("multipath ", port(w.other)), true},
		{"raw", true},
		{"abstract " + strings.TrimPrefix(w.abstract.Addr().String(), "@"), !lacks("signals")},

		{fmt.Sprintf("connect 127.0.0.1:%d", port(w.granted)), false},
		{"read " + w.ca, false},
		{"read " + w.users, false},
		{"replace " + w.users, false},
		{"list " + w.data, false},
		{"read /etc/hosts", false},
		{"write /dev/null", false},
		{"scratch", false},
		{"udp", false}, // names need it
	} {
		if got := ask(t, confined, "attack "+c.target)["got"]; (got != "allowed") != c.denied {
			t.Errorf("in the sandbox, %s: %s, want denied: %v", c.target, got, c.denied)
		}
		if got := ask(t, free, "attack "+c.target)["got"]; got != "allowed" && !privileged(c.target) {
			t.Errorf("outside, %s: %s: the test shows nothing", c.target, got)
		}
	}
	if r := one(t, confined, sdk.Operation{Account: "anna"}); r.Outcome != sdk.Applied {
		t.Errorf("it does not do its work: %v %v", r.Outcome, r.Err)
	}
}

// privileged are attacks that the machine may refuse to anybody who is not root.
func privileged(target string) bool {
	what, _, _ := strings.Cut(target, " ")
	return what == "trace" || what == "memory" || what == "raw" || what == "fastopen" || what == "multipath" || what == "environ" || what == "descriptors"
}

func TestAPluginWithoutEgressHasNoNetworkAtAll(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	i := plug(t, plain(t, "good"), sandboxed(t)).open(t, sdk.Config{})
	for _, target := range []string{"udp", "listen", fmt.Sprintf("connect 127.0.0.1:%d", port(w.granted))} {
		if got := ask(t, i, "attack "+target)["got"]; got == "allowed" {
			t.Errorf("%s: %s", target, got)
		}
	}
	for what, want := range map[string]string{"no_new_privs": "1", "core": "0 0", "nofile": "4096 4096", "dumpable": "0"} {
		if got := ask(t, i, "limits")[what]; got != want {
			t.Errorf("%s is %s, want %s", what, got, want)
		}
	}
	const files = 1<<unix.CAP_CHOWN | 1<<unix.CAP_DAC_OVERRIDE | 1<<unix.CAP_FOWNER | 1<<unix.CAP_FSETID
	if got, err := strconv.ParseUint(ask(t, i, "limits")["capabilities"], 16, 64); err != nil || got&^files != 0 {
		t.Errorf("capabilities %x, want those for files at most", got)
	}
}

// withoutLandlock takes Landlock from this process and prints what is said of
// that.
func withoutLandlock() {
	runtime.LockOSThread()
	program := []unix.SockFilter{
		{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS},
		{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, K: unix.SYS_LANDLOCK_CREATE_RULESET, Jf: 1},
		{Code: unix.BPF_RET | unix.BPF_K, K: unix.SECCOMP_RET_ERRNO | uint32(unix.ENOSYS)},
		{Code: unix.BPF_RET | unix.BPF_K, K: unix.SECCOMP_RET_ALLOW},
	}
	prog := unix.SockFprog{Len: uint16(len(program)), Filter: &program[0]}
	err := errors.Join(unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0),
		unix.Prctl(unix.PR_SET_SECCOMP, unix.SECCOMP_MODE_FILTER, uintptr(unsafe.Pointer(&prog)), 0, 0))
	if err == nil {
		_, err = launch.Confinable()
	}
	fmt.Print(err)
}

func TestAKernelWithoutLandlockIsToldInOneLine(t *testing.T) {
	t.Parallel()
	out, err := exec.Command(plain(t, "").Path, "plugin", "without landlock").Output()
	want := "cannot be confined: this kernel has no Landlock (" + unix.ENOSYS.Error() + "); add landlock to the kernel's lsm= list, or run without --sandbox, and with --no-sandbox NAME for a plugin of a lock file"
	if err != nil || string(out) != want {
		t.Errorf("got %q %v, want %q", out, err, want)
	}
}

// TestAConfinedPluginEndsLikeOthers is what the confinement might have broken.
func TestAConfinedPluginEndsLikeOthers(t *testing.T) {
	t.Parallel()
	w := plug(t, plain(t, "good"), sandboxed(t))
	i := w.open(t, sdk.Config{})
	pid := pidOf(t, i)
	_ = syscall.Kill(pid, syscall.SIGKILL)
	gone(t, pid, 10*time.Second)
	r := one(t, i, sdk.Operation{Account: "pid"})
	for r.Outcome != sdk.Applied {
		if r.Err.Code == sdk.TargetUnavailable {
			t.Fatal(r.Err)
		}
		r = one(t, i, sdk.Operation{Account: "pid"})
	}
	again, _ := strconv.Atoi(r.Ref)
	_ = w.Close()
	if alive(again) || len(entries(w.dir)) > 0 {
		t.Errorf("process %d lives: %v; left: %v", again, alive(again), entries(w.dir))
	}
}

func TestAScriptCanBeConfinedToo(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	script := filepath.Join(dir, "rekey-backend-test")
	text := "#!/bin/sh\ncat " + dir + "/beside >&2 && ! cat /etc/passwd >/dev/null && exec >&2 && echo confined: done\nexit 3\n"
	if err := errors.Join(os.WriteFile(script, []byte(text), 0o700), os.WriteFile(filepath.Join(dir, "beside"), []byte("beside\n"), 0o600)); err != nil {
		t.Fatal(err)
	}
	link := filepath.Join(t.TempDir(), "rekey-backend-test")
	if err := os.Symlink(script, link); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{script, link} { // an interpreter looks beside what a link leads to
		_, err := plug(t, launch.Command{Path: path, Name: "test"}, sandboxed(t)).Describe(t.Context())
		if err == nil || !strings.Contains(err.Error(), "exit status 3: confined: done") {
			t.Errorf("%s: got %v", path, err)
		}
	}
}

// TestAConfinedInterpreterStartsWithoutNoise: what it complained of at its start was
// taken for why it died.
func TestAConfinedInterpreterStartsWithoutNoise(t *testing.T) {
	t.Parallel()
	script := file(t, "#!/usr/bin/python3\nimport os\nos._exit(3)\n", 0o700)
	_, err := plug(t, script, sandboxed(t)).Describe(t.Context())
	if err == nil || !strings.Contains(err.Error(), "exit status 3") || strings.Contains(err.Error(), "Permission") {
		t.Errorf("got %v", err)
	}
}

func TestAConfinementThatCannotBeIsToldInOneLine(t *testing.T) {
	t.Parallel()
	o := sandboxed(t)
	for _, c := range []struct {
		name    string
		confine []string
		command launch.Command
		want    string
	}{
		{"no command", nil, plain(t, "good"), "plugin test: cannot be confined: the host does not say by which command"},
		{"another command", []string{"/bin/false"}, plain(t, "good"), "ended before it was ready: exit status 1"},
		{"no such plugin", o.Confine, launch.Command{Path: "/nowhere/x", Name: "test"}, "exit status 1: cannot be confined: /nowhere/x: "},
	} {
		o.Confine = c.confine
		_, err := plug(t, c.command, o).Describe(t.Context())
		if err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: %v, want …%s", c.name, err, c.want)
		}
	}
	for _, args := range [][]string{nil, {"--"}, {"--read"}, {"--nonsense", "x"}, {"--connect", "x", "--", "y"}, {"--connect", "70000"}, {"--memory", "-1"}} {
		if err := launch.Confine(args); err == nil || !strings.HasPrefix(err.Error(), "confine: ") {
			t.Errorf("Confine(%q) = %v", args, err)
		}
	}
}

func TestAnEndlessHungerForMemoryEndsThePluginAndNotTheMachine(t *testing.T) {
	t.Parallel()
	if raceEnabled { // its own tables are larger than any limit
		return
	}
	o := sandboxed(t)
	o.Memory = 256 << 20
	w := plug(t, plain(t, "good"), o)
	r := one(t, w.open(t, sdk.Config{}), sdk.Operation{Account: "hunger"})
	if r.Outcome != sdk.Unknown || r.Err.Code != sdk.ConnectionLost {
		t.Errorf("got %v %v", r.Outcome, r.Err)
	}
}

// pinned is a plugin with the digest that a lock holds it to.
func pinned(t testing.TB, actor string) launch.Command {
	t.Helper()
	made := plain(t, actor)
	digest, _, err := launch.Digest(made.Path)
	if err != nil {
		t.Fatal(err)
	}
	made.Digest = digest
	return made
}

// BenchmarkStartConfined is what a first operation waits for where the plugin is
// confined, and compared with its pin, as each is that is not in rekey itself.
func BenchmarkStartConfined(b *testing.B) { benchStart(b, pinned(b, "good"), sandboxed(b)) }

// TestSixteenConfinedInstancesShareAProcess, and each keeps its own settings.
func TestSixteenConfinedInstancesShareAProcess(t *testing.T) {
	t.Parallel()
	w := plug(t, pinned(t, "good"), sandboxed(t))
	var all [16]*launch.Instance
	for n := range all {
		all[n] = w.open(t, sdk.Config{Label: fmt.Sprint("label ", n)})
	}
	for n, i := range all {
		if got, want := pidOf(t, i), pidOf(t, all[0]); got != want {
			t.Errorf("instance %d is in process %d, the first in %d", n, got, want)
		}
		if got, want := one(t, i, sdk.Operation{Account: "secret"}).Ref, fmt.Sprintf("label %d false", n); got != want {
			t.Errorf("instance %d says %q, want %q", n, got, want)
		}
	}
}
