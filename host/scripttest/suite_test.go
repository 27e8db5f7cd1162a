package scripttest_test

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/rekey-host/rekey/host"
	"github.com/rekey-host/rekey/host/engine"
	"github.com/rekey-host/rekey/host/scripttest"
	"github.com/rekey-host/rekey/host/workflow"
	"github.com/rekey-host/rekey/sdk"
	"github.com/rekey-host/rekey/sdk/memory"
)

// kinded is a backend whose accounts have two credentials.
type kinded struct{ memory.Backend }

// Describe names it otherwise.
func (k *kinded) Describe() sdk.Description {
	description := k.Backend.Describe()
	description.Name, description.HashFormats = "phones", []string{"sha1-hex"}
	return description
}

func config(t *testing.T) host.Config {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	phones := &kinded{memory.Backend{Kinds: []sdk.Kind{{Name: "sip"}, {Name: "web"}}}}
	return host.Config{Self: self, Bundled: map[string]sdk.Backend{"memory": memory.New(), "phones": phones}, Random: rand.Reader, Now: time.Now, Clock: engine.SystemClock{},
		Fatal: func(line string) { panic(line) }}
}

// tried runs the tests of one file beside one script, and returns their failures by
// their names.
func tried(t *testing.T, script, tests string, change ...func(*scripttest.Options)) map[string]string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range map[string]string{"s.star": script, "s_test.star": tests} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	options := scripttest.Options{Path: dir, Config: config(t)}
	for _, change := range change {
		change(&options)
	}
	results, err := scripttest.Run(t.Context(), options)
	if err != nil {
		t.Fatal(err)
	}
	failures := map[string]string{}
	for _, result := range results {
		failures[result.Test] = strings.ReplaceAll(result.Failure, dir+"/", "")
	}
	return failures
}

// check wants each test to fail as its name says: "" passes.
func check(t *testing.T, got, want map[string]string) {
	t.Helper()
	for test, failure := range want {
		said, ran := got[test]
		if !ran || failure == "" && said != "" || !strings.Contains(said, failure) {
			t.Errorf("%s: %q, want %q", test, said, failure)
		}
	}
	if len(got) != len(want) {
		t.Errorf("%d tests ran, want %d: %v", len(got), len(want), got)
	}
}

const rotates = `
b = backend("memory", label = "bank", rate = param.string("rate", default = "1000/s"))
pause = param.duration("pause", default = "0s")
def select(user):
    return skip("left") if user.team == "gone" else True
def rotate(user, step):
    print("rotates " + user.login)
    password = step.generate()
    done = step.try_set(b, user.login, password)
    if done.code == "AccountNotFound":
        return failed("no such account")
    if not done.ok:
        return failed(done.message)
    step.verify(b, user.login, password)
workflow(users = csv("users.csv", key = "login"), select = select, rotate = rotate, order_by = ["-login" if False else "login"],
    waves = {"canary": wave_rule(take = 1, hold = "approval"), "rest": wave_rule(size = 1, pause = pause)},
    reports = [report.csv("out.csv", row = lambda r: {"login": r.user.login, "password": r.password})])
`

// TestARunIsWhatItWouldBe: the real host, engine and ledger, on accounts that a test
// seeds and reads back.
func TestARunIsWhatItWouldBe(t *testing.T) {
	check(t, tried(t, rotates, `
people = [{"login": "bob", "team": "it"}, {"login": "ann", "team": "it"}, {"login": "zoe", "team": "gone"}, {"login": "cyd", "team": "it"}]
accounts = {"bank": {"ann": "old-of-ann", "bob": {"password": "old-of-bob", "status": "locked"}}}

def test_held(t):
    run = t.run("s.star", users = people, backends = accounts)
    t.eq((run.exit_code, run.status, run.counts.done, run.counts.held), (6, "held", 1, 2))

def test_approved(t):
    run = t.run("s.star", users = people, backends = accounts, approve = True)
    t.eq(run.exit_code, 3)
    t.eq([(who.key, who.status, who.wave) for who in run.users.values()], [("ann", "done", "canary"), ("bob", "failed", "rest"), ("cyd", "failed", "rest"), ("zoe", "skipped", "")])
    t.eq(run.users["cyd"].message, "no such account")
    t.eq(run.users["bob"].code, "AccountStatus")
    t.eq(run.backends["bank"]["ann"], run.users["ann"].passwords["bank"])
    t.eq(run.backends["bank"]["bob"], t.value("old-of-bob"))
    t.ne(run.backends["bank"]["ann"], t.value("old-of-ann"))
    t.contains(run.reports["out.csv"], "ann," + str(run.backends["bank"]["ann"]))
    t.eq([call.verb for call in run.calls if call.account == "ann"], ["set", "verify"])
    t.contains("\n".join(run.output), "rotates ann")

def test_plan(t):
    plan = t.plan("s.star", users = people)
    t.eq(plan.order, ["ann", "bob", "cyd"])
    t.eq(plan.waves, {"canary": ["ann"], "rest": ["bob", "cyd"]})
    t.eq(plan.skipped, {"zoe": "left"})

def test_time(t):
    run = t.run("s.star", users = people, params = {"pause": "10m"}, approve = True)
    t.true(run.elapsed >= 600 and run.elapsed < 660)

def test_rate(t):
    run = t.run("s.star", users = people, params = {"rate": "1/m"}, approve = True)
    t.true(run.elapsed >= 300)

def test_retries(t):
    run = t.run("s.star", users = people, approve = True, fail = {"bank.set ann": ["Unreachable", "Unreachable", ""], "verify cyd": "NotAccepted"})
    t.eq(run.users["ann"].status, "done")
    t.eq(run.users["cyd"].code, "NotAccepted")
    t.eq(len([call for call in run.calls if call.account == "ann" and call.verb == "set"]), 3)

def test_mistake(t):
    run = t.run("s.star", users = ["ann"])
    t.eq(run.exit_code, 2)
    t.contains(run.error, 'the users have no column "team"')

def test_killed_once(t):
    run = t.run("s.star", users = people, approve = True, crash_after = 3)
    t.eq(run.counts.done, 3)
    t.true(max([call.host for call in run.calls]) > 1)

def test_killed_everywhere(t):
    t.run("s.star", users = people, backends = accounts, approve = True, crash_after = "every")
`), map[string]string{"test_held": "", "test_approved": "", "test_plan": "", "test_time": "", "test_rate": "", "test_retries": "", "test_mistake": "", "test_killed_once": "", "test_killed_everywhere": ""})
}

// TestAFailureSaysWhereAndWhat was, and what was wanted.
func TestAFailureSaysWhereAndWhat(t *testing.T) {
	check(t, tried(t, rotates, `
def test_eq(t):
    t.eq(1 + 1, 3)
def helper(t):
    t.ne("a", "a")
def test_ne(t):
    helper(t)
def test_contains(t):
    t.contains([1, 2], 3)
def test_true(t):
    t.true([])
def test_fails(t):
    t.fails(lambda: 1)
def test_fails_otherwise(t):
    t.fails(lambda: 1 // 0, "no such")
def test_fails_as_wanted(t):
    t.contains(t.fails(lambda: fail("no such thing"), "no such"), "thing")
def test_argument(t):
    t.run("s.star", users = ["ann"], fail = {"sett": "Unreachable"})
def test_code(t):
    t.run("s.star", users = ["ann"], fail = {"set": "Unreachabel"})
def test_account(t):
    t.run("s.star", users = ["ann"], backends = {"bank": {"ann": {"status": "lcoked"}}})
def test_kill(t):
    t.run("s.star", users = ["ann"], crash_after = 0)
def test_secret(t):
    t.eq(str(t.value("hunter22")), "[value 1]")
    t.eq(t.value("hunter22"), "hunter22")
def test_endless(t):
    for i in range(1 << 60):
        pass
`), map[string]string{
		"test_eq": "s_test.star:3: got  2\nwant 3", "test_ne": "s_test.star:5: got  \"a\"\nwant anything else", "test_contains": "s_test.star:9: got  [1, 2]\nwant 3 in it",
		"test_true": "s_test.star:11: got  []\nwant what is true", "test_fails": "s_test.star:13: got  1\nwant a failure", "test_fails_otherwise": `want "no such" in it`, "test_fails_as_wanted": "",
		"test_argument": `"sett" is no step`, "test_code": "Unreachabel is no code", "test_account": `account "ann": status = lcoked`, "test_kill": "crash_after = 0: want a number from 1",
		"test_secret": "got  [value 1]", "test_endless": "too many steps",
	})
}

// TestNothingIsWrittenElsewhere: a script whose report has a real path leaves nothing there.
func TestNothingIsWrittenElsewhere(t *testing.T) {
	there := filepath.Join(t.TempDir(), "list.csv")
	for _, path := range []string{there, "../../list.csv"} {
		script := fmt.Sprintf(`workflow(users = rows(["ann"], key = "login"), backend = backend("memory"), reports = [report.csv(%q)])`, path)
		check(t, tried(t, script, `
def test_run(t):
    run = t.run("s.star", users = ["ann"], backends = {"memory": {"ann": "old"}})
    t.eq(run.exit_code, 2)
    t.contains(run.error, "a test writes below its own directory only")
`), map[string]string{"test_run": ""})
	}
	if _, err := os.Lstat(there); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("%s: %v, want it not to be there", there, err)
	}
}

// TestAHookThatTakesAnotherWayIsFound, by itself: one that goes on with something else
// when no answer comes, and that knows better at the resume.
func TestAHookThatTakesAnotherWayIsFound(t *testing.T) {
	const script = `
b = backend("memory")
def rotate(user, step):
    done = step.try_set(b, user.login, step.generate())
    if @BRANCH@:
        step.set(b, user.login + "-2", step.generate())
workflow(users = rows(["ann"], key = "login"), rotate = rotate)
`
	const test = "def test_it(t):\n    t.run(\"s.star\", crash_after = \"every\")\n"
	for branch, want := range map[string]string{
		"not done.ok": `when no answer came to memory ann it went on with set of memory ann-2`, `done.outcome == "refused"`: "", "True": "",
	} {
		check(t, tried(t, strings.Replace(script, "@BRANCH@", branch, 1), test), map[string]string{"test_it": want})
	}
}

// TestKindsAndHashesAreThoseOfThePlugin that a fake stands for.
func TestKindsAndHashesAreThoseOfThePlugin(t *testing.T) {
	check(t, tried(t, `
b = backend("phones")
def rotate(user, step):
    step.set(b, user.login, step.generate(kind = "sip"), kind = "sip")
    step.set(b, user.login, "0123456789abcdef", kind = "web", hash_format = "sha1-hex")
    picked = step.reset(b, user.login, kind = "web")
    if picked:
        step.verify(b, user.login, picked, kind = "web")
workflow(users = b.accounts(), rotate = rotate)
`, `
def test_it(t):
    run = t.run("s.star", backends = {"phones": {"ann": {"kinds": {"sip": "old-sip", "web": "old-web"}}}})
    t.eq(run.exit_code, 0)
    t.eq(sorted(run.backends["phones"]["ann"]), ["sip", "web"])
    t.eq(run.users["ann"].passwords["phones/sip"], run.backends["phones"]["ann"]["sip"])
    t.ne(run.backends["phones"]["ann"]["web"], t.value("0123456789abcdef"))
`), map[string]string{"test_it": ""})
}

// TestGoldensAreWrittenAndCompared.
func TestGoldensAreWrittenAndCompared(t *testing.T) {
	dir := t.TempDir()
	test := func(team string, update bool) string {
		text := "def test_plan(t):\n    t.golden(t.plan(\"s.star\", users = [{\"login\": \"ann\", \"team\": \"" + team + "\"}]).skipped)\n"
		for name, text := range map[string]string{"s.star": rotates, "s_test.star": text} {
			if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		results, err := scripttest.Run(t.Context(), scripttest.Options{Path: filepath.Join(dir, "s_test.star"), Config: config(t), Update: update, Parallel: 1})
		if err != nil || len(results) != 1 {
			t.Fatal(results, err)
		}
		return results[0].Failure
	}
	if said := test("gone", false); !strings.Contains(said, "rekey test --update writes it") {
		t.Errorf("without a golden: %s", said)
	}
	if said := test("gone", true) + test("gone", false); said != "" {
		t.Errorf("with one: %s", said)
	}
	if said := test("it", false); !strings.Contains(said, `line 2: want "ann": "left"`) {
		t.Errorf("another plan: %s", said)
	}
}

// TestTheTestsThatRun are those that are asked for.
func TestTheTestsThatRun(t *testing.T) {
	only := func(options *scripttest.Options) { options.Run = regexp.MustCompile("b$") }
	check(t, tried(t, rotates, "def test_a(t):\n    fail()\ndef test_b(t):\n    pass\ndef other(t):\n    fail()\n", only), map[string]string{"test_b": ""})
	for path, want := range map[string]string{t.TempDir(): "there is no file *_test.star", filepath.Join(t.TempDir(), "x_test.star"): "no such file"} {
		if _, err := scripttest.Run(t.Context(), scripttest.Options{Path: path, Config: config(t)}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %s", err, want)
		}
	}
}

// TestCoverageIsOfLinesAndWays.
func TestCoverageIsOfLinesAndWays(t *testing.T) {
	coverage := &workflow.Coverage{}
	count := func(options *scripttest.Options) { options.Config.Coverage = coverage }
	failures := tried(t, rotates, "def test_it(t):\n    t.eq(t.run(\"s.star\", users = [{\"login\": \"ann\", \"team\": \"it\"}]).counts.done, 1)\n", count)
	check(t, failures, map[string]string{"test_it": ""})
	files := coverage.Files()
	if len(files) != 1 {
		t.Fatalf("%d files", len(files))
	}
	lines, branches := files[0].Share()
	if got := files[0].Missed(); got != "11, 13" || lines < 80 || lines > 95 || branches < 40 || branches > 60 {
		t.Errorf("%.1f %% of lines, %.1f %% of branches, missed %q; want 11 and 13 missed, and half of the ways", lines, branches, got)
	}
	page := scripttest.Page(files)
	for _, want := range []string{`class="miss" title=""><i>0× 11</i>`, "never true", `class="hit"`} {
		if !strings.Contains(page, want) {
			t.Errorf("the page lacks %s", want)
		}
	}
}
