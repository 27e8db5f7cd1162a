package main_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const freeScript = `leaky = backend("leaky", password = secret.env("LOGIN"))

def rotate(user, step):
    step.set(leaky, user.login, step.generate())

workflow(users = rows(["ann", "bob"], key = "login"), rotate = rotate)
`

// TestARunStartsNoPluginButTheLockedOne: the lock file beside the script, else
// the one in the plugin directory, is compared before anything is started.
func TestARunStartsNoPluginButTheLockedOne(t *testing.T) {
	t.Parallel()
	p := newPlace(t, "LOGIN=of-the-plugin")
	plugins := filepath.Join(p.dir, "plugins")
	p.env = append(p.env, "REKEY_PLUGIN_DIR="+plugins)
	p.write("leaky.star", freeScript)
	first := filepath.Join(leakyPlugin(t, "1"), "rekey-backend-leaky")
	second := filepath.Join(leakyPlugin(t, "2"), "rekey-backend-leaky")

	if r := p.must(0, "plugin", "add", first); !strings.Contains(r.stdout, "added leaky 1: "+plugins) || !strings.Contains(r.stdout, ", unsigned, in "+plugins+"/rekey.lock") {
		t.Errorf("add: %s", r.stdout)
	}
	p.outcome(0, "run", "leaky.star", "--yes")
	if r := p.must(0, "plugin", "verify"); r.stdout != "1 plugin as locked in "+plugins+"/rekey.lock\n" {
		t.Errorf("verify: %s", r.stdout)
	}

	installed := filepath.Join(plugins, "rekey-backend-leaky")
	good, err := os.ReadFile(installed)
	must(t, err)
	spoilt := append([]byte(nil), good...)
	spoilt[len(spoilt)-1] ^= 1
	must(t, os.WriteFile(installed, spoilt, 0o755))
	for _, args := range [][]string{{"run", "leaky.star", "--yes", "--new"}, {"check", "leaky.star"}, {"backends", "leaky"}} {
		lines := 1
		if args[0] == "check" {
			lines = 3 // with the line of the script, and a caret
		}
		if r := p.must(2, args...); strings.Count(r.stderr, "\n") != lines || !strings.Contains(r.stderr, "in "+plugins+"/rekey.lock; if you know why, rekey plugin upgrade leaky") {
			t.Errorf("a flipped bit: %v: %s", args, r.stderr)
		}
	}
	if r := p.must(2, "plugin", "verify"); !strings.Contains(r.stderr, "plugin leaky: changed: ") {
		t.Errorf("verify of a flipped bit: %s", r.stderr)
	}
	p.must(0, "plugin", "upgrade", "leaky", second)
	if r := p.must(0, "plugin", "list"); !strings.Contains(r.stdout, "leaky  2  locked  unsigned") {
		t.Errorf("list: %s", r.stdout)
	}
	p.outcome(0, "run", "leaky.star", "--yes", "--new")

	p.must(0, "plugin", "add", first, "--lock", filepath.Join(p.dir, "rekey.lock")) // beside the script: it counts
	p.outcome(0, "run", "leaky.star", "--yes", "--new")
	must(t, os.WriteFile(filepath.Join(p.dir, "rekey.lock"), []byte(`{"format": 1, "plugins": {}}`), 0o644))
	if r := p.must(2, "run", "leaky.star", "--yes", "--new"); !strings.Contains(r.stderr, "it is not in "+p.dir+"/rekey.lock") {
		t.Errorf("not in the lock beside the script: %s", r.stderr)
	}
	must(t, os.WriteFile(filepath.Join(p.dir, "rekey.lock"), []byte(`{"format": 1, "plugins": {"../leaky": {}}}`), 0o644))
	if r := p.must(2, "run", "leaky.star", "--yes", "--new"); !strings.Contains(r.stderr, `plugin "../leaky": the name is not`) {
		t.Errorf("a path for a name: %s", r.stderr)
	}
}

// TestWordsAboutPlugins: lists are whole, what is left out is not shown as empty, and
// a path stands once in its error.
func TestWordsAboutPlugins(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	plugins := filepath.Join(p.dir, "plugins")
	p.env = append(p.env, "REKEY_PLUGIN_DIR="+plugins)
	if r := p.must(2, "plugin"); !strings.Contains(r.stderr, "plugin wants one of new, add, connect, list, verify, upgrade, remove, test, sign, dev, call; ") {
		t.Errorf("plugin: %s", r.stderr)
	}
	if r := p.must(0, "plugin", "new", "--help"); !strings.Contains(r.stdout, `--lang="go"`) || !strings.Contains(r.stdout, `--target="http"`) {
		t.Errorf("the defaults of plugin new: %s", r.stdout)
	}
	if r := p.must(0, "plugin", "list"); r.stdout != "no plugins in "+plugins+"; rekey plugin add installs one\n" {
		t.Errorf("an empty list: %q", r.stdout)
	}
	if r := p.must(2, "plugin", "add", "nosuch"); !strings.Contains(r.stderr, "/nosuch: does not exist\n") || strings.Count(r.stderr, "nosuch") != 1 {
		t.Errorf("add: %s", r.stderr)
	}
	p.must(0, "plugin", "new", "shop", "--lang", "python", "--target", "sql")
	p.must(0, "plugin", "add", "rekey-backend-shop")
	if r := p.must(0, "backends", "shop"); strings.Contains(r.stdout, "\n\n\n") {
		t.Errorf("a backend without a Doc: %s", r.stdout)
	}
	if r := p.must(0, "backends", "broadworks"); !strings.Contains(r.stdout, "in place of the system's (path)") || strings.Contains(r.stdout, "default )") {
		t.Errorf("an empty default: %s", r.stdout)
	}
}

// TestResumeNeedsThePluginOfTheLock: a program that was swapped between plan
// and resume is refused by the lock, whatever is accepted of the run's own record.
func TestResumeNeedsThePluginOfTheLock(t *testing.T) {
	t.Parallel()
	p := newPlace(t, "LOGIN=of-the-plugin")
	p.env = append(p.env, "REKEY_PLUGIN_DIR="+filepath.Join(p.dir, "plugins"))
	p.write("leaky.star", freeScript)
	p.must(0, "plugin", "add", filepath.Join(leakyPlugin(t, "1"), "rekey-backend-leaky"))
	p.must(0, "plan", "leaky.star")
	installed := filepath.Join(p.dir, "plugins", "rekey-backend-leaky")
	good, err := os.ReadFile(installed)
	must(t, err)
	must(t, os.WriteFile(installed, append(good[:len(good):len(good)], 0), 0o755))
	if r := p.must(2, "resume", "last", "--yes", "--accept-change"); !strings.Contains(r.stderr, "/rekey.lock; if you know why") {
		t.Errorf("got %s", r.stderr)
	}
	must(t, os.WriteFile(installed, good, 0o755))
	if o := p.outcome(0, "resume", "last", "--yes"); o.Counts["done"] != 2 {
		t.Errorf("got %+v", o)
	}
}

// TestLockedPluginsAreConfined without a word, and those that are not are on
// record.
func TestLockedPluginsAreConfined(t *testing.T) {
	t.Parallel()
	p := newPlace(t, "LOGIN=of-the-plugin")
	p.env = append(p.env, "REKEY_PLUGIN_DIR="+filepath.Join(p.dir, "plugins"))
	p.write("leaky.star", freeScript)
	p.must(0, "plugin", "add", filepath.Join(leakyPlugin(t, "1"), "rekey-backend-leaky"))
	p.must(0, "plan", "leaky.star")
	if !p.trusted().Backends[0].Confined {
		t.Error("a locked plugin is not confined")
	}
	p.must(0, "plan", "leaky.star", "--new", "--no-sandbox", "leaky")
	if p.trusted().Backends[0].Confined {
		t.Error("--no-sandbox is not on record")
	}
	if r := p.must(0, "show", "last"); !strings.Contains(r.stdout, "not confined") {
		t.Errorf("show: %s", r.stdout)
	}
	p.outcome(0, "resume", "last", "--yes", "--no-sandbox", "leaky")
}

// TestAPluginThatBreaksTheContractIsNamedOnce: how often and how, with nothing
// of it believed.
func TestAPluginThatBreaksTheContractIsNamedOnce(t *testing.T) {
	t.Parallel()
	p := newPlace(t, "LOGIN=of-the-plugin", "REKEY_PLUGIN_DIR="+leakyPlugin(t, "1"))
	p.write("leaky.star", strings.ReplaceAll(freeScript, "user.login, ", `"contradicts" if user.login == "bob" else user.login, `))
	r := p.must(5, "run", "leaky.star", "--yes")
	const want = "rekey: warning: plugin leaky broke the contract: receipts that say applied, with an error (1); report it to its author\n"
	if strings.Count(r.stderr, want) != 1 {
		t.Errorf("got\n%s\nwant once\n%s", r.stderr, want)
	}
	if o := p.outcome(5, "resume", "last", "--yes"); o.Counts["done"] != 1 || o.Counts["unknown"] != 1 {
		t.Errorf("got %+v", o)
	}
}

// TestAPluginIsHeldToTheContract by the kit in rekey itself, without Go: a line
// a promise, JSON, and what CI systems read.
func TestAPluginIsHeldToTheContract(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	program := filepath.Join(leakyPlugin(t, "1"), "rekey-backend-leaky")
	p.write("target.json", `{"secrets": {"password": "of-the-plugin"}, "accounts": ["ann", "bob", "cyd"], "refusing": {"refused": "AccountStatus"}}`)
	r := p.must(3, "plugin", "test", program, "--target", "target.json", "--only", "describe|refuse/accounts", "--junit", "junit.xml")
	for _, want := range []string{"kept    describe/is stable\n", "BROKEN  refuse/accounts by their state\n        ", "\n3 promises kept, 1 broken\n"} {
		if !strings.Contains(r.stdout, want) {
			t.Errorf("got\n%s\nwant %q", r.stdout, want)
		}
	}
	if got := p.read("junit.xml"); !strings.Contains(got, `tests="4" failures="1"`) || !strings.Contains(got, `<testcase name="refuse/accounts by their state" classname="contract"`) {
		t.Errorf("junit.xml:\n%s", got)
	}
	r = p.must(0, "plugin", "test", program, "--target", "target.json", "--only", "describe", "--json")
	if !strings.Contains(r.stdout, `"kept": 3,`) || !strings.Contains(r.stdout, `"name": "describe/is stable",`) {
		t.Errorf("--json: %s", r.stdout)
	}
	for want, args := range map[string][]string{
		`--only: no promise matches "nothing"`: {"plugin", "test", program, "--target", "target.json", "--only", "nothing"},
		"--only: error parsing":                {"plugin", "test", program, "--target", "target.json", "--only", "["},
		"--target: ":                           {"plugin", "test", program, "--target", "none.json"},
		"none: no program; give the file":      {"plugin", "test", filepath.Join(p.dir, "none"), "--target", "target.json"},
		"nothing was checked: ":                {"plugin", "test", "/bin/false", "--target", "target.json"},
	} {
		if r := p.must(2, args...); !strings.Contains(r.stderr, want) {
			t.Errorf("%v: %s, want %q", args, r.stderr, want)
		}
	}
}
