package workflow

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/rekey-host/rekey/host/diag"
	"github.com/rekey-host/rekey/host/journal"
	"github.com/rekey-host/rekey/host/report"
	"github.com/rekey-host/rekey/host/source"
	"github.com/rekey-host/rekey/host/workflow/lang"
	"github.com/rekey-host/rekey/host/workflow/tree"
	"github.com/rekey-host/rekey/sdk"
	"github.com/rekey-host/rekey/sdk/secret"
)

// grownUp uses most of the language at once.
const grownUp = `"""Turn the temporary passwords of a migration into permanent ones."""

load("lib/teams.star", "frozen")

accounts = param.path("accounts", default = "people.csv", help = "who")
batch = param.int("batch", default = 500, min = 1)
strict = policy(length = 24, forbid = "x")
cloud = backend("memory", history = 3, rate = "40/s")
directory = backend("ldap", url = param.string("url", default = "ldaps://ds"), bind_password = secret.file("ldap.pw"))

def select(user):
    if frozen(user.team):
        return skip("change freeze: " + user.team)
    return re.match("[a-z]+", user.login) != None

def wave(user):
    return "canary" if user.team == "it-ops" else "all"

def rotate(user, step):
    password = step.generate()
    step.change(cloud, user.login, old = user.temporary, new = password)
    synced = step.try_set(directory, user.login, password, options = {"plain": True})
    if not synced.ok:
        return failed("cloud changed, directory refused: " + synced.message)
    step.verify(directory, user.login, password)

def row(r):
    if r.status == "skipped":
        return None
    return {"login": r.user.login, "password": r.password, "all": [v for v in r.candidates["memory"]], "at": r.at, "j": json.encode({"a": [1, r.code]})}

workflow(
    users = concat(csv(accounts, key = "login", types = {"age": "int"}, secrets = ["temporary"]), csv("people.csv", key = "login", types = {"age": "int"}, secrets = ["temporary"])),
    select = select,
    order_by = ["team", "age"],
    wave = wave,
    waves = {"canary": wave_rule(size = 50, hold = "approval"), "all": wave_rule(size = batch, pause = "10m", max_failures = "1%", tolerate = ["AccountNotFound"])},
    policy = strict,
    rotate = rotate,
    concurrency = 32,
    reports = [report.summary(), report.csv("passwords.csv", row = row), report.jsonl("all.jsonl", row = lambda r: {"p": r.passwords.get("memory")})],
)
`

const teams = `def frozen(team):
    return team in ("payroll", "board")
`

// fuzzed loads texts of scripts, in one directory.
type fuzzed struct{ dir string }

func newFuzzed(t testing.TB) fuzzed {
	dir := t.TempDir()
	text := "login,temporary,team,age\nann," + canary + ",it-ops,41\nbob," + canary + ",sales,\n"
	if err := os.WriteFile(filepath.Join(dir, "people.csv"), []byte(strings.ReplaceAll(text, canary, `"`+strings.ReplaceAll(canary, `"`, `""`)+`"`)), 0o600); err != nil {
		t.Fatal(err)
	}
	return fuzzed{dir}
}

func (f fuzzed) load(text string, placeholders bool) (*Workflow, error) {
	return Load(context.Background(), Options{
		Path: "@rekey/w.star", WorkDir: f.dir, Placeholders: placeholders, Describe: describe, BackendNames: backendNames(),
		Embedded: fstest.MapFS{"w.star": {Data: []byte(text)}, "lib/teams.star": {Data: []byte(teams)}, "data.csv": {Data: []byte("login\nann\n")}},
		Stdin:    strings.NewReader("login,team\nzoe,x\n"),
		Limits:   Limits{Steps: 20_000, LoadSteps: 20_000, Compute: 2 * time.Second, PrintLine: 10},
		Print:    writerFunc(func(p []byte) { leak(string(p)) }),
		Fatal:    func(line string) { panic(line) },
	})
}

// leak panics if a text holds the secret of the rows.
func leak(text string) {
	if found := leaks(text); found != nil {
		panic("the secret shows: " + text)
	}
}

// problem panics about an error that is no list of problems with places.
func problem(text string, err error) {
	var list *diag.Problems
	if !errors.As(err, &list) {
		panic("the error is no list of problems: " + err.Error())
	}
	if strings.Contains(err.Error(), "defect in rekey") {
		panic(err.Error())
	}
	leak(err.Error())
	all := tree.Lines(text)
	for _, x := range list.List {
		if x.File != "@rekey/w.star" {
			continue
		}
		if x.Line > len(all) || x.Line > 0 && x.Column > len(all[x.Line-1])+1 || x.Line == 0 && x.Column > 0 {
			panic("a place that is not there: " + x.String())
		}
	}
}

// FuzzLoad gives any text for a script: it ends soon, with a workflow whose
// hooks can be called or with problems at places of the text.
func FuzzLoad(f *testing.F) {
	f.Add(grownUp)
	for _, e := range lang.New().Entries() {
		if e.Example != "" {
			f.Add(inContext(e.Example, e))
		}
	}
	fuzz := newFuzzed(f)
	f.Fuzz(func(t *testing.T, text string) {
		if _, err := fuzz.load(text, true); err != nil {
			problem(text, err)
		}
		w, err := fuzz.load(text, false)
		if err != nil {
			problem(text, err)
			return
		}
		defer closeQuietly(w)
		fuzz.call(text, w)
	})
}

// call calls every hook for the first users.
func (f fuzzed) call(text string, w *Workflow) {
	ctx := context.Background()
	w.Attach(func(string) Lister { return &lister{accounts: []sdk.Account{{Account: "ann", Login: "ann"}}} })
	n := 0
	enough := errors.New("enough")
	err := w.Users.Rows(ctx, func(row source.Row) error {
		if n++; n > 3 {
			return enough
		}
		f.user(ctx, text, w, row)
		return nil
	})
	if err != nil && !errors.Is(err, enough) {
		problem(text, err)
	}
}

func (f fuzzed) user(ctx context.Context, text string, w *Workflow, row source.Row) {
	if _, _, err := w.Select(ctx, row); err != nil {
		problem(text, err)
	}
	if _, err := w.Wave(ctx, row); err != nil {
		problem(text, err)
	}
	for _, answers := range []map[string]journal.Result{nil, {"set": refused(sdk.AccountNotFound, "no such account")}} {
		v := w.rotate(ctx, row, &fakeSteps{answers: answers})
		if v.Fault != nil {
			leak(v.Fault.Message + v.Fault.Backtrace)
			if strings.Contains(v.Fault.Message, "defect in rekey") {
				panic(v.Fault.Message)
			}
		}
		leak(v.Reason)
	}
	password := secret.New(canary)
	for i := range w.Reports {
		r := report.Result{Row: row, Status: "done", Password: &password, Values: report.Values{{Name: "memory", Certain: password, Candidates: []secret.Value{password}}}}
		r.Schema, _ = w.Users.Schema(ctx)
		cells, _, err := w.ReportRow(ctx, i, &r)
		if err != nil {
			problem(text, err)
		}
		for _, c := range cells {
			if s, ok := c.Value.(string); ok {
				leak(s)
			}
		}
	}
}

// TestGrownUpScriptLoads, or its fuzzing would begin at an error.
func TestGrownUpScriptLoads(t *testing.T) {
	fuzz := newFuzzed(t)
	w, err := fuzz.load(grownUp, false)
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	fuzz.call(grownUp, w)
}
