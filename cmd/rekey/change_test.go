package main_test

import (
	"strings"
	"testing"
)

func TestAnotherVersionOfAPluginIsRefusedUntilItIsAccepted(t *testing.T) {
	older, newer := leakyPlugin(t, "1"), leakyPlugin(t, "2")
	p := newPlace(t, "REKEY_PLUGIN_DIR="+older, "LOGIN=of-the-plugin")
	p.write("leaky.star", `leaky = backend("leaky", password = secret.env("LOGIN"))

def rotate(user, step):
    step.set(leaky, user.login, step.generate())

workflow(
    users = rows(["ann", "bob"], key = "login"),
    rotate = rotate,
    waves = {"first": wave_rule(take = 1, hold = "approval"), "rest": wave_rule()},
)`)
	p.outcome(6, "run", "leaky.star", "--yes")
	p.must(0, "approve", "last")
	p.env[0] = "REKEY_PLUGIN_DIR=" + newer
	r := p.must(2, "resume", "last", "--yes")
	if !strings.Contains(r.stderr, "was planned with leaky 1 of SHA-256 ") {
		t.Errorf("got %s", r.stderr)
	}
	if o := p.outcome(0, "resume", "last", "--yes", "--accept-change"); o.Counts["done"] != 2 {
		t.Errorf("accepted: %+v", o)
	}
}

// TestAnAcceptedLabelIsInEveryRow of a report: of users that never came to it
// too, as every label of the plan is.
func TestAnAcceptedLabelIsInEveryRow(t *testing.T) {
	p := newPlace(t)
	const script = `old = backend("memory", label = "old", create = False)
new = backend("memory", label = "@LABEL@")
def rotate(user, step):
    step.set(@USE@, user.login, step.generate())
workflow(users = rows(["u0", "u1", "u2", "u3", "u4"], key = "login"), rotate = rotate, concurrency = 1,
    waves = {"first": wave_rule(take = 1, max_failures = 0), "rest": wave_rule()},
    reports = [report.csv("out.csv", row = lambda r: {"login": r.user.login, "labels": " ".join([label for label in r.passwords.keys()])})])
`
	p.write("s.star", strings.NewReplacer("@LABEL@", "other", "@USE@", "old").Replace(script))
	p.must(4, "run", "s.star", "--yes")
	p.write("s.star", strings.NewReplacer("@LABEL@", "new", "@USE@", "new").Replace(script))
	p.must(3, "resume", "last", "--yes", "--accept-change", "--over-threshold", "--overwrite")
	if got := p.read("out.csv"); strings.Count(got, "new") != 5 {
		t.Errorf("the report:\n%s", got)
	}
}
