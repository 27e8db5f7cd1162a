package main_test

import (
	"crypto/sha512"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/rekey-host/rekey/plugins/broadworks/broadworkstest"
	"github.com/rekey-host/rekey/plugins/kendox/kendoxtest"
	"github.com/rekey-host/rekey/plugins/ldap/ldaptest"
	"github.com/rekey-host/rekey/plugins/openiam/openiamtest"
	"github.com/rekey-host/rekey/plugins/smartcloud/smartcloudtest"
)

// An empty value is a variable of the shell that was never set. It must not
// mean everybody, no limit, no sealing or no directory.
func TestShippedScriptsTakeNoEmptyValueForEverything(t *testing.T) {
	p := newPlace(t, "CLOUD_PASSWORD=x", "ODIN_PASSWORD=x", "OPENIAM_PASSWORD=x", "KENDOX_PASSWORD=x", "LDAP_BIND_PASSWORD=x")
	p.write("list", "login;temporary\n")
	cloud := []string{"@rekey/smartcloud_initialise.star", "url=http://127.0.0.1:1", "admin=a@b", "accounts=list", "header=true"}
	odin := []string{"@rekey/broadworks_bulk_reset.star", "url=http://127.0.0.1:1/api/v2", "user=a", "provider=Acme", "group=Sales", "kind=SIP"}
	iam := []string{"@rekey/openiam_sync.star", "url=http://127.0.0.1:1/P", "accounts=list"}
	reset := []string{"@rekey/openiam_reset.star", "url=http://127.0.0.1:1/P", "accounts=list"}
	ldap := []string{"@rekey/rotate.star", "url=ldap://127.0.0.1:1", "base_dn=dc=x", "bind_dn=cn=x"}
	fleet := []string{"@rekey/fleet_root.star", "key_file=key", "known_hosts=known"}
	service := []string{"@rekey/service_account.star", "url=postgres://127.0.0.1:1", "user=a", "env_file=env", "conf_file=conf"}
	for _, test := range []struct {
		script []string
		param  string
		want   string
	}{
		{odin, "users", "users= is empty: that is nobody; name users, or say users=all for the whole group"},
		{odin, "file", "file"},
		{odin, "rate", "rate= is empty"},
		{odin, "encrypt_to", "encrypt_to= is empty"},
		{odin, "", "nobody is named: say users=, file=, or users=all"},
		{odin, "users=all,ann", "users=all is the whole group; name nobody beside it"},
		{cloud, "rate", "rate= is empty"},
		{cloud, "budget", "budget= is empty"},
		{cloud, "encrypt_to", "encrypt_to= is empty"},
		{iam, "systems", "systems= is empty"},
		{iam, "ldap_url", "ldap_url= is empty"},
		{iam, "user", "user= is empty"},
		{reset, "user", "user= is empty"},
		{reset, "encrypt_to", "encrypt_to= is empty"},
		{ldap, "filter", "filter= is empty"},
		{fleet, "jump", "jump= is empty"},
		{service, "env_reload", "env_reload= is empty"},
		{service, "conf_reload", "conf_reload= is empty"},
	} {
		args := append([]string{"run"}, test.script...)
		switch {
		case strings.Contains(test.param, "="):
			args = append(args, test.param)
		case test.param != "":
			args = append(args, test.param+"=")
		}
		if r := p.must(2, append(args, "--yes")...); !strings.Contains(r.stderr, test.want) {
			t.Errorf("%s with %q: the operator reads\n%s\nwant %s", test.script[0], test.param, r.stderr, test.want)
		}
	}
}

func TestBroadworksNobodyIsNobody(t *testing.T) {
	j := newOdinJob(t, 5, broadworkstest.Options{})
	for _, given := range [][]string{{"users="}, {"users=,"}, nil} {
		j.must(2, j.run(append(given, "kind=WEB")...)...)
	}
	j.write("users.txt", "ann@acme.example;S3cret-one\n")
	r := j.must(2, j.run("kind=WEB", "file=users.txt")...)
	if !strings.Contains(r.stderr, "more than a user id") {
		t.Errorf("a line with more than a user id: the operator reads\n%s", r.stderr)
	}
	for op, n := range j.sim.Requests() {
		if strings.HasPrefix(op, "PUT /users") {
			t.Errorf("%d of %s", n, op)
		}
	}
}

// A column of passwords is read, or the script refuses the file: it never makes
// other values in their place.
func TestShippedScriptsPassOverNoColumnOfPasswords(t *testing.T) {
	cloud, iam, kendox := newCloudJob(t, 0, "ACTIVE", smartcloudtest.Options{}), newOpenIAMJob(t, 0, openiamtest.Options{}, nil), newKendoxJob(t, 0, kendoxtest.Options{})
	directory := ldaptest.Start(t, ldaptest.Options{Users: 1})
	p := newPlace(t, "CLOUD_PASSWORD="+cloudAdmin, "KENDOX_PASSWORD="+kendoxService, "LDAP_BIND_PASSWORD="+directory.Password)
	for _, test := range []struct {
		script, file string
		params       []string
	}{
		{"smartcloud_initialise.star", "login;temporary;%s\nann@x;t;v\n", []string{"header=true", "accounts=list", "url=" + cloud.sim.URL(), "admin=admin@acme.example"}},
		{"smartcloud_initialise.star", "emailAddress,action,password,%s\nann@x,Add,t,v\n", []string{"format=llis", "accounts=list", "url=" + cloud.sim.URL(), "admin=admin@acme.example"}},
		{"initialise.star", "login;temporary;%s\nann;t;v\n", []string{"accounts=list", "backend=memory"}},
		{"rotate.star", "login,%s\nann,v\n", []string{"users=list", "url=" + directory.URL, "base_dn=" + directory.BaseDN, "bind_dn=" + directory.BindDN}},
		{"kendox_set_hashed.star", "login;password;%s\nann;;v\n", []string{"accounts=list", kendox.url(), "user=rekey"}},
		{"openiam_sync.star", "identity;openiam;%s\nann;ann;v\n", []string{"accounts=list", iam.url()}},
		{"openiam_reset.star", "principal;%s\nann;v\n", []string{"accounts=list", iam.url()}},
	} {
		for _, column := range []string{"neues Passwort"} {
			p.write("list", fmt.Sprintf(test.file, column))
			args := append([]string{"plan", "@rekey/" + test.script}, test.params...)
			if r := p.must(2, args...); !strings.Contains(r.stderr, "column "+column+" looks like passwords") {
				t.Errorf("%s with a column %s: the operator reads\n%s", test.script, column, r.stderr)
			}
			p.must(0, append(args, "ignore="+column)...)
		}
		for _, column := range []string{"passwordExpires"} {
			p.write("list", fmt.Sprintf(test.file, column))
			p.must(0, append([]string{"plan", "@rekey/" + test.script}, test.params...)...)
		}
	}
}

// A name of a column says whether passwords are in it, or something about them.
func TestColumnsThatLookLikePasswords(t *testing.T) {
	p := newPlace(t)
	p.write("names.star", `"""Which names look like passwords."""
load("@rekey//lib/given.star", "secretive")
like = ["password", "Password", "NewPassword", "new_password", "userPassword", "passwordHashed", "neues Passwort", "Initial-Kennwort", "user_pwd", "PIN", "temporary", "final", "Secret", "hash"]
unlike = ["login", "team", "passport", "initials", "secretary", "spinner", "passwordExpires", "PasswordLastSet", "pwdChangedTime", "Password policy", "password_age", "finalist"]
wrong = [n for n in like if not secretive(n)] + [n for n in unlike if secretive(n)]
if_any = fail("wrong: %s" % wrong) if wrong else None
workflow(users = rows(["a"], key = "a"), backend = backend("memory"))
`)
	p.must(0, "check", "names.star")
}

// What the file wants is what the account has: in a third column, with or
// without a header line, and in IBM's own change files.
func TestSmartcloudScriptTakesFinalPasswords(t *testing.T) {
	const wanted = "Wanted-final-1!"
	for _, test := range []struct {
		name, file string
		params     []string
		want       string // "": generated
	}{
		{"third column", "ann@acme.example;temp-onE1;" + wanted + "\n", nil, wanted},
		{"third column, empty", "ann@acme.example;temp-onE1;\n", nil, ""},
		{"third column, no temporary", "ann@acme.example;;" + wanted + "\n", nil, wanted},
		{"two columns", "ann@acme.example;temp-onE1\n", nil, ""},
		{"named final", "login;temporary;final\nann@acme.example;temp-onE1;" + wanted + "\n", []string{"header=true"}, wanted},
		{"named password, in another order", "password;login;temporary;team\n" + wanted + ";ann@acme.example;temp-onE1;x\n", []string{"header=true"}, wanted},
		{"named new, one-time", "login;temporary;new\nann@acme.example;x;" + wanted + "\n", []string{"header=true", "method=one-time"}, wanted},
		{"not there", "login;temporary\nann@acme.example;temp-onE1\n", []string{"header=true"}, ""},
		{"a change file", "emailAddress,action,subscriptionId,givenName,familyName,password,altEmailAddress\r\nann@acme.example,Add,69051,\"A, nn\",B,temp-onE1,a@b\r\n", []string{"format=llis"}, ""},
		{"a change file in another case, with final ones", "EMAILADDRESS,Action,Password,Final\nann@acme.example,Modify,temp-onE1," + wanted + "\n", []string{"format=llis"}, wanted},
		{"a change file without passwords", "emailAddress,action\nann@acme.example,Add\n", []string{"format=llis"}, ""},
		{"another delimiter", "ann@acme.example\ttemp-onE1\t" + wanted + "\n", []string{"delimiter=\t"}, wanted},
		{"another encoding", "login;temporary;final;name\nann@acme.example;temp-onE1;" + wanted + ";\xe9mile\n", []string{"header=true", "encoding=windows-1252"}, wanted},
	} {
		sim := smartcloudtest.New(smartcloudtest.Options{AdminPassword: cloudAdmin}, smartcloudtest.Account{Login: "ann@acme.example", Password: "temp-onE1", OneTime: true, State: "PENDING"})
		if err := sim.Listen("127.0.0.1:0"); err != nil {
			t.Fatal(err)
		}
		p := newPlace(t, "CLOUD_PASSWORD="+cloudAdmin)
		p.write("accounts.txt", test.file)
		p.must(0, append([]string{"run", "@rekey/smartcloud_initialise.star", "--yes", "url=" + sim.URL(), "admin=admin@acme.example"}, test.params...)...)
		row := table(t, p.read("passwords.csv"))["ann@acme.example"]
		has, oneTime := sim.Password("ann@acme.example")
		if has != row["password"] || oneTime || row["status"] != "done" || test.want != "" && has != test.want || test.want == "" && (len(has) < 12 || has == wanted) {
			t.Errorf("%s: the list says %s and %s it, want it to and the wanted one", test.name, row["status"], map[bool]string{true: "has", false: "has not"}[has == row["password"]])
		}
		sim.Close()
	}
}

func TestSmartcloudScriptLeavesThoseWhomAChangeFileTakesAway(t *testing.T) {
	j := newCloudJob(t, 1, "PENDING", smartcloudtest.Options{})
	j.write("1234_hr_prv_7.csv", "emailAddress,action,password\n"+j.logins[0]+",Delete,"+temporary(j.logins[0])+"\n")
	if o := j.outcome(0, j.run("accounts=1234_hr_prv_7.csv")...); o.Counts["skipped"] != 1 {
		t.Errorf("got %v, want one who is skipped; the name of the file tells its form", o.Counts)
	}
	if j.sim.Requests()["changePassword"] != 0 {
		t.Error("the account that is to go was changed")
	}
}

func TestSmartcloudScriptTellsAChangeFileFromAList(t *testing.T) {
	j := newCloudJob(t, 1, "PENDING", smartcloudtest.Options{})
	for name, text := range map[string]string{"commas": "emailAddress,action,password\n", "semicolons": "emailAddress;action;password\n"} {
		j.write("accounts.txt", text)
		for _, more := range [][]string{nil, {"header=true"}, {"delimiter=,"}} {
			r := j.must(2, j.run(append(more, "accounts=accounts.txt")...)...)
			if want := `accounts.txt:1: is the header line of another kind of file: it has "emailAddress"; read a change file of IBM's integration server with format=llis`; !strings.Contains(r.stderr, want) || strings.Count(r.stderr, "accounts.txt:") != 1 {
				t.Errorf("%s %q: got %s", name, more, r.stderr)
			}
		}
	}
}

func TestKendoxScriptTakesHashes(t *testing.T) {
	j := newKendoxJob(t, 0, kendoxtest.Options{})
	sum := sha512.Sum512([]byte("Given-elsewhere-1"))
	hash := base64.StdEncoding.EncodeToString(sum[:])
	for _, login := range []string{"ann", "bob", "cyd"} {
		j.sim.Add(kendoxtest.User{Login: login}, "old")
	}
	j.write("users.csv", "login;password;hash\nann;;"+hash+"\nbob;Correct-Horse-7;\ncyd;;\n")
	j.must(0, j.run()...)
	report := j.report()
	for login, want := range map[string]string{"ann": "Given-elsewhere-1", "bob": "Correct-Horse-7", "cyd": report["cyd"][0]} {
		if !j.sim.Accepts(login, want) {
			t.Errorf("%s: the wanted password is not the one that logs on", login)
		}
	}
	if report["ann"][0] != "" || report["bob"][0] != "Correct-Horse-7" || len(report["cyd"][0]) < 12 {
		t.Errorf("the list has %d, %d, %d characters of a password; want none for a hash", len(report["ann"][0]), len(report["bob"][0]), len(report["cyd"][0]))
	}
	j.write("users.csv", "login;hash\nann;newTestPassword\n")
	calls := j.sim.Calls("SetUserPasswordHashed")
	r := j.must(2, j.run("--new")...)
	if !strings.Contains(r.stderr, `users.csv:2: column "hash": not a hash of the form sha512-base64, which is the Base64 of 64 bytes: 88 characters; it has 15`) ||
		strings.Contains(r.stderr, "newTestPassword") || j.sim.Calls("SetUserPasswordHashed") != calls {
		t.Errorf("what is no hash: the operator reads\n%s", r.stderr)
	}
	j.write("users.csv", "login;password;hash\nann;Correct-Horse-7;"+hash+"\n")
	if r := j.must(2, j.run("--new")...); !strings.Contains(r.stderr, "both a password and a hash") {
		t.Errorf("both: the operator reads\n%s", r.stderr)
	}
}

// Without LoginDataWebService the check finds out, not each user; without the
// look-up setPassword alone works.
func TestOpenIAMScriptWithoutTheLookUpService(t *testing.T) {
	j := newOpenIAMJob(t, 6, openiamtest.Options{NoCompanions: true, NoWSDL: true}, nil)
	args := []string{"run", "@rekey/openiam_sync.star", "accounts=identities.csv", "out=out.json", j.url(), "systems=crm:110,erp:120", "--yes"}
	r := j.must(2, args...)
	if !strings.Contains(r.stderr, "LoginDataWebService") || !strings.Contains(r.stderr, "lookup=false") || j.sim.Calls("setPassword") != 0 {
		t.Errorf("after %d sets the operator reads\n%s", j.sim.Calls("setPassword"), r.stderr)
	}
	j.must(0, append(args, "lookup=false")...)
	j.settled()
}

func TestOpenIAMScriptTakesGivenPasswords(t *testing.T) {
	j := newOpenIAMJob(t, 0, openiamtest.Options{}, nil)
	j.sim.Add(openiamtest.User{ID: "1"}, openiamtest.Key{Principal: "ann"}, "Old-pass-1")
	j.sim.Add(openiamtest.User{ID: "2"}, openiamtest.Key{Principal: "bob"}, "Old-pass-1")
	j.write("identities.csv", "identity;openiam;password\n1;ann;Given-pw-1\n2;bob;\n")
	j.must(0, "run", "@rekey/openiam_sync.star", "accounts=identities.csv", j.url(), "--yes")
	for principal, want := range map[string]bool{"ann": true, "bob": false} {
		if i, _ := j.sim.Identity(openiamtest.Key{Principal: principal}); (i.Password == "Given-pw-1") != want || i.Password == "Old-pass-1" {
			t.Errorf("%s has the given password: %t, want %t", principal, !want, want)
		}
	}
}

// The documentation's two operations, with a password and without: a blank
// reset is the server's own value, a blank set is one that rekey makes.
func TestOpenIAMResetScript(t *testing.T) {
	for _, test := range []struct {
		method  string
		options openiamtest.Options
		told    bool // of a blank value
	}{
		{"reset", openiamtest.Options{}, false},
		{"reset", openiamtest.Options{Strict: true, ReturnResets: true}, true},
		{"set", openiamtest.Options{Strict: true}, true},
		{"set", openiamtest.Options{}.Documented(), true},
	} {
		j := newOpenIAMJob(t, 0, test.options, nil)
		for _, principal := range []string{"ann", "bob"} {
			j.sim.Add(openiamtest.User{}, openiamtest.Key{Principal: principal}, "Old-pass-1")
		}
		j.write("identities.csv", "principal;password\nann;Given-pw-1\nbob;\n")
		j.must(0, "run", "@rekey/openiam_reset.star", "accounts=identities.csv", "method="+test.method, "policy_principal=ann", j.url(), "--yes")
		report := table(t, j.read("openiam_reset.csv"))
		ann, _ := j.sim.Identity(openiamtest.Key{Principal: "ann"})
		bob, _ := j.sim.Identity(openiamtest.Key{Principal: "bob"})
		must := test.method == "reset"
		if ann.Password != "Given-pw-1" || report["ann"]["password"] != "Given-pw-1" || ann.MustChange != must || bob.MustChange != must {
			t.Errorf("%s, %+v: the given value is not there, or the owner has to change it: %t", test.method, test.options, ann.MustChange)
		}
		if bob.Password == "Old-pass-1" || test.told != (report["bob"]["password"] == bob.Password) || !test.told && report["bob"]["password"] != "" {
			t.Errorf("%s, %+v: of a blank value the list has %d characters", test.method, test.options, len(report["bob"]["password"]))
		}
		if calls := j.sim.Calls(test.method + "Password"); calls != 2 {
			t.Errorf("%sPassword was called %d times, want 2", test.method, calls)
		}
	}
}

func TestRotateTakesGivenPasswords(t *testing.T) {
	directory := ldaptest.Start(t, ldaptest.Options{Users: 2})
	p := newPlace(t, "LDAP_BIND_PASSWORD="+directory.Password)
	p.write("users.csv", "login;password\nuser0;Given-pw-1\nuser1;\n")
	p.must(0, "run", "@rekey/rotate.star", "delimiter=;", "url="+directory.URL, "base_dn="+directory.BaseDN, "bind_dn="+directory.BindDN, "--yes")
	report := table(t, p.read("passwords.csv"))
	for n, want := range []string{"Given-pw-1", report["user1"]["password"]} {
		if err := directory.Bind(directory.UserDN(n), want); err != nil {
			t.Errorf("user%d: %v", n, err)
		}
	}
}

// A file on standard output is alone there, so that a program can read it.
func TestShippedReportsGoToStandardOutput(t *testing.T) {
	j := newOdinJob(t, 3, broadworkstest.Options{})
	r := j.must(0, j.run("kind=SIP", "file=users.txt", "out=-")...)
	var rows []map[string]string
	if err := json.Unmarshal([]byte(r.stdout), &rows); err != nil || len(rows) != 3 || rows[0]["newPassword"] == "" {
		t.Errorf("standard output is not the report alone: %v", err)
	}
	if _, err := os.Stat(j.dir + "/-"); err == nil {
		t.Error("there is a file of the name -")
	}
}
