package main_test

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/rekey-host/rekey/plugins/ldap/ldaptest"
	"github.com/rekey-host/rekey/plugins/postgres/postgrestest"
)

// service is one role of turns, and both programs that log in as it.
type service struct{ *turns }

func newService(t *testing.T) service {
	t.Helper()
	s := newTurns(t)
	s.write("accounts.csv", "role,current,env,conf\napp_a,Now-1,DB_PASSWORD,/db/password\n")
	return service{s}
}

func (s service) args() []string {
	others := slices.DeleteFunc(s.turns.args()[1:], func(arg string) bool { return strings.HasPrefix(arg, "conf_names=") })
	return append([]string{"@rekey/service_account.star"}, others...)
}

func (s service) start() { s.begin("app_a", "Now-1", "app_b", "x") }

// safe wants the role and each program to have a value that can be named.
func (s service) safe() {
	s.t.Helper()
	if s.last() == "" {
		return
	}
	values := s.revealed(s.last())["app_a"]
	for _, has := range s.programs() {
		if has[1] != "Now-1" && !slices.ContainsFunc(values, func(c candidate) bool { return c.Password == has[1] }) {
			s.t.Error("a program has a value that nobody can name")
		}
	}
	if !s.logsOn("app_a", "Now-1") && !s.anyLogsOn("app_a", values) {
		s.t.Error("the role has a value that nobody can name")
	}
}

// done wants all of them to have the reported one, and the one of before to be dead.
func (s service) done() {
	s.t.Helper()
	reported := table(s.t, s.read("passwords.csv"))["app_a"]
	for _, has := range s.programs() {
		if has[1] != reported["password"] || !s.logsOn("app_a", has[1]) || s.logsOn("app_a", "Now-1") {
			s.t.Error("a program is not let in, or the old value is")
		}
	}
	if reported["status"] != "done" {
		s.t.Errorf("it is %s", reported["status"])
	}
}

// TestServiceAccountKilledAtEveryPoint: the role and both programs have the value of
// before or one that the ledger holds, and a resume gives all of them one.
func TestServiceAccountKilledAtEveryPoint(t *testing.T) {
	t.Parallel()
	s := newService(t)
	saga{s.points, s.args(), s.start, s.safe, s.done}.killedEverywhere("service account")
}

// few is a script of before, with two handovers.
func few(script string) string {
	return regexp.MustCompile(`range\(12\)`).ReplaceAllString(script, "range(2)")
}

// TestPostgresHandoverKilledAtEveryPoint: rekey's own role is never locked out.
func TestPostgresHandoverKilledAtEveryPoint(t *testing.T) {
	t.Parallel()
	p := newPoints(t)
	c := &cluster{postgrestest.Start(t, postgrestest.Options{}), p.place, map[string]string{}}
	t.Cleanup(c.Remove)
	users := "login\n"
	for name, rights := range map[string]string{"ann": "", "service": "CREATEROLE"} {
		c.now[name] = name + "-before"
		if _, err := c.SQL(t.Context(), fmt.Sprintf("CREATE ROLE %s LOGIN %s PASSWORD '%s'", name, rights, c.now[name])); err != nil {
			t.Fatal(err)
		}
		users += name + "\n"
	}
	c.env = []string{"PG_PASSWORD=" + c.now["service"]}
	c.write("users.csv", users)
	c.write("handover.star", few(fmt.Sprintf(postgresHandover, c.URL)))
	saga{p, []string{"handover.star", "--new"}, func() {}, func() { c.wantKnown(c.last()) }, func() { c.wantDone(c.last()) }}.killedEverywhere("handover on PostgreSQL")
}

// TestSlapdHandoverKilledAtEveryPoint: nor is its own entry of a directory.
func TestSlapdHandoverKilledAtEveryPoint(t *testing.T) {
	t.Parallel()
	p := newPoints(t)
	d := newDirectory(t, ldaptest.Options{Users: 1})
	p.place.env, d.place = d.env, p.place
	d.has("service", d.BindDN, d.Password)
	d.logins = append(d.logins[:1:1], "service")
	d.list()
	d.write("handover.star", few(fmt.Sprintf(handoverScript, d.URL, d.BindDN, d.BaseDN, d.BindDN)))
	var c tally
	saga{p, []string{"handover.star", "--new"}, func() {}, func() { d.wantKnown(d.last(), &c) }, func() { d.handedOver(d.last()) }}.killedEverywhere("handover on slapd")
	if c.lost > 0 {
		t.Errorf("%d values that nobody can name", c.lost)
	}
}

// TestSSHHandoverKilledAtEveryPoint: nor is its user of a host.
func TestSSHHandoverKilledAtEveryPoint(t *testing.T) {
	t.Parallel()
	p, h := newPoints(t), newLoginHost(t)
	p.place.env = h.env
	h.place = p.place
	h.now = map[string]string{"svc": h.now["svc"], "user0": h.now["user0"]}
	h.write("users.csv", "login\nuser0\nsvc\n")
	h.write("handover.star", strings.Replace(fmt.Sprintf(sshHandover, h.KnownHosts, h.Address, h.Address, h.Address), "range(4)", "range(2)", 1))
	done := func() { h.wantKnown(h.last(), true); h.next(h.last()) }
	saga{p, []string{"handover.star", "--new"}, func() {}, func() { h.wantKnown(h.last(), false) }, done}.killedEverywhere("handover by ssh")
}
