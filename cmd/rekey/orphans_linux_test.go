package main_test

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestWhatAPluginLeavesBehindIsEnded: processes in sessions of their own, with
// its environment and without, and nobody else's.
func TestWhatAPluginLeavesBehindIsEnded(t *testing.T) {
	t.Parallel()
	p := newPlace(t, "LOGIN=of-the-plugin", "REKEY_PLUGIN_DIR="+leakyPlugin(t, "1"))
	p.write("leaky.star", `leaky = backend("leaky", password = secret.env("LOGIN"))
def rotate(user, step):
    step.set(leaky, user.login, step.generate())
workflow(users = rows(["detaches", "detaches without a trace"], key = "login"), rotate = rotate)`)
	args := []string{"run", "leaky.star", "--yes", "--no-sandbox", "leaky"}
	if o := p.outcome(0, args...); o.Counts["done"] != 2 {
		t.Fatalf("%+v", o)
	}
	left := refs(p)
	if len(left) != 2 {
		t.Fatalf("the plugin left %v behind", left)
	}
	for _, pid := range left {
		if running(pid) {
			t.Errorf("%s still runs", pid)
		}
	}
	// A shell that becomes rekey leaves it its children: they are not touched.
	shell := exec.Command("/bin/sh", "-c", `/bin/sleep 60 > /dev/null 2>&1 & echo $!; exec "$@"`, "sh", binary)
	shell.Args = append(shell.Args, append(args, "--new")...)
	shell.Dir, shell.Env = p.dir, p.command().Env
	out, err := shell.Output()
	if err != nil {
		t.Fatal(err)
	}
	own, _, _ := strings.Cut(string(out), "\n")
	if !running(own) {
		t.Error("a child of the shell was ended")
	}
	for _, pid := range append(refs(p), own) {
		_ = exec.Command("kill", "-9", pid).Run()
	}
}

// TestWhatABundledPluginStartsStays: a daemon that a tool of the command backend, or
// the reload of a file, starts in a session of its own, also where a plugin of others
// leaves something, too, which is ended.
func TestWhatABundledPluginStartsStays(t *testing.T) {
	t.Parallel()
	p := newPlace(t, "LOGIN=of-the-plugin", "REKEY_PLUGIN_DIR="+leakyPlugin(t, "1"))
	p.write("app.env", "APP_PASSWORD=first\n")
	daemon := filepath.Join(p.dir, "daemon")
	p.write("daemon", `#!/bin/sh
cat > /dev/null
setsid -f env -i /bin/sh -c 'echo $$ >> "$0"; exec /bin/sleep 60' `+daemon+`.pids > /dev/null 2>&1
setsid -f /bin/sh -c 'echo $$ >> "$0"; exec /bin/sleep 60' `+daemon+`.pids > /dev/null 2>&1
while [ "$(wc -l < `+daemon+`.pids)" -lt "$1" ]; do /bin/sleep 0.02; done
`)
	if err := os.Chmod(daemon, 0o755); err != nil {
		t.Fatal(err)
	}
	p.write("mixed.star", fmt.Sprintf(`leaky = backend("leaky", password = secret.env("LOGIN"))
tool = backend("command", set = [%[1]q, "2", "{account}"], set_input = "{value}\n")
env = backend("file", path = %[2]q, format = "env", reload = [%[1]q, "4"])
def rotate(user, step):
    step.set(tool, user.login, step.generate())
    step.set(env, "APP_PASSWORD", step.generate())
    step.set(leaky, user.login, step.generate())
workflow(users = rows(["detaches"], key = "login"), rotate = rotate)`, daemon, filepath.Join(p.dir, "app.env")))
	if o := p.outcome(0, "run", "mixed.star", "--yes", "--no-sandbox", "leaky"); o.Counts["done"] != 1 {
		t.Fatalf("%+v", o)
	}
	started := strings.Fields(p.read("daemon.pids"))
	if len(started) != 4 {
		t.Errorf("the tools started %v", started)
	}
	for _, pid := range started {
		if !running(pid) {
			t.Errorf("daemon %s was ended", pid)
		}
		_ = exec.Command("kill", "-9", pid).Run()
	}
	left := refs(p)
	if len(left) == 0 || running(left[len(left)-1]) {
		t.Errorf("of %v the last still runs", left)
	}
}

// refs are the processes that the plugin says it left behind in the newest run.
func refs(p *place) []string {
	p.t.Helper()
	var found []string
	for _, part := range strings.Split(p.must(0, "report", "last", "--format", "jsonl").stdout, `"ref":"`)[1:] {
		pid, _, _ := strings.Cut(part, `"`)
		found = append(found, pid)
	}
	return found
}

// running reports whether a process is there, and not only its status; what is
// ended is given a moment.
func running(pid string) bool {
	for range 40 {
		text, err := os.ReadFile(filepath.Join("/proc", pid, "stat"))
		if errors.Is(err, os.ErrNotExist) || bytes.Contains(text, []byte(fmt.Sprintf(") %c ", 'Z'))) {
			return false
		}
		time.Sleep(25 * time.Millisecond)
	}
	return true
}
