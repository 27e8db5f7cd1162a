package command_test

import (
	"context"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/rekey-host/rekey/plugins/command"
	"github.com/rekey-host/rekey/sdk"
	"github.com/rekey-host/rekey/sdk/secret"
)

// sudoers let nobody be root, once with a sudo that stays and hands signals on, once
// with one that becomes the tool, as doas does.
var sudoers = map[string]string{
	"that stays":        "Defaults use_pty\nnobody ALL=(ALL) NOPASSWD: ALL\n",
	"that becomes root": "Defaults !use_pty, !pam_session, !pam_setcred\nnobody ALL=(ALL) NOPASSWD: ALL\n",
}

const inOwnSudoers = `mount --make-rprivate / && mount --bind "$1" /etc/sudoers && exec setpriv --reuid=65534 --regid=65534 --clear-groups "$2" -test.v -test.timeout 60s -test.run "^$3\$"`

// asNobody runs a test of this package again as nobody, with sudoers of its own, and
// reports whether this is that run.
func asNobody(t *testing.T, rules string) bool {
	t.Helper()
	if os.Getuid() != 0 {
		return true
	}
	dir := private(t)
	write(t, filepath.Join(dir, "sudoers"), rules, 0o440)
	program := filepath.Join(dir, "tests")
	from, err := os.Open(os.Args[0])
	if err != nil {
		t.Fatal(err)
	}
	defer from.Close()
	to, err := os.OpenFile(program, os.O_CREATE|os.O_WRONLY, 0o755)
	if err == nil {
		_, err = io.Copy(to, from)
	}
	if err != nil || to.Close() != nil {
		t.Fatal(err)
	}
	name, _, _ := strings.Cut(t.Name(), "/")
	cmd := exec.Command("unshare", "-m", "sh", "-c", inOwnSudoers, "sh", filepath.Join(dir, "sudoers"), program, name)
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil || !strings.Contains(string(out), "--- PASS: "+name) {
		t.Errorf("as nobody: %v: %s", err, out)
	}
	return false
}

// late is a set that gets half a second. It reports how it ended, and within what
// time.
func late(t *testing.T, i *command.Instance) sdk.Receipt {
	t.Helper()
	ctx, stop := context.WithTimeout(t.Context(), 500*time.Millisecond)
	defer stop()
	start := time.Now()
	r := i.Apply(ctx, set("ann", canary))
	if took := time.Since(start); took > 2*time.Second {
		t.Errorf("it took %s", took)
	}
	return r
}

// TestAToolThatMayNotBeEnded is not waited for: it goes on as root, deaf or beyond
// our signals. Until it has ended, what it does or says is taken for no answer.
func TestAToolThatMayNotBeEnded(t *testing.T) {
	if os.Getuid() == 0 {
		for what, rules := range sudoers {
			t.Run(what, func(t *testing.T) { asNobody(t, rules) })
		}
		return
	}
	held := filepath.Join(t.TempDir(), "held")
	write(t, held, "", 0o644)
	tool := []string{"/usr/bin/sudo", "-n", "/bin/sh", "-c",
		`trap "" TERM; read -r value; for turn in $(seq 400); do [ -e "$0" ] || break; sleep .05; done; echo changed`, held, "{account}"}
	verify := []string{"/bin/sh", "-c", "exit 3", "{account}"}
	i := open(t, "set", tool, "set_input", "{value}\n", "verify", verify, "verify_input", "{value}\n", "answers", []string{"applied: output changed", "rejected: exit 3"})
	r := late(t, i)
	if r.Outcome != sdk.Unknown || r.Err.Code != sdk.Timeout || !strings.Contains(r.Err.Message, "it goes on") || !strings.Contains(r.Err.Message, "/usr/bin/timeout") {
		t.Errorf("%v %v, want unknown, Timeout, and what to do", r.Outcome, r.Err)
	}
	if r := i.Apply(t.Context(), set("ann", canary)); r.Outcome != sdk.Refused || r.Err.Code != sdk.Conflict {
		t.Errorf("while it goes on: %v %v, want refused, Conflict", r.Outcome, r.Err)
	}
	if verdict, err := i.Verify(t.Context(), "ann", "", secret.New(canary)); verdict != sdk.CannotTell || err == nil {
		t.Errorf("while it goes on, a verify says %v, %v", verdict, err)
	}
	wantVerdict(t, i, "bob", canary, sdk.Rejected)
	if err := os.Remove(held); err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		if r = i.Apply(t.Context(), set("ann", canary)); r.Outcome == sdk.Applied {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("after it has ended: %v %v", r.Outcome, r.Err)
		}
	}
	wantVerdict(t, i, "ann", canary, sdk.Rejected)
}

// besideSudo is a program of ours with one of root in its group, and one of ours that
// nothing reaps once it has ended. None of them holds the outputs.
const besideSudo = `
import os, sys, time
held = sys.argv[1]
sys.stdin.read()
if not os.path.exists(held):
    print("changed")
    sys.exit()
null = os.open("/dev/null", os.O_RDWR)
if os.fork() == 0:
    for number in range(3):
        os.dup2(null, number)
    if os.fork() == 0:
        time.sleep(30)
        os._exit(0)
    os.setsid()
    while os.path.exists(os.path.dirname(held)):
        time.sleep(.02)
    os._exit(0)
if os.fork() == 0:
    for number in range(3):
        os.dup2(null, number)
    os.execv("/usr/bin/sudo", ["sudo", "-n", "/bin/sh", "-c", 'touch "$0.up"; for turn in $(seq 400); do [ -e "$0" ] || break; sleep .05; done', held])
time.sleep(30)
`

// TestAToolBesideProgramsOfOursIsNotTakenForEnded while root's goes on, and what no one
// reaps is not waited for.
func TestAToolBesideProgramsOfOursIsNotTakenForEnded(t *testing.T) {
	if !asNobody(t, sudoers["that becomes root"]) {
		return
	}
	held := filepath.Join(t.TempDir(), "held")
	write(t, held, "", 0o644)
	i := open(t, "set", []string{"/usr/bin/python3", "-c", besideSudo, held, "{account}"}, "set_input", "{value}\n", "answers", []string{"applied: output changed"})
	ctx, stop := context.WithTimeout(t.Context(), 10*time.Second)
	defer stop()
	go func() {
		for ctx.Err() == nil {
			if _, err := os.Stat(held + ".up"); err == nil {
				stop()
			}
			time.Sleep(10 * time.Millisecond)
		}
	}()
	if r := i.Apply(ctx, set("ann", canary)); r.Outcome != sdk.Unknown || r.Err.Code != sdk.Cancelled {
		t.Errorf("%v %v, want unknown, Cancelled", r.Outcome, r.Err)
	}
	for range 10 {
		if r := i.Apply(t.Context(), set("ann", canary)); r.Outcome != sdk.Refused || r.Err.Code != sdk.Conflict {
			t.Fatalf("while root's goes on: %v %v, want refused, Conflict", r.Outcome, r.Err)
		}
		time.Sleep(30 * time.Millisecond)
	}
	if err := os.Remove(held); err != nil {
		t.Fatal(err)
	}
	var r sdk.Receipt
	for deadline := time.Now().Add(10 * time.Second); r.Outcome != sdk.Applied && time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		r = i.Apply(t.Context(), set("ann", canary))
	}
	if r.Outcome != sdk.Applied {
		t.Errorf("after it has ended: %v %v", r.Outcome, r.Err)
	}
}

// TestTimeoutBehindSudoEndsATool, as the documentation says.
func TestTimeoutBehindSudoEndsATool(t *testing.T) {
	if !asNobody(t, sudoers["that stays"]) {
		return
	}
	i := open(t, "set", []string{"/usr/bin/sudo", "-n", "/usr/bin/timeout", "-k", ".1", ".2", "/bin/sh", "-c", `trap "" TERM; while :; do sleep .05; done`, "{account}"}, "set_input", "{value}\n")
	if r := late(t, i); r.Outcome != sdk.Unknown || r.Err.Code != sdk.TargetError {
		t.Errorf("%v %v, want unknown, by timeout's exit code", r.Outcome, r.Err)
	}
	if r := late(t, i); r.Outcome != sdk.Unknown || r.Err.Code != sdk.TargetError {
		t.Errorf("once more: %v %v", r.Outcome, r.Err)
	}
}

// TestWhoHoldsTheOutputsIsNotWaitedFor, and is not passed over in silence.
func TestWhoHoldsTheOutputsIsNotWaitedFor(t *testing.T) {
	i := open(t, "set", []string{tool(t, `setsid sleep 1 & sleep 300`), "{account}"}, "set_input", "{value}\n")
	if r := late(t, i); r.Outcome != sdk.Unknown || !strings.Contains(r.Err.Message, "goes on") {
		t.Errorf("%v %v", r.Outcome, r.Err)
	}
	i = open(t, "set", []string{tool(t, `sleep 300`), "{account}"}, "set_input", "{value}\n")
	if r := late(t, i); r.Outcome != sdk.Unknown || !strings.Contains(r.Err.Message, "and was ended") {
		t.Errorf("%v %v", r.Outcome, r.Err)
	}
}
