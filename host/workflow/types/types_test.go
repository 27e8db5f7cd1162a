package types

import (
	"strings"
	"testing"

	"go.starlark.net/starlark"
	"go.starlark.net/syntax"

	"github.com/rekey-host/rekey/host/source"
	"github.com/rekey-host/rekey/host/workflow/lang"
	"github.com/rekey-host/rekey/host/workflow/tree"
	"github.com/rekey-host/rekey/host/workflow/vet"
)

// findings are those of a script whose functions select, wave, rotate and row are
// hooks; each a line, without its file.
func findings(t *testing.T, text string) string {
	t.Helper()
	file := tree.New("w.star", "w.star", []byte(text))
	scope := starlark.StringDict{}
	for _, entry := range lang.New().Entries() {
		if entry.InScope() {
			scope[entry.Name] = starlark.None
		}
	}
	if bad := file.Parse(); bad != nil {
		t.Fatalf("%s\n%v", text, bad)
	}
	if bad := file.Resolve(scope, nil); bad != nil {
		t.Fatalf("%s\n%v", text, bad)
	}
	script := vet.Script{Table: lang.New(), Main: file, Files: map[string]*tree.File{"w.star": file}, Schema: &source.Schema{Columns: []source.Column{{Name: "login", Type: source.String},
		{Name: "age", Type: source.Int}, {Name: "on", Type: source.Bool}, {Name: "hired", Type: source.Date}, {Name: "temporary", Secret: true}, {Name: "more", Type: source.Any}}}}
	for name, hook := range map[string]vet.Hook{"select": {Phase: lang.InSelect, Roles: []string{"user"}}, "wave": {Phase: lang.InWave, Roles: []string{"user"}},
		"rotate": {Phase: lang.InRotate, Roles: []string{"user", "step"}}, "row": {Phase: lang.InRow, Roles: []string{"r"}}} {
		for _, stmt := range file.Tree.Stmts {
			if def, is := stmt.(*syntax.DefStmt); is && def.Name.Name == name {
				hook.At = def.Def
				script.Hooks = append(script.Hooks, hook)
			}
		}
	}
	var lines []string
	for _, problem := range Check(script, []*tree.File{file}) {
		lines = append(lines, strings.TrimPrefix(problem.String(), "w.star:"))
	}
	return strings.Join(lines, "\n")
}

// TestWhatIsCertainlyWrong in the body of a rotate, from line 5 and column 5.
func TestWhatIsCertainlyWrong(t *testing.T) {
	const head = "b = backend(\"memory\")\ndef add(n: int, text: str | None = None) -> int:\n    return n\ndef rotate(user, step):\n    "
	for _, tt := range []struct{ body, want string }{
		{"add(\"x\")", "5:9: add: n is written as an int, and gets a string; give it another value, or the parameter another type"},
		{"add(1, 2)", "5:12: add: text is written as a string, and gets an int; give it another value, or the parameter another type"},
		{"add(1, None)", ""},
		{"add(user.age)", ""},
		{"add(user.more)", ""},
		{"add()", "5:5: add is called without its parameter n; give it, or a default in its def"},
		{"add(1, n = 2)", "5:12: add gets its parameter n twice; give it once"},
		{"add(1, 2, 3)", "5:12: add: text is written as a string, and gets an int; give it another value, or the parameter another type\n5:15: add takes 2 arguments, and gets 3; it takes n, text"},
		{"add(*[1])", ""},
		{"x = add(1) + \"a\"", "5:9: an int + a string makes nothing; write str(x)"},
		{"x = user.login + user.age", "5:9: a string + an int makes nothing; write str(user.age)"},
		{"x = user.login < user.age", "5:9: a string and an int have no order; write int(user.login), if it has digits alone"},
		{"x = user.hired < user.hired", ""},
		{"x = user.hired == user.login", ""},
		{"x = user.age == 1.5", ""},
		{"x = user.age == None", ""},
		{"x = user.on == \"true\"", "5:9: a bool and a string are never equal; make both of one type"},
		{"x = 3 in user.login", "5:9: an int is never in a string; make both of one type"},
		{"x = user.login in 3", "5:9: a string is never in an int; make both of one type"},
		{"x = \"a\" in user", ""},
		{"x = user.age in [\"41\", \"42\"]", "5:9: an int is never in a list of strings; make both of one type"},
		{"x = user.age in [41, \"42\"] or user.login in (\"a\", None)", ""},
		{"y = [1]\n    x = user.login in y", ""},
		{"x = user.login.uper()", "5:20: user.login is a string, and has no .uper; did you mean \"upper\"?"},
		{"x = user.age.year", "5:18: user.age is an int, and has no .year; take it away"},
		{"x = step.try_set(b, user.login, user.temporary)\n    y = x.okk", "6:11: x is a result, and has no .okk; did you mean \"ok\"?"},
		{"x = step.find(b, user.login).sttus", "5:34: this is a struct, and has no .sttus; did you mean \"status\"?"},
		{"x = [].append(1)\n    y = x[0]", "6:9: x is None, and has no elements; give it a value, or ask first: if x != None: …"},
		{"for x in user.login:\n        print(x)", "5:14: user.login is a string, and cannot be gone through; user.login.codepoints() gives its letters, .split(\",\") its parts"},
		{"for x in 3:\n        print(x)", "5:14: this is an int, and cannot be gone through; write range(n)"},
		{"x = [y for y in user.on]", "5:21: user.on is a bool, and cannot be gone through; give it a list"},
		{"x = user.age[0]", "5:9: user.age is an int, and has no elements; leave the brackets away"},
		{"x = add[0]", "5:9: add is a function, and has no elements; call it: add(…)"},
		{"x = user.login[\"a\"]", "5:20: an element of a string is got by a number, and not by a string; give the number of an element, from 0"},
		{"x = user.login()", "5:9: user.login is a string, and no function; leave the () away"},
		{"x = len(user.age)", "5:13: len() does not take an int; write str(user.age)"},
		{"x = \",\".join(user.login)", "5:18: join() does not take a string; user.login.codepoints() gives its letters, .split(\",\") its parts"},
		{"x = user.login.startswith(3)", "5:31: startswith() does not take an int; write str(3)"},
		{"step.set(b, user.age, user.temporary)", "5:17: step.set: account: want string, got int or NoneType; write str(user.age)"},
		{"step.set(b, user.login, user.temporary, must_change = user.login)", ""},
		{"x = user.temporary + \"a\"", "5:9: a secret + a string makes nothing; a secret can be asked whether it is empty, and given to a step"},
		{"x = user.temporary or \"a\"\n    y = x + \"b\"", ""},
		{"x = -user.login", "5:9: user.login is a string, and no number; take - away, or write int(user.login)"},
		{"x = 1\n    x += \"a\"", "6:5: an int += a string makes nothing; write str(x)"},
		{"x = []\n    x += (1, 2)", ""},
		{"x: list[str] = 3", "5:20: x is written as a list of strings, and gets an int; give it another value, or another type"},
		{"x: list[str] = [1]", "5:20: x is written as a list of strings, and gets a list of ints; give it another value, or another type"},
		{"x: sttr = 3", "5:8: there is no type sttr; did you mean \"str\"?"},
		{"x: Optional[int] = 3", "5:8: there is no type Optional; write X | None"},
		{"x: dict[str] = {}", "5:8: dict does not take that in brackets; write dict[key, value]"},
		{"return 3", "5:12: rotate returns an int; return nothing, skip(reason), done() or failed(reason)"},
		{"return skip(\"x\") if user.on else None", ""},
		{"x = struct(a = 1).b", "5:23: this is a struct, and has no .b; it has a"},
		{"x = re.match(\"a\", user.login)\n    y = x[0] + x.start", ""},
		{"x = re.match(\"a\", user.login).star", "5:35: this is a match, and has no .star; did you mean \"start\"?"},
		// What may be right is right.
		{"x = None\n    for y in [1]:\n        x = y\n    z = x + 1", ""},
		{"x = \"a\"\n    if user.on:\n        x = [x]\n    for y in x:\n        print(y)", ""},
		{"x = [1]\n    x.append(\"a\")\n    for y in x:\n        z = y + \"b\"", ""},
		{"x = {}\n    x[\"a\"] = 1\n    y = x[\"a\"] + 1", ""},
		{"x = 3 if user.on else \"a\"\n    y = x + 1", ""},
		{"x, y = 1, \"a\"\n    z = y + 1", ""},
		{"x = json.decode(user.login)\n    y = x[0].a + 1", ""},
		{"x = getattr(user, \"login\") + 1", ""},
		{"x = \"%s\" % user.age + \"a\" * 3", ""},
		{"f = lambda n: n + 1\n    x = f(1) + 1", ""},
	} {
		if got := findings(t, head+tt.body+"\n"); got != tt.want {
			t.Errorf("%s\n got %s\nwant %s", tt.body, got, tt.want)
		}
	}
}

func TestWhatHooksHaveToReturn(t *testing.T) {
	for _, tt := range []struct{ text, want string }{
		{"def select(user):\n    return user.on", ""},
		{"def select(user):\n    return user.login", "2:12: select returns a string; return True, False or skip(reason)"},
		{"def select(user):\n    if user.on:\n        return True", "1:1: select has a path on which it returns nothing; return True, False or skip(reason)"},
		{"def select(user):\n    if user.on:\n        return True\n    fail(\"x\")", ""},
		{"def select(user):\n    if user.on:\n        return True\n    if not user.on:\n        return False", ""},
		{"def select(user):\n    if user.on:\n        return True\n    else:\n        return False", ""},
		{"def select(user):\n    if user.on:\n        return\n    return True", "3:9: select returns nothing here; return True, False or skip(reason)"},
		{"def wave(user):\n    for name in [\"a\"]:\n        if name == user.login:\n            return name", ""},
		{"def wave(user):\n    return user.age", "2:12: wave returns an int; return the name of a wave"},
		{"def wave(user):\n    print(user)", "1:1: wave has a path on which it returns nothing; return the name of a wave"},
		{"def row(r):\n    if r.status == \"done\":\n        return {\"a\": r.user.login}", ""},
		{"def row(r):\n    return [r.code]", "2:12: row returns a list of strings; return a dict, or None to leave the user out"},
		{"def row(r):\n    return {\"a\": r.password + \"x\"}", "2:18: a secret + a string makes nothing; a secret can be asked whether it is empty, and given to a step"},
		{"def row(r):\n    return {\"a\": r.attempts + \"x\"}", "2:18: an int + a string makes nothing; write str(r.attempts)"},
		{"def row(r):\n    return {\"a\": r.passwords[\"x\"], \"b\": r.candidates.get(\"y\"), \"c\": [x for x in r.passwords]}", ""},
		{"def f(a) -> str:\n    if a:\n        return \"a\"", "1:1: f has a path on which it returns nothing; it is written to return a string"},
		{"def f(a) -> str:\n    return 3", "2:12: f returns an int; it is written to return a string"},
		{"def f(a) -> str | None:\n    if a:\n        return \"a\"", ""},
		{"def f(a: int = None):\n    return a", "1:16: a is written as an int, and its default is None; write a: … | None"},
		{"def f(user: User, step: Step):\n    step.verify(user.age + \"x\")", "2:17: an int + a string makes nothing; write str(user.age)"},
		{"def f(x) -> Strng:\n    return x", "1:13: there is no type Strng; see rekey docs types"},
	} {
		if got := findings(t, tt.text+"\n"); got != tt.want {
			t.Errorf("%s\n got %s\nwant %s", tt.text, got, tt.want)
		}
	}
}

// TestEveryTypeOfTheTableIsOne: what the language writes of its names can be read.
func TestEveryTypeOfTheTableIsOne(t *testing.T) {
	known := newNames(lang.New(), nil)
	for _, one := range lang.TypeNames() {
		if one.Value != "" && (known.named(one) == nil || one.Doc == "") {
			t.Errorf("%s is no type, or says nothing", one.Name)
		}
		for _, field := range one.Fields {
			if field.Type != "Any" && known.text(field.Type) == nil {
				t.Errorf("%s.%s: %s is no type", one.Name, field.Name, field.Type)
			}
		}
	}
	for _, entry := range lang.New().Entries() {
		for _, kind := range append([]lang.Kind{entry.Gives}, kindsOf(entry)...) {
			if written := kind.Written(); written != "Any" && known.text(written) == nil {
				t.Errorf("%s: %s is no type", entry.Name, written)
			}
		}
	}
	for _, name := range methodNames() {
		if written := gives(name); written != "" && known.text(written) == nil {
			t.Errorf("%s gives %s, which is no type", name, written)
		}
	}
}

func kindsOf(entry *lang.Entry) (all []lang.Kind) {
	for _, param := range entry.Params {
		all = append(all, param.Kind)
	}
	return all
}

func methodNames() (all []string) {
	for _, of := range []string{tString, tList, tDict, tSet} {
		list, _ := methodsOf(of)
		for _, name := range list {
			all = append(all, of+"."+name)
		}
	}
	return append(all, starlark.Universe.Keys()...)
}
