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
