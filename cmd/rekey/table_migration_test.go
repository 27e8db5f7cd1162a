package main_test

import (
	"bytes"
	"database/sql"
	"encoding/csv"
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	_ "modernc.org/sqlite"

	"github.com/rekey-host/rekey/plugins/mysql/mysqltest"
)

// oldApplication makes the hashes of an application, by a library that is none of
// rekey's, and newApplication logs in to another one with it.
const (
	oldApplication = `
import csv, sys, passlib.hash as h
kind = {"pbkdf2-django": h.django_pbkdf2_sha256.using(rounds=1000), "phpass": h.phpass.using(rounds=8)}[sys.argv[1]]
for login, password in csv.reader(sys.stdin):
    csv.writer(sys.stdout).writerow([login, kind.hash(password)])
`
	newApplication = `
import csv, sys, passlib.hash as h
kind = {"pbkdf2-django": h.django_pbkdf2_sha256, "phpass": h.phpass}[sys.argv[1]]
for login, password, hashed in csv.reader(sys.stdin):
    csv.writer(sys.stdout).writerow([login, kind.verify(password, hashed)])
`
)

// application runs one of the two.
func application(t *testing.T, program, form string, rows [][]string) map[string]string {
	t.Helper()
	var in bytes.Buffer
	if err := csv.NewWriter(&in).WriteAll(rows); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("/usr/bin/python3", "-c", program, form)
	var said bytes.Buffer
	cmd.Stdin, cmd.Stderr = &in, &said
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("python3 with passlib: %v\n%s", err, said.String())
	}
	answers, err := csv.NewReader(bytes.NewReader(out)).ReadAll()
	if err != nil || len(answers) != len(rows) {
		t.Fatalf("%d answers, want %d: %v", len(answers), len(rows), err)
	}
	found := map[string]string{}
	for _, row := range answers {
		found[row[0]] = row[1]
	}
	return found
}

// newTable is a table to move hashes to.
type newTable struct {
	form, env string
	args      []string
	run       func(statements ...string) []string // the first column of the last one's rows
}

// newTables are one in MariaDB and one in SQLite.
func newTables(t *testing.T) []newTable {
	t.Helper()
	server := mysqltest.Start(t, mysqltest.Options{})
	t.Cleanup(server.Remove)
	maria := func(statements ...string) []string {
		t.Helper()
		found, err := server.SQL(t.Context(), append([]string{"CREATE DATABASE IF NOT EXISTS shop", "USE shop"}, statements...)...)
		if err != nil {
			t.Fatal(err)
		}
		return found
	}
	maria("GRANT SELECT, UPDATE ON shop.* TO rotator")
	path := filepath.Join(t.TempDir(), "app.db")
	db, err := sql.Open("sqlite", "file:"+path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	lite := func(statements ...string) (found []string) {
		t.Helper()
		for _, statement := range statements {
			rows, err := db.Query(statement)
			if err != nil {
				t.Fatal(err)
			}
			for found = nil; rows.Next(); {
				var text string
				if err := rows.Scan(&text); err != nil {
					t.Fatal(err)
				}
				found = append(found, text)
			}
			if err := rows.Close(); err != nil {
				t.Fatal(err)
			}
		}
		return found
	}
	return []newTable{
		{"pbkdf2-django", "DB_PASSWORD=" + server.Password, []string{"engine=mysql", "url=" + server.URL, "insecure=true", "database=shop", "user=" + server.User}, maria},
		{"phpass", "DB_PASSWORD=", []string{"engine=sqlite", "path=" + path}, lite},
	}
}

// TestTableMigrationMovesHashes from one application to another: everybody logs in to
// the new one with the password that the old one had, which rekey never sees.
func TestTableMigrationMovesHashes(t *testing.T) {
	people := [][]string{{"ann", "Summer-1"}, {"o'brien", "pässwörd \" 2"}, {"cy@acme.example", "three three"}}
	for _, to := range newTables(t) {
		t.Run(to.form, func(t *testing.T) {
			old := application(t, oldApplication, to.form, people)
			file := "login,hash\n"
			statements := []string{"CREATE TABLE users (login varchar(100), password varchar(200))", "INSERT INTO users VALUES ('left alone', 'as it was')", "INSERT INTO users VALUES ('none', 'as it was')"}
			for _, person := range people {
				file += person[0] + `,"` + old[person[0]] + "\"\n"
				statements = append(statements, fmt.Sprintf("INSERT INTO users VALUES ('%s', 'fresh')", strings.ReplaceAll(person[0], "'", "''")))
			}
			to.run(statements...)
			p := newPlace(t, to.env)
			args := append([]string{"run", "@rekey/table_migration.star", "hash=" + to.form, "table=users", "key=login", "column=password", "--yes"}, to.args...)
			p.write("hashes.csv", file+"none,\nmissing,\""+old["ann"]+"\"\n")
			p.must(3, append(args, "max_failures=100")...)
			list := table(t, p.read("migration.csv"))
			for login, want := range map[string]string{"ann": "done", "none": "skipped", "missing": "failed"} {
				if got := list[login]["status"]; got != want {
					t.Errorf("%s is %s, want %s", login, got, want)
				}
			}
			var logons [][]string
			for _, person := range people {
				held := to.run(fmt.Sprintf("SELECT password FROM users WHERE login = '%s'", strings.ReplaceAll(person[0], "'", "''")))
				logons = append(logons, []string{person[0], person[1], held[0]})
			}
			for login, in := range application(t, newApplication, to.form, logons) {
				if in != "True" {
					t.Errorf("%s does not log in to the new application with the old password", login)
				}
			}
			if kept := to.run("SELECT password FROM users WHERE login IN ('left alone', 'none')"); strings.Join(kept, ",") != "as it was,as it was" {
				t.Errorf("rows that are not meant hold %q", kept)
			}
			p.write("hashes.csv", file+"x,$2y$10$"+strings.Repeat("a", 53)+"\n")
			if r := p.must(2, append(args, "out=none.csv")...); !strings.Contains(r.stderr, "hashes.csv:5: column \"hash\": not a hash of the form "+to.form) {
				t.Errorf("of a hash of another form the operator reads\n%s", r.stderr)
			}
		})
	}
}
