package main_test

import (
	"encoding/json"
	"os"
	"strings"
	"testing"
)

// TestBackendsCheckSaysWhatWouldKeepARunFromItsWork: a line a finding, the exit
// status of a plan, and nothing is left behind.
func TestBackendsCheckSaysWhatWouldKeepARunFromItsWork(t *testing.T) {
	t.Parallel()
	p := newPlace(t, "PGPW=secret-1728")
	p.write("job.star", `"""Two backends."""
file = backend("htpasswd", path = param.path("path"), create = True)
other = backend("memory", label = "second")
def rotate(user, step):
    value = step.generate()
    step.set(file, user.login, value)
    step.verify(file, user.login, value)
    step.set(other, user.login, value)
workflow(users = rows(["ann", "bob"], key = "login"), rotate = rotate)
`)
	r := p.must(0, "backends", "--check", "job.star", "path=users")
	for _, want := range []string{
		"ok       htpasswd: reachable, and logged in where it needs a login\n", "info     htpasswd: \"" + realPath(t, p.dir) + "/users\" does not exist and will be made\n",
		"ok       htpasswd: can do what the script asks of it: set, verify\n", "ok       second: can do what the script asks of it: set\n",
	} {
		if !strings.Contains(r.stdout, want) {
			t.Errorf("no line %q in\n%s", want, r.stdout)
		}
	}
	if _, err := os.Stat(p.state); err == nil {
		t.Error("a state directory was made")
	}
	if _, err := os.Stat(p.dir + "/users"); err == nil {
		t.Error("the file of passwords was made")
	}
	p.write("away.star", `"""One that is away, and one whose secret is."""
workflow(users = rows(["ann"], key = "login"), rotate = lambda user, step: step.set(gone, user.login, "x"))
gone = backend("postgres", label = "gone", url = "postgres://127.0.0.1:9", user = "x", password = secret.env("PGPW"), insecure = True)
mute = backend("postgres", label = "mute", url = "postgres://127.0.0.1:9", user = "x", password = secret.env("NOTSET"), insecure = True)
`)
	r = p.must(2, "backends", "--check", "away.star", "--json")
	var got struct {
		Script   string
		ExitCode int `json:"exit_code"`
		Findings []struct{ Backend, Plugin, Version, Severity, Code, Message string }
	}
	if err := json.Unmarshal([]byte(r.stdout), &got); err != nil || got.Script != "away.star" || got.ExitCode != 2 || len(got.Findings) != 3 {
		t.Fatalf("%v\n%s", err, r.stdout)
	}
	if f := got.Findings[0]; f.Backend != "gone" || f.Plugin != "postgres" || f.Version == "" || f.Severity != "bad" || f.Code != "Unreachable" {
		t.Errorf("%+v", f)
	}
	if f := got.Findings[1]; f.Backend != "mute" || f.Severity != "bad" || f.Message != "password: environment variable NOTSET is not set or empty" {
		t.Errorf("%+v", f)
	}
	if strings.Contains(r.stdout+r.stderr, "secret-1728") {
		t.Error("it shows a secret")
	}
}

// TestBackendsCheckWithoutUsersAsksTheBackends: the file that is missing is a finding
// beside theirs.
func TestBackendsCheckWithoutUsersAsksTheBackends(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	p.write("job.star", `"""The export is not there yet."""
workflow(users = csv("none.csv", key = "login"), backend = backend("htpasswd", path = "users", create = True))
`)
	r := p.must(2, "backends", "--check", "job.star")
	for _, want := range []string{"bad      none.csv: no such file\n", "ok       htpasswd: reachable, and logged in where it needs a login\n", "was not tried: none.csv would keep it from running\n"} {
		if !strings.Contains(r.stdout, want) {
			t.Errorf("no line %q in\n%s%s", want, r.stdout, r.stderr)
		}
	}
	if r := p.must(2, "backends", "--check", "away.star"); r.stdout != "" || !strings.HasPrefix(r.stderr, "rekey: away.star: ") {
		t.Errorf("a missing script: %s%s", r.stdout, r.stderr)
	}
}

// TestBackendsCheckTriesTheScript: a step that a backend lacks is found without
// a run.
func TestBackendsCheckTriesTheScript(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	p.write("job.star", `"""An ability that is not there."""
file = backend("htpasswd", path = "users", create = True)
def rotate(user, step):
    step.unlock(file, user.login)
workflow(users = rows(["ann"], key = "login"), rotate = rotate)
`)
	if r := p.must(2, "backends", "--check", "job.star"); !strings.Contains(r.stdout+r.stderr, "cannot unlock") {
		t.Errorf("%s%s", r.stdout, r.stderr)
	}
	if r := p.must(2, "backends", "ldap", "htpasswd"); !strings.Contains(r.stderr, "unexpected argument htpasswd; name one backend") {
		t.Errorf("%s", r.stderr)
	}
}
