package workflow

import (
	"strings"
	"testing"

	"github.com/rekey-host/rekey/host/diag"
)

// TestAProblemIsNotedOnceForItsPlace: the same builtin may be asked twice, as
// by a loop; what differs in anything is another problem.
func TestAProblemIsNotedOnceForItsPlace(t *testing.T) {
	first := diag.Problem{File: "w.star", Line: 3, Column: 5, Message: "is empty", Fix: "fill it"}
	other := func(change func(*diag.Problem)) diag.Problem {
		x := first
		change(&x)
		return x
	}
	var n notes
	if n.any() {
		t.Error("something is noted before anything was added")
	}
	n.add(first)
	n.add(first, other(func(x *diag.Problem) { x.Fix = "leave it out" }))
	if err := n.err(func(string) int { return 0 }); err == nil || err.Error() != "w.star:3:5: is empty; fill it" {
		t.Errorf("the same twice: %v", err)
	}
	if !n.any() {
		t.Error("nothing is noted")
	}
	for name, x := range map[string]diag.Problem{
		"file":    other(func(x *diag.Problem) { x.File = "a.star" }),
		"line":    other(func(x *diag.Problem) { x.Line = 4 }),
		"column":  other(func(x *diag.Problem) { x.Column = 6 }),
		"message": other(func(x *diag.Problem) { x.Message = "is absurd" }),
	} {
		n := notes{}
		n.add(first, x)
		if err := n.err(func(string) int { return 0 }); strings.Count(err.Error(), "\n") != 1 {
			t.Errorf("another %s: %v", name, err)
		}
	}
}

// TestProblemsStandInTheOrderThatTheyAreMendedIn: the script, what it loads,
// then all else; each by line and column.
func TestProblemsStandInTheOrderThatTheyAreMendedIn(t *testing.T) {
	text := lines(`load("m.star", "strict")`, ``, ``,
		`workflow(users = csv("a.csv", key = "logn"), backend = backend("memory", rate = "x", timeout = "0s"),`,
		`    policy = strict, on_failure = "x")`)
	got := problems(t, script(t, text, "m.star", "strict = policy(\n    length = 0)\n", "a.csv", "login\nann\n"))
	want := lines(`w.star:4:74: backend: rate = "x" is not a rate; write N/s, N/m or N/h`,
		`w.star:4:86: backend: timeout is zero`,
		`w.star:5:22: workflow: on_failure = "x": want "keep" or "revert"`,
		`m.star:2:5: policy: length = 0: want at least 1`,
		`a.csv:1: key: there is no column "logn"; did you mean "login"?`)
	if got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}
