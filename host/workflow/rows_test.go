package workflow

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/rekey-host/rekey/host/diag"
	"github.com/rekey-host/rekey/host/report"
	"github.com/rekey-host/rekey/host/source"
	"github.com/rekey-host/rekey/host/workflow/lang"
	"github.com/rekey-host/rekey/sdk/secret"
)

// outcome is what ann came to: an applied password of one account, none
// certain of another.
func outcome(row source.Row) *report.Result {
	p := secret.New("pw")
	return &report.Result{Row: row, Status: "partial", Code: "AccountNotFound", Native: "0x20", Message: "no such account", Wave: "canary",
		Password: &p,
		Values:   report.Values{{Name: "memory", Certain: p, Candidates: []secret.Value{p}}, {Name: "phones/sip", Candidates: []secret.Value{secret.New("new"), secret.New("old")}}},
		Attempts: 3, At: time.Date(2026, 9, 1, 12, 0, 0, 0, time.FixedZone("", 3600)), Ended: time.Date(2026, 9, 1, 12, 1, 0, 0, time.UTC)}
}

// shown tells a row in one line; secrets are in angle brackets.
func shown(row report.Row) string {
	var parts []string
	for _, f := range row {
		parts = append(parts, f.Name+"="+shownValue(f.Value))
	}
	return strings.Join(parts, " ")
}

func shownValue(v any) string {
	switch v := v.(type) {
	case secret.Value:
		return "<" + v.Reveal() + ">"
	case []any:
		var parts []string
		for _, e := range v {
			parts = append(parts, shownValue(e))
		}
		return "[" + strings.Join(parts, " ") + "]"
	case map[string]any:
		var parts []string
		for _, name := range sortedKeys(v) {
			parts = append(parts, name+":"+shownValue(v[name]))
		}
		return "{" + strings.Join(parts, " ") + "}"
	case source.Day:
		return "day " + v.String()
	}
	return fmt.Sprintf("%T %v", v, v)
}

func TestReportRows(t *testing.T) {
	for _, tt := range []struct{ name, row, want string }{
		{"every name", `lambda r: {"a": r.status, "b": r.code, "c": r.native, "d": r.message, "e": r.wave, "f": r.attempts, "g": r.at, "h": r.user.login, "i": r.user["team"]}`,
			"a=string partial b=string AccountNotFound c=string 0x20 d=string no such account e=string canary f=int64 3 g=string 2026-09-01T11:00:00Z h=string ann i=string it-ops"},
		{"in the order of the dict", `lambda r: {"z": 1, "a": None, "m": True, "f": 1.5, "big": 1 << 70}`, "z=int64 1 a=<nil> <nil> m=bool true f=float64 1.5 big=*big.Int 1180591620717411303424"},
		{"the password", `lambda r: {"p": r.password}`, "p=<pw>"},
		{"passwords", `lambda r: {"p": r.passwords["memory"], "s": r.passwords["phones/sip"], "n": r.passwords["nobody"], "all": r.passwords}`,
			"p=<pw> s=<nil> <nil> n=<nil> <nil> all={memory:<pw> phones/sip:<nil> <nil>}"},
		{"passwords as a dict", `lambda r: {"k": r.passwords.keys(), "v": r.passwords.values(), "i": r.passwords.items(), "n": len(r.passwords), "g": r.passwords.get("x", "none"), "s": r.passwords.get("phones/sip", "uncertain"), "l": [k for k in r.passwords]}`,
			"k=[string memory string phones/sip] v=[<pw> <nil> <nil>] i=[[string memory <pw>] [string phones/sip <nil> <nil>]] n=int64 2 g=string none s=string uncertain l=[string memory string phones/sip]"},
		{"candidates", `lambda r: {"c": r.candidates["phones/sip"], "none": r.candidates["x"], "all": r.candidates}`,
			"c=[<new> <old>] none=[] all={memory:[<pw>] phones/sip:[<new> <old>]}"},
		{"a date", `lambda r: {"day": r.user.since}`, "day=day 2026-01-02"},
		{"the whole user", `lambda r: {"u": r.user}`, "u={login:string ann since:day 2026-01-02 team:string it-ops}"},
		{"a struct", `lambda r: {"s": struct(a = 1, b = [r.password])}`, "s={a:int64 1 b:[<pw>]}"},
		{"nobody", `lambda r: None`, "left out"},
		{"an empty row", `lambda r: {}`, ""},
		{"any name for r", `lambda x: {"s": x.status}`, "s=string partial"},

		{"no dict", `lambda r: r.status`, `w.star:1:127: row("ann"), u.csv:2: it returned string; return a dict, or None to leave the user out`},
		{"a key that is no text", `lambda r: {1: 2}`, `w.star:1:127: row("ann"), u.csv:2: a column is named by int, want string`},
		{"a value that has no form", `lambda r: {"f": len}`, `w.star:1:127: row("ann"), u.csv:2: column "f": a builtin_function_or_method cannot be used here`},
		{"a value in itself", `lambda r: {"f": deep()}`, `w.star:1:127: row("ann"), u.csv:2: column "f": the value is nested deeper than 64, or holds itself`},
		{"an error", `lambda r: {"f": 1 // 0}`, `w.star:1:145: row("ann"), u.csv:2: floored division by zero`},
		{"a misspelt name that nothing saw", `lambda r: {"f": getattr(r, "stauts")}`, `w.star:1:143: row("ann"), u.csv:2: getattr: r has no "stauts"; did you mean "status"?`},
		{"a misspelt column that nothing saw", `lambda r: {"f": r.user["te" + "em"]}`, `w.star:1:149: row("ann"), u.csv:2: the users have no column "teem"; did you mean "team"?`},
		{"skip() is not for reports", `lambda r: [skip][0]("x")`, `w.star:1:137: row("ann"), u.csv:2: skip cannot be used in row; use it in select, rotate`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := mustLoad(t, script(t, `users = csv("u.csv", key = "login", types = {"since": "date"}); target = backend("memory"); reports = [report.json("r", row = `+tt.row+`)]
def deep():
    a = []
    for i in range(100):
        a = [a]
    return a
workflow(users = users, backend = target, reports = reports)`, "u.csv", "login,team,since\nann,it-ops,2026-01-02\n"))
			row, include, err := w.ReportRow(context.Background(), 0, outcome(rowsOf(t, w)[0]))
			got := shown(row)
			var list *diag.Problems
			switch {
			case errors.As(err, &list):
				got = err.Error()
			case err != nil:
				t.Fatalf("the error is %T, want *diag.Problems", err)
			case !include:
				got = "left out"
			}
			if got != tt.want {
				t.Errorf("got  %s\nwant %s", got, tt.want)
			}
		})
	}
}

// TestReportRowsOfAnUncertainUser: what is not there is None.
func TestReportRowsOfAnUncertainUser(t *testing.T) {
	w := staff(t, `workflow(users = users, backend = target, reports = [report.summary(), report.json("r", row = lambda r: {"p": r.password, "at": r.at, "ps": r.passwords, "c": r.candidates["memory"], "code": r.code})])`)
	r := &report.Result{Row: rowsOf(t, w)[0], Status: "pending"}
	row, include, err := w.ReportRow(context.Background(), 1, r)
	if want := "p=<nil> <nil> at=<nil> <nil> ps={} c=[] code=string "; shown(row) != want || !include || err != nil {
		t.Errorf("row = %s, %v, %v, want %s", shown(row), include, err, want)
	}
	row, include, err = w.ReportRow(context.Background(), 0, r)
	if want := "key=string ann status=string pending code=string  message=string  wave=string "; shown(row) != want || !include || err != nil {
		t.Errorf("without a row function = %s, %v, %v, want %s", shown(row), include, err, want)
	}
}

// TestReportRowsOfAKeptScript get their columns from the result.
func TestReportRowsOfAKeptScript(t *testing.T) {
	o := script(t, `workflow(users = csv("u.csv", key = "login"), backend = backend("memory"), reports = [report.json("r", row = lambda r: {"t": r.user.team})])`, "u.csv", "login,team\nann,it-ops\n")
	w := mustLoad(t, o)
	r := outcome(rowsOf(t, w)[0])
	r.Schema, _ = w.Users.Schema(context.Background())
	o.Kept, o.WorkDir = w.Files, t.TempDir()
	row, _, err := mustLoad(t, o).ReportRow(context.Background(), 0, r)
	if shown(row) != "t=string it-ops" || err != nil {
		t.Errorf("row = %s, %v", shown(row), err)
	}
}

// TestExamplesOfRowsMakeRows calls what the table shows.
func TestExamplesOfRowsMakeRows(t *testing.T) {
	for _, e := range lang.New().Entries() {
		if !strings.HasPrefix(e.Name, "r.") {
			continue
		}
		text := "users = csv(\"u.csv\", key = \"login\")\n" + e.Example + "\nworkflow(users = users, backend = backend(\"memory\"), reports = [page])"
		w := mustLoad(t, script(t, text, "u.csv", "login\nann\n"))
		row, include, err := w.ReportRow(context.Background(), 0, outcome(rowsOf(t, w)[0]))
		if err != nil || !include || len(row) != 1 || row[0].Value == nil {
			t.Errorf("%s: %s, %v", e.Name, shown(row), err)
		}
	}
}

func TestRowsInAReportKeepTheirOrder(t *testing.T) {
	w := staff(t, `workflow(users = users, backend = target, reports = [report.json("r", row = lambda r: {"z": 1, "y": 2} | {"a": 3})])`)
	row, _, err := w.ReportRow(context.Background(), 0, outcome(rowsOf(t, w)[0]))
	var names []string
	for _, f := range row {
		names = append(names, f.Name)
	}
	if diff := cmp.Diff([]string{"z", "y", "a"}, names); diff != "" || err != nil {
		t.Error(diff, err)
	}
}
