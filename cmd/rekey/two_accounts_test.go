package main_test

import (
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/rekey-host/rekey/plugins/postgres/postgrestest"
)

// turns is a program with two roles of a real PostgreSQL, and two files that say
// which it has.
type turns struct {
	points
	*postgrestest.Server
}

func newTurns(t *testing.T) *turns {
	t.Helper()
	server := postgrestest.Start(t, postgrestest.Options{})
	t.Cleanup(server.Remove)
	if _, err := server.SQL(t.Context(), "CREATE ROLE app_a LOGIN", "CREATE ROLE app_b LOGIN"); err != nil {
		t.Fatal(err)
	}
	s := &turns{newPoints(t, "DB_PASSWORD="+server.Password), server}
	if err := os.Chmod(s.dir, 0o755); err != nil {
		t.Fatal(err)
	}
	s.write("accounts.csv", "program,first,second,env_user,env,conf_user,conf\nshop,app_a,app_b,DB_USER,DB_PASSWORD,/db/user,/db/password\n")
	if err := os.WriteFile(filepath.Join(s.dir, "reload"), []byte("#!/bin/sh\ncp "+s.dir+"/env "+s.dir+"/told\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	return s
}

func (s *turns) args() []string {
	return []string{"@rekey/two_accounts.star", "url=" + s.URL, "user=" + s.User, "insecure=true", "env_file=env", "conf_file=conf", "conf_names=/db/user", "env_reload=" + s.dir + "/reload", "--overwrite"}
}

// begin has the program log in as one of the roles, everywhere.
func (s *turns) begin(role, value, other, old string) {
	s.t.Helper()
	if _, err := s.SQL(s.t.Context(), fmt.Sprintf("ALTER ROLE %s PASSWORD '%s'", role, value), fmt.Sprintf("ALTER ROLE %s PASSWORD '%s'", other, old)); err != nil {
		s.t.Fatal(err)
	}
	s.write("env", "# of the shop\nDB_USER="+role+"\nDB_PASSWORD="+value+"\n")
	s.write("conf", "db:\n  user: "+role+"\n  password: "+value+" # as in env\n")
}

var (
	inEnv  = regexp.MustCompile(`DB_USER=(\S+)\nDB_PASSWORD=(\S+)\n`)
	inConf = regexp.MustCompile(`user: ['"]?([^\s'"]+)['"]?\n  password: ['"]?([^\s'"]+)['"]?`)
)

// programs are what the two files have: role and password.
func (s *turns) programs() (all [][]string) {
	for name, form := range map[string]*regexp.Regexp{"env": inEnv, "conf": inConf} {
		if found := form.FindStringSubmatch(s.read(name)); found != nil {
			all = append(all, found[1:])
			continue
		}
		s.t.Errorf("%s is not whole", name)
	}
	return all
}

func (s *turns) logsOn(role, value string) bool {
	conn, err := pgx.Connect(s.t.Context(), fmt.Sprintf("postgres://%s@%s/postgres?sslmode=disable", url.UserPassword(role, value), s.Address))
	if err == nil {
		_ = conn.Close(s.t.Context())
	}
	return err == nil
}

// safe wants each file to have a role that logs in.
func (s *turns) safe() {
	s.t.Helper()
	for _, has := range s.programs() {
		if !s.logsOn(has[0], has[1]) {
			s.t.Errorf("a program is locked out: what its file has of %s is not let in", has[0])
		}
	}
}

// done wants both files to have that role, and the other one to be retired.
func (s *turns) done(role, other, old string) {
	s.t.Helper()
	s.safe()
	reported := table(s.t, s.read("passwords.csv"))["shop"]
	for _, has := range s.programs() {
		if has[0] != role || has[1] != reported["password"] {
			s.t.Errorf("a file has %s, and the list says otherwise", has[0])
		}
	}
	if reported["status"] != "done" || s.read("told") != s.read("env") {
		s.t.Errorf("it is %s, or the program was not told", reported["status"])
	}
	values := s.revealed(s.last())["shop"]
	if s.logsOn(other, old) || !s.anyLogsOn(other, values) {
		s.t.Errorf("%s has its old password, or one that nobody can name", other)
	}
}

func (s *turns) anyLogsOn(role string, values []candidate) bool {
	for _, value := range values {
		if value.Account == role && s.logsOn(role, value.Password) {
			return true
		}
	}
	return false
}

// TestTwoAccountsTakeTurns: the idle one gets a new password and the program, the
// other one is retired and its sessions are ended; the next run goes the other way.
func TestTwoAccountsTakeTurns(t *testing.T) {
	s := newTurns(t)
	s.begin("app_a", "Now-1", "app_b", "Long-ago-2")
	was := enter(t, s.Server, "app_a", "Now-1")
	s.must(0, append([]string{"run", "--yes"}, s.args()...)...)
	s.done("app_b", "app_a", "Now-1")
	if was() {
		t.Error("a session of the retired role is open")
	}
	before := s.programs()[0][1]
	s.must(0, append([]string{"run", "--yes"}, s.args()...)...)
	s.done("app_a", "app_b", before)

	s.begin("app_a", "Now-1", "app_b", "Long-ago-2")
	s.write("env", strings.Replace(s.read("env"), "app_a", "app_b", 1))
	for _, wrong := range []string{"app_b", "stray-7"} {
		s.write("env", regexp.MustCompile("DB_USER=.*").ReplaceAllString(s.read("env"), "DB_USER="+wrong))
		said := s.must(3, append([]string{"run", "--yes", "--new"}, s.args()...)...)
		if text := said.stdout + said.stderr + s.rekey("show", "last", "--user", "shop").stdout; strings.Contains(text, "stray-7") || !strings.Contains(text, "DB_USER") && !strings.Contains(text, "/db/user") {
			t.Errorf("what a file has is quoted, or its place is not named: %s", text)
		}
		if !s.logsOn("app_a", "Now-1") || !s.logsOn("app_b", "Long-ago-2") {
			t.Errorf("where one file has %s and the other one app_a, a role has a new password", wrong)
		}
	}
}

// TestTwoAccountsKilledAtEveryPoint: at every moment each file has a role that logs in,
// and the resume goes on with the role that was idle at first.
func TestTwoAccountsKilledAtEveryPoint(t *testing.T) {
	t.Parallel()
	s := newTurns(t)
	saga{points: s.points, args: s.args(), before: func() { s.begin("app_a", "Now-1", "app_b", "Long-ago-2") },
		safe: s.safe, done: func() { s.done("app_b", "app_a", "Now-1") }}.killedEverywhere("two accounts")
}
