package main_test

import (
	"bytes"
	"cmp"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/rekey-host/rekey/plugins/ldap/ldaptest"
)

// kills is how many kills of the host and of the plugin have to hit: few by
// default, REKEY_FAULTS=full is the whole of it.
func kills() (host, plugin int) {
	switch os.Getenv("REKEY_FAULTS") {
	case "full":
		return 400, 60
	case "short":
		return 15, 6
	default:
		return 10, 6
	}
}

// hostAccounts and pluginAccounts are how many accounts such a run has. The
// latter is more than are in flight at once: sets are under way to its end.
const hostAccounts, pluginAccounts = 300, 1200

// runsKept is after how many kills a test begins with an empty state directory:
// each command looks at every run in it.
const runsKept = 50

// fresh empties the state directory and takes away what its runs wrote.
func (d *directory) fresh() {
	d.t.Helper()
	for _, name := range []string{d.state, filepath.Join(d.dir, "passwords.csv"), filepath.Join(d.dir, "report.html")} {
		if err := os.RemoveAll(name); err != nil {
			d.t.Fatal(err)
		}
	}
}

// tally counts what a test of kills did.
type tally struct {
	tries, hits, lost, unknown, resent int
	sealed                             int // values that a killed run had sealed
}

func (c *tally) check(t *testing.T, want int) {
	t.Helper()
	t.Logf("counts: slapd: %d kills of %d tries hit a run; %d values were sealed by then, %d operations sent again; lost %d, unknown %d", c.hits, c.tries, c.sealed, c.resent, c.lost, c.unknown)
	if c.hits < want {
		t.Errorf("%d kills hit a run, want %d: the test proves nothing", c.hits, want)
	}
	if c.sealed == 0 {
		t.Error("no kill hit a run that had sealed a value: the test proves nothing")
	}
}

// moment is when to kill what takes so long; any moment is as likely.
func moment(whole time.Duration) time.Duration { return rand.N(whole) }

// killed starts rekey, kills it at a random moment of whole and reports
// whether it was still running. Its plugins are gone when it returns.
func (p *place) killed(whole time.Duration, args ...string) bool {
	p.t.Helper()
	cmd := p.command(args...)
	var said bytes.Buffer
	cmd.Stderr = &said
	if err := cmd.Start(); err != nil {
		p.t.Fatal(err)
	}
	time.AfterFunc(moment(whole), func() { _ = cmd.Process.Kill() })
	err := cmd.Wait()
	p.gone()
	status := cmd.ProcessState.Sys().(syscall.WaitStatus)
	if !status.Signaled() && err != nil {
		p.t.Fatalf("rekey %s: %v\n%s", strings.Join(args, " "), err, said.String())
	}
	return status.Signaled()
}

// gone waits until no process of this place's rekey is left: a plugin ends
// within 2 seconds of its host, and until then it may still send.
func (p *place) gone() {
	p.t.Helper()
	p.goneOf(cmp.Or(p.own, binary))
}

// goneOf is gone of those that run a program.
func (p *place) goneOf(program string) {
	p.t.Helper()
	for end := time.Now().Add(10 * time.Second); len(processesOf(program)) > 0; time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			p.t.Fatalf("processes %v outlive their host", processesOf(program))
		}
	}
}

// processes are those that run the binary of this test, with their arguments.
func processes() map[int]string { return processesOf(binary) }

func processesOf(program string) map[int]string {
	found := map[int]string{}
	links, _ := filepath.Glob("/proc/[0-9]*/exe")
	for _, link := range links {
		if exe, err := os.Readlink(link); err != nil || exe != program {
			continue
		}
		dir := filepath.Dir(link)
		args, err := os.ReadFile(filepath.Join(dir, "cmdline"))
		if pid, convErr := strconv.Atoi(filepath.Base(dir)); err == nil && convErr == nil && len(args) > 0 {
			found[pid] = strings.ReplaceAll(strings.TrimSuffix(string(args), "\x00"), "\x00", " ")
		}
	}
	return found
}

// wantKnown looks for the value of every login among those that the ledger
// reveals and the one from before the run, and notes it.
func (d *directory) wantKnown(run string, c *tally) {
	d.t.Helper()
	revealed := d.revealed(run)
	before := d.now
	d.now = map[string]string{}
	for n, more := 0, true; more; n++ {
		values := map[string]string{}
		more = false
		for login := range before {
			if candidates := revealed[login]; d.now[login] == "" && n < len(candidates) {
				values[login], more = candidates[n].Password, true
				c.sealed++
			}
		}
		for login := range d.binds(values) {
			d.now[login] = values[login]
		}
	}
	rest := map[string]string{}
	for login, old := range before {
		if d.now[login] == "" {
			rest[login] = old
		}
	}
	works := d.binds(rest)
	for login, old := range rest {
		d.now[login] = old
		if !works[login] {
			c.lost++
			d.t.Errorf("%s: nobody knows its password: %d revealed values do not work, nor does the one from before", login, len(revealed[login]))
		}
	}
}

// wantFinished wants a finished run: one status a row, all of them done, and
// the reported value the one that works and the last that was revealed.
func (d *directory) wantFinished(run string, c *tally) {
	d.t.Helper()
	for login, r := range d.rows(run) {
		if r.Status == "unknown" {
			c.unknown++
		}
		if r.Status != "done" {
			d.t.Errorf("%s: %s %s, want done", login, r.Status, r.Code)
		}
		for _, s := range r.Steps {
			if s.Step == "set" && s.Attempt > 1 {
				c.resent++
			}
		}
	}
	reported := d.passwords()
	works := d.binds(reported)
	for login, values := range d.revealed(run) {
		if !works[login] {
			d.t.Errorf("%s: the reported password does not work", login)
		}
		if len(values) != 1 || values[0].State != "applied" || values[0].Password != reported[login] {
			d.t.Errorf("%s: %d values, the newest %s: a second value was sent", login, len(values), values[0].State)
		}
	}
	d.now = reported
}

// last is the newest run, "" if there is none.
func (p *place) last() string {
	r := p.rekey("show", "last", "--json")
	_, id, _ := strings.Cut(r.stdout, `"run": "`)
	id, _, _ = strings.Cut(id, `"`)
	return id
}

func TestSlapdHostKilledAtAnyMomentLosesNothing(t *testing.T) {
	want, _ := kills()
	d := newDirectory(t, ldaptest.Options{Users: hostAccounts})
	start := time.Now()
	d.must(0, d.rotate()...)
	whole := time.Since(start)
	d.now = d.passwords()
	var c tally
	for ; c.hits < want && c.tries < 5*want; c.tries++ {
		if c.tries%runsKept == runsKept-1 {
			d.fresh()
		}
		before := d.last()
		if !d.killed(whole, d.rotate()...) || d.last() == before {
			d.now = d.settled(before)
			continue // too late, or before there was a run
		}
		run := d.last()
		c.hits++
		d.wantKnown(run, &c)
		if rand.N(2) == 0 { // a fault in the recovery from a fault
			c.tries++
			if d.killed(whole, "resume", run, "--yes") {
				c.hits++
				d.wantKnown(run, &c)
			}
		}
		d.must(0, "resume", run, "--yes")
		d.wantFinished(run, &c)
	}
	c.check(t, want)
}

// settled are the values after a try that hit nothing: those of the run before
// if there is no other, else those of the one that was faster than the kill.
func (d *directory) settled(before string) map[string]string {
	if d.last() == before {
		return d.now
	}
	return d.passwords()
}

func TestSlapdPluginKilledAtAnyMomentLosesNothing(t *testing.T) {
	_, want := kills()
	d := newDirectory(t, ldaptest.Options{Users: pluginAccounts})
	start := time.Now()
	d.must(0, d.rotate()...)
	whole := time.Since(start)
	var c tally
	for c.hits < want && c.tries < 5*want {
		before := d.last()
		hits := d.withPluginKilled(whole, &c)
		run := d.last()
		if run == before {
			continue // killed while it was asked whether it is ready: nothing was changed
		}
		c.hits += hits
		c.sealed += pluginAccounts
		d.wantFinished(run, &c)
	}
	c.check(t, want)
	if c.resent == 0 {
		t.Error("no operation was sent again: no kill hit one that was on its way")
	}
}

// withPluginKilled runs the script to its end while its plugin is killed twice:
// a third start in ten minutes is the last one. It returns how often there was
// one to kill.
func (d *directory) withPluginKilled(whole time.Duration, c *tally) (hits int) {
	d.t.Helper()
	cmd := d.command(d.rotate()...)
	var said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &said, &said
	if err := cmd.Start(); err != nil {
		d.t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() { defer close(ended); _ = cmd.Wait() }()
	for range 2 {
		c.tries++
		select {
		case <-time.After(moment(whole / 2)):
			hits += killLDAPPlugin()
		case <-ended:
		}
	}
	<-ended
	if exit := cmd.ProcessState.ExitCode(); exit != 0 && exit != 2 {
		d.t.Fatalf("a run whose plugin was killed %d times: exit %d\n%s", hits, exit, said.String())
	}
	return hits
}

// killLDAPPlugin kills the plugin of a running rekey, if there is one.
func killLDAPPlugin() int {
	for pid, args := range processes() {
		if strings.Contains(args, "serve-backend ldap") {
			if syscall.Kill(pid, syscall.SIGKILL) == nil {
				return 1
			}
		}
	}
	return 0
}
