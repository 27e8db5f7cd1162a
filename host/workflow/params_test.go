package workflow

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// valueOf evaluates one expression at the top level and prints it.
func valueOfExpr(t *testing.T, expr string, params map[string]string, placeholders bool) (printed, wrong string) {
	t.Helper()
	var b strings.Builder
	o := script(t, "print(repr("+expr+"))"+tail)
	o.Params, o.Placeholders = params, placeholders
	o.Print = writerFunc(func(p []byte) { b.Write(p) })
	wrong = problems(t, o)
	return strings.TrimSuffix(strings.TrimPrefix(b.String(), "w.star:1: "), "\n"), wrong
}

func TestParamsReadTheirText(t *testing.T) {
	given := func(v string) map[string]string { return map[string]string{"p": v} }
	for _, tt := range []struct {
		name, expr string
		params     map[string]string
		want       string // printed
		wrong      string
	}{
		{"string", `param.string("p")`, given(" x "), `" x "`, ""},
		{"string, empty", `param.string("p", default = "d")`, given(""), `""`, ""},
		{"string, default", `param.string("p", default = "d")`, nil, `"d"`, ""},
		{"string, default None", `param.string("p", default = None)`, nil, `None`, ""},
		{"string, missing", `param.string("p", help = "h")`, nil, `""`, `w.star:1:25: param.string: p (string) is required; give p=VALUE`},
		{"string, wrong default", `param.string("p", default = 3)`, nil, `""`, `w.star:1:30: param.string: default: want string, got int`},
		{"int", `param.int("p")`, given(" 42 "), `42`, ""},
		{"int, negative", `param.int("p")`, given("-7"), `-7`, ""},
		{"int, text", `param.int("p")`, given("many"), `0`, `w.star:1:22: param.int: p: "many" is not a whole number; write it in digits`},
		{"int, fraction", `param.int("p")`, given("1.5"), `0`, `w.star:1:22: param.int: p: "1.5" is not a whole number; write it in digits`},
		{"int, too small", `param.int("p", min = 1)`, given("0"), `0`, `w.star:1:22: param.int: p: 0 is too small; want at least 1`},
		{"int, too large", `param.int("p", max = 9)`, given("10"), `0`, `w.star:1:22: param.int: p: 10 is too large; want at most 9`},
		{"int, default too large", `param.int("p", default = 10, max = 9)`, nil, `10`, `w.star:1:27: param.int: default: 10 is too large; want at most 9`},
		{"bool, yes", `param.bool("p")`, given("Yes"), `True`, ""},
		{"bool, 0", `param.bool("p", default = True)`, given("0"), `False`, ""},
		{"bool, neither", `param.bool("p")`, given("on"), `False`, `w.star:1:23: param.bool: p: "on" is neither true nor false; write true, false, yes, no, 1 or 0`},
		{"path", `param.path("p")`, given("a/b c.csv"), `"a/b c.csv"`, ""},
		{"path, empty", `param.path("p", default = "d")`, given(""), `"d"`, `w.star:1:23: param.path: p: the path is empty`},
		{"duration", `param.duration("p")`, given("1h30m"), `"1h30m"`, ""},
		{"duration, without a unit", `param.duration("p")`, given("10"), `"0s"`, `w.star:1:27: param.duration: p: "10" is not a duration; write a number and a unit: "500ms", "90s", "10m", "1h30m"`},
		{"duration, negative", `param.duration("p")`, given("-1s"), `"0s"`, `w.star:1:27: param.duration: p: "-1s" is negative`},
		{"duration, too long", `param.duration("p", max = "1h")`, given("2h"), `"0s"`, `w.star:1:27: param.duration: p: 2h is too long; want at most 1h0m0s`},
		{"duration, too short", `param.duration("p", min = "1m")`, given("2s"), `"0s"`, `w.star:1:27: param.duration: p: 2s is too short; want at least 1m0s`},
		{"choice", `param.choice("p", ["Fast", "slow"])`, given("fAST"), `"Fast"`, ""},
		{"choice, alias", `param.choice("p", ["Fast", "slow"], aliases = {"quick": "fast"})`, given("QUICK"), `"Fast"`, ""},
		{"choice, default", `param.choice("p", ["Fast", "slow"], default = "FAST")`, nil, `"Fast"`, ""},
		{"choice, none of them", `param.choice("p", ["Fast", "slow"])`, given("fats"), `"Fast"`, `w.star:1:25: param.choice: p: "fats" is none of Fast, slow; did you mean "Fast"?`},
		{"choice, strange", `param.choice("p", ["Fast", "slow"])`, given("x"), `"Fast"`, `w.star:1:25: param.choice: p: "x" is none of Fast, slow; write Fast or slow`},
		{"choice, of nothing", `param.choice("p", [])`, given("x"), `"x"`, `w.star:1:30: param.choice: choices is empty`},
		{"choice, alias of none", `param.choice("p", ["fast"], aliases = {"q": "fats"})`, given("fast"), `"fast"`, `w.star:1:40: param.choice: alias "q": "fats" is no choice; did you mean "fast"?`},
		{"list", `param.list("p")`, given(" a, b c ,d"), `["a", "b c", "d"]`, ""},
		{"list, empty", `param.list("p", default = ["x"])`, given(" "), `[]`, ""},
		{"list, a gap", `param.list("p")`, given("a,,b"), `[]`, `w.star:1:23: param.list: p: element 2 is empty; write words between commas`},
		{"json", `param.json("p")`, given(`{"b": [1, 2.5, null, true], "a": "é"}`), `{"a": "é", "b": [1, 2.5, None, True]}`, ""},
		{"json, large", `param.json("p")`, given(`123456789012345678901234567890`), `123456789012345678901234567890`, ""},
		{"json, broken", `param.json("p")`, given(`{"password": "hunter2",}`), `None`, `w.star:1:23: param.json: p: not valid JSON at byte 24; write JSON`},
		{"json, more", `param.json("p")`, given(`1 2`), `None`, `w.star:1:23: param.json: p: something follows the value at byte 3; write JSON`},
		{"json, nothing", `param.json("p")`, given(``), `None`, `w.star:1:23: param.json: p: the text is empty; write JSON`},
		{"json, deep", `param.json("p")`, given(strings.Repeat("[", 100) + strings.Repeat("]", 100)), `None`, `w.star:1:23: param.json: p: the value is nested deeper than 64, or holds itself; write JSON`},
		{"unknown", `param.string("url", default = "")`, map[string]string{"ulr": "x"}, `""`, `w.star: the script has no parameter "ulr"; did you mean "url"?`},
		{"strange", `param.string("url", default = "")`, map[string]string{"user": "x"}, `""`, `w.star: the script has no parameter "user"; it takes url`},
		{"of none", `1`, map[string]string{"user": "x"}, `1`, `w.star: the script has no parameter "user"; leave user=… out: it takes none`},
		{"near one that is given", `[param.string("url"), param.string("user", default = "")]`, map[string]string{"url": "x", "urls": "y"}, `["x", ""]`, `w.star: the script has no parameter "urls"; it takes url, user`},
		{"twice", `[param.string("p", default = "a"), param.int("p", default = 1)]`, nil, `["a", 1]`, `w.star:1:57: param.int: p is declared twice; give it another name`},
		{"a bad name", `param.string("a b", default = "")`, nil, `""`, `w.star:1:25: param.string: "a b" is no name of a parameter; use letters, digits, _ and -`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, wrong := valueOfExpr(t, tt.expr, tt.params, false)
			if got != tt.want || wrong != tt.wrong {
				t.Errorf("%s with %q\n got %s\n     %s\nwant %s\n     %s", tt.expr, tt.params, got, wrong, tt.want, tt.wrong)
			}
		})
	}
}

func TestPlaceholders(t *testing.T) {
	for expr, want := range map[string]string{
		`param.string("p")`: `""`, `param.int("p", min = 5)`: `0`, `param.bool("p")`: `False`, `param.path("p")`: `""`, `param.duration("p")`: `"0s"`,
		`param.choice("p", ["a", "b"])`: `"a"`, `param.list("p")`: `[]`, `param.json("p")`: `None`, `param.int("p", default = 7)`: `7`,
	} {
		if got, wrong := valueOfExpr(t, expr, nil, true); got != want || wrong != "" {
			t.Errorf("%s = %s, want %s\n%s", expr, got, want, wrong)
		}
	}
}

// TestCheckLooksAtTypesOnlyOfPlaceholders: what depends on a parameter that
// nobody gave is not what a run will see, and check is silent about what it
// says; what does not depend on it is checked as ever.
func TestCheckLooksAtTypesOnlyOfPlaceholders(t *testing.T) {
	for _, tt := range []struct{ name, text, want string }{
		{"a missing file", `workflow(users = csv("no.csv", key = "login"), backend = backend("memory"))`, ""},
		{"a file of a placeholder", `workflow(users = csv(param.path("f"), key = "login"), backend = backend("memory"))`, ""},
		{"a backend of a placeholder", `workflow(users = rows(["a"], key = "login"), backend = backend(param.string("b"), **param.json("c", default = {})))`, ""},
		{"config of a placeholder", `c = param.json("c", default = {})` + "\n" + `workflow(users = rows(["a"], key = "login"), backend = backend("ldap", **c))`, ""},
		{"a URL of a placeholder", `workflow(users = rows(["a"], key = "login"), backend = backend("ldap", url = param.string("url")))`, ""},
		{"a type all the same", `workflow(users = rows(["a"], key = "login"), backend = backend("ldap", url = param.int("url")))`,
			`w.star:1:72: backend: url: want string, got int; url: where the server is`},
		{"another setting all the same", `workflow(users = rows(["a"], key = "login"), backend = backend("ldap", url = param.string("url"), moed = "ad"))`,
			`w.star:1:99: backend: ldap has no setting "moed"; did you mean "mode"?`},
		{"a choice of a placeholder", `workflow(users = rows(["a"], key = "login"), backend = backend("ldap", url = "ldap://x", mode = param.string("mode")))`, ""},
		{"arithmetic", `x = 100 // param.int("n")` + tail, ""},
		{"an index", `x = param.json("c")["url"]` + tail, ""},
		{"an attribute of the script's own making", `x = {"a": 1}["b"]` + "\ny = param.string(\"y\")" + tail, `w.star:1:13: key "b" not in dict; add it to the dict, or write .get(…, what to take instead)`},
		{"by a function", "def f(c):\n    return c[\"url\"]\nx = f(param.json(\"c\"))" + tail, ""},
		{"by a function, without a placeholder", "y = param.string(\"y\")\ndef f(c):\n    return c[\"url\"]\nx = f({})" + tail, ""},
		{"waves", `n = param.string("n")` + "\n" + `workflow(users = rows(["a"], key = "login"), backend = backend("memory"), wave = lambda user: "canary", waves = {n: wave_rule(size = param.int("s"))})`, ""},
		{"columns", `workflow(users = rows([{"login": "a"}], key = "login"), backend = backend("memory"), order_by = param.list("o", default = ["nothing"]))`, ""},
		{"a part of a placeholder", `workflow(users = concat(csv("users.csv", key = "login"), csv(param.path("f"), key = "login")), backend = backend("memory"), select = lambda user: user.nick == "")`, ""},
		{"a file that a default names", `workflow(users = csv(param.path("f", default = "users.csv"), key = "logn"), backend = backend("memory"))`, `users.csv:1: key: there is no column "logn"; did you mean "login"?`},
		{"a missing file that a default names", `workflow(users = csv(param.path("f", default = "no.csv"), key = "login"), backend = backend("memory"))`, ""},
		{"a backend that a default names", `workflow(users = rows(["a"], key = "login"), backend = backend(param.string("b", default = "ldap"), url = "ldap://x", moed = "ad"))`,
			`w.star:1:119: backend: ldap has no setting "moed"; did you mean "mode"?`},
		{"a backend that a default misspells", `workflow(users = rows(["a"], key = "login"), backend = backend(param.string("b", default = "ldpa"), url = "ldap://x", moed = "ad"))`, ""},
		{"a file that is there", `workflow(users = csv("users.csv", key = "logn"), backend = backend("memory"))`, `users.csv:1: key: there is no column "logn"; did you mean "login"?`},
		{"a hook", "def select(user):\n    return user.logn\nworkflow(users = csv(\"users.csv\", key = \"login\"), backend = backend(\"memory\", history = param.int(\"h\")), select = select)",
			`w.star:2:17: the users have no column "logn"; did you mean "login"?`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			o := script(t, tt.text, "users.csv", "login\nann\n")
			o.Placeholders = true
			if got := problems(t, o); got != tt.want {
				t.Errorf("%s\n got %s\nwant %s", tt.text, got, tt.want)
			}
		})
	}
}

func TestWithoutPlaceholdersAMissingFileIsNamed(t *testing.T) {
	o := script(t, `workflow(users = csv("no.csv", key = "login"), backend = backend("memory"))`)
	if got, want := problems(t, o), "no.csv: no such file"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestParamsAreListedForHelp(t *testing.T) {
	o := script(t, `p = param.path("accounts", default = "users.csv", help = "who")
q = param.choice("mode", ["a", "b"])
r = param.json("config", default = {"a": 1})
s = param.list("names", default = ["x", "y"])
u = param.bool("strict", default = True)`+tail)
	o.Placeholders, o.Params = true, map[string]string{"mode": "b"}
	text := func(s string) *string { return &s }
	want := []Param{
		{Name: "accounts", Type: "path", Default: text("users.csv"), Help: "who"},
		{Name: "mode", Type: "choice", Choices: []string{"a", "b"}, Given: true},
		{Name: "config", Type: "json", Default: text(`{"a":1}`)},
		{Name: "names", Type: "list", Default: text("x,y")},
		{Name: "strict", Type: "bool", Default: text("true")},
	}
	if diff := cmp.Diff(want, mustLoad(t, o).Params); diff != "" {
		t.Error(diff)
	}
}
