package main_test

import (
	"encoding/csv"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

func TestQuickstartGivesEveryAccountANewPasswordThatWorks(t *testing.T) {
	p := newPlace(t)
	o := p.outcome(0, "run", "@rekey/quickstart.star", "--yes")
	if o.Status != "finished" || o.Counts["total"] != 2000 || o.Counts["done"] != 2000 || len(o.Reports) != 2 {
		t.Fatalf("got %+v", o)
	}
	first := passwords(t, p)
	for _, login := range sampled(first) {
		accepted(t, p, login, first[login])
	}
	p.outcome(0, "run", "@rekey/quickstart.star", "--yes")
	second := passwords(t, p)
	for login, password := range first {
		if second[login] == password || second[login] == "" {
			t.Fatalf("%s: the second run did not give it a new value", login)
		}
	}
	for _, want := range []string{"<!doctype html>", "2,000", o.Run[:1]} {
		if !strings.Contains(strings.ToLower(p.read("quickstart/report.html")), want) {
			t.Errorf("the page lacks %q", want)
		}
	}
}

// passwords reads what the quickstart reports.
func passwords(t *testing.T, p *place) map[string]string {
	t.Helper()
	rows, err := csv.NewReader(strings.NewReader(p.read("quickstart/passwords.csv"))).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	if len(rows) != 2001 || strings.Join(rows[0], ",") != "login,password" {
		t.Fatalf("%d rows, header %q", len(rows), rows[0])
	}
	found := map[string]string{}
	for _, r := range rows[1:] {
		found[r[0]] = r[1]
	}
	return found
}

// sampled are some of the logins, those with awkward names among them.
func sampled(all map[string]string) []string {
	var some []string
	for login := range all {
		if len(some) < 40 || strings.ContainsAny(login, `"; é`) {
			some = append(some, login)
		}
	}
	return some
}

// accepted asks htpasswd itself.
func accepted(t *testing.T, p *place, login, password string) {
	t.Helper()
	cmd := exec.Command("htpasswd", "-vi", filepath.Join(p.dir, "quickstart/users.htpasswd"), login)
	cmd.Stdin = strings.NewReader(password)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("htpasswd does not accept the password of %s: %v %s", login, err, out)
	}
}
