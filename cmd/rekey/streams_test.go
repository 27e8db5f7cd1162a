package main_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// noisyScript prints a line a user, and takes a while.
const noisyScript = `
def rotate(user, step):
    print("rotating", user.login)
    step.set(target, user.login, step.generate())

target = backend("memory", latency = "20ms", concurrency = 2)
workflow(users = rows(["u%d" % i for i in range(60)], key = "login"), rotate = rotate,
    reports = [report.summary(), report.csv("out.csv", row = lambda r: {"login": r.user.login, "password": r.password})])
`

// TestARunOutlivesWhoReadsIt closes the reader of a stream in the middle.
func TestARunOutlivesWhoReadsIt(t *testing.T) {
	for _, stream := range []string{"stdout", "stderr", "both"} {
		for _, command := range []string{"run", "resume"} {
			t.Run(command+" without "+stream, func(t *testing.T) {
				p := newPlace(t)
				p.write("noisy.star", noisyScript)
				args := []string{"run", "noisy.star", "--yes"}
				if command == "resume" {
					p.must(0, "plan", "noisy.star")
					args = []string{"resume", "last", "--yes"}
				}
				cmd := p.command(args...)
				r, w, err := os.Pipe()
				must(t, err)
				if stream != "stderr" {
					cmd.Stdout = w
				}
				if stream != "stdout" {
					cmd.Stderr = w
				}
				must(t, cmd.Start())
				must(t, w.Close())
				if stream != "stdout" {
					_, _ = r.Read(make([]byte, 10))
				}
				must(t, r.Close())
				_ = cmd.Wait()
				if state := cmd.ProcessState; state.ExitCode() < 0 || state.ExitCode() == 141 || stream == "stderr" && state.ExitCode() != 0 {
					t.Errorf("it ended with %v", state)
				}
				if n := strings.Count(p.read("out.csv"), "\n"); n != 61 {
					t.Errorf("the report has %d lines, want 61", n)
				}
				if out := p.outcome(0, "resume", "last"); out.Counts["done"] != 60 {
					t.Errorf("%v", out.Counts)
				}
			})
		}
	}
}

// TestASignalThatIsIgnoredStaysIgnored starts a run as nohup does, and as a
// shell does in the background.
func TestASignalThatIsIgnoredStaysIgnored(t *testing.T) {
	for name, s := range map[string]syscall.Signal{"HUP": syscall.SIGHUP, "INT": syscall.SIGINT} {
		t.Run(name, func(t *testing.T) {
			p := newPlace(t)
			p.write("noisy.star", noisyScript)
			run := p.command("run", "noisy.star", "--yes")
			cmd := exec.Command("/bin/sh", "-c", fmt.Sprintf(`trap "" %s; exec "$0" "$@"`, name))
			cmd.Args = append(cmd.Args, append([]string{binary}, run.Args[1:]...)...)
			cmd.Dir, cmd.Env = run.Dir, run.Env
			errs := &trigger{word: []byte("rotating"), seen: make(chan struct{})}
			cmd.Stderr = errs
			must(t, cmd.Start())
			select {
			case <-errs.seen:
			case <-time.After(time.Minute):
			}
			must(t, cmd.Process.Signal(s))
			_ = cmd.Wait()
			if code := cmd.ProcessState.ExitCode(); code != 0 || strings.Contains(errs.text.String(), "stopping") {
				t.Errorf("exit %d\n%s", code, errs.text.String())
			}
		})
	}
}

// TestADashIsStandardOutput in every option and report that writes.
func TestADashIsStandardOutput(t *testing.T) {
	p := newPlace(t)
	p.write("r.star", `workflow(users = rows(["ann"], key = "login"), backend = backend("memory"),
	reports = [report.summary(), report.X("-"ROW)])`)
	script := p.read("r.star")
	for kind, want := range map[string]string{"csv": "login,password\nann,", "json": `[`, "jsonl": `{"login": "ann"`, "html": "<!"} {
		row := `, row = lambda r: {"login": r.user.login, "password": r.password}`
		if kind == "html" {
			row = ""
		}
		p.write("r.star", strings.NewReplacer("report.X", "report."+kind, "ROW", row).Replace(script))
		for _, args := range [][]string{{"run", "r.star", "--yes", "--new"}, {"report", "last"}} {
			if r := p.must(0, args...); !strings.HasPrefix(strings.ToLower(r.stdout), want) || !strings.Contains(r.stderr, "1 done") && args[0] == "run" {
				t.Errorf("%s, %q: %s\n%s", kind, args, r.stdout, r.stderr)
			}
		}
		r := p.must(2, "run", "r.star", "--yes", "--new", "--json")
		if !strings.Contains(r.stdout, "both want standard output") {
			t.Errorf("%s with --json: %s", kind, r.stdout)
		}
	}
	for _, args := range [][]string{
		{"audit", "export", "last", "--out", "-"}, {"audit", "prove", "last", "ann", "--out", "-"}, {"report", "last", "--format", "csv", "--out", "-"}, {"keygen", "--out", "-"},
	} {
		if r := p.must(0, args...); r.stdout == "" {
			t.Errorf("%q: nothing on standard output", args)
		}
	}
	if _, err := os.Lstat(filepath.Join(p.dir, "-")); err == nil {
		t.Error("there is a file -")
	}
	bundle := p.must(0, "audit", "export", "last", "--out", "-").stdout
	p.write("bundle", bundle)
	key := strings.TrimSpace(p.must(0, "audit", "key").stdout)
	p.must(0, "audit", "verify", "--bundle", "bundle", "--key", key)
}

// TestOutWantsAFormat, and names the one that the file's name speaks of.
func TestOutWantsAFormat(t *testing.T) {
	p := newPlace(t)
	p.write("r.star", `workflow(users = rows(["ann"], key = "login"), backend = backend("memory"))`)
	p.must(0, "run", "r.star", "--yes")
	for out, want := range map[string]string{"q.csv": "give --format csv", "q.html": "give --format html", "q": "give --format summary, json", "-": "give --format"} {
		if r := p.must(2, "report", "last", "--out", out); !strings.Contains(r.stderr, want) {
			t.Errorf("--out %s: %s", out, r.stderr)
		}
	}
}

// TestAListForASpreadsheet has the mark and the delimiter that one wants.
func TestAListForASpreadsheet(t *testing.T) {
	p := newPlace(t)
	p.write("r.star", `workflow(users = rows([{"login": "émile", "note": "a;b"}, {"login": "ann", "note": "a,b"}], key = "login"), backend = backend("memory"),
	reports = [report.csv("out.csv", delimiter = ";", encoding = "utf-8-sig", row = lambda r: {"login": r.user.login, "note": r.user.note})])`)
	p.must(0, "run", "r.star", "--yes")
	if got, want := p.read("out.csv"), "\ufefflogin;note\némile;\"a;b\"\nann;\"a,b\"\n"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
	for _, bad := range []string{`delimiter = ";;"`, `delimiter = ""`, `delimiter = "\n"`, `delimiter = "\""`, `encoding = "latin-1"`} {
		p.write("bad.star", `workflow(users = rows(["ann"], key = "login"), backend = backend("memory"), reports = [report.csv("out.csv", `+bad+`)])`)
		if r := p.must(2, "check", "bad.star"); !strings.Contains(r.stderr, "bad.star:1:") {
			t.Errorf("%s: %s", bad, r.stderr)
		}
	}
}

// listScript gives each user the value that the list has, to accounts that may
// be missing.
const listScript = `
target = backend("htpasswd", path = param.path("users"), hash = "sha256")
workflow(users = rows(param.json("names"), key = "login"), backend = target,
    reports = [report.FORMAT("list", row = lambda r: {"login": r.user.login, "password": r.password, "status": r.status})])
`

// TestAListOfPasswordsIsNotReplacedByAWorseOne runs again where less of it
// works.
func TestAListOfPasswordsIsNotReplacedByAWorseOne(t *testing.T) {
	all := `names=["ann","bob","cy"]`
	for _, format := range []string{"csv", "json", "jsonl"} {
		for name, c := range map[string]struct {
			users string
			names string
			more  []string
			stays bool
		}{
			"nobody is done":        {"", all, nil, true},
			"fewer are done":        {"ann:x\n", all, nil, true},
			"as many are done":      {"ann:x\nbob:x\ncy:x\n", all, nil, false},
			"a shorter list, whole": {"ann:x\n", `names=["ann"]`, nil, false},
			"--overwrite":           {"", all, []string{"--overwrite"}, false},
		} {
			t.Run(format+", "+name, func(t *testing.T) {
				p := newPlace(t)
				p.write("r.star", strings.Replace(listScript, "FORMAT", format, 1))
				p.write("first", "ann:x\nbob:x\ncy:x\n")
				p.write("second", c.users)
				p.must(0, "run", "r.star", "--yes", "users=first", all)
				before := p.read("list")
				r := p.rekey(append([]string{"run", "r.star", "--yes", "users=second", c.names}, c.more...)...)
				after := p.read("list")
				said := strings.Contains(r.stderr, "warning: list stays as run") && strings.Contains(r.stderr, "its list is list.failed")
				_, err := os.Stat(filepath.Join(p.dir, "list.failed"))
				if stays := before == after; stays != c.stays || said != c.stays || (err == nil) != c.stays {
					t.Errorf("the list stays: %v, it is said: %v, list.failed: %v, want %v\n%s", stays, said, err, c.stays, r.stderr)
				}
				if c.stays {
					p.write("second", "ann:x\nbob:x\ncy:x\n")
					p.must(0, "retry", "last", "--yes")
					if now := p.read("list"); now == before || !strings.Contains(now, "cy") {
						t.Errorf("after a retry that did all, the list is still the old one: %s", now)
					}
				}
			})
		}
	}
}
