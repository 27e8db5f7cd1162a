package main_test

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

const slowScript = `workflow(
    users = rows(["u%%d" %% n for n in range(%d)], key = "login"),
    backend = backend("memory", latency = "20ms"),
    concurrency = 1,
    reports = [report.csv("slow.csv", row = lambda r: {"login": r.user.login, "status": r.status})],
)
`

// begun starts a run and returns when something of it is in the ledger.
func begun(t *testing.T, p *place, args ...string) *exec.Cmd {
	t.Helper()
	cmd := p.command(args...)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill() })
	for deadline := time.Now().Add(30 * time.Second); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		if r := p.rekey("show", "last", "--status", "done"); strings.Contains(r.stdout, "  done\n") {
			return cmd
		}
	}
	t.Fatal("nothing was applied in 30 s")
	return nil
}

// shown is how the last run stands.
func shown(t *testing.T, p *place) (o outcome) {
	t.Helper()
	if err := json.Unmarshal([]byte(p.must(0, "show", "last", "--json").stdout), &o); err != nil {
		t.Fatal(err)
	}
	return o
}

func TestASecondProcessOnARunIsRefusedAndReadingWorks(t *testing.T) {
	p := newPlace(t)
	p.write("slow.star", fmt.Sprintf(slowScript, 400))
	first := begun(t, p, "run", "slow.star", "--yes")
	pid := fmt.Sprint(first.Process.Pid)
	for _, args := range [][]string{{"resume", "last", "--yes"}, {"retry", "last", "--yes"}, {"approve", "last"}} {
		if r := p.must(2, args...); !strings.Contains(r.stderr, pid) || strings.Count(r.stderr, "\n") != 1 {
			t.Errorf("%s: the one line should name process %s: %s", args[0], pid, r.stderr)
		}
	}
	if r := p.must(2, "run", "slow.star", "--yes"); !strings.Contains(r.stderr, "rekey resume r") || !strings.Contains(r.stderr, "--new") {
		t.Errorf("the same again: %s", r.stderr)
	}
	if o := shown(t, p); o.Status != "running" || o.Counts["total"] != 400 {
		t.Errorf("show beside the run: %+v", o)
	}

	// The first signal lets what is in flight finish, and everything is told.
	if err := first.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	_ = first.Wait()
	if code := first.ProcessState.ExitCode(); code != 130 {
		t.Fatalf("interrupted: exit %d", code)
	}
	o := shown(t, p)
	if o.Status != "interrupted" || o.Counts["unknown"] != 0 || o.Counts["pending"] == 0 || o.Counts["done"] == 0 {
		t.Errorf("after the interrupt: %+v", o)
	}
	if rows := strings.Count(p.read("slow.csv"), "\n"); rows != 401 {
		t.Errorf("the report of an interrupted run has %d lines", rows)
	}
}

func TestTwoRunsOnOnePasswordFileTearNothing(t *testing.T) {
	p := newPlace(t)
	for _, name := range []string{"a", "b"} {
		p.write(name+".star", fmt.Sprintf(`workflow(
    users = rows(["%s%%d" %% n for n in range(150)], key = "login"),
    backend = backend("htpasswd", path = "web.htpasswd", create = True, hash = "apr1"),
    reports = [report.csv("%s.csv", row = lambda r: {"login": r.user.login, "password": r.password})],
)`, name, name))
	}
	a, b := p.command("run", "a.star", "--yes"), p.command("run", "b.star", "--yes")
	for _, cmd := range []*exec.Cmd{a, b} {
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
	}
	for _, cmd := range []*exec.Cmd{a, b} {
		if err := cmd.Wait(); err != nil {
			t.Fatalf("%q: %v", cmd.Args[1:], err)
		}
	}
	lines := strings.Split(strings.TrimSpace(p.read("web.htpasswd")), "\n")
	if len(lines) != 300 {
		t.Fatalf("%d lines, want 300", len(lines))
	}
	for _, line := range lines {
		if login, hash, ok := strings.Cut(line, ":"); !ok || !strings.HasPrefix(hash, "$apr1$") || login == "" {
			t.Errorf("torn line %q", line)
		}
	}
}

func TestTheSecondSignalCancelsAndResumeSettles(t *testing.T) {
	p := newPlace(t)
	p.write("stuck.star", `workflow(
    users = rows(["u%d" % n for n in range(6)], key = "login"),
    backend = backend("memory", latency = "4s"),
    concurrency = 2,
)`)
	cmd := p.command("run", "stuck.star", "--yes")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill() })
	for deadline := time.Now().Add(30 * time.Second); p.rekey("reveal", "last").stdout == ""; time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("nothing was sent in 30 s")
		}
	}
	for range 2 {
		if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
			t.Fatal(err)
		}
		time.Sleep(100 * time.Millisecond)
	}
	ended := make(chan struct{})
	go func() { _ = cmd.Wait(); close(ended) }()
	select {
	case <-ended:
	case <-time.After(10 * time.Second):
		t.Fatal("two signals did not end it")
	}
	if code := cmd.ProcessState.ExitCode(); code != 130 {
		t.Errorf("exit %d, want 130", code)
	}
	o := shown(t, p)
	if o.Counts["unknown"]+o.Counts["pending"] != 6 {
		t.Errorf("got %v", o.Counts)
	}
}

func TestTheThirdSignalEndsWhatWaitsForNobody(t *testing.T) {
	p := newPlace(t)
	if err := syscall.Mkfifo(filepath.Join(p.dir, "users.csv"), 0o600); err != nil {
		t.Fatal(err)
	}
	p.write("fifo.star", `workflow(users = csv("users.csv", key = "login"), backend = backend("memory"))`)
	cmd := p.command("run", "fifo.star", "--yes")
	said, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill() })
	writer := opened(t, filepath.Join(p.dir, "users.csv"))
	defer writer.Close()
	for range 3 {
		if err := cmd.Process.Signal(os.Interrupt); err != nil {
			t.Fatal(err)
		}
		time.Sleep(50 * time.Millisecond) // signals of one kind do not queue
	}
	text, _ := io.ReadAll(said)
	_ = cmd.Wait()
	if code := cmd.ProcessState.ExitCode(); code != 130 || !strings.Contains(string(text), "a third ends rekey at once") {
		t.Errorf("exit %d, said %q", code, text)
	}
	if list := p.must(0, "runs", "--json").stdout; strings.TrimSpace(list) != "[]" {
		t.Errorf("a run was left: %s", list)
	}
}

// opened opens a FIFO for writing when there is a reader.
func opened(t *testing.T, path string) *os.File {
	t.Helper()
	for deadline := time.Now().Add(30 * time.Second); time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) {
		f, err := os.OpenFile(path, os.O_WRONLY|syscall.O_NONBLOCK, 0)
		if err == nil {
			return f
		}
	}
	t.Fatal("nobody read the FIFO in 30 s")
	return nil
}
