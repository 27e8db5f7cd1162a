package main_test

import (
	"bytes"
	"crypto/sha1"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	goldap "github.com/go-ldap/ldap/v3"

	"github.com/rekey-host/rekey/plugins/ldap/ldaptest"
)

// rounds is how many rounds of random faults there are, and in how many places
// at once: they wait more than they work.
func rounds() (n, places int) {
	switch os.Getenv("REKEY_FAULTS") {
	case "full":
		return 300, 6
	case "short":
		return 36, 6
	default:
		return 5, 5
	}
}

// The kinds of script, by name: what happens to a user.
var randomScripts = []struct{ name, more, rotate string }{
	{"set", "", `
    step.set(a, user.login, step.generate())`},
	{"two values", "", `
    step.set(a, user.login, step.generate())
    second = step.generate()
    step.set(a, user.login, second)
    step.verify(a, user.login, second)`},
	{"change then set", "", `
    step.change(a, user.login, old = user.old, new = step.generate())
    step.set(a, user.login, step.generate())`},
	{"two servers", "", `
    value = step.generate()
    step.set(a, user.login, value)
    step.set(b, user.login, value)`},
	{"revert", `, on_failure = "revert"`, `
    value = step.generate()
    step.change(a, user.login, old = user.old, new = value)
    step.set(b, user.login, value)`},
}

// impatience is the timeout of a backend: what is held longer is lost. Until
// four times that after a loss it may arrive.
const impatience = 300 * time.Millisecond

const randomScript = `"""Random faults."""

def server(label, url):
    return backend("ldap", label = label, url = url, bind_dn = "%s", bind_password = secret.env("LDAP_BIND_PASSWORD"), base_dn = "%s",
        insecure = True, timeout = "%s", attempts = 2, concurrency = 4)

a = server("a", "%s")
b = server("b", "%s")

def rotate(user, step):%s

workflow(users = csv("users.csv", key = "login", secrets = ["old"]), rotate = rotate%s,
    reports = [report.json("out.json", row = lambda r: {"login": r.user.login, "a": r.passwords.get("a"), "b": r.passwords.get("b")})])
`

// On the first server everybody has an account, on the second only some.
const onFirst, onSecond = 8, 5

// arena is where rounds are fought: two servers, each behind a relay that holds
// requests, and a place to rotate from.
type arena struct {
	*place
	servers map[string]*ldaptest.Server
	relays  map[string]*ldaptest.Holder
	now     map[string]map[string]string // the value of each login, by label
	luck    *rand.Rand
	runs    int
	beyond  bool // requests are held longer than anybody could wait: false claims are expected
	gentle  bool // nothing but signals and kills of the host
	least   int  // faults of a process
	total   *randomTally
}

// randomTally adds up what all rounds came to.
type randomTally struct {
	mu      sync.Mutex
	rounds  int
	hits    map[string]int // faults that met a process
	held    int
	status  map[string]int // rows, by status
	wrong   map[string]int // classes that must be none
	resumes int
}

func newRandomTally() *randomTally {
	return &randomTally{hits: map[string]int{}, status: map[string]int{}, wrong: map[string]int{}}
}

func (r *randomTally) add(to map[string]int, what string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	to[what]++
}

// harnessSeed is REKEY_FAULTS_SEED, 1 if it is unset.
func harnessSeed(t *testing.T) uint64 {
	t.Helper()
	text := os.Getenv("REKEY_FAULTS_SEED")
	if text == "" {
		return 1
	}
	n, err := strconv.ParseUint(text, 10, 64)
	if err != nil {
		t.Fatalf("REKEY_FAULTS_SEED: %v", err)
	}
	return n
}

func newArena(t *testing.T, seed uint64, total *randomTally) *arena {
	x := &arena{servers: map[string]*ldaptest.Server{}, relays: map[string]*ldaptest.Holder{}, now: map[string]map[string]string{},
		luck: rand.New(rand.NewPCG(seed, 3)), total: total}
	for label, users := range map[string]int{"a": onFirst, "b": onSecond} {
		s := ldaptest.Start(t, ldaptest.Options{Users: users})
		x.servers[label], x.relays[label] = s, ldaptest.StartHolder(t, s, x.luck.Uint64())
		x.now[label] = map[string]string{}
		for n := range users {
			x.now[label][fmt.Sprint("user", n)] = s.UserPassword(n)
		}
	}
	x.place = newPlace(t, "LDAP_BIND_PASSWORD="+x.servers["a"].Password)
	return x
}

// TestFaultsSlapdRandomRoundsMakeNoClaimUntrue meets runs on real servers with
// kills of the host, the plugin and the server, with signals, cut connections
// and requests that are held past their timeout and past the end of the run.
// When everything has arrived and resumes have ended, each account is looked at
// by other means: no value is lost, every reported one logs on, what was refused
// has had no effect, every row has one status.
func TestFaultsSlapdRandomRoundsMakeNoClaimUntrue(t *testing.T) {
	wanted, places := rounds()
	seed, total := harnessSeed(t), newRandomTally()
	start := time.Now()
	var all sync.WaitGroup
	for i := range places {
		x := newArena(t, seed*1000+uint64(i), total)
		all.Go(func() {
			for n := i; n < wanted && !t.Failed(); n += places {
				x.round(n)
			}
			x.total.mu.Lock()
			defer x.total.mu.Unlock()
			for _, r := range x.relays {
				x.total.held += r.Held()
			}
		})
	}
	all.Wait()
	total.verdict(t, wanted, seed, time.Since(start))
}

func (r *randomTally) verdict(t *testing.T, wanted int, seed uint64, took time.Duration) {
	t.Helper()
	t.Logf("seed %d, %s", seed, took.Round(time.Second))
	t.Logf("counts: random rounds on slapd: %d of five scripts, %d resumes · kills of the host %d, of the plugin %d, of the server %d · SIGINT %d, twice %d · cut connections %d · requests held %d · rows %v",
		r.rounds, r.resumes, r.hits["kill host"], r.hits["kill plugin"], r.hits["kill server"], r.hits["signal"], r.hits["two signals"], r.hits["cut"], r.held, r.status)
	t.Logf("counts: random rounds on slapd: lost = %d · false done = %d · false refused = %d · rows without a status = %d",
		r.wrong["lost"], r.wrong["false done"], r.wrong["false refused"], r.wrong["no status"])
	if r.rounds < wanted {
		t.Errorf("%d rounds, want %d", r.rounds, wanted)
	}
	least := wanted / 10
	for _, fault := range randomFaults {
		if r.hits[fault] < least {
			t.Errorf("%s hit %d times, want %d: too few to prove anything", fault, r.hits[fault], least)
		}
	}
	if r.held < wanted/2 || r.status["done"] < 2*wanted {
		t.Errorf("%d requests were held, %d rows are done: too few to prove anything", r.held, r.status["done"])
	}
}

// round makes one run from its plan to its end.
func (x *arena) round(n int) {
	kind := randomScripts[n%len(randomScripts)]
	if x.runs++; x.runs%10 == 0 {
		if err := os.RemoveAll(x.state); err != nil { // each command looks at every run in it
			x.t.Error(err)
		}
	}
	x.script(kind.rotate, kind.more)
	x.write("users.csv", x.users(kind.name))
	run := x.begun(true)
	for range x.luck.IntN(3) {
		x.process(true, "resume", run, "--yes", "--overwrite")
	}
	said := x.calm(run)
	x.check(fmt.Sprintf("round %d, %s, run %s", n, kind.name, run), run, said)
	x.total.mu.Lock()
	x.total.rounds++
	x.total.mu.Unlock()
}

// begun starts a run, and returns its name. A fault may come before there is
// one: then it is started again, in the end without faults.
func (x *arena) begun(faulty bool) string {
	before := x.last()
	for tries := range 7 {
		x.process(faulty && tries < 6, "run", "random.star", "--yes", "--new", "--overwrite")
		if run := x.last(); run != before {
			return run
		}
	}
	x.t.Error("there is no run")
	return before
}

// script writes the script with that rotate.
func (x *arena) script(rotate, more string) {
	x.write("random.star", fmt.Sprintf(randomScript, x.servers["a"].BindDN, x.servers["a"].BaseDN, impatience, x.relays["a"].URL, x.relays["b"].URL, rotate, more))
}

// users are those of the kind of script: where nothing is to fail only those
// who have an account everywhere.
func (x *arena) users(kind string) string {
	text := "login,old\n"
	for n := range onFirst {
		login := fmt.Sprint("user", n)
		if n < onSecond || kind == "revert" {
			text += fmt.Sprintf("%s,\"%s\"\n", login, strings.ReplaceAll(x.now["a"][login], `"`, `""`))
		}
	}
	return text
}

// last is the newest run, "" if there is none.
func (x *arena) last() string {
	r := x.rekey("show", "last", "--json")
	var o outcome
	if json.Unmarshal([]byte(r.stdout), &o) == nil && o.Run != "" {
		return o.Run
	}
	if r.exit != 2 || !strings.Contains(r.stdout+r.stderr, "has not run anything here yet") {
		x.t.Errorf("rekey show last: exit %d\n%s%s", r.exit, r.stdout, r.stderr)
	}
	return ""
}

// calm resumes without faults until nobody is left, and returns what the last
// command said.
func (x *arena) calm(run string) string {
	var said string
	for range 8 {
		said = x.process(false, "resume", run, "--yes", "--overwrite")
		x.total.mu.Lock()
		x.total.resumes++
		x.total.mu.Unlock()
		var o outcome
		if json.Unmarshal([]byte(x.rekey("show", run, "--json").stdout), &o) == nil && o.Counts["pending"]+o.Counts["unknown"]+o.Counts["held"] == 0 && o.Status == "finished" {
			break
		}
	}
	for _, r := range x.relays {
		r.Release()
	}
	return said
}

// randomFaults are what a process meets at a random moment.
var randomFaults = []string{"kill host", "kill plugin", "kill server", "signal", "two signals", "cut"}

// process runs a command, with some faults, and returns what it said. What is
// held arrives before four times the timeout have passed since, or when the
// process has ended.
func (x *arena) process(faulty bool, args ...string) string {
	untilEnd := x.hold(faulty)
	cmd := x.command(args...)
	var said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &said, &said
	if err := cmd.Start(); err != nil {
		x.t.Error(err)
		return ""
	}
	ended := make(chan struct{})
	var faults sync.WaitGroup
	if faulty && !x.beyond {
		for range max(x.luck.IntN(4), x.least) {
			f := x.fault()
			faults.Go(func() { x.meet(cmd, ended, f) })
		}
	}
	late := time.AfterFunc(2*time.Minute, func() { _ = cmd.Process.Kill() })
	_ = cmd.Wait()
	close(ended)
	faults.Wait()
	if !late.Stop() {
		x.t.Errorf("rekey %s does not end\n%s", strings.Join(args, " "), said.String())
	}
	if untilEnd && !x.beyond {
		for _, r := range x.relays {
			r.Release()
		}
	}
	return said.String()
}

// hold lets the relays hold some requests, and reports whether that is until
// the end of the process.
func (x *arena) hold(faulty bool) (untilEnd bool) {
	percent, longest := 0, time.Duration(0)
	switch {
	case faulty && x.beyond:
		percent = 50
	case faulty && !x.gentle:
		percent = []int{0, 20, 40}[x.luck.IntN(3)]
		if x.luck.IntN(2) == 0 {
			longest = impatience * 7 / 2
		}
	}
	for _, r := range x.relays {
		r.Hold(percent, longest)
	}
	return longest == 0
}

// randomFault is what meets a process, and when.
type randomFault struct {
	what  string
	label string        // of the server
	after int           // requests that change a password; -1: after a while
	wait  time.Duration // from then on
	gap   time.Duration // between two signals
}

func (x *arena) fault() randomFault {
	faults := randomFaults
	if x.gentle {
		faults = []string{"kill host", "signal", "two signals"}
	}
	f := randomFault{what: faults[x.luck.IntN(len(faults))], label: []string{"a", "b"}[x.luck.IntN(2)],
		after: x.luck.IntN(12), wait: time.Duration(x.luck.Int64N(int64(20 * time.Millisecond))), gap: time.Duration(x.luck.Int64N(int64(150 * time.Millisecond)))}
	if x.luck.IntN(4) == 0 {
		f.after, f.wait = -1, time.Duration(x.luck.Int64N(int64(1200*time.Millisecond)))
	}
	return f
}

// meet makes a fault at its moment, if the process is still there.
func (x *arena) meet(cmd *exec.Cmd, ended <-chan struct{}, f randomFault) {
	seen := func() int { return x.relays["a"].Seen() + x.relays["b"].Seen() }
	begin := seen()
	for f.after >= 0 && seen() < begin+f.after {
		select {
		case <-ended:
			return
		case <-time.After(time.Millisecond):
		}
	}
	select {
	case <-ended:
		return
	case <-time.After(f.wait):
	}
	if x.strike(cmd, f.what, f.label, f.gap) {
		x.total.add(x.total.hits, f.what)
	}
}

// strike makes a fault and reports whether it hit.
func (x *arena) strike(cmd *exec.Cmd, fault, label string, gap time.Duration) bool {
	switch fault {
	case "kill host":
		return cmd.Process.Kill() == nil
	case "kill plugin":
		return killPluginOf(cmd.Process.Pid)
	case "kill server":
		s := x.servers[label]
		x.total.mu.Lock() // two faults may want the same one
		defer x.total.mu.Unlock()
		s.Kill()
		if err := s.Restart(); err != nil {
			x.t.Error(err)
		}
		return true
	case "cut":
		x.relays[label].Drop()
		return true
	}
	if cmd.Process.Signal(os.Interrupt) != nil {
		return false
	}
	if fault == "two signals" {
		time.Sleep(gap)
		return cmd.Process.Signal(os.Interrupt) == nil
	}
	return true
}

// killPluginOf kills a plugin of that host, if there is one.
func killPluginOf(host int) bool {
	for pid, args := range processes() {
		stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
		_, behind, _ := strings.Cut(string(stat), ") ")
		if f := strings.Fields(behind); err == nil && len(f) > 1 && f[1] == strconv.Itoa(host) && strings.Contains(args, "serve-backend ldap") {
			return syscall.Kill(pid, syscall.SIGKILL) == nil
		}
	}
	return false
}

// claim is one value of rekey reveal.
type claim struct{ Key, Backend, State, Password string }

// check looks at every account, and at what is said of it.
func (x *arena) check(where, run, said string) {
	report := func(class, format string, args ...any) {
		x.total.add(x.total.wrong, class)
		if x.beyond {
			return
		}
		x.t.Errorf("%s: %s: %s\n%s", where, class, fmt.Sprintf(format, args...), said)
	}
	var claims []claim
	if err := json.Unmarshal([]byte(x.rekey("reveal", run, "--json").stdout), &claims); err != nil {
		report("lost", "reveal: %v", err)
		return
	}
	status, reported := x.statuses(run, report), x.reported(report)
	for label, logins := range x.now {
		hashes := x.hashes(label)
		for login, old := range logins {
			mine := slices.DeleteFunc(slices.Clone(claims), func(c claim) bool { return c.Key != login || c.Backend != label })
			if len(mine) == 0 && matches(hashes[login], old) {
				continue
			}
			logins[login] = judge(hashes[login], old, status[login], mine, reported[login][label], func(class, text string) {
				report(class, "%s on %s is %s: %s; %s", login, label, status[login], text, statesOf(mine))
			})
		}
	}
}

func statesOf(claims []claim) string {
	var list []string
	for _, c := range claims {
		list = append(list, c.State)
	}
	return "candidates, newest first: " + strings.Join(list, " ")
}

// judge compares what an account has with what is said of it, and returns its
// value. What has the value of before is judged as that even if it was set
// again.
func judge(hash, old, status string, claims []claim, reported string, report func(class, text string)) string {
	if matches(hash, old) {
		if status == "done" {
			report("false done", "it has the value of before")
		}
		return old
	}
	i := slices.IndexFunc(claims, func(c claim) bool { return matches(hash, c.Password) })
	if i < 0 {
		report("lost", "nobody knows its value")
		return ""
	}
	switch c := claims[i]; {
	case c.State == "refused" || c.State == "unsent" || status == "skipped":
		report("false refused", "it has a value that is "+c.State)
	case status == "failed":
		report("false refused", "it has another value than before, which is "+c.State)
	case status == "done" && (c.State != "applied" || c.Password != reported):
		report("false done", fmt.Sprintf("it has a value that is %s, the reported one: %v", c.State, c.Password == reported))
	case status == "partial" && c.State != "applied":
		report("false done", "it has a value that is "+c.State)
	}
	return claims[i].Password
}

// statuses are those of the rows: one each.
func (x *arena) statuses(run string, report func(class, format string, args ...any)) map[string]string {
	found := map[string]string{}
	for line := range strings.Lines(x.rekey("report", run, "--format", "jsonl", "--out", "-").stdout) {
		var r row
		if err := json.Unmarshal([]byte(line), &r); err != nil || found[r.Key] != "" {
			report("no status", "%v: %q", err, line)
		}
		found[r.Key] = r.Status
	}
	for _, line := range strings.Split(strings.TrimSpace(x.read("users.csv")), "\n")[1:] {
		login, _, _ := strings.Cut(line, ",")
		x.total.add(x.total.status, found[login])
		if !slices.Contains([]string{"done", "failed", "partial", "skipped"}, found[login]) {
			report("no status", "%s is %q", login, found[login])
		}
	}
	return found
}

// reported are the passwords of the script's own report, by login and label.
func (x *arena) reported(report func(class, format string, args ...any)) map[string]map[string]string {
	var rows []map[string]string
	text, err := os.ReadFile(filepath.Join(x.dir, "out.json"))
	if err == nil {
		err = json.Unmarshal(text, &rows)
	}
	if err != nil {
		report("no status", "the report: %v", err)
	}
	found := map[string]map[string]string{}
	for _, r := range rows {
		found[r["login"]] = r
	}
	return found
}

// hashes are what a server has of each login's password.
func (x *arena) hashes(label string) map[string]string {
	found := map[string]string{}
	s := x.servers[label]
	c, err := s.Root()
	if err != nil {
		x.t.Error(err)
		return found
	}
	defer c.Close()
	list, err := c.Search(goldap.NewSearchRequest("ou=people,"+s.BaseDN, goldap.ScopeSingleLevel, goldap.NeverDerefAliases, 0, 0, false,
		"(uid=*)", []string{"uid", "userPassword"}, nil))
	if err != nil {
		x.t.Error(err)
		return found
	}
	for _, e := range list.Entries {
		found[e.GetAttributeValue("uid")] = e.GetAttributeValue("userPassword")
	}
	return found
}

// matches reports whether a salted hash of slapd is that of the value.
func matches(hash, value string) bool {
	raw, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(hash, "{SSHA}"))
	if err != nil || len(raw) < sha1.Size || value == "" {
		return false
	}
	sum := sha1.Sum(append([]byte(value), raw[sha1.Size:]...))
	return bytes.Equal(sum[:], raw[:sha1.Size])
}

// TestFaultsSlapdRequestsHeldBeyondAnyWaitAreFound is the test of the test: what
// is held until all resumes have ended, longer than rekey says that it waits,
// makes claims untrue, and the harness says so.
func TestFaultsSlapdRequestsHeldBeyondAnyWaitAreFound(t *testing.T) {
	x := newArena(t, 1, newRandomTally())
	x.beyond = true
	for n := 0; n < 3 && x.total.wrong["false done"] == 0; n++ {
		x.round(1) // two values
	}
	if x.total.wrong["false done"] == 0 {
		t.Errorf("requests that arrive after the end: the harness finds %v", x.total.wrong)
	}
	t.Logf("counts: random rounds on slapd: with requests that are held longer than rekey waits: false done = %d", x.total.wrong["false done"])
}

// TestFaultsTheJudgeOfRandomRoundsIsRight is the test of the test.
func TestFaultsTheJudgeOfRandomRoundsIsRight(t *testing.T) {
	hash := func(value string) string {
		sum := sha1.Sum([]byte(value + "salt"))
		return "{SSHA}" + base64.StdEncoding.EncodeToString(append(sum[:], "salt"...))
	}
	two := []claim{{State: "applied", Password: "b"}, {State: "superseded", Password: "a"}}
	for _, c := range []struct {
		name, has, status string
		claims            []claim
		reported, want    string
	}{
		{"done", "b", "done", two, "b", ""},
		{"the first value came last", "a", "done", two, "b", "false done"},
		{"another one is reported", "b", "done", two, "a", "false done"},
		{"done, and unchanged", "old", "done", two, "b", "false done"},
		{"nobody knows it", "c", "unknown", two, "", "lost"},
		{"refused, and there", "a", "failed", []claim{{State: "refused", Password: "a"}}, "", "false refused"},
		{"failed, and changed", "a", "failed", []claim{{State: "unknown", Password: "a"}}, "", "false refused"},
		{"failed, and set back", "old", "failed", two, "", ""},
		{"partial", "b", "partial", two, "b", ""},
	} {
		got := ""
		judge(hash(c.has), "old", c.status, c.claims, c.reported, func(class, _ string) { got = class })
		if got != c.want {
			t.Errorf("%s: found %q, want %q", c.name, got, c.want)
		}
	}
}
