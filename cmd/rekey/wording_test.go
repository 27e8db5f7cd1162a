package main_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestAReportOfNobodyHasTheColumnsOfItsRow, as far as the text of the row
// function tells them.
func TestAReportOfNobodyHasTheColumnsOfItsRow(t *testing.T) {
	for name, c := range map[string]struct{ before, row, want string }{
		"a lambda":        {"", `lambda r: {"login": r.user.login, "password": r.password}`, "login,password\n"},
		"a def":           {"def row(r):\n    if not r.password:\n        return None\n    return {\"a\": 1, \"b\": 2}\n", "row", "a,b\n"},
		"either of two":   {"", `lambda r: {"login": 1} if r.password else None`, "login\n"},
		"one of its own":  {"def names():\n    return {\"x\": 1}\n", `lambda r: names()`, "key,status,code,message,wave\n"},
		"keys that vary":  {"k = \"x\"\n", `lambda r: {k: 1}`, "key,status,code,message,wave\n"},
		"no row function": {"", "None", "key,status,code,message,wave\n"},
	} {
		t.Run(name, func(t *testing.T) {
			p := newPlace(t)
			p.write("users.csv", "login\n")
			p.write("r.star", c.before+`workflow(users = csv("users.csv", key = "login"), backend = backend("memory"), reports = [report.csv("out.csv", row = `+c.row+")])\n")
			p.must(0, "run", "r.star", "--yes")
			if got := p.read("out.csv"); got != c.want {
				t.Errorf("%q, want %q", got, c.want)
			}
			p.must(0, "report", "last")
			if got := p.read("out.csv"); got != c.want {
				t.Errorf("again: %q, want %q", got, c.want)
			}
		})
	}
}

// TestAScriptInTheHomeDirectoryIsFound by every verb that reads scripts.
func TestAScriptInTheHomeDirectoryIsFound(t *testing.T) {
	p := newPlace(t)
	p.write("r.star", `workflow(users = rows(["ann"], key = "login"), backend = backend("memory"))`+"\n")
	must(t, os.Mkdir(filepath.Join(p.dir, "elsewhere"), 0o700))
	home := p.dir
	p.env = append(p.env, "HOME="+home)
	p.dir = filepath.Join(p.dir, "elsewhere")
	for _, args := range [][]string{{"check", "~/r.star"}, {"plan", "~/r.star"}, {"run", "~/r.star", "--yes", "--new"}, {"resume", "last", "--yes"}, {"report", "last", "--script", "~/r.star"}} {
		if r := p.rekey(args...); r.exit != 0 {
			t.Errorf("%q: exit %d, %s", args, r.exit, r.stderr)
		}
	}
}

// TestWordsOfAFewNumbers: one is one.
func TestWordsOfAFewNumbers(t *testing.T) {
	p := newPlace(t)
	p.write("twice.star", `workflow(users = rows(["ann", "bob", "ANN"], key = "login"), backend = backend("memory"))`+"\n")
	if r := p.must(2, "plan", "twice.star"); !strings.Contains(r.stderr, `rows:3: key "ANN" is at rows:1 already`) {
		t.Errorf("%s", r.stderr)
	}
	p.write("none.star", `workflow(users = rows(["ann"], key = "login"), select = lambda user: False, backend = backend("memory"))`+"\n")
	if r := p.must(0, "plan", "none.star"); !strings.Contains(r.stderr, "select skips the one user of the source") {
		t.Errorf("%s", r.stderr)
	}
	p.write("reset.star", "b = backend(\"memory\")\ndef rotate(user, step):\n    step.reset(b, user.login)\nworkflow(users = rows([\"ann\"], key = \"login\"), rotate = rotate)\n")
	if r := p.must(0, "run", "reset.star", "--yes"); strings.Contains(r.stdout, "1 resets") {
		t.Errorf("%s", r.stdout)
	}
}

// TestWhatIsWrongWithALedgerIsSaidInWords: with its path, and what to do.
func TestWhatIsWrongWithALedgerIsSaidInWords(t *testing.T) {
	p := newPlace(t)
	p.write("r.star", `workflow(users = rows(["ann"], key = "login"), backend = backend("memory"))`+"\n")
	p.must(0, "run", "r.star", "--yes")
	whole, err := os.ReadFile(p.runFile(p.outcome(0, "show", "last").Run))
	must(t, err)
	for id, c := range map[string]struct {
		text []byte
		want string
	}{
		"rjunk": {[]byte(strings.Repeat("x", 5000)), "it is no ledger, or something else was written over its beginning"},
		"rnone": {nil, "it is empty, or the ledger of no run"},
		"rcuts": {whole[:5000], "parts of it were changed, or are missing"},
	} {
		must(t, os.WriteFile(p.runFile(id), c.text, 0o600))
		for _, args := range [][]string{{"runs"}, {"show", id}, {"reveal", id}} {
			r := p.must(1, args...)
			if !strings.Contains(r.stderr, p.runFile(id)+": "+c.want+"; put a sound copy of the file in its place") || strings.Contains(r.stderr, "SQL") {
				t.Errorf("%s, %q: %s\nwant %s", id, args, r.stderr, c.want)
			}
		}
	}
}
