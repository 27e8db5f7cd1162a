package main_test

import (
	"bytes"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"
)

const endless = `
b = backend("memory", latency = "20ms", concurrency = 2)
many = list(range(100000))

def rotate(user, step):
    if user.login == "u5":
        print("it computes")
        for i in range(1 << 60):
            sorted(many)  # few steps and much time: no limit ends it before the signal
    step.set(b, user.login, step.generate())

workflow(users = rows(["u%d" % i for i in range(400)], key = "login"), rotate = rotate)
`

// TestSIGQUITIsOneLine names what was going on and how to go on, instead of the
// stacks of everything, which are in the log at debug; and the ledger is whole.
func TestSIGQUITIsOneLine(t *testing.T) {
	for _, level := range []string{"", "debug"} {
		t.Run("log "+level, func(t *testing.T) {
			p := newPlace(t, "REKEY_LOG="+level)
			p.write("endless.star", endless)
			said := quitAfter(t, p, "it computes", "run", "endless.star", "--yes", "--no-exercise")
			line := said[strings.Index(said, "rekey: SIGQUIT"):]
			if !whoComputed.MatchString(line) || !strings.Contains(line, `rotate of user "u5"`) || strings.Count(line, "\n") != 1 {
				t.Errorf("the end is not one line that names hook, user and what to do:\n%s", line)
			}
			if got, want := strings.Contains(said, "goroutine 1 "), level == "debug"; got != want {
				t.Errorf("stacks in the log: %v, want %v", got, want)
			}
			p.write("endless.star", strings.Replace(endless, "1 << 60", "1", 1))
			o := p.outcome(0, "resume", "last", "--yes", "--accept-change")
			if o.Counts["done"] != 400 {
				t.Errorf("after the resume: %v", o.Counts)
			}
		})
	}
}

// whoComputed matches the line that names who was served: users beside the one who
// takes long may be, too.
var whoComputed = regexp.MustCompile(`while it computed rotate of user "u\d+"(, rotate of user "u\d+")*; its ledger has what was sent: rekey resume r`)

// TestSIGQUITBeforeAnythingIsSent says that nothing was changed.
func TestSIGQUITBeforeAnythingIsSent(t *testing.T) {
	p := newPlace(t)
	p.write("slow.star", "def f():\n    print(\"it computes\")\n    for i in range(1 << 60):\n        pass\nf()\n")
	said := quitAfter(t, p, "it computes", "check", "slow.star")
	if !strings.Contains(said, "rekey: SIGQUIT ends the process, nothing was changed\n") || strings.Count(said, "\n") > 2 {
		t.Errorf("said:\n%s", said)
	}
}

// quitAfter runs a command until it says something, sends it a SIGQUIT, and
// returns all that it says. It has to end with 1.
func quitAfter(t *testing.T, p *place, word string, args ...string) string {
	t.Helper()
	cmd := p.command(args...)
	out := &waited{word: word, seen: make(chan struct{})}
	cmd.Stderr = out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	select {
	case <-out.seen:
	case <-time.After(time.Minute):
		t.Error("it did not begin")
	}
	_ = cmd.Process.Signal(syscall.SIGQUIT)
	_ = cmd.Wait()
	if got := cmd.ProcessState.ExitCode(); got != 1 {
		t.Errorf("exit %d, want 1", got)
	}
	return out.said.String()
}

// waited keeps what is written and tells when a word was.
type waited struct {
	said bytes.Buffer
	word string
	seen chan struct{}
}

func (w *waited) Write(p []byte) (int, error) {
	before := strings.Contains(w.said.String(), w.word)
	n, err := w.said.Write(p)
	if !before && strings.Contains(w.said.String(), w.word) {
		close(w.seen)
	}
	return n, err
}
