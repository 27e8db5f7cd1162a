package workflow

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/rekey-host/rekey/host/diag"
	"github.com/rekey-host/rekey/host/journal"
	"github.com/rekey-host/rekey/host/report"
	"github.com/rekey-host/rekey/host/source"
	"github.com/rekey-host/rekey/sdk"
	"github.com/rekey-host/rekey/sdk/secret"
)

// withSecret loads a workflow whose select is the given body, for one user ann
// whose temporary password is the canary.
func withSecret(t *testing.T, body string) (*Workflow, source.Row, *printed) {
	t.Helper()
	out := &printed{}
	o := script(t, "target = backend(\"memory\")\ndef select(user):\n    s = user.temporary if True else None\n    t = user[\"temporary\"] if True else None\n    "+
		strings.ReplaceAll(body, "\n", "\n    ")+
		"\n    return True\nworkflow(users = csv(\"u.csv\", key = \"login\", secrets = [\"temporary\", \"spare\"], optional = [\"spare\"], quote = None), backend = target, select = select)",
		"u.csv", "login,temporary,spare\nann,"+canary+",\n")
	o.Print = out
	w := mustLoad(t, o)
	return w, rowsOf(t, w)[0], out
}

// leaks reports the forms of the canary that a text holds.
func leaks(text string) []string {
	var found []string
	for _, form := range []string{canary, fmt.Sprintf("%q", canary), strings.Trim(fmt.Sprintf("%q", canary), `"`), "%y é", `\n%y`} {
		if strings.Contains(text, form) {
			found = append(found, form)
		}
	}
	return found
}

// TestASecretIsOpaque asks a secret everything that the language can ask.
func TestASecretIsOpaque(t *testing.T) {
	const opaque = "a secret can only be tested for being empty (if password: …) and given to a step"
	for _, tt := range []struct{ expr, shown, wrong string }{
		{`str(s)`, "[redacted]", ""},
		{`repr(s)`, "[redacted]", ""},
		{`"%s" % s`, "[redacted]", ""},
		{`"%r" % s`, "[redacted]", ""},
		{`"%s %s" % (s, [s])`, "[redacted] [[redacted]]", ""},
		{`"{}".format(s)`, "[redacted]", ""},
		{`"{!r}".format(s)`, "[redacted]", ""},
		{`str([s, (s,), {"a": s}])`, `[[redacted], ([redacted],), {"a": [redacted]}]`, ""},
		{`str(struct(a = s))`, "struct(a = [redacted])", ""},
		{`str(user)`, `user(login = "ann", temporary = [redacted], spare = [redacted])`, ""},
		{`type(s)`, "secret", ""},
		{`bool(s)`, "True", ""},
		{`not s`, "False", ""},
		{`bool(user.spare)`, "False", ""},
		{`"yes" if s and not user.spare else "no"`, "yes", ""},
		{`dir(s)`, "[]", ""},
		{`hasattr(s, "text")`, "False", ""},
		{`len(s)`, "", "value of type secret has no len"},
		{`s[0]`, "", "unhandled index operation secret[int]"},
		{`s[1:]`, "", "invalid slice operand secret"},
		{`s + "x"`, "", opaque},
		{`"x" + s`, "", opaque},
		{`s + t`, "", opaque},
		{`s * 2`, "", opaque},
		{`s % 2`, "", opaque},
		{`-s`, "", opaque},
		{`s == t`, "", opaque},
		{`s != t`, "", opaque},
		{`s < t`, "", opaque},
		{`[s] == [t]`, "", opaque},
		{`(1, s) == (1, t)`, "", opaque},
		{`{"a": s} == {"a": t}`, "", opaque},
		{`struct(a = s) == struct(a = t)`, "", opaque},
		{`s in [t]`, "", opaque},
		{`[t].index(s)`, "", "index: " + opaque},
		{`max([s, t])`, "", opaque},
		{`sorted([s, t])`, "", opaque},
		{`hash(s)`, "", "hash: got secret, want string or bytes"},
		{`{s: 1}`, "", opaque},
		{`set([s])`, "", opaque},
		{`{}.get(s)`, "", "get: " + opaque},
		{`list(s)`, "", "list: for parameter 1: got secret, want iterable"},
		{`[c for c in s]`, "", "secret value is not iterable"},
		{`"".join([s])`, "", "join: in list, want string, got secret"},
		{`"a".replace("a", s)`, "", "replace: for parameter 2: got secret, want string"},
		{`int(s)`, "", "int: cannot convert secret to int"},
		{`bytes(s)`, "", "bytes: got secret, want string, bytes, or iterable of ints"},
		{`s.text`, "", "secret has no .text field or method"},
		{`getattr(s, "v", "none")`, "none", ""},
		{`json.encode(s)`, "", "json.encode: a secret cannot be used here"},
		{`json.encode({"a": [s]})`, "", `json.encode: "a": element 1: a secret cannot be used here`},
		{`json.encode(user)`, "", `json.encode: "temporary": a secret cannot be used here`},
		{`json.decode(s)`, "", "json.decode: text: want string, got secret"},
		{`re.match("c", s)`, "", "re.match: text: want string, got secret"},
		{`skip(s)`, "", "skip: reason: want string, got secret"},
		{`fail(s)`, "", "fail: [redacted]"},
		{`{"a": 1}[s]`, "", opaque},
		{`user[s]`, "", "user[secret]: want the name of a column"},
	} {
		t.Run(tt.expr, func(t *testing.T) {
			w, row, out := withSecret(t, "x = "+tt.expr+"\nprint(x)")
			_, _, err := w.Select(context.Background(), row)
			got, wrong := strings.TrimSpace(out.String()), ""
			if err != nil {
				wrong = err.Error()
			}
			if want := "w.star:6: " + tt.shown; tt.wrong == "" && got != want {
				t.Errorf("printed %q, want %q; %v", got, want, err)
			}
			if tt.wrong != "" && !strings.Contains(wrong, ": "+tt.wrong) || tt.wrong == "" && wrong != "" {
				t.Errorf("error %q, want %q", wrong, tt.wrong)
			}
			if found := leaks(got + wrong); found != nil {
				t.Errorf("the secret shows: %q", found)
			}
		})
	}
}

// TestAFaultShowsNoSecret looks at what a hook that fails leaves behind.
func TestAFaultShowsNoSecret(t *testing.T) {
	for _, body := range []string{`fail("no", user.temporary)`, `"x" + user.temporary`, `{}[user.temporary]`, `step.set(target, user.login)`, `step.set(target, user.temporary, "x")`,
		`step.set(target, user.login, [user.temporary])`, `step.set(target, user.login, user.temporary, options = {"a": user.temporary})`} {
		o := script(t, "target = backend(\"memory\")\ndef rotate(user, step):\n    f = lambda s: s\n    s = [f][0](step)\n    x = "+strings.ReplaceAll(body, "step.", "s.")+
			"\nworkflow(users = csv(\"u.csv\", key = \"login\", secrets = [\"temporary\"], quote = None), rotate = rotate)", "u.csv", "login,temporary\nann,"+canary+"\n")
		w := mustLoad(t, o)
		v := w.rotate(context.Background(), rowsOf(t, w)[0], &fakeSteps{})
		if v.Kind != journal.Raised || v.Fault.Code != journal.ScriptError {
			t.Errorf("%s: %s", body, said(v))
		}
		if found := leaks(v.Fault.Message + v.Fault.Backtrace + v.Fault.Error()); found != nil {
			t.Errorf("%s: the secret shows: %q", body, found)
		}
	}
}

func TestStepsGetTheSecretsOfTheRow(t *testing.T) {
	o := script(t, `target = backend("memory")
def rotate(user, step):
    new = step.generate()
    print("new", new, user.temporary, user)
    step.change(target, user.login, old = user.temporary, new = new)
workflow(users = csv("u.csv", key = "login", secrets = ["temporary"], quote = None), rotate = rotate)`, "u.csv", "login,temporary\nann,"+canary+"\n")
	out := &printed{}
	o.Print = out
	w := mustLoad(t, o)
	f := &fakeSteps{}
	if v := w.rotate(context.Background(), rowsOf(t, w)[0], f); v.Kind != journal.Returned {
		t.Fatal(said(v))
	}
	if want := "change memory ann old=" + canary + " value=value-1"; len(f.calls) != 2 || f.calls[1] != want {
		t.Errorf("calls = %q, want %q", f.calls, want)
	}
	if got, want := out.String(), "w.star:4: new [redacted] [redacted] user(login = \"ann\", temporary = [redacted])\n"; got != want {
		t.Errorf("printed %q, want %q", got, want)
	}
}

// TestAReferenceIsNeverRead: secret.X() only says where a secret is.
func TestAReferenceIsNeverRead(t *testing.T) {
	t.Setenv("CLOUD_PASSWORD", canary)
	o := script(t, `print(secret.env("CLOUD_PASSWORD"), repr(secret.file("pw")), [secret.prompt("x")])
x = json.encode([secret.env("CLOUD_PASSWORD")])`+tail, "pw", canary)
	out := &printed{}
	o.Print = out
	if got, want := problems(t, o), "w.star:2:5: json.encode: element 1: a secret reference cannot be used here"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if got, want := out.String(), "w.star:1: secret.env(CLOUD_PASSWORD) secret.file(pw) [secret.prompt(x)]\n"; got != want {
		t.Errorf("printed %q, want %q", got, want)
	}
}

// TestReportRowsHoldSecretsOnlyAsSecrets: a row function cannot turn a
// password into text.
func TestReportRowsHoldSecretsOnlyAsSecrets(t *testing.T) {
	for _, tt := range []struct{ row, wrong string }{
		{`{"login": r.user.login, "password": r.password, "all": [r.password], "old": r.user.temporary}`, ""},
		{`{"password": "pw: " + r.password}`, "a secret can only be tested"},
		{`{"password": json.encode(r.password)}`, "a secret cannot be used here"},
		{`{r.password: 1}`, "a secret can only be tested"},
	} {
		o := script(t, `workflow(users = csv("u.csv", key = "login", secrets = ["temporary"], quote = None), backend = backend("memory"), reports = [report.csv("p.csv", row = lambda r: `+tt.row+`)])`,
			"u.csv", "login,temporary\nann,"+canary+"\n")
		w := mustLoad(t, o)
		password := secret.New(canary)
		row, include, err := w.ReportRow(context.Background(), 0, &report.Result{Row: rowsOf(t, w)[0], Status: "done", Password: &password})
		if tt.wrong != "" {
			var list *diag.Problems
			if !errors.As(err, &list) || !strings.Contains(err.Error(), tt.wrong) || leaks(err.Error()) != nil {
				t.Errorf("%s: %v, want %s", tt.row, err, tt.wrong)
			}
			continue
		}
		if err != nil || !include {
			t.Fatalf("%s: %v", tt.row, err)
		}
		if found := leaks(fmt.Sprintf("%v %+v %#v", row, row, row)); found != nil {
			t.Errorf("a row shows the secret: %q", found)
		}
		if v, ok := row[1].Value.(secret.Value); !ok || v.Reveal() != canary {
			t.Errorf("column password = %v, want the secret", row[1].Value)
		}
	}
}

func TestPrint(t *testing.T) {
	for _, tt := range []struct{ name, text, want string }{
		{"the place", `print("a", 1, sep = "-")`, "w.star:1: a-1\n"},
		{"several lines", `print("a\nb")`, "w.star:1: a\nw.star:1: b\n"},
		{"what a terminal would obey", `print("a\x1b[31m\tb\r")`, "w.star:1: a\\x1b[31m\tb\\x0d\n"},
		{"a long text", `print("é" * 5000)`, "w.star:1: " + strings.Repeat("é", 2048) + "…\n"},
		{"by a builtin", `x = sorted(["b", "a"], key = lambda v: print(v) or v)`, "w.star:1: b\nw.star:1: a\n"},
		{"as a callback", `x = [print] and sorted(["b"], key = print)`, "w.star:1: b\n"},
		{"in a module", "load(\"lib/m.star\", \"f\")\nf()", "lib/m.star:2: hello\n"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			o := script(t, tt.text+tail, "lib/m.star", "def f():\n    print(\"hello\")\n")
			out := &printed{}
			o.Print = out
			mustLoad(t, o)
			if got := out.String(); got != tt.want {
				t.Errorf("printed %q, want %q", got, tt.want)
			}
		})
	}
}

func TestPrintEndsAtItsLimit(t *testing.T) {
	o := script(t, "def f():\n    for i in range(100):\n        print(i)\nf()"+tail)
	out := &printed{}
	o.Print, o.Limits.PrintLine = out, 2
	mustLoad(t, o)
	if got, want := out.String(), "w.star:3: 0\nw.star:3: 1\nw.star:3: more output of print is left out\n"; got != want {
		t.Errorf("printed %q, want %q", got, want)
	}
}

// TestAnOptionalSecretThatIsEmptyReachesTheEngine, which refuses it.
func TestAnOptionalSecretThatIsEmptyReachesTheEngine(t *testing.T) {
	o := script(t, `target = backend("memory")
workflow(users = csv("u.csv", key = "login", secrets = ["pw"], optional = ["pw"]), rotate = lambda user, step: step.set(target, user.login, user.pw))`, "u.csv", "login,pw\nann,\n")
	w := mustLoad(t, o)
	f := &fakeSteps{faults: map[string]error{"set": &journal.Fault{Code: sdk.InvalidOperation, Message: "the value is empty"}}}
	if got, want := said(w.rotate(context.Background(), rowsOf(t, w)[0], f)), "raised: InvalidOperation: the value is empty"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}
