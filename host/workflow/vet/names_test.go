package vet

import (
	"testing"

	"github.com/rekey-host/rekey/host/workflow/lang"
)

func TestNamesThatHideTheLanguages(t *testing.T) {
	for _, tt := range []struct{ name, text, want string }{
		{"bound to what it makes", "policy = policy(length = 20)", "w.star:1:1: policy is a builtin; call yours password_policy"},
		{"used before", "x = csv\ncsv = 1", "w.star:2:1: csv is a builtin; call yours accounts"},
		{"called though it is a value", "backend = 1\nx = backend(\"memory\")", "w.star:1:1: backend is a builtin; call yours target"},
		{"looked into though it is a value", "param = 1\nx = param.int(\"n\")", "w.star:1:1: param is a builtin; call yours setting"},
		{"one of several", "x, report = 1, report.summary()", "w.star:1:4: report is a builtin; call yours passwords_report"},
		{"never used", "csv = 1", ""},
		{"a def of one's own", "def skip(x):\n    return x\ny = skip(1)", ""},
		{"a hook", "def select(user):\n    return True\nx = select", ""},
		{"in a function", "def f():\n    json = json.encode(1)\n    return json", "w.star:2:5: json is a builtin; call yours data"},
		{"in a function, bound before", "def f():\n    json = {}\n    json = json.get(\"a\")\n    return json", ""},
		{"a parameter", "def f(json):\n    json = json.get(\"a\")\n    return json", ""},
		{"another's attribute", "def f(x):\n    json = x.json\n    return json", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := shown(Shadowed(lang.New(), parsed(t, tt.text+"\n"))); got != tt.want {
				t.Errorf("%s\n got %s\nwant %s", tt.text, got, tt.want)
			}
		})
	}
}

func TestVerdictsThatNobodyLooksAt(t *testing.T) {
	for _, tt := range []struct{ name, text, want string }{
		{"returned", "return failed(\"x\")", ""},
		{"failed", "failed(\"x\")", `w.star:2:5: the result of failed() is thrown away, so it says nothing; write return failed(…)`},
		{"skip", "skip(\"x\")", `w.star:2:5: the result of skip() is thrown away, so it says nothing; write return skip(…)`},
		{"done in brackets", "(done())", `w.star:2:6: the result of done() is thrown away, so it says nothing; write return done(…)`},
		{"in a condition", "done() if user else skip(\"x\")", "w.star:2:5: the result of done() is thrown away, so it says nothing; write return done(…)\nw.star:2:25: the result of skip() is thrown away, so it says nothing; write return skip(…)"},
		{"after or", "user or done()", "w.star:2:13: the result of done() is thrown away, so it says nothing; write return done(…)"},
		{"in a list", "[done(), 1]", "w.star:2:6: the result of done() is thrown away, so it says nothing; write return done(…)"},
		{"in a comprehension", "[done() for x in user]", "w.star:2:6: the result of done() is thrown away, so it says nothing; write return done(…)"},
		{"kept", "x = done()", ""},
		{"a step", "step.set(user, 1, 2)", ""},
		{"a try_ step", "step.try_set(user, 1, 2)", `w.star:2:5: the result of step.try_set() is thrown away; look at its .ok, or use step.set(), which fails the user`},
		{"looked at", "x = step.try_set(user, 1, 2).ok", ""},
		{"a function's", "helper()", `w.star:2:5: the result of helper() is thrown away, and it may be that of done(); write return helper(…), or look at what it returns`},
		{"a function's function's", "outer()", `w.star:2:5: the result of outer() is thrown away, and it may be that of done(); write return outer(…), or look at what it returns`},
		{"a lambda's", "short()", `w.star:2:5: the result of short() is thrown away, and it may be that of failed(); write return short(…), or look at what it returns`},
		{"of a function that gives none", "plain()", ""},
		{"of one that calls itself", "again()", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			text := "def rotate(user, step):\n    " + tt.text + "\ndef helper():\n    if True:\n        return 1\n    return done() if helper else None\n" +
				"def outer():\n    return helper()\nshort = lambda: failed(\"x\")\ndef plain():\n    def inner():\n        return done()\n    return 1\ndef again():\n    return again()\n"
			if got := shown(Discarded(parsed(t, text))); got != tt.want {
				t.Errorf("%s\n got %s\nwant %s", tt.text, got, tt.want)
			}
		})
	}
}
