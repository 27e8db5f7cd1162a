package vet

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/rekey-host/rekey/host/workflow/lang"
)

const sets = "step.set(a, user.login, step.generate())\n"

// TestMistakesInRotate are found in branches that no plan comes by.
func TestMistakesInRotate(t *testing.T) {
	for _, tt := range []struct{ name, body, want string }{
		{"sound", sets, ""},

		// names
		{"a misspelt column", sets + "x = user.logn", `w.star:7:14: the users have no column "logn"; did you mean "login"?`},
		{"a misspelt column by index", sets + `x = user["logn"]`, `w.star:7:14: the users have no column "logn"; did you mean "login"?`},
		{"a column that is computed", sets + `x = user["lo" + "gn"]`, ""},
		{"a misspelt step", "step.sett(a, user.login, 1)", `w.star:6:10: step has no "sett"; did you mean "set"?`},
		{"a user by another name", "u = user\n" + sets + "x = u.logn", `w.star:8:11: the users have no column "logn"; did you mean "login"?`},
		{"a name that is bound twice", "u = user\nu = struct(logn = 1)\n" + sets + "x = u.logn", ""},
		{"a parameter that is assigned to", "user = struct(logn = 1)\nx = user.logn", ""},
		{"in a loop", "for user in []:\n    x = user.logn\n" + sets, ""},
		{"a name of the language that is not there", sets + "x = re.seek(\"a\", \"b\")", `w.star:7:12: re has no "seek"`},
		{"a function that comes later", "x = report.letters(\"a\")", "w.star:6:9: report.letters comes later; until then use report.csv() and a mail merge"},
		{"a source in a hook", "x = csv(\"a\", key = \"b\")", "w.star:6:9: csv cannot be used in rotate; make it at top level and give it a name"},

		// secrets
		{"a secret that is compared", sets + `x = user.temporary == "x"`, "w.star:7:9: a secret cannot be compared; ask only whether it is empty: if user.temporary: …"},
		{"a secret on the right", sets + `x = "x" in user["temporary"]`, "w.star:7:16: a secret cannot be compared; ask only whether it is empty: if password: …"},
		{"a generated one", "p = step.generate()\nx = p != \"\"", "w.star:7:9: a secret cannot be compared; ask only whether it is empty: if p: …"},
		{"with None", "p = step.reset(a, user.login)\nx = p == None", ""},

		// days
		{"a day and a text", sets + `x = user.hired < "2020-01-01"`, `w.star:7:9: column "hired" is a date, and is compared with a text; write str(user.hired), which is 2006-01-02, or use its .year, .month and .day`},
		{"a day and a day", sets + "x = user.hired < user.hired", ""},

		// results
		{"what a step gives", "if step.set(a, user.login, step.generate()):\n    pass", "w.star:6:8: the step gives None: if it is not applied, that fails the user; use its twin with try_ to look at .ok"},
		{"not what a step gives", "x = not step.unlock(a, user.login)", "w.star:6:13: the step gives None"},
		{"an attribute of it", "x = step.set(a, user.login, step.generate())\ny = x.code", "w.star:7:11: the step gives None: if it is not applied, that fails the user; use its twin with try_ to look at .code"},
		{"of the twin", "x = step.try_set(a, user.login, step.generate())\ny = x.code", ""},

		// arguments
		{"missing", "step.set(a, user.login)", "w.star:6:5: step.set: value is missing; value: the password"},
		{"two are missing", "step.set(a)", "w.star:6:5: step.set: account is missing; account: which account\nw.star:6:5: step.set: value is missing; value: the password"},
		{"an unknown one", sets + `step.verify(a, user.login, step.generate(), knd = "x")`, `w.star:7:49: step.verify: there is no argument "knd"; did you mean "kind"?`},
		{"too many", "step.unlock(a, user.login, 1)", "w.star:6:32: step.unlock: 3 arguments, want at most 2"},
		{"*args are not seen", "step.unlock(*[a])", ""},
		{"another type", "step.set(a, 7, step.generate())", "w.star:6:17: step.set: account: want string, got int"},
		{"another type by name", "step.set(a, account = True, value = step.generate())", "w.star:6:27: step.set: account: want string, got bool"},
		{"None for what is optional", "step.set(a, user.login, step.generate(), must_change = None)", ""},
		{"None for what is required", "step.set(a, None, step.generate())", "w.star:6:17: step.set: account: want string, got NoneType"},

		// backends
		{"a step that it cannot do", "step.reset(b, user.login, kind = \"sip\")", `w.star:6:5: step.reset: backend "b" (phones) cannot reset`},
		{"the twin of one", "step.try_change(c, user.login, old = user.temporary, new = step.generate())", `w.star:6:5: step.try_change: backend "c" (hashes) cannot change`},
		{"no kind where it has several", "step.set(b, user.login, step.generate())", `w.star:6:5: step.set: backend "b" has no credential of kind ""; it has sip, voicemail`},
		{"a misspelt kind", `step.set(b, user.login, step.generate(), kind = "spi")`, `w.star:6:53: step.set: backend "b" has no credential of kind "spi"; did you mean "sip"?`},
		{"a kind where it has one", `step.set(a, user.login, step.generate(), kind = "sip")`, `w.star:6:53: step.set: backend "a" has no credential of kind "sip"; it has only one, without a kind`},
		{"a kind that is computed", `step.set(b, user.login, step.generate(), kind = user.team)`, ""},
		{"a form of hashes", `step.set(c, user.login, user.temporary, hash_format = "sha512")`, `w.star:6:59: step.set: backend "c" takes no hash of the form "sha512"`},
		{"hashes where there are none", `step.set(a, user.login, user.temporary, hash_format = "md5")`, `w.star:6:59: step.set: backend "a" takes no hash of the form "md5"; it takes nothing`},
		{"a change at the next logon that cannot be asked for", `step.set(c, user.login, user.temporary, must_change = True)`, `w.star:6:59: step.set: must_change: backend "c" (hashes) cannot ask for a change at the next logon`},
		{"a change at the next logon that is not wanted", `step.set(c, user.login, user.temporary, must_change = False)`, ""},
		{"a change at the next logon of which nothing is said", `step.set(a, user.login, user.temporary, must_change = True)`, ""},
		{"an option", `step.set(a, user.login, step.generate(), options = {"plan": True})`, `w.star:6:57: step.set: backend "a" has no option "plan"; did you mean "plain"?`},
		{"an option where there are none", `step.set(c, user.login, step.generate(), options = {"plain": True})`, `w.star:6:57: step.set: backend "c" has no option "plain"`},
		{"a backend that is not seen", "step.reset(user.target, user.login)", `w.star:6:21: the users have no column "target"`},
		{"a backend in a parameter", "def inner(target):\n    step.reset(target, user.login)\ninner(b)", ""},
		{"a generated kind", `x = step.generate(kind = "fax")`, `w.star:6:30: step.generate: backend "b" has no credential of kind "fax"; it has sip, voicemail`},
		{"a generated kind of targets", `x = step.generate(kind = "fax", targets = [a])`, ""},
		{"a generator", `x = step.generate(generator = b)`, `w.star:6:9: step.generate: backend "b" has no credential of kind ""; it has sip, voicemail`},

		// functions
		{"in a function", "def inner(who):\n    return who.logn\n" + sets + "inner(user)", `w.star:7:20: the users have no column "logn"; did you mean "login"?`},
		{"in a function by name", "def inner(x, who):\n    return who.logn\n" + sets + "inner(who = user, x = 1)", `w.star:7:20: the users have no column "logn"; did you mean "login"?`},
		{"in what it captures", "def inner():\n    return user.logn\n" + sets + "inner()", `w.star:7:21: the users have no column "logn"; did you mean "login"?`},
		{"in a function that gets another", "def inner(who):\n    return who.logn\n" + sets + "inner(struct(logn = 1))", ""},
		{"in a lambda", sets + "inner = lambda who: who.logn\nx = inner(user)", `w.star:7:29: the users have no column "logn"; did you mean "login"?`},
		{"told once", "def inner(who):\n    return who.logn\n" + sets + "inner(user)\ninner(user)", `w.star:7:20: the users have no column "logn"; did you mean "login"?`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := shown(Check(scriptOf(t, rotateOf(tt.body))).Problems)
			if tt.want == "" && got != "" || !strings.HasPrefix(got, tt.want) || strings.Count(got, "\n") != strings.Count(tt.want, "\n") {
				t.Errorf("%s\n got %s\nwant %s", tt.body, got, tt.want)
			}
		})
	}
}

func TestMistakesInOtherHooks(t *testing.T) {
	for _, tt := range []struct{ name, text, want string }{
		{"a wave that is not there", "def wave(user):\n    return \"cannary\"\n", `w.star:6:12: there is no wave "cannary"; did you mean "canary"?`},
		{"in a branch", "def wave(user):\n    return (\"all\" if user.team else \"late\")\n", `w.star:6:37: there is no wave "late"; it has "canary" or "all"`},
		{"of an inner function", "def wave(user):\n    def inner():\n        return \"late\"\n    return \"all\"\n", ""},
		{"a step in select", "def select(user):\n    return done()\n", "w.star:6:12: done cannot be used in select; use it in rotate"},
		{"skip in select", "def select(user):\n    return skip(\"no\")\n", ""},
		{"a misspelt attribute of a row", "def row(r):\n    return {\"p\": r.pasword}\n", `w.star:6:20: r has no "pasword"; did you mean "password"?`},
		{"a misspelt column of a row's user", "def row(r):\n    return {\"p\": r.user.logn}\n", `w.star:6:25: the users have no column "logn"; did you mean "login"?`},
		{"a password that is compared", "def row(r):\n    return {\"p\": r.password == \"x\"}\n", "w.star:6:18: a secret cannot be compared; ask only whether it is empty: if r.password: …"},
		{"skip in a row", "def row(r):\n    return skip(\"x\")\n", "w.star:6:12: skip cannot be used in row; use it in select, rotate"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := shown(Check(scriptOf(t, head+tt.text)).Problems); got != tt.want {
				t.Errorf("%s\n got %s\nwant %s", tt.text, got, tt.want)
			}
		})
	}
}

// TestNothingIsSaidOfWhatIsNotKnown: columns of a source that cannot be read,
// waves whose names come from the command line.
func TestNothingIsSaidOfWhatIsNotKnown(t *testing.T) {
	s := scriptOf(t, head+"def wave(user):\n    return user.anything + \"x\" if user.temporary == 1 else \"late\"\n")
	s.Schema, s.Waves = nil, nil
	s.OrderBy = []string{"bicycle"}
	if got := shown(Check(s).Problems); got != "" {
		t.Error(got)
	}
}

func TestOrderByNamesColumns(t *testing.T) {
	for _, tt := range []struct{ name, text, want string }{
		{"team", "workflow(order_by = [\"team\"])\n", ""},
		{"-team", "workflow(order_by = [\"-team\"])\n", ""},
		{"-taem", "workflow(order_by = [\"-taem\"])\n", `w.star:5:10: order_by: the users have no column "taem"; did you mean "team"?`},
		{"taem", "workflow(order_by = [\"taem\"])\n", `w.star:5:10: order_by: the users have no column "taem"; did you mean "team"?`},
		{"temporary", "workflow(order_by = [\"temporary\"])\n", `w.star:5:10: order_by: column "temporary" is secret; order by another column`},
		{"taem", "kw = 1\n", `w.star: order_by: the users have no column "taem"; did you mean "team"?`},
	} {
		s := scriptOf(t, head+tt.text)
		s.OrderBy = []string{tt.name}
		if got := shown(Check(s).Problems); got != tt.want {
			t.Errorf("%s: %s, want %s", tt.name, got, tt.want)
		}
	}
}

// TestPasswordsThatAreNoSecret stand in the ledger in clear; which columns they
// come from, and as what, is told to who asks.
func TestPasswordsThatAreNoSecret(t *testing.T) {
	clear := `w.star:6:29: step.set: column "team" is used as a password and is not among secrets: it stands in the ledger in clear; add secrets = ["team"] to the source`
	text := `w.star:6:29: step.set: a text of the script or of a parameter is used as a password: it stands in the ledger in clear, and is the same for everybody; use step.generate(), or a column that secrets = names`
	for _, tt := range []struct {
		name, body, want string
		given, used      []string
		forms            map[string]string
	}{
		{"generated", "step.set(a, user.login, step.generate())", "", nil, nil, nil},
		{"a secret column", "step.set(a, user.login, user.temporary)", "", []string{"temporary"}, []string{"temporary"}, map[string]string{"temporary": ""}},
		{"a clear column", "step.set(a, user.login, user.team)", clear, []string{"team"}, []string{"team"}, map[string]string{"team": ""}},
		{"in brackets", "step.set(a, user.login, (user.team))", clear, []string{"team"}, []string{"team"}, map[string]string{"team": ""}},
		{"a part of it", "step.set(a, user.login, \"Init-\" + user.team)", clear, nil, []string{"team"}, nil},
		{"formatted", "step.set(a, user.login, \"%s-1\" % user.team)", clear, nil, []string{"team"}, nil},
		{"a text", "step.set(a, user.login, \"Init-1\")", text, nil, nil, nil},
		{"a text with a name", "step.set(a, user.login, word)", text, nil, nil, nil},
		{"no text", "step.set(a, user.login, a)", "", nil, nil, nil},
		{"one or the other", "step.set(a, user.login, user.temporary or step.generate())", "", []string{"temporary"}, []string{"temporary"}, map[string]string{"temporary": ""}},
		{"a hash", "step.set(c, user.login, user.temporary, hash_format = \"sha512-crypt\")", "", []string{"temporary"}, []string{"temporary"}, map[string]string{"temporary": "sha512-crypt"}},
		{"a hash of some form", "step.set(a, user.login, user.temporary, hash_format = user.team)", "", []string{"temporary"}, []string{"temporary"}, map[string]string{"temporary": "mixed"}},
		{"a hash and none", "step.set(a, user.login, user.temporary)\nstep.set(c, user.login, user.temporary, hash_format = \"sha512-crypt\")", "", []string{"temporary"}, []string{"temporary"}, map[string]string{"temporary": "mixed"}},
		{"an old one", "step.change(a, user.login, old = user.temporary, new = step.generate())", "", nil, []string{"temporary"}, map[string]string{"temporary": ""}},
		{"one that is verified", "step.verify(a, user.login, user.temporary)", "", nil, []string{"temporary"}, map[string]string{"temporary": ""}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := Check(scriptOf(t, rotateOf(tt.body)))
			if w := shown(got.Warnings); w != tt.want {
				t.Errorf("warned of %s, want %s", w, tt.want)
			}
			if diff := cmp.Diff([]any{tt.given, tt.used, tt.forms}, []any{got.Given, got.Used, got.Forms}); diff != "" {
				t.Errorf("given, used and forms (-want +got):\n%s", diff)
			}
		})
	}
}

// chain is functions each of which calls the one before twice.
func chain(depth int, first, call string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "def f0(user, step):\n    %s\n", first)
	for i := 1; i <= depth; i++ {
		fmt.Fprintf(&b, "def f%d(user, step):\n    %s\n", i, strings.ReplaceAll(call, "F", fmt.Sprintf("f%d(user, step)", i-1)))
	}
	return b.String()
}

// TestChecksTakeTimeWithTheText, not with the ways through it.
func TestChecksTakeTimeWithTheText(t *testing.T) {
	const depth = 60
	for name, text := range map[string]string{
		"looks":    chain(depth, "step.find(a, user.login)", "F\n    F") + fmt.Sprintf("def rotate(user, step):\n    f%d(user, step)\n", depth),
		"verdicts": chain(depth, "return 1", "return F or F") + fmt.Sprintf("def rotate(user, step):\n    f%d(user, step)\n", depth),
		"names":    "def rotate(user, step):\n    p = user.temporary\n" + strings.Repeat("    p = p or p or p or p\n", depth) + "    step.set(a, user.login, p)\n",
	} {
		t.Run(name, func(t *testing.T) {
			s := scriptOf(t, head+text)
			ended := make(chan bool)
			go func() {
				defer close(ended)
				Check(s)
				Discarded(s.Main)
				Shadowed(lang.New(), s.Main)
			}()
			select {
			case <-ended:
			case <-time.After(20 * time.Second):
				t.Fatal("the checks do not end")
			}
		})
	}
}
