package main_test

import (
	"os"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"
)

// attacks are bodies of functions that take all of a machine's memory or
// processor, most of them in a handful of steps of the interpreter.
var attacks = []struct{ name, body string }{
	{"a list that doubles", "x = [1]\n    for i in range(60):\n        x = x + x"},
	{"a text that is replaced by more", "x = ('a' * 100000000).replace('a', 'b' * 50)"},
	{"a loop without an end", "for i in range(1 << 60):\n        pass"},
	{"a call of itself", "attack()"},
	{"a text that doubles", "x = 'ab'\n    for i in range(60):\n        x = x + x"},
	{"a list in itself", "x = [1]\n    for i in range(60):\n        x.extend(x)"},
	{"three large texts", "x = ['x' * 1073741823, 'y' * 1073741823, 'z' * 1073741823]"},
	{"a long list of one text", "x = ','.join(['x' * 100000] * 10000)\n    y = x + x + x + x"},
	{"a long list of numbers", "x = list(range(100000000))"},
	{"a comprehension", "x = [[i] for i in range(1 << 40)]"},
	{"a number that squares", "x = 3\n    for i in range(40):\n        x = x * x"},
	{"keys that collide", "x = {}\n    for i in range(40000):\n        x[i * 4294967296] = 1"},
}

const attacked = `
cloud = backend("htpasswd", path = "web.htpasswd", create = True, hash = "sha256")

def attack():
    @BODY@

def rotate(user, step):
    if user.login == "bad":
        attack()
    step.set(cloud, user.login, step.generate())

workflow(users = rows(["ann", "bad", "carl"], key = "login"), rotate = rotate)
`

// TestFloodsOfAScriptEndWithoutALoss: each attack fails its user, or ends the
// process with a line that names hook and user; once the script is mended,
// everybody has a password, and nobody a second one. An exercise would find them before.
func TestFloodsOfAScriptEndWithoutALoss(t *testing.T) {
	for _, a := range attacks {
		t.Run(a.name, func(t *testing.T) { attackedRun(t, a.body) })
	}
}

func attackedRun(t *testing.T, body string) {
	p := newPlace(t)
	p.write("web.htpasswd", "")
	p.write("attacked.star", strings.Replace(attacked, "@BODY@", body, 1))
	cmd := p.command("run", "attacked.star", "--yes", "--no-exercise")
	var said strings.Builder
	cmd.Stderr = &said
	began := time.Now()
	_ = cmd.Run()
	t.Logf("%s, exit %d, %d MiB", time.Since(began).Round(time.Second), cmd.ProcessState.ExitCode(), peak(cmd.ProcessState))
	if most := int64(6 << 10); peak(cmd.ProcessState) > most {
		t.Errorf("the process had %d MiB, want at most %d", peak(cmd.ProcessState), most)
	}
	p.write("attacked.star", strings.Replace(attacked, "@BODY@", "pass", 1))
	switch cmd.ProcessState.ExitCode() {
	case 3:
		if told := p.must(0, "show", "last", "--user", "bad").stdout; !strings.Contains(told, "ScriptError") || !strings.Contains(told, "attacked.star:") {
			t.Errorf("the user's failure does not name the place:\n%s", told)
		}
		p.must(0, "retry", "last", "--yes", "--accept-change")
	case 1:
		if !strings.Contains(said.String(), `rekey: rotate of user "bad" `) || !goesOn.MatchString(said.String()) {
			t.Errorf("the end is not explained:\n%s", said.String())
		}
		p.must(0, "resume", "last", "--yes", "--accept-change")
	default:
		t.Fatalf("%v\n%s", cmd.ProcessState, said.String())
	}
	if n := strings.Count(p.read("web.htpasswd"), "\n"); n != 3 {
		t.Errorf("%d accounts have a password, want 3", n)
	}
	if n := strings.Count(p.must(0, "reveal", "last", "--json").stdout, `"password"`); n != 3 {
		t.Errorf("%d values were ever sealed, want 3", n)
	}
}

// goesOn matches how a run goes on whose process a hook has ended.
var goesOn = regexp.MustCompile(`and cannot be stopped: the process ends; mend it, and rekey resume r\w+ --accept-change goes on`)

// peak is the most memory that a process had, in MiB.
func peak(s *os.ProcessState) int64 {
	return s.SysUsage().(*syscall.Rusage).Maxrss >> 10
}
