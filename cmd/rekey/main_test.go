package main_test

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// binary is the rekey that the tests of this package drive as a user would:
// built once, since bundled plugins are this very file executed again.
var binary string

func TestMain(m *testing.M) {
	os.Exit(withBinary(m.Run))
}

func withBinary(run func() int) int {
	dir, err := os.MkdirTemp("", "rk")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	binary = filepath.Join(dir, "rekey")
	build := exec.Command("go", "build", "-o", binary, ".")
	if out, err := build.CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "build rekey: %v\n%s", err, out)
		return 1
	}
	return run()
}

// place is a working directory with a state directory of its own.
type place struct {
	t     *testing.T
	dir   string
	state string
	env   []string // beside PATH and HOME
	wrap  []string // a command that starts rekey; nil: none does
	own   string   // its rekey, where processes are counted while other tests run; "": that of all
}

// newPlace makes one; env is NAME=VALUE, for secrets of backends and the like.
func newPlace(t *testing.T, env ...string) *place {
	t.Helper()
	dir := t.TempDir()
	return &place{t: t, dir: dir, state: filepath.Join(dir, "state"), env: env}
}

// result is what a command came to.
type result struct {
	exit           int
	stdout, stderr string
}

// command returns rekey with the arguments, ready to start.
func (p *place) command(args ...string) *exec.Cmd {
	args = append(append(p.wrap[:len(p.wrap):len(p.wrap)], cmp.Or(p.own, binary)), args...)
	cmd := exec.Command(args[0], args[1:]...)
	cmd.Dir = p.dir
	cmd.Env = append([]string{"PATH=" + os.Getenv("PATH"), "HOME=" + p.dir, "REKEY_STATE=" + p.state}, p.env...)
	return cmd
}

// owned gives the place a rekey of its own name.
func (p *place) owned() {
	p.t.Helper()
	p.own = filepath.Join(p.dir, "rekey-own")
	if err := os.Link(binary, p.own); err != nil {
		p.t.Fatal(err)
	}
}

// rekey runs a command to its end.
func (p *place) rekey(args ...string) result {
	p.t.Helper()
	var stdout, stderr bytes.Buffer
	cmd := p.command(args...)
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err := cmd.Run()
	if exit := (*exec.ExitError)(nil); err != nil && !asExit(err, &exit) {
		p.t.Fatalf("rekey %s: %v", strings.Join(args, " "), err)
	}
	return result{cmd.ProcessState.ExitCode(), stdout.String(), stderr.String()}
}

func asExit(err error, target **exec.ExitError) bool { return errors.As(err, target) }

// victim is a command that others, such as a server that it calls, kill while it
// runs.
type victim struct {
	cmd *exec.Cmd
	up  chan struct{} // closed when it has started
}

func newVictim(cmd *exec.Cmd) *victim { return &victim{cmd, make(chan struct{})} }

// run runs the command to its end and returns what it printed.
func (v *victim) run() ([]byte, error) {
	var out bytes.Buffer
	v.cmd.Stdout, v.cmd.Stderr = &out, &out
	if err := v.cmd.Start(); err != nil {
		return nil, err
	}
	close(v.up)
	err := v.cmd.Wait()
	return out.Bytes(), err
}

// started waits until the command runs.
func (v *victim) started() *exec.Cmd {
	<-v.up
	return v.cmd
}

// must runs a command that has to end with the exit code.
func (p *place) must(exit int, args ...string) result {
	p.t.Helper()
	r := p.rekey(args...)
	if r.exit != exit {
		p.t.Fatalf("rekey %s: exit %d, want %d\n%s%s", strings.Join(args, " "), r.exit, exit, r.stdout, r.stderr)
	}
	return r
}

// outcome is the object that run, resume, retry and show print with --json.
type outcome struct {
	Run     string           `json:"run"`
	Status  string           `json:"status"`
	Counts  map[string]int64 `json:"counts"`
	Waves   []waveOutcome    `json:"waves"`
	Reports []string         `json:"reports"`
	Audit   struct {
		Size int64  `json:"size"`
		Head string `json:"head"`
	} `json:"audit"`
	ExitCode int `json:"exit_code"`
	Errors   []struct {
		File    string `json:"file"`
		Line    int    `json:"line"`
		Column  int    `json:"column"`
		Message string `json:"message"`
		Fix     string `json:"fix"`
	} `json:"errors"`
}

type waveOutcome struct {
	Name   string           `json:"name"`
	Counts map[string]int64 `json:"counts"`
}

// outcome runs a command with --json and reads what it printed; the exit code
// in it has to be the process's.
func (p *place) outcome(exit int, args ...string) outcome {
	p.t.Helper()
	r := p.must(exit, append(args, "--json")...)
	var o outcome
	if err := json.Unmarshal([]byte(r.stdout), &o); err != nil {
		p.t.Fatalf("rekey %s --json: %v\n%s", strings.Join(args, " "), err, r.stdout)
	}
	if o.ExitCode != exit {
		p.t.Errorf("rekey %s: exit_code %d, the process's is %d", strings.Join(args, " "), o.ExitCode, exit)
	}
	return o
}

// write makes a file in the working directory.
func (p *place) write(name, text string) {
	p.t.Helper()
	path := filepath.Join(p.dir, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		p.t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		p.t.Fatal(err)
	}
}

// read returns a file of the working directory.
func (p *place) read(name string) string {
	p.t.Helper()
	text, err := os.ReadFile(filepath.Join(p.dir, name))
	if err != nil {
		p.t.Fatal(err)
	}
	return string(text)
}
