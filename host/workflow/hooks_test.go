package workflow

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/rekey-host/rekey/host/diag"
	"github.com/rekey-host/rekey/host/engine"
	"github.com/rekey-host/rekey/host/journal"
	"github.com/rekey-host/rekey/sdk"
	"github.com/rekey-host/rekey/sdk/secret"
)

// staff is a workflow for ann of it-ops and bob of sales.
func staff(t testing.TB, text string) *Workflow {
	t.Helper()
	return mustLoad(t, script(t, "target = backend(\"memory\")\ndirectory = backend(\"ldap\", url = \"ldaps://ds\")\nphone = backend(\"phones\")\nusers = csv(\"u.csv\", key = \"login\", secrets = [\"temporary\"])\n"+text,
		"u.csv", "login,temporary,team\nann,old-a,it-ops\nbob,old-b,sales\n"))
}

func TestSelect(t *testing.T) {
	for _, tt := range []struct{ name, hook, ann, bob string }{
		{"none", "None", "due", "due"},
		{"a column", `lambda user: user.team == "sales"`, "not due", "due"},
		{"any name", `lambda who: who.team == "sales"`, "not due", "due"},
		{"no parameter", `lambda: True`, "due", "due"},
		{"a reason", `lambda user: skip("freeze: " + user.team) if user.team == "sales" else True`, "due", "not due: freeze: sales"},
		{"nothing returned", `lambda user: None`, `w.star:5:52: select("ann"), u.csv:2: it returned NoneType; return True, False or skip(reason)`, `w.star:5:52: select("bob"), u.csv:3: it returned NoneType; return True, False or skip(reason)`},
		{"a text", `lambda user: user.team`, `w.star:5:52: select("ann"), u.csv:2: it returned string; return True, False or skip(reason)`, `w.star:5:52: select("bob"), u.csv:3: it returned string; return True, False or skip(reason)`},
		{"an error", `lambda user: 1 // (len(user.team) - 5) == 0`, `not due`, `w.star:5:67: select("bob"), u.csv:3: floored division by zero`},
		{"a column that its name hides", `lambda user: getattr(user, "tean") == "x"`, `w.star:5:65: select("ann"), u.csv:2: getattr: the users have no column "tean"; did you mean "team"?`, `w.star:5:65: select("bob"), u.csv:3: getattr: the users have no column "tean"; did you mean "team"?`},
		{"a long reason", `lambda user: skip("é" * 5000)`, "not due: " + strings.Repeat("é", 2048) + "…", "not due: " + strings.Repeat("é", 2048) + "…"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := staff(t, "workflow(users = users, backend = target, select = "+tt.hook+")")
			for i, want := range []string{tt.ann, tt.bob} {
				due, reason, err := w.Select(context.Background(), rowsOf(t, w)[i])
				got := map[bool]string{true: "due", false: "not due"}[due]
				if reason != "" {
					got += ": " + reason
				}
				if err != nil {
					var list *diag.Problems
					if !errors.As(err, &list) {
						t.Errorf("the error is %T, want *diag.Problems", err)
					}
					got = err.Error()
				}
				if got != want {
					t.Errorf("got %s, want %s", got, want)
				}
			}
		})
	}
}

func TestWave(t *testing.T) {
	for _, tt := range []struct{ name, args, ann, bob string }{
		{"none", "", "all", "all"},
		{"two", `, wave = lambda u: "canary" if u.team == "it-ops" else "all", waves = {"canary": wave_rule(), "all": wave_rule()}`, "canary", "all"},
		{"misspelt", `, wave = lambda u: "canray"[:] if u.team == "it-ops" else "all", waves = {"canary": wave_rule(), "all": wave_rule()}`,
			`w.star:5:50: wave("ann"), u.csv:2: there is no wave "canray"; did you mean "canary"?`, "all"},
		{"strange", `, wave = lambda u: u.team, waves = {"canary": wave_rule(), "all": wave_rule()}`,
			`w.star:5:50: wave("ann"), u.csv:2: there is no wave "it-ops"; it has "canary" or "all"`, `w.star:5:50: wave("bob"), u.csv:3: there is no wave "sales"; it has "canary" or "all"`},
		{"no name", `, wave = lambda u: 1`, `w.star:5:50: wave("ann"), u.csv:2: it returned int; return the name of a wave`, `w.star:5:50: wave("bob"), u.csv:3: it returned int; return the name of a wave`},
		{"an error", `, wave = lambda u: fail("no")`, `w.star:5:60: wave("ann"), u.csv:2: fail: no`, `w.star:5:60: wave("bob"), u.csv:3: fail: no`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := staff(t, "workflow(users = users, backend = target"+tt.args+")")
			for i, want := range []string{tt.ann, tt.bob} {
				got, err := w.Wave(context.Background(), rowsOf(t, w)[i])
				if err != nil {
					got = err.Error()
				}
				if got != want {
					t.Errorf("got %s, want %s", got, want)
				}
			}
		})
	}
}

func TestWaveRules(t *testing.T) {
	w := staff(t, `workflow(users = users, backend = target, waves = {
    "canary": wave_rule(size = 5, take = 50, pause = "90s", hold = "approval", max_failures = 0),
    "most": wave_rule(take = 100, max_failures = "2.5%", tolerate = ["AccountNotFound", "ScriptFailed"]),
    "rest": wave_rule(),
})`)
	want := []journal.WaveRule{
		{Name: "canary", Size: 5, Take: 50, Pause: 90 * time.Second, Hold: true, MaxFailures: 0, MaxPercent: -1},
		{Name: "most", Take: 100, MaxFailures: -1, MaxPercent: 2.5, Tolerate: []sdk.Code{"AccountNotFound", "ScriptFailed"}},
		{Name: "rest", MaxFailures: -1, MaxPercent: -1},
	}
	if diff := cmp.Diff(want, w.Waves); diff != "" {
		t.Error(diff)
	}
}

func TestWorkflowHoldsWhatTheScriptSays(t *testing.T) {
	w := staff(t, `"""not a docstring: it is not the first"""
workflow(users = users, rotate = lambda user: None, order_by = ("team", "login"), policy = policy(length = 24), concurrency = 7, on_failure = "revert",
    reports = [report.summary(), report.json("a.json"), report.csv("b.csv", row = lambda r: None, order = "apply", encrypt_to = ["age1x"]), report.html("c.html.age", encrypt_to = ["age1x"])])`)
	if diff := cmp.Diff([]ReportSpec{
		{Kind: "summary", Order: "source"}, {Kind: "json", Path: "a.json", Order: "source"},
		{Kind: "csv", Path: "b.csv.age", Order: "apply", EncryptTo: []string{"age1x"}, HasRow: true},
		{Kind: "html", Path: "c.html.age", Order: "source", EncryptTo: []string{"age1x"}},
	}, w.Reports); diff != "" {
		t.Error(diff)
	}
	if w.Name != "w.star" || w.Doc != "" || w.Default != "" || !w.HasRotate || w.HasSelect || w.HasWave || !w.Revert || w.Concurrency != 7 || *w.Policy.Length != 24 {
		t.Errorf("workflow = %+v", w)
	}
	if diff := cmp.Diff([]string{"team", "login"}, w.OrderBy); diff != "" {
		t.Error(diff)
	}
	if w := staff(t, "workflow(users = users, backend = target)"); w.Revert || w.Policy != nil || w.Default != "memory" || len(w.Reports) != 1 || w.Reports[0].Kind != "summary" {
		t.Errorf("the defaults are %+v", w)
	}
}

// refused is what a backend says that does not do a step.
func refused(code sdk.Code, message string) journal.Result {
	return journal.Result{Outcome: sdk.Refused, Code: code, Message: message, Native: "53"}
}

func TestRotate(t *testing.T) {
	yes := true
	for _, tt := range []struct {
		name, body string
		answers    map[string]journal.Result
		faults     map[string]error
		calls      []string
		want       string
	}{
		{name: "nothing", body: `pass`, want: "returned"},
		{name: "generate and set", body: "p = step.generate()\nstep.set(target, user.login, p)",
			calls: []string{"generate", "set memory ann value=value-1"}, want: "returned"},
		{name: "every argument", body: `p = step.generate(policy = strict, kind = "sip", generator = target, targets = [target, phone])
step.set(directory, user.login, "{x}", must_change = True, hash_format = "sha512-base64", options = {"plain": True, "wait": "5s"})
step.change(target, user.login, user.temporary, p)
step.verify(directory, account = user.login, value = p)
step.set(phone, user.login, p, kind = "sip", must_change = None, options = {})`,
			calls: []string{"generate kind=sip generator=memory targets=[memory phones] length=30",
				"set ldap ann value={x} hash=sha512-base64 must_change=true options=map[plain:true wait:5s]",
				"change memory ann old=old-a value=value-1", "verify ldap ann value=value-1", "set phones ann kind=sip value=value-1"}, want: "returned"},
		{name: "no targets", body: "step.generate(targets = [])", calls: []string{"generate targets=[]"}, want: "returned"},
		{name: "skip", body: `return skip("not him")`, want: "skip: not him"},
		{name: "done", body: `return done()`, want: "done"},
		{name: "failed", body: `return failed("no")`, want: "failed: no"},
		{name: "what a step gave", body: `return step.reset(target, user.login)`, calls: []string{"reset memory ann"}, want: "returned"},
		{name: "a result", body: `return step.try_unlock(target, user.login)`, calls: []string{"unlock memory ann"}, want: "returned"},
		{name: "a text", body: `return "ok"`, want: "raised: ScriptError: rotate returned string; return nothing, skip(reason), done() or failed(reason) (w.star:6)"},
		{name: "False", body: `return False`, want: "raised: ScriptError: rotate returned bool; return nothing, skip(reason), done() or failed(reason) (w.star:6)"},
		{name: "a refusal raises", body: "step.set(target, user.login, \"x\")\nstep.set(target, user.login, \"y\")", answers: map[string]journal.Result{"set": refused(sdk.AccountNotFound, "no such account")},
			calls: []string{"set memory ann value=x"}, want: "raised: AccountNotFound: no such account"},
		{name: "an unknown raises", body: `step.set(target, user.login, "x")`, answers: map[string]journal.Result{"set": {Outcome: sdk.Unknown, Code: sdk.ConnectionLost, Message: "cut"}},
			calls: []string{"set memory ann value=x"}, want: "raised: ConnectionLost: cut"},
		{name: "already applied is applied", body: "r = step.try_set(target, user.login, \"x\")\nreturn failed(str(r))", answers: map[string]journal.Result{"set": {Outcome: sdk.AlreadyApplied}},
			calls: []string{"set memory ann value=x"}, want: `failed: result(ok = True, outcome = "applied", code = "", message = "")`},
		{name: "try_ tells", body: "r = step.try_set(target, user.login, \"x\")\nreturn failed(\"%s %s %s %s %s %s %s\" % (r.ok, r.outcome, r.code, r.message, r.native, r.value, bool(r)))",
			answers: map[string]journal.Result{"set": refused(sdk.PolicyViolation, "too short")},
			calls:   []string{"set memory ann value=x"}, want: "failed: False refused PolicyViolation too short 53 None False"},
		{name: "try_ of an unknown", body: "r = step.try_set(target, user.login, \"x\")\nreturn failed(r.outcome)", answers: map[string]journal.Result{"set": {Outcome: sdk.Unknown, Code: sdk.Timeout}},
			calls: []string{"set memory ann value=x"}, want: "failed: unknown"},
		{name: "a misspelt field of a result", body: "r = step.try_set(target, user.login, \"x\")\nreturn failed(r.mesage)",
			calls: []string{"set memory ann value=x"}, want: `raised: ScriptError: the result of a step has no "mesage"; did you mean "message"? (w.star:8)`},
		{name: "find", body: "a = step.find(target, user.login)\nreturn failed(str(a))",
			answers: map[string]journal.Result{"find": {Outcome: sdk.Applied, Account: &sdk.Account{Account: "uid=ann", ID: "7", Status: sdk.StatusLocked, MustChange: &yes, ChangedAt: time.Date(2026, 9, 1, 12, 0, 0, 0, time.FixedZone("", 3600)), Kinds: []string{"sip"}}}},
			calls:   []string{"find memory ann"}, want: `failed: struct(account = "uid=ann", changed_at = "2026-09-01T11:00:00Z", id = "7", kinds = ["sip"], must_change = True, status = "locked")`},
		{name: "find, nothing known", body: "a = step.find(target, user.login)\nreturn failed(\"%s %s\" % (a.must_change, a.changed_at))", answers: map[string]journal.Result{"find": {Outcome: sdk.Applied, Account: &sdk.Account{}}},
			calls: []string{"find memory ann"}, want: "failed: None None"},
		{name: "reset tells", body: "p = step.reset(target, user.login)\nstep.set(directory, user.login, p)", answers: map[string]journal.Result{"reset": {Outcome: sdk.Applied, Value: journal.Given(secret.New("picked"))}},
			calls: []string{"reset memory ann", "set ldap ann value=picked"}, want: "returned"},
		{name: "reset does not tell", body: "if step.reset(target, user.login) == None:\n    return failed(\"mailed\")", calls: []string{"reset memory ann"}, want: "failed: mailed"},
		{name: "try_generate", body: "r = step.try_generate()\nstep.set(target, user.login, r.value)", calls: []string{"generate", "set memory ann value=value-1"}, want: "returned"},
		{name: "try_generate of a backend that refuses", body: "r = step.try_generate(generator = target)\nif not r.ok:\n    return failed(r.code)", faults: map[string]error{"generate": &journal.Fault{Code: sdk.TargetUnavailable, Message: "down"}},
			calls: []string{"generate generator=memory"}, want: "failed: TargetUnavailable"},
		{name: "try_generate of a contradiction raises", body: "r = step.try_generate()\nreturn done()", faults: map[string]error{"generate": &journal.Fault{Code: sdk.PolicyViolation, Message: "no password meets all rules"}},
			calls: []string{"generate"}, want: "raised: PolicyViolation: no password meets all rules"},
		{name: "misuse raises through try_", body: "r = step.try_set(target, user.login, \"x\")\nreturn done()", faults: map[string]error{"set": &journal.Fault{Code: sdk.InvalidOperation, Message: "the value is empty"}},
			calls: []string{"set memory ann value=x"}, want: "raised: InvalidOperation: the value is empty"},
		{name: "divergence raises through try_", body: "r = step.try_set(target, user.login, \"x\")\nreturn done()", faults: map[string]error{"set": &journal.Fault{Code: journal.Diverged, Message: "was change, is set"}},
			calls: []string{"set memory ann value=x"}, want: "raised: Diverged: was change, is set"},
		{name: "cancellation raises through try_", body: "r = step.try_set(target, user.login, \"x\")\nreturn done()", faults: map[string]error{"set": &journal.Fault{Code: sdk.Cancelled, Message: "the run stops"}},
			calls: []string{"set memory ann value=x"}, want: "raised: Cancelled: the run stops"},
		{name: "an error of the script", body: "step.set(target, user.login, \"x\")\n1 // 0", calls: []string{"set memory ann value=x"}, want: "raised: ScriptError: floored division by zero (w.star:8)"},
		{name: "several lines", body: "fail(\"one\\ntwo\\x1b[31m\")", want: "raised: ScriptError: fail: one two\\x1b[31m (w.star:7)"},
		{name: "a long text", body: "fail(\"x\" * (1 << 20))", want: "raised: ScriptError: fail: " + strings.Repeat("x", 4090) + "… (w.star:7)"},
		{name: "an argument that nothing saw", body: "args = {\"vlue\": 1}\nstep.set(target, user.login, **args)",
			want: `raised: ScriptError: step.set: there is no argument "vlue"; did you mean "value"?; step.set: value is missing; value: the password (w.star:8)`},
		{name: "an account that is no text", body: "put = step.set\nput(target, 7, \"x\")", want: "raised: ScriptError: step.set: account: want string, got int (w.star:8)"},
		{name: "a value that is no password", body: "put = step.set\nput(target, user.login, 7)", want: "raised: ScriptError: step.set: value: want secret or string, got int (w.star:8)"},
		{name: "an option", body: "put = step.set\nput(directory, user.login, \"x\", options = {\"plian\": True})", want: `raised: ScriptError: step.set: backend "ldap" has no option "plian"; did you mean "plain"? (w.star:8)`},
		{name: "an option of none", body: "put = step.set\nput(target, user.login, \"x\", options = {\"plain\": True})", want: `raised: ScriptError: step.set: backend "memory" has no option "plain" (w.star:8)`},
		{name: "an option of another type", body: "put = step.set\nput(directory, user.login, \"x\", options = {\"plain\": 1})", want: `raised: ScriptError: step.set: option plain: want bool, got int (w.star:8)`},
		{name: "an option's name", body: "put = step.set\nput(directory, user.login, \"x\", options = {1: 1})", want: `raised: ScriptError: step.set: options: a key is int, want string (w.star:8)`},
		{name: "a hash", body: "put = step.set\nput(directory, user.login, \"x\", hash_format = \"sha512-bse64\")", want: `raised: ScriptError: step.set: backend "ldap" takes no hash of the form "sha512-bse64"; did you mean "sha512-base64"? (w.star:8)`},
		{name: "a kind", body: "put = step.set\nput(phone, user.login, \"x\", kind = \"spi\")", want: `raised: ScriptError: step.set: backend "phones" has no credential of kind "spi"; did you mean "sip"? (w.star:8)`},
		{name: "no kind", body: "put = step.set\nput(phone, user.login, \"x\")", want: `raised: ScriptError: step.set: backend "phones" has no credential of kind ""; it has sip, voicemail (w.star:8)`},
		{name: "a kind of what has one credential", body: "put = step.try_set\nput(target, user.login, \"x\", kind = \"sip\")", want: `raised: ScriptError: step.try_set: backend "memory" has no credential of kind "sip"; it has only one, without a kind (w.star:8)`},
		{name: "a change at the next logon", body: "put = step.set\nput(phone, user.login, \"x\", kind = \"sip\", must_change = True)", want: `raised: ScriptError: step.set: must_change: backend "phones" (phones) cannot ask for a change at the next logon; leave must_change out (w.star:8)`},
		{name: "a step from a helper", body: "give(step, user)", calls: []string{"set memory ann value=x"}, want: "returned"},
		{name: "a method of a step kept", body: "f = step.set\nf(target, user.login, \"x\")", calls: []string{"set memory ann value=x"}, want: "returned"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := staff(t, "strict = policy(length = 30); give = lambda step, user: step.set(target, user.login, \"x\")\ndef rotate(user, step):\n    "+
				strings.ReplaceAll(tt.body, "\n", "\n    ")+"\nworkflow(users = users, rotate = rotate)")
			f := &fakeSteps{answers: tt.answers, faults: tt.faults}
			v := w.rotate(context.Background(), rowsOf(t, w)[0], f)
			if got := said(v); got != tt.want {
				t.Errorf("got %s\nwant %s", got, tt.want)
			}
			if diff := cmp.Diff(tt.calls, f.calls); diff != "" {
				t.Error(diff)
			}
			if v.Fault != nil && len(v.Fault.Backtrace) > maxBacktrace+len("…") {
				t.Errorf("a backtrace of %d bytes", len(v.Fault.Backtrace))
			}
			if wantRefused := strings.HasPrefix(tt.name, "a refusal raises") || strings.HasPrefix(tt.name, "an unknown raises"); (v.Refused != nil) != wantRefused {
				t.Errorf("Refused = %+v", v.Refused)
			}
		})
	}
}

func TestAnErrorKeepsItsBacktrace(t *testing.T) {
	w := staff(t, "def inner(n):\n    return 1 // n\ndef rotate(user, step):\n    inner(0)\nworkflow(users = users, rotate = rotate)")
	v := w.rotate(context.Background(), rowsOf(t, w)[0], &fakeSteps{})
	want := "Traceback (most recent call last):\n  w.star:8:10: in rotate\n  w.star:6:14: in inner\nError: floored division by zero"
	if v.Fault == nil || v.Fault.Backtrace != want {
		t.Errorf("backtrace:\n%s\nwant\n%s", v.Fault.Backtrace, want)
	}
}

// TestARefusalSaysInTheBacktraceWhoRefusedWhat: the fault has only the target's
// own words.
func TestARefusalSaysInTheBacktraceWhoRefusedWhat(t *testing.T) {
	for want, answer := range map[string]journal.Result{
		`step.set(memory, "ann"): refused, Protected: root`: refused(sdk.Protected, "root"),
		`step.set(memory, "ann"): unknown, Timeout`:         {Outcome: sdk.Unknown, Code: sdk.Timeout},
		`step.set(memory, "ann"): refused: the third word`:  refused("", "the third word"),
		`step.set(memory, "ann"): unknown`:                  {Outcome: sdk.Unknown},
	} {
		w := staff(t, "def rotate(user, step):\n    step.set(target, user.login, \"x\")\nworkflow(users = users, rotate = rotate)")
		v := w.rotate(context.Background(), rowsOf(t, w)[0], &fakeSteps{answers: map[string]journal.Result{"set": answer}})
		if want := "Traceback (most recent call last):\n  w.star:6:13: in rotate\nError in step.set: " + want; v.Fault == nil || v.Fault.Backtrace != want {
			t.Errorf("backtrace:\n%s\nwant\n%s", v.Fault.Backtrace, want)
		}
	}
}

// TestErrorsOfOneRowAreNoDefects: a plan ends at what would hit every user, and
// goes on where only the first is strange.
func TestErrorsOfOneRowAreNoDefects(t *testing.T) {
	for body, want := range map[string]bool{
		`user.login.split("@")[1]`: true, `{}[user.login]`: true, `int(user.login)`: true, `float(user.login)`: true, `1 // (len(user.login) - 3)`: true, `1 % 0`: true,
		`fail("no")`: true, `re.match("x", user.login)[0]`: true, `re.match("x", user.login).start`: true, `user.login.index("@")`: true, `[].index(1)`: true, `max([])`: true,
		`json.decode(user.login)`: true, `None + "x"`: true, `step.set(target, None, "x")`: true, `[a for a, b in [user.login.split("n")]]`: true, `{}.pop("x")`: true, `{}.popitem()`: true,
		`re.match("a", "a" * 300000)`: true, `ord(user.login)`: true, `[i for i in range(1 << 40)]`: true,

		`user.login.splt("@")`: false, `getattr(user, "namme")`: false, `step.set(target, user.login)`: false, `step.set(target, user.login, "x", knd = "y")`: false, `1 + "x"`: false,
		`step.set(target, 7, "x")`: false, `len(3)`: false, `"x" < 3`: false, `struct(a = 1).b`: false, `step.generate().reveal`: false, `json.encode(user)`: false, `[skip][0](3)`: false, `user.temporary + "x"`: false,
	} {
		w := staff(t, "def rotate(user, step):\n    s = [step, user]\n    x = "+strings.NewReplacer("step.", "s[0].", "user.", "s[1].", "(user", "(s[1]").Replace(body)+"\nworkflow(users = users, rotate = rotate)")
		v := w.rotate(context.Background(), rowsOf(t, w)[0], &fakeSteps{})
		if v.Fault == nil || v.Fault.Code != journal.ScriptError || v.Fault.OfRow != want {
			t.Errorf("%s: %s, OfRow = %v, want %v", body, said(v), v.Fault != nil && v.Fault.OfRow, want)
		}
	}
}

// TestHooksGetTheParametersThatTheyName, in any order.
func TestHooksGetTheParametersThatTheyName(t *testing.T) {
	for hook, want := range map[string]string{
		`lambda user, step: step.set(target, user.login, "x")`:     "set memory ann value=x",
		`lambda step, user: step.set(target, user.login, "x")`:     "set memory ann value=x",
		`lambda step: step.set(target, "root", "x")`:               "set memory root value=x",
		`lambda u: failed(u.login)`:                                "failed: ann",
		`lambda: failed("nobody")`:                                 "failed: nobody",
		`lambda step, more = "y": step.set(target, "root", more)`:  "set memory root value=y",
		`lambda user, more = "y", step = None: failed(user.login)`: "",
	} {
		text := "target = backend(\"memory\")\nworkflow(users = rows([\"ann\"], key = \"login\"), rotate = " + hook + ")"
		if want == "" {
			if got := problems(t, script(t, text)); !strings.Contains(got, `parameter "step" stands after one that a hook does not get; put step first`) {
				t.Errorf("%s: %q", hook, got)
			}
			continue
		}
		w := mustLoad(t, script(t, text))
		f := &fakeSteps{}
		got := said(w.rotate(context.Background(), rowsOf(t, w)[0], f))
		if len(f.calls) > 0 {
			got = f.calls[0]
		}
		if got != want {
			t.Errorf("%s: %s, want %s", hook, got, want)
		}
	}
}

func TestWithoutRotateAUserIsGenerateSetAndVerify(t *testing.T) {
	for _, tt := range []struct {
		name, backend string
		answers       map[string]journal.Result
		faults        map[string]error
		calls         []string
		want          string
	}{
		{"verified", "target", nil, nil, []string{"generate", "set memory ann value=value-1", "verify memory ann value=value-1"}, "returned"},
		{"where that is a logon", "directory", nil, nil, []string{"generate", "set ldap ann value=value-1"}, "returned"},
		{"refused", "target", map[string]journal.Result{"set": refused(sdk.Protected, "root")}, nil, []string{"generate", "set memory ann value=value-1"}, "raised: Protected: root"},
		{"not accepted", "target", map[string]journal.Result{"verify": refused(sdk.NotAccepted, "wrong")}, nil,
			[]string{"generate", "set memory ann value=value-1", "verify memory ann value=value-1"}, "raised: NotAccepted: wrong"},
		{"this instance cannot verify", "target", nil, map[string]error{"verify": &journal.Fault{Code: sdk.InvalidOperation, Message: "cannot verify"}},
			[]string{"generate", "set memory ann value=value-1", "verify memory ann value=value-1"}, "returned"},
		{"nothing can be generated", "target", nil, map[string]error{"generate": &journal.Fault{Code: sdk.PolicyViolation, Message: "no password meets all rules"}}, []string{"generate"}, "raised: PolicyViolation: no password meets all rules"},
		{"the run stops", "target", nil, map[string]error{"set": &journal.Fault{Code: sdk.Cancelled, Message: "the run stops"}}, []string{"generate", "set memory ann value=value-1"}, "raised: Cancelled: the run stops"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := staff(t, "workflow(users = users, backend = "+tt.backend+")")
			f := &fakeSteps{answers: tt.answers, faults: tt.faults}
			if got := said(w.rotate(context.Background(), rowsOf(t, w)[0], f)); got != tt.want {
				t.Errorf("got %s, want %s", got, tt.want)
			}
			if diff := cmp.Diff(tt.calls, f.calls); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// saga changes one identity on two systems and says what became of it.
const saga = `
def rotate(user, step):
    password = step.generate()
    step.change(target, user.login, old = user.temporary, new = password)
    synced = step.try_set(directory, user.login, password)
    if not synced.ok:
        return failed("cloud changed, directory refused: " + synced.message)
    step.verify(directory, user.login, password)
workflow(users = users, rotate = rotate, on_failure = "revert")`

// recorder is a stepper with a history: it answers what was recorded as it was
// recorded, then plays on to a crash.
type recorder struct {
	fakeSteps
	history []journal.Result
	crash   int // before this step; 0: none
	n       int
}

func (r *recorder) Generate(ctx context.Context, g engine.GenerateStep) (*journal.Value, error) {
	if r.n++; r.n == r.crash {
		return nil, &journal.Fault{Code: sdk.Cancelled, Message: "the run stops"}
	}
	return r.fakeSteps.Generate(ctx, g)
}

func (r *recorder) Do(ctx context.Context, step journal.Step) (journal.Result, error) {
	if r.n++; r.n == r.crash {
		return journal.Result{}, &journal.Fault{Code: sdk.Cancelled, Message: "the run stops"}
	}
	if r.n-2 < len(r.history) {
		r.note(fmt.Sprintf("%s %s %s value=%s", step.Verb, step.Backend, step.Account, step.Value.Secret().Reveal()))
		return r.history[r.n-2], nil
	}
	return r.fakeSteps.Do(ctx, step)
}

// TestAReplayAsksTheSame: whatever step a run ended at, the hook takes the same
// steps again with the same values, because nothing it can see has changed.
func TestAReplayAsksTheSame(t *testing.T) {
	w := staff(t, saga)
	row := rowsOf(t, w)[0]
	whole := &fakeSteps{}
	if got := said(w.rotate(context.Background(), row, whole)); got != "returned" || len(whole.calls) != 4 {
		t.Fatal(got, whole.calls)
	}
	for crash := 1; crash <= 4; crash++ {
		first := &recorder{crash: crash}
		if got := said(w.rotate(context.Background(), row, first)); got != "raised: Cancelled: the run stops" {
			t.Errorf("crash before step %d: %s", crash, got)
		}
		if !slices.Equal(first.calls, whole.calls[:crash-1]) {
			t.Errorf("crash before step %d: %q", crash, first.calls)
		}
		again := &recorder{}
		if got := said(w.rotate(context.Background(), row, again)); got != "returned" || !slices.Equal(again.calls, whole.calls) {
			t.Errorf("after a crash before step %d: %s, %q", crash, got, again.calls)
		}
	}
}

func TestASagaSaysWhatBecameOfIt(t *testing.T) {
	w := staff(t, saga)
	f := &fakeSteps{answers: map[string]journal.Result{"set": refused(sdk.PolicyViolation, "in history")}}
	if got, want := said(w.rotate(context.Background(), rowsOf(t, w)[0], f)), "failed: cloud changed, directory refused: in history"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	again := &recorder{history: []journal.Result{{Outcome: sdk.Applied}, refused(sdk.PolicyViolation, "in history")}}
	if got, want := said(w.rotate(context.Background(), rowsOf(t, w)[0], again)), "failed: cloud changed, directory refused: in history"; got != want {
		t.Errorf("replayed: %s, want %s", got, want)
	}
}

// TestLoadingReadsNoStandardInput, nor where it is one source of several: whoever
// checks a script may have no users to give.
func TestLoadingReadsNoStandardInput(t *testing.T) {
	for _, users := range []string{`csv("-", key = "login")`, `concat(csv("-", key = "login"), rows(["a"], key = "login"))`, `concat(rows(["a"], key = "login"), csv("-", key = "login"))`,
		`concat(concat(rows(["a"], key = "login"), csv("-", key = "login")), rows(["b"], key = "login"))`, `jsonl("-", key = "login")`} {
		o := script(t, "workflow(users = "+users+", backend = backend(\"memory\"), select = lambda user: user.nick == \"\")")
		read := false
		o.Stdin = readerFunc(func([]byte) (int, error) { read = true; return 0, io.EOF })
		if got := problems(t, o); got != "" || read {
			t.Errorf("%s: read is %v, %s", users, read, got)
		}
	}
}

type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) { return f(p) }

// TestColumnsOfStdinAreCheckedWhereTheScriptNamesThem, without reading it.
func TestColumnsOfStdinAreCheckedWhereTheScriptNamesThem(t *testing.T) {
	o := script(t, `workflow(users = csv("-", key = "login", columns = ["login", "team"]), backend = backend("memory"), select = lambda user: user.taem == "x")`)
	o.Stdin = untouched{t}
	if got, want := problems(t, o), `w.star:1:128: the users have no column "taem"; did you mean "team"?`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

// untouched fails the test when it is read.
type untouched struct{ t *testing.T }

func (r untouched) Read([]byte) (int, error) {
	r.t.Error("standard input is read")
	return 0, errors.New("not now")
}

// TestHooksAreCalledConcurrently, each with its own user.
func TestHooksAreCalledConcurrently(t *testing.T) {
	w := staff(t, saga)
	rows := rowsOf(t, w)
	var wg sync.WaitGroup
	for i := range 32 {
		wg.Go(func() {
			for range 20 {
				row := rows[i%2]
				f := &fakeSteps{}
				if v := w.rotate(context.Background(), row, f); v.Kind != journal.Returned || !strings.Contains(f.calls[1], " "+row.Key+" ") {
					t.Errorf("%s: %s, %q", row.Key, said(v), f.calls)
				}
			}
		})
	}
	wg.Wait()
}

// TestGlobalsAreFrozen: a hook cannot count users.
func TestGlobalsAreFrozen(t *testing.T) {
	w := staff(t, "seen = []\ndef select(user):\n    seen.append(user.login)\n    return True\nworkflow(users = users, backend = target, select = select)")
	_, _, err := w.Select(context.Background(), rowsOf(t, w)[0])
	if want := `w.star:7:5: select("ann"), u.csv:2: append: cannot append to frozen list`; err == nil || err.Error() != want {
		t.Errorf("Select = %v, want %s", err, want)
	}
}

// TestALambdaOfAReportIsFrozenToo, which no global leads to.
func TestALambdaOfAReportIsFrozenToo(t *testing.T) {
	w := staff(t, "def counting():\n    seen = []\n    return lambda user: seen.append(user.login) == None\nworkflow(users = users, backend = target, select = counting())")
	if _, _, err := w.Select(context.Background(), rowsOf(t, w)[0]); err == nil || !strings.Contains(err.Error(), "cannot append to frozen list") {
		t.Errorf("Select = %v", err)
	}
}

// onTrial are the steps of a call that whoever prints is of no use to.
type onTrial struct {
	fakeSteps
	printed int
}

func (o *onTrial) Quiet() bool { return true }

func (o *onTrial) Printed() bool { o.printed++; return true }

// TestATrialEndsWithThePrint: nothing behind it is computed, or asked for, twice.
func TestATrialEndsWithThePrint(t *testing.T) {
	w := staff(t, "def rotate(user, step):\n    print(\"once\")\n    for _ in range(1 << 60):\n        pass\n    step.set(target, user.login, \"x\")\nworkflow(users = users, rotate = rotate)")
	steps := &onTrial{}
	if v := w.rotate(context.Background(), rowsOf(t, w)[0], steps); !strings.Contains(said(v), "stopped") || steps.printed != 1 || len(steps.calls) > 0 {
		t.Errorf("%s, printed %d times, steps %q", said(v), steps.printed, steps.calls)
	}
	if v := w.rotate(context.Background(), rowsOf(t, w)[0], &fakeSteps{faults: map[string]error{}}); v.Fault == nil || strings.Contains(v.Fault.Message, "stopped") {
		t.Errorf("the next call of the same thread: %s", said(v))
	}
}
