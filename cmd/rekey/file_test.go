package main_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// consumers sets a password at a server's file and at the two programs that log in
// with it; who cannot be told has the value all the same.
const consumers = `
web = backend("htpasswd", path = "users.htpasswd", hash = "sha512", cost = 1000)
env = backend("file", label = "env", path = "app/.env", format = "env", reload = [param.string("reload"), "app"])
conf = backend("file", label = "conf", path = "app/settings.yaml", format = "yaml")

def rotate(user, step):
    password = step.generate()
    step.set(web, user.login, password)
    step.set(env, user.place, password)
    step.set(conf, "/services/%s/password" % user.login, password)
    step.verify(conf, "/services/%s/password" % user.login, password)

workflow(users = rows([{"login": "app", "place": "WEB_PASSWORD"}, {"login": "job", "place": "JOB_PASSWORD"}, {"login": "gone", "place": "NO_SUCH_PLACE"}], key = "login"),
    rotate = rotate, reports = [report.csv("out.csv", row = lambda r: {"login": r.user.login, "status": r.status})])
`

// TestConsumersOfAPassword: server and programs have the same value afterwards; a
// shell reads it from the one, a parser from the other; the reload ran after it.
func TestConsumersOfAPassword(t *testing.T) {
	p := newPlace(t)
	for _, dir := range []string{p.dir, filepath.Join(p.dir, "app")} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	p.write("users.htpasswd", "app:!\njob:!\ngone:!\n")
	p.write("app/.env", "# of the app\nexport WEB_PASSWORD='old'\nJOB_PASSWORD=old\n")
	p.write("app/settings.yaml", "services:\n  app: {user: app, password: old} # by hand\n  job:\n    password: \"old\"\n")
	reload := filepath.Join(p.dir, "reload")
	if err := os.WriteFile(reload, []byte("#!/bin/sh\n. "+p.dir+"/app/.env; echo \"$1 $WEB_PASSWORD $JOB_PASSWORD\" >"+p.dir+"/told\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	p.write("s.star", consumers)
	p.must(3, "run", "s.star", "reload="+reload, "--yes")
	if out := p.read("out.csv"); out != "login,status\napp,done\njob,done\ngone,partial\n" {
		t.Errorf("the report is\n%s", out)
	}
	told := strings.Fields(p.read("told"))
	if len(told) != 3 || told[0] != "app" {
		t.Fatalf("the program was told %d words", len(told))
	}
	for n, login := range []string{"app", "job"} {
		cmd := exec.Command("htpasswd", "-vi", filepath.Join(p.dir, "users.htpasswd"), login)
		cmd.Stdin = strings.NewReader(told[n+1])
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("%s: the server does not take what the program reads: %s", login, out)
		}
	}
	want := fmt.Sprintf("services:\n  app: {user: app, password: '%s'} # by hand\n  job:\n    password: '%s'\n", told[1], told[2])
	if p.read("app/settings.yaml") != want || p.read("app/.env") != fmt.Sprintf("# of the app\nexport WEB_PASSWORD='%s'\nJOB_PASSWORD=%s\n", told[1], told[2]) {
		t.Error("the files are not what they were but for the values")
	}
	if r := p.must(0, "show", "last", "--user", "gone"); !strings.Contains(r.stdout, "AccountNotFound") {
		t.Errorf("a place that is not there is told as\n%s", r.stdout)
	}
}

// TestAProgramThatCannotBeToldIsNotDone: the value is in the file, and nobody knows
// whether anything works with it; once the program can be told, resume finishes.
func TestAProgramThatCannotBeToldIsNotDone(t *testing.T) {
	p := newPlace(t)
	if err := os.Chmod(p.dir, 0o755); err != nil {
		t.Fatal(err)
	}
	reload := filepath.Join(p.dir, "reload")
	p.write("env", "A=old\n")
	p.write("s.star", `env = backend("file", path = "env", format = "env", reload = [param.string("reload")], attempts = 2)
workflow(users = rows(["A"], key = "login"), backend = env, reports = [report.csv("out.csv", row = lambda r: {"login": r.user.login, "status": r.status})])
`)
	for _, step := range []struct {
		reload string
		exit   int
		args   []string
		status string
	}{
		{"#!/bin/sh\necho no such unit >&2; exit 5\n", 5, []string{"run", "s.star", "reload=" + reload, "--yes"}, "unknown"},
		{"#!/bin/sh\nexit 0\n", 0, []string{"resume", "last", "--yes", "--overwrite"}, "done"},
	} {
		if err := os.WriteFile(reload, []byte(step.reload), 0o755); err != nil {
			t.Fatal(err)
		}
		r := p.must(step.exit, step.args...)
		if out := p.read("out.csv"); out != "login,status\nA,"+step.status+"\n" {
			t.Errorf("the report is\n%s%s", out, r.stderr)
		}
		if strings.HasPrefix(p.read("env"), "A=old") {
			t.Error("the value is not in the file")
		}
	}
}

// TestAPluginKilledBeforeItsProgramWasTold: its reload ends the plugin itself, so that
// the value is in the file and the answer never comes. That is not done before resume
// has told the program.
func TestAPluginKilledBeforeItsProgramWasTold(t *testing.T) {
	p := newPlace(t)
	if err := os.Chmod(p.dir, 0o755); err != nil {
		t.Fatal(err)
	}
	reload := filepath.Join(p.dir, "reload")
	p.write("env", "A=old\n")
	p.write("s.star", `env = backend("file", path = "env", format = "env", reload = [param.string("reload")], attempts = 1)
workflow(users = rows(["A"], key = "login"), backend = env, reports = [report.csv("out.csv", row = lambda r: {"login": r.user.login, "status": r.status})])
`)
	for _, step := range []struct {
		reload string
		exit   int
		args   []string
		status string
	}{
		{"#!/bin/sh\nkill -9 $PPID; sleep 1\n", 5, []string{"run", "s.star", "reload=" + reload, "--yes"}, "unknown"},
		{"#!/bin/sh\ncp " + p.dir + "/env " + p.dir + "/told\n", 0, []string{"resume", "last", "--yes", "--overwrite"}, "done"},
	} {
		if err := os.WriteFile(reload, []byte(step.reload), 0o755); err != nil {
			t.Fatal(err)
		}
		r := p.must(step.exit, step.args...)
		if out := p.read("out.csv"); out != "login,status\nA,"+step.status+"\n" {
			t.Errorf("the report is\n%s%s", out, r.stderr)
		}
	}
	if p.read("told") != p.read("env") || strings.HasPrefix(p.read("env"), "A=old") {
		t.Error("the program was not told of what is in the file")
	}
}
