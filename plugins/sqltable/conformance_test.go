package sqltable_test

import (
	"context"
	"database/sql"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	_ "modernc.org/sqlite"

	"github.com/rekey-host/rekey/plugins/internal/reachtest"
	"github.com/rekey-host/rekey/plugins/kept/kepttest"
	"github.com/rekey-host/rekey/plugins/mysql/mysqltest"
	"github.com/rekey-host/rekey/plugins/postgres/postgrestest"
	"github.com/rekey-host/rekey/plugins/sqltable"
	"github.com/rekey-host/rekey/sdk"
	"github.com/rekey-host/rekey/sdk/backendtest"
	"github.com/rekey-host/rekey/sdk/secret"
)

// base is a database that tests make tables in.
type base struct {
	engine string
	quote  string
	values map[string]any // of a Config, without the table
	secret string
	server string                                       // HOST:PORT; "" of sqlite
	run    func(statements ...string) ([]string, error) // as its owner; the first column of the last rows
	grant  func(table string) []string                  // what rekey's user needs
}

// shared are the servers of the package's tests, each started by the first that
// needs it.
var shared struct {
	postgres, mysql sync.Once
	pg              *postgrestest.Server
	my              *mysqltest.Server
}

func TestMain(m *testing.M) {
	code := m.Run()
	if shared.pg != nil {
		shared.pg.Remove()
	}
	if shared.my != nil {
		shared.my.Remove()
	}
	os.Exit(code)
}

const user = "table_writer"

func postgres(t testing.TB) base {
	shared.postgres.Do(func() {
		shared.pg = postgrestest.Start(t, postgrestest.Options{TLS: true})
		if _, err := shared.pg.SQL(context.Background(), "CREATE ROLE "+user+" LOGIN PASSWORD 'writer-secret'"); err != nil {
			t.Fatal(err)
		}
	})
	server := shared.pg
	return base{engine: "postgres", quote: `"`, server: server.Address, secret: "writer-secret",
		values: map[string]any{"engine": "postgres", "url": server.URL, "insecure": true, "user": user, "database": "postgres"},
		run:    func(statements ...string) ([]string, error) { return server.SQL(context.Background(), statements...) },
		grant:  func(table string) []string { return []string{"GRANT SELECT, UPDATE ON " + table + " TO " + user} }}
}

func mysql(t testing.TB) base {
	shared.mysql.Do(func() {
		shared.my = mysqltest.Start(t, mysqltest.Options{TLS: true})
		if _, err := shared.my.SQL(context.Background(), "CREATE DATABASE app CHARACTER SET utf8mb4", "CREATE USER "+user+" IDENTIFIED BY 'writer-secret'"); err != nil {
			t.Fatal(err)
		}
	})
	server := shared.my
	return base{engine: "mysql", quote: "`", server: server.Address, secret: "writer-secret",
		values: map[string]any{"engine": "mysql", "url": server.URL, "insecure": true, "user": user, "database": "app"},
		run: func(statements ...string) ([]string, error) {
			return server.SQL(context.Background(), append([]string{"USE app"}, statements...)...)
		},
		grant: func(table string) []string { return []string{"GRANT SELECT, UPDATE ON app." + table + " TO " + user} }}
}

func sqlite(t testing.TB) base {
	path := filepath.Join(quick(t), "app data.db")
	db, err := sql.Open("sqlite", "file:"+strings.ReplaceAll(path, " ", "%20")+"?_pragma=busy_timeout(10000)")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	db.SetMaxOpenConns(1)
	return base{engine: "sqlite", quote: `"`, values: map[string]any{"engine": "sqlite", "path": path}, grant: func(string) []string { return nil },
		run: func(statements ...string) ([]string, error) {
			var found []string
			for _, statement := range statements {
				rows, err := db.Query(statement)
				if err != nil {
					return nil, fmt.Errorf("%w: %.100s", err, statement)
				}
				found = nil
				for rows.Next() {
					var text sql.NullString
					if err := rows.Scan(&text); err != nil {
						return nil, err
					}
					found = append(found, text.String)
				}
				if err := rows.Close(); err != nil {
					return nil, err
				}
			}
			return found, nil
		}}
}

// quick is a directory for the time of the test, in memory where that can be: a
// commit then waits for no disk.
func quick(t testing.TB) string {
	dir, err := os.MkdirTemp("/dev/shm", "rksq")
	if err != nil {
		return t.TempDir()
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}

func bases(t testing.TB) []base { return []base{postgres(t), mysql(t), sqlite(t)} }

// must runs statements.
func (b base) must(t testing.TB, statements ...string) []string {
	t.Helper()
	found, err := b.run(statements...)
	if err != nil {
		t.Fatal(err)
	}
	return found
}

func (b base) name(text string) string {
	return b.quote + strings.ReplaceAll(text, b.quote, b.quote+b.quote) + b.quote
}

// text is a string in a statement of the owner.
func (b base) text(text string) string {
	if b.engine == "mysql" {
		return fmt.Sprintf("CONVERT(x'%x' USING utf8mb4)", text)
	}
	if b.engine == "postgres" {
		return fmt.Sprintf(`convert_from('\x%x'::bytea, 'UTF8')`, text)
	}
	return fmt.Sprintf("CAST(x'%x' AS TEXT)", text)
}

var tables atomic.Int32

// table makes a table of accounts, with names that have to be quoted, for the
// time of the test.
func (b base) table(t testing.TB, names ...string) string {
	t.Helper()
	table := fmt.Sprintf("%s%d", "users_", tables.Add(1))
	collation := ""
	if b.engine == "mysql" {
		collation = " COLLATE utf8mb4_bin"
	}
	b.must(t, append([]string{fmt.Sprintf("CREATE TABLE %s (%s varchar(200)%s NOT NULL, %s varchar(255), %s smallint, %s varchar(20), failed varchar(20))", table,
		b.name("user name"), collation, b.name("pass`\"word"), b.name("must change"), "updated")}, b.grant(table)...)...)
	t.Cleanup(func() { _, _ = b.run("DROP TABLE " + table) })
	b.must(t, fmt.Sprintf("CREATE INDEX by_name_%s ON %s (%s)", table, table, b.name("user name")))
	for _, name := range names {
		b.must(t, fmt.Sprintf("INSERT INTO %s VALUES (%s, '{SSHA}MDAwMDAwMDAwMDAwMDAwMDAwMDBzYWx0c2FsdA==', 0, '', '7')", table, b.text(name)))
	}
	return table
}

// config is what a script would give for such a table.
func (b base) config(table string, more ...any) sdk.Config {
	made := sdk.Config{Label: "sqltable", Concurrency: 4, Values: map[string]any{"table": table, "key": "user name", "column": "pass`\"word", "hash": "ssha",
		"must_change_column": "must change", "must_change_values": []string{"1", "0"}, "updated_column": "updated", "updated_as": "unix", "set": []string{"failed=0"}}}
	for name, value := range b.values {
		made.Values[name] = value
	}
	if b.secret != "" {
		made.Secrets = map[string]secret.Value{"password": secret.New(b.secret)}
	}
	for index := 0; index < len(more); index += 2 {
		made.Values[more[index].(string)] = more[index+1]
		if more[index+1] == nil {
			delete(made.Values, more[index].(string))
		}
	}
	return made
}

// target is a table of its own, of a server through a relay of its own.
func target(t testing.TB, b base) backendtest.Target {
	table := b.table(t, "ann", "Bob \"'`\\", "cy@acme.example", "federated", "twice", "twice")
	b.must(t, fmt.Sprintf("UPDATE %s SET %s = '!' WHERE %s = 'federated'", table, b.name("pass`\"word"), b.name("user name")))
	made := b.config(table)
	sessions, session := b.sessions(t)
	made.Values["sessions"] = sessions
	var down func()
	var server, setting string
	if b.server != "" {
		relay := reachtest.NewRelay(t, b.server)
		server, setting = "127.0.0.1:"+relay.Port, "url"
		made.Values["url"] = b.engine + "://" + server
		down = relay.Stop
	} else {
		path := made.Values["path"].(string)
		down = func() { _ = os.RemoveAll(filepath.Dir(path)) }
	}
	return backendtest.Target{
		Config:   made,
		Accounts: []string{"ann", "Bob \"'`\\", "cy@acme.example"},
		Session:  func(account, _ string) func() bool { return session(account) },
		Missing:  "nobody",
		Refusing: map[string]sdk.Code{"federated": sdk.NoCredential, "twice": sdk.Ambiguous},
		Hashed:   map[string]backendtest.Hashed{"ssha": {Hash: "{SSHA}xx94JgJAZA3KbaeSb7ydql5GS3dzYWx0c2FsdA==", Value: "behind the hash"}},
		Wrong: []backendtest.Wrong{
			{Field: "engine", Value: "oracle"}, {Field: "table"}, {Field: "column"}, {Field: "key"}, {Field: "hash", Value: "rot13"}, {Field: "cost", Value: int64(-1)},
			{Field: "set", Value: []string{"failed"}}, {Field: "realm", Value: "x"}, {Field: "data_column", Value: "x"}, {Field: "must_change_values", Value: []string{"1"}},
			{Field: "sessions", Value: "DELETE FROM sessions"}, {Field: "sessions", Value: "DELETE FROM sessions WHERE who = '{account}'"},
		},
		Down:   down,
		Server: server, Setting: setting,
	}
}

// sessions makes a table of sessions, and returns the statement that ends those of
// an account and what opens one.
func (b base) sessions(t testing.TB) (statement string, session func(account string) (open func() bool)) {
	t.Helper()
	table := fmt.Sprintf("sessions_%d", tables.Add(1))
	grant := b.grant(table)
	for index := range grant {
		grant[index] = strings.Replace(grant[index], "UPDATE", "DELETE", 1)
	}
	b.must(t, append([]string{fmt.Sprintf("CREATE TABLE %s (id integer, who varchar(200))", table)}, grant...)...)
	t.Cleanup(func() { _, _ = b.run("DROP TABLE " + table) })
	return fmt.Sprintf("DELETE FROM %s WHERE who = {account} OR who = {account}", table), func(account string) func() bool {
		id := tables.Add(1)
		b.must(t, fmt.Sprintf("INSERT INTO %s VALUES (%d, %s)", table, id, b.text(account)))
		return func() bool {
			return len(b.must(t, fmt.Sprintf("SELECT id FROM %s WHERE id = %d", table, id))) == 1
		}
	}
}

func TestBackendKeepsTheContract(t *testing.T) {
	report := kepttest.Report(t, "../kept/sqltable.json")
	t.Run("PostgreSQL", func(t *testing.T) {
		backendtest.Run(t, backendtest.Options{Backend: sqltable.New(), Report: report, Target: func(t testing.TB) backendtest.Target { return target(t, postgres(t)) }})
	})
	t.Run("MariaDB", func(t *testing.T) {
		backendtest.Run(t, backendtest.Options{Backend: sqltable.New(), Report: report, Target: func(t testing.TB) backendtest.Target { return target(t, mysql(t)) }})
	})
}

func TestExecutableKeepsTheContractOnSQLite(t *testing.T) {
	path := backendtest.Build(t, "./rekey-backend-sqltable")
	backendtest.RunExecutable(t, backendtest.Options{Target: func(t testing.TB) backendtest.Target { return target(t, sqlite(t)) }}, path)
}

// TestWithoutAStatementSessionsCannotBeEnded: the instance lacks what its plugin can.
func TestWithoutAStatementSessionsCannotBeEnded(t *testing.T) {
	b := sqlite(t)
	instance := open(t, b.config(b.table(t, "ann")))
	if able := sdk.AbilitiesOf(instance); slices.Contains(able, sdk.CanRevoke) {
		t.Errorf("it can %q", able)
	}
	want(t, instance.Revoke(t.Context(), sdk.Operation{ID: "r", Attempt: 1, Verb: sdk.Revoke, Account: "ann"}), "refused Unsupported")
}
