package main_test

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
)

// guardedScript has every kind of file that a run is made of, reads or works on.
const guardedScript = `
load("lib/names.star", "key")

web = backend("htpasswd", path = "web.htpasswd", create = True, hash = "sha256")
leaky = backend("leaky", password = secret.file("login.pw"))

def rotate(user, step):
    step.set(web, user.login, step.generate())

workflow(
    users = csv("users.csv", key = key, secrets = ["given"]),
    rotate = rotate,
    reports = [report.csv(param.path("out", default = "passwords.csv"), row = lambda r: {"login": r.user.login, "password": r.password})],
)
`

// guardedPlace is a run with all of its files, and how its commands are called.
type guardedPlace struct {
	*place
	run   string
	files map[string]string // what kind of file: its path
}

func newGuardedPlace(t *testing.T) *guardedPlace {
	t.Helper()
	plugins := leakyPlugin(t, "1")
	real := filepath.Join(t.TempDir(), "elsewhere")
	if err := os.WriteFile(real, []byte("a plugin that is a link"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(real, filepath.Join(plugins, "rekey-backend-linked")); err != nil {
		t.Fatal(err)
	}
	p := newPlace(t, "REKEY_PLUGIN_DIR="+plugins)
	p.write("r.star", guardedScript)
	p.write("lib/names.star", `key = "login"`+"\n")
	p.write("users.csv", "login,given\nann,a1\nbob,b1\n")
	p.write("login.pw", "login\n")
	key := strings.TrimSpace(p.must(0, "keygen", "--out", filepath.Join(p.dir, "second.txt")).stdout)
	p.write("recipients.txt", key+"\n")
	p.env = append(p.env, "REKEY_RECIPIENTS="+filepath.Join(p.dir, "recipients.txt"))
	g := &guardedPlace{place: p, run: p.outcome(0, "run", "r.star", "--yes").Run}
	g.files = map[string]string{
		"script": "r.star", "module": "lib/names.star", "source": "users.csv", "secret file": "login.pw", "password file": "web.htpasswd",
		"recipients": "recipients.txt", "ledger": filepath.Join(p.state, "runs", g.run+".db"), "identity": filepath.Join(p.state, "identity.txt"),
		"audit key": filepath.Join(p.state, "audit.key"), "plugin": filepath.Join(plugins, "rekey-backend-leaky"), "target of a plugin": real, "rekey": binary,
	}
	for kind, path := range g.files {
		if !filepath.IsAbs(path) {
			g.files[kind] = filepath.Join(p.dir, path)
		}
	}
	return g
}

// spellings are other ways to say the same file; a command has the file open as
// its descriptor 3.
func (g *guardedPlace) spellings(t *testing.T, path string) map[string]string {
	t.Helper()
	dir, err := os.MkdirTemp(g.dir, "names")
	if err != nil {
		t.Fatal(err)
	}
	in := func(name string) string { return filepath.Join(dir, name) }
	for _, link := range []struct{ to, name string }{
		{path, in("link")}, {in("link"), in("link of a link")}, {filepath.Dir(path), in("dir")}, {filepath.Join(in("dir"), filepath.Base(path)), in("link through a dir")},
	} {
		if err := os.Symlink(link.to, link.name); err != nil {
			t.Fatal(err)
		}
	}
	rel, err := filepath.Rel(g.dir, path)
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]string{
		"absolute": path, "relative": rel, "dots": filepath.Dir(path) + "/./nowhere/../" + filepath.Base(path), "link": in("link"), "link of a link": in("link of a link"),
		"directory link": filepath.Join(in("dir"), filepath.Base(path)), "link through a directory": in("link through a dir"),
		"descriptor": "/dev/fd/3", "descriptor of a process": "/proc/self/fd/3", "inside": filepath.Join(path, "x.csv"), "descriptor of a directory": "/dev/fd/4/" + filepath.Base(path),
	}
	if os.Link(path, in("hard")) == nil { // else on another file system
		all["hard link"] = in("hard")
	}
	return all
}

// digests are those of all files that must stay.
func (g *guardedPlace) digests(t *testing.T) string {
	t.Helper()
	var all []string
	for kind, path := range g.files {
		if kind == "ledger" {
			continue // every audited act is appended to it
		}
		all = append(all, kind+" "+digestOf(t, path))
	}
	sorted := strings.Join(slices.Sorted(slices.Values(all)), "\n")
	return sorted
}

// digestOf is that of a file; of an executable, which takes its time, it is
// what changes with every writing.
func digestOf(t *testing.T, path string) string {
	t.Helper()
	if info, err := os.Stat(path); err == nil && info.Size() > 1<<20 {
		return fmt.Sprint(info.Size(), info.ModTime(), info.Sys().(*syscall.Stat_t).Ino)
	}
	f, err := os.Open(path)
	if err != nil {
		return err.Error()
	}
	defer f.Close()
	sum := sha256.New()
	if _, err := io.Copy(sum, f); err != nil {
		return err.Error()
	}
	return hex.EncodeToString(sum.Sum(nil))
}

// writers are all options of all commands that say where something is written.
func (g *guardedPlace) writers(planned string) map[string]func(path string) []string {
	return map[string]func(path string) []string{
		"run --checkpoint-to": func(p string) []string {
			return []string{"run", "r.star", "--new", "--yes", "--overwrite", "--checkpoint-to", p}
		},
		"plan --checkpoint-to": func(p string) []string {
			return []string{"plan", "r.star", "--new", "--overwrite", "--checkpoint-to", p}
		},
		"resume --checkpoint-to": func(p string) []string {
			return []string{"resume", planned, "--yes", "--overwrite", "--checkpoint-to", p}
		},
		"a script's report": func(p string) []string { return []string{"run", "r.star", "--new", "--yes", "--overwrite", "out=" + p} },
		"report --out": func(p string) []string {
			return []string{"report", g.run, "--format", "csv", "--overwrite", "--out", p}
		},
		"report --reveal --out": func(p string) []string {
			return []string{"report", g.run, "--format", "jsonl", "--reveal", "--overwrite", "--out", p}
		},
		"report --out of a page": func(p string) []string {
			return []string{"report", g.run, "--format", "html", "--overwrite", "--out", p}
		},
		"audit export --out": func(p string) []string { return []string{"audit", "export", g.run, "--overwrite", "--out", p} },
		"audit prove --out":  func(p string) []string { return []string{"audit", "prove", g.run, "ann", "--overwrite", "--out", p} },
		"keygen --out":       func(p string) []string { return []string{"keygen", "--out", p} },
	}
}

// TestNoOptionWritesOverWhatRekeyNeeds gives every option that writes every file
// that must stay, under every name that leads to it.
func TestNoOptionWritesOverWhatRekeyNeeds(t *testing.T) {
	g := newGuardedPlace(t)
	planned := g.outcome(0, "plan", "r.star", "--new").Run
	elsewhere := t.TempDir()
	tried, n := 0, 0
	for writer, command := range g.writers(planned) {
		applies := !strings.Contains(writer, "--out") // these start plugins, and take their time
		for kind, path := range g.files {
			for spelling, name := range g.spellings(t, path) {
				n++
				if applies && n%16 != 0 || n%3 != 0 { // each name and each file with some writer
					continue
				}
				tried++
				g.stays(t, writer+" "+kind+" "+spelling, path, elsewhere, command(name))
			}
		}
	}
	if tried < 250 {
		t.Errorf("%d writings are too few to tell", tried)
	}
	t.Logf("counts: %d writings over files that must stay: all refused", tried)
}

// stays runs a command that is to be refused.
func (g *guardedPlace) stays(t *testing.T, label, path, elsewhere string, args []string) {
	t.Helper()
	before := g.digests(t)
	cmd := g.command(args...)
	if args[0] != "run" && args[0] != "plan" && filepath.IsAbs(args[len(args)-1]) {
		cmd.Dir = elsewhere // the files of the run are those of its own directory
	}
	for _, open := range []string{path, filepath.Dir(path)} {
		f, err := os.Open(open)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		cmd.ExtraFiles = append(cmd.ExtraFiles, f)
	}
	out, _ := cmd.CombinedOutput()
	if code := cmd.ProcessState.ExitCode(); code != 2 {
		t.Errorf("%s: exit %d, want 2\n%s", label, code, out)
	}
	if after := g.digests(t); after != before {
		t.Fatalf("%s: an input changed:\n%s\nbefore:\n%s", label, after, before)
	}
	if _, err := os.Stat(g.files["ledger"]); err != nil {
		t.Fatalf("%s: %v", label, err)
	}
}

// TestAnOutputThatIsNotOursNeedsOverwrite gives every option that writes a file
// that nobody made by rekey, one that was edited since, and one that it made.
func TestAnOutputThatIsNotOursNeedsOverwrite(t *testing.T) {
	g := newGuardedPlace(t)
	tried := 0
	for writer, command := range g.writers("") {
		if strings.HasPrefix(writer, "keygen") || strings.HasPrefix(writer, "resume") {
			continue
		}
		path := filepath.Join(g.dir, fmt.Sprintf("output%d", tried))
		without := func() []string {
			return strings.Split(strings.ReplaceAll(strings.Join(command(path), "\x00"), "--overwrite\x00", ""), "\x00")
		}
		g.write(filepath.Base(path), "precious")
		if r := g.rekey(without()...); r.exit != 2 || !strings.Contains(r.stderr, "was not written by a run") || g.read(filepath.Base(path)) != "precious" {
			t.Errorf("%s over a foreign file: exit %d, it holds %q\n%s", writer, r.exit, g.read(filepath.Base(path)), r.stderr)
		}
		g.must(0, command(path)...)
		if strings.HasPrefix(writer, "plan") { // the head of a run that is not finished is kept
			if r := g.must(2, without()...); !strings.Contains(r.stderr, "to lose that head") {
				t.Errorf("%s over the head of a plan: %s", writer, r.stderr)
			}
		} else {
			g.must(0, without()...) // ours, and unchanged
		}
		g.write(filepath.Base(path), "edited")
		if r := g.rekey(without()...); r.exit != 2 || !strings.Contains(r.stderr, "was changed since a run wrote it") || g.read(filepath.Base(path)) != "edited" {
			t.Errorf("%s over an edited file: exit %d, it holds %q\n%s", writer, r.exit, g.read(filepath.Base(path)), r.stderr)
		}
		tried++
	}
	if tried != 8 {
		t.Errorf("%d writers, want 8", tried)
	}
}

// TestTwoOutputsOfARunAreTwoFiles refuses a checkpoint over a report.
func TestTwoOutputsOfARunAreTwoFiles(t *testing.T) {
	g := newGuardedPlace(t)
	for _, command := range [][]string{{"run", "r.star", "--new", "--yes"}, {"plan", "r.star", "--new"}} {
		r := g.rekey(append(command, "--checkpoint-to", "./lib/../passwords.csv")...)
		if r.exit != 2 || !strings.Contains(r.stderr, "is the same file as passwords.csv") {
			t.Errorf("%q: exit %d\n%s", command, r.exit, r.stderr)
		}
	}
}

// TestADeviceIsNotReplaced tries as the owner of a link to a device.
func TestADeviceIsNotReplaced(t *testing.T) {
	g := newGuardedPlace(t)
	for name, to := range map[string]string{"link to a device": "/dev/null", "link to a pipe": "/proc/self/fd/1"} {
		path := filepath.Join(g.dir, name)
		if err := os.Symlink(to, path); err != nil {
			t.Fatal(err)
		}
		g.must(2, "report", g.run, "--format", "csv", "--overwrite", "--out", path)
		if info, err := os.Lstat(path); err != nil || info.Mode()&fs.ModeSymlink == 0 {
			t.Errorf("%s was replaced: %v, %v", name, info.Mode(), err)
		}
	}
}

// TestTheNextRunRemovesWhatAKilledOneLeft leaves the draft of a report behind.
func TestTheNextRunRemovesWhatAKilledOneLeft(t *testing.T) {
	p := newPlace(t)
	p.write("r.star", `workflow(users = rows(["ann"], key = "login"), backend = backend("memory"), reports = [report.csv("lists/passwords.csv")])`)
	left := "lists/.rekey-r2345-0123456789abcdef"
	p.write(left, "login,password")
	p.must(0, "run", "r.star", "--yes")
	if _, err := os.Stat(filepath.Join(p.dir, left)); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("%s is still there: %v", left, err)
	}
}
