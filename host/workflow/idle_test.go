package workflow

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/rekey-host/rekey/scripts"
)

// idleHead is four lines: the rotate of a case begins on the fifth.
const idleHead = `a = backend("memory", label = "a")
users = rows([{"login": "ann", "dep": "IT"}], key = "login")
places = [a]
flag = True
`

// TestAPathWithoutAChangeIsWarnedOf, at the place where it ends, and nothing
// that only may be one.
func TestAPathWithoutAChangeIsWarnedOf(t *testing.T) {
	const set = "step.set(a, user.login, step.generate())"
	for _, tt := range []struct {
		name, rotate string
		line         int // of the warning; 0: there is none
	}{
		{"nothing", "def rotate():\n    pass", 5},
		{"a lambda of nothing", "rotate = lambda user: None", 5},
		{"generate alone", "def rotate(step):\n    step.generate()", 5},
		{"a look alone", "def rotate(user, step):\n    step.find(a, user.login)\n    x = step.try_find(a, user.login)", 5},
		{"a branch", "def rotate(user, step):\n    if user.dep == \"IT\":\n        " + set, 5},
		{"a return before it", "def rotate(user, step):\n    if user.dep == \"IT\":\n        return\n    " + set, 7},
		{"a return of None before it", "def rotate(user, step):\n    if user.dep == \"IT\":\n        return None\n    " + set, 7},
		{"two of three branches", "def rotate(user, step):\n    if flag:\n        " + set + "\n    elif user.dep:\n        " + set, 5},
		{"a helper with a branch", "def help(s, login, really):\n    if really:\n        s.set(a, login, s.generate())\ndef rotate(user, step):\n    help(step, user.login, flag)", 8},
		{"a lambda with a branch", "rotate = lambda user, step: " + set + " if flag else None", 5},
		{"behind what was found", "def rotate(user, step):\n    found = step.try_find(a, user.login)\n    if found.ok:\n        " + set, 5},

		{"always", "def rotate(user, step):\n    " + set, 0},
		{"a lambda", "rotate = lambda user, step: " + set, 0},
		{"both branches", "def rotate(user, step):\n    if flag:\n        " + set + "\n    else:\n        step.reset(a, user.login)", 0},
		{"two ifs, one of which is entered", "def rotate(user, step):\n    if flag:\n        " + set + "\n    if not flag:\n        step.reset(a, user.login)", 0},
		{"a skip", "def rotate(user, step):\n    if flag:\n        return skip(\"no\")\n    " + set, 0},
		{"a failure", "def rotate(user, step):\n    if flag:\n        return failed(\"no\")\n    elif user.dep:\n        fail(\"no\")\n    else:\n        " + set, 0},
		{"a loop", "def rotate(user, step):\n    for b in places:\n        step.set(b, user.login, step.generate())", 0},
		{"a loop with a branch", "def rotate(user, step):\n    for b in places:\n        if flag:\n            continue\n        step.set(b, user.login, step.generate())", 0},
		{"a loop that sets some", "def rotate(user, step):\n    for b in places:\n        if flag:\n            step.set(b, user.login, step.generate())", 0},
		{"a comprehension", "def rotate(user, step):\n    [step.set(b, user.login, step.generate()) for b in places]", 0},
		{"a twin", "def rotate(user, step):\n    r = step.try_set(a, user.login, step.generate())\n    if not r.ok:\n        return failed(\"no\")", 0},
		{"a verify", "def rotate(user, step):\n    step.verify(a, user.login, step.generate())", 0},
		{"an unlock", "def rotate(user, step):\n    step.unlock(a, user.login)", 0},
		{"a helper", "def help(s, login):\n    s.set(a, login, s.generate())\ndef rotate(user, step):\n    help(step, user.login)", 0},
		{"a helper by keyword", "def help(s, login):\n    s.set(a, login, s.generate())\ndef rotate(user, step):\n    help(login = user.login, s = step)", 0},
		{"two helpers with branches", "def one(s, u):\n    if flag:\n        s.set(a, u, s.generate())\ndef two(s, u):\n    if not flag:\n        s.set(a, u, s.generate())\ndef rotate(user, step):\n    one(step, user.login)\n    two(step, user.login)", 0},
		{"a function inside", "def rotate(user, step):\n    def inner():\n        " + set + "\n    inner()", 0},
		{"another name for the step", "def rotate(user, step):\n    s = step\n    s.set(a, user.login, s.generate())", 0},
		{"a method in a name", "def rotate(user, step):\n    give = step.set\n    give(a, user.login, step.generate())", 0},
		{"a function out of a dict", "def help(s, u):\n    s.set(a, u, s.generate())\nhelpers = {\"IT\": help}\ndef rotate(user, step):\n    helpers[user.dep](step, user.login)", 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := mustLoad(t, script(t, idleHead+tt.rotate+"\nworkflow(users = users, rotate = rotate)\n"))
			switch {
			case tt.line == 0 && len(w.Warnings) > 0:
				t.Errorf("warned without need: %v", w.Warnings)
			case tt.line > 0 && (len(w.Warnings) != 1 || w.Warnings[0].Line != tt.line || !strings.Contains(w.Warnings[0].Message, "nothing is changed")):
				t.Errorf("warnings %v, want one on line %d", w.Warnings, tt.line)
			}
		})
	}
}

// TestShippedScriptsHaveNoPathWithoutAChange, as far as that is seen.
func TestShippedScriptsHaveNoPathWithoutAChange(t *testing.T) {
	list, err := filepath.Glob("../../scripts/*.star")
	if err != nil || len(list) == 0 {
		t.Fatal(list, err)
	}
	for _, path := range list {
		if strings.HasSuffix(path, "_test.star") {
			continue
		}
		w, err := Load(t.Context(), Options{Path: "@rekey/" + filepath.Base(path), Embedded: scripts.FS, Placeholders: true, WorkDir: t.TempDir(), Fatal: func(line string) { panic(line) }})
		if err != nil {
			t.Fatal(err)
		}
		for _, x := range w.Warnings {
			if strings.Contains(x.Message, "nothing is changed") {
				t.Error(x)
			}
		}
		w.Close()
	}
}
