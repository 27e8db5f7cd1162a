package main_test

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// wrapped installs the plugin in dir as a script of its own, which notes each
// start in the file that it returns.
func wrapped(t *testing.T, p *place, dir string) (script, notes string) {
	t.Helper()
	script, notes = filepath.Join(p.dir, "plugins", "rekey-backend-leaky"), filepath.Join(p.dir, "started")
	text := "#!/bin/sh\necho started >> " + notes + "\nexec " + filepath.Join(dir, "rekey-backend-leaky") + "\n"
	if err := errors.Join(os.MkdirAll(filepath.Dir(script), 0o755), os.WriteFile(script, []byte(text), 0o755)); err != nil {
		t.Fatal(err)
	}
	p.env = append(p.env, "REKEY_PLUGIN_DIR="+filepath.Dir(script))
	return script, notes
}

// appended puts another file of the same meaning in the place of a script.
func appended(t *testing.T, script string) {
	t.Helper()
	text, err := os.ReadFile(script)
	if err == nil {
		err = errors.Join(os.Remove(script), os.WriteFile(script, append(text, "# another\n"...), 0o755))
	}
	if err != nil {
		t.Fatal(err)
	}
}

// trusted is what show --json says of the programs and keys of a run.
type trusted struct {
	Backends []struct {
		Label, Name, Version, SHA256 string
		Target                       map[string]any
		Confined                     bool
		Grants                       []string
	}
	Recipients []string
}

func (p *place) trusted() trusted {
	p.t.Helper()
	var shown trusted
	if err := json.Unmarshal([]byte(p.must(0, "show", "last", "--json").stdout), &shown); err != nil {
		p.t.Fatal(err)
	}
	return shown
}

const heldScript = `leaky = backend("leaky", password = secret.env("LOGIN"))

def rotate(user, step):
    step.set(leaky, user.login, step.generate())

workflow(
    users = rows(["ann", "bob", "cyd"], key = "login"),
    rotate = rotate,
    waves = {"first": wave_rule(take = 1, hold = "approval"), "second": wave_rule(take = 1, hold = "approval"), "rest": wave_rule()},
)`

// TestAnotherProgramOfTheSameVersionIsRefusedUntilItIsAccepted: the file of a
// plugin is pinned at plan, and compared before it is started.
func TestAnotherProgramOfTheSameVersionIsRefusedUntilItIsAccepted(t *testing.T) {
	p := newPlace(t, "LOGIN=of-the-plugin")
	script, notes := wrapped(t, p, leakyPlugin(t, "1"))
	p.write("leaky.star", heldScript)
	if r := p.must(0, "--no-sandbox", "leaky", "plan", "leaky.star"); !strings.Contains(r.stdout, "backend leaky: leaky 1, SHA-256 ") {
		t.Errorf("the plan does not name the program: %s", r.stdout)
	}
	planned := p.trusted().Backends[0]
	if planned.Label != "leaky" || planned.Version != "1" || len(planned.SHA256) != 64 {
		t.Errorf("show --json: %+v", planned)
	}
	p.outcome(6, "--no-sandbox", "leaky", "resume", "last", "--yes")
	p.must(0, "approve", "last")
	appended(t, script)
	before := p.read("started")
	r := p.must(2, "--no-sandbox", "leaky", "resume", "last", "--yes")
	if !strings.Contains(r.stderr, "was planned with leaky 1 of SHA-256 "+planned.SHA256[:16]+"…, ") || !strings.Contains(r.stderr, "; use that version, or give --accept-change") {
		t.Errorf("got %s", r.stderr)
	}
	if now := p.read("started"); now != before {
		t.Errorf("%s: the other program was started to find out", notes)
	}
	p.outcome(6, "--no-sandbox", "leaky", "resume", "last", "--yes", "--accept-change")
	if now := p.trusted().Backends[0].SHA256; now == planned.SHA256 {
		t.Error("show names the program of the plan, not the one that was accepted")
	}
	p.must(0, "approve", "last")
	p.outcome(0, "--no-sandbox", "leaky", "resume", "last", "--yes") // what was accepted is what is compared
	p.must(0, "audit", "verify", "last")
	appended(t, script)
	p.must(0, "--no-sandbox", "leaky", "plan", "leaky.star", "--new") // another run, another pin
}

const targets = `web = backend("htpasswd", label = "web", path = "A", create = True, hash = "sha256", cost = 1000, timeout = "30s")
spare = backend("htpasswd", label = "spare", path = "S", create = True, hash = "sha256", cost = 1000)

def rotate(user, step):
    step.set(web, user.id, step.generate())
    if user.id == "cyd":
        step.set(spare, user.id, step.generate())

workflow(
    users = rows(["ann", "bob", "cyd"], key = "id"),
    rotate = rotate,
    waves = {"first": wave_rule(take = 1, hold = "approval"), "rest": wave_rule()},
)
`

// TestAcceptedChangesNeverMoveUsersThatHaveStarted is every kind of change of a
// backend: of its target, of how it is reached, and of one that nobody has used.
func TestAcceptedChangesNeverMoveUsersThatHaveStarted(t *testing.T) {
	t.Parallel()
	for _, x := range []struct {
		name, old, new string
		want           string // of the refusal; "": accepted
	}{
		{"another path", `path = "A"`, `path = "B"`, `backend "web" was htpasswd(path = "DIR/A"), and is htpasswd(path = "DIR/B") now; 1 user got a value there, or may have; leave the label`},
		{"another plugin", `backend("htpasswd", label = "web", path = "A", create = True, hash = "sha256", cost = 1000, timeout = "30s")`, `backend("memory", label = "web")`, `backend "web" was htpasswd(path = "DIR/A"), and is memory now; 1 user`},
		{"another label", `label = "web"`, `label = "www"`, `backend "web" was htpasswd(path = "DIR/A"), and the script has none now; 1 user`},
		{"labels swapped", `label = "web", path = "A"`, `label = "web", path = "S"`, `and is htpasswd(path = "DIR/S") now; 1 user`},
		{"the same path", `path = "A"`, `path = "./x/../A"`, ""},
		{"a setting that is no target", `cost = 1000, timeout`, `cost = 1001, timeout`, ""},
		{"another hash", `hash = "sha256", cost = 1000, timeout`, `hash = "sha512", cost = 1000, timeout`, ""},
		{"create", `path = "A", create = True`, `path = "A", create = False`, ""},
		{"the timeout", `timeout = "30s"`, `timeout = "31s"`, ""},
		{"the rate", `timeout = "30s"`, `rate = "100/s"`, ""},
		{"the concurrency", `timeout = "30s"`, `concurrency = 1`, ""},
		{"one that nobody has used", `path = "S"`, `path = "T"`, ""},
		{"one that nobody has used, renamed", `label = "spare"`, `label = "other"`, ""},
		{"a new one", "\ndef rotate", "more = backend(\"memory\")\n\ndef rotate", ""},
	} {
		t.Run(x.name, func(t *testing.T) {
			t.Parallel()
			p := newPlace(t)
			p.write("t.star", targets)
			p.outcome(6, "run", "t.star", "--yes")
			p.must(0, "approve", "last")
			changed := strings.Replace(targets, x.old, x.new, 1)
			if x.name == "labels swapped" {
				changed = strings.Replace(changed, `label = "spare", path = "S"`, `label = "spare", path = "A"`, 1)
			}
			if changed == targets {
				t.Fatal("nothing changed")
			}
			p.write("t.star", changed)
			before := p.read("A")
			p.must(2, "resume", "last", "--yes") // not without the word
			if x.want == "" {
				p.resumesAccepted(x.name)
				return
			}
			r := p.must(2, "resume", "last", "--yes", "--accept-change")
			if want := strings.ReplaceAll(x.want, "DIR", p.dir); !strings.Contains(r.stderr, want) || strings.Count(r.stderr, "\n") != 1 {
				t.Errorf("%s\nwant one line with %s", r.stderr, want)
			}
			if _, err := os.Stat(filepath.Join(p.dir, "B")); err == nil || p.read("A") != before {
				t.Error("something was changed")
			}
			p.write("t.star", targets)
			if o := p.outcome(0, "resume", "last", "--yes"); o.Counts["done"] != 3 || strings.Contains(p.must(0, "show", "last").stdout, "accepted") {
				t.Errorf("with the script of the plan: %+v", o)
			}
		})
	}
}

// resumesAccepted goes on with a changed script; create = False fails those
// whom the file does not have.
func (p *place) resumesAccepted(what string) {
	p.t.Helper()
	exit, done := 0, int64(3)
	if what == "create" {
		exit, done = 3, 1
	}
	if o := p.outcome(exit, "resume", "last", "--yes", "--accept-change"); o.Counts["done"] != done {
		p.t.Errorf("%+v", o)
	}
	if what == "one that nobody has used" && !strings.HasPrefix(p.read("T"), "cyd:") {
		p.t.Error("the new target got nothing")
	}
}

// TestATargetIsOnRecordWhereItsValuesAre: a label that was moved before anybody
// used it keeps its new target from then on.
func TestATargetIsOnRecordWhereItsValuesAre(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	p.write("t.star", targets)
	p.outcome(6, "run", "t.star", "--yes")
	p.must(0, "approve", "last")
	moved := strings.Replace(targets, `path = "S"`, `path = "T"`, 1)
	p.write("t.star", strings.Replace(moved, `user.id == "cyd"`, `user.id == "bob" or fail("mend me")`, 1))
	if o := p.outcome(3, "resume", "last", "--yes", "--accept-change"); o.Counts["partial"] != 1 {
		t.Fatalf("%+v", o)
	}
	if got := p.trusted().Backends[1].Target["path"]; got != filepath.Join(p.dir, "T") {
		t.Errorf("show --json: spare reaches %v", got)
	}
	p.write("t.star", targets)
	r := p.must(2, "retry", "last", "--yes", "--accept-change")
	if want := `backend "spare" was htpasswd(path = "` + p.dir + `/T"), and is htpasswd(path = "` + p.dir + `/S") now; 1 user`; !strings.Contains(r.stderr, want) {
		t.Errorf("%s\nwant %s", r.stderr, want)
	}
}

// TestAWrongTargetThatRefusedAllMayBeMended: nobody has a value there.
func TestAWrongTargetThatRefusedAllMayBeMended(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	script := `workflow(users = rows(["ann", "bob"], key = "id"), backend = backend("htpasswd", path = "A", hash = "sha256", cost = 1000))` + "\n"
	p.write("A", "zoe:x\n")
	p.write("B", "ann:x\nbob:x\n")
	p.write("t.star", script)
	if o := p.outcome(3, "run", "t.star", "--yes"); o.Counts["failed"] != 2 {
		t.Fatalf("%+v", o)
	}
	p.write("t.star", strings.Replace(script, `"A"`, `"B"`, 1))
	if o := p.outcome(0, "retry", "last", "--yes", "--accept-change"); o.Counts["done"] != 2 {
		t.Errorf("%+v", o)
	}
}

// TestTheLogIsHclogs: every line that a run writes to its log, of the host, of
// go-plugin and of a plugin, has hclog's names.
func TestTheLogIsHclogs(t *testing.T) {
	t.Parallel()
	p := newPlace(t, "LOGIN=of-the-plugin", "REKEY_LOG=trace", "REKEY_PLUGIN_DIR="+leakyPlugin(t, "1"))
	p.write("leaky.star", `leaky = backend("leaky", password = secret.env("LOGIN"))

def rotate(user, step):
    step.set(leaky, user.login, step.generate())

workflow(users = rows(["ann"], key = "login"), rotate = rotate)
`)
	r := p.must(0, "run", "leaky.star", "--yes", "--log-format", "json")
	levels, modules := map[string]bool{}, map[string]bool{}
	for line := range strings.Lines(r.stderr) {
		var entry struct {
			Level     string `json:"@level"`
			Message   string `json:"@message"`
			Module    string `json:"@module"`
			Timestamp string `json:"@timestamp"`
		}
		if !strings.HasPrefix(line, "{") {
			continue
		}
		if err := json.Unmarshal([]byte(line), &entry); err != nil || entry.Level == "" || entry.Message == "" || entry.Timestamp == "" || !strings.HasPrefix(entry.Module, "rekey.") {
			t.Errorf("%v: %s", err, line)
		}
		levels[entry.Level], modules[entry.Module] = true, true
	}
	if !levels["error"] || !levels["debug"] || !modules["rekey.leaky"] {
		t.Errorf("levels %v, modules %v in\n%s", levels, modules, r.stderr)
	}
	r = p.must(0, "run", "leaky.star", "--yes", "--new")
	if !strings.Contains(r.stderr, " [ERROR] rekey.leaky: error [redacted]: ") || strings.Contains(r.stderr, "of-the-plugin") {
		t.Errorf("got\n%s", r.stderr)
	}
}

// TestALinkThatIsPointedElsewhereIsAnotherTarget, however its path reads.
func TestALinkThatIsPointedElsewhereIsAnotherTarget(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	for _, dir := range []string{"d1", "d2"} {
		must(t, os.Mkdir(filepath.Join(p.dir, dir), 0o700))
	}
	link := filepath.Join(p.dir, "link")
	must(t, os.Symlink("d1", link))
	p.write("t.star", strings.Replace(targets, `path = "A"`, `path = "link/A"`, 1))
	p.outcome(6, "run", "t.star", "--yes")
	p.must(0, "approve", "last")
	must(t, os.Remove(link))
	must(t, os.Symlink("d2", link))
	for _, args := range [][]string{{"resume", "last", "--yes"}, {"resume", "last", "--yes", "--accept-change"}} {
		if r := p.must(2, args...); !strings.Contains(r.stderr, "d1/A") || !strings.Contains(r.stderr, "d2/A") {
			t.Errorf("%v: %s", args, r.stderr)
		}
	}
	if _, err := os.Stat(filepath.Join(p.dir, "d2", "A")); err == nil {
		t.Error("the other file was written")
	}
	must(t, os.Remove(link))
	must(t, os.Symlink("d1", link))
	if o := p.outcome(0, "resume", "last", "--yes"); o.Counts["done"] != 3 {
		t.Errorf("with the link of the plan: %+v", o)
	}
}

// TestAFileThatIsGoneIsNotMadeAnew: who was in it, and is not of the run, would
// be missing.
func TestAFileThatIsGoneIsNotMadeAnew(t *testing.T) {
	t.Parallel()
	for _, x := range []struct {
		name  string
		begin func(p *place)
		want  string // "": it goes on
	}{
		{"of a run under way", func(p *place) {
			p.write("A", "zoe:x\n")
			p.outcome(6, "run", "t.star", "--yes")
			p.must(0, "approve", "last")
		}, "/A is gone, and 1 user got a value there; put the file back"},
		{"that the run made", func(p *place) {
			p.outcome(6, "run", "t.star", "--yes")
			p.must(0, "approve", "last")
		}, "/A is gone, and 1 user got a value there; put the file back"},
		{"before anybody started", func(p *place) {
			p.write("A", "zoe:x\n")
			p.must(0, "plan", "t.star")
		}, "/A is gone, and it was there when the run was planned; put the file back"},
		{"behind a link", func(p *place) {
			p.write("real/A", "zoe:x\n")
			must(p.t, os.Symlink("real/A", filepath.Join(p.dir, "A")))
			p.outcome(6, "run", "t.star", "--yes")
			p.must(0, "approve", "last")
			must(p.t, os.Rename(filepath.Join(p.dir, "real", "A"), filepath.Join(p.dir, "away")))
			must(p.t, os.WriteFile(filepath.Join(p.dir, "real", "other"), nil, 0o600))
		}, "/real/A is gone, and 1 user got a value there; put the file back"},
		{"that was never there", func(p *place) { p.must(0, "plan", "t.star") }, ""},
	} {
		t.Run(x.name, func(t *testing.T) {
			t.Parallel()
			p := newPlace(t)
			p.write("t.star", targets)
			x.begin(p)
			path, away := filepath.Join(p.dir, "A"), filepath.Join(p.dir, "away")
			if x.want == "" {
				p.outcome(6, "resume", "last", "--yes")
				return
			}
			if x.name == "behind a link" {
				path = filepath.Join(p.dir, "real", "A")
			} else {
				must(t, os.Rename(path, away))
			}
			for _, args := range [][]string{{"resume", "last", "--yes"}, {"resume", "last", "--yes", "--accept-change"}} {
				r := p.must(2, args...)
				if !strings.Contains(r.stderr, x.want) || strings.Count(r.stderr, "\n") != 1 {
					t.Errorf("%v: %s\nwant one line with %s", args, r.stderr, x.want)
				}
			}
			if _, err := os.Stat(path); err == nil {
				t.Error("the file was made anew")
			}
			must(t, os.Rename(away, path))
			exit := 0
			if x.name == "before anybody started" {
				exit = 6
			}
			p.outcome(exit, "resume", "last", "--yes")
			if x.name != "that the run made" && !strings.HasPrefix(p.read("A"), "zoe:x\n") {
				t.Error("zoe is missing")
			}
		})
	}
}

// TestNoSandboxNamesAPluginThatIsThere: one that is mistyped would leave confined what
// was to be let go.
func TestNoSandboxNamesAPluginThatIsThere(t *testing.T) {
	p := newPlace(t)
	p.write("s.star", "workflow(users = rows([\"ann\"], key = \"login\"), backend = backend(\"htpasswd\", path = \"users\", create = True))\n")
	if r := p.must(2, "plan", "s.star", "--no-sandbox", "htpaswd"); !strings.Contains(r.stderr, `--no-sandbox htpaswd: there is no backend "htpaswd"; did you mean "htpasswd"?`) {
		t.Errorf("got %s", r.stderr)
	}
}
