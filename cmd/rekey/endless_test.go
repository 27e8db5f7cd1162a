package main_test

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// withoutEnd are files that do not end, or that nobody ever writes to.
var withoutEnd = map[string]func(t *testing.T, path string){
	"a FIFO without a writer": func(t *testing.T, path string) {
		if err := syscall.Mkfifo(path, 0o600); err != nil {
			t.Fatal(err)
		}
	},
	"a FIFO with a silent writer": func(t *testing.T, path string) {
		if err := syscall.Mkfifo(path, 0o600); err != nil {
			t.Fatal(err)
		}
		w, err := os.OpenFile(path, os.O_RDWR, 0)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { w.Close() })
	},
	"/dev/zero":             linkTo("/dev/zero"),
	"/dev/random":           linkTo("/dev/random"),
	"the log of the kernel": linkTo("/proc/kmsg"), // a regular file that waits in the kernel, for root
	"a huge file":           func(t *testing.T, path string) { sparse(t, path) },
	"a directory":           func(t *testing.T, path string) { must(t, os.Mkdir(path, 0o700)) },
	"a dangling link":       linkTo("/nowhere/at/all"),
}

func linkTo(target string) func(t *testing.T, path string) {
	return func(t *testing.T, path string) { must(t, os.Symlink(target, path)) }
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// sparse makes a file of a terabyte that takes no room.
func sparse(t *testing.T, path string) {
	t.Helper()
	must(t, os.WriteFile(path, nil, 0o600))
	must(t, os.Truncate(path, 1<<40))
}

// readings are all the ways in which a command is told to read a file, and its
// words for it.
var readings = map[string]struct {
	script string
	env    string
	args   []string
}{
	"source":          {script: `workflow(users = csv("f", key = "login"), backend = backend("memory"))`},
	"source of lines": {script: `workflow(users = jsonl("f", key = "login"), backend = backend("memory"))`},
	"secret file":     {script: `workflow(users = rows(["ann"], key = "login"), backend = backend("smartcloud", url = "http://127.0.0.1:1", admin = "a", password = secret.file("f")))`},
	"module":          {script: `load("f", "x")` + "\n" + `workflow(users = rows(["ann"], key = "login"), backend = backend("memory"))`},
	"script":          {args: []string{"run", "f", "--yes"}},
	"identity":        {env: "REKEY_AGE_IDENTITY=f"},
	"recipients":      {env: "REKEY_RECIPIENTS=f"},
	"checkpoint":      {args: []string{"audit", "verify", "last", "--checkpoint", "./f"}},
	"bundle":          {args: []string{"audit", "verify", "--bundle", "./f", "--key", "k"}},
	"key of a bundle": {args: []string{"audit", "verify", "--bundle", "b", "--key", "./f"}},
}

// TestEndlessInputsEnd gives every file that a command reads to it as one that
// does not end: it ends by itself and names it, or at once with a signal.
func TestEndlessInputsEnd(t *testing.T) {
	tried := 0
	for kind, make := range withoutEnd {
		for what, reading := range readings {
			tried++
			t.Run(what+" is "+kind, func(t *testing.T) {
				t.Parallel()
				p := newPlace(t)
				p.write("sound.star", `workflow(users = rows(["ann"], key = "login"), backend = backend("memory"))`)
				p.must(0, "run", "sound.star", "--yes")
				p.write("b", "{}")
				name := "f"
				if what == "module" {
					name = "f.star"
				}
				make(t, filepath.Join(p.dir, name))
				p.write("r.star", strings.ReplaceAll(reading.script, `load("f"`, `load("f.star"`))
				if reading.env != "" {
					p.env = append(p.env, strings.Replace(reading.env, "=f", "="+filepath.Join(p.dir, "f"), 1))
				}
				args := reading.args
				switch {
				case args == nil && reading.script == "":
					args = []string{"run", "sound.star", "--yes", "--new"}
				case args == nil:
					args = []string{"run", "r.star", "--yes"}
				}
				ends(t, p.command(args...))
			})
		}
	}
	t.Logf("counts: %d readings of files without an end: each ended", tried)
}

// ends runs a command that may wait: a signal has to end it at once. One that
// ends by itself says which file it is.
func ends(t *testing.T, cmd *exec.Cmd) {
	t.Helper()
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	must(t, cmd.Start())
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = cmd.Wait() // its state is looked at
	}()
	select {
	case <-done:
		if code := cmd.ProcessState.ExitCode(); code != 2 || !strings.Contains(out.String(), "f") {
			t.Errorf("exit %d, want 2 and the file named\n%s", code, out.String())
		}
		return
	case <-time.After(time.Second):
	}
	must(t, cmd.Process.Signal(syscall.SIGTERM))
	select {
	case <-done:
		if state := cmd.ProcessState; state.ExitCode() != 130 && state.ExitCode() != -1 { // -1: by the signal itself
			t.Errorf("exit %d after a signal, want 130\n%s", state.ExitCode(), out.String())
		}
	case <-time.After(5 * time.Second):
		_ = cmd.Process.Kill()
		<-done
		t.Errorf("alive 5 seconds after SIGTERM\n%s", out.String())
	}
}

// TestStandardInputEndsWithASignal waits for users that nobody sends, and takes
// them without an end.
func TestStandardInputEndsWithASignal(t *testing.T) {
	for name, open := range map[string]func() (*os.File, error){
		"nobody writes": func() (*os.File, error) { r, w, err := os.Pipe(); t.Cleanup(func() { w.Close() }); return r, err },
		"zeros":         func() (*os.File, error) { return os.Open("/dev/zero") },
	} {
		t.Run(name, func(t *testing.T) {
			p := newPlace(t)
			p.write("r.star", `workflow(users = csv("-", key = "f"), backend = backend("memory"))`)
			in, err := open()
			must(t, err)
			defer in.Close()
			cmd := p.command("run", "r.star", "--yes")
			cmd.Stdin = in
			ends(t, cmd)
		})
	}
}
