package main_test

import (
	"encoding/csv"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rekey-host/rekey/plugins/broadworks/broadworkstest"
	"github.com/rekey-host/rekey/sdk/rest/resttest"
)

var odinParams = []string{"url=http://127.0.0.1:1/api/v2", "user=admin", "provider=Acme", "group=Sales"}

func TestBroadworksScriptTakesUsersFromAListOrAFile(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "users.txt"), []byte("zoe@acme.example\nann@acme.example\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, given := range []string{"users=zoe@acme.example, ann@acme.example", "file=users.txt"} {
		w, err := loadShipped(t, dir, "broadworks_bulk_reset.star", append(odinParams, "kind=SIP", given)...)
		if err != nil {
			t.Fatal(err)
		}
		if got := keysOf(t, w); !slices.Equal(got, []string{"zoe@acme.example", "ann@acme.example"}) {
			t.Errorf("%s: users %q, want the order of the input", given, got)
		}
	}
	for _, all := range []string{"users=all", "users=ALL"} {
		w, err := loadShipped(t, dir, "broadworks_bulk_reset.star", append(odinParams, "kind=WEB", all)...)
		if err != nil || w.Users.Name() != "accounts of broadworks" {
			t.Errorf("%s: got %v, want the whole group", all, err)
		}
	}
	if _, err := loadShipped(t, dir, "broadworks_bulk_reset.star", append(odinParams, "kind=SIP", "users=a", "file=users.txt")...); err == nil || !strings.Contains(err.Error(), "leave one of them out") {
		t.Errorf("both: got %v", err)
	}
}

func TestBroadworksScriptKnowsItsKindsInAnyCase(t *testing.T) {
	for _, kind := range []string{"SIP", "sip", "VM", "vm", "Vm", "voicemail", "Voicemail", "WEB", "Web"} {
		if _, err := loadShipped(t, t.TempDir(), "broadworks_bulk_reset.star", append(odinParams, "users=all", "kind="+kind)...); err != nil {
			t.Errorf("%s: %v", kind, err)
		}
	}
	if w, err := loadShipped(t, t.TempDir(), "broadworks_bulk_reset.star", append(odinParams, "users=all", "kind=vm", "rate=300/m")...); err != nil || w.Backends[0].Rate != 5 {
		t.Errorf("rate=300/m: %v", err)
	}
	_, err := loadShipped(t, t.TempDir(), "broadworks_bulk_reset.star", append(odinParams, "kind=FAX")...)
	for _, name := range []string{"sip", "voicemail", "web"} {
		if err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("FAX: got %v, want the three kinds", err)
		}
	}
}

const odinLogin = "c\"a\\n%y é-0din"

// odinJob is a simulated Odin, a place to run in, and the users.
type odinJob struct {
	*place
	sim *broadworkstest.Simulator
	ids []string
}

func newOdinJob(t *testing.T, n int, o broadworkstest.Options) *odinJob {
	t.Helper()
	o.Password = odinLogin
	j := &odinJob{place: newPlace(t, "ODIN_PASSWORD="+odinLogin), sim: broadworkstest.New(o)}
	for k := range n {
		id := fmt.Sprintf("user%04d@acme.example", k)
		switch k % 100 {
		case 6:
			id = fmt.Sprintf(`o'br"ien<x>&y%%2f.%d@acme.example`, k)
		case 7:
			id = fmt.Sprintf("zoë+漢字.%d@acme.example", k)
		}
		j.ids = append(j.ids, id)
		j.sim.Add(broadworkstest.User{ID: id, Extension: fmt.Sprint(1000 + k)})
	}
	slices.Reverse(j.ids) // an order that is not the system's
	var file strings.Builder
	w := csv.NewWriter(&file)
	for _, id := range j.ids {
		_ = w.Write([]string{id})
	}
	w.Flush()
	j.write("users.txt", file.String())
	if err := j.sim.Listen("127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(j.sim.Close)
	return j
}

// run are the arguments of the job's run.
func (j *odinJob) run(more ...string) []string {
	j.t.Helper()
	script, err := filepath.Abs("../../scripts/broadworks_bulk_reset.star")
	if err != nil {
		j.t.Fatal(err)
	}
	args := []string{"run", script, "url=" + j.sim.URL(), "user=admin", "provider=Acme", "group=Sales"}
	return append(append(args, more...), "--yes")
}

// settled checks that the report is exactly the job's, in the order of the
// input, with the one value that each user got; null for those in failed.
func (j *odinJob) settled(kind string, failed ...string) {
	j.t.Helper()
	field := "newPassword"
	if kind == "voicemail" {
		field = "newPasscode"
	}
	var rows []map[string]*string
	text := j.read("passwords.json")
	decoder := json.NewDecoder(strings.NewReader(text))
	if err := decoder.Decode(&rows); err != nil || decoder.More() || len(rows) != len(j.ids) {
		j.t.Fatalf("the report has %d rows, want %d: %v", len(rows), len(j.ids), err)
	}
	for k, row := range rows {
		id, value := j.ids[k], row[field]
		if len(row) != 2 || row["userId"] == nil || *row["userId"] != id {
			j.t.Fatalf("row %d: %v, want userId %q and %s", k, row, id, field)
		}
		if slices.Contains(failed, id) != (value == nil) {
			j.t.Errorf("%s: has a value %v", id, value != nil)
		}
		for _, got := range j.sim.Values(id, kind) {
			if value == nil || got != *value {
				j.t.Errorf("%s took a value that is not the report's", id)
			}
		}
		if value != nil && j.sim.Value(id, kind) != *value {
			j.t.Errorf("%s does not have the report's value", id)
		}
	}
}

func TestBroadworksUsersGetNewValuesOfEachKind(t *testing.T) {
	for given, kind := range map[string]string{"SIP": "sip", "vm": "voicemail", "Web": "web"} {
		t.Run(given, func(t *testing.T) {
			t.Parallel()
			j := newOdinJob(t, 2000, broadworkstest.Options{})
			if o := j.outcome(0, j.run("kind="+given, "file=users.txt")...); o.Counts["done"] != 2000 || o.Counts["total"] != 2000 {
				t.Fatalf("got %+v", o)
			}
			j.settled(kind)
			j.must(0, j.run("kind="+given, "file=users.txt", "source=rekey")...)
		})
	}
}

// The rules of web passwords forbid earlier ones, so that a value which is sent
// again is refused: a logon settles it.
func TestBroadworksUsersAreWhereKillsFindThem(t *testing.T) {
	t.Parallel()
	rules := broadworkstest.DefaultRules()
	rules.GroupWeb.DisallowPreviousPasswords, rules.GroupWeb.NumberOfPreviousPasswords = true, 3
	rules.SystemSIP.DisallowOldPassword = true
	for kind, ops := range map[string][2]string{
		"sip": {"PUT /users/authentication", "GET /sip-password/generate"},
		"web": {"PUT /users/passwords", "GET /password/generate"},
	} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			j := newOdinJob(t, 2000, broadworkstest.Options{TokenLife: 2 * time.Second, Rules: &rules})
			host := newVictim(j.command(j.run("kind="+kind, "file=users.txt")...))
			kill := func(http.ResponseWriter, *http.Request) { killPlugin(t, host.started(), "broadworks") }
			first := j.sim.Faults.Add(resttest.Fault{Op: ops[0], Skip: 300, Times: 1, Effect: true, Answer: kill})
			second := j.sim.Faults.Add(resttest.Fault{Op: ops[1], Skip: 33, Times: 1, Answer: kill})
			j.sim.Faults.Add(resttest.Fault{Op: ops[0], Skip: 1400, Times: 1, Effect: true, Answer: func(http.ResponseWriter, *http.Request) { _ = host.started().Process.Kill() }})
			if out, err := host.run(); err == nil || host.cmd.ProcessState.ExitCode() != -1 || first()+second() != 2 {
				t.Fatalf("the host was not killed, or the plugin not twice: %v\n%s", err, out)
			}
			if o := j.outcome(0, "resume", "last", "--yes"); o.Counts["done"] != 2000 {
				t.Fatalf("after resume: %+v", o)
			}
			j.settled(kind)
		})
	}
}

func TestBroadworksWholeGroupAndAList(t *testing.T) {
	j := newOdinJob(t, 250, broadworkstest.Options{Paged: 40})
	slices.Reverse(j.ids)
	j.outcome(0, j.run("kind=WEB", "users=all")...)
	j.settled("web")
	j.ids = []string{"user0200@acme.example", "user0003@acme.example", "user0100@acme.example"}
	j.outcome(0, j.run("kind=VM", "users="+strings.Join(j.ids, ", "))...)
	j.settled("voicemail")
	if j.sim.Value("user0001@acme.example", "voicemail") != "" {
		t.Error("a user who is not in the list has a new passcode")
	}
}

func TestBroadworksAnotherKindIsRefusedBeforeAnythingIsSent(t *testing.T) {
	j := newOdinJob(t, 3, broadworkstest.Options{})
	r := j.must(2, j.run("kind=FAX", "file=users.txt")...)
	if !strings.Contains(r.stderr, `"FAX" is none of sip, voicemail, web`) {
		t.Errorf("the operator reads:\n%s", r.stderr)
	}
	j.write("fax.star", `
odin = backend("broadworks", url = param.string("url"), user = "admin", password = secret.env("ODIN_PASSWORD"), provider = "Acme", group = "Sales")

def rotate(user, step):
    step.set(odin, user.login, step.generate(targets = []), kind = "fax")

workflow(users = csv("users.txt", key = "login", columns = ["login"]), rotate = rotate)
`)
	r = j.must(2, "run", "fax.star", "url="+j.sim.URL(), "--yes")
	_, has, found := strings.Cut(r.stderr, `kind "fax"; it has`)
	for _, kind := range []string{"sip", "voicemail", "web"} {
		if !found || !strings.Contains(has, kind) {
			t.Errorf("of a script of one's own the operator reads:\n%s", r.stderr)
		}
	}
	for op, n := range j.sim.Requests() {
		if strings.HasPrefix(op, "PUT /users") && n > 0 {
			t.Errorf("%d of %s were sent", n, op)
		}
	}
}

func TestBroadworksFailureLosesNoneBefore(t *testing.T) {
	j := newOdinJob(t, 200, broadworkstest.Options{})
	locked, bare := j.ids[120], "bare@acme.example"
	j.sim.Faults.Add(resttest.Fault{Op: "PUT /users/authentication", Account: locked, Answer: resttest.Say(400, "application/json", `{"error":"[Error 5202] Account is disabled.","status":400,"details":""}`)})
	j.sim.Add(broadworkstest.User{ID: bare, Services: []string{}})
	j.ids = append(j.ids[:150], append([]string{bare, "nobody@acme.example"}, j.ids[150:]...)...)
	j.write("users.txt", strings.Join(j.ids, "\n")) // a quote within a value is literal
	if o := j.outcome(3, j.run("kind=SIP", "file=users.txt")...); o.Counts["done"] != 199 || o.Counts["failed"] != 3 {
		t.Fatalf("got %+v", o)
	}
	j.settled("sip", locked, bare, "nobody@acme.example")
	r := j.must(0, "show", "last", "--status", "failed")
	for _, want := range []string{"NoCredential", "AccountNotFound", "AccountStatus", "Account is disabled.", `has not the service "Authentication"`} {
		if !strings.Contains(r.stdout, want) {
			t.Errorf("no %q in what the operator reads:\n%s", want, r.stdout)
		}
	}
}

func TestBroadworksSessionsThatEndMidwayLoseNobody(t *testing.T) {
	t.Parallel()
	j := newOdinJob(t, 300, broadworkstest.Options{})
	for _, skip := range []int{50, 150, 250} {
		j.sim.Faults.Add(resttest.Fault{Op: "PUT /users/passwords", Skip: skip, Times: 1, Answer: func(w http.ResponseWriter, r *http.Request) {
			j.sim.Expire()
			resttest.Say(401, "application/json", `{"error":"[Error 5401] The session has expired."}`)(w, r)
		}})
	}
	j.outcome(0, j.run("kind=web", "file=users.txt")...)
	j.settled("web")
	if n := j.sim.Requests()["POST /auth/token"]; n > 5 {
		t.Errorf("%d logins, want one and one for each of the three sessions that ended", n)
	}
}

func TestBroadworksLoginThatHasToChangeItsPasswordIsToldBeforehand(t *testing.T) {
	j := newOdinJob(t, 2, broadworkstest.Options{MustChange: true})
	r := j.must(2, j.run("kind=web", "file=users.txt")...)
	if !strings.Contains(r.stderr, "the password of admin has to be changed first: log in to the portal as that user, change it, and give rekey the new one") {
		t.Errorf("the operator reads:\n%s", r.stderr)
	}
}

// odinCodes is a script without patience.
const odinCodes = `
odin = backend("broadworks", url = param.string("url"), user = "admin", password = secret.env("ODIN_PASSWORD"), provider = "Acme", group = "Sales", attempts = 1, timeout = "5s")

def rotate(user, step):
    step.set(odin, user.login, step.generate(kind = "web"), kind = "web")

workflow(users = csv("users.txt", key = "login", columns = ["login"]), rotate = rotate, reports = [report.csv("out.csv")])
`

func TestBroadworksEveryCodeHasItsExitCodeAndItsLine(t *testing.T) {
	type answer struct {
		status int
		body   string
		line   string // of the report: status, code, message
	}
	page := "<!DOCTYPE html><html>Oops</html>"
	for exit, answers := range map[int][]answer{
		3: {
			{400, `{"error":"[Error 4962] Invalid password","status":400,"details":"Bad Request"}`, "failed PolicyViolation: Invalid password"},
			{400, `{"details":"Invalid password"}`, "failed PolicyViolation: Invalid password"},
			{422, `{"error":"The password was one of the previous 3."}`, "failed PolicyViolation: The password was one of the previous 3."},
			{400, `{"error":"[Error 5202] Account is disabled."}`, "failed AccountStatus: Account is disabled."},
			{400, `{"error":"[Error 5404] Unauthorized transaction."}`, "failed PermissionDenied: Unauthorized transaction."},
			{403, `{"error":"No."}`, "failed PermissionDenied: No."},
			{400, `{"error":"Service Authentication is not assigned to user"}`, "failed NoCredential: Service Authentication is not assigned to user"},
			{404, `{"error":"[Error 4008] User not found: x"}`, "failed AccountNotFound: User not found: x"},
			{409, `{"error":"Being moved."}`, "failed AccountStatus: Being moved."},
			{418, `{"error":"No tea."}`, "failed TargetError: No tea."},
			{401, `{"error":"[Error 5401] The session has expired."}`, "failed LoginExpired: The session has expired."},
			{429, "", "failed RateLimited: HTTP 429 Too Many Requests"},
			{503, `{"error":"Busy."}`, "failed TargetUnavailable: Busy."},
			{400, page, "failed TargetError: HTTP 400 Bad Request, as an HTML page: it may come from a proxy"},
			{400, `{"error":"x`, "failed InvalidOperation: HTTP 400 Bad Request"},
		},
		4: {
			{402, `{"error":"Change your password."}`, "InvalidConfig: the login's password has to be changed first: Change your password."},
		},
		5: {
			{200, page, "unknown TargetError: HTTP 200: the answer is not the interface's own: HTML"},
			{200, `{"error":"No."}`, "unknown TargetError: HTTP 200: the answer has an error in it"},
			{500, `{"error":"Oops.","status":500,"details":"x"}`, "unknown TargetError: Oops."},
			{502, "", "unknown TargetUnavailable: HTTP 502 Bad Gateway"},
			{504, "", "unknown Timeout: HTTP 504 Gateway Timeout"},
		},
	} {
		j := newOdinJob(t, 0, broadworkstest.Options{})
		j.write("codes.star", odinCodes)
		var ids []string
		for n, a := range answers {
			id := fmt.Sprintf("u%02d@acme.example", n)
			ids = append(ids, id)
			j.sim.Add(broadworkstest.User{ID: id})
			j.sim.Faults.Add(resttest.Fault{Op: "PUT /users/passwords", Account: id, Answer: resttest.Say(a.status, "", a.body)})
			j.sim.Faults.Add(resttest.Fault{Op: "POST /auth/token", Skip: 1, Answer: resttest.Say(401, "", "")}) // nobody verifies
		}
		j.write("users.txt", strings.Join(ids, "\n"))
		r := j.must(exit, "run", "codes.star", "url="+j.sim.URL(), "--yes")
		rows, err := csv.NewReader(strings.NewReader(j.read("out.csv"))).ReadAll()
		if err != nil || len(rows) != len(answers)+1 {
			t.Fatalf("%d rows, %v", len(rows), err)
		}
		for n, a := range answers {
			row := rows[n+1]
			got := row[1] + " " + row[2] + ": " + row[3]
			if exit == 4 {
				got = r.stderr
			}
			if !strings.Contains(got, a.line) {
				t.Errorf("%d %s\ngot  %s\nwant %s", a.status, a.body, got, a.line)
			}
			if j.sim.Value(row[0], "web") != "" {
				t.Errorf("%d: the password was changed", a.status)
			}
		}
	}
}

// Whatever the server echoes, and however much is logged, the login's password
// and the new ones stand in the report alone.
func TestBroadworksSecretsAreInTheReportOnly(t *testing.T) {
	j := newOdinJob(t, 40, broadworkstest.Options{})
	j.env = append(j.env, "REKEY_LOG=trace")
	j.sim.Faults.Add(resttest.Fault{Op: "PUT /users/passwords", Account: j.ids[20], Answer: func(w http.ResponseWriter, r *http.Request) {
		body, _ := json.Marshal(map[string]string{"error": "refused password for " + odinLogin + r.Header.Get("Authorization")})
		resttest.Say(400, "application/json", string(body))(w, r)
	}})
	r := j.must(3, j.run("kind=web", "file=users.txt")...)
	var rows []map[string]string
	if err := json.Unmarshal([]byte(j.read("passwords.json")), &rows); err != nil {
		t.Fatal(err)
	}
	all := []string{odinLogin, "Bearer "}
	for _, row := range rows {
		if row["newPassword"] != "" {
			all = append(all, row["newPassword"])
		}
	}
	if err := os.Remove(filepath.Join(j.dir, "passwords.json")); err != nil {
		t.Fatal(err)
	}
	leaks(t, r.stdout+r.stderr, j.dir, all...)
	if len(all) != 41 || !strings.Contains(r.stderr, "http exchange") {
		t.Errorf("%d values, traced %v: the test would see no leak", len(all)-2, strings.Contains(r.stderr, "http exchange"))
	}
}

func TestBroadworksFaultsAreToldApartAndSettled(t *testing.T) {
	t.Parallel()
	j := newOdinJob(t, 0, broadworkstest.Options{})
	users, file := httpFaults(), ""
	for _, u := range users {
		id := u.name + "@acme.example"
		file += id + "\n"
		j.sim.Add(broadworkstest.User{ID: id})
		if u.fault.Account = id; u.fault.Op == "" {
			u.fault.Op = "PUT /users/authentication"
		}
		j.sim.Faults.Add(u.fault)
	}
	j.write("users.txt", file)
	told(t, j.place, users, "url="+j.sim.URL(), &j.sim.Faults, `
odin = backend("broadworks", url = param.string("url"), user = "admin", password = secret.env("ODIN_PASSWORD"), provider = "Acme", group = "Sales", attempts = 1, timeout = "1s")

def rotate(user, step):
    step.set(odin, user.login, step.generate(kind = "sip", generator = odin), kind = "sip")

workflow(users = csv("users.txt", key = "login", columns = ["login"]), rotate = rotate, reports = [report.csv("out.csv", row = lambda r:
    {"login": r.user.login, "password": r.password, "status": r.status, "code": r.code, "message": r.message})])
`, func(id string) (string, []string) { return j.sim.Value(id, "sip"), j.sim.Values(id, "sip") })
}
