package main_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rekey-host/rekey/plugins/postgres/postgrestest"
)

// TestServiceAccountScript rotates roles of a real PostgreSQL with their two consumers:
// what the programs read logs in afterwards, and the old password does not. Where a
// consumer holds another value than the list says, all have the current one.
func TestServiceAccountScript(t *testing.T) {
	server := postgrestest.Start(t, postgrestest.Options{})
	t.Cleanup(server.Remove)
	if _, err := server.SQL(t.Context(), "CREATE ROLE app LOGIN PASSWORD 'Current-1'", "CREATE ROLE jobs LOGIN PASSWORD 'Current-2'", "CREATE ROLE odd LOGIN PASSWORD 'Current-3'", "CREATE ROLE late LOGIN PASSWORD 'Current-4'"); err != nil {
		t.Fatal(err)
	}
	p := newPlace(t, "DB_PASSWORD="+server.Password)
	if err := os.Chmod(p.dir, 0o755); err != nil {
		t.Fatal(err)
	}
	const conf = "db:\n  app: Current-1 # of the app\n  odd: 'something else'\n"
	p.write("accounts.csv", "role,current,env,conf\napp,Current-1,APP_PW,/db/app\njobs,Current-2,JOBS_PW,\nodd,Current-3,ODD_PW,/db/odd\nlate,Current-4,ODD_PW,\n")
	p.write("env", "APP_PW=Current-1\nJOBS_PW='Current-2'\nODD_PW=Current-3\n")
	p.write("conf", conf)
	reload := filepath.Join(p.dir, "reload")
	if err := os.WriteFile(reload, []byte("#!/bin/sh\ncp "+p.dir+"/env "+p.dir+"/told\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	read := p.read("accounts.csv")
	p.write("accounts.csv", "role,current,env,conf,new password\napp,Current-1,APP_PW,/db/app,x\n")
	if r := p.must(2, "plan", "@rekey/service_account.star", "url="+server.URL, "user="+server.User, "insecure=true", "env_file=env", "conf_file=conf"); !strings.Contains(r.stderr, "column new password looks like passwords") {
		t.Errorf("a column of passwords that is passed over: the operator reads\n%s", r.stderr)
	}
	p.write("accounts.csv", read)
	p.must(4, "run", "@rekey/service_account.star", "url="+server.URL, "user="+server.User, "insecure=true", "env_file=env", "env_reload="+reload, "conf_file=conf", "--yes")
	list := table(t, p.read("passwords.csv"))
	app, jobs := list["app"]["password"], list["jobs"]["password"]
	for role, want := range map[string]string{"app": "done", "jobs": "done", "odd": "failed", "late": "pending"} {
		if got := list[role]["status"]; got != want {
			t.Errorf("%s is %s, want %s", role, got, want)
		}
	}
	want := "APP_PW=" + app + "\nJOBS_PW='" + jobs + "'\nODD_PW=Current-3\n"
	if p.read("env") != want || p.read("told") != want {
		t.Error("the first program reads something else than the list says")
	}
	if p.read("conf") != strings.Replace(conf, "Current-1", "'"+app+"'", 1) {
		t.Error("the second program reads something else than the list says")
	}
	if in := server.Logons(t, []postgrestest.Logon{{Role: "app", Value: app}, {Role: "jobs", Value: jobs}, {Role: "odd", Value: "Current-3"}, {Role: "late", Value: "Current-4"}}); len(in) != 4 {
		t.Errorf("only %v log in with what their programs read", in)
	}
	for role, value := range map[string]string{"app": "Current-1", "jobs": "Current-2"} {
		if in := server.Logons(t, []postgrestest.Logon{{Role: role, Value: value}}); len(in) != 0 {
			t.Errorf("the old password of %s still works", role)
		}
	}
	aProgramRefuses(t, p, server, reload)
}

// aProgramRefuses, after the database and another one have the new password: all have
// the current one again.
func aProgramRefuses(t *testing.T, p *place, server *postgrestest.Server, reload string) {
	t.Helper()
	p.write("accounts.csv", "role,current,env,conf\nlate,Current-4,LATE_PW,/db/late\n")
	p.write("env", "LATE_PW=Current-4\n")
	p.write("late", "db:\n  late: Current-4\n")
	script := "#!/bin/sh\ncp " + p.dir + "/env " + p.dir + "/told\necho 'db: {late: another}' > " + p.dir + "/late\n"
	if err := os.WriteFile(reload, []byte(script), 0o755); err != nil { // meanwhile somebody changes what the second one reads
		t.Fatal(err)
	}
	p.must(3, "run", "@rekey/service_account.star", "url="+server.URL, "user="+server.User, "insecure=true", "env_file=env", "env_reload="+reload, "conf_file=late", "--yes", "--overwrite")
	if p.read("env") != "LATE_PW=Current-4\n" || p.read("told") != p.read("env") {
		t.Error("a program does not read the current password")
	}
	if in := server.Logons(t, []postgrestest.Logon{{Role: "late", Value: "Current-4"}}); len(in) != 1 {
		t.Error("the database has another password than the programs")
	}
}
