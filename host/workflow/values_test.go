package workflow

import (
	"context"
	"regexp"
	"runtime"
	"strings"
	"testing"

	"github.com/rekey-host/rekey/host/source"
)

// printedOf returns what an expression of the top level prints, or what is
// wrong with it.
func printedOf(t *testing.T, before, expr string) string {
	t.Helper()
	out := &printed{}
	o := script(t, before+"x = "+expr+"\nprint(x)"+tail)
	o.Print = out
	if wrong := problems(t, o); wrong != "" {
		return wrong
	}
	_, text, _ := strings.Cut(strings.TrimSuffix(out.String(), "\n"), ": ")
	return text
}

func TestBuiltinsOfValues(t *testing.T) {
	for _, tt := range []struct{ expr, want string }{
		// struct
		{`struct(b = 1, a = "x")`, `struct(a = "x", b = 1)`},
		{`struct(a = 1) == struct(a = 1.0)`, `True`},
		{`struct(a = 1) != struct(b = 1)`, `True`},
		{`struct(a = 1) < struct(a = 2)`, `w.star:1:19: struct < struct: structs have no order; compare their fields`},
		{`struct(a = [1]).a`, `[1]`},
		{`{struct(a = 1): "x"}[struct(a = 1)]`, `x`},
		{`{struct(a = []): "x"}`, `w.star:1:20: unhashable type: list`},
		{`dir(struct(b = 1, a = 2))`, `["a", "b"]`},
		{`struct(1)`, `w.star:1:5: struct: 1 arguments, want at most 0`},

		// json
		{`json.encode({"b": [1, 2.5, None, True], "a": "é<\"\n"})`, `{"a":"é<\"\n","b":[1,2.5,null,true]}`},
		{`json.encode((1, set([2]), range(3), struct(a = 1)))`, `[1,[2],[0,1,2],{"a":1}]`},
		{`json.encode(1 << 70)`, `1180591620717411303424`},
		{`json.encode({1: 2})`, `w.star:1:5: json.encode: a key is int, want string`},
		{`json.encode([len])`, `w.star:1:5: json.encode: element 1: a builtin_function_or_method cannot be used here`},
		{`json.encode(float("nan"))`, `w.star:1:5: json.encode: json: unsupported value: NaN`},
		{`json.encode(b"x")`, `w.star:1:5: json.encode: a bytes cannot be used here`},
		{`json.decode("[1, 1.5, 1e3, \"x\", {\"a\": null}]")`, `[1, 1.5, 1000.0, "x", {"a": None}]`},
		{`json.decode("[1")`, `w.star:1:5: json.decode: the text ends in the middle, at byte 2`},
		{`json.decode("")`, `w.star:1:5: json.decode: the text is empty`},
		{`json.decode("{]")`, `w.star:1:5: json.decode: not valid JSON at byte 2`},
		{`json.decode("1e999")`, `w.star:1:5: json.decode: number 1e999 is too large`},
		{`json.decode("[1", default = 7)`, `7`},
		{`json.decode("[1", default = None)`, `None`},
		{`json.decode(3)`, `w.star:1:17: json.decode: text: want string, got int`},
		{`json.indent("[1,{}]", indent = " ")`, "[\nw.star:2:  1,\nw.star:2:  {}\nw.star:2: ]"},
		{`json.indent("[")`, `w.star:1:5: json.indent: the text ends in the middle, at byte 1`},

		// re
		{`re.match("([a-z]+)-(?P<n>[0-9]+)?", "it-7x").groups`, `("it", "7")`},
		{`re.match("([a-z]+)-(?P<n>[0-9]+)?", "it-7x")["n"]`, `7`},
		{`re.match("(a)|(b)", "b").groups`, `(None, "b")`},
		{`[re.search("b", "abc").start, re.search("b", "abc").end]`, `[1, 2]`},
		{`re.match("b", "abc")`, `None`},
		{`re.match("a|b", "b")[0]`, `b`},
		{`re.search("é", "aé")`, `match("é")`},
		{`re.match("a", "a")[1]`, `w.star:1:23: the pattern has no group 1`},
		{`re.match("a", "a")["m"]`, `w.star:1:23: the pattern has no group "m"`},
		{`re.match("(", "a")`, `w.star:1:5: re.match: pattern "(": missing closing )`},
		{`re.match("a)(b", "a")`, `w.star:1:5: re.match: pattern "a)(b": unexpected )`},
		{`re.match("a{1001}", "a")`, `w.star:1:5: re.match: pattern "a{1001}": invalid repeat count`},
		{`re.match("(?=a)", "a")`, `w.star:1:5: re.match: pattern "(?=a)": invalid or unsupported Perl syntax`},
		{`re.findall("[a-z]", "a1b")`, `["a", "b"]`},
		{`re.findall("([a-z])([0-9])", "a1b2")`, `[("a", "1"), ("b", "2")]`},
		{`re.sub("([a-z])([0-9])", "\\2\\1\\g<1>\\\\", "a1b2", count = 1)`, `1aa\b2`},
		{`re.sub("a", "\\x", "a")`, `w.star:1:5: re.sub: the replacement has a \ that is neither \1, \g<name> nor \\`},
		{`re.sub("a", "\\3", "a")`, `w.star:1:5: re.sub: there is no group "3"`},
		{`re.split("[;,] *", "ann; bob,eve", maxsplit = 1)`, `["ann", "bob,eve"]`},
		{`re.split(",", "")`, `[""]`},

		// others
		{`csv("u.csv", key = "a")`, `source of u.csv`},
		{`backend("memory", label = "m2")`, `backend("m2")`},
		{`[backend("memory", label = "m2").label, backend("ldap", url = "ldap://x").name]`, `["m2", "ldap"]`},
		{`[policy(), wave_rule(), report.summary(), csv]`, `[policy, wave_rule, report.summary, <builtin csv>]`},
		{`{backend("memory", label = "m2"): 1}.values()`, `[1]`},
		{`{policy(): 1}`, `w.star:1:14: a policy is no key`},
		{`[x for x in csv("u.csv", key = "a")]`, `w.star:1:8: source value is not iterable`},
		{`set([1, 2]) | set([2, 3])`, `set([1, 2, 3])`},
		{`[3 * 4, 2.5 * 2, 2 * 2.5, "ab" * 2, 2 * "ab", [1] * 2, 2 * (1,), "x" * -1, "x" * 0, 7 % 4, 7.5 % 2]`, `[12, 5.0, 5.0, "abab", "abab", [1, 1], (1, 1), "", "", 3, 1.5]`},
		{`"%s of %d: %r %%" % ("a", 2, "b")`, `a of 2: "b" %`},
		{`"%(a)s" % {"a": 1}`, `1`},
		{`["a-b".replace("-", "+"), ",".join(["a", "b"]), "{x}{0}".format(1, x = 2), getattr("ab", "replace")("a", "c")]`, `["a+b", "a,b", "21", "cb"]`},
		{`[1 + 2, 1.5 + 1, "a" + str(1), [1] + list((2,)), (1,) + tuple([2]), b"a" + bytes("b")]`, `[3, 2.5, "a1", [1, 2], (1, 2), b"ab"]`},
		{`1 + str(1)`, `w.star:1:7: unknown binary op: int + string; str(x) makes a text of a value, int(x) a number of digits`},
		{`"x" * "y"`, `w.star:1:9: unknown binary op: string * string`},
		{`None % 2`, `w.star:1:10: unknown binary op: NoneType % int; an empty cell of a typed column is None, and so is a pattern that does not match: ask first, as in if x != None: …`},
		{`"a".join(["b", 1])`, `w.star:1:5: join: in list, want string, got int`},
		{`list(1)`, `w.star:1:5: list: for parameter 1: got int, want iterable`},
		{`"a" if 1 == 1.0 else "b"`, `a`},
	} {
		if got := printedOf(t, "", tt.expr); got != tt.want {
			t.Errorf("%s\n got %s\nwant %s", tt.expr, got, tt.want)
		}
	}
}

func TestAStructShowsItselfOnce(t *testing.T) {
	got := printedOf(t, "l = []\ns = struct(l = l)\nl.append(s)\n", `str(s)[:40]`)
	if want := "struct(l = [struct(l = [struct(l = [stru"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if got := printedOf(t, "l = []\ns = struct(l = l)\nl.append(s)\n", `s == struct(l = [s])`); !strings.Contains(got, "comparison exceeded maximum recursion depth") {
		t.Errorf("comparing = %s", got)
	}
	if got := printedOf(t, "l = []\ns = struct(l = l)\nl.append(s)\n", `json.encode(s)`); got != "w.star:4:5: json.encode: the value is nested deeper than 64, or holds itself" {
		t.Errorf("json.encode = %s", got)
	}
}

var callers = regexp.MustCompile(` \(called from w\.star:[0-9]+\)$`)

// TestWhatBuiltinsMakeIsBounded: a small script can ask for a great deal.
func TestWhatBuiltinsMakeIsBounded(t *testing.T) {
	for _, tt := range []struct{ name, before, expr, want string }{
		{"a huge string", "", `len("x" * (1 << 30))`, `repetition: the text would be longer than 256 MiB`},
		{"a huge string, the other way round", "", `len((1 << 30) * "x")`, `repetition: the text would be longer than 256 MiB`},
		{"huge bytes", "", `len(b"xy" * (1 << 28))`, `repetition: the text would be longer than 256 MiB`},
		{"a huge list", "", `len([1] * (1 << 40))`, `repetition: the result would have more than 16777216 elements`},
		{"a huge tuple", "", `len((1 << 70) * (1, 2))`, `repetition: the result would have more than 16777216 elements`},
		{"a repetition in place", "def f():\n    d = {\"x\": [1]}\n    d[\"x\"] *= 1 << 29\n    return d\n", `f()`, `repetition: the result would have more than 16777216 elements`},
		{"list", "", `list(range(1 << 33))`, `list: the result would have more than 16777216 elements`},
		{"tuple", "", `tuple(range(1 << 33))`, `tuple: the result would have more than 16777216 elements`},
		{"sorted", "", `sorted(range(1 << 33), reverse = True)`, `sorted: the result would have more than 16777216 elements`},
		{"reversed", "", `reversed(range(1 << 33))`, `reversed: the result would have more than 16777216 elements`},
		{"enumerate", "", `enumerate(range(1 << 33))`, `enumerate: the result would have more than 16777216 elements`},
		{"zip", "", `zip(range(1 << 33), range(1 << 33))`, `zip: the result would have more than 16777216 elements`},
		{"set", "", `set(range(1 << 33))`, `set: the result would have more than 16777216 elements`},
		{"bytes", "", `bytes(range(1 << 33))`, `bytes: the result would have more than 16777216 elements`},
		{"max", "", `max(range(1 << 60))`, `max: the result would have more than 16777216 elements`},
		{"extend", "", `[].extend(range(1 << 60))`, `range: the result would have more than 16777216 elements`},
		{"an addition in place", "def f():\n    x = []\n    x += range(1 << 60)\n    return x\n", `f()`, `range: the result would have more than 16777216 elements`},
		{"arguments", "def f(*a):\n    return len(a)\n", `f(*range(1 << 60))`, `range: the result would have more than 16777216 elements`},
		{"replace", "", `len(("a" * (1 << 20)).replace("a", "b" * 1000))`, `replace: the text would be longer than 256 MiB`},
		{"replace of nothing", "", `len(("a" * (1 << 20)).replace("", "b" * 1000))`, `replace: the text would be longer than 256 MiB`},
		{"replace by another way", "", `getattr("a" * (1 << 20), "replace")("a", "b" * 1000)`, `replace: the text would be longer than 256 MiB`},
		{"join", "", `",".join(["x" * (1 << 20)] * 1000)`, `join: the text would be longer than 256 MiB`},
		{"join by much", "", `("x" * (1 << 20)).join(["a"] * 1000)`, `join: the text would be longer than 256 MiB`},
		{"format", "", `("{0}" * 1000).format("x" * (2 << 20))`, `format: the text would be longer than 256 MiB`},
		{"percent", "", `("%s" * 1000) % (("x" * (1 << 20),) * 1000)`, `format: the text would be longer than 256 MiB`},
		{"percent in place", "def f():\n    t = \"%s\" * 1000\n    t %= (\"x\" * (1 << 20),) * 1000\n    return t\n", `f()`, `format: the text would be longer than 256 MiB`},
		{"str", "", `str(["x" * (1 << 20)] * 1000)`, `str: the text would be longer than 256 MiB`},
		{"str that is deep", "def f():\n    a = []\n    for i in range(5000):\n        a = [a]\n    return a\n", `repr(f())`, `repr: the value is nested deeper than 1000`},
		{"int of a text", "", `int("9" * 10000000)`, `int: the number would have more than 100000 digits`},
		{"int of a text with a base", "", `int("f" * 10000000, 16)`, `int: the number would have more than 100000 digits`},
		{"a product", "def f():\n    n = 1 << 511\n    for i in range(40):\n        n = n * n\n    return n\n", `f()`, `multiplication: the number would have more than 100000 digits`},
		{"a product in place", "def f():\n    n = 1 << 511\n    for i in range(40):\n        n *= n\n    return n\n", `f()`, `multiplication: the number would have more than 100000 digits`},
		{"str of a number", "def f():\n    n = 1\n    for i in range(1000):\n        n = n << 511\n    return n\n", `str(f())`, `str: a number in it has more than 100000 digits`},
		{"percent of a number", "def f():\n    n = 1\n    for i in range(1000):\n        n = n << 511\n    return n\n", `"%d" % f()`, `format: a number in it has more than 100000 digits`},
		{"a JSON number", "", `json.decode("9" * 1000000)`, `json.decode: a number has more than 100000 digits`},
		{"JSON of a number", "def f():\n    n = 1\n    for i in range(1000):\n        n = n << 511\n    return n\n", `json.encode(f())`, `json.encode: a number has more than 100000 digits`},
		{"a huge shift", "", `1 << (1 << 20)`, `shift count too large: 1048576`},
		{"JSON of many values", "", `json.encode(range(1 << 21))`, `json.encode: the value has more than 1048576 parts`},
		{"JSON of a string many times", "s = \"x\" * (1 << 20)\n", `json.encode([s] * 1000)`, `json.encode: the value has more than 16 MiB of text`},
		{"JSON that is deep", "def f():\n    a = []\n    for i in range(100):\n        a = [a]\n    return a\n", `json.encode(f())`, `json.encode: the value is nested deeper than 64, or holds itself`},
		{"JSON of a dict in itself", "d = {}\nd[\"d\"] = d\n", `json.encode(d)`, `json.encode: the value is nested deeper than 64, or holds itself`},
		{"JSON that doubles", "def f():\n    a = [1]\n    for i in range(40):\n        a = [a, a]\n    return a\n", `json.encode(f())`, `json.encode: the value has more than 1048576 parts`},
		{"a deep JSON text", "", `json.decode("[" * 1000 + "]" * 1000)`, `json.decode: the value is nested deeper than 64, or holds itself`},
		{"a long JSON text", "", `json.decode("1" + " " * (17 << 20))`, `json.decode: the text is longer than 16 MiB`},
		{"a long number", "", `json.decode("1" * 2000)`, `json.decode: a number has more than 1000 digits`},
		{"an indented text", "", `json.indent("[" + "1," * (1 << 20) + "1]")`, `json.indent: the text would be too long`},
		{"a long pattern", "", `re.match("a" * 5000, "a")`, `re.match: the pattern is longer than 4096 bytes`},
		{"a long text", "", `re.match("a", "a" * (1 << 20))`, `re.match: the text is longer than 262144 bytes`},
		{"a large program", "", `re.match("(x{100}y{100}z{100}){3}" * 20, "a" * 200000)`, `re.match: the pattern is too large for a text of 200000 bytes`},
		{"a long replacement", "", `re.sub("a", "b" * 1000, "a" * 100000)`, `re.sub: the result is longer than 4194304 bytes`},
		{"rows that hold themselves", "l = []\nl.append(l)\n", `rows([{"a": l}], key = "a")`, `rows: element 1: the value is nested deeper than 64, or holds itself`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if got := printedOf(t, tt.before, tt.expr); !strings.HasSuffix(callers.ReplaceAllString(got, ""), ": "+tt.want) {
				t.Errorf("got %s, want %s", got, tt.want)
			}
		})
	}
}

// TestWhatDoublesIsBounded, one after the other: memory is the process's.
func TestWhatDoublesIsBounded(t *testing.T) {
	for _, tt := range []struct{ name, before, expr, want string }{
		{"a list that doubles", "def f():\n    x = [1]\n    for i in range(60):\n        x = x + x\n    return x\n", `f()`, `addition: the result would have more than 16777216 elements`},
		{"a text that doubles", "def f():\n    x = \"ab\"\n    for i in range(60):\n        x = x + x\n    return x\n", `f()`, `addition: the text would be longer than 256 MiB`},
		{"str that doubles", "def f():\n    a = [1]\n    for i in range(60):\n        a = [a, a]\n    return a\n", `str(f())`, `str: the text would be longer than 256 MiB`},
	} {
		if got := printedOf(t, tt.before, tt.expr); !strings.HasSuffix(callers.ReplaceAllString(got, ""), ": "+tt.want) {
			t.Errorf("%s: got %s, want %s", tt.name, got, tt.want)
		}
		runtime.GC()
	}
}

// TestCellsAreTyped: "10" < "9" never happens.
func TestCellsAreTyped(t *testing.T) {
	o := script(t, `def select(user):
    print(user.n, user.n and user.n < 9, user.on, user.day, user.day and user.day.year, user["e mail"], type(user.login), type(user.day), user == user, user in {user: 1})
    return True
workflow(users = csv("u.csv", key = "login", types = {"n": "int", "on": "bool", "day": "date"}), backend = backend("memory"), select = select)`,
		"u.csv", "login,n,on,day,e mail\nann,10,yes,2026-02-28,a@x\nbob,,,,\n")
	out := &printed{}
	o.Print = out
	w := mustLoad(t, o)
	for _, row := range rowsOf(t, w) {
		if due, _, err := w.Select(context.Background(), row); !due || err != nil {
			t.Fatal(due, err)
		}
	}
	want := "w.star:2: 10 False True 2026-02-28 2026 a@x string date True True\nw.star:2: None None None None None  string NoneType True True\n"
	if got := out.String(); got != want {
		t.Errorf("printed\n%swant\n%s", got, want)
	}
}

func TestDaysCompare(t *testing.T) {
	o := script(t, `def select(user):
    return user.a < user.b and user.a <= user.b and not user.a > user.b and not user.a >= user.b and user.a != user.b and user.a == user.a and {user.a: 1}[user.a] == 1
workflow(users = csv("u.csv", key = "login", types = {"a": "date", "b": "date"}), backend = backend("memory"), select = select)`,
		"u.csv", "login,a,b\nann,2026-09-30,2026-10-01\n")
	w := mustLoad(t, o)
	if due, _, err := w.Select(context.Background(), rowsOf(t, w)[0]); !due || err != nil {
		t.Error(due, err)
	}
}

// TestJSONCellsAreFrozen: hooks cannot leave notes in a row.
func TestJSONCellsAreFrozen(t *testing.T) {
	o := script(t, `def select(user):
    user.tags.append("x")
workflow(users = jsonl("u.jsonl", key = "login"), backend = backend("memory"), select = select)`, "u.jsonl", `{"login": "ann", "tags": [{"a": 1}]}`+"\n")
	w := mustLoad(t, o)
	_, _, err := w.Select(context.Background(), rowsOf(t, w)[0])
	if want := `w.star:2:5: select("ann"), u.jsonl:1: append: cannot append to frozen list`; err == nil || err.Error() != want {
		t.Errorf("Select = %v, want %s", err, want)
	}
}

func TestSourcesInAScript(t *testing.T) {
	for _, tt := range []struct{ name, users, want string }{
		{"csv", `csv("u.csv", key = "login")`, "ann bob"},
		{"columns", `csv("n.csv", key = "login", columns = ["login", "team"], delimiter = ";")`, "eve|x dan"},
		{"no quote", `csv("n.csv", key = "login", columns = ["login", "team"], delimiter = ";", quote = None)`, `"eve|x" dan`},
		{"stdin", `csv("-", key = "login")`, "zoe"},
		{"rows of strings", `rows(["a", "b"], key = "login")`, "a b"},
		{"rows of dicts", `rows([{"id": 1}, {"id": 2}], key = "id")`, "1 2"},
		{"rows of a parameter", `rows(param.list("names", default = ["x", "y"]), key = "login")`, "x y"},
		{"concat", `concat(rows(["a"], key = "login"), csv("u.csv", key = "login"))`, "a ann bob"},
		{"jsonl", `jsonl("u.jsonl", key = "login")`, "ann"},

		{"columns in any case", `csv("c.csv", key = "login", any_case = True)`, "ann"},
		{"columns in their own", `csv("c.csv", key = "login", any_case = False)`, `c.csv:1: key: there is no column "login"; did you mean "LOGIN"?`},
		{"a column that may lack", `csv("u.csv", key = "login", types = {"nick": "int"}, may_lack = ["nick"])`, "ann bob"},
		{"a column that may not", `csv("u.csv", key = "login", types = {"nick": "int"})`, `u.csv:1: types: there is no column "nick"; line 1 has to name the columns; set columns= if it does not`},
		{"a file of another kind", `csv("u.csv", key = "mail", others = {"login": "it lists logins: use the other script"})`, `u.csv:1: is the header line of another kind of file: it has "login"; it lists logins: use the other script`},

		{"a delimiter of none", `csv("u.csv", key = "login", delimiter = "")`, `w.star:1:46: csv: delimiter = "" is not one character; write one character, such as ";" or "\t"`},
		{"a delimiter of two", `csv("u.csv", key = "login", delimiter = "::")`, `w.star:1:18: csv: delimiter "::" is not one character`},
		{"a quote of two", `csv("u.csv", key = "login", quote = "''")`, `w.star:1:46: csv: quote = "''" is not one character; write one character, or None`},
		{"a type of none", `csv("u.csv", key = "login", types = {"login": "text"})`, `w.star:1:46: csv: types: "text" of column "login" is no type; write "string", "int", "bool" or "date"`},
		{"a misspelt type", `csv("u.csv", key = "login", types = {"login": "strng"})`, `w.star:1:46: csv: types: "strng" of column "login" is no type; did you mean "string"?`},
		{"an encoding", `csv("u.csv", key = "login", encoding = "utf-9")`, `w.star:1:18: csv: encoding "utf-9" is not one of utf-8, utf-8-sig, latin-1, windows-1252, utf-16, utf-16le, utf-16be, or a known name of the IANA, such as windows-1250, iso-8859-2, koi8-r, shift_jis, euc-kr, gb18030, big5`},
		{"no columns", `csv("u.csv", key = "login", columns = [])`, `w.star:1:46: csv: columns is empty`},
		{"a secret key", `csv("u.csv", key = "login", secrets = ["login"])`, `w.star:1:18: csv: key column "login" cannot be secret; keys stand in plans and reports`},
		{"a column that is not there", `csv("u.csv", key = "logon")`, `u.csv:1: key: there is no column "logon"; did you mean "login"?`},
		{"a list of numbers", `rows([1], key = "login")`, `w.star:1:23: rows: list: want strings or dicts`},
		{"a dict without the key", `rows([{"a": 1}], key = "login")`, `w.star:1:18: rows: key: there is no column "login"; no element has it`},
		{"concat of a file's name", `concat(rows(["a"], key = "login"), "u.csv")`, `w.star:1:18: concat: argument 2: want a source of users such as csv(), got string`},
		{"concat of nothing", `concat()`, `w.star:1:18: concat: there is nothing to put together; give it at least one source`},
		{"concat of different columns", `concat(rows(["a"], key = "id"), csv("u.csv", key = "login"))`, lines(`u.csv: the key is column "login", of rows it is "id"; concat needs the same columns in all`,
			`u.csv: there is no column "id", which rows has; concat needs the same columns in all`,
			`u.csv: column "login", which rows does not have; concat needs the same columns in all`)},
	} {
		t.Run(tt.name, func(t *testing.T) {
			o := script(t, "workflow(users = "+tt.users+", backend = backend(\"memory\"))",
				"u.csv", "login\nann\nbob\n", "n.csv", "\"eve|x\";\"t\"\ndan;u\n", "u.jsonl", "{\"login\": \"ann\"}\n", "c.csv", "LOGIN\nann\n")
			o.Stdin = strings.NewReader("login\nzoe\n")
			got := problems(t, o)
			if got == "" {
				o.Stdin = strings.NewReader("login\nzoe\n")
				var keys []string
				for _, r := range rowsOf(t, mustLoad(t, o)) {
					keys = append(keys, r.Key)
				}
				got = strings.Join(keys, " ")
			}
			if got != tt.want {
				t.Errorf("%s\n got %s\nwant %s", tt.users, got, tt.want)
			}
		})
	}
}

// TestStdinIsReadOnce although Schema and Rows read it.
func TestStdinIsReadOnce(t *testing.T) {
	o := script(t, `workflow(users = csv("-", key = "login"), backend = backend("memory"), select = lambda u: u.team == "x", order_by = ["team"])`)
	o.Stdin = strings.NewReader("login,team\nann,x\nbob,y\n")
	w := mustLoad(t, o)
	for range 2 {
		due := 0
		for _, row := range rowsOf(t, w) {
			if ok, _, err := w.Select(context.Background(), row); err != nil {
				t.Fatal(err)
			} else if ok {
				due++
			}
		}
		if due != 1 {
			t.Errorf("%d due, want 1", due)
		}
	}
	if _, err := w.Users.Schema(context.Background()); err != nil {
		t.Error(err)
	}
	prints, err := source.Fingerprints(context.Background(), w.Users)
	if err != nil || len(prints) != 1 || !prints[0].Stdin {
		t.Errorf("fingerprints = %+v, %v", prints, err)
	}
}
