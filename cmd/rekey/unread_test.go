package main_test

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"
)

const talkative = `
b = backend("memory", latency = "20ms", concurrency = %d)

def rotate(user, step):
    print(user.login, "x" * 200)
    step.set(b, user.login, step.generate())

workflow(users = rows(["u%%d" %% i for i in range(%d)], key = "login"), rotate = rotate)
`

// unread starts a command whose standard error is a pipe that nobody reads.
func unread(t *testing.T, p *place, args ...string) (cmd *exec.Cmd, stderr *os.File) {
	t.Helper()
	r, w, err := os.Pipe()
	must(t, err)
	t.Cleanup(func() { _ = r.Close() })
	cmd = p.command(args...)
	cmd.Stderr = w
	must(t, cmd.Start())
	must(t, w.Close())
	return cmd, r
}

// endsWithin waits for a command and returns its exit code; -1 if it had to be killed.
func endsWithin(cmd *exec.Cmd, within time.Duration) int {
	late := time.AfterFunc(within, func() { _ = cmd.Process.Kill() })
	defer late.Stop()
	_ = cmd.Wait()
	return cmd.ProcessState.ExitCode()
}

// TestSignalsEndARunThatNobodyReads: a pager that waits, a terminal that is
// held, a supervisor that does not care.
func TestSignalsEndARunThatNobodyReads(t *testing.T) {
	for _, tt := range []struct {
		name    string
		signals []syscall.Signal
		code    int
	}{
		{"one SIGTERM", []syscall.Signal{syscall.SIGTERM}, 130},
		{"two SIGTERMs", []syscall.Signal{syscall.SIGTERM, syscall.SIGTERM}, 130},
		{"three SIGTERMs", []syscall.Signal{syscall.SIGTERM, syscall.SIGTERM, syscall.SIGTERM}, 130},
		{"three SIGINTs", []syscall.Signal{syscall.SIGINT, syscall.SIGINT, syscall.SIGINT}, 130},
		{"SIGQUIT", []syscall.Signal{syscall.SIGQUIT}, 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			p := newPlace(t)
			p.write("talkative.star", fmt.Sprintf(talkative, 2, 2000))
			cmd, _ := unread(t, p, "run", "talkative.star", "--yes")
			time.Sleep(5 * time.Second) // the pipe is full by then
			for _, s := range tt.signals {
				must(t, cmd.Process.Signal(s))
				time.Sleep(100 * time.Millisecond)
			}
			if code := endsWithin(cmd, 20*time.Second); code != tt.code {
				t.Errorf("exit %d, want %d", code, tt.code)
			}
			p.write("talkative.star", "")
			if r := p.must(0, "show", "last"); !strings.Contains(r.stdout, "2,000 users") && !strings.Contains(r.stdout, "2000") {
				t.Errorf("the run is not there:\n%s", r.stdout)
			}
		})
	}
}

// TestARunThatNobodyReadsGoesOn, ends when it is read, and says what it left
// out, and what it came to at last.
func TestARunThatNobodyReadsGoesOn(t *testing.T) {
	p := newPlace(t)
	p.write("talkative.star", strings.Replace(fmt.Sprintf(talkative, 64, 2000), "* 200", "* 2000", 1))
	cmd, stderr := unread(t, p, "run", "talkative.star", "--yes")
	deadline := time.Now().Add(time.Minute)
	for !strings.Contains(p.rekey("show", "last", "--json").stdout, `"status": "finished"`) {
		if time.Now().After(deadline) {
			t.Fatal("the run does not go on")
		}
		time.Sleep(200 * time.Millisecond)
	}
	text, err := io.ReadAll(stderr)
	must(t, err)
	if code := endsWithin(cmd, 20*time.Second); code != 0 {
		t.Errorf("exit %d", code)
	}
	lines := strings.Split(strings.TrimSpace(string(text)), "\n")
	last := strings.Join(lines[max(0, len(lines)-3):], "\n")
	if !strings.Contains(string(text), "messages left out here: standard error was not read") || !strings.Contains(last, "2,000 users, 2,000 done") && !strings.Contains(last, "2,000 done") {
		t.Errorf("at the end:\n%s", last)
	}
}
