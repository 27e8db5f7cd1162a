package main_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/rekey-host/rekey/plugins/mysql/mysqltest"
	"github.com/rekey-host/rekey/plugins/postgres/postgrestest"
	"github.com/rekey-host/rekey/plugins/redis/redistest"
)

// database is a server of the script database_roles with accounts.
type database struct {
	kind, url, password, service string
	filter                       string
	accounts                     []string // as the list names them
	logsOn                       func(account, value string) bool
}

// databases are one of each kind, with twelve accounts and one that may not be
// rotated.
func databases(t *testing.T) []database {
	t.Helper()
	postgres, mysql, redis := postgrestest.Start(t, postgrestest.Options{}), mysqltest.Start(t, mysqltest.Options{}), redistest.Start(t, redistest.Options{})
	t.Cleanup(postgres.Remove)
	t.Cleanup(mysql.Remove)
	t.Cleanup(redis.Remove)
	var roles, users, rules []string
	for n := range 12 {
		roles = append(roles, fmt.Sprintf(`CREATE ROLE "app %d" LOGIN`, n))
		users = append(users, fmt.Sprintf("CREATE USER `app %d`", n))
		rules = append(rules, fmt.Sprintf("ACL SETUSER app-%d on >old", n))
	}
	if _, err := postgres.SQL(t.Context(), append(roles, "ALTER ROLE rotator PASSWORD 'pg-secret'")...); err != nil {
		t.Fatal(err)
	}
	if _, err := mysql.SQL(t.Context(), users...); err != nil {
		t.Fatal(err)
	}
	if said, err := redis.CLI(rules...); err != nil {
		t.Fatal(err, said)
	}
	return []database{
		{"postgres", postgres.URL, "pg-secret", postgres.User, "rolname LIKE 'app %' OR rolname = 'rotator'", numbered("app %d"), func(account, value string) bool {
			return len(postgres.Logons(t, []postgrestest.Logon{{Role: account, Value: value}})) == 1
		}},
		{"mysql", mysql.URL, mysql.Password, mysql.User, "User LIKE 'app %' AND Host = '%'", numbered("app %d@%%"), func(account, value string) bool {
			return mysql.Logons(t, []mysqltest.Logon{{User: strings.TrimSuffix(account, "@%"), Value: value}})[0] == account
		}},
		{"redis", redis.URL, redis.Password, redis.User, "app-*", numbered("app-%d"), func(account, value string) bool {
			return redis.Logons(t, []redistest.Logon{{User: account, Value: value}})[0]
		}},
	}
}

func numbered(format string) []string {
	var names []string
	for n := range 12 {
		names = append(names, fmt.Sprintf(format, n))
	}
	return names
}

// The script gives every role a new password, of a file and by a filter, in the
// sandbox and out of it, and another client logs in with each.
func TestDatabaseRolesOfEveryKind(t *testing.T) {
	for _, d := range databases(t) {
		t.Run(d.kind, func(t *testing.T) {
			p := newPlace(t, "DB_PASSWORD="+d.password)
			p.write("users.csv", "login\n"+strings.Join(d.accounts, "\n")+"\n")
			args := []string{"run", "@rekey/database_roles.star", "backend=" + d.kind, "url=" + d.url, "user=" + d.service, "insecure=true", "first=2", "--yes"}
			var values []map[string]string
			for _, more := range [][]string{{"--sandbox"}, {"filter=" + d.filter, "out=again.csv"}} {
				p.must(0, append(args, more...)...)
				out := "passwords.csv"
				if len(more) > 1 {
					out = "again.csv"
				}
				given := map[string]string{}
				for login, row := range table(t, p.read(out)) {
					given[login] = row["password"]
				}
				values = append(values, given)
				for _, account := range d.accounts {
					if given[account] == "" || !d.logsOn(account, given[account]) {
						t.Errorf("%v: %s does not log in with the password of the list", more, account)
					}
				}
			}
			if d.logsOn(d.accounts[0], values[0][d.accounts[0]]) {
				t.Error("after a second run the value of the first still works")
			}
			if r := p.must(2, append(args, "filter=")...); !strings.Contains(r.stderr, "filter= is empty") {
				t.Error(r.stderr)
			}
			p.write("users.csv", "login,neues Passwort\n"+d.accounts[0]+",x\n")
			if r := p.must(2, append(args, "out=none.csv")...); !strings.Contains(r.stderr, "column neues Passwort looks like passwords") {
				t.Error(r.stderr)
			}
			p.write("users.csv", "login\n"+d.accounts[0]+"\nnobody\n"+d.service+"\n")
			p.must(3, append(args, "out=some.csv", "max_failures=100")...)
			rows := p.must(0, "show", "last", "--status", "failed").stdout
			if !strings.Contains(rows, "AccountNotFound") || !strings.Contains(rows, "Protected") {
				t.Error(rows)
			}
		})
	}
}

// What a kind of database has not is said before anything is done.
func TestDatabaseRolesOptionsOfOtherKinds(t *testing.T) {
	p := newPlace(t, "DB_PASSWORD=x")
	p.write("users.csv", "login\nann\n")
	for _, args := range [][]string{{"backend=redis", "url=redis://127.0.0.1:1", "valid_days=9", "valid_days= is for"}, {"url=postgres://127.0.0.1:1", "keep_old=true", "keep_old= is for"}} {
		r := p.must(2, append([]string{"run", "@rekey/database_roles.star", "user=rotator", "insecure=true", "--yes"}, slices.Clone(args[:len(args)-1])...)...)
		if !strings.Contains(r.stderr, args[len(args)-1]) {
			t.Error(r.stderr)
		}
	}
}
