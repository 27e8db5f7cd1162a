package postgres_test

import (
	"context"
	"encoding/base64"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/rekey-host/rekey/plugins/postgres/postgrestest"
	"github.com/rekey-host/rekey/sdk"
	"github.com/rekey-host/rekey/sdk/secret"
)

// hostileNames mean something to careless code. All are roles.
func hostileNames() []string {
	return []string{
		"*", " ", "ann ", " ann", "ann*", "ann\n", "ann:x", "ann,dc=x", "../ann", `x" OR "1"="1`, "x' OR '1'='1", `x'; DROP ROLE admin; --`, `x"; DROP ROLE admin; --`,
		")(uid=*", "/etc/passwd", "%00", "%s%n", "$(id)", "`id`", "<a>&amp;", strings.Repeat("n", 63), strings.Repeat("é", 31), "-h", "\u202enna", "#ann", "@ann", "a@b.example", `back\slash`, `\`, `"`, "'", `""`,
		"current_user", "session_user", "CURRENT_ROLE", "user", "ANN", "ann", "日本語", "🔑", "tab\there", "line\u2028sep",
	}
}

// hostilePasswords are values that careless code cuts, quotes or takes for
// something else. Those that are refused are refused for a reason of clients.
func hostilePasswords() []string {
	return []string{
		"'", `"`, `\`, "'; DROP ROLE admin; --", `' OR '1'='1`, "$$", "$1", "%s", "%00", "--", "/*", ";", " ", " leading", "trailing ", "#hash", ":colon:", "a,b", "{}", "()", "*", ")(uid=*", "`id`", "$(id)",
		"tab\there", "line\nfeed", "carriage\rreturn", "ünïcödé", "日本語のパスワード", "🔑🔑", "line\u2028sep", "\u202ereverse", strings.Repeat("x", 72), strings.Repeat("y", 256), strings.Repeat("z", 1000),
		"md5" + strings.Repeat("0a", 16), "SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ==$WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=:wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU=",
		"null", "NULL", "\x01control",
	}
}

// Of forty names and forty values each pair is set: the named role changes and
// no other, and psql logs in with the value.
func TestHostileNamesAndValues(t *testing.T) {
	server, names := cluster(t), hostileNames()
	made := map[string]string{}
	for _, name := range names {
		made[name] = "LOGIN"
	}
	roles(t, made)
	instance := open(t, config(server))
	admin, err := server.Open(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = admin.Close(context.Background()) }()
	was := verifiers(t, admin)
	for _, value := range hostilePasswords() {
		var logons []postgrestest.Logon
		for _, name := range names {
			if receipt := instance.Apply(t.Context(), set(name, value)); receipt.Outcome != sdk.Applied {
				t.Errorf("%q, %.20q: %s: %v", name, value, say(receipt), receipt.Err)
			}
			logons = append(logons, postgrestest.Logon{Role: name, Value: value})
			now := verifiers(t, admin)
			for role := range now {
				if (now[role] != was[role]) != (role == name) {
					t.Fatalf("a set of %q: verifier of %q changed: %v", name, role, now[role] != was[role])
				}
			}
			was = now
		}
		if got := server.Logons(t, logons); !slices.Equal(got, names) {
			t.Errorf("%.20q: psql logs in as %d of %d roles", value, len(got), len(names))
		}
	}
	if len(names) < 40 || len(hostilePasswords()) < 40 {
		t.Errorf("%d names and %d values, want forty of each", len(names), len(hostilePasswords()))
	}
}

// verifiers are those of all roles.
func verifiers(t *testing.T, admin *pgx.Conn) map[string]string {
	t.Helper()
	rows, err := admin.Query(t.Context(), "SELECT rolname::text, coalesce(rolpassword, '') FROM pg_authid")
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]string{}
	var name, verifier string
	if _, err := pgx.ForEachRow(rows, []any{&name, &verifier}, func() error { found[name] = verifier; return nil }); err != nil {
		t.Fatal(err)
	}
	return found
}

// What is taken for a hash here, the server takes for one too: it keeps the text
// as it is. The rest it would hash, as a password in clear.
func TestNoHashThatIsTakenIsAPasswordToTheServer(t *testing.T) {
	each(t, noHashThatIsTakenIsAPasswordToTheServer)
}

func noHashThatIsTakenIsAPasswordToTheServer(t *testing.T) {
	roles(t, map[string]string{"hashed": "LOGIN"})
	instance := open(t, config(cluster(t)))
	const scram = "SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ==$WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=:wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU="
	texts := map[string]string{scram: "scram-sha-256", "md5" + strings.Repeat("0f", 16): "md5"}
	key := func(size int) string { return base64.StdEncoding.EncodeToString(make([]byte, size)) }
	stored, serverKey := "WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=", "wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU="
	for _, text := range []string{scram + " ", " " + scram, scram + "\n", scram + "$", scram + ":", strings.Replace(scram, "4096", "0", 1), strings.Replace(scram, "4096", "-1", 1), strings.Replace(scram, "4096", "99999999999", 1),
		strings.Replace(scram, "4096", "0x10", 1), strings.Replace(scram, "4096", "+4096", 1), strings.Replace(scram, "W22ZaJ0SNY7soEsUEjb6gQ==", "", 1), strings.ToLower(scram), strings.Replace(scram, stored, key(31), 1), strings.Replace(scram, stored, key(33), 1), strings.Replace(scram, serverKey, key(31), 1), strings.Replace(scram, serverKey, key(33), 1), strings.Replace(scram, serverKey, "", 1), "SCRAM-SHA-1" + scram[13:], "SCRAM-SHA-256$", ""} {
		texts[text] = "scram-sha-256"
	}
	for _, text := range []string{"md5", "md5" + strings.Repeat("0F", 16), "md5" + strings.Repeat("0f", 15), "md5" + strings.Repeat("0f", 17), "MD5" + strings.Repeat("0f", 16), "md5" + strings.Repeat("0g", 16)} {
		texts[text] = "md5"
	}
	for position := range scram { // each character lost, and each made another
		texts[scram[:position]+scram[position+1:]] = "scram-sha-256"
		texts[scram[:position]+"!"+scram[position+1:]] = "scram-sha-256"
	}
	taken := 0
	for text, format := range texts {
		op := set("hashed", text)
		op.HashFormat = format
		receipt := instance.Apply(t.Context(), op)
		if receipt.Outcome != sdk.Applied {
			want(t, receipt, "refused InvalidOperation")
			continue
		}
		taken++
		if kept := sql(t, "SELECT rolpassword FROM pg_authid WHERE rolname = 'hashed'")[0]; kept != text {
			t.Errorf("%q is kept as %q", text, kept)
		}
	}
	if taken < 2 {
		t.Errorf("%d hashes were taken, want those that are well-formed", taken)
	}
}

// With every statement in the log, those that fail included, no value is there.
func TestNoValueIsInTheServersLog(t *testing.T) { each(t, noValueIsInTheServersLog) }

func noValueIsInTheServersLog(t *testing.T) {
	server := cluster(t)
	roles(t, map[string]string{"logged": "LOGIN", "logged root": "LOGIN SUPERUSER", "cleartext_one": "LOGIN"})
	instance := open(t, config(server))
	var values []string
	for number, account := range []string{"logged", "logged root", "nobody to log", "logged", "cleartext_one"} {
		value := fmt.Sprintf("canary-%d-Zq8!", number)
		values = append(values, value)
		_ = instance.Apply(t.Context(), set(account, value))
		_, _ = instance.Verify(t.Context(), account, "", secret.New(value))
		_, _ = instance.Verify(t.Context(), account, "", secret.New(value+"wrong"))
	}
	log := server.Log()
	if !strings.Contains(log, `ALTER ROLE "logged root" PASSWORD`) || !strings.Contains(log, "ERROR:") {
		t.Fatal("the server logs no statements: the test shows nothing")
	}
	for _, value := range values {
		if strings.Contains(log, value) {
			t.Errorf("%s is in the log", value)
		}
	}
}
