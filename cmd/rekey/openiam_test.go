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

	"github.com/rekey-host/rekey/plugins/ldap/ldaptest"
	"github.com/rekey-host/rekey/plugins/openiam/openiamtest"
	"github.com/rekey-host/rekey/sdk/rest/resttest"
)

// person is one identity of the job: its account by system, "" for none.
type person struct {
	id       string
	accounts map[string]string // openiam, crm, erp, directory
}

// openiamJob is a simulated OpenIAM with the managed systems crm (110) and erp
// (120), a directory if there is one, and a place to run in.
type openiamJob struct {
	*place
	sim       *openiamtest.Server
	guard     *guard
	directory *ldaptest.Server
	people    []person
}

// systemIDs are the managed systems by the names that the job gives them.
var systemIDs = map[string]string{"openiam": "0", "crm": "110", "erp": "120"}

func newOpenIAMJob(t *testing.T, people int, o openiamtest.Options, directory *ldaptest.Server) *openiamJob {
	t.Helper()
	j := &openiamJob{place: newPlace(t), sim: openiamtest.New(o), directory: directory}
	if directory != nil {
		j.env = append(j.env, "LDAP_BIND_PASSWORD="+directory.Password)
	}
	for n := range people {
		j.add(n)
	}
	j.guard = newGuard(t, j.sim, "/ProvisionControllerService")
	j.file()
	return j
}

// add makes person n: every third is on erp, and erp takes no part in OpenIAM's
// own synchronisation.
func (j *openiamJob) add(n int) {
	p := person{fmt.Sprintf("e%04d", n), map[string]string{"openiam": fmt.Sprintf("person%04d", n), "crm": fmt.Sprintf("P%04d", n)}}
	switch n % 100 {
	case 7:
		p.accounts["openiam"] = fmt.Sprintf(`o'br"<ien> & co%%2f %d`, n)
	case 8:
		p.accounts["crm"] = fmt.Sprintf("zoë 漢字 %d", n)
	}
	if n%3 == 0 {
		p.accounts["erp"] = fmt.Sprintf("E%04d", n)
	}
	if j.directory != nil {
		p.accounts["directory"] = fmt.Sprintf("user%d", n)
	}
	for name, system := range systemIDs {
		if account := p.accounts[name]; account != "" {
			j.sim.Add(openiamtest.User{ID: p.id, First: "First", Last: "Last"}, openiamtest.Key{Principal: account, System: system}, "Old-pass-1")
		}
	}
	j.people = append(j.people, p)
}

// file writes the input.
func (j *openiamJob) file() {
	var b strings.Builder
	w := csv.NewWriter(&b)
	w.Comma = ';'
	_ = w.Write([]string{"identity", "openiam", "crm", "erp", "directory"})
	for _, p := range j.people {
		_ = w.Write([]string{p.id, p.accounts["openiam"], p.accounts["crm"], p.accounts["erp"], p.accounts["directory"]})
	}
	w.Flush()
	j.write("identities.csv", b.String())
}

func (j *openiamJob) url() string {
	return "url=" + j.guard.URL + openiamtest.Services + "ProvisionControllerService"
}

// run are the arguments of the job's run; more are parameters.
func (j *openiamJob) run(more ...string) []string {
	script, err := filepath.Abs("../../scripts/openiam_sync.star")
	if err != nil {
		j.t.Fatal(err)
	}
	args := []string{"run", script, "accounts=identities.csv", "out=out.json", j.url(), "systems=crm:110,erp:120", "policy_principal=person0000"}
	if j.directory != nil {
		args = append(args, "ldap_url="+j.directory.Socket, "bind_dn="+j.directory.BindDN, "base_dn="+j.directory.BaseDN)
	}
	return append(append(args, more...), "--requestor", "anna", "--source-system", "hr-portal", "--yes")
}

// synced is one identity in the script's report.
type synced struct {
	Identity, Status, Code, Message string
	Systems                         map[string]struct {
		State    string
		Password *string
	}
}

func (j *openiamJob) report() map[string]synced {
	j.t.Helper()
	var rows []synced
	if err := json.Unmarshal([]byte(j.read("out.json")), &rows); err != nil {
		j.t.Fatal(err)
	}
	found := map[string]synced{}
	for _, r := range rows {
		found[r.Identity] = r
	}
	if len(found) != len(rows) || len(rows) != len(j.people) {
		j.t.Errorf("%d rows of %d identities, want %d", len(rows), len(found), len(j.people))
	}
	return found
}

// settled checks that each identity has one new value everywhere, which is the
// report's, and never had another new one.
func (j *openiamJob) settled() {
	j.t.Helper()
	report := j.report()
	for n, p := range j.people {
		row := report[p.id]
		if row.Status != "done" {
			j.t.Errorf("%s: %s %s %s", p.id, row.Status, row.Code, row.Message)
			continue
		}
		value := *row.Systems["openiam"].Password
		for name, system := range systemIDs {
			got := row.Systems[name]
			if p.accounts[name] == "" {
				if got.State != "none" || got.Password != nil {
					j.t.Errorf("%s on %s: %s, want none", p.id, name, got.State)
				}
				continue
			}
			i, _ := j.sim.Identity(openiamtest.Key{Principal: p.accounts[name], System: system})
			if got.State != "set" || *got.Password != value || i.Password != value || system != "0" && i.Passed != value {
				j.t.Errorf("%s on %s: %s, and not the one new value everywhere", p.id, name, got.State)
			}
			if slices.ContainsFunc(i.Values[1:], func(v string) bool { return v != value }) {
				j.t.Errorf("%s on %s took a value that is not the report's", p.id, name)
			}
		}
		if j.directory != nil && n%10 == 0 {
			if err := j.directory.Bind(j.directory.UserDN(n), value); err != nil {
				j.t.Errorf("%s: the directory: %v", p.id, err)
			}
		}
	}
}

func directoryOf(t *testing.T, people int) *ldaptest.Server {
	t.Helper()
	return ldaptest.Start(t, ldaptest.Options{Users: people})
}

func TestOpenIAMScriptGivesTwoThousandIdentitiesOneValueEverywhere(t *testing.T) {
	const people = 2000
	j := newOpenIAMJob(t, people, openiamtest.Options{}, directoryOf(t, people))
	j.sim.AddSystem(openiamtest.System{ID: "120", NoSync: true})
	j.sim.SetPolicy("GLOBAL", openiamtest.DefaultPolicy().With("UPPERCASE_CHARS", "2").With("NON_ALPHA_CHARS", "1").With("PWD_LOGIN", "true"))
	o := j.outcome(0, j.run()...)
	if o.Status != "finished" || o.Counts["done"] != people || o.Counts["total"] != people {
		t.Fatalf("got %+v", o)
	}
	j.settled()
	rows := j.sim.Audit()
	if len(rows) < 2*people {
		t.Errorf("%d audit rows, want at least %d", len(rows), 2*people)
	}
	for _, r := range rows {
		if r.RequestorID != "anna" || r.SourceSystem != "hr-portal" || r.Result != "SUCCESS" {
			t.Fatalf("audit row %+v", r)
		}
	}
}

func TestOpenIAMIdentitiesAreWhereKillsFindThem(t *testing.T) {
	const people = 2000
	j := newOpenIAMJob(t, people, openiamtest.Options{}, directoryOf(t, people))
	host := newVictim(j.command(j.run("prove=false")...))
	j.guard.at(func(n int, _ *http.Request) bool {
		switch n {
		case 700: // the answer has nobody to go to
			killPlugin(t, host.started(), "openiam")
		case 1500: // the request is lost, and so may be some of the directory's
			killPlugin(t, host.started(), "ldap")
			killPlugin(t, host.started(), "openiam")
			return false
		case 3000:
			_ = host.started().Process.Kill()
		}
		return true
	})
	if out, err := host.run(); err == nil || host.cmd.ProcessState.ExitCode() != -1 {
		t.Fatalf("the host was not killed: %v\n%s", err, out)
	}
	if o := j.outcome(0, "resume", "last", "--yes"); o.Counts["done"] != people {
		t.Fatalf("after resume: %+v", o)
	}
	j.settled()
	if j.sim.Calls("isPasswordEq") == 0 {
		t.Error("no answer was lost: the kills came when nothing was under way")
	}
	for _, r := range j.sim.Audit() {
		if r.RequestorID != "anna" || r.SourceSystem != "hr-portal" {
			t.Fatalf("audit row %+v: a resume forgot who asked", r)
		}
	}
}

func TestOpenIAMRefusalGivesTheDirectoryItsPasswordBack(t *testing.T) {
	j := newOpenIAMJob(t, 9, openiamtest.Options{}, directoryOf(t, 9))
	j.outcome(0, j.run()...)
	j.settled()
	first := j.report()
	// OpenIAM as shipped allows one setPassword until a reset or its nightly task.
	r := j.must(3, j.run()...)
	if !strings.Contains(r.stdout, "9 PolicyViolation: wait until their passwords may be changed again, or let who keeps the target's rules lift") || strings.Contains(r.stdout, "--accept-change") {
		t.Errorf("the operator reads\n%s", r.stdout)
	}
	for n, p := range j.people {
		row, before := j.report()[p.id], first[p.id].Systems["directory"].Password
		if row.Status != "failed" || row.Code != "PolicyViolation" || !strings.Contains(row.Message, "changed too often") {
			t.Errorf("%s: %s %s %s", p.id, row.Status, row.Code, row.Message)
		}
		if got := row.Systems["directory"]; got.State != "set" || *got.Password != *before {
			t.Errorf("%s: the directory is %s, want the password of the first run", p.id, got.State)
		}
		if got := row.Systems["openiam"]; got.State != "untouched" || got.Password != nil {
			t.Errorf("%s: OpenIAM is %s, want untouched", p.id, got.State)
		}
		if err := j.directory.Bind(j.directory.UserDN(n), *before); err != nil {
			t.Errorf("%s: %v", p.id, err)
		}
	}
	if !strings.Contains(r.stdout+r.stderr, "9 PolicyViolation") {
		t.Errorf("the operator reads:\n%s%s", r.stdout, r.stderr)
	}
	if o := j.outcome(0, j.run("must_change=true")...); o.Counts["done"] != 9 {
		t.Errorf("by resetPassword: %+v", o)
	}
}

func TestOpenIAMNothingChangesWhereASystemDoesNotKnowAnIdentity(t *testing.T) {
	j := newOpenIAMJob(t, 4, openiamtest.Options{}, directoryOf(t, 4))
	j.people[1].accounts["crm"] = "nobody"
	j.sim.Update(openiamtest.Key{Principal: "person0002"}, func(_ *openiamtest.Identity, u *openiamtest.User) { u.Status = openiamtest.Disabled })
	j.people = append(j.people, person{"e9999", map[string]string{}})
	j.file()
	j.must(3, j.run()...)
	report := j.report()
	for id, want := range map[string]string{
		"e0000": "done : ", "e0003": "done : ",
		"e0001": `failed AccountNotFound: no such identity: "nobody" in domain "USR_SEC_DOMAIN" on managed system 110`,
		"e0002": "failed ScriptFailed: nothing was changed: P0002 is disabled in crm",
		"e9999": "skipped : no account anywhere",
	} {
		if got := report[id].Status + " " + report[id].Code + ": " + report[id].Message; got != want {
			t.Errorf("%s: %s, want %s", id, got, want)
		}
	}
	for _, n := range []int{1, 2} {
		if err := j.directory.Bind(j.directory.UserDN(n), j.directory.UserPassword(n)); err != nil {
			t.Errorf("the directory's entry %d was changed: %v", n, err)
		}
	}
}

func TestOpenIAMScriptProvesWhatItCan(t *testing.T) {
	for _, test := range []struct {
		verify string
		asked  [2]int // of passwordAuth, of isPasswordEq
	}{{"equal", [2]int{0, 7}}, {"logon", [2]int{3, 0}}, {"none", [2]int{0, 0}}} {
		j := newOpenIAMJob(t, 3, openiamtest.Options{}, nil)
		j.outcome(0, j.run("verify="+test.verify)...)
		j.settled()
		if got := [2]int{j.sim.Calls("passwordAuth"), j.sim.Calls("isPasswordEq")}; got != test.asked {
			t.Errorf("verify=%s: %d logons and %d comparisons, want %d", test.verify, got[0], got[1], test.asked)
		}
	}
}

func TestOpenIAMValueThatIsNotAcceptedIsNotCalledDone(t *testing.T) {
	j := newOpenIAMJob(t, 1, openiamtest.Options{}, nil)
	j.sim.Faults.Add(resttest.Fault{Op: "isPasswordEq", Account: "person0000", Answer: j.sim.Failure("principalNotFound")})
	j.must(3, j.run()...)
	row := j.report()["e0000"]
	if row.Status != "partial" || row.Code != "NotAccepted" || !strings.HasPrefix(row.Message, "openiam: the target does not accept the value; not reverted, as the earlier value is not known: ") {
		t.Errorf("%s %s: %s", row.Status, row.Code, row.Message)
	}
	if got := row.Systems["openiam"]; got.State != "unknown" || got.Password != nil {
		t.Errorf("OpenIAM is %s, want unknown", got.State)
	}
}

func TestOpenIAMPoliciesThatContradictAreExplained(t *testing.T) {
	j := newOpenIAMJob(t, 1, openiamtest.Options{}, nil)
	r := j.must(2, j.run("length=14")...)
	if !strings.Contains(r.stderr, "14") || !strings.Contains(r.stderr, "12") || !strings.Contains(r.stderr, "openiam") {
		t.Errorf("the operator reads:\n%s", r.stderr)
	}
	if n := j.sim.Calls("setPassword"); n != 0 {
		t.Errorf("%d sets were sent", n)
	}
}

func TestOpenIAMTokenThatIsRefusedMidwayStopsTheRun(t *testing.T) {
	j := newOpenIAMJob(t, 60, openiamtest.Options{User: "svc", Password: "pw"}, nil)
	j.env = append(j.env, "OPENIAM_PASSWORD=pw")
	j.guard.at(func(n int, _ *http.Request) bool {
		if n == 40 {
			j.sim.SetToken("svc", "changed")
		}
		return true
	})
	r := j.must(4, j.run("user=svc")...)
	if !strings.Contains(r.stderr, "check user and password") || !strings.Contains(r.stdout+r.stderr, "rekey resume") {
		t.Errorf("the operator reads:\n%s%s", r.stdout, r.stderr)
	}
	j.sim.SetToken("svc", "pw")
	if o := j.outcome(0, "resume", "last", "--yes"); o.Counts["done"] != 60 {
		t.Fatalf("after resume: %+v", o)
	}
	j.settled()
}

// openiamMany is a script for identities whose answers go wrong.
const openiamMany = `
iam = backend("openiam", url = param.string("url"), attempts = 1, timeout = "400ms", concurrency = 1)

def rotate(user, step):
    step.set(iam, user.login, user.password or step.generate(), must_change = param_must or None)

workflow(
    users = csv("users.csv", delimiter = ";", key = "login", secrets = ["password"], optional = ["password"]),
    rotate = rotate,
    policy = policy(length = 12),
    reports = [report.jsonl("out.jsonl", row = lambda r: {"login": r.user.login, "password": r.password,
        "line": r.status + " " + r.code + ": " + r.message, "native": r.native})],
)
`

// many are the arguments for running it over the logins, each of which may
// have a password after a tab.
func (j *openiamJob) many(reset bool, logins ...string) []string {
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
	must := map[bool]string{false: "False", true: "True"}[reset]
	j.write("many.star", strings.Replace(openiamMany, "param_must", must, 1))
	return []string{"run", "many.star", j.url(), "--yes"}
}

type manyRow struct {
	Login, Line, Native string
	Password            *string
}

func (j *openiamJob) manyReport() map[string]manyRow {
	j.t.Helper()
	found := map[string]manyRow{}
	for line := range strings.Lines(j.read("out.jsonl")) {
		var r manyRow
		if err := json.Unmarshal([]byte(line), &r); err != nil {
			j.t.Fatal(err)
		}
		found[r.Login] = r
	}
	return found
}

// openiamCodes are the failure codes, in every spelling, with the operator's
// line and the exit code of a run in which nothing else goes wrong.
var openiamCodes = []struct {
	native string
	exit   int
	line   string
}{
	{"principalNotFound PRINCIPAL_NOT_FOUND", 3, "failed AccountNotFound: no such identity: "},
	{"objectNotFound OBJECT_NOT_FOUND", 3, "failed AccountNotFound: no such object: "},
	{"userNotFound USER_NOT_FOUND", 3, "failed UserNotFound: the identity exists, its user does not"},
	{`userStatus USER_STATUS USER_STATUS"`, 3, "failed AccountStatus: the user's status does not allow it: active"},
	{"DUPLICATE_PRINCIPAL", 3, "failed Ambiguous: several identities match"},
	{"failPasswordPolicy FAIL_PASSWORD_POLICY", 3, "failed PolicyViolation: the policy refuses the value and does not say why"},
	{"FAIL_LENGTH_RULE", 3, "failed PolicyViolation: too short or too long"},
	{"FAIL_ALPHA_CHAR_RULE", 3, "failed PolicyViolation: the number of letters (a to z, A to Z)"},
	{"FAIL_NUMERIC_CHAR_RULE", 3, "failed PolicyViolation: the number of digits"},
	{"FAIL_LOWER_CASE_RULE", 3, "failed PolicyViolation: the number of lower-case letters"},
	{"FAIL_UPPER_CASE_RULE", 3, "failed PolicyViolation: the number of upper-case letters"},
	{"FAIL_NON_APHANUMERIC_RULE FAIL_NON_ALPHANUMERIC_RULE", 3, "failed PolicyViolation: the number of symbols; only ! to / and : to @ count"},
	{"FAIL_HISTORY_RULE", 3, "failed PolicyViolation: used before"},
	{"FAIL_NEQ_NAME", 3, "failed PolicyViolation: contains the first or last name"},
	{"FAIL_NEQ_PRINCIPAL", 3, "failed PolicyViolation: contains the principal"},
	{"FAIL_NEQ_PASSWORD FAIL_NEQ_PASSWORD0", 3, "failed PolicyViolation: contains the word password"},
	{"FAIL_REJECT_CHARS_IN_PSWD", 3, "failed PolicyViolation: has a character that the policy forbids"},
	{"FAIL_PASSWORD_CHANGE_FREQUENCY", 3, "failed PolicyViolation: changed too often; resetPassword, which is set(must_change = True), or the server's nightly task sets the counter back"},
	{"FAIL_PASSWORD_CHANGE_ALLOW", 3, "failed ChangeNotAllowed: the policy allows no change"},
	{"PASSWORD_POLICY_NOT_FOUND", 3, "failed TargetError: the server has no password policy for this user"},
	{"FAIL_ENCRYPTION", 3, "failed TargetError: the server cannot encrypt the value; its key is missing or wrong"},
	{"FAIL_DECRYPTION", 3, "failed TargetError: the server cannot decrypt what it holds; its key is missing or wrong"},
	{"FAIL_CONNECTION", 5, "unknown TargetUnavailable: the server has no connection to the managed system"},
	{"FAIL_CONNECTOR", 5, "unknown TargetError: the managed system's connector failed"},
	{"COMMUNICATION_EXCEPTION", 5, "unknown TargetUnavailable: the connector lost the managed system"},
	{"SERVICE_UNAVAILABLE_EXCEPTION", 5, "unknown TargetUnavailable: the managed system is not available"},
	{"LIMIT_EXCEEDED_EXCEPTION", 5, "unknown TargetUnavailable: the managed system has reached a limit"},
	{"DIRECTORY_NAMING_EXCEPTION", 5, "unknown TargetError: the managed system's directory refused a name"},
	{"SCHEMA_VIOLATION_EXCEPTION", 5, "unknown TargetError: the managed system's schema refused it"},
	{"PERMISSION_EXCEPTION", 5, "unknown TargetError: the connector may not do this on the managed system"},
	{"AUTHENTICATION_EXCEPTION", 5, "unknown TargetError: the managed system refuses the connector's login"},
	{"IO_EXCEPTION", 5, "unknown TargetError: the connector's input or output failed"},
	{"FILE_EXCEPTION", 5, "unknown TargetError: the connector's file failed"},
	{"SQL_EXCEPTION", 5, "unknown TargetError: the connector's database failed"},
	{"WS_SERVICE_EXCEPTION", 5, "unknown TargetError: the connector's web service failed"},
	{"SYNCHRONIZATION_EXCEPTION", 5, "unknown TargetError: the synchronisation failed"},
	{"FAIL_SQL_ERROR FAIL_SQL_ERORR", 5, "unknown TargetError: the server's database failed"},
	{"FAIL_OTHER", 5, "unknown TargetError: it failed for a reason that the server does not tell"},
	{"classNotFound CLASS_NOT_FOUND", 5, "unknown TargetError: the server lacks a class"},
	{"supervisorlNotFound SUPERVISOR_NOT_FOUND", 5, "unknown TargetError: the user's supervisor does not exist"},
	{"groupIdNull GROUP_ID_NULL", 5, "unknown TargetError: a group id is missing"},
	{"groupIdInvalid GROUP_ID_INVALID", 5, "unknown TargetError: a group id is not valid"},
	{"roleIdNull ROLE_ID_NULL", 5, "unknown TargetError: a role id is missing"},
	{"roleIdInvalid ROLE_ID_INVALID", 5, "unknown TargetError: a role id is not valid"},
	{"objectIdInvalid OBJECT_ID_INVALID", 5, "unknown TargetError: an object id is not valid"},
	{"SOMETHING_NEW", 5, "unknown TargetError: a failure of a kind that this plugin does not know"},
}

func TestOpenIAMEveryCodeHasItsExitCodeAndItsLine(t *testing.T) {
	for _, reset := range []bool{false, true} {
		operation := map[bool]string{false: "setPassword", true: "resetPassword"}[reset]
		for _, exit := range []int{3, 5} {
			j := newOpenIAMJob(t, 0, openiamtest.Options{}, nil)
			var logins []string
			want := map[string]string{}
			for _, c := range openiamCodes {
				for _, native := range strings.Fields(c.native) {
					if c.exit != exit {
						continue
					}
					login := "has " + native
					logins, want[login] = append(logins, login), c.line
					j.sim.Add(openiamtest.User{}, openiamtest.Key{Principal: login}, "Old-pass-1")
					j.sim.Faults.Add(resttest.Fault{Op: operation, Account: login, Answer: j.sim.Failure(native)})
				}
			}
			j.must(exit, j.many(reset, logins...)...)
			report := j.manyReport()
			for login, line := range want {
				if got := report[login]; !strings.HasPrefix(got.Line, line) || "has "+got.Native != login {
					t.Errorf("%s of %s: %s (%s), want %s", login, operation, got.Line, got.Native, line)
				}
				if i, _ := j.sim.Identity(openiamtest.Key{Principal: login}); i.Password != "Old-pass-1" {
					t.Errorf("%s: the password was changed", login)
				}
			}
		}
	}
}

func TestOpenIAMWhatWouldRefuseEveryUserStopsTheRun(t *testing.T) {
	fault := func(code, text string) string {
		return `<soap:Envelope xmlns:soap="http://schemas.xmlsoap.org/soap/envelope/"><soap:Body><soap:Fault><faultcode>` + code +
			`</faultcode><faultstring>` + text + `</faultstring></soap:Fault></soap:Body></soap:Envelope>`
	}
	for _, test := range []struct {
		name, body string
		status     int
		exit       int
		line       string
	}{
		{"401", "", 401, 4, "the server wants a login of its own, or another one; check user and password"},
		{"404", "", 404, 4, "there is no such service; check the url"},
		{"token", fault("wsse:FailedAuthentication", "no"), 500, 4, "fault: no; check user and password"},
		{"no token wanted", fault("soap:MustUnderstand", "no"), 500, 4, "the server takes no UsernameToken: leave out user and password"},
		{"namespace", fault("soap:Client", "Message part {x}y was not recognized."), 500, 4, "check namespace and url"},
		{"schema", fault("soap:Client", "Unmarshalling Error: x"), 500, 3, `failed InvalidOperation: fault: Unmarshalling Error: x; a server with an older schema needs fields = "basic"`},
		{"server", fault("soap:Server", "java.lang.NullPointerException"), 500, 5, "unknown TargetError: fault: java.lang.NullPointerException"},
	} {
		j := newOpenIAMJob(t, 0, openiamtest.Options{}, nil)
		j.sim.Add(openiamtest.User{}, openiamtest.Key{Principal: "jdoe"}, "Old-pass-1")
		j.sim.Faults.Add(resttest.Fault{Op: "setPassword", Answer: resttest.Say(test.status, "text/xml; charset=UTF-8", test.body)})
		r := j.must(test.exit, j.many(false, "jdoe")...)
		told := r.stderr
		if test.exit != 4 {
			told = j.manyReport()["jdoe"].Line
		}
		if !strings.Contains(told, test.line) {
			t.Errorf("%s: the operator reads\n%s\nwant %s", test.name, told, test.line)
		}
	}
}

func TestOpenIAMFaultsAreToldApartAndMended(t *testing.T) {
	j := newOpenIAMJob(t, 0, openiamtest.Options{}, nil)
	want := map[string]string{`o'br"<ien> & co%2f`: "done ", "Zoë 漢字 🙂": "done "}
	var logins []string
	for n, w := range wrongAnswers {
		want[w.name] = w.want
		j.sim.Faults.Add(wrongAnswer(n, "setPassword", w.name))
	}
	for name, body := range map[string]string{
		"doctype": `<!DOCTYPE x [<!ENTITY e SYSTEM "file:///etc/passwd">]><Envelope xmlns="http://schemas.xmlsoap.org/soap/envelope/"><Body>&e;</Body></Envelope>`,
		"deep":    `<Envelope xmlns="http://schemas.xmlsoap.org/soap/envelope/">` + strings.Repeat("<a>", 100000),
	} {
		want[name] = map[string]string{"doctype": "unknown TargetError: the answer has a document type declaration", "deep": "unknown TargetError: the answer is nested too deeply"}[name]
		j.sim.Faults.Add(resttest.Fault{Op: "setPassword", Account: name, Answer: resttest.Say(200, "text/xml; charset=UTF-8", body)})
	}
	for login := range want {
		j.sim.Add(openiamtest.User{}, openiamtest.Key{Principal: login}, "Old-pass-1")
		logins = append(logins, login)
	}
	memory := j.guard.memory("openiam")
	j.outcome(5, j.many(false, logins...)...)
	report := j.manyReport()
	for login, line := range want {
		if got := report[login].Line; !strings.HasPrefix(got, line) {
			t.Errorf("%s: %s, want %s", login, got, line)
		}
	}
	if peak := memory(); peak == 0 || peak > 96<<10 {
		t.Errorf("the plugin took %d KiB at most, want little and a figure", peak)
	}
	j.sim.Faults.Clear()
	j.outcome(3, "resume", "last", "--yes")
	j.outcome(0, "retry", "last", "--yes")
	for login, row := range j.manyReport() {
		i, _ := j.sim.Identity(openiamtest.Key{Principal: login})
		if !strings.HasPrefix(row.Line, "done") || row.Password == nil || !slices.Equal(i.Values, []string{"Old-pass-1", *row.Password}) {
			t.Errorf("%s: %s, and it took %d values, want the report's, once", login, row.Line, len(i.Values)-1)
		}
	}
}

func TestOpenIAMSecretsAreInNoOutput(t *testing.T) {
	const canary, token = `c"a\n%y é-Canary-1`, `t"o\k%n é-Canary`
	j := newOpenIAMJob(t, 0, openiamtest.Options{User: "svc", Password: token}, nil)
	j.env = append(j.env, "REKEY_LOG=trace", "GODEBUG=http2debug=2", "OPENIAM_PASSWORD="+token)
	j.sim.SetPolicy("GLOBAL", openiamtest.DefaultPolicy().With("PWD_LEN", "8", "40"))
	escaped := strings.NewReplacer("&", "&amp;", "<", "&lt;").Replace(canary + " " + token)
	envelope := func(inside string) string {
		return `<soap:Envelope xmlns:soap="http://schemas.xmlsoap.org/soap/envelope/"><soap:Body>` + inside + `</soap:Body></soap:Envelope>`
	}
	var logins []string
	for login, f := range map[string]resttest.Fault{
		"fine":    {Delay: time.Millisecond},
		"fault":   {Answer: resttest.Say(500, "text/xml; charset=UTF-8", envelope(`<soap:Fault><faultcode>soap:Server</faultcode><faultstring>`+escaped+`</faultstring></soap:Fault>`))},
		"failure": {Answer: resttest.Say(200, "text/xml; charset=UTF-8", envelope(`<setPasswordResponse><return status="failure"><errorCode>`+escaped+`</errorCode><errorText>`+escaped+`</errorText></return></setPasswordResponse>`))},
		"page":    {Answer: resttest.Say(500, "text/xml; charset=UTF-8", "<html>"+canary+"</html>")},
		"moved":   {Answer: resttest.Say(302, "text/xml; charset=UTF-8", "", "Location", "/"+canary)},
		"cut":     {Effect: true, Answer: resttest.Reset()},
	} {
		f.Op, f.Account = "setPassword", login
		j.sim.Faults.Add(f)
		j.sim.Add(openiamtest.User{}, openiamtest.Key{Principal: login}, "Old-pass-1")
		logins = append(logins, login+"\t"+canary)
	}
	args := j.many(false, logins...)
	script := strings.Replace(j.read("many.star"), `"password": r.password,`, "", 1)
	j.write("many.star", strings.Replace(script, "attempts = 1,", `user = "svc", password = secret.env("OPENIAM_PASSWORD"), attempts = 1,`, 1))
	told := ""
	for _, args := range [][]string{args, {"show", "last", "--user", "fault"}, {"report", "last", "--format", "jsonl", "--out", "-"}, {"resume", "last", "--yes"}} {
		r := j.rekey(args...)
		told += r.stdout + r.stderr
	}
	if !strings.Contains(told, "http exchange") || !strings.Contains(told, "[redacted]") {
		t.Error("nothing was logged at the highest level, or nothing was echoed: the test would see no leak")
	}
	if err := os.Remove(filepath.Join(j.dir, "users.csv")); err != nil {
		t.Fatal(err)
	}
	if i, _ := j.sim.Identity(openiamtest.Key{Principal: "fine"}); i.Password != canary {
		t.Error("the canary did not arrive where it should")
	}
	leaks(t, told, j.dir, canary, token)
}

func TestOpenIAMPlanRefusesWhatCannotWork(t *testing.T) {
	for _, test := range []struct {
		name    string
		options openiamtest.Options
		params  []string
		want    []string
	}{
		{"another namespace", openiamtest.Options{Namespace: "http://www.openiam.org/service/connector"}, nil, []string{`namespace = "http://www.openiam.org/service/connector"`}},
		{"an older schema", openiamtest.Options{BasicFields: true}, nil, []string{"has no passThruAttributes", `fields = "basic"`}},
		{"a token is needed", openiamtest.Options{User: "svc", Password: "pw"}, nil, []string{"check user, password and url"}},
		{"no such principal", openiamtest.Options{}, []string{"policy_principal=nobody"}, []string{"policy_principal: no such identity", "name an account that exists"}},
		{"a column is missing", openiamtest.Options{}, []string{"systems=crn:110"}, []string{`the users have no column "crn"`, `did you mean "crm"`}},
	} {
		j := newOpenIAMJob(t, 1, test.options, nil)
		args := j.run(test.params...)
		if len(test.params) > 0 { // given once
			name, _, _ := strings.Cut(test.params[0], "=")
			n := slices.IndexFunc(args, func(a string) bool { return strings.HasPrefix(a, name+"=") })
			args = slices.Delete(args, n, n+1)
		}
		r := j.must(2, args...)
		for _, want := range test.want {
			if !strings.Contains(r.stderr, want) {
				t.Errorf("%s: the operator reads\n%s\nwant %s", test.name, r.stderr, want)
			}
		}
		if n := j.sim.Calls("setPassword"); n != 0 {
			t.Errorf("%s: %d sets were sent", test.name, n)
		}
	}
	j := newOpenIAMJob(t, 1, openiamtest.Options{}, nil)
	j.guard.Close()
	if r := j.must(2, j.run()...); !strings.Contains(r.stderr, "check url, and that OpenIAM runs") {
		t.Errorf("nobody there: the operator reads\n%s", r.stderr)
	}
}

func TestOpenIAMIsDocumented(t *testing.T) {
	text := newPlace(t).must(0, "backends", "openiam").stdout
	for _, want := range []string{"url ", "security_domain ", "managed_system ", "policy_principal ", "blank_reset ", "fields ", "namespace ", "verify ",
		"Inferred, not documented", "setPassword", "resetPassword", "unLockLogin", "find, policy, verify, check, reset, unlock", "PARTNERS:110/jdoe", "PASSWORD_CHANGE_ALLOWED"} {
		if !strings.Contains(text, want) {
			t.Errorf("rekey backends openiam does not say %q", want)
		}
	}
}

func TestOpenIAMResetReportsTheValueIfTheServerTellsIt(t *testing.T) {
	for _, tells := range []bool{true, false} {
		j := newOpenIAMJob(t, 3, openiamtest.Options{ReturnResets: tells}, nil)
		args := j.many(false, "person0000", "person0001", "person0002")
		j.write("many.star", strings.Replace(j.read("many.star"), "step.set(iam, user.login, user.password or step.generate(), must_change = False or None)", "step.reset(iam, user.login)", 1))
		j.must(0, args...)
		line := map[bool]string{true: "done : ", false: "done : the target picked a value and did not tell it"}[tells]
		for login, row := range j.manyReport() {
			i, _ := j.sim.Identity(openiamtest.Key{Principal: login})
			if tells != (row.Password != nil) || tells && *row.Password != i.Password || !i.MustChange || len(i.Values) != 2 || row.Line != line {
				t.Errorf("tells %t, %s: %s, with a password %t", tells, login, row.Line, row.Password != nil)
			}
		}
	}
}
