package main_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestReportRowsAreTriedAtPlan, for every user: what would leave a report
// unwritten when all passwords are changed is found before.
func TestReportRowsAreTriedAtPlan(t *testing.T) {
	const script = `b = backend("memory")
users = csv("users.csv", key = "login")
def select(user):
    return skip("frozen") if user.dep == "ice" else True
def rotate(user, step):
    step.set(b, user.login, step.generate())
@ROW@
workflow(users = users, select = select, rotate = rotate, reports = [report.@KIND@("out", row = row)])
`
	people := "login,dep\n" + strings.Repeat("u@,IT\n", 30) + "zoe,Sales\nice,ice\n"
	for i := 0; strings.Contains(people, "@"); i++ {
		people = strings.Replace(people, "@", string(rune('a'+i%26))+strings.Repeat("x", i/26), 1)
	}
	for _, tt := range []struct{ name, kind, row, want string }{
		{"no dict", "csv", "row = lambda r: [r.user.login]", "it returned list"},
		{"other keys for one user", "csv", "row = lambda r: {\"a\": 1} if r.user.dep != \"Sales\" else {\"b\": 1}", `row of user "zoe" has the columns b`},
		{"other keys for who is skipped", "json", "row = lambda r: {\"a\": 1} if r.status != \"skipped\" else {\"b\": 1}", `row of user "ice" has the columns b`},
		{"other keys for who fails", "jsonl", "row = lambda r: {\"a\": 1} if r.status != \"failed\" else {\"b\": 1}", `has the columns b`},
		{"a name that one user has not", "csv", "row = lambda r: {\"a\": {\"IT\": 1, \"ice\": 2}[r.user.dep]}", `row("zoe")`},
		{"a secret on a page", "html", "row = lambda r: {\"a\": r.password}", "HTML report never holds one"},
		{"a column twice over", "csv", "row = lambda r: {}", "has no columns"},

		{"sound", "csv", "row = lambda r: {\"login\": r.user.login, \"password\": r.password, \"at\": r.at}", ""},
		{"some left out", "csv", "row = lambda r: {\"login\": r.user.login} if r.status == \"done\" else None", ""},
		{"prints", "csv", "def row(r):\n    print(\"once a user\")\n    return {\"login\": r.user.login}", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p := newPlace(t)
			p.write("users.csv", people)
			p.write("s.star", strings.NewReplacer("@ROW@", tt.row, "@KIND@", tt.kind).Replace(script))
			if tt.want == "" {
				r := p.must(0, "run", "s.star", "--yes")
				if n := strings.Count(r.stderr, "once a user"); tt.name == "prints" && n != 32 {
					t.Errorf("printed %d times, want 32", n)
				}
				return
			}
			r := p.must(2, "run", "s.star", "--yes")
			if !strings.Contains(r.stderr, tt.want) || strings.Count(r.stderr, "\n") > 4 {
				t.Errorf("said:\n%s", r.stderr)
			}
			if list := p.must(0, "runs").stdout; strings.Contains(list, "s.star") {
				t.Errorf("the plan is left behind:\n%s", list)
			}
		})
	}
}

// TestAReportThatCannotBeWrittenEndsWith7 and the reason, and a mended script
// writes it from what the ledger has.
func TestAReportThatCannotBeWrittenEndsWith7(t *testing.T) {
	p := newPlace(t)
	const script = "b = backend(\"memory\")\ndef rotate(user, step):\n    step.reset(b, user.login)\n" +
		"workflow(users = rows([\"ann\", \"bob\"], key = \"login\"), rotate = rotate, reports = [report.csv(\"out.csv\", row = lambda r: {\"login\": @CELL@})])\n"
	p.write("s.star", strings.Replace(script, "@CELL@", `r.user.login if r.at.startswith("1970") else r.passwords["b"].x`, 1))
	o := p.rekey("run", "s.star", "--yes", "--json")
	if o.exit != 7 || !strings.Contains(o.stdout, `"exit_code": 7`) || !strings.Contains(o.stdout, "report out.csv is not written") || !strings.Contains(o.stdout, "--script FILE") {
		t.Fatalf("exit %d\n%s%s", o.exit, o.stdout, o.stderr)
	}
	before := p.outcome(0, "show", "last")
	p.write("mended.star", strings.Replace(script, "@CELL@", "r.user.login + r.status", 1))
	p.must(7, "report", "last")
	p.must(0, "report", "last", "--script", filepath.Join(p.dir, "mended.star"))
	if got := p.read("out.csv"); got != "login\nanndone\nbobdone\n" {
		t.Errorf("the report: %q", got)
	}
	if after := p.outcome(0, "show", "last"); after.Counts["done"] != before.Counts["done"] || after.Run != before.Run {
		t.Errorf("the run is another: %v, %v", before, after)
	}
	if _, err := os.Stat(filepath.Join(p.dir, "out.csv")); err != nil {
		t.Error(err)
	}
}
