package main_test

import (
	"strings"
	"testing"
)

// TestNobodyIsNoSilentSuccess: a source that has become empty is said, and
// refused where so many are expected.
func TestNobodyIsNoSilentSuccess(t *testing.T) {
	for _, tt := range []struct{ name, users, due, want string }{
		{"no users", "[]", "True", "no user is due: the source has no users"},
		{"all skipped", "[\"ann\", \"bob\"]", "False", "no user is due: select skips all 2 users"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p := newPlace(t)
			p.write("s.star", "workflow(users = rows("+tt.users+", key = \"login\"), backend = backend(\"memory\"), select = lambda user: "+tt.due+")\n")
			if r := p.must(0, "run", "s.star", "--yes"); !strings.Contains(r.stderr, "rekey: warning: "+tt.want) {
				t.Errorf("said:\n%s", r.stderr)
			}
			if r := p.must(2, "run", "s.star", "--yes", "--min-users", "1"); !strings.Contains(r.stderr, "0 users are due, --min-users is 1") {
				t.Errorf("said:\n%s", r.stderr)
			}
		})
	}
	p := newPlace(t)
	p.write("s.star", "workflow(users = rows([\"ann\", \"bob\"], key = \"login\"), backend = backend(\"memory\"))\n")
	p.must(2, "plan", "s.star", "--min-users", "3")
	p.must(0, "plan", "s.star", "--min-users", "2")
}

// TestARevertThatCannotSaysSo at plan, of the user and in the report.
func TestARevertThatCannotSaysSo(t *testing.T) {
	p := newPlace(t)
	p.write("web", "")
	p.write("gate", "")
	const script = `web = backend("htpasswd", label = "web", path = "web", create = True, hash = "sha256")
gate = backend("htpasswd", label = "gate", path = "gate", create = @CREATE@, hash = "sha256")
def rotate(user, step):
    print("once")
    step.set(web, user.login, step.generate())
    step.set(gate, user.login, step.generate())
workflow(users = rows(["ann", "bob"], key = "login"), rotate = rotate, on_failure = "revert",
         reports = [report.csv("out.csv", row = lambda r: {"login": r.user.login, "message": r.message})])
`
	p.write("s.star", strings.Replace(script, "@CREATE@", "False", 1))
	r := p.must(3, "run", "s.star", "--yes")
	if !strings.Contains(r.stderr, `rekey: warning: on_failure = "revert": of 2 users no earlier value is known on web`) {
		t.Errorf("the plan does not say so:\n%s", r.stderr)
	}
	if n := strings.Count(r.stderr, "once"); n > 3 { // one at plan, and each once
		t.Errorf("printed %d times", n)
	}
	if got := p.read("out.csv"); strings.Count(got, "not reverted, as the earlier value is not known: web") != 2 {
		t.Errorf("the report:\n%s", got)
	}
	if got := p.must(0, "show", "last", "--user", "ann").stdout; !strings.Contains(got, "not reverted, as") {
		t.Errorf("the user:\n%s", got)
	}
	r = p.must(3, "run", "s.star", "--yes", "--new")
	if strings.Contains(r.stderr, "no earlier value is known on web") {
		t.Errorf("a value that the ledger knows is said not to be known:\n%s", r.stderr)
	}
}
