package launch_test

import (
	"bufio"
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/rekey-host/rekey/host/launch"
	"github.com/rekey-host/rekey/sdk"
	"github.com/rekey-host/rekey/sdk/secret"
)

func lost(t *testing.T, receipts []sdk.Receipt) {
	t.Helper()
	for n, r := range receipts {
		if r.Outcome != sdk.Unknown || r.Err == nil || r.Err.Code != sdk.ConnectionLost {
			t.Fatalf("operation %d: %v %v, want unknown ConnectionLost", n, r.Outcome, r.Err)
		}
	}
}

func TestOperationsOfAKilledPluginAreUnknownAndItIsConfiguredAgain(t *testing.T) {
	t.Parallel()
	w := plug(t, command(t, "good"), launch.Options{})
	i := w.open(t, sdk.Config{Secrets: map[string]secret.Value{"password": secret.New(canary)}})
	pid := pidOf(t, i)
	s := send(i, numbered(100, "block"))
	_ = syscall.Kill(pid, syscall.SIGKILL)
	receipts := s.receipts(t)
	lost(t, receipts)
	if text := receipts[0].Err.Message; !strings.Contains(text, "plugin test: signal: killed") {
		t.Errorf("%q does not say what became of the plugin", text)
	}
	if r := one(t, i, sdk.Operation{Account: "secret"}); r.Outcome != sdk.Applied || r.Ref != "x true" {
		t.Errorf("afterwards: %v %q %v, want applied with its label and secret", r.Outcome, r.Ref, r.Err)
	}
	if again := pidOf(t, i); again == pid || alive(pid) {
		t.Errorf("process %d was %d before", again, pid)
	}
	if left := entries(w.dir); len(left) != 2 {
		t.Errorf("directories of sockets: %v, want that of the living process and its lock", left)
	}
	if log := w.told(); strings.Count(log, "plugin died") != 1 {
		t.Errorf("the log tells %d deaths, want 1:\n%s", strings.Count(log, "plugin died"), log)
	}
}

// TestWhatWasHandedOverIsKnownToTheNextProcess, the newest first and each once: the
// account that it logs in as may have any of them. One that was refused and never
// sent before is not among them, nor are those before one that took effect.
func TestWhatWasHandedOverIsKnownToTheNextProcess(t *testing.T) {
	t.Parallel()
	w := plug(t, command(t, "good"), launch.Options{})
	i := w.open(t, sdk.Config{Handed: []secret.Value{nth(1), nth(2)}})
	is := func(want string) {
		t.Helper()
		if r := one(t, i, sdk.Operation{Account: "handed"}); r.Outcome != sdk.Applied || r.Ref != want {
			t.Errorf("handed: %v %q %v, want %q", r.Outcome, r.Ref, r.Err, want)
		}
	}
	over := func(account string, n int) {
		one(t, i, sdk.Operation{Verb: sdk.Handover, Account: account, Value: nth(n)})
	}
	again := func() {
		t.Helper()
		pid := pidOf(t, i)
		_ = syscall.Kill(pid, syscall.SIGKILL)
		gone(t, pid, 10*time.Second)
		for r := one(t, i, sdk.Operation{Account: "handed"}); r.Outcome != sdk.Applied; {
			r = one(t, i, sdk.Operation{Account: "handed"})
		}
	}
	over("lose", 3)
	over("deny", 4)
	over("deny", 3)
	over("lose", 2)
	is("1 2") // it has been configured before
	again()
	is("2 3 1")
	over("x", 5)
	over("lose", 6)
	again()
	is("6 5")
}

func TestAPluginThatKeepsDyingIsGivenUp(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	now := time.Now()
	w := plug(t, command(t, "good"), launch.Options{Now: func() time.Time {
		mu.Lock()
		defer mu.Unlock()
		return now
	}})
	i := w.open(t, sdk.Config{})
	for range 4 { // the first start, and three again
		r := one(t, i, sdk.Operation{Account: "pid"})
		for r.Outcome != sdk.Applied && r.Err.Code != sdk.TargetUnavailable { // the end of the one before is just being noticed
			r = one(t, i, sdk.Operation{Account: "pid"})
		}
		pid, err := strconv.Atoi(r.Ref)
		if err != nil {
			t.Fatal(r.Err)
		}
		_ = syscall.Kill(pid, syscall.SIGKILL)
		gone(t, pid, 10*time.Second)
	}
	for _, r := range all(t, i, numbered(70, "anna")) {
		if r.Outcome != sdk.Refused && r.Outcome != sdk.Unknown {
			t.Fatalf("got %v", r.Outcome)
		}
	}
	r := one(t, i, sdk.Operation{Account: "anna"})
	if r.Outcome != sdk.Refused || r.Err.Code != sdk.TargetUnavailable ||
		!strings.HasPrefix(r.Err.Message, "plugin test: it ended 4 times within 10 minutes and is not started again before ") ||
		!strings.HasSuffix(r.Err.Message, "The last time: signal: killed") {
		t.Errorf("got %v %v", r.Outcome, r.Err)
	}
	mu.Lock()
	now = now.Add(11 * time.Minute)
	mu.Unlock()
	if r := one(t, i, sdk.Operation{Account: "anna"}); r.Outcome != sdk.Applied {
		t.Errorf("later: %v %v, want applied", r.Outcome, r.Err)
	}
}

func TestAStoppedPluginIsKilledAndItsOperationsAreUnknown(t *testing.T) {
	t.Parallel()
	w := plug(t, command(t, "good"), launch.Options{StallSlack: 3 * time.Second}) // a loaded machine is no stall
	i := w.open(t, sdk.Config{Timeout: 100 * time.Millisecond, Concurrency: 64})
	pid := pidOf(t, i)
	stop(t, pid)
	receipts := send(i, numbered(64, "anna")).receipts(t)
	lost(t, receipts)
	if text := receipts[0].Err.Message; !strings.Contains(text, "killed: it owes answers and gives none") {
		t.Errorf("got %q", text)
	}
	if r := one(t, i, sdk.Operation{Account: "anna"}); r.Outcome != sdk.Applied {
		t.Errorf("afterwards: %v %v", r.Outcome, r.Err)
	}
}

// stop stops a process, and waits until all of it has stopped.
func stop(t *testing.T, pid int) {
	t.Helper()
	_ = syscall.Kill(pid, syscall.SIGSTOP)
	for {
		stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(string(stat), ") T ") {
			return
		}
		time.Sleep(time.Millisecond)
	}
}

func TestAPluginThatNeverAnswersIsKilled(t *testing.T) {
	t.Parallel()
	w := plug(t, command(t, "never"), launch.Options{StallSlack: time.Second})
	i := w.open(t, sdk.Config{Timeout: 50 * time.Millisecond})
	receipts := send(i, numbered(10, "anna")).receipts(t)
	lost(t, receipts)
	if text := receipts[0].Err.Message; !strings.Contains(text, "killed: it owes answers and gives none") {
		t.Errorf("got %q", text)
	}
}

func TestAPluginThatBreaksItsStreamIsEnded(t *testing.T) {
	t.Parallel()
	w := plug(t, command(t, "breaks"), launch.Options{})
	i := w.open(t, sdk.Config{})
	pid := processOf(t, w)
	lost(t, send(i, numbered(10, "anna")).receipts(t))
	lost(t, send(i, numbered(10, "anna")).receipts(t)) // by the next one
	gone(t, pid, 10*time.Second)
	if !strings.Contains(w.told(), "killed: it broke the stream of its operations") {
		t.Errorf("the log does not tell:\n%s", w.log)
	}
}

func TestAPluginThatAnswersTwiceOrForOthersIsHeardOnce(t *testing.T) {
	t.Parallel()
	for _, actor := range []string{"twice", "another"} {
		t.Run(actor, func(t *testing.T) {
			t.Parallel()
			w := plug(t, command(t, actor), launch.Options{})
			i := w.open(t, sdk.Config{Concurrency: 200})
			for _, r := range all(t, i, numbered(200, "anna")) {
				if r.Outcome != sdk.Applied {
					t.Fatalf("%v %v", r.Outcome, r.Err)
				}
			}
			if n := strings.Count(w.told(), "answers unasked, or twice"); n != 1 {
				t.Errorf("the log tells it %d times, want 1", n)
			}
		})
	}
}

// TestAPluginsLinesAreHclogs: levels, names and values as hclog and go-plugin
// write them; whatever else a plugin says is one line at debug, and ends nobody.
func TestAPluginsLinesAreHclogs(t *testing.T) {
	t.Parallel()
	w := plug(t, command(t, "good"), launch.Options{})
	i := w.open(t, sdk.Config{})
	lines := []struct{ said, want string }{
		{`{"@level":"trace","@message":"m1","k":"v"}`, `[TRACE] test: m1: k=v`},
		{`{"@level":"warn","@message":"m2","b":"2","a":1}`, `[WARN]  test: m2: a=1 b=2`},
		{`{"@level":"error","@message":"m3","@module":"x","@timestamp":5}`, `[ERROR] test: m3`},
		{`{"@level":"loud","@message":"m4"}`, `[DEBUG] test: m4`},
		{`{"@level":{},"@message":"m5"}`, `[DEBUG] test: m5`},
		{`{"@level":"off","@message":"m6"}`, `[DEBUG] test: m6`},
		{`{"@level":"info","@message":7}`, `[DEBUG] test: {"@level":"info","@message":7}`},
		{`{"@level":"info","@message":"m8\n[ERROR] not a line of its own"}`, `[INFO]  test: m8 [ERROR] not a line of its own`},
		{"{\"@level\":\"info\",\"@message\":\"m9\\u001b[31m\"}", "[INFO]  test: m9[31m"},
		{`[INFO] m10`, `[INFO]  test: [INFO] m10`},
		{`[ERROR] m11`, `[ERROR] test: [ERROR] m11`},
		{`[error] m12`, `[DEBUG] test: [error] m12`},
		{`[x] m13`, `[DEBUG] test: [x] m13`},
		{`m14`, `[DEBUG] test: m14`},
		{`{"@message"`, `[DEBUG] test: {"@message"`},
	}
	for _, l := range lines {
		if r := one(t, i, sdk.Operation{Account: "say " + l.said}); r.Outcome != sdk.Applied {
			t.Fatalf("%v %v", r.Outcome, r.Err)
		}
	}
	log := w.told()
	for _, l := range lines {
		if !strings.Contains(log, " "+l.want+"\n") {
			t.Errorf("%s: want a line that ends in %s:\n%s", l.said, l.want, log)
		}
	}
}

func TestAPanicIsAnUnknownOutcomeAndNoMore(t *testing.T) {
	t.Parallel()
	w := plug(t, command(t, "good"), launch.Options{})
	i := w.open(t, sdk.Config{})
	pid := pidOf(t, i)
	r := one(t, i, sdk.Operation{Account: "panic", Value: secret.New(canary)})
	if r.Outcome != sdk.Unknown || r.Err.Code != sdk.Internal || !strings.Contains(r.Err.Message, "panicked in Apply") {
		t.Errorf("got %v %v, want unknown Internal", r.Outcome, r.Err)
	}
	if pidOf(t, i) != pid {
		t.Error("the process did not survive it")
	}
	if log := w.told(); !strings.Contains(log, "the backend panicked") || !strings.Contains(log, "main_test.go") {
		t.Errorf("the log does not tell where:\n%s", log)
	}
	noLeak(t, "the log", w.log.String())
}

func TestAFloodOfStandardErrorIsBoundedAndHoldsNothingUp(t *testing.T) {
	t.Parallel()
	much := 8 << 20 // of each
	if os.Getenv("REKEY_FAULTS") == "full" {
		much = 100 << 20
	}
	w := plug(t, command(t, "good"), launch.Options{})
	i := w.open(t, sdk.Config{})
	for _, what := range []string{"flood", "line"} {
		if r := one(t, i, sdk.Operation{Account: fmt.Sprint(what, " ", much), Value: secret.New(canary)}); r.Outcome != sdk.Applied {
			t.Errorf("%s: %v %v", what, r.Outcome, r.Err)
		}
	}
	log := w.told()
	dropped := 0
	for _, text := range regexp.MustCompile(`plugin writes too much, lines were dropped: lines=(\d+)`).FindAllStringSubmatch(log, -1) {
		count, _ := strconv.Atoi(text[1])
		dropped += count
	}
	if dropped < much/100/2 || len(log) > 8<<20 {
		t.Errorf("the log has %d bytes and should say that most lines were dropped, not %d: the plugin was held up", len(log), dropped)
	}
	for _, l := range strings.Split(log, "\n") {
		if len(l) > 10<<10 {
			t.Fatalf("a line of %d bytes", len(l))
		}
	}
}

func TestCloseEndsWhateverThePluginDoes(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, actor string
		before      func(t *testing.T, i *launch.Instance, pid int)
	}{
		{"idle", "good", nil},
		{"busy", "good", func(_ *testing.T, i *launch.Instance, _ int) { send(i, numbered(100, "block")) }},
		{"stopped", "good", func(t *testing.T, i *launch.Instance, pid int) {
			stop(t, pid)
			send(i, numbered(100, "block"))
		}},
		{"has a child", "good", func(t *testing.T, i *launch.Instance, _ int) {
			child := childOf(t, i, "")
			t.Cleanup(func() { gone(t, child, 5*time.Second) })
		}},
		{"has a daemon that holds its standard error", "good", func(t *testing.T, i *launch.Instance, _ int) {
			daemon := childOf(t, i, "daemon")
			t.Cleanup(func() { _ = syscall.Kill(daemon, syscall.SIGKILL) })
		}},
		{"ignores signals and the end of its host", "stubborn", func(_ *testing.T, i *launch.Instance, _ int) { send(i, numbered(10, "anna")) }},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			w := plug(t, command(t, c.actor), launch.Options{})
			i := w.open(t, sdk.Config{})
			pid := processOf(t, w)
			if c.before != nil {
				c.before(t, i, pid)
			}
			began := time.Now()
			if err := w.Close(); err != nil {
				t.Error(err)
			}
			if alive(pid) {
				t.Errorf("process %d still runs", pid)
			}
			if left := entries(w.dir); len(left) > 0 {
				t.Errorf("left: %v", left)
			}
			if took := time.Since(began); took > 2*time.Second+slow {
				t.Errorf("it took %v, want 2 s", took)
			}
			if r := one(t, i, sdk.Operation{Account: "anna"}); r.Outcome != sdk.Refused {
				t.Errorf("after Close: %v %v", r.Outcome, r.Err)
			}
			if strings.Contains(w.log.String(), "plugin died") {
				t.Error("an end that was wanted is told as a death")
			}
		})
	}
}

// slow is what a loaded machine may add to a bound that is the contract's.
const slow = 3 * time.Second

func childOf(t *testing.T, i *launch.Instance, how string) int {
	t.Helper()
	r := one(t, i, sdk.Operation{Account: "child " + how})
	pid, err := strconv.Atoi(r.Ref)
	if err != nil {
		t.Fatalf("%v %v", r.Outcome, r.Err)
	}
	return pid
}

// processOf finds the plugin's process among this one's children.
func processOf(t *testing.T, w *watched) int {
	t.Helper()
	_, after, ok := strings.Cut(w.log.String(), "plugin started")
	_, after, found := strings.Cut(after, "pid=")
	pid, err := strconv.Atoi(strings.Fields(after + " ")[0])
	if !ok || !found || err != nil {
		t.Fatalf("the log does not tell the process:\n%s", w.log)
	}
	return pid
}

// beHost is a host that opens a plugin, tells its process id and waits for its
// own end.
func beHost(actor, dir string) {
	self, err := os.Executable()
	if err != nil {
		panic(err)
	}
	log := &lines{}
	p := launch.New(launch.Command{Path: self, Args: []string{"plugin", actor}, Name: "test"},
		launch.Options{RunDir: dir, Log: hclog.New(&hclog.LoggerOptions{Output: log, Level: hclog.Debug})})
	i, err := p.Open(context.Background(), sdk.Config{Label: "x", Concurrency: 1})
	if err != nil {
		panic(err)
	}
	_, after, _ := strings.Cut(log.String(), "pid=")
	fmt.Println(strings.Fields(after)[0])
	if a, err := i.Find(context.Background(), "stdin"); err == nil {
		fmt.Println(a.Attributes["stdin"])
	}
	rest()
}

func TestAPluginCannotReadTheInputOfItsHost(t *testing.T) {
	t.Parallel()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	host := exec.Command(self, "host", "good", shortDir(t))
	host.Stdin = strings.NewReader("a list of users")
	out, err := host.StdoutPipe()
	if err == nil {
		err = host.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	r := bufio.NewReader(out)
	_, err = r.ReadString('\n')
	line, rerr := r.ReadString('\n')
	_ = host.Process.Kill()
	_ = host.Wait()
	if err != nil || rerr != nil || line != "0 true\n" {
		t.Errorf("it reads %q, %v %v; want nothing and its end", line, err, rerr)
	}
}

func TestAPluginIsGoneWithItsHostAlsoAfterAKill(t *testing.T) {
	t.Parallel()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	for _, actor := range []string{"good", "stubborn"} {
		t.Run(actor, func(t *testing.T) {
			t.Parallel()
			dir := shortDir(t)
			host := exec.Command(self, "host", actor, dir)
			host.Stderr = os.Stderr
			out, err := host.StdoutPipe()
			if err != nil {
				t.Fatal(err)
			}
			if err := host.Start(); err != nil {
				t.Fatal(err)
			}
			line, err := bufio.NewReader(out).ReadString('\n')
			if err != nil {
				t.Fatal(err)
			}
			pid, err := strconv.Atoi(strings.TrimSpace(line))
			if err != nil || !alive(pid) {
				t.Fatalf("process %q: %v", line, err)
			}
			_ = host.Process.Kill()
			_ = host.Wait()
			gone(t, pid, 2*time.Second)
			left := entries(dir)
			if len(left) == 0 {
				t.Fatal("nothing is left to be swept: the test shows nothing")
			}
			w := plug(t, command(t, "good"), launch.Options{RunDir: dir})
			w.open(t, sdk.Config{})
			for _, name := range left {
				if _, err := os.Lstat(filepath.Join(dir, name)); err == nil {
					t.Errorf("%s of the dead host is still there", name)
				}
			}
		})
	}
}

// TestTenThousandOperationsAreAnsweredOnceAlthoughThePluginIsKilled counts.
func TestTenThousandOperationsAreAnsweredOnceAlthoughThePluginIsKilled(t *testing.T) {
	t.Parallel()
	const n, senders = 10_000, 20
	w := plug(t, command(t, "good"), launch.Options{})
	i := w.open(t, sdk.Config{Concurrency: 16})
	pid := pidOf(t, i)
	ops := numbered(n, "anna")
	s := &sent{got: make([][]sdk.Receipt, n), left: n, done: make(chan struct{})}
	var wg sync.WaitGroup
	for k := range senders {
		wg.Go(func() {
			for from := k * n / senders; from < (k+1)*n/senders; {
				to := min(from+1+rand.IntN(64), (k+1)*n/senders)
				i.Submit(ops[from:to], s.answer(from))
				from = to
				if from > n/4 && from < n/2 {
					_ = syscall.Kill(pid, syscall.SIGKILL)
				}
			}
		})
	}
	wg.Wait()
	count := map[sdk.Outcome]int{}
	for k, r := range s.receipts(t) {
		count[r.Outcome]++
		switch {
		case r.Outcome == sdk.Applied:
		case r.Outcome == sdk.Unknown && r.Err.Code == sdk.ConnectionLost:
		case r.Outcome == sdk.Refused && r.Err.Code == sdk.Unreachable:
		default:
			t.Fatalf("operation %d: %v %v", k, r.Outcome, r.Err)
		}
	}
	t.Logf("%d applied, %d unknown, %d refused", count[sdk.Applied], count[sdk.Unknown], count[sdk.Refused])
	if count[sdk.Applied] == 0 || alive(pid) {
		t.Error("nothing was applied, or nothing was killed: the test shows nothing")
	}
}

func TestInstancesOfOnePluginShareAProcessAndNothingElse(t *testing.T) {
	t.Parallel()
	w := plug(t, command(t, "good"), launch.Options{})
	a := w.open(t, sdk.Config{Label: "a", Secrets: map[string]secret.Value{"password": secret.New(canary)}})
	b := w.open(t, sdk.Config{Label: "b", Secrets: map[string]secret.Value{"password": secret.New("other")}})
	if x, y := pidOf(t, a), pidOf(t, b); x != y {
		t.Errorf("processes %d and %d", x, y)
	}
	if x, y := one(t, a, sdk.Operation{Account: "secret"}).Ref, one(t, b, sdk.Operation{Account: "secret"}).Ref; x != "a true" || y != "b false" {
		t.Errorf("got %q and %q", x, y)
	}
	if err := a.Close(); err != nil {
		t.Error(err)
	}
	if r := one(t, b, sdk.Operation{Account: "anna"}); r.Outcome != sdk.Applied {
		t.Errorf("the other one was closed: %v %v", r.Outcome, r.Err)
	}
	if a.Label() != "a" || b.Description().Name != "test" {
		t.Errorf("label %q, name %q", a.Label(), b.Description().Name)
	}
}
