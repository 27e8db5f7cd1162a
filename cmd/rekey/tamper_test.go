package main_test

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// tamperScript sets values slowly enough to be interfered with.
const tamperScript = `b = backend("htpasswd", path = "u.htpasswd", create = True, hash = "sha256", cost = 1000, rate = "100/s")
workflow(users = rows(["u%d" % i for i in range(150)], key = "id"), backend = b)
`

// stopped makes a place with a run that was killed under way, or that is
// planned, or done.
func stoppedRun(t *testing.T, how string) (*place, string) {
	t.Helper()
	p := newPlace(t)
	p.write("r.star", tamperScript)
	switch how {
	case "planned":
		p.must(0, "plan", "r.star")
	case "done":
		p.write("r.star", strings.Replace(tamperScript, "range(150)", "range(5)", 1))
		p.must(0, "run", "r.star", "--yes")
	default:
		cmd := p.underWay()
		must(t, cmd.Process.Kill())
		_ = cmd.Wait()
	}
	return p, p.onlyRun()
}

// underWay starts the run and waits until values are set.
func (p *place) underWay() *exec.Cmd {
	p.t.Helper()
	cmd := p.command("run", "r.star", "--yes")
	var said strings.Builder
	cmd.Stdout, cmd.Stderr = &said, &said
	must(p.t, cmd.Start())
	p.t.Cleanup(func() { _ = cmd.Process.Kill() })
	for end := time.Now().Add(time.Minute); p.accounts() < 5; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			p.t.Fatalf("nothing is set: %s", said.String())
		}
	}
	return cmd
}

// accounts counts the accounts that have a value.
func (p *place) accounts() int {
	text, _ := os.ReadFile(filepath.Join(p.dir, "u.htpasswd"))
	return strings.Count(string(text), "\n")
}

func (p *place) onlyRun() string {
	p.t.Helper()
	found, err := filepath.Glob(filepath.Join(p.state, "runs", "*.db"))
	if err != nil || len(found) != 1 {
		p.t.Fatalf("runs: %v, %v", found, err)
	}
	return strings.TrimSuffix(filepath.Base(found[0]), ".db")
}

func (p *place) runFile(id string) string { return filepath.Join(p.state, "runs", id+".db") }

// readers are the commands that look, and appliers those that go on.
func readers(id string) [][]string {
	return [][]string{{"runs"}, {"show", id}, {"show", id, "--user", "u1"}, {"reveal", id}, {"reveal", id, "u1"}, {"report", id, "--format", "csv"},
		{"report", id, "--format", "jsonl", "--reveal"}, {"report", id}, {"audit", "verify", id}, {"audit", "verify", id, "--open"}, {"audit", "prove", id, "u1"},
		{"audit", "export", id, "--out", "-"}, {"audit", "key"}}
}

func appliers(id string) [][]string {
	return [][]string{{"resume", id, "--yes"}, {"retry", id, "--yes"}, {"approve", id}, {"forget", id}}
}

// TestTamperedStateIsNoticedByEveryCommand puts the state directory into each
// state between two commands. No command that goes on may send anything then
// without having been told to, and none may pass over it in silence.
func TestTamperedStateIsNoticedByEveryCommand(t *testing.T) {
	cases := 0
	for _, harm := range []struct {
		name  string
		do    func(t *testing.T, p *place, id string)
		looks string // what commands that look do: read, or fail, or notice (audit verify finds it)
		says  string // what commands that go on say
	}{
		{"removed", func(t *testing.T, p *place, id string) { must(t, os.Remove(p.runFile(id))) }, "fail", "no such run"},
		{"emptied", func(t *testing.T, p *place, id string) { must(t, os.Truncate(p.runFile(id), 0)) }, "fail", ""},
		{"cut off", func(t *testing.T, p *place, id string) { must(t, os.Truncate(p.runFile(id), 8192)) }, "fail", ""},
		{"first page flipped", func(t *testing.T, p *place, id string) { flipFile(t, p.runFile(id), 30) }, "fail", ""},
		{"older copy", func(t *testing.T, p *place, id string) {
			older, err := os.ReadFile(filepath.Join(p.dir, "older.db"))
			must(t, err)
			must(t, os.WriteFile(p.runFile(id), older, 0o600))
		}, "notice", "an older copy was put back"},
		{"another host", func(t *testing.T, p *place, _ string) {
			p.wrap = []string{"unshare", "--uts", "sh", "-c", `hostname elsewhere && exec "$@"`, "sh"}
		}, "read", "on host"},
		{"a copy of the state directory", func(t *testing.T, p *place, _ string) {
			must(t, exec.Command("cp", "-a", p.state, p.state+".copy").Run())
			p.state += ".copy"
		}, "read", "of which this is a copy"},
		{"a copy in its place", func(t *testing.T, p *place, _ string) {
			must(t, exec.Command("cp", "-a", p.state, p.state+".copy").Run())
			must(t, os.Rename(p.state, p.state+".old"))
			must(t, os.Rename(p.state+".copy", p.state))
		}, "read", "put back from one"},
		{"without its mark", func(t *testing.T, p *place, id string) { must(t, os.Remove(filepath.Join(p.state, "marks", id))) }, "read", "is gone"},
		{"without marks and name", func(t *testing.T, p *place, id string) {
			must(t, os.RemoveAll(filepath.Join(p.state, "marks")))
			must(t, os.Remove(filepath.Join(p.state, "state.id")))
		}, "read", "a copy, or that was put back"},
	} {
		for _, how := range []string{"killed", "planned", "done"} {
			t.Run(harm.name+" "+how, func(t *testing.T) {
				if harm.name == "another host" && os.Getuid() != 0 {
					t.Skip("a host name of its own needs root; host/ledger tests it without")
				}
				p, id := stoppedRun(t, how)
				p.rekey("show", id) // folds in what a kill left
				if harm.name == "older copy" {
					text, err := os.ReadFile(p.runFile(id))
					must(t, err)
					p.write("older.db", string(text))
					p.must(0, "reveal", id) // the newest has a record more
				}
				harm.do(t, p, id)
				before := p.accounts()
				for _, args := range readers(id) {
					cases++
					r := p.rekey(args...)
					p.judge(harm.looks, args, r)
				}
				for _, args := range appliers(id) {
					cases++
					if r := p.rekey(args...); r.exit != 2 && r.exit != 1 || !strings.Contains(r.stderr, harm.says) {
						t.Errorf("rekey %s: exit %d, want that it is refused for %q: %s", strings.Join(args, " "), r.exit, harm.says, r.stderr)
					}
				}
				if now := p.accounts(); now != before {
					t.Errorf("%d accounts were changed", now-before)
				}
			})
		}
	}
	t.Logf("%d cases", cases)
}

// judge checks what a command that looks did.
func (p *place) judge(want string, args []string, r result) {
	p.t.Helper()
	line := strings.Join(args, " ")
	aboutRun := args[0] != "runs" && line != "audit key"
	bad := false
	switch {
	case want == "read" || !aboutRun && want == "notice":
		bad = r.exit != 0
	case want == "fail" && aboutRun:
		bad = r.exit == 0 || r.stderr+r.stdout == ""
	case want == "notice" && args[1] == "verify":
		bad = r.exit != 3
	case want == "notice" && isAudited(args): // nothing is added to an older copy
		bad = r.exit != 2 || r.stdout != "" || !strings.Contains(r.stderr, "--unaudited")
	case want == "notice":
		bad = r.exit != 0 || !strings.Contains(r.stderr, "an older copy was put back")
	}
	if bad {
		p.t.Errorf("rekey %s: exit %d, want that it does %s: %s%s", line, r.exit, want, r.stdout, r.stderr)
	}
}

// isAudited reports whether a command shows values, which is recorded.
func isAudited(args []string) bool { return args[0] == "reveal" || args[len(args)-1] == "--reveal" }

func flipFile(t *testing.T, path string, at int64) {
	t.Helper()
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	must(t, err)
	defer f.Close()
	var b [1]byte
	_, err = f.ReadAt(b[:], at)
	must(t, err)
	_, err = f.WriteAt([]byte{b[0] ^ 0xff}, at)
	must(t, err)
}

// TestLedgerThatVanishesUnderARunStopsIt harms the files of a run that sets
// values. It stops at once, says what happened and whose values were under
// way, and no value that was set is without one that is kept where the harm
// leaves anything to keep.
func TestLedgerThatVanishesUnderARunStopsIt(t *testing.T) {
	for _, harm := range []struct {
		name  string
		do    func(t *testing.T, p *place, id string)
		undo  func(t *testing.T, p *place, id string)
		whole bool // every value is known afterwards
	}{
		{"removed", func(t *testing.T, p *place, id string) {
			left, err := filepath.Glob(filepath.Join(p.state, "runs", "*"))
			must(t, err)
			for _, path := range left {
				must(t, os.Remove(path))
			}
		}, nil, true},
		{"replaced by an older one", func(t *testing.T, p *place, id string) {
			p.write("older.db", "not a ledger")
			must(t, os.Rename(filepath.Join(p.dir, "older.db"), p.runFile(id)))
		}, func(t *testing.T, p *place, id string) {
			must(t, os.Rename(filepath.Join(p.state, "runs", id+".saved-1"), p.runFile(id)))
		}, true},
		{"directory renamed", func(t *testing.T, p *place, _ string) { must(t, os.Rename(p.state, p.state+".away")) },
			func(t *testing.T, p *place, _ string) { must(t, os.Rename(p.state+".away", p.state)) }, true},
		{"write-ahead file removed", func(t *testing.T, p *place, id string) { must(t, os.Remove(p.runFile(id)+"-wal")) }, nil, true},
		{"write-ahead file cut off", func(t *testing.T, p *place, id string) { must(t, os.Truncate(p.runFile(id)+"-wal", 0)) }, nil, false},
		{"database cut off", func(t *testing.T, p *place, id string) { must(t, os.Truncate(p.runFile(id), 4096)) }, nil, false},
	} {
		t.Run(harm.name, func(t *testing.T) {
			p := newPlace(t)
			p.write("r.star", tamperScript)
			cmd := p.underWay()
			id := p.onlyRun()
			harm.do(t, p, id)
			before := p.accounts()
			err := cmd.Wait()
			said := cmd.Stderr.(*strings.Builder).String()
			if code := cmd.ProcessState.ExitCode(); err == nil || code != 1 {
				t.Fatalf("exit %d, want 1: %s", code, said)
			}
			if more := p.accounts() - before; more > 40 {
				t.Errorf("%d more accounts were changed", more)
			}
			if n := strings.Count(said, "rekey: run "+id); n != 1 || !strings.Contains(said, "sent, or about to be: ") {
				t.Errorf("it is said: %s", said)
			}
			if harm.undo != nil {
				harm.undo(t, p, id)
			}
			if harm.whole {
				p.allKnown(id)
				p.must(0, "resume", id, "--yes")
				p.must(0, "audit", "verify", id, "--open")
			} else if r := p.rekey("resume", id, "--yes"); r.exit == 0 || r.stderr == "" {
				t.Errorf("resume passes over it: %s", r.stderr)
			}
		})
	}
}

// allKnown checks that every account has a value that the ledger knows.
func (p *place) allKnown(id string) {
	p.t.Helper()
	var list []struct{ Key, Password string }
	must(p.t, json.Unmarshal([]byte(p.must(0, "reveal", id, "--json").stdout), &list))
	known := map[string]bool{}
	for _, v := range list {
		known[v.Key] = known[v.Key] || v.Password != ""
	}
	text, err := os.ReadFile(filepath.Join(p.dir, "u.htpasswd"))
	must(p.t, err)
	for _, line := range strings.Split(strings.TrimSpace(string(text)), "\n") {
		if user, _, _ := strings.Cut(line, ":"); !known[user] {
			p.t.Errorf("the value of %s is lost", user)
		}
	}
}

// TestCopyOfTheDatabaseAloneIsACopy takes no more than *.db, the identity and
// the audit key after each command.
func TestCopyOfTheDatabaseAloneIsACopy(t *testing.T) {
	p, id := stoppedRun(t, "killed")
	for _, args := range append(readers(id), []string{"resume", id, "--yes"}, []string{"plan", "r.star", "--new"}) {
		p.rekey(args...)
		left, err := filepath.Glob(filepath.Join(p.state, "runs", "*.db-*"))
		if err != nil || len(left) > 0 {
			t.Errorf("after rekey %s: %v are left", strings.Join(args, " "), left)
		}
	}
	want := p.must(0, "reveal", id).stdout
	copying := exec.Command("sh", "-c", `mkdir -p copy/runs && cp state/runs/*.db copy/runs && cp state/identity.txt state/audit.key copy`)
	copying.Dir = p.dir
	must(t, copying.Run())
	p.state = filepath.Join(p.dir, "copy")
	if got := p.must(0, "reveal", id).stdout; got != want {
		t.Error("the copy knows other values")
	}
	p.must(0, "audit", "verify", id, "--open")
}

// TestBackupIsWholeWhileRunsGoOn makes backups all the time.
func TestBackupIsWholeWhileRunsGoOn(t *testing.T) {
	p := newPlace(t)
	p.write("r.star", tamperScript)
	cmd := p.underWay()
	id := p.onlyRun()
	n := 0
	for end := time.Now().Add(20 * time.Second); n < 5 && time.Now().Before(end); n++ {
		p.must(0, "backup", fmt.Sprintf("backup/%d", n), "--identity")
		there := *p
		there.state = filepath.Join(p.dir, "backup", fmt.Sprint(n))
		there.must(0, "audit", "verify", id, "--open")
		if left, _ := filepath.Glob(filepath.Join(p.dir, "backup", ".*")); len(left) > 0 {
			t.Errorf("%v are left", left)
		}
	}
	must(t, cmd.Wait())
	p.must(2, "backup", "backup/0")
	p.must(2, "backup", filepath.Join(p.state, "x"))
	p.must(0, "backup", "plain")
	if _, err := os.Stat(filepath.Join(p.dir, "plain", "identity.txt")); err == nil {
		t.Error("the identity is in a backup without --identity")
	}
	must(t, filepath.Walk(filepath.Join(p.dir, "plain"), func(path string, info os.FileInfo, err error) error {
		if err == nil && info.Mode().Perm()&0o077 != 0 {
			t.Errorf("%s: %v", path, info.Mode())
		}
		return err
	}))
	must(t, os.RemoveAll(p.state))
	must(t, os.Rename(filepath.Join(p.dir, "backup", "0"), p.state))
	if r := p.must(2, "resume", id, "--yes"); !strings.Contains(r.stderr, "--moved") {
		t.Errorf("it is said: %s", r.stderr)
	}
}

// TestReadingWorksOnAnyDisk looks at a run on a medium that cannot be written,
// after a kill too, and on a full disk.
func TestReadingWorksOnAnyDisk(t *testing.T) {
	cases := 0
	for _, how := range []string{"killed", "planned", "done"} {
		for _, disk := range []string{"read-only", "full"} {
			t.Run(how+" "+disk, func(t *testing.T) {
				if os.Getuid() != 0 {
					t.Skip("mounting needs root; host/ledger reads where nothing can be written without")
				}
				p, id := stoppedRun(t, how)
				p.mounted(disk)
				for _, args := range append(readers(id), []string{"audit", "export", id, "--out", "x.bundle"}) {
					cases++
					want := 0
					if isAudited(args) && disk == "full" {
						want = 2
					}
					r := p.rekey(args...)
					if isAudited(args) && want == 0 && !strings.Contains(r.stderr, "is not recorded") {
						t.Errorf("rekey %s says nothing of the act that is not recorded: %s", strings.Join(args, " "), r.stderr)
					}
					if r.exit != want || want == 2 && (!strings.Contains(r.stderr, "--unaudited") || r.stdout != "") {
						t.Errorf("rekey %s: exit %d, want %d: %s%s", strings.Join(args, " "), r.exit, want, r.stdout, r.stderr)
					}
					if want == 2 {
						cases++
						if r := p.must(0, append(args, "--unaudited")...); how != "planned" && r.stdout == "" || !strings.Contains(r.stderr, "is not recorded") {
							t.Errorf("rekey %s --unaudited: %s%s", strings.Join(args, " "), r.stdout, r.stderr)
						}
					}
				}
				for _, args := range appliers(id) {
					cases++
					if r := p.rekey(args...); r.exit != 1 && r.exit != 2 || strings.Contains(r.stderr, "rollback") || r.stderr == "" {
						t.Errorf("rekey %s: exit %d: %s", strings.Join(args, " "), r.exit, r.stderr)
					}
				}
			})
		}
	}
	t.Logf("%d cases", cases)
}

// mounted moves the state directory to a file system of that kind.
func (p *place) mounted(kind string) {
	p.t.Helper()
	at := filepath.Join(p.dir, "disk")
	must(p.t, os.Mkdir(at, 0o700))
	must(p.t, unix.Mount("none", at, "tmpfs", 0, "size=8m"))
	p.t.Cleanup(func() { _ = unix.Unmount(at, unix.MNT_DETACH) })
	must(p.t, exec.Command("cp", "-a", p.state, at).Run())
	p.state = filepath.Join(at, "state")
	if kind == "read-only" {
		must(p.t, unix.Mount("none", at, "tmpfs", unix.MS_REMOUNT|unix.MS_RDONLY, ""))
		return
	}
	_ = exec.Command("sh", "-c", `cat /dev/zero > "$1"/fill`, "sh", at).Run()
}

func TestDamagedNeighbourIsNamedAndKeepsNobody(t *testing.T) {
	p, id := stoppedRun(t, "done")
	must(t, os.WriteFile(p.runFile("rjunk"), []byte(strings.Repeat("x", 5000)), 0o600))
	must(t, os.WriteFile(p.runFile("rnone"), nil, 0o600))
	r := p.must(1, "runs")
	for _, want := range []string{"run rjunk cannot be read: ", "run rnone cannot be read: "} {
		if !strings.Contains(r.stderr, want) {
			t.Errorf("runs does not say %q: %s", want, r.stderr)
		}
	}
	if !strings.Contains(r.stdout, id) || strings.Contains(r.stdout, "0001-01-01") {
		t.Errorf("runs: %s", r.stdout)
	}
	for _, args := range [][]string{{"show", "last"}, {"reveal", "last"}, {"audit", "verify", "last"}, {"run", "r.star", "--yes", "--new"}} {
		p.must(0, args...)
	}
	p.must(1, "backup", "backup")
}

func TestEveryCommandNoticesThatItsResultsAreLost(t *testing.T) {
	p, id := stoppedRun(t, "done")
	list := append(readers(id), []string{"runs", "--json"}, []string{"show", id, "--json"}, []string{"reveal", id, "--json"}, []string{"docs"}, []string{"docs", "csv"},
		[]string{"backends"}, []string{"backends", "memory"}, []string{"check", "r.star"}, []string{"version"}, []string{"completion", "bash"}, []string{"plan", "r.star", "--new", "--json"},
		[]string{"run", "r.star", "--new", "--yes"}, []string{"run", "r.star", "--new", "--yes", "--json"}, []string{"audit", "verify", id, "--json"}, []string{"keygen", "--out", "k"}, []string{"--help"})
	for _, args := range list {
		full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
		must(t, err)
		cmd := p.command(args...)
		var said strings.Builder
		cmd.Stdout, cmd.Stderr = full, &said
		_ = cmd.Run()
		must(t, full.Close())
		if code := cmd.ProcessState.ExitCode(); code != 1 || !strings.Contains(said.String(), "no space left") {
			t.Errorf("rekey %s > /dev/full: exit %d, %s", strings.Join(args, " "), code, said.String())
		}
	}
	t.Logf("%d cases", len(list))
}
