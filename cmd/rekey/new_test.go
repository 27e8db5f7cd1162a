package main_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/rekey-host/rekey/host/scaffold"
)

// TestNewScriptsAreSoundFormattedAndTested, of every kind, as they are written.
func TestNewScriptsAreSoundFormattedAndTested(t *testing.T) {
	p := newPlace(t)
	listed := p.must(0, "new", "script").stdout
	for _, kind := range scaffold.ScriptKinds() {
		if !strings.Contains(listed, kind.Name) || !strings.Contains(listed, kind.Doc) {
			t.Errorf("%s is not listed:\n%s", kind.Name, listed)
		}
		if r := p.must(0, "new", "script", kind.Name, "my-"+kind.Name, "--out", "mine"); !strings.Contains(r.stdout, "wrote mine/my-"+kind.Name+".star, mine/my-"+kind.Name+"_test.star\n") {
			t.Errorf("%s: it says %s", kind.Name, r.stdout)
		}
	}
	if r := p.must(0, "check", "mine"); r.stderr != "" {
		t.Errorf("rekey check finds\n%s", r.stderr)
	}
	p.must(0, "fmt", "--check", "mine")
	var out struct {
		Tests          []struct{ File string }
		Passed, Failed int
	}
	if err := json.Unmarshal([]byte(p.must(0, "test", "mine", "--json").stdout), &out); err != nil || out.Failed != 0 {
		t.Errorf("%+v, %v", out, err)
	}
	tested := map[string]bool{}
	for _, one := range out.Tests {
		tested[filepath.Base(one.File)] = true
	}
	if len(tested) != len(scaffold.ScriptKinds()) {
		t.Errorf("tests of %v, want of %d kinds", tested, len(scaffold.ScriptKinds()))
	}
}

// TestNewScriptsOverwriteNothing, the tests beside them neither.
func TestNewScriptsOverwriteNothing(t *testing.T) {
	p := newPlace(t)
	p.write("waves_test.star", "mine\n")
	for _, c := range []struct{ args, want string }{
		{"new script waves", "waves_test.star exists already; give another name or directory, or remove it"},
		{"new script wavs", `there is no kind of script "wavs"; did you mean "waves"?`},
		{"new script bicycle", `there is no kind of script "bicycle"; use one of migration, waves, sync, report`},
		{"new script waves ../x", `"../x" is no name of a script`},
		{"new script waves x_test", `"x_test" is no name of a script`},
	} {
		if r := p.must(2, strings.Fields(c.args)...); !strings.Contains(r.stderr, c.want) {
			t.Errorf("%s: %s", c.args, r.stderr)
		}
	}
	if _, err := os.Stat(filepath.Join(p.dir, "waves.star")); err == nil || p.read("waves_test.star") != "mine\n" {
		t.Error("half of it was written, or what was there is gone")
	}
}

// TestTheTutorialIsWhatNewWrites: the README shows the script and its tests, which
// are shorter than 40 lines; TestReadmeCommandsWork runs its commands.
func TestTheTutorialIsWhatNewWrites(t *testing.T) {
	p := newPlace(t)
	p.must(0, "new", "script", "migration", "staff")
	_, blocks := readme(t)
	lines := 0
	for _, name := range []string{"staff.star", "staff_test.star"} {
		text := p.read(name)
		lines += strings.Count(text, "\n")
		shown := ""
		for _, b := range blocks {
			if first, _, _ := strings.Cut(text, "\n"); strings.HasPrefix(b.text, first) {
				shown = b.text
			}
		}
		if diff := cmp.Diff(text, shown); diff != "" {
			t.Errorf("%s and the README (-written +shown):\n%s", name, diff)
		}
	}
	if lines >= 40 {
		t.Errorf("%d lines, want fewer than 40", lines)
	}
}

// TestShippedScriptsAreListedPrintedAndCopied: each copy is sound and formatted,
// passes its own tests, and names nothing that ships with rekey.
func TestShippedScriptsAreListedPrintedAndCopied(t *testing.T) {
	p := newPlace(t)
	listed := p.must(0, "scripts").stdout
	entries, err := filepath.Glob("../../scripts/*.star")
	if err != nil {
		t.Fatal(err)
	}
	seen := 0
	for _, path := range entries {
		name := strings.TrimSuffix(filepath.Base(path), ".star")
		if strings.HasSuffix(name, "_test") {
			continue
		}
		seen++
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		first, _, _ := strings.Cut(strings.TrimPrefix(string(text), `"""`), "\n")
		if !strings.Contains(listed, name+" ") || !strings.Contains(listed, first+"\n") {
			t.Errorf("%s is not listed with %q", name, first)
		}
		if r := p.must(0, "scripts", name); r.stdout != string(text) {
			t.Errorf("%s is not printed as it is", name)
		}
		copied := filepath.Join(name, "own.star")
		p.must(0, "scripts", "@rekey/"+name+".star", "--copy="+copied)
		for _, ending := range []string{"own.star", "own_test.star"} {
			if text := p.read(filepath.Join(name, ending)); strings.Contains(text, "@rekey/") {
				t.Errorf("%s/%s still names what ships with rekey", name, ending)
			}
		}
		if r := p.must(2, "scripts", name, "--copy="+copied); !strings.Contains(r.stderr, copied+" exists already") {
			t.Errorf("a second copy: %s", r.stderr)
		}
	}
	if seen < 16 {
		t.Errorf("%d scripts", seen)
	}
	p.must(0, "check")
	p.must(0, "fmt", "--check")
	for _, name := range []string{"quickstart", "two_accounts"} {
		p.must(0, "test", name)
	}
	p.must(0, "run", "quickstart/own.star", "--yes")
	for _, c := range []struct{ args, want string }{
		{"scripts rotat", `rekey ships no script "rotat"; did you mean "rotate"?`},
		{"scripts rotate_test", `rekey ships no script "rotate_test"`},
		{"scripts ../embed", `rekey ships no script "../embed"; use one of ad_rotate, `},
		{"scripts rotate --copy=there", "there is no name of a script; write NAME.star"},
		{"scripts --copy", "--copy wants the name of a script"},
	} {
		if r := p.must(2, strings.Fields(c.args)...); !strings.Contains(r.stderr, c.want) {
			t.Errorf("%s: %s", c.args, r.stderr)
		}
	}
}
