package main_test

import (
	"encoding/csv"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/rekey-host/rekey/host/source"
	"github.com/rekey-host/rekey/host/workflow"
	"github.com/rekey-host/rekey/plugins/broadworks"
	"github.com/rekey-host/rekey/plugins/smartcloud"
	"github.com/rekey-host/rekey/plugins/smartcloud/smartcloudtest"
	"github.com/rekey-host/rekey/scripts"
	"github.com/rekey-host/rekey/sdk"
	"github.com/rekey-host/rekey/sdk/rest/resttest"
)

// loadShipped loads a shipped script with the parameters, in a directory of its own.
func loadShipped(t *testing.T, dir, script string, params ...string) (*workflow.Workflow, error) {
	t.Helper()
	path, err := filepath.Abs(filepath.Join("../../scripts", script))
	if err != nil {
		t.Fatal(err)
	}
	given := map[string]string{}
	for _, p := range params {
		name, value, _ := strings.Cut(p, "=")
		given[name] = value
	}
	backends := map[string]sdk.Backend{"smartcloud": smartcloud.New(), "broadworks": broadworks.New()}
	return workflow.Load(t.Context(), workflow.Options{
		Embedded: scripts.FS, Fatal: func(line string) { panic(line) },
		Path: path, Params: given, WorkDir: dir, Placeholders: len(params) == 0,
		BackendNames: []string{"smartcloud", "broadworks"},
		Describe: func(name, _ string) (sdk.Description, error) {
			if b, ok := backends[name]; ok {
				return b.Describe(), nil
			}
			return sdk.Description{}, fmt.Errorf("there is no %q", name)
		},
	})
}

// keysOf reads the users of a workflow.
func keysOf(t *testing.T, w *workflow.Workflow) []string {
	t.Helper()
	var keys []string
	if err := w.Users.Rows(t.Context(), func(r source.Row) error { keys = append(keys, r.Key); return nil }); err != nil {
		t.Fatal(err)
	}
	return keys
}

func TestSmartcloudScriptTakesTheSettingsOfItsBackendAsParameters(t *testing.T) {
	for script, backend := range map[string]sdk.Backend{"smartcloud_initialise.star": smartcloud.New(), "broadworks_bulk_reset.star": broadworks.New()} {
		w, err := loadShipped(t, t.TempDir(), script)
		if err != nil {
			t.Fatalf("%s without parameters: %v", script, err)
		}
		for _, f := range backend.Describe().Config {
			named := slices.ContainsFunc(w.Params, func(p workflow.Param) bool { return p.Name == f.Name })
			if named == (f.Type == sdk.Secret) {
				t.Errorf("%s: setting %s is a parameter: %v", script, f.Name, named)
			}
		}
		for _, p := range w.Params {
			if p.Help == "" {
				t.Errorf("%s: parameter %s has no help", script, p.Name)
			}
		}
	}
}

func TestSmartcloudScriptReadsTheFileOfTheOperator(t *testing.T) {
	dir := t.TempDir()
	text := "\ufeffann@acme.example;passforuser1\r\n\r\n bob@acme.example ; passforuser2 \r\nmiä@acme.example;\r\n"
	if err := os.WriteFile(filepath.Join(dir, "accounts.txt"), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	w, err := loadShipped(t, dir, "smartcloud_initialise.star", "url=http://127.0.0.1:1", "admin=admin@acme.example")
	if err != nil {
		t.Fatal(err)
	}
	if got, want := keysOf(t, w), []string{"ann@acme.example", "bob@acme.example", "miä@acme.example"}; !slices.Equal(got, want) {
		t.Errorf("users %q, want %q", got, want)
	}
	if len(w.Waves) != 2 || w.Waves[0].Name != "canary" || w.Waves[0].Take != 20 || w.Backends[0].Secrets["password"].Name != "CLOUD_PASSWORD" {
		t.Errorf("waves %+v, secrets %+v", w.Waves, w.Backends[0].Secrets)
	}
}

func TestSmartcloudScriptRefusesAnotherMethod(t *testing.T) {
	_, err := loadShipped(t, t.TempDir(), "smartcloud_initialise.star", "url=http://127.0.0.1:1", "admin=a@b", "method=mail")
	if err == nil || !strings.Contains(err.Error(), "change") || !strings.Contains(err.Error(), "one-time") {
		t.Errorf("got %v, want the methods that there are", err)
	}
}

const cloudAdmin = "c\"a\\n%y é-adm1n"

// cloudJob is a simulated SmartCloud, a place to run in, and the accounts.
type cloudJob struct {
	*place
	sim    *smartcloudtest.Simulator
	logins []string
}

// temporary is what an account has before the job.
func temporary(login string) string { return "Temp-0f!" + fmt.Sprint(len(login)) + "x%y" }

// newCloudJob makes accounts; of each tenth the file does not know the
// temporary password.
func newCloudJob(t *testing.T, n int, state string, o smartcloudtest.Options) *cloudJob {
	t.Helper()
	o.AdminPassword = cloudAdmin
	j := &cloudJob{place: newPlace(t, "CLOUD_PASSWORD="+cloudAdmin), sim: smartcloudtest.New(o)}
	var file strings.Builder
	w := csv.NewWriter(&file)
	w.Comma = ';'
	for k := range n {
		login := fmt.Sprintf("user%04d@acme.example", k)
		switch k % 100 {
		case 6:
			login = fmt.Sprintf(`o'br"ien;<x>&y%%2f.%d@acme.example`, k)
		case 7:
			login = fmt.Sprintf("zoë+漢字.%d@acme.example", k)
		}
		j.logins = append(j.logins, login)
		j.sim.Add(smartcloudtest.Account{Login: login, Password: temporary(login), OneTime: true, State: state})
		known := temporary(login)
		if k%10 == 3 {
			known = ""
		}
		_ = w.Write([]string{login, known})
	}
	w.Flush()
	j.write("accounts.txt", file.String())
	if err := j.sim.Listen("127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(j.sim.Close)
	return j
}

// run are the arguments of the job's run.
func (j *cloudJob) run(more ...string) []string {
	j.t.Helper()
	script, err := filepath.Abs("../../scripts/smartcloud_initialise.star")
	if err != nil {
		j.t.Fatal(err)
	}
	args := []string{"run", script, "url=" + j.sim.URL(), "admin=admin@acme.example"}
	return append(append(args, more...), "--yes")
}

// report are the lines of the final list.
func (j *cloudJob) report() [][]string {
	j.t.Helper()
	rows, err := csv.NewReader(strings.NewReader(j.read("passwords.csv"))).ReadAll()
	if err != nil || !slices.Equal(rows[0], []string{"login", "password", "status", "code", "message"}) {
		j.t.Fatalf("report: %v, header %q", err, rows[0])
	}
	return rows[1:]
}

// settled checks that each account has the permanent password that the final
// list tells, and never had another permanent one.
func (j *cloudJob) settled() {
	j.t.Helper()
	rows := j.report()
	if len(rows) != len(j.logins) {
		j.t.Fatalf("the list has %d lines, want %d", len(rows), len(j.logins))
	}
	for k, row := range rows {
		login, password := j.logins[k], row[1]
		value, oneTime := j.sim.Password(login)
		if row[0] != login || row[2] != "done" || password == "" || value != password || oneTime {
			j.t.Errorf("line %d: %q; %s has another one: %v, one-time: %v", k+1, row, login, value != password, oneTime)
		}
		if earlier := j.sim.Values(login); slices.Index(earlier, password) != len(earlier)-1 {
			j.t.Errorf("%s got its password and then another one", login)
		}
	}
}

func TestSmartcloudTemporaryPasswordsBecomePermanentAndKnown(t *testing.T) {
	j := newCloudJob(t, 2000, smartcloudtest.Pending, smartcloudtest.Options{})
	o := j.outcome(0, j.run()...)
	if o.Status != "finished" || o.Counts["total"] != 2000 || o.Counts["done"] != 2000 || o.Waves[0].Name != "canary" || o.Waves[0].Counts["done"] != 20 {
		t.Fatalf("got %+v", o)
	}
	j.settled()
	if r := j.sim.Requests(); r["changePassword"] != 2000 || r["setOneTimePassword"] != 200 || r["setUserPassword"] != 0 || r["resetPassword"] != 0 {
		t.Errorf("requests %v", r)
	}
}

func TestSmartcloudAccountsAreWhereKillsFindThem(t *testing.T) {
	t.Parallel()
	for _, stays := range []bool{false, true} {
		t.Run(fmt.Sprintf("stays pending %v", stays), func(t *testing.T) {
			t.Parallel()
			j := newCloudJob(t, 2000, smartcloudtest.Pending, smartcloudtest.Options{StayPending: stays})
			host := newVictim(j.command(j.run("timeout=3s")...)) // what a killed host lost may arrive for four of them
			kill := func(http.ResponseWriter, *http.Request) { killPlugin(t, host.started(), "smartcloud") }
			first := j.sim.Faults.Add(resttest.Fault{Op: "changePassword", Skip: 300, Times: 1, Effect: true, Answer: kill})
			second := j.sim.Faults.Add(resttest.Fault{Op: "changePassword", Skip: 800, Times: 1, Answer: kill})
			j.sim.Faults.Add(resttest.Fault{Op: "changePassword", Skip: 1400, Times: 1, Effect: true, Answer: func(http.ResponseWriter, *http.Request) { _ = host.started().Process.Kill() }})
			if out, err := host.run(); err == nil || host.cmd.ProcessState.ExitCode() != -1 || first()+second() != 2 {
				t.Fatalf("the host was not killed, or the plugin not twice: %v\n%s", err, out)
			}
			if o := j.outcome(0, "resume", "last", "--yes"); o.Counts["done"] != 2000 {
				t.Fatalf("after resume: %+v", o)
			}
			j.settled()
		})
	}
}

func TestSmartcloudMethodsEndWithTheSamePromise(t *testing.T) {
	t.Parallel()
	for method, call := range map[string]string{"SET": "setUserPassword", "setOneTimePassword": "setOneTimePassword"} {
		t.Run(method, func(t *testing.T) {
			t.Parallel()
			j := newCloudJob(t, 400, smartcloudtest.Active, smartcloudtest.Options{})
			host := newVictim(j.command(j.run("method="+method, "timeout=3s")...))
			j.sim.Faults.Add(resttest.Fault{Op: call, Skip: 100, Times: 1, Effect: true, Answer: func(http.ResponseWriter, *http.Request) { killPlugin(t, host.started(), "smartcloud") }})
			j.sim.Faults.Add(resttest.Fault{Op: call, Skip: 200, Times: 1, Effect: true, Answer: func(http.ResponseWriter, *http.Request) { _ = host.started().Process.Kill() }})
			if out, err := host.run(); err == nil || host.cmd.ProcessState.ExitCode() != -1 {
				t.Fatalf("the host was not killed: %v\n%s", err, out)
			}
			if o := j.outcome(0, "resume", "last", "--yes"); o.Counts["done"] != 400 {
				t.Fatalf("after resume: %+v", o)
			}
			j.settled()
		})
	}
}

func TestSmartcloudCanaryStopsWhatWouldFailForAll(t *testing.T) {
	j := newCloudJob(t, 300, smartcloudtest.Pending, smartcloudtest.Options{})
	r := j.must(4, j.run("method=set")...)
	if !strings.Contains(r.stdout+r.stderr, "AccountStatus") || !strings.Contains(r.stderr, "canary") {
		t.Errorf("the operator reads:\n%s%s", r.stdout, r.stderr)
	}
	if n := j.sim.Requests()["GET subscriber"]; n > 20 {
		t.Errorf("%d accounts were looked at, want the canary's 20 at most", n)
	}
}

func TestSmartcloudCanaryWaitsForItsApproval(t *testing.T) {
	j := newCloudJob(t, 60, smartcloudtest.Pending, smartcloudtest.Options{})
	if o := j.outcome(6, j.run("canary=5", "approve=true")...); o.Counts["done"] != 5 || o.Counts["held"] != 55 {
		t.Fatalf("got %+v", o)
	}
	j.must(0, "approve", "last")
	j.outcome(0, "resume", "last", "--yes")
	j.settled()
}

func TestSmartcloudThatIsBusyIsWaitedFor(t *testing.T) {
	t.Parallel()
	for name, answer := range map[string]resttest.Answer{
		"for how long": resttest.Say(503, "", "", "Retry-After", "1"), "not for how long": resttest.Say(503, "", ""), "throttled": resttest.Say(429, "", ""),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			j := newCloudJob(t, 60, smartcloudtest.Pending, smartcloudtest.Options{})
			j.sim.Faults.Add(resttest.Fault{Op: "changePassword", Skip: 10, Times: 12, Answer: answer})
			if o := j.outcome(0, j.run()...); o.Counts["done"] != 60 {
				t.Errorf("got %+v", o)
			}
			j.settled()
		})
	}
}

func TestSmartcloudAdministratorWhosePasswordChangesStopsTheRun(t *testing.T) {
	t.Parallel()
	j := newCloudJob(t, 100, smartcloudtest.Pending, smartcloudtest.Options{})
	right := j.env
	j.env = []string{"CLOUD_PASSWORD=another"}
	if r := j.must(2, j.run()...); !strings.Contains(r.stderr, "the administrator's e-mail address or password is refused; check admin and password") {
		t.Errorf("at plan the operator reads:\n%s", r.stderr)
	}
	j.env = right
	j.sim.Faults.Add(resttest.Fault{Op: "getRoleList", Skip: 2, Answer: resttest.Say(401, "", "")}) // the check and the login pass
	j.sim.Faults.Add(resttest.Fault{Op: "changePassword", Skip: 40, Answer: resttest.Say(401, "", "")})
	r := j.must(4, j.run()...)
	if !strings.Contains(r.stderr, "the login was refused 3 times in a row and is not tried again; check user and password") || !strings.Contains(r.stdout, "rekey resume") {
		t.Errorf("midway the operator reads:\n%s%s", r.stdout, r.stderr)
	}
	j.sim.Faults.Clear()
	j.outcome(0, "resume", "last", "--yes")
	j.settled()
}

// cloudCodes is a script without patience; how says which call an account gets.
const cloudCodes = `
cloud = backend("smartcloud", url = param.string("url"), admin = "admin@acme.example", password = secret.env("CLOUD_PASSWORD"), attempts = 1, timeout = "5s", logon_check = "never")

def rotate(user, step):
    if user.how == "resetPassword":
        step.reset(cloud, user.login)
    elif user.how == "changePassword":
        step.change(cloud, user.login, old = "Temp-0f!1", new = step.generate())
    else:
        step.set(cloud, user.login, step.generate(), must_change = user.how == "setOneTimePassword")

workflow(users = csv("users.csv", key = "login"), rotate = rotate, reports = [report.csv("out.csv")])
`

func bss(code, message, id string) string {
	return fmt.Sprintf(`{"BSSResponse":{"ResponseCode":%q,"ResponseMessage":%q,"Severity":"Error","Useraction":"Ask IBM.","MessageCode":%q}}`, code, message, id)
}

func TestSmartcloudEveryCodeHasItsExitCodeAndItsLine(t *testing.T) {
	const set, once, change, reset = "setUserPassword", "setOneTimePassword", "changePassword", "resetPassword"
	type answer struct {
		call   string
		status int
		body   string
		line   string // of the report: status, code, message
	}
	page := "<!DOCTYPE html><html>Oops</html>"
	for exit, answers := range map[int][]answer{
		3: {
			{set, 304, "", "failed TargetError: HTTP 304 Not Modified: a redirect, which is not followed; check the url"},
			{set, 400, bss("400", "LoginName is missing.", "BZSAU1010E"), "failed InvalidOperation: LoginName is missing. (Ask IBM.)"},
			{set, 400, bss("400", "The password does not comply.", "BZSAU1015E"), "failed PolicyViolation: The password does not comply. (Ask IBM.)"},
			{once, 400, bss("400", "The password is weak.", "BZSAU1015E"), "failed PolicyViolation: The password is weak. (Ask IBM.)"},
			{change, 400, bss("400", "One of the last 8.", "BZSAU1015E"), "failed PolicyViolation: One of the last 8. (Ask IBM.)"},
			{change, 400, bss("400", "The old password is not correct.", "BZSAU1014E"), "failed WrongCurrentPassword: The old password is not correct. (Ask IBM.)"},
			{change, 400, "", "failed WrongCurrentPassword: HTTP 400 Bad Request"},
			{set, 400, bss("400", "Subscriber is suspended.", "X"), "failed AccountStatus: Subscriber is suspended. (Ask IBM.)"},
			{set, 400, bss("400", "Subscriber is federated.", "X"), "failed NoCredential: Subscriber is federated. (Ask IBM.)"},
			{reset, 400, bss("400", "No.", "X"), "failed InvalidOperation: No. (Ask IBM.)"},
			{set, 400, page, "failed TargetError: HTTP 400 Bad Request, as an HTML page: it may come from a proxy"},
			{set, 401, bss("401", "Who are you?", "BZSAU1001E"), "failed LoginExpired: Who are you? (Ask IBM.)"},
			{set, 403, bss("403", "You may not.", "BZSAU1003E"), "failed PermissionDenied: You may not. (Ask IBM.)"},
			{set, 404, bss("404", "Not found.", "BZSAU1004E"), "failed AccountNotFound: Not found. (Ask IBM.)"},
			{reset, 404, bss("404", "Not found.", "BZSAU1004E"), "failed AccountNotFound: Not found. (Ask IBM.)"},
			{set, 404, page, "failed TargetError: HTTP 404 Not Found, as an HTML page: it may come from a proxy"},
			{set, 409, bss("409", "Not now.", "BZSAU1020E"), "failed AccountStatus: Not now. (Ask IBM.)"},
			{set, 429, "", "failed RateLimited: HTTP 429 Too Many Requests"},
			{set, 503, bss("503", "Busy.", "BZSBS0503E"), "failed TargetUnavailable: Busy. (Ask IBM.)"},
		},
		5: {
			{set, 200, page, "unknown TargetError: answered HTTP 200, want 204"},
			{set, 202, "", "unknown TargetError: answered HTTP 202, want 204"},
			{set, 500, bss("500", "java.lang.NullPointerException", "BZSBS0500E"), "unknown TargetError: java.lang.NullPointerException (Ask IBM.)"},
			{once, 500, page, "unknown TargetError: HTTP 500 Internal Server Error, as an HTML page: it may come from a proxy"},
			{set, 502, bss("502", "Bad gateway.", "BZSBS0502E"), "unknown TargetUnavailable: Bad gateway. (Ask IBM.)"},
			{set, 504, "", "unknown Timeout: HTTP 504 Gateway Timeout"},
		},
	} {
		j := newCloudJob(t, 0, "", smartcloudtest.Options{})
		j.write("codes.star", cloudCodes)
		users := "login,how\n"
		for n, a := range answers {
			login := fmt.Sprintf("u%02d@acme.example", n)
			users += login + "," + a.call + "\n"
			j.sim.Add(smartcloudtest.Account{Login: login, Password: "Temp-0f!1"})
			j.sim.Faults.Add(resttest.Fault{Op: a.call, Account: login, Answer: resttest.Say(a.status, "", a.body)})
		}
		j.write("users.csv", users)
		j.must(exit, "run", "codes.star", "url="+j.sim.URL(), "--yes")
		rows, err := csv.NewReader(strings.NewReader(j.read("out.csv"))).ReadAll()
		if err != nil || len(rows) != len(answers)+1 {
			t.Fatalf("%d rows, %v", len(rows), err)
		}
		for n, a := range answers {
			row := rows[n+1]
			if got := row[1] + " " + row[2] + ": " + row[3]; got != a.line {
				t.Errorf("%s %d %s\ngot  %s\nwant %s", a.call, a.status, a.body, got, a.line)
			}
			if v, _ := j.sim.Password(row[0]); v != "Temp-0f!1" {
				t.Errorf("%s %d: the password was changed", a.call, a.status)
			}
		}
	}
}

// Whatever the server echoes, and however much is logged, the administrator's
// password, the temporary and the new ones stand in the report alone.
func TestSmartcloudSecretsAreInTheFinalListOnly(t *testing.T) {
	j := newCloudJob(t, 40, smartcloudtest.Pending, smartcloudtest.Options{})
	j.env = append(j.env, "REKEY_LOG=trace")
	echo := func(status int) resttest.Answer {
		return func(w http.ResponseWriter, r *http.Request) {
			_, admin, _ := r.BasicAuth()
			resttest.Say(status, "application/json", bss("400", "refused "+admin+" "+temporary(j.logins[8]), admin))(w, r)
		}
	}
	j.sim.Faults.Add(resttest.Fault{Op: "changePassword", Account: j.logins[8], Answer: echo(400)})
	j.sim.Faults.Add(resttest.Fault{Op: "changePassword", Account: j.logins[9], Answer: echo(500)})
	j.sim.Faults.Add(resttest.Fault{Op: "setUserPassword", Account: j.logins[9], Answer: echo(500)})
	r := j.must(5, j.run("canary=30")...)
	all := []string{cloudAdmin}
	for k, row := range j.report() {
		all = append(all, temporary(j.logins[k]))
		if row[1] != "" {
			all = append(all, row[1])
		}
	}
	j.must(0, "show", "last", "--json")
	for _, name := range []string{"passwords.csv", "accounts.txt"} {
		if err := os.Remove(filepath.Join(j.dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	leaks(t, r.stdout+r.stderr, j.dir, all...)
	if !strings.Contains(r.stderr, "http exchange") {
		t.Error("nothing was traced: the test would see no leak")
	}
}

// The README's two jobs, with the data that ships, as far as files go.
func TestSmartcloudAndBroadworksSamplesAreReadAsTheyShip(t *testing.T) {
	data, err := filepath.Abs("../../scripts/data")
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		script string
		params []string
		want   int
	}{
		{"smartcloud_initialise.star", []string{"url=http://127.0.0.1:1", "admin=a@b", "accounts=" + data + "/smartcloud_accounts.txt"}, 12},
		{"smartcloud_initialise.star", []string{"url=http://127.0.0.1:1", "admin=a@b", "header=true", "accounts=" + data + "/accounts.csv"}, 2000},
		{"broadworks_bulk_reset.star", append([]string{"kind=web", "file=" + data + "/broadworks_users.txt"}, odinParams...), 8},
	} {
		w, err := loadShipped(t, t.TempDir(), c.script, c.params...)
		if err != nil {
			t.Fatal(err)
		}
		if got := len(keysOf(t, w)); got != c.want {
			t.Errorf("%s: %d users, want %d", c.script, got, c.want)
		}
	}
}

// faultUser is a user whose calls meet a fault, and what the report says of it.
type faultUser struct {
	name  string
	fault resttest.Fault
	line  string // status, code and the message's beginning
}

func httpFaults() []faultUser {
	return []faultUser{
		{"none", resttest.Fault{Op: "none"}, "done : "},
		{"throttled", resttest.Fault{Answer: resttest.Say(429, "", "")}, "failed RateLimited: HTTP 429"},
		{"throttled-told", resttest.Fault{Answer: resttest.Say(429, "", "", "Retry-After", "0")}, "failed RateLimited: HTTP 429"},
		{"busy", resttest.Fault{Answer: resttest.Say(503, "", "")}, "failed TargetUnavailable: HTTP 503"},
		{"expired", resttest.Fault{Times: 1, Answer: resttest.Say(401, "", "")}, "done : "},
		{"lost-after", resttest.Fault{Effect: true, Answer: resttest.Drop()}, "unknown ConnectionLost: 127.0.0.1:"},
		{"half-after", resttest.Fault{Effect: true, Answer: resttest.Half(200)}, "unknown ConnectionLost: 127.0.0.1:"},
		{"reset-before", resttest.Fault{Answer: resttest.Reset()}, "unknown ConnectionLost: 127.0.0.1:"},
		{"page-before", resttest.Fault{Answer: resttest.HTML(500)}, "unknown TargetError: HTTP 500 Internal Server Error, as an HTML page"},
		{"page-after", resttest.Fault{Effect: true, Answer: resttest.HTML(500)}, "unknown TargetError: HTTP 500 Internal Server Error, as an HTML page"},
		{"silence-before", resttest.Fault{Answer: resttest.Silence()}, "unknown Timeout: "},
		{"silence-after", resttest.Fault{Effect: true, Answer: resttest.Silence()}, "unknown Timeout: "},
		{"huge-before", resttest.Fault{Answer: resttest.Huge(200, 100<<20)}, "unknown TargetError: the answer is longer than"},
		{"huge-after", resttest.Fault{Effect: true, Answer: resttest.Huge(200, 100<<20)}, "unknown TargetError: the answer is longer than"},
	}
}

// told runs a script that gives each user one try, compares what the report
// says of each, then lets the faults pass: resume settles the unknown ones and
// retry the refused, none with a second value.
func told(t *testing.T, p *place, users []faultUser, url string, faults *resttest.Faults, script string, values func(account string) (now string, all []string)) {
	t.Helper()
	p.write("faults.star", script)
	p.must(5, "run", "faults.star", url, "--yes")
	rows, err := csv.NewReader(strings.NewReader(p.read("out.csv"))).ReadAll()
	if err != nil || len(rows) != len(users)+1 {
		t.Fatalf("%d rows, %v", len(rows), err)
	}
	for n, u := range users {
		row := rows[n+1]
		if got := row[2] + " " + row[3] + ": " + row[4]; row[0] != u.name+"@acme.example" || !strings.HasPrefix(got, u.line) {
			t.Errorf("%s\ngot  %s\nwant %s…", u.name, got, u.line)
		}
	}
	faults.Clear()
	if o := p.outcome(3, "resume", "last", "--yes"); o.Counts["unknown"] != 0 {
		t.Errorf("after resume %v", o.Counts)
	}
	if o := p.outcome(0, "retry", "last", "--yes"); o.Counts["done"] != int64(len(users)) {
		t.Errorf("after retry %v", o.Counts)
	}
	rows, _ = csv.NewReader(strings.NewReader(p.read("out.csv"))).ReadAll()
	for _, row := range rows[1:] {
		now, all := values(row[0])
		if row[1] == "" || now != row[1] {
			t.Errorf("%s: has not the value of the report", row[0])
		}
		for _, v := range all {
			if v != row[1] {
				t.Errorf("%s: had another value too", row[0])
			}
		}
	}
}

func TestSmartcloudFaultsAreToldApartAndSettled(t *testing.T) {
	t.Parallel()
	j := newCloudJob(t, 0, "", smartcloudtest.Options{})
	users, file := httpFaults(), "login\n"
	for _, u := range users {
		login := u.name + "@acme.example"
		file += login + "\n"
		j.sim.Add(smartcloudtest.Account{Login: login, Password: "Temp-0f!1"})
		if u.fault.Account = login; u.fault.Op == "" {
			u.fault.Op = "setUserPassword"
		}
		j.sim.Faults.Add(u.fault)
	}
	j.write("users.csv", file)
	told(t, j.place, users, "url="+j.sim.URL(), &j.sim.Faults, `
cloud = backend("smartcloud", url = param.string("url"), admin = "admin@acme.example", password = secret.env("CLOUD_PASSWORD"), attempts = 1, timeout = "1s")
workflow(users = csv("users.csv", key = "login"), backend = cloud, reports = [report.csv("out.csv", row = lambda r:
    {"login": r.user.login, "password": r.password, "status": r.status, "code": r.code, "message": r.message})])
`, func(login string) (string, []string) {
		now, _ := j.sim.Password(login)
		return now, j.sim.Values(login)[1:]
	})
}

func TestSmartcloudStatesAreToldApart(t *testing.T) {
	j := newCloudJob(t, 0, "", smartcloudtest.Options{MaxPage: 2})
	for _, a := range []smartcloudtest.Account{{Login: "active"}, {Login: "pending", State: smartcloudtest.Pending}, {Login: "suspended", State: smartcloudtest.Suspended},
		{Login: "deleted", State: smartcloudtest.SoftDeleted}, {Login: "federated", Realm: smartcloudtest.Federated}, {Login: "partly", Realm: "PARTIAL_FEDERATED"}} {
		a.Login += "@acme.example"
		a.Password = "Temp-0f!1"
		j.sim.Add(a)
	}
	j.write("all.star", `
cloud = backend("smartcloud", url = param.string("url"), admin = "admin@acme.example", password = secret.env("CLOUD_PASSWORD"))
workflow(users = cloud.accounts(filter = param.string("filter", default = ""), attributes = ["SubscriberState"]), backend = cloud, reports = [report.csv("out.csv", row = lambda r:
    {"login": r.user.login, "said": r.user.status, "state": r.user["SubscriberState"], "why": r.code + ": " + r.message if r.code else r.status})])
`)
	j.must(3, "run", "all.star", "url="+j.sim.URL(), "--yes")
	want := `login,said,state,why
admin@acme.example,active,ACTIVE,Protected: is the administrator that rekey is logged in as
active@acme.example,active,ACTIVE,done
pending@acme.example,pending,PENDING,"AccountStatus: is PENDING: setUserPassword wants an ACTIVE account; change its temporary password, or set one with must_change = True"
suspended@acme.example,suspended,SUSPENDED,AccountStatus: is SUSPENDED: no password can be set
deleted@acme.example,deleted,SOFT_DELETED,AccountStatus: is SOFT_DELETED: no password can be set
federated@acme.example,federated,ACTIVE,NoCredential: is federated: its password is with its organisation
partly@acme.example,active,ACTIVE,done
`
	if got := j.read("out.csv"); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	j.outcome(0, "run", "all.star", "url="+j.sim.URL(), "filter=emailAddress=active@acme.example", "--yes")
}
