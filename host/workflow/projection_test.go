package workflow

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/rekey-host/rekey/host/report"
	"github.com/rekey-host/rekey/sdk/secret"
)

// TestAProjectionMakesTheSameRows as the interpreter, of any user, and says the same of
// what is wrong.
func TestAProjectionMakesTheSameRows(t *testing.T) {
	fields := []string{`r.status`, `r.code`, `r.native`, `r.message`, `r.wave`, `r.attempts`, `r.at`, `r.password`, `r.user.login`, `r.user.team`, `r.user.since`,
		`r.user.count`, `r.user.pin`, `"text"`, `("text")`, `r.passwords`, `r.user`, `r.user["team"]`, `r.status.upper()`, `1`, `"[redacted]" + ""`}
	plain, other := 0, 0
	rapid.Check(t, func(rt *rapid.T) {
		var entries []string
		for i, field := range rapid.SliceOfN(rapid.SampledFrom(fields), 1, 4).Draw(rt, "fields") {
			entries = append(entries, fmt.Sprintf("%q: %s", fmt.Sprint("c", i), field))
		}
		dict := "{" + strings.Join(entries, ", ") + "}"
		row := rapid.SampledFrom([]string{"lambda r: " + dict, "lambda r: (" + dict + ")", "row"}).Draw(rt, "function")
		w := mustLoad(t, script(t, `
def row(r):
    return `+dict+`
workflow(users = csv("u.csv", key = "login", types = {"since": "date", "count": "int"}, secrets = ["pin"], optional = ["pin", "since", "count"]), backend = backend("memory"), reports = [report.json("r", row = `+row+`)])`,
			"u.csv", "login,team,since,count,pin\nann,it-ops,2026-01-02,3,x\nbob,"+secret.Redacted+",,,\n"))
		hook := w.hooks.reports[0].row
		for _, user := range rowsOf(t, w) {
			result := outcome(user)
			result.Message = rapid.SampledFrom([]string{"", "no such account", secret.Redacted}).Draw(rt, "message")
			if rapid.Bool().Draw(rt, "uncertain") {
				result = &report.Result{Row: user, Status: "pending"}
			}
			made := hook.projection
			got, included, err := w.ReportRow(context.Background(), 0, result)
			if made.row(w.in.schema.Load(), result, w.in.saysRedacted) != nil {
				plain++
			} else {
				other++
			}
			hook.projection = nil
			want, include, failure := w.ReportRow(context.Background(), 0, result)
			hook.projection = made
			if shown(got) != shown(want) || included != include || fmt.Sprint(err) != fmt.Sprint(failure) {
				rt.Fatalf("%s\n is %s, %v, %v\nwant %s, %v, %v", row, shown(got), included, err, shown(want), include, failure)
			}
		}
	})
	if plain == 0 || other == 0 {
		t.Errorf("%d rows were plain, %d were not: too few to tell", plain, other)
	}
}

// TestOnlyPlainFunctionsAreProjections: whatever computes is the interpreter's.
func TestOnlyPlainFunctionsAreProjections(t *testing.T) {
	for row, want := range map[string]int{
		`lambda r: {"a": r.status, "b": r.user.team, "c": "x"}`: 3,
		`plain`:                                 1,
		`lambda who: {"a": who.password}`:       1,
		`lambda r: {}`:                          0,
		`lambda r: None`:                        0,
		`lambda r: {"a": r.status.upper()}`:     0,
		`lambda r: {"a": r.user["team"]}`:       0,
		`lambda r: {"a": r.user}`:               0,
		`lambda r: {"a": target.label}`:         0,
		`lambda r: {"a" + "": r.status}`:        0,
		`lambda r: {"a": r.status, "b": 1 + 1}`: 0,
		`twice`:                                 0,
	} {
		w := mustLoad(t, script(t, `target = struct(label = "x")
def plain(r):
    return {"a": r.status}
def twice(r):
    print("said")
    return {"a": r.status}
workflow(users = csv("u.csv", key = "login"), backend = backend("memory"), reports = [report.json("r", row = `+row+`)])`, "u.csv", "login,team\nann,x\n"))
		if got := len(w.hooks.reports[0].row.projection); got != want {
			t.Errorf("%s: %d columns are projected, want %d", row, got, want)
		}
	}
}
