package main_test

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rekey-host/rekey/plugins/kendox/kendoxtest"
	"github.com/rekey-host/rekey/sdk/rest/resttest"
)

// guard serves a simulator over HTTP and calls before ahead of the n-th
// request, counted from 1, whose path ends in one of the names. If it returns
// false the request is not served: its connection breaks.
type guard struct {
	*httptest.Server
	mu     sync.Mutex
	n      int
	before func(n int, r *http.Request) bool
}

func newGuard(t *testing.T, h http.Handler, ends string) *guard {
	t.Helper()
	g := &guard{before: func(int, *http.Request) bool { return true }}
	g.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, ends) && r.Method == http.MethodPost && !g.next(r) {
			panic(http.ErrAbortHandler)
		}
		h.ServeHTTP(w, r)
	}))
	g.Config.ErrorLog = nil
	t.Cleanup(g.CloseClientConnections)
	t.Cleanup(g.Close)
	return g
}

// next serves one request after the other as far as before goes.
func (g *guard) next(r *http.Request) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.n++
	return g.before(g.n, r)
}

// at replaces what is called ahead of requests.
func (g *guard) at(before func(n int, r *http.Request) bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.n, g.before = 0, before
}

// killPlugin kills -9 the plugin processes of a running rekey for the backend,
// and fails the test if there are none.
func killPlugin(t *testing.T, host *exec.Cmd, backend string) {
	t.Helper()
	killed := 0
	for _, pid := range children(t, host.Process.Pid) {
		line, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
		if err != nil || !strings.Contains(string(line), "\x00serve-backend\x00"+backend) {
			continue
		}
		p, err := os.FindProcess(pid)
		if err == nil && p.Kill() == nil {
			killed++
		}
	}
	if killed == 0 {
		t.Errorf("no plugin %s to kill", backend)
	}
}

// children are the processes that the process started.
func children(t *testing.T, pid int) []int {
	t.Helper()
	var found []int
	tasks, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", pid))
	for _, task := range tasks {
		text, err := os.ReadFile(task)
		if err != nil {
			continue
		}
		for _, f := range strings.Fields(string(text)) {
			if child, err := strconv.Atoi(f); err == nil {
				found = append(found, child)
			}
		}
	}
	return found
}

// leaks looks for a secret, in the forms in which it could stand there, in a
// text and in every file below a directory.
func leaks(t *testing.T, text, dir string, secrets ...string) {
	t.Helper()
	look := func(where string, b []byte) {
		for _, s := range secrets {
			quoted, _ := json.Marshal(s)
			for _, form := range []string{s, string(quoted[1 : len(quoted)-1]), strconv.QuoteToASCII(s)} {
				if bytes.Contains(b, []byte(strings.Trim(form, `"`))) {
					t.Errorf("%s has the secret %q", where, form)
				}
			}
		}
	}
	look("the output", []byte(text))
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		b, err := os.ReadFile(path)
		look(path, b)
		return err
	})
	if err != nil {
		t.Error(err)
	}
}

const kendoxService = "sërvice-pw"

// kendoxJob is a simulated InfoShare, a place to run in, and the users.
type kendoxJob struct {
	*place
	sim    *kendoxtest.Server
	guard  *guard
	logins []string
}

func newKendoxJob(t *testing.T, users int, o kendoxtest.Options) *kendoxJob {
	t.Helper()
	j := &kendoxJob{place: newPlace(t, "KENDOX_PASSWORD="+kendoxService), sim: kendoxtest.New(o)}
	j.sim.Add(kendoxtest.User{Login: "rekey", Rights: kendoxtest.AllRights()}, kendoxService)
	for n := range users {
		login := fmt.Sprintf("user%04d", n)
		switch n % 100 {
		case 7:
			login = fmt.Sprintf(`o'br"<ien> & co%%2f %d`, n)
		case 8:
			login = fmt.Sprintf("zoë 漢字 %d", n)
		}
		j.logins = append(j.logins, login)
		j.sim.Add(kendoxtest.User{Login: login}, "old-password-"+login)
	}
	j.guard = newGuard(t, j.sim, "/SetUserPasswordHashed")
	j.users(j.logins...)
	return j
}

// users writes the input: a login, or a login and a password after a tab.
func (j *kendoxJob) users(logins ...string) {
	var b strings.Builder
	w := csv.NewWriter(&b)
	w.Comma = ';'
	_ = w.Write([]string{"login", "password"})
	for _, l := range logins {
		login, password, _ := strings.Cut(l, "\t")
		_ = w.Write([]string{login, password})
	}
	w.Flush()
	j.write("users.csv", b.String())
}

func (j *kendoxJob) url() string { return "url=" + j.guard.URL + kendoxtest.Base }

// run are the arguments of the job's run.
func (j *kendoxJob) run(more ...string) []string {
	script, err := filepath.Abs("../../scripts/kendox_set_hashed.star")
	if err != nil {
		j.t.Fatal(err)
	}
	args := []string{"run", script, "accounts=users.csv", "out=out.csv", j.url(), "user=rekey", "min_length=12", "upper=1", "digits=1"}
	return append(append(args, more...), "--yes")
}

// report is the script's report by login.
func (j *kendoxJob) report() map[string][]string {
	j.t.Helper()
	rows, err := csv.NewReader(strings.NewReader(j.read("out.csv"))).ReadAll()
	if err != nil || !slices.Equal(rows[0], []string{"login", "password", "status", "code", "message"}) {
		j.t.Fatalf("report: %v, header %q", err, rows[0])
	}
	found := map[string][]string{}
	for _, r := range rows[1:] {
		found[r[0]] = r[1:]
	}
	if len(found) != len(rows)-1 {
		j.t.Errorf("%d rows of %d users", len(rows)-1, len(found))
	}
	return found
}

// settled checks that each user has the one new password that the report
// tells, and never had another.
func (j *kendoxJob) settled() {
	j.t.Helper()
	report := j.report()
	if len(report) != len(j.logins) {
		j.t.Errorf("the report has %d users, want %d", len(report), len(j.logins))
	}
	for _, login := range j.logins {
		row := report[login]
		if row == nil || row[1] != "done" || row[0] == "" {
			j.t.Errorf("%s: report %q, want done", login, row)
			continue
		}
		u, _ := j.sim.User(login)
		for _, h := range u.Hashes[1:] {
			if h != j.sim.Hash(row[0]) {
				j.t.Errorf("%s took a value that is not the report's", login)
			}
		}
		if len(u.Hashes) < 2 {
			j.t.Errorf("%s was not changed", login)
		}
	}
}

func TestKendoxScriptGivesTwoThousandUsersHashedPasswords(t *testing.T) {
	j := newKendoxJob(t, 2000, kendoxtest.Options{})
	o := j.outcome(0, j.run()...)
	if o.Status != "finished" || o.Counts["done"] != 2000 || o.Counts["total"] != 2000 {
		t.Fatalf("got %+v", o)
	}
	j.settled()
	if plain, hashed, logons := j.sim.Calls("SetUserPassword"), j.sim.Calls("SetUserPasswordHashed"), j.sim.Calls("Logon"); plain != 0 || hashed != 2000 || logons != 1 {
		t.Errorf("%d plain calls, %d hashed ones, %d logons; want 0, 2000, 1", plain, hashed, logons)
	}
	if n := j.sim.Open(); n != 0 {
		t.Errorf("%d sessions are left, each of which takes a licence", n)
	}
}

func TestKendoxUsersAreWhereKillsFindThem(t *testing.T) {
	j := newKendoxJob(t, 2000, kendoxtest.Options{})
	host := newVictim(j.command(j.run()...))
	j.guard.at(func(n int, _ *http.Request) bool {
		switch n {
		case 300: // the answer has nobody to go to
			killPlugin(t, host.started(), "kendox")
		case 800: // the request is lost
			killPlugin(t, host.started(), "kendox")
			return false
		case 1400:
			_ = host.started().Process.Kill()
		}
		return true
	})
	if out, err := host.run(); err == nil || host.cmd.ProcessState.ExitCode() != -1 {
		t.Fatalf("the host was not killed: %v\n%s", err, out)
	}
	o := j.outcome(0, "resume", "last", "--yes")
	if o.Counts["done"] != 2000 {
		t.Fatalf("after resume: %+v", o)
	}
	j.settled()
	if n := j.sim.Calls("SetUserPasswordHashed"); n <= 2000 {
		t.Errorf("%d sets reached the server: no answer was lost, the kills came when nothing was under way", n)
	}
}

func TestKendoxSessionThatEndsMidwayLosesNobody(t *testing.T) {
	j := newKendoxJob(t, 300, kendoxtest.Options{})
	j.guard.at(func(n int, _ *http.Request) bool {
		if n%100 == 50 {
			j.sim.Expire()
		}
		return true
	})
	if o := j.outcome(0, j.run()...); o.Counts["done"] != 300 {
		t.Fatalf("got %+v", o)
	}
	j.settled()
	if n := j.sim.Calls("Logon"); n != 4 {
		t.Errorf("%d logons, want one and one for each of the three sessions that ended", n)
	}
}

func TestKendoxScriptProvesEachPasswordIfAsked(t *testing.T) {
	j := newKendoxJob(t, 20, kendoxtest.Options{})
	j.outcome(0, j.run("verify=true")...)
	j.settled()
	if logons, open := j.sim.Calls("Logon"), j.sim.Open(); logons != 21 || open != 0 {
		t.Errorf("%d logons, %d sessions left; want 21, none", logons, open)
	}
}

func TestKendoxWaitsForTheAdministrativeContext(t *testing.T) {
	j := newKendoxJob(t, 3, kendoxtest.Options{})
	j.sim.CheckOut("root", 1)
	if o := j.outcome(0, j.run()...); o.Counts["done"] != 3 {
		t.Fatalf("got %+v", o)
	}
	j.settled()
}

func TestKendoxMissingRightIsNamedBeforeAnythingIsChanged(t *testing.T) {
	j := newKendoxJob(t, 3, kendoxtest.Options{})
	j.sim.Update("rekey", func(u *kendoxtest.User) { u.Rights = []string{kendoxtest.RightUsers, kendoxtest.RightSecurity} })
	r := j.must(2, j.run()...)
	for _, want := range []string{"Reset user password", kendoxtest.RightPassword, "give rekey the right"} {
		if !strings.Contains(r.stderr, want) {
			t.Errorf("no %q in what the operator reads:\n%s", want, r.stderr)
		}
	}
	if n := j.sim.Calls("SetUserPasswordHashed"); n != 0 {
		t.Errorf("%d sets were sent", n)
	}
	if r := j.must(0, "runs", "--json"); strings.Contains(r.stdout, "kendox") {
		t.Errorf("a run is left: %s", r.stdout)
	}
}

func TestKendoxEncodingIsProvenBeforeAnythingIsChanged(t *testing.T) {
	j := newKendoxJob(t, 2, kendoxtest.Options{UTF16: true})
	r := j.must(2, j.run()...)
	if !strings.Contains(r.stderr, `hash_encoding = "utf-16le"`) || j.sim.Calls("SetUserPasswordHashed") != 0 {
		t.Errorf("%d sets were sent; the operator reads:\n%s", j.sim.Calls("SetUserPasswordHashed"), r.stderr)
	}
	j.outcome(0, j.run("hash_encoding=utf-16le")...)
	j.settled()
}

func TestKendoxSecondFactorStopsTheRunWithWhatToDo(t *testing.T) {
	j := newKendoxJob(t, 60, kendoxtest.Options{})
	factor := func(on bool) { j.sim.Update("rekey", func(u *kendoxtest.User) { u.SecondFactor = on }) }
	factor(true)
	if r := j.must(2, j.run()...); !strings.Contains(r.stderr, "use a service account without a second factor") {
		t.Errorf("at plan the operator reads:\n%s", r.stderr)
	}
	factor(false)
	j.guard.at(func(n int, _ *http.Request) bool {
		if n == 20 {
			factor(true)
			j.sim.Expire()
		}
		return true
	})
	r := j.must(4, j.run()...)
	if !strings.Contains(r.stderr, "second factor") || !strings.Contains(r.stdout+r.stderr, "rekey resume") {
		t.Errorf("midway the operator reads:\n%s%s", r.stdout, r.stderr)
	}
	factor(false)
	if o := j.outcome(0, "resume", "last", "--yes"); o.Counts["done"] != 60 {
		t.Fatalf("after resume: %+v", o)
	}
	j.settled()
}

func TestKendoxProtectedAccountsAreLeftAlone(t *testing.T) {
	j := newKendoxJob(t, 2, kendoxtest.Options{})
	j.users(append(j.logins, "dciadmin", "rekey", "nobody")...)
	id := j.sim.Add(kendoxtest.User{Login: "admin2"}, "x")
	j.sim.Faults.Add(resttest.Fault{Op: "SetUserPasswordHashed", Account: id, Answer: j.sim.Exception(10369, "Only the DCIAdmin user can set the password for the DCIAdmin user")})
	j.users(append(j.logins, "dciadmin", "rekey", "admin2", "nobody")...)
	r := j.must(3, j.run()...)
	report := j.report()
	for login, want := range map[string][]string{
		"dciadmin": {"", "failed", "Protected", `"dciadmin" is DCIAdmin, whose password only DCIAdmin may set`},
		"rekey":    {"", "failed", "Protected", `"rekey" is the account that this backend logs in with`},
		"admin2":   {"", "failed", "Protected", "only DCIAdmin may set DCIAdmin's password"},
		"nobody":   {"", "failed", "AccountNotFound", `no user has the login name "nobody"`},
	} {
		if !slices.Equal(report[login], want) {
			t.Errorf("%s: report %q, want %q", login, report[login], want)
		}
	}
	for _, login := range j.logins {
		if report[login][1] != "done" {
			t.Errorf("%s: %q", login, report[login])
		}
	}
	if said := r.stdout + r.stderr; !strings.Contains(said, "3 Protected") || !strings.Contains(said, "1 AccountNotFound: create them") {
		t.Errorf("the operator reads:\n%s", said)
	}
}

func TestKendoxRulesAreCheckedBeforeAHashIsSent(t *testing.T) {
	j := newKendoxJob(t, 0, kendoxtest.Options{})
	for _, login := range []string{"short", "poor", "good"} {
		j.sim.Add(kendoxtest.User{Login: login}, "x")
	}
	j.users("short\tAb1", "poor\tall-lower-case-letters", "good\tLong-enough-1")
	j.must(3, j.run()...)
	report := j.report()
	for login, want := range map[string]string{"short": "failed PolicyViolation", "poor": "failed PolicyViolation", "good": "done "} {
		if got := report[login][1] + " " + report[login][2]; got != want {
			t.Errorf("%s: %s, want %s", login, got, want)
		}
	}
	if n := j.sim.Calls("SetUserPasswordHashed"); n != 1 || !j.sim.Accepts("good", "Long-enough-1") {
		t.Errorf("%d sets were sent, want that of the good one", n)
	}
}

// kendoxOne is a script for one user, without patience.
const kendoxOne = `
workflow(
    users = rows(["jdoe"], key = "login"),
    backend = backend("kendox", url = param.string("url"), user = "rekey", password = secret.env("KENDOX_PASSWORD"), min_length = 8, attempts = 1, timeout = "5s"),
    reports = [report.csv("out.csv")],
)
`

func TestKendoxEveryCodeHasItsExitCodeAndItsLine(t *testing.T) {
	for _, test := range []struct {
		code int
		text string // of the exception
		exit int
		line string // of the report: status, code, message
	}{
		{10006, "", 3, "failed LoginExpired: the user cannot log in: wrong name or password, or not active"},
		{10007, "", 4, "InvalidConfig: there is no Windows identity"},
		{10008, "The connection id x isn't valid or has expired", 3, "failed LoginExpired: the session is not valid or has ended"},
		{10038, "", 4, "InvalidConfig: the tenant is not known; check tenant"},
		{10047, "", 3, "failed AccountNotFound: no such user"},
		{10052, "", 4, "InvalidConfig: the user may not log in by Windows"},
		{10053, "", 3, "failed TargetUnavailable: no licence is left"},
		{10054, "", 3, "failed TargetUnavailable: no licence is left"},
		{10055, "", 3, "failed TargetUnavailable: the user has too many sessions; end some of them"},
		{10063, "", 3, "failed TargetError: the token's life is over"},
		{10068, "", 3, "failed TargetError: the login name exists"},
		{10071, "Not enough rights (Reset user password, " + kendoxtest.RightPassword + ")", 3,
			"failed PermissionDenied: the service account lacks a right: Not enough rights (Reset user password, 01002059-38a7-11d8-a902-0050bf427e8f)"},
		{10072, "", 3, "failed Protected: DCIAdmin cannot be deactivated"},
		{10078, "", 3, "failed TargetError: the server refused it"},
		{10081, "", 3, "failed PolicyViolation: too short"},
		{10082, "", 3, "failed PolicyViolation: needs a letter"},
		{10083, "", 3, "failed PolicyViolation: needs a special character"},
		{10084, "", 3, "failed PolicyViolation: needs upper-case and lower-case letters"},
		{10085, "", 3, "failed PolicyViolation: the server could not set it and does not say why"},
		{10086, "", 3, "failed PolicyViolation: needs a digit"},
		{10129, "The administrative context users is already checked out by user root", 3,
			"failed Conflict: another user has the administrative context; it is tried again: The administrative context users is already checked out by user root"},
		{10144, "", 4, "SecondFactorNeeded: the second factor's code could not be sent"},
		{10145, "", 3, "failed TargetError: the server's mail settings are wrong"},
		{10146, "", 3, "failed TargetError: the user has no mail address"},
		{10147, "", 4, "SecondFactorNeeded: the second factor's code could not be sent"},
		{10148, "", 4, "SecondFactorNeeded: the second factor is not complete"},
		{10149, "", 4, "SecondFactorNeeded: the second factor's code could not be sent"},
		{10150, "", 4, "SecondFactorNeeded: the second factor's code is wrong"},
		{10151, "", 3, "failed TargetError: the second factor is not needed"},
		{10152, "Verification code is needed: Verification code not yet verified", 4, "SecondFactorNeeded: the service account has a second factor; use one without"},
		{10153, "", 4, "SecondFactorNeeded: the second factor's code could not be sent"},
		{10154, "", 4, "SecondFactorNeeded: the second factor is not complete"},
		{10157, "", 3, "failed TargetError: the second factor was confirmed already"},
		{10165, "", 3, "failed AccountStatus: the user is not valid"},
		{10166, "", 3, "failed TargetError: the mail could not be sent"},
		{10167, "", 3, "failed TargetError: the mail could not be sent"},
		{10168, "", 3, "failed ChangeNotAllowed: no attempt is left"},
		{10169, "", 3, "failed TargetError: the server could not make a password"},
		{10170, "", 3, "failed Ambiguous: several users have the mail address"},
		{10244, "", 3, "failed AccountNotFound: the token's user does not exist"},
		{10256, "", 3, "failed TargetError: the server refused it"},
		{10263, "", 3, "failed TargetError: the server refused it"},
		{10264, "", 3, "failed TargetError: the server refused it"},
		{10369, "Only the DCIAdmin user can set the password for the DCIAdmin user", 3, "failed Protected: only DCIAdmin may set DCIAdmin's password"},
		{10376, "", 3, "failed TargetError: the token is not valid"},
		{19999, "Something new", 5, "unknown TargetError: an exception that this plugin does not know: Something new (19999)"},
	} {
		j := newKendoxJob(t, 0, kendoxtest.Options{})
		j.sim.Add(kendoxtest.User{Login: "jdoe"}, "old-password")
		j.sim.Faults.Add(resttest.Fault{Op: "SetUserPasswordHashed", Answer: j.sim.Exception(test.code, test.text)})
		j.write("one.star", kendoxOne)
		r := j.rekey("run", "one.star", j.url(), "--yes")
		if r.exit != test.exit {
			t.Errorf("%d: exit %d, want %d\n%s", test.code, r.exit, test.exit, r.stderr)
		}
		told := r.stderr
		if test.exit != 4 {
			row := strings.Split(strings.TrimSpace(j.read("out.csv")), "\n")[1]
			cells, _ := csv.NewReader(strings.NewReader(row)).Read()
			told = cells[1] + " " + cells[2] + ": " + cells[3]
		}
		if !strings.Contains(told, test.line) {
			t.Errorf("%d: the operator reads\n%s\nwant %s", test.code, told, test.line)
		}
		native := j.must(0, "report", "last", "--format", "jsonl", "--out", "-").stdout
		if test.exit != 4 && !strings.Contains(native, strconv.Itoa(test.code)) {
			t.Errorf("%d: the report does not have InfoShare's own number: %s", test.code, native)
		}
		if !j.sim.Accepts("jdoe", "old-password") {
			t.Errorf("%d: the password was changed", test.code)
		}
	}
}

// kendoxImpatient is the script for users whose answers go wrong.
const kendoxImpatient = `
kendox = backend("kendox", url = param.string("url"), user = "rekey", password = secret.env("KENDOX_PASSWORD"), min_length = 8,
    attempts = 1, timeout = "400ms", concurrency = 1)

def rotate(user, step):
    step.set(kendox, user.login, user.password or step.generate())

workflow(
    users = csv("users.csv", delimiter = ";", key = "login", secrets = ["password"], optional = ["password"]),
    rotate = rotate,
    reports = [report.csv("out.csv", row = lambda r: {"login": r.user.login, "password": r.password, "status": r.status, "code": r.code, "message": r.message})],
)
`

// wrongAnswers are what can go wrong with an exchange, and what the operator
// reads of it if it goes wrong every time. A server that says when to come back
// is waited for as long as it says so: that one goes wrong once. What took
// effect is found out by asking for the value.
var wrongAnswers = []struct {
	name, want string
	after      bool // it takes effect
	once       bool
	answer     resttest.Answer
}{
	{name: "lost after", want: "done ", after: true, answer: resttest.Reset()},
	{name: "reset before", want: "unknown ConnectionLost", answer: resttest.Reset()},
	{name: "silence", want: "unknown Timeout", answer: resttest.Silence()},
	{name: "silence after", want: "done ", after: true, answer: resttest.Silence()},
	{name: "throttled", want: "failed RateLimited", answer: resttest.Say(429, "", "")},
	{name: "throttled a while", want: "done ", once: true, answer: resttest.Say(429, "", "", "Retry-After", "1")},
	{name: "busy", want: "failed TargetUnavailable", answer: resttest.Say(503, "", "")},
	{name: "HTML", want: "unknown TargetError: HTTP 500 Internal Server Error, as an HTML page", answer: resttest.HTML(500)},
	{name: "huge after", want: "done ", after: true, answer: resttest.Huge(200, 100<<20)},
	{name: "malformed after", want: "done ", after: true, answer: resttest.Say(200, "", `{"<`)},
	{name: "huge", want: "unknown TargetError: the answer is longer than 1048576 bytes", answer: resttest.Huge(200, 100<<20)},
	{name: "malformed", want: "unknown TargetError: the answer", answer: resttest.Say(200, "", `<a>{`)},
}

// wrongAnswer is a fault that answers one of the wrong answers to an operation
// on an account.
func wrongAnswer(n int, operation, account string) resttest.Fault {
	fault := resttest.Fault{Op: operation, Account: account, Effect: wrongAnswers[n].after, Answer: wrongAnswers[n].answer}
	if wrongAnswers[n].once {
		fault.Times = 1
	}
	return fault
}

func TestKendoxFaultsAreToldApartAndMended(t *testing.T) {
	j := newKendoxJob(t, 0, kendoxtest.Options{})
	want := map[string]string{}
	for n, w := range wrongAnswers {
		id := j.sim.Add(kendoxtest.User{Login: w.name}, "old-password")
		j.logins, want[w.name] = append(j.logins, w.name), w.want
		j.sim.Faults.Add(wrongAnswer(n, "SetUserPasswordHashed", id))
	}
	j.logins = append(j.logins, `o'br"<ien> & co%2f`)
	j.sim.Add(kendoxtest.User{Login: j.logins[len(j.logins)-1]}, "old-password")
	j.users(j.logins...)
	j.write("faults.star", kendoxImpatient)
	memory := j.guard.memory("kendox")
	j.outcome(5, "run", "faults.star", j.url(), "--yes")
	report := j.report()
	for login, line := range want {
		if got := report[login][1] + " " + report[login][2] + ": " + report[login][3]; !strings.HasPrefix(got, line) {
			t.Errorf("%s: %s, want %s", login, got, line)
		}
	}
	if peak := memory(); peak == 0 || peak > 96<<10 {
		t.Errorf("the plugin took %d KiB at most, want little and a figure", peak)
	}
	j.sim.Faults.Clear()
	j.outcome(3, "resume", "last", "--yes")
	j.outcome(0, "retry", "last", "--yes")
	j.settled()
}

// memory follows the most memory, in KiB, that the backend's plugin took at
// any request, and returns what tells it.
func (g *guard) memory(backend string) func() int {
	peak := 0
	g.at(func(int, *http.Request) bool {
		peak = max(peak, highWater(backend))
		return true
	})
	return func() int { // a request whose client has gone may still be under way
		g.mu.Lock()
		defer g.mu.Unlock()
		return peak
	}
}

// highWater is the greatest VmHWM, in KiB, of the processes that are a plugin
// of this test's rekey for the backend.
func highWater(backend string) int {
	most := 0
	lines, _ := filepath.Glob("/proc/[0-9]*/cmdline")
	for _, name := range lines {
		line, err := os.ReadFile(name)
		if err != nil || !bytes.Equal(line, []byte(binary+"\x00serve-backend\x00"+backend+"\x00")) {
			continue
		}
		status, _ := os.ReadFile(filepath.Join(filepath.Dir(name), "status"))
		if _, after, ok := strings.Cut(string(status), "VmHWM:"); ok {
			n, _ := strconv.Atoi(strings.Fields(after)[0])
			most = max(most, n)
		}
	}
	return most
}

func TestKendoxSecretsAndHashesAreInNoOutput(t *testing.T) {
	const canary = `c"a\n%y é-Canary-1`
	j := newKendoxJob(t, 0, kendoxtest.Options{})
	j.env = append(j.env, "REKEY_LOG=trace", "GODEBUG=http2debug=2,tlsdebug=1")
	hash := j.sim.Hash(canary)
	echo := fmt.Sprintf(`{"ErrorCode":19999,"Message":%s}`, strconv.Quote("cannot take "+hash+" of "+kendoxService+" "+j.sim.Hash(kendoxService)))
	for login, f := range map[string]resttest.Fault{
		"fine": {Delay: time.Millisecond}, "echoes": {Answer: resttest.Say(500, "application/json", echo)}, "echoes as success": {Answer: resttest.Say(200, "application/json", echo)},
		"page": {Answer: resttest.Say(500, "application/json", "<html>"+hash+"</html>")}, "moved": {Answer: resttest.Say(302, "application/json", "", "Location", "/"+hash)},
		"cut": {Effect: true, Answer: resttest.Reset()},
	} {
		f.Op, f.Account = "SetUserPasswordHashed", j.sim.Add(kendoxtest.User{Login: login}, "old-password")
		j.sim.Faults.Add(f)
		j.logins = append(j.logins, login+"\t"+canary)
	}
	j.users(j.logins...)
	j.write("leaks.star", strings.Replace(kendoxImpatient, `"password": r.password, `, "", 1))
	told := ""
	for _, args := range [][]string{{"run", "leaks.star", j.url(), "--yes"}, {"show", "last", "--user", "echoes"}, {"report", "last", "--format", "jsonl", "--out", "-"}, {"resume", "last", "--yes"}} {
		r := j.rekey(args...)
		told += r.stdout + r.stderr
	}
	if !strings.Contains(told, "http exchange") {
		t.Error("nothing was logged at the highest level: the test would see no leak")
	}
	if err := os.Remove(filepath.Join(j.dir, "users.csv")); err != nil {
		t.Fatal(err)
	}
	if !j.sim.Accepts("fine", canary) {
		t.Error("the canary did not arrive where it should")
	}
	leaks(t, told, j.dir, canary, hash, kendoxService, j.sim.Hash(kendoxService))
}

func TestKendoxPlanRefusesWhatCannotWork(t *testing.T) {
	for _, test := range []struct {
		name   string
		change func(j *kendoxJob)
		params []string
		logons int
		want   []string
	}{
		{"wrong password", func(j *kendoxJob) { j.env = []string{"KENDOX_PASSWORD=not-that-one"} }, nil, 2,
			[]string{"wrong name or password", "check tenant, user and password; neither hash_encoding works"}},
		{"no password", func(j *kendoxJob) { j.env = nil }, nil, 0, []string{"KENDOX_PASSWORD"}},
		{"nobody there", func(j *kendoxJob) { j.guard.Close() }, nil, 0, []string{"connection refused", "check url, and that InfoShare runs"}},
		{"clear text", func(*kendoxJob) {}, []string{"url=http://docs.example/InfoShare/Json"}, 0, []string{"http:// to docs.example would send passwords in clear"}},
		{"impossible rules", func(*kendoxJob) {}, []string{"max_length=10"}, 0, []string{"max_length: got 10, but the other rules need 12"}},
	} {
		j := newKendoxJob(t, 1, kendoxtest.Options{})
		test.change(j)
		args := j.run(test.params...)
		if test.name == "clear text" {
			args = slices.DeleteFunc(args, func(a string) bool { return a == j.url() })
		}
		r := j.must(2, args...)
		for _, want := range test.want {
			if !strings.Contains(r.stderr, want) {
				t.Errorf("%s: the operator reads\n%s\nwant %s", test.name, r.stderr, want)
			}
		}
		if n := j.sim.Calls("Logon"); n != test.logons || j.sim.Calls("SetUserPasswordHashed") != 0 {
			t.Errorf("%s: %d logons, want %d, and no set", test.name, n, test.logons)
		}
	}
}

func TestKendoxGivenHashesAreSentAsTheyAre(t *testing.T) {
	j := newKendoxJob(t, 0, kendoxtest.Options{})
	j.sim.Add(kendoxtest.User{Login: "jdoe"}, "x")
	hash := j.sim.Hash("Chosen-Elsewhere-1")
	j.write("users.csv", "login,hash\njdoe,"+hash+"\n")
	j.write("hashes.star", `
kendox = backend("kendox", url = param.string("url"), user = "rekey", password = secret.env("KENDOX_PASSWORD"), min_length = 100)

def rotate(user, step):
    step.set(kendox, user.login, user.hash, hash_format = "sha512-base64")

workflow(users = csv("users.csv", key = "login", secrets = ["hash"]), rotate = rotate)
`)
	j.outcome(0, "run", "hashes.star", j.url(), "--yes")
	if !j.sim.Accepts("jdoe", "Chosen-Elsewhere-1") {
		t.Error("the server does not have the hash")
	}
	var shown []struct{ Form, State, Password string }
	if err := json.Unmarshal([]byte(j.must(0, "reveal", "last", "jdoe", "--json").stdout), &shown); err != nil {
		t.Fatal(err)
	}
	if len(shown) != 1 || shown[0].Form != "sha512-base64" || shown[0].State != "applied" || shown[0].Password != hash {
		t.Errorf("reveal shows %+v, want the hash as such", shown)
	}
}

func TestKendoxUsersComeFromItsOwnList(t *testing.T) {
	j := newKendoxJob(t, 12, kendoxtest.Options{})
	j.write("all.star", `
kendox = backend("kendox", url = param.string("url"), user = "rekey", password = secret.env("KENDOX_PASSWORD"), min_length = 12)
workflow(users = kendox.accounts("user000*", attributes = ["Domain"]), backend = kendox, reports = [report.csv("out.csv", row = lambda r: {
    "login": r.user.login, "password": r.password, "status": r.status, "code": r.code, "message": r.message})])
`)
	j.outcome(0, "run", "all.star", j.url(), "--yes")
	j.logins = slices.DeleteFunc(j.logins, func(login string) bool { return !strings.HasPrefix(login, "user000") })
	if len(j.logins) != 8 { // two of the first ten have other names
		t.Fatalf("the job has %q", j.logins)
	}
	j.settled()
}

func TestKendoxIsDocumented(t *testing.T) {
	text := newPlace(t).must(0, "backends", "kendox").stdout
	for _, want := range []string{"url ", "tenant ", "hash_encoding ", "min_length ", "symbols ", "Inferred, not documented", "SetUserPasswordHashed",
		"sha512-base64", "plain ", "find, list, policy, verify, check", "default utf-8", "no second factor"} {
		if !strings.Contains(text, want) {
			t.Errorf("rekey backends kendox does not say %q", want)
		}
	}
}
