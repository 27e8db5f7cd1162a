package mysql_test

import (
	"database/sql"
	"fmt"
	"strings"
	"testing"

	"github.com/rekey-host/rekey/plugins/mysql/mysqltest"
	"github.com/rekey-host/rekey/sdk"
	"github.com/rekey-host/rekey/sdk/secret"
)

// hostileNames mean something to careless code. All are users of any host.
func hostileNames() []string {
	return []string{
		"*", "%", "_", " ann", "ann*", "ann\n", "ann:x", "ann,dc=x", "../ann", "x` OR `1`=`1", "x' OR '1'='1", "x'; DROP USER root@localhost; --", "x`; DROP USER root@localhost; --",
		")(uid=*", "/etc/passwd", "%00", "%s%n", "$(id)", "`id`", "<a>&amp;", strings.Repeat("n", 80), strings.Repeat("é", 40), "-h", "\u202enna", "#ann", "@ann", "a@b.example", `back\slash`, `\`, `"`, "'", "`", "``",
		"current_user", "PUBLIC", "USER", "ANN", "ann", "日本語", "tab\there", "line\u2028sep", "ann@localhost",
	}
}

// hostilePasswords are values that careless code cuts, quotes or takes for
// something else.
func hostilePasswords() []string {
	return []string{
		"'", `"`, `\`, "'; DROP USER root@localhost; --", `' OR '1'='1`, "$$", "?", "%s", "%00", "-- ", "/*", ";", " ", " leading", "trailing ", "#hash", ":colon:", "a,b", "{}", "()", "*", ")(uid=*", "`id`", "$(id)",
		"tab\there", "line\nfeed", "carriage\rreturn", "ünïcödé", "日本語のパスワード", "🔑🔑", "line\u2028sep", "\u202ereverse", "no\u00a0break", strings.Repeat("x", 72), strings.Repeat("y", 256), strings.Repeat("z", 1000),
		"*2470C0C06DEE42FD1618BB99005ADCA2EC9D1E19", "null", "NULL", "\x01control",
	}
}

// Of forty names and forty values each pair is set: the named account changes and
// no other, and another client logs in with the value.
func TestHostileNamesAndValues(t *testing.T) {
	running := server(t)
	var names []string
	made := map[string]string{}
	for _, name := range hostileNames() {
		name = strings.TrimRight(name, " ")
		names = append(names, name)
		made[name+"@%"] = ""
	}
	accounts(t, made)
	db, err := running.Open()
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	instance := open(t, config(running))
	was := hashes(t, db)
	for _, value := range hostilePasswords() {
		var logons []mysqltest.Logon
		for _, name := range names {
			if receipt := instance.Apply(t.Context(), set(name+"@%", value)); receipt.Outcome != sdk.Applied {
				t.Errorf("%q, %.20q: %s: %v", name, value, say(receipt), receipt.Err)
			}
			logons = append(logons, mysqltest.Logon{User: name, Value: value})
			now := hashes(t, db)
			for other := range now {
				if (now[other] != was[other]) != (other == name+"@%") {
					t.Fatalf("a set of %q: hash of %q changed: %v", name, other, now[other] != was[other])
				}
			}
			was = now
		}
		for index, got := range running.Logons(t, logons) {
			if got != names[index]+"@%" {
				t.Errorf("%.20q: PyMySQL as %q: %q", value, names[index], got)
			}
		}
	}
	if len(names) < 40 || len(hostilePasswords()) < 40 {
		t.Errorf("%d names and %d values, want forty of each", len(names), len(hostilePasswords()))
	}
}

// hashes are those of all accounts.
func hashes(t *testing.T, db *sql.DB) map[string]string {
	t.Helper()
	rows, err := db.QueryContext(t.Context(), "SELECT User, Host, COALESCE(JSON_VALUE(Priv, '$.authentication_string'), '') FROM mysql.global_priv")
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	found := map[string]string{}
	for rows.Next() {
		var user, host, hash string
		if err := rows.Scan(&user, &host, &hash); err != nil {
			t.Fatal(err)
		}
		found[user+"@"+host] = hash
	}
	return found
}

// With every statement in the log, those that fail included, no value is there.
func TestNoValueIsInTheServersLog(t *testing.T) {
	running := server(t)
	accounts(t, map[string]string{"logged@%": "", "curve@%": "IDENTIFIED VIA ed25519 USING PASSWORD('x')", "boss@%": ""})
	query(t, "GRANT SUPER ON *.* TO boss@'%'")
	instance := open(t, config(running))
	var values []string
	for number, name := range []string{"logged", "curve", "boss", "nobody", "logged"} {
		value := fmt.Sprintf("canary-%d-Zq8!", number)
		values = append(values, value)
		_ = instance.Apply(t.Context(), set(name, value))
		_, _ = instance.Verify(t.Context(), name, "", secret.New(value))
		_, _ = instance.Verify(t.Context(), name, "", secret.New(value+"wrong"))
	}
	log := running.Log()
	if !strings.Contains(log, "ALTER USER `logged`@`%`") || !strings.Contains(log, "Access denied") {
		t.Fatal("the server logs no statements: the test shows nothing")
	}
	for _, value := range values {
		if strings.Contains(log, value) {
			t.Errorf("%s is in the log", value)
		}
	}
}
