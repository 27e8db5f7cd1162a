package main_test

import (
	"encoding/csv"
	"os"
	"strings"
	"testing"

	"github.com/rekey-host/rekey/plugins/ldap/ldaptest"
)

// twoLabels sets each row's account: a mail address over a label of its own.
const twoLabels = `"""Logins, DNs and addresses of one directory."""

def directory(label, attribute):
    return backend("ldap", label = label, url = param.string(label), base_dn = "dc=rekey,dc=test", login_attribute = attribute,
        bind_dn = "cn=rotator,dc=rekey,dc=test", bind_password = secret.env("LDAP_BIND_PASSWORD"), insecure = True)

uid = directory("uid", "uid")
mail = directory("mail", "mail")

def rotate(user, step):
    step.set(mail if "@" in user.name else uid, user.name, step.generate())

workflow(users = rows(param.json("names"), key = "name"), rotate = rotate,
    reports = [report.csv("out.csv", row = lambda r: {"name": r.user.name, "status": r.status, "code": r.code, "password": r.password, "message": r.message})])
`

// TestNoTwoRowsShareAnAccount is A.1: of all rows that name one entry one is
// done, its password is the entry's, and the others say whose it is.
func TestNoTwoRowsShareAnAccount(t *testing.T) {
	const cy = "uid=cy,ou=people,dc=rekey,dc=test"
	s := ldaptest.Start(t, ldaptest.Options{Users: 1, LDIF: "dn: " + cy + "\nobjectClass: inetOrgPerson\nuid: cy\nuid: cyril\ncn: c\nsn: c\nmail: cy@rekey.test\nuserPassword: x\n\n"})
	for _, names := range []string{
		`["cy", "cyril"]`, `["cyril", "` + cy + `"]`, `["` + cy + `", "UID=CY, OU=People,dc=rekey,dc=test"]`,
		`["cy@rekey.test", "cy"]`, `["cy", "cyril", "cy@rekey.test", "userid=cy,ou=people,dc=rekey,dc=test"]`,
	} {
		p := newPlace(t, "LDAP_BIND_PASSWORD="+s.Password)
		p.write("two.star", twoLabels)
		p.must(3, "run", "two.star", "--yes", "uid="+s.URL, "mail="+strings.Replace(s.URL, "127.0.0.1", "localhost", 1), "names="+names)
		lines, err := csv.NewReader(strings.NewReader(p.read("out.csv"))).ReadAll()
		if err != nil {
			t.Fatal(err)
		}
		done := ""
		for _, l := range lines[1:] {
			switch {
			case l[1] == "done" && s.Bind(cy, l[3]) != nil:
				t.Errorf("%s: %s is done, and its password is not the entry's", names, l[0])
			case l[1] == "done" && done != "":
				t.Errorf("%s: %s and %s are done", names, done, l[0])
			case l[1] == "done":
				done = l[0]
			case l[2] != "DuplicateAccount" || !strings.Contains(l[4], "of the plan"):
				t.Errorf("%s: %s is %s: %s", names, l[0], l[2], l[4])
			}
		}
		if done == "" {
			t.Errorf("%s: nobody is done", names)
		}
	}
}

// TestNoTwoLabelsShareALine is A.1 of password files: one file by two paths.
func TestNoTwoLabelsShareALine(t *testing.T) {
	p := newPlace(t)
	p.write("users", "ann:x\n")
	if err := os.Symlink("users", p.dir+"/link"); err != nil {
		t.Fatal(err)
	}
	p.write("two.star", `"""One file by two paths."""

one = backend("htpasswd", label = "one", path = "users", hash = "apr1")
two = backend("htpasswd", label = "two", path = "link", hash = "apr1")

def rotate(user, step):
    step.set(two if user.n == "2" else one, "ann", step.generate())

workflow(users = rows([{"n": "1"}, {"n": "2"}], key = "n"), rotate = rotate, reports = [])
`)
	out := p.must(3, "run", "two.star", "--yes")
	if !strings.Contains(out.stderr+out.stdout, "DuplicateAccount") {
		t.Errorf("no DuplicateAccount: %s%s", out.stdout, out.stderr)
	}
}

// TestSeveralValuesOfAnAttributeAreAList is A.10: values that hold commas, as
// DNs do, could not be told apart in one text.
func TestSeveralValuesOfAnAttributeAreAList(t *testing.T) {
	s := ldaptest.Start(t, ldaptest.Options{LDIF: "dn: uid=cy,ou=people,dc=rekey,dc=test\nobjectClass: inetOrgPerson\nuid: cy\ncn: c\nsn: c\n" +
		"seeAlso: cn=a,ou=people,dc=rekey,dc=test\nseeAlso: cn=b,ou=people,dc=rekey,dc=test\ndescription: one, two\nuserPassword: x\n\n"})
	p := newPlace(t, "LDAP_BIND_PASSWORD="+s.Password)
	p.write("list.star", `"""Values one by one."""

directory = backend("ldap", url = param.string("url"), base_dn = "ou=people,dc=rekey,dc=test",
    bind_dn = "cn=rotator,dc=rekey,dc=test", bind_password = secret.env("LDAP_BIND_PASSWORD"), insecure = True)

def rotate(user, step):
    if "cn=b,ou=people,dc=rekey,dc=test" not in user.seeAlso or len(user.seeAlso) != 2 or user.description != "one, two":
        return failed("seeAlso is %r, description %r" % (user.seeAlso, user.description))
    step.set(directory, user.login, step.generate())

workflow(users = directory.accounts(attributes = ["seeAlso", "description"]), rotate = rotate, reports = [report.summary()])
`)
	p.must(0, "run", "list.star", "--yes", "url="+s.URL)
}
