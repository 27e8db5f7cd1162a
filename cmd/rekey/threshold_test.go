package main_test

import (
	"encoding/json"
	"strings"
	"testing"
)

const canaries = `
b = backend("memory")

def rotate(user, step):
    odd = int(user.login[1:]) % 2
    step.set(b, "" if odd else user.login, step.generate())

workflow(users = rows(["u%d" % i for i in range(100)], key = "login"), rotate = rotate, concurrency = 1,
         waves = {"canary": wave_rule(take = 10, max_failures = 1), "rest": wave_rule()})
`

// TestThresholdsHoldOverAResume: a plain resume stays stopped and says so, in
// the last line too; an explicit word or a retry goes on.
func TestThresholdsHoldOverAResume(t *testing.T) {
	p := newPlace(t)
	p.write("canaries.star", canaries)
	first := p.must(4, "run", "canaries.star", "--yes", "--no-exercise")
	if !strings.Contains(first.stdout, "--over-threshold") {
		t.Errorf("the advice leads through the threshold:\n%s", first.stdout)
	}
	before := p.must(0, "show", "last").stdout
	for range 3 {
		r := p.must(4, "resume", "last", "--yes")
		if lines := strings.TrimSpace(r.stderr); !strings.Contains(lines, `wave "canary"`) || !strings.Contains(lines, "--over-threshold") {
			t.Errorf("resume does not say why it stays stopped:\n%s", lines)
		}
	}
	if after := p.must(0, "show", "last").stdout; before != after {
		t.Errorf("a plain resume went on:\n%s\nthen\n%s", before, after)
	}
	if r := p.must(4, "resume", "last", "--yes", "--over-threshold"); !strings.Contains(r.stderr, `wave "canary": 2 more users failed (4 in all), more than max_failures allows (1)`) {
		t.Errorf("going on over the threshold: %s", r.stderr)
	}
	if r := p.must(2, "retry", "last", "--user", p.oneFailed(), "--yes"); !strings.Contains(r.stderr, "those left out that are retried") {
		t.Errorf("a retry that leaves too many: %s", r.stderr)
	}
}

// oneFailed returns a user that has failed. Users of a wave are served at once, so
// any of them may fail first; one that has sent nothing when the wave stops stays
// pending.
func (p *place) oneFailed() string {
	p.t.Helper()
	var shown struct {
		Users []struct {
			Key string `json:"key"`
		} `json:"users"`
	}
	text := p.must(0, "show", "last", "--status", "failed", "--json").stdout
	if err := json.Unmarshal([]byte(text), &shown); err != nil || len(shown.Users) == 0 {
		p.t.Fatalf("no user has failed: %v\n%s", err, text)
	}
	return shown.Users[0].Key
}

// TestARetryThatHelpsGoesOn with the users that are left.
func TestARetryThatHelpsGoesOn(t *testing.T) {
	p := newPlace(t)
	p.write("canaries.star", canaries)
	p.must(4, "run", "canaries.star", "--yes", "--no-exercise")
	p.write("canaries.star", strings.Replace(canaries, "% 2\n", "% 2 == 7\n", 1))
	if o := p.outcome(0, "retry", "last", "--yes", "--accept-change"); o.Counts["done"] != 100 {
		t.Errorf("after the retry: %v", o.Counts)
	}
}

// TestLikeFailuresInARowStopARun that says nothing of waves, but not what is
// about each account.
func TestLikeFailuresInARowStopARun(t *testing.T) {
	p := newPlace(t)
	one := "b = backend(\"memory\", create = @)\ndef rotate(user, step):\n    @STEP@\nworkflow(users = rows([\"u%d\" % i for i in range(100)], key = \"login\"), rotate = rotate, concurrency = 1)\n"
	p.write("same.star", strings.NewReplacer("= @)", "= True)", "@STEP@", "int(user.login)\n    step.reset(b, user.login)").Replace(one))
	o := p.outcome(4, "run", "same.star", "--yes", "--no-exercise")
	if o.Counts["failed"] < 20 || o.Counts["pending"] == 0 {
		t.Errorf("like failures: %v", o.Counts)
	}
	p.write("gone.star", strings.NewReplacer("= @)", "= False)", "@STEP@", "step.set(b, user.login, step.generate())").Replace(one))
	if o := p.outcome(3, "run", "gone.star", "--yes"); o.Counts["failed"] != 100 {
		t.Errorf("accounts that are not there: %v", o.Counts)
	}
}
