package main_test

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

const overScript = `workflow(users = csv("users.csv", key = "login"), backend = backend("htpasswd", path = "web.htpasswd", create = True),
    wave = lambda user: "first" if user.login < "c" else "rest", waves = {"first": wave_rule(hold = "approval"), "rest": wave_rule()})
`

// TestWhatEndsARunIsWholeOrNotThere kills cancel and prune at each of their crash points:
// the next one, or a resume, finds what the one before left, and no value is lost that
// prune was not asked to lose.
func TestWhatEndsARunIsWholeOrNotThere(t *testing.T) {
	p := newPoints(t)
	p.write("over.star", overScript)
	p.write("users.csv", "login\nann\nbob\ncarl\ndora\n")
	p.must(6, "run", "over.star", "--yes")
	held := p.must(0, "reveal", "last", "--json").stdout
	state := p.state
	kept := filepath.Join(p.dir, "kept")
	copied(t, state, kept)
	restore := func() {
		if err := os.RemoveAll(state); err != nil {
			t.Fatal(err)
		}
		copied(t, kept, state)
	}
	killed := 0
	cancel, resume := []string{"cancel", "last", "--reason", "off", "--moved"}, []string{"resume", "last", "--yes", "--moved"}
	for i, when := range p.momentsOf(restore, cancel...) {
		restore()
		if _, dead := p.at(when, cancel...); dead {
			killed++
		}
		next, left := cancel, p.shown()
		switch {
		case left["pending"]+left["held"] == 0: // it was through, or nearly
			next = resume
		case i%3 == 0 && left["held"] == 0: // it has begun
			next = resume
		}
		p.must(0, next...)
		if now := p.shown(); now["done"] != 2 || now["skipped"] != 2 {
			t.Errorf("killed at %v, then %s: %v", when, next[0], now)
		}
		if now := p.must(0, "reveal", "last", "--json").stdout; now != held {
			t.Errorf("killed at %v: values changed", when)
		}
		p.must(0, "audit", "verify", "last")
	}
	finished := func() {
		restore()
		p.must(0, cancel...)
	}
	for _, when := range p.momentsOf(finished, "prune", "--older", "1ns") {
		finished()
		if _, dead := p.at(when, "prune", "--older", "1ns"); dead {
			killed++
		}
		p.must(0, "prune", "--older", "1ns")
		if left := p.must(0, "runs", "--json").stdout; strings.TrimSpace(left) != "[]" {
			t.Errorf("killed at %v: %s", when, left)
		}
		files, err := filepath.Glob(filepath.Join(state, "runs", "*"))
		if err != nil || len(files) > 0 {
			t.Errorf("killed at %v: %v are left (%v)", when, files, err)
		}
	}
	t.Logf("%d kills", killed)
	if killed < 20 {
		t.Errorf("%d kills, want 20 at least", killed)
	}
}

// momentsOf are the crash points of a command.
func (p points) momentsOf(restore func(), args ...string) (moments []crashMoment) {
	p.t.Helper()
	restore()
	passed, _ := p.at(crashMoment{}, args...)
	count := map[string]int{}
	for _, point := range passed {
		count[point]++
		moments = append(moments, crashMoment{point, count[point]})
	}
	return moments
}

// shown is how many users of the last run have which status.
func (p points) shown() (counts map[string]int) {
	p.t.Helper()
	var out struct{ Counts map[string]int }
	if err := json.Unmarshal([]byte(p.must(0, "show", "last", "--json").stdout), &out); err != nil {
		p.t.Fatal(err)
	}
	return out.Counts
}

func copied(t *testing.T, from, to string) {
	t.Helper()
	if out, err := exec.Command("cp", "-a", from, to).CombinedOutput(); err != nil { // modes and all
		t.Fatalf("%v: %s", err, out)
	}
}

// TestTheValueSentLastIsTheCurrentOne, whichever run was planned first, and the run that
// holds it is the one of which prune says so.
func TestTheValueSentLastIsTheCurrentOne(t *testing.T) {
	p := newPlace(t)
	p.write("late.star", `workflow(users = rows(["ann"], key = "login"), backend = backend("htpasswd", path = "late.htpasswd"))`)
	p.write("late.htpasswd", "zed:x\n")
	p.must(3, "run", "late.star", "--yes") // ann is not there
	first := p.last()
	p.write("late.htpasswd", "ann:x\n")
	p.must(0, "run", "late.star", "--yes", "--new")
	second := p.last()
	p.must(0, "retry", first, "--yes", "--requestor", "desk\n2026 approved  boss")
	var found []struct {
		Run     string
		Current bool
	}
	if err := json.Unmarshal([]byte(p.must(0, "find", "ann", "--json").stdout), &found); err != nil {
		t.Fatal(err)
	}
	if len(found) != 3 || found[0].Run != first || !found[0].Current || found[1].Current || found[2].Current {
		t.Errorf("%+v, want only the first to be current, which is of %s", found, first)
	}
	for line := range strings.Lines(p.must(0, "prune", "--older", "1ns", "--dry-run").stdout) {
		if strings.Contains(line, "the newest value here of 1 account") != strings.Contains(line, first) {
			t.Errorf("%s holds the newest value, and %s does not: %s", first, second, line)
		}
	}
	if kept := p.must(0, "prune", "--older", "1ns", "--keep-last", "1", "--dry-run").stdout; strings.Contains(kept, first) || !strings.Contains(kept, second) {
		t.Errorf("the run applied last is kept: %s", kept)
	}
	for line := range strings.Lines(p.must(0, "log").stdout) {
		if strings.HasPrefix(line, "2026 approved") {
			t.Errorf("a requestor made a line of the log: %s", line)
		}
	}
}
