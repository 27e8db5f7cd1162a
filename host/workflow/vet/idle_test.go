package vet

import (
	"strings"
	"testing"
)

// TestWaysThroughRotateThatChangeNothing are warned of, where they begin.
func TestWaysThroughRotateThatChangeNothing(t *testing.T) {
	for _, tt := range []struct{ name, body, at string }{
		{"a change", "step.set(a, user.login, step.generate())", ""},
		{"nothing", "pass", "5:1"},
		{"a look only", "step.find(a, user.login)", "5:1"},
		{"a generated value", "p = step.generate()", "5:1"},
		{"a bare return", "if user.team:\n    return\nstep.unlock(a, user.login)", "7:9"},
		{"a return of None", "if user.team:\n    return None\nstep.unlock(a, user.login)", "7:9"},
		{"a verdict", "if user.team:\n    return skip(\"x\")\nstep.unlock(a, user.login)", ""},
		{"a return behind a step", "step.unlock(a, user.login)\nreturn", ""},
		{"a branch", "if user.team:\n    step.unlock(a, user.login)", "5:1"},
		{"two branches, of which one may be taken", "if user.team:\n    step.unlock(a, user.login)\nif user.hired:\n    step.reset(a, user.login)", ""},
		{"both branches", "if user.team:\n    step.unlock(a, user.login)\nelse:\n    step.reset(a, user.login)", ""},
		{"neither branch", "if user.team:\n    x = 1\nelse:\n    x = 2", "5:1"},
		{"a loop", "for x in [a]:\n    step.unlock(x, user.login)", ""},
		{"a loop without", "for x in [a]:\n    step.find(x, user.login)", "5:1"},
		{"fail", "fail(\"x\")", ""},
		{"in a condition", "x = step.reset(a, user.login) if user.team else step.unlock(a, user.login)", ""},
		{"in one side of it", "x = step.reset(a, user.login) if user.team else 1", "5:1"},
		{"by a function", "def inner(s):\n    s.unlock(a, user.login)\ninner(step)", ""},
		{"by a function that only looks", "def inner(s):\n    s.find(a, user.login)\ninner(step)", "5:1"},
		{"by what it captures", "def inner():\n    step.unlock(a, user.login)\ninner()", ""},
		{"by a function that is not seen", "user.team(step)", ""},
		{"a method that is handed on", "x = [step.set]", ""},
		{"a twin", "x = step.try_unlock(a, user.login)", ""},
		{"a twin that looks", "x = step.try_find(a, user.login)", "5:1"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var at []string
			for _, x := range Check(scriptOf(t, rotateOf(tt.body))).Warnings {
				if strings.Contains(x.Message, "nothing is changed") {
					place, _, _ := strings.Cut(strings.TrimPrefix(x.String(), "w.star:"), ": ")
					at = append(at, place)
				}
			}
			if got := strings.Join(at, " "); got != tt.at {
				t.Errorf("%s\nwarned at %q, want %q", tt.body, got, tt.at)
			}
		})
	}
}

func TestRowColumns(t *testing.T) {
	for _, tt := range []struct{ body, want string }{
		{"return {\"a\": 1, \"b\": 2}", "a b"},
		{"if r.status == \"x\":\n        return None\n    return {\"a\": 1}", "a"},
		{"return ({\"a\": 1} if r.code else None)", "a"},
		{"return {r.code: 1}", ""},
		{"x = {\"a\": 1}\n    return x", ""},
	} {
		f := parsed(t, "def row(r):\n    "+tt.body+"\n")
		for fn := range f.Functions {
			if got := strings.Join(RowColumns(fn), " "); got != tt.want {
				t.Errorf("%s: %q, want %q", tt.body, got, tt.want)
			}
		}
	}
}
