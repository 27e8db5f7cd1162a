package main_test

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rekey-host/rekey/sdk/leaktest"
)

// wrong is a faulty plugin of testdata/faulty, and what has to become of a run with it.
type wrong struct {
	mode   string
	exit   int
	rows   string        // the statuses that its eight users may have, between blanks; "": there is no run
	said   string        // a pattern of one line that names the plugin too; "": it harms nothing, and nothing is said
	within time.Duration // for all of the run
	how    string        // words for what is otherwise than usual: verify, generate, reset, free (of the sandbox), lies, interrupt, brief (no time)
}

// The times that a run may take: nothing waits; the host finds out that a plugin
// is stuck, ten seconds after an operation's time; it waits for the slowest call.
const (
	soon   = 25 * time.Second
	stuck  = 40 * time.Second
	longer = 60 * time.Second
)

// wrongs are the modes. Those that wait longest stand first.
func wrongs() []wrong {
	return slices.Concat(waiting(), starting(), dying(), lying(), breaking(), leaking(), flooding(), answering())
}

func waiting() []wrong {
	return []wrong{
		{mode: "configure-hangs", exit: 2, said: `configure: no answer from the plugin`, within: longer, how: "brief"},
		{mode: "never-answers", exit: 5, rows: "unknown", said: `killed: it owes answers and gives none`, within: stuck, how: "brief"},
		{mode: "only-unknown-numbers", exit: 5, rows: "unknown", said: `broke the contract: answers to operations that had one, or were never sent \(\d+\)`, within: stuck, how: "brief"},
		{mode: "answers-every-second", exit: 5, rows: "done unknown", said: `killed: it owes answers and gives none`, within: stuck, how: "brief"},
		{mode: "stops-itself", exit: 5, rows: "unknown done", said: `killed: it owes answers and gives none`, within: stuck, how: "brief"},
		{mode: "no-handshake", exit: 2, said: `said nothing on standard output within 10s`, within: stuck, how: "brief"},
		{mode: "describe-hangs", exit: 2, said: `did not say within 10s what it is`, within: stuck, how: "brief"},
		{mode: "hangs", exit: 5, rows: "unknown failed", said: `no answer within 300ms, and the call goes on`, within: stuck, how: "brief"},
		{mode: "hangs-replayed", exit: 5, rows: "unknown failed", said: `an earlier attempt still runs`, within: stuck, how: "brief"},
		{mode: "no-stream-hangs", exit: 5, rows: "unknown", said: `killed: it owes answers and gives none`, within: stuck, how: "brief"},
		{mode: "late", exit: 5, rows: "unknown", said: `no answer within 300ms, and the call goes on`, within: soon, how: "brief"},
		{mode: "late-replayed", exit: 0, rows: "done", within: soon, how: "brief"},
		{mode: "verify-hangs", exit: 3, rows: "partial", said: `Timeout`, within: soon, how: "brief verify"},
		{mode: "verify-errs", exit: 3, rows: "partial", said: `is away: Unreachable \(no route\)`, within: soon, how: "brief verify"},
		{mode: "always-unreachable", exit: 4, rows: "failed pending", said: `is away: Unreachable \(no route\)`, within: soon, how: "brief"},
		{mode: "conflict-for-ever", exit: 3, rows: "failed", said: `"code": "Conflict"`, within: soon, how: "brief"},
		{mode: "busy-in-the-past", exit: 3, rows: "failed", said: `"code": "RateLimited"`, within: soon, how: "brief"},
		{mode: "busy-for-a-year", exit: 130, rows: "pending", said: `RateLimited \(later\); the next attempt is at 20`, within: soon, how: "brief interrupt"},
		{mode: "check-hangs", exit: 2, said: `check: no answer from the plugin`, within: soon, how: "brief"},
		{mode: "close-hangs", exit: 0, rows: "done", within: soon, how: "brief"},
	}
}

func starting() []wrong {
	return []wrong{
		{mode: "old-protocol", exit: 2, said: `speaks version 0 of the plugin protocol, this rekey speaks 1; upgrade the plugin`, within: soon},
		{mode: "new-protocol", exit: 2, said: `speaks version 2 of the plugin protocol, this rekey speaks 1; upgrade rekey`, within: soon},
		{mode: "other-core", exit: 2, said: `version 2 of go-plugin's protocol`, within: soon},
		{mode: "netrpc", exit: 2, said: `does not speak gRPC`, within: soon},
		{mode: "no-certificate", exit: 2, said: `sent no certificate in its handshake`, within: soon},
		{mode: "rubbish-for-a-cert", exit: 2, said: `cannot be asked what it is`, within: soon},
		{mode: "welcome", exit: 2, said: `printed "Welcome to ACME 2000" on standard output instead of its handshake`, within: soon},
		{mode: "endless-on-stdout", exit: 2, said: `on standard output instead of its handshake`, within: soon},
		{mode: "words-and-exit", exit: 2, said: `exit status 3: cannot find \[31mlibfoo`, within: soon},
		{mode: "exits-at-once", exit: 2, said: `ended before it was ready: exit status 0`, within: soon},
		{mode: "panics-at-once", exit: 2, said: `exit status 2: panic: nothing works`, within: soon},
		{mode: "wrong-name", exit: 2, said: `calls itself "another"`, within: soon},
		{mode: "egress-typo", exit: 2, said: `"\{hots\}" names no setting`, within: soon},
		{mode: "path-typo", exit: 2, said: `"write \{traget\}" names no setting`, within: soon},
		{mode: "describes-nothing", exit: 2, said: `describes nothing`, within: soon},
		{mode: "describe-panics", exit: 2, said: `panicked in Describe`, within: soon},
		{mode: "describe-exits", exit: 2, said: `ended while it was asked what it is: exit status 4`, within: soon},
		{mode: "describe-too-much", exit: 0, rows: "done", within: soon},
		{mode: "configure-panics", exit: 2, said: `panicked in Configure`, within: soon},
		{mode: "configure-refuses", exit: 2, said: `InvalidConfig: cannot log in with \[redacted\]`, within: soon},
		{mode: "configure-exits", exit: 2, said: `exit status 5`, within: soon},
		{mode: "check-is-bad", exit: 2, said: `may not`, within: soon},
		{mode: "check-panics", exit: 2, said: `panicked in Check`, within: soon},
		{mode: "policy-absurd", exit: 2, said: `no password meets all rules`, within: soon},
	}
}

func dying() []wrong {
	return []wrong{
		{mode: "crash-once", exit: 5, rows: "unknown done", said: `exit status 7: the only crash`, within: soon},
		{mode: "crash-at-6", exit: 5, rows: "unknown done", said: `exit status 2: panic: in a goroutine`, within: soon},
		{mode: "crash-always", exit: 5, rows: "unknown", said: `ended 4 times within 10 minutes and is not started again before`, within: soon},
		{mode: "exit-0", exit: 5, rows: "unknown done", said: `exit status 0`, within: soon},
		{mode: "kills-itself", exit: 5, rows: "unknown done", said: `signal: killed`, within: soon},
		{mode: "panics", exit: 5, rows: "unknown", said: `panicked in Apply`, within: soon},
		{mode: "balloon", exit: 5, rows: "unknown", said: `exit status 2: fatal error: runtime: (out of|cannot allocate) memory`, within: soon},
		{mode: "close-panics", exit: 0, rows: "done", said: `panicked: method=Close`, within: soon},
		{mode: "closes-its-descriptors", exit: 5, rows: "unknown done", said: `the connection was lost`, within: soon},
		{mode: "unlinks-its-socket", exit: 0, rows: "done", within: soon},
		{mode: "child", exit: 0, rows: "done", within: soon, how: "free"},
		{mode: "child-in-a-session", exit: 0, rows: "done", within: soon, how: "free"},
		{mode: "ignores-its-host", exit: 0, rows: "done", within: soon},
		{mode: "replaces-itself", exit: 5, rows: "unknown done", said: `has changed since it was looked at: its SHA-256 is`, within: soon, how: "free"},
		{mode: "version-of-a-start", exit: 0, rows: "done", said: `broke the contract: starts at which it described itself otherwise \(1\)`, within: soon},
	}
}

func lying() []wrong {
	const contradicts = `contradicts itself: it says that the value was applied before, and no attempt was without an answer`
	return []wrong{
		{mode: "honest", exit: 0, rows: "done", within: soon, how: "verify"},
		{mode: "already", exit: 5, rows: "unknown", said: contradicts, within: soon},
		{mode: "contradicts", exit: 5, rows: "unknown", said: contradicts, within: soon},
		{mode: "a-refusal-then-done", exit: 5, rows: "unknown", said: contradicts, within: soon},
		{mode: "cut-then-already", exit: 0, rows: "done", within: soon},
		{mode: "cut-before", exit: 0, rows: "done", within: soon},
		{mode: "not-applied", exit: 3, rows: "partial", said: `does not accept the value`, within: soon, how: "verify"},
		{mode: "verify-lies", exit: 0, rows: "done", within: soon, how: "verify lies"}, // it cannot be known
		{mode: "refuses-what-it-does", exit: 3, rows: "failed", said: `"code": "AccountStatus"`, within: soon, how: "verify lies"},
		{mode: "empty-receipt", exit: 5, rows: "unknown", said: `broke the contract: receipts without a reason \(8\)`, within: soon},
		{mode: "fewer-receipts", exit: 5, rows: "done unknown", said: `gave \d receipts for \d operations`, within: soon},
		{mode: "more-receipts", exit: 0, rows: "done", within: soon},
	}
}

func breaking() []wrong {
	const odd = `broke the contract: answers to operations that had one, or were never sent \(\d+\)`
	return []wrong{
		{mode: "answers-twice", exit: 0, rows: "done", said: odd, within: soon},
		{mode: "answers-otherwise", exit: 0, rows: "done", said: odd, within: soon},
		{mode: "unknown-numbers", exit: 0, rows: "done", said: odd, within: soon},
		{mode: "answers-unasked", exit: 0, rows: "done", said: `never sent \(500000\)`, within: soon},
		{mode: "applied-with-error", exit: 5, rows: "unknown", said: `broke the contract: receipts that say applied, with an error \(8\)`, within: soon},
		{mode: "outcome-99", exit: 5, rows: "unknown", said: `broke the contract: outcomes or codes that the contract does not have \(8\)`, within: soon},
		{mode: "outcome-minus-1", exit: 5, rows: "unknown", said: `broke the contract: outcomes or codes that the contract does not have \(8\)`, within: soon},
		{mode: "code-of-its-own", exit: 3, rows: "failed", said: `"code": "Gremlins"`, within: soon},
		{mode: "no-reason", exit: 3, rows: "failed", said: `broke the contract: receipts without a reason \(8\)`, within: soon},
		{mode: "no-receipt", exit: 5, rows: "unknown", said: `broke the contract: receipts without a reason \(8\)`, within: soon},
		{mode: "a-value-nobody-asked", exit: 0, rows: "done", within: soon},
		{mode: "undeclared-abilities", exit: 0, rows: "done", said: `broke the contract: abilities that its description does not declare \(3\)`, within: soon},
		{mode: "no-stream", exit: 3, rows: "failed", said: `"code": "Conflict"`, within: soon},
		{mode: "no-stream-no-apply", exit: 3, rows: "failed", said: `the plugin has no such call`, within: soon},
		{mode: "no-such-stream", exit: 5, rows: "unknown", said: `broke the stream of its operations|"code": "ConnectionLost"`, within: soon},
		{mode: "ends-the-stream", exit: 5, rows: "unknown", said: `the plugin: enough`, within: soon},
		{mode: "ends-it-in-order", exit: 5, rows: "unknown", said: `the plugin: EOF`, within: soon},
		{mode: "breaks-with-a-status", exit: 5, rows: "unknown", said: `the plugin: gremlins`, within: soon},
		{mode: "a-large-answer", exit: 5, rows: "unknown", said: `received message larger than max`, within: soon},
		{mode: "no-answer-frame", exit: 5, rows: "unknown", said: `cannot parse invalid wire-format data`, within: soon},
		{mode: "noise-on-stdout", exit: 0, rows: "done", said: `broke the contract: lines on standard output, which belongs to the handshake \(8\)`, within: soon},
	}
}

func leaking() []wrong {
	var list []wrong
	for _, form := range []string{"raw", "base64", "hex", "halves", "reversed", "spaced", "a-piece", "logon", "others", "in-every-field"} {
		list = append(list, wrong{mode: "tells-" + form, exit: 3, rows: "failed", said: `\[redacted\]`, within: soon})
	}
	return append(list,
		wrong{mode: "logs-secrets", exit: 0, rows: "done", said: `\[redacted\]`, within: soon},
		wrong{mode: "panics-with-secrets", exit: 5, rows: "unknown", said: `panicked in Apply`, within: soon},
		wrong{mode: "dies-with-secrets", exit: 5, rows: "unknown done", said: `panic: with \[redacted\]`, within: soon})
}

func flooding() []wrong {
	return []wrong{
		{mode: "floods-stderr", exit: 0, rows: "done", said: `wrote more to standard error than can be kept: \d{6} lines dropped`, within: soon},
		{mode: "one-long-line", exit: 0, rows: "done", within: soon},
		{mode: "floods-stdout", exit: 0, rows: "done", said: `broke the contract: lines on standard output, which belongs to the handshake \(65536\)`, within: soon},
		{mode: "words-without-end", exit: 3, rows: "failed", said: `word word word`, within: soon},
		{mode: "terminal-words", exit: 3, rows: "failed", said: `red rekey: all is well`, within: soon},
		{mode: "findings-without-end", exit: 0, rows: "done", said: `and \d+ warnings more`, within: soon},
	}
}

func answering() []wrong {
	return []wrong{
		{mode: "verify-cannot-tell", exit: 0, rows: "done", said: `not proven: the target does not tell whether it accepts the value`, within: soon, how: "verify"},
		{mode: "verify-rejects", exit: 3, rows: "partial", said: `does not accept the value`, within: soon, how: "verify"},
		{mode: "verify-blocked", exit: 3, rows: "partial", said: `locked or disabled: the value cannot be tried`, within: soon, how: "verify"},
		{mode: "verify-panics", exit: 3, rows: "partial", said: `panicked in Verify`, within: soon, how: "verify"},
		{mode: "late-by-a-moment", exit: 0, rows: "done", within: soon},
		{mode: "policy-negative", exit: 0, rows: "done", within: soon},
		{mode: "policy-panics", exit: 3, rows: "failed", said: `panicked in Policy`, within: soon},
		{mode: "generates-nothing", exit: 3, rows: "failed", said: `generated 0 values, want`, within: soon, how: "generate"},
		{mode: "generates-empty", exit: 3, rows: "failed", said: `the value is empty`, within: soon, how: "generate"},
		{mode: "generates-one", exit: 3, rows: "failed done", said: `generated 1 values, want`, within: soon, how: "generate"},
		{mode: "reset-to-nothing", exit: 0, rows: "done", said: `picked a value and did not tell it`, within: soon, how: "reset lies"},
	}
}

// most is what the host may have in memory at any time.
const most = 128 << 10 // KiB

// TestEveryFaultyPluginIsToldAndHarmsNothing: whatever a plugin does, the run ends in its
// time, each user has one row and what it says is true, the plugin and its fault stand in
// one line, no piece of a secret stands anywhere, and no process or socket is left.
func TestEveryFaultyPluginIsToldAndHarmsNothing(t *testing.T) { // alone: others measure times
	program := faultyProgram(t)
	list := wrongs()
	runs := make([]*faultyRun, len(list))
	for i, wrong := range list {
		runs[i] = newFaultyRun(t, wrong, program)
	}
	var all sync.WaitGroup
	slots := make(chan struct{}, 8) // most of them wait most of the time
	for _, run := range runs {
		slots <- struct{}{}
		all.Go(func() {
			defer func() { <-slots }()
			run.err = run.do()
		})
	}
	all.Wait()
	for _, run := range runs {
		t.Run(run.mode, run.judge)
	}
}

// faultyRun is one run with one faulty plugin.
type faultyRun struct {
	wrong
	place   *place
	sockets string // the directory of temporary files

	err            error
	exit           int
	stdout, stderr string
	took           time.Duration
	peak           int64 // KiB
	left           []string
	rows           []faultyRow
	lines          string // the rows as they are reported
	values         map[string][]string
}

type faultyRow struct{ Key, Status string }

func newFaultyRun(t *testing.T, wrong wrong, program string) *faultyRun {
	t.Helper()
	sockets, err := os.MkdirTemp("", "rk") // short: a socket's path is
	must(t, err)
	t.Cleanup(func() { _ = os.RemoveAll(sockets) })
	p := newPlace(t, "LOGIN="+loginCanary, "TMPDIR="+sockets)
	plugins := filepath.Join(p.dir, "plugins")
	p.env = append(p.env, "REKEY_PLUGIN_DIR="+plugins)
	must(t, errors.Join(os.Mkdir(plugins, 0o755), os.Mkdir(filepath.Join(p.dir, "target"), 0o700)))
	must(t, os.Link(program, filepath.Join(plugins, "rekey-backend-"+wrong.mode)))
	steps := "step.set(b, user.login, value)"
	switch {
	case strings.Contains(wrong.how, "verify"):
		steps += "\n    step.verify(b, user.login, value)"
	case strings.Contains(wrong.how, "reset"):
		steps = "step.reset(b, user.login)"
	}
	generator, timeout := "None", "20s"
	if strings.Contains(wrong.how, "generate") {
		generator = "b"
	}
	if strings.Contains(wrong.how, "brief") {
		timeout = "300ms"
	}
	p.write("x.star", fmt.Sprintf(`b = backend(%[1]q, target = "target", password = secret.env("LOGIN"), timeout = %[4]q, attempts = 3, patience = "2s")
def rotate(user, step):
    value = step.generate(generator = %[2]s)
    %[3]s
workflow(users = rows(["u%%d" %% n for n in range(8)], key = "login"), rotate = rotate, policy = policy(length = 24, allowed_symbols = "."),
    reports = [report.jsonl("rows.jsonl", row = lambda r: {"plugin": %[1]q, "key": r.user.login, "status": r.status, "code": r.code, "message": r.message})])
`, wrong.mode, generator, steps, timeout))
	return &faultyRun{wrong: wrong, place: p, sockets: sockets}
}

// do runs it to its end and collects what there is to see.
func (r *faultyRun) do() error {
	args := []string{"run", "x.star", "--yes"}
	if strings.Contains(r.how, "free") {
		args = append(args, "--no-sandbox", r.mode)
	}
	began := time.Now()
	if err := r.run(r.place.command(args...)); err != nil {
		return err
	}
	r.took = time.Since(began)
	r.left = r.leftovers()
	if r.wrong.rows == "" {
		out, err := r.place.command("runs", "--json").Output()
		if strings.TrimSpace(string(out)) != "[]" {
			return fmt.Errorf("there is a run: %s", out)
		}
		return err
	}
	if err := r.report(); err != nil {
		return err
	}
	return r.reveal()
}

// run starts the host, and looks at its memory until its end.
func (r *faultyRun) run(cmd *exec.Cmd) error {
	var stdout, stderr bytes.Buffer
	cmd.Stdout = &stdout
	said, err := cmd.StderrPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	over := time.AfterFunc(2*r.within, func() { _ = cmd.Process.Kill() })
	defer over.Stop()
	done := make(chan struct{})
	var looking sync.WaitGroup
	looking.Go(func() { r.watch(cmd.Process.Pid, done) })
	lines := bufio.NewReader(said)
	for {
		line, err := lines.ReadString('\n')
		stderr.WriteString(line)
		if strings.Contains(r.how, "interrupt") && regexp.MustCompile(r.said).MatchString(line) {
			_ = cmd.Process.Signal(os.Interrupt)
		}
		if err != nil {
			break
		}
	}
	_ = cmd.Wait()
	close(done)
	looking.Wait()
	r.exit, r.stdout, r.stderr = cmd.ProcessState.ExitCode(), stdout.String(), stderr.String()
	return nil
}

var peakKiB = regexp.MustCompile(`VmHWM:\s+(\d+) kB`)

// watch keeps the most memory that a process had. What the system tells at its end
// is that of its children too.
func (r *faultyRun) watch(pid int, done <-chan struct{}) {
	for {
		text, _ := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
		if found := peakKiB.FindSubmatch(text); found != nil {
			now, _ := strconv.ParseInt(string(found[1]), 10, 64)
			r.peak = max(r.peak, now)
		}
		select {
		case <-done:
			return
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// leftovers are the processes of the plugin and the sockets that are still there.
func (r *faultyRun) leftovers() []string {
	var left []string
	program := filepath.Join(r.place.dir, "plugins") + "/"
	for deadline := time.Now().Add(2 * time.Second); ; time.Sleep(50 * time.Millisecond) { // who was killed takes a moment to be gone
		left = nil
		processes, _ := filepath.Glob("/proc/[0-9]*/exe")
		for _, process := range processes {
			if path, err := os.Readlink(process); err == nil && strings.HasPrefix(path, program) {
				left = append(left, process)
			}
		}
		if len(left) == 0 || time.Now().After(deadline) {
			break
		}
	}
	_ = filepath.WalkDir(r.sockets, func(path string, entry fs.DirEntry, err error) error {
		if err == nil && entry.Type()&fs.ModeSocket != 0 {
			left = append(left, path)
		}
		return nil
	})
	return left
}

func (r *faultyRun) report() error {
	text, err := os.ReadFile(filepath.Join(r.place.dir, "rows.jsonl"))
	if err != nil {
		return err
	}
	r.lines = string(text)
	for line := range strings.Lines(r.lines) {
		var row faultyRow
		if err := json.Unmarshal([]byte(line), &row); err != nil {
			return err
		}
		r.rows = append(r.rows, row)
	}
	if !strings.HasPrefix(r.mode, "tells") {
		return nil
	}
	whole, err := r.place.command("report", "last", "--format", "jsonl").Output() // what the plugin said of each step, too
	r.stdout += string(whole)
	return err
}

// reveal reads the sealed values.
func (r *faultyRun) reveal() error {
	out, err := r.place.command("reveal", "last", "--json").Output()
	if err != nil {
		return fmt.Errorf("reveal: %w", err)
	}
	var list []struct{ Account, Password string }
	if err := json.Unmarshal(out, &list); err != nil {
		return err
	}
	r.values = map[string][]string{}
	for _, one := range list {
		r.values[one.Account] = append(r.values[one.Account], one.Password)
	}
	return nil
}

// judge compares a run with what has to become of it.
func (r *faultyRun) judge(t *testing.T) {
	if r.err != nil {
		t.Fatalf("%v\n%s", r.err, r.stderr)
	}
	if r.exit != r.wrong.exit || r.took > r.within || r.peak > most || r.peak == 0 || len(r.left) > 0 {
		t.Errorf("exit %d, want %d; it took %v, may take %v; the host had %d KiB, may have %d; left are %v\n%s",
			r.exit, r.wrong.exit, r.took, r.within, r.peak, most, r.left, r.stderr)
	}
	if r.said != "" && !r.told() {
		t.Errorf("no line names %s and %s:\n%s%s", r.mode, r.said, r.stderr, r.lines)
	}
	if r.said == "" && strings.Contains(r.stderr, "rekey: warning: ") {
		t.Errorf("something is said: %s", r.stderr)
	}
	if r.wrong.rows != "" {
		r.judgeRows(t)
	}
	for where, text := range map[string]string{"standard output": r.stdout, "standard error": r.stderr, "the report": r.lines} {
		if form := r.leaked(text); form != "" {
			t.Errorf("%s has a piece of a secret, %s", where, form)
		}
	}
}

// leaked returns how a secret stands in a text. Pieces in any form are looked for where a
// plugin tells secrets, and of two: to make such a search takes long.
func (r *faultyRun) leaked(text string) string {
	var secrets []string
	for _, list := range r.values {
		secrets = append(secrets, list...)
	}
	if strings.HasPrefix(r.mode, "tells-") || strings.HasSuffix(r.mode, "-secrets") {
		if form := leaktest.New(secrets[:min(2, len(secrets))]...).Find([]byte(text)); form != "" {
			return form
		}
	}
	if slices.ContainsFunc(secrets, func(value string) bool { return strings.Contains(text, value) }) {
		return "raw"
	}
	return leaked([]byte(text))
}

// told reports whether a line names the plugin and its fault.
func (r *faultyRun) told() bool {
	pattern := regexp.MustCompile(r.said)
	for line := range strings.Lines(r.stderr + r.lines) {
		if strings.Contains(line, r.mode) && pattern.MatchString(line) {
			return true
		}
	}
	return false
}

// judgeRows compares what is reported of each user with what the target has.
func (r *faultyRun) judgeRows(t *testing.T) {
	t.Helper()
	seen := map[string]int{}
	for _, row := range r.rows {
		seen[row.Key]++
		if !slices.Contains(strings.Fields(r.wrong.rows), row.Status) {
			t.Errorf("%s is %s, want %s", row.Key, row.Status, r.wrong.rows)
		}
		has, err := os.ReadFile(filepath.Join(r.place.dir, "target", row.Key))
		set := err == nil
		if set && !slices.ContainsFunc(r.values[row.Key], func(value string) bool { return hashed(value) == string(has) }) {
			t.Errorf("%s has a value that the ledger does not have", row.Key)
		}
		if strings.Contains(r.how, "lies") {
			continue
		}
		if want := map[string]bool{"done": true, "failed": false, "pending": false}; set != want[row.Status] && row.Status != "unknown" && row.Status != "partial" {
			t.Errorf("%s is %s, and the target has a new value: %v", row.Key, row.Status, set)
		}
	}
	if len(seen) != 8 || len(r.rows) != 8 {
		t.Errorf("%d rows of %d users, want 8", len(r.rows), len(seen))
	}
}

func hashed(value string) string {
	sum := sha256.Sum256([]byte(value))
	return hex.EncodeToString(sum[:])
}

// TestEveryModeOfTheFaultyPluginIsTried names a mode that no row has.
func TestEveryModeOfTheFaultyPluginIsTried(t *testing.T) {
	t.Parallel()
	have := map[string]bool{}
	for _, wrong := range wrongs() {
		have[wrong.mode] = true
	}
	out, err := exec.CommandContext(t.Context(), "go", "run", "./testdata/faulty", "modes").Output()
	must(t, err)
	modes := strings.Fields(string(out))
	for _, mode := range modes {
		if !have[mode] {
			t.Errorf("no row tries %q", mode)
		}
	}
	if len(modes) != len(have) {
		t.Errorf("%d modes, %d of them tried", len(modes), len(have))
	}
	if len(have) < 75 {
		t.Errorf("%d modes, want 75", len(have))
	}
}
