package main_test

import (
	"fmt"
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

// TestRotateIsTriedAtPlanWithEveryUser: a hook that fails for one department changes
// nothing, and is told once with its place, a user and how many others there are.
func TestRotateIsTriedAtPlanWithEveryUser(t *testing.T) {
	const script = `b = backend("htpasswd", path = "users.htpasswd", hash = "sha256", create = True)
quota = {"IT": 1, "Sales": 2}
def rotate(user, step):
    if user.dep == "gone":
        return skip("has left")
    if user.dep == "away":
        return failed("no answer")
    @FIRST@
    step.set(b, user.login, step.generate())
workflow(users = csv("users.csv", key = "login"), rotate = rotate, reports = [report.csv("out.csv", row = lambda r: {"login": r.user.login, "status": r.status, "why": r.message})])
`
	var people strings.Builder
	people.WriteString("login,dep\n")
	for i := range 2000 {
		people.WriteString(fmt.Sprintf("u%04d,%s\n", i, map[bool]string{true: "Legal", false: "IT"}[i >= 1500 && i < 1503]))
	}
	p := newPlace(t)
	p.write("users.csv", people.String()+"ann,gone\nben,away\n")
	p.write("s.star", strings.Replace(script, "@FIRST@", `quota[user.dep] + 1`, 1))
	r := p.must(2, "run", "s.star", "--yes")
	if want := "s.star:8:10: rotate(\"u1500\"), users.csv:1502, tried on simulated steps: key \"Legal\" not in dict; add it to quota, or write quota.get(…, what to take instead) (and so for 2 more)"; !strings.Contains(r.stderr, want) || strings.Count(r.stderr, "\n") > 2 {
		t.Errorf("said:\n%s\nwant %s", r.stderr, want)
	}
	if _, err := os.Stat(filepath.Join(p.dir, "users.htpasswd")); err == nil {
		t.Error("something was changed")
	}
	if list := p.must(0, "runs").stdout; strings.Contains(list, "s.star") {
		t.Errorf("the plan is left behind:\n%s", list)
	}
	p.must(0, "plan", "s.star", "--no-exercise")

	p.write("s.star", strings.Replace(script, "@FIRST@", `pass`, 1))
	p.write("users.csv", "login,dep\nann,gone\nben,away\ncyd,IT\n")
	p.must(3, "run", "s.star", "--yes", "--new")
	if got, want := p.read("out.csv"), "login,status,why\nann,skipped,has left\nben,failed,no answer\ncyd,done,\n"; got != want {
		t.Errorf("the report: %q, want %q", got, want)
	}
}

// TestAnExerciseCanRefuseAndLose what a script does not expect to be refused or lost.
func TestAnExerciseCanRefuseAndLose(t *testing.T) {
	p := newPlace(t)
	var logins []string
	for i := range 200 {
		logins = append(logins, fmt.Sprintf("\"u%03d\"", i))
	}
	p.write("s.star", `b = backend("memory")
texts = {"": "fine", "AccountNotFound": "missing"}
def rotate(user, step):
    result = step.try_set(b, user.login, step.generate())
    if not result.ok:
        step.set(b, user.login + "-2", step.generate())
        return failed(texts[result.code])
workflow(users = rows([`+strings.Join(logins, ", ")+`], key = "login"), rotate = rotate)
`)
	p.must(0, "plan", "s.star", "--exercise")
	for how, want := range map[string]string{
		"fail:set=5%":       `s.star:7:`,
		"crash":             `it goes on with "set memory u000-2" as step 4, and when the lost step is found to be applied it takes no step`,
		"fail:sett=5%":      `--exercise: fail: there is no step "sett"; did you mean "set"?`,
		"fail:set=5":        `--exercise: fail:set: "5" is no share; write a number from 0 to 100 with a percent sign`,
		"fail:set=5%,crush": `--exercise: there is no "crush"; write crash, fail:set=5%, or both with a comma`,
	} {
		if r := p.must(2, "plan", "s.star", "--new", "--exercise="+how); !strings.Contains(r.stderr, want) {
			t.Errorf("%s: said\n%s\nwant %s", how, r.stderr, want)
		}
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
