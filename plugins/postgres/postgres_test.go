package postgres_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/rekey-host/rekey/plugins/internal/reachtest"
	"github.com/rekey-host/rekey/plugins/postgres"
	"github.com/rekey-host/rekey/plugins/postgres/postgrestest"
	"github.com/rekey-host/rekey/sdk"
	"github.com/rekey-host/rekey/sdk/secret"
)

func quote(name string) string { return pgx.Identifier{name}.Sanitize() }

// config is what a script would give, over the socket unless more says otherwise.
func config(server *postgrestest.Server, more ...any) sdk.Config {
	made := sdk.Config{Label: "postgres", Concurrency: 8, Timeout: 20 * time.Second,
		Values:  map[string]any{"url": server.URL, "insecure": true, "user": server.User, "iterations": int64(1)},
		Secrets: map[string]secret.Value{"password": secret.New(server.Password)},
	}
	for index := 0; index < len(more); index += 2 {
		made.Values[more[index].(string)] = more[index+1]
	}
	return made
}

func open(t testing.TB, config sdk.Config) *postgres.Instance {
	t.Helper()
	instance, err := postgres.New().Configure(t.Context(), config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = instance.Close() })
	return instance.(*postgres.Instance)
}

// roles makes roles, by the words of CREATE ROLE, for the time of the test.
func roles(t testing.TB, made map[string]string) {
	t.Helper()
	server := cluster(t)
	for name, words := range made {
		sql(t, "CREATE ROLE "+quote(name)+" "+words)
		if !strings.Contains(words, "SUPERUSER") {
			admits(t, name, "rotator")
		}
		t.Cleanup(func() { _, _ = server.SQL(context.Background(), "DROP ROLE IF EXISTS "+quote(name)) })
	}
}

func set(account, value string) sdk.Operation {
	return sdk.Operation{ID: account, Attempt: 1, Verb: sdk.Set, Account: account, Value: secret.New(value)}
}

// say is a receipt in a few words.
func say(receipt sdk.Receipt) string {
	text := receipt.Outcome.String()
	if receipt.Err != nil {
		text += " " + string(receipt.Err.Code)
		for _, violation := range receipt.Err.Violations {
			text += " " + string(violation.Rule)
		}
	}
	return text
}

func want(t *testing.T, receipt sdk.Receipt, want string) {
	t.Helper()
	if got := say(receipt); got != want {
		t.Errorf("got %s (%v), want %s", got, receipt.Err, want)
	}
}

// logsOn reports whether psql logs in.
func logsOn(t testing.TB, role, value string) bool {
	t.Helper()
	return len(cluster(t).Logons(t, []postgrestest.Logon{{Role: role, Value: value}})) == 1
}

const accounts = 2000

func TestTwoThousandRolesAreSetAndLogIn(t *testing.T) {
	server := cluster(t)
	sql(t, fmt.Sprintf(`DO $$ BEGIN FOR n IN 0..%d LOOP EXECUTE format('CREATE ROLE %%I LOGIN', 'bulk-' || n); END LOOP; END $$`, accounts-1),
		"CREATE ROLE staff", "GRANT staff TO \"bulk-7\", \"bulk-8\"")
	t.Cleanup(func() {
		_, _ = server.SQL(context.Background(), fmt.Sprintf(`DO $$ BEGIN FOR n IN 0..%d LOOP EXECUTE format('DROP ROLE %%I', 'bulk-' || n); END LOOP; END $$`, accounts-1), "DROP ROLE staff")
	})
	instance := open(t, config(server))
	logons := make([]postgrestest.Logon, accounts)
	var workers sync.WaitGroup
	for worker := range 8 {
		workers.Go(func() {
			for number := worker; number < accounts; number += 8 {
				logons[number] = postgrestest.Logon{Role: fmt.Sprint("bulk-", number), Value: fmt.Sprint("Valüe $", number)}
				if receipt := instance.Apply(t.Context(), set(logons[number].Role, logons[number].Value)); receipt.Outcome != sdk.Applied {
					t.Errorf("%s: %v", logons[number].Role, receipt.Err)
				}
			}
		})
	}
	workers.Wait()
	for number, name := range server.Logons(t, logons) {
		if name != logons[number].Role {
			t.Fatalf("logon %d is %q, want %q", number, name, logons[number].Role)
		}
		logons[number].Role = ""
	}
	if left := slices.IndexFunc(logons, func(logon postgrestest.Logon) bool { return logon.Role != "" }); left >= 0 {
		t.Errorf("psql does not log in as %s", logons[left].Role)
	}
	wantListed(t, instance)
}

func wantListed(t *testing.T, instance *postgres.Instance) {
	t.Helper()
	for filter, want := range map[string]int{
		`rolname LIKE 'bulk-%'`:                                      accounts,
		`rolname LIKE 'bulk-1%' AND NOT rolsuper`:                    1111,
		`NOT rolsuper AND pg_has_role(oid, 'staff', 'member') -- no`: 2,
	} {
		names := map[string]sdk.Account{}
		if err := instance.List(t.Context(), filter, []string{"memberof", "rolconnlimit"}, func(account sdk.Account) error {
			names[account.Account] = account
			return nil
		}); err != nil || len(names) != want {
			t.Errorf("List(%s): %d roles, %v, want %d", filter, len(names), err, want)
		}
		if seven, ok := names["bulk-7"]; ok && (seven.Attributes["memberof"] != "staff" || seven.Attributes["rolconnlimit"] != "-1" || seven.Status != sdk.StatusActive) {
			t.Errorf("List: %+v", seven)
		}
	}
	for _, filter := range []string{"no such column", "pg_sleep(", "nextval('x') > 0", "1/0 = 1", "true; DROP ROLE staff"} {
		if err := instance.List(t.Context(), filter, nil, func(sdk.Account) error { return nil }); err == nil || sdk.AsError(err, "").Code != sdk.InvalidOperation {
			t.Errorf("List(%s): %v", filter, err)
		}
	}
	err := instance.List(t.Context(), "", []string{"rolpassword"}, func(sdk.Account) error { return nil })
	if failure := sdk.AsError(err, ""); failure == nil || failure.Code != sdk.InvalidOperation {
		t.Errorf("List with verifiers: %v", err)
	}
}

func TestEachRefusalIsToldByItsCode(t *testing.T) { each(t, eachRefusalIsToldByItsCode) }

func eachRefusalIsToldByItsCode(t *testing.T) {
	server := cluster(t)
	roles(t, map[string]string{
		"plain": "LOGIN", "weak rotator": "LOGIN PASSWORD 'weak-secret'", "root two": "LOGIN SUPERUSER", "replicator": "LOGIN REPLICATION",
		"read only": "LOGIN CREATEROLE PASSWORD 'read-secret'", "other rotator": "LOGIN CREATEROLE PASSWORD 'other-secret'",
	})
	replication := "refused PermissionDenied"
	if newest(t) {
		replication = "applied" // since PostgreSQL 16, with ADMIN OPTION
	}
	sql(t, "ALTER ROLE \"read only\" SET default_transaction_read_only = on")
	as := func(user, password string) *postgres.Instance {
		made := config(server, "user", user)
		made.Secrets = map[string]secret.Value{"password": secret.New(password)}
		return open(t, made)
	}
	rotator := open(t, config(server))
	edit := func(change func(*sdk.Operation)) sdk.Operation {
		op := set("plain", "a new value")
		change(&op)
		return op
	}
	for _, test := range []struct {
		name     string
		instance *postgres.Instance
		op       sdk.Operation
		want     string
	}{
		{"good", rotator, set("plain", "a new value"), "applied"},
		{"unknown", rotator, set("nobody", "a new value"), "refused AccountNotFound"},
		{"other case", rotator, set("Plain", "a new value"), "refused AccountNotFound"},
		{"public", rotator, set("public", "a new value"), "refused AccountNotFound"},
		{"none", rotator, set("none", "a new value"), "refused Protected"},
		{"a role of the server's own", rotator, set("pg_read_all_data", "a new value"), "refused Protected"},
		{"a superuser", rotator, set("root two", "a new value"), "refused Protected"},
		{"a role of replication", rotator, set("replicator", "a new value"), replication},
		{"itself", rotator, set("rotator", "a new value"), "refused Protected"},
		{"another that rotates", rotator, set("other rotator", "a new value"), "applied"},
		{"no right", as("weak rotator", "weak-secret"), set("plain", "a new value"), "refused PermissionDenied"},
		{"read only", as("read only", "read-secret"), set("plain", "a new value"), "refused ReadOnly"},
		{"wrong password of rekey", as("rotator", "wrong"), set("plain", "a new value"), "refused LoginExpired"},
		{"no such role of rekey", as("nobody", "wrong"), set("plain", "a new value"), "refused LoginExpired"},
		{"a superuser by a superuser", as("root one", "root-secret"), set("root two", "a new value"), "refused LoginExpired"},
		{"name too long", rotator, set(strings.Repeat("n", 64), "a new value"), "refused InvalidOperation"},
		{"name too long by an accent", rotator, set(strings.Repeat("é", 32), "a new value"), "refused InvalidOperation"},
		{"name with a NUL", rotator, set("pl\x00ain", "a new value"), "refused InvalidOperation"},
		{"name that is not UTF-8", rotator, set("pl\xffain", "a new value"), "refused InvalidOperation"},
		{"ligature", rotator, set("plain", "eﬃcient value"), "refused PolicyViolation encoding"},
		{"wide space", rotator, set("plain", "wide\u00a0space"), "refused PolicyViolation encoding"},
		{"without width", rotator, set("plain", "soft\u00adhyphen"), "refused PolicyViolation encoding"},
		{"accent alone", rotator, set("plain", "e\u0301"), "refused PolicyViolation encoding"},
		{"NUL", rotator, set("plain", "a\x00b"), "refused PolicyViolation forbidden_characters"},
		{"valid for no time", rotator, edit(func(op *sdk.Operation) { op.Options = map[string]any{"valid_days": int64(0)} }), "refused InvalidOperation"},
		{"valid until nonsense", rotator, edit(func(op *sdk.Operation) { op.Options = map[string]any{"valid_until": "tomorrow'"} }), "refused InvalidOperation"},
		{"malformed verifier", rotator, edit(func(op *sdk.Operation) { op.HashFormat = "scram-sha-256" }), "refused InvalidOperation"},
		{"md5 in capitals", rotator, edit(func(op *sdk.Operation) {
			op.HashFormat, op.Value = "md5", secret.New("md5"+strings.Repeat("AB", 16))
		}), "refused InvalidOperation"},
		{"unknown hash", rotator, edit(func(op *sdk.Operation) { op.HashFormat = "bcrypt" }), "refused Unsupported"},
	} {
		t.Run(test.name, func(t *testing.T) { want(t, test.instance.Apply(t.Context(), test.op), test.want) })
	}
	if !logsOn(t, "other rotator", "a new value") || !logsOn(t, "plain", "a new value") {
		t.Error("psql does not log in with what was set")
	}
}

func TestVerifyTellsWhyARoleCannotLogIn(t *testing.T) { each(t, verifyTellsWhyARoleCannotLogIn) }

func verifyTellsWhyARoleCannotLogIn(t *testing.T) {
	server := cluster(t)
	roles(t, map[string]string{
		"active": "LOGIN", "group": "NOLOGIN", "old": "LOGIN VALID UNTIL '2020-01-01'", "full": "LOGIN CONNECTION LIMIT 0",
		"without": "LOGIN", "trusted_one": "LOGIN", "cleartext_one": "LOGIN", "nowhere_one": "LOGIN", "encrypted_one": "LOGIN",
	})
	instance := open(t, config(server))
	const value = "the right value"
	for _, name := range []string{"active", "group", "old", "full", "trusted_one", "cleartext_one", "nowhere_one", "encrypted_one"} {
		want(t, instance.Apply(t.Context(), set(name, value)), "applied")
	}
	for _, test := range []struct {
		account, value string
		want           sdk.Verdict
		code           sdk.Code
	}{
		{"active", value, sdk.Accepted, ""},
		{"active", "another", sdk.Rejected, ""},
		{"active", strings.ToUpper(value), sdk.Rejected, ""},
		{"group", value, sdk.Blocked, ""},
		{"group", "another", sdk.Rejected, ""},
		{"old", value, sdk.Blocked, ""},
		{"full", value, sdk.Accepted, ""},
		{"without", value, sdk.Rejected, ""},
		{"nobody", value, sdk.CannotTell, sdk.AccountNotFound},
		{"active" + strings.Repeat("n", 60), value, sdk.CannotTell, sdk.InvalidOperation},
		{"active", "", sdk.CannotTell, sdk.InvalidOperation},
		{"trusted_one", "another", sdk.CannotTell, sdk.Unsupported},
		{"cleartext_one", value, sdk.CannotTell, sdk.Unsupported},
		{"nowhere_one", value, sdk.CannotTell, sdk.Unsupported},
		{"encrypted_one", value, sdk.CannotTell, sdk.Unsupported},
	} {
		got, err := instance.Verify(t.Context(), test.account, "", secret.New(test.value))
		code := sdk.Code("")
		if err != nil {
			code = sdk.AsError(err, sdk.Internal).Code
		}
		if got != test.want || code != test.code {
			t.Errorf("Verify(%q, %q) = %v, %v, want %v %s", test.account, test.value, got, err, test.want, test.code)
		}
	}
	sql(t, "REVOKE CONNECT ON DATABASE postgres FROM PUBLIC")
	defer sql(t, "GRANT CONNECT ON DATABASE postgres TO PUBLIC")
	if got, err := instance.Verify(t.Context(), "active", "", secret.New(value)); got != sdk.Accepted || err != nil {
		t.Errorf("Verify of a role that may not use the database: %v, %v, want accepted", got, err)
	}
}

func TestFindTellsTheStateAndTheStamp(t *testing.T) { each(t, findTellsTheStateAndTheStamp) }

func findTellsTheStateAndTheStamp(t *testing.T) {
	server := cluster(t)
	roles(t, map[string]string{"active": "LOGIN", "group": "NOLOGIN", "old": "LOGIN VALID UNTIL '2020-01-01'"})
	instance := open(t, config(server))
	for name, status := range map[string]sdk.Status{"active": sdk.StatusActive, "group": sdk.StatusDisabled, "old": sdk.StatusExpired} {
		found, err := instance.Find(t.Context(), name)
		oid := sql(t, "SELECT oid FROM pg_roles WHERE rolname = '"+name+"'")[0]
		if err != nil || found.Status != status || found.ID != oid || found.Stamp != "" {
			t.Errorf("Find(%s) = %+v, %v, want %s, %s and no stamp", name, found, err, status, oid)
		}
	}
	sql(t, "GRANT SELECT ON pg_authid TO rotator")
	defer sql(t, "REVOKE SELECT ON pg_authid FROM rotator")
	seeing := open(t, config(server))
	receipt := seeing.Apply(t.Context(), set("active", "a new value"))
	if found, err := seeing.Find(t.Context(), "active"); err != nil || found.Stamp == "" || found.Stamp != receipt.Stamp {
		t.Errorf("stamps: the receipt says %q, Find %q, %v", receipt.Stamp, found.Stamp, err)
	}
}

func TestValidUntilIsKeptOrSet(t *testing.T) { each(t, validUntilIsKeptOrSet) }

func validUntilIsKeptOrSet(t *testing.T) {
	roles(t, map[string]string{"timed": "LOGIN VALID UNTIL '2031-05-06 07:08:09+00'"})
	instance := open(t, config(cluster(t)))
	for _, test := range []struct {
		options map[string]any
		want    string
	}{
		{nil, "2031-05-06 07:08:09+00"},
		{map[string]any{"valid_until": "2032-01-31"}, "2032-01-31 00:00:00+00"},
		{map[string]any{"valid_until": "2032-01-31T18:00:00+02:00"}, "2032-01-31 16:00:00+00"},
		{map[string]any{"valid_until": "infinity"}, "infinity"},
		{map[string]any{"valid_days": int64(90)}, time.Now().UTC().AddDate(0, 0, 90).Format(time.DateOnly)},
	} {
		op := set("timed", "a new value")
		op.Options = test.options
		want(t, instance.Apply(t.Context(), op), "applied")
		if got := sql(t, "SET timezone = 'UTC'", "SELECT rolvaliduntil FROM pg_roles WHERE rolname = 'timed'")[0]; !strings.HasPrefix(got, test.want) {
			t.Errorf("%v: VALID UNTIL %s, want %s", test.options, got, test.want)
		}
	}
}

func TestResolveGivesTheOid(t *testing.T) { each(t, resolveGivesTheOid) }

func resolveGivesTheOid(t *testing.T) {
	roles(t, map[string]string{"one": "LOGIN", "two": "LOGIN"})
	server := cluster(t)
	over := open(t, config(server, "url", server.Socket))
	found, err := open(t, config(server)).Resolve(t.Context(), []string{"two", "nobody", "one", strings.Repeat("n", 64), "two"})
	if err != nil || len(found) != 5 {
		t.Fatal(found, err)
	}
	same, err := over.Resolve(t.Context(), []string{"two"})
	if err != nil || same[0] != found[0] || found[4] != found[0] || found[2] == found[0] || found[0].ID == "" {
		t.Errorf("two is %+v, over the socket %+v, one is %+v (%v)", found[0], same, found[2], err)
	}
	if found[1].Err == nil || found[1].Err.Code != sdk.AccountNotFound || found[3].Err == nil || found[3].Err.Code != sdk.InvalidOperation {
		t.Errorf("missing: %v; too long: %v", found[1].Err, found[3].Err)
	}
}

// Since PostgreSQL 16 it takes more than CREATEROLE, and the refusal says what.
func TestARoleThatRekeyDoesNotAdminister(t *testing.T) {
	t.Run(onNewest, func(t *testing.T) {
		roles(t, map[string]string{"not its own": "LOGIN"})
		sql(t, `REVOKE "not its own" FROM rotator`)
		receipt := open(t, config(cluster(t))).Apply(t.Context(), set("not its own", "a new value"))
		want(t, receipt, "refused PermissionDenied")
		if receipt.Err != nil && !strings.Contains(receipt.Err.Message, "needs ADMIN OPTION on the role") {
			t.Errorf("%v does not say what is missing", receipt.Err)
		}
	})
}

// A statement whose answer is lost may have been done: it is never told as
// refused, and a verify finds out.
func TestALostAnswerIsUnknown(t *testing.T) { each(t, aLostAnswerIsUnknown) }

func aLostAnswerIsUnknown(t *testing.T) {
	server := cluster(t)
	roles(t, map[string]string{"cut": "LOGIN"})
	relay := reachtest.NewRelay(t, server.Address)
	instance := open(t, config(server, "url", "postgres://127.0.0.1:"+relay.Port))
	want(t, instance.Apply(t.Context(), set("cut", "the first")), "applied")
	for fault, value := range map[reachtest.Fault]string{reachtest.CutRequest: "the first", reachtest.CutAnswer: "the second"} {
		relay.Next(fault, "ALTER ROLE")
		want(t, instance.Apply(t.Context(), set("cut", "the second")), "unknown ConnectionLost")
		for deadline := time.Now().Add(5 * time.Second); ; time.Sleep(10 * time.Millisecond) {
			got, err := instance.Verify(t.Context(), "cut", "", secret.New(value))
			if got == sdk.Accepted {
				break
			}
			if time.Now().After(deadline) {
				t.Fatalf("fault %d: %v, %v", fault, got, err)
			}
		}
		want(t, instance.Apply(t.Context(), set("cut", "the first")), "applied")
	}
	relay.Drop()
	want(t, instance.Apply(t.Context(), set("cut", "over a new connection")), "applied")
	relay.Stop()
	want(t, instance.Apply(t.Context(), set("cut", "nowhere")), "refused Unreachable")
}

// Where a statement is cut off at its deadline the server is asked what became
// of it.
func TestAStatementThatIsCutOffIsSettled(t *testing.T) { each(t, aStatementThatIsCutOffIsSettled) }

func aStatementThatIsCutOffIsSettled(t *testing.T) {
	server := cluster(t)
	roles(t, map[string]string{"slow": "LOGIN"})
	instance := open(t, config(server))
	want(t, instance.Apply(t.Context(), set("slow", "the first")), "applied")
	conn, err := pgx.Connect(t.Context(), strings.Replace(server.URL, "//", "//rotator:"+server.Password+"@", 1)+"/postgres?sslmode=disable")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close(context.Background()) }()
	tx, err := conn.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := tx.Exec(t.Context(), "ALTER ROLE slow CONNECTION LIMIT 5"); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	want(t, instance.Apply(ctx, set("slow", "the second")), "refused Timeout")
	if err := tx.Commit(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got, err := instance.Verify(t.Context(), "slow", "", secret.New("the first")); got != sdk.Accepted {
		t.Errorf("after a statement that was cut off: %v, %v", got, err)
	}
}

// Changes of one role at once meet each other, and all are done.
func TestManyChangesOfOneRoleAreDone(t *testing.T) { each(t, manyChangesOfOneRoleAreDone) }

func manyChangesOfOneRoleAreDone(t *testing.T) {
	roles(t, map[string]string{"busy": "LOGIN"})
	instance := open(t, config(cluster(t)))
	var workers sync.WaitGroup
	for worker := range 8 {
		workers.Go(func() {
			if receipt := instance.Apply(t.Context(), set("busy", fmt.Sprint("value ", worker))); receipt.Outcome != sdk.Applied {
				t.Errorf("%s: %v", say(receipt), receipt.Err)
			}
		})
	}
	workers.Wait()
}

func TestCheckSaysWhatIsMissing(t *testing.T) { each(t, checkSaysWhatIsMissing) }

func checkSaysWhatIsMissing(t *testing.T) {
	server := cluster(t)
	roles(t, map[string]string{"weak rotator": "LOGIN PASSWORD 'weak-secret'", "ending": fmt.Sprintf("LOGIN CREATEROLE PASSWORD 'ending-secret' VALID UNTIL '%s'", time.Now().AddDate(0, 0, 3).Format(time.DateOnly))})
	for _, test := range []struct {
		name   string
		config sdk.Config
		secret string
		code   sdk.Code
		want   string
	}{
		{"good", config(server), server.Password, "", "log_statement = all"},
		{"no right", config(server, "user", "weak rotator"), "weak-secret", sdk.PermissionDenied, "may not change roles"},
		{"ending", config(server, "user", "ending"), "ending-secret", "", "its password (VALID UNTIL) ends in"},
		{"wrong password", config(server), "wrong", sdk.LoginExpired, "refuses the logon"},
		{"no such database", config(server, "database", "nowhere"), server.Password, sdk.InvalidConfig, `database "nowhere" does not exist`},
		{"nothing there", config(server, "url", "postgres://127.0.0.1:9"), server.Password, sdk.Unreachable, "nothing listens"},
		{"good by TLS", config(server, "insecure", false, "ca_file", server.CAFile), server.Password, "", "log_statement = all"},
		{"TLS of a stranger", config(server, "insecure", false), server.Password, sdk.InvalidConfig, "ca_file names the authority"},
		{"TLS for another name", config(server, "insecure", false, "ca_file", server.CAFile, "server_name", "db.acme.example"), server.Password, sdk.InvalidConfig, "is for localhost"},
	} {
		t.Run(test.name, func(t *testing.T) {
			test.config.Secrets = map[string]secret.Value{"password": secret.New(test.secret)}
			found := open(t, test.config).Check(t.Context())
			fits := func(finding sdk.Finding) bool {
				return finding.Code == test.code && strings.Contains(finding.Message, test.want)
			}
			if slices.ContainsFunc(found, fits) && (test.code != "" || !slices.ContainsFunc(found, func(finding sdk.Finding) bool { return finding.Severity == sdk.Bad })) {
				return
			}
			t.Errorf("%+v, want %s: …%s", found, test.code, test.want)
		})
	}
	for _, values := range []map[string]any{{"url": server.URL}, {"url": "postgres://db.acme.example"}} {
		values["user"] = "rotator"
		instance := open(t, sdk.Config{Values: values, Secrets: map[string]secret.Value{"password": secret.New(server.Password)}, Timeout: time.Second})
		if receipt := instance.Apply(t.Context(), set("plain", "a new value")); receipt.Outcome != sdk.Refused {
			t.Errorf("%v: %s", values, say(receipt))
		}
	}
}

// A cluster with passwordcheck, without TLS, and stopped and started.
func TestAnotherCluster(t *testing.T) {
	server := postgrestest.Start(t, postgrestest.Options{Settings: []string{"shared_preload_libraries = 'passwordcheck'"}})
	t.Cleanup(server.Remove)
	if _, err := server.SQL(t.Context(), "CREATE ROLE ann LOGIN", "GRANT pg_read_all_settings TO rotator", "CREATE ROLE blind LOGIN CREATEROLE PASSWORD 'n0-sight-secret'"); err != nil {
		t.Fatal(err)
	}
	instance := open(t, config(server))
	t.Run("policy", func(t *testing.T) {
		for value, wanted := range map[string]string{
			"short1": "refused PolicyViolation min_length", "only letters": "applied", "onlyletters": "refused PolicyViolation non_letters",
			"1234567890": "refused PolicyViolation letters", "x-ANN-12345": "refused PolicyViolation contains_name",
		} {
			want(t, instance.Apply(t.Context(), set("ann", value)), wanted)
		}
		rules, err := instance.Policy(t.Context(), "ann", "")
		if err != nil || rules.MinLength != 8 || rules.Letters != 1 || rules.NonLetters != 1 || !rules.NoAccountName {
			t.Errorf("Policy: %+v, %v", rules, err)
		}
	})
	t.Run("a policy that rekey may not see", func(t *testing.T) {
		made := config(server, "user", "blind")
		made.Secrets = map[string]secret.Value{"password": secret.New("n0-sight-secret")}
		want(t, open(t, made).Apply(t.Context(), set("ann", "ann")), "refused PolicyViolation contains_name") // the server's own word
	})
	t.Run("no TLS", func(t *testing.T) {
		found := open(t, config(server, "insecure", false)).Check(t.Context())
		if len(found) != 1 || found[0].Code != sdk.InsecureTransport {
			t.Errorf("%+v, want InsecureTransport", found)
		}
	})
	t.Run("stopped and started", func(t *testing.T) {
		want(t, instance.Apply(t.Context(), set("ann", "before it stops")), "applied")
		server.Stop()
		want(t, instance.Apply(t.Context(), set("ann", "while it is away")), "refused Unreachable")
		if got, err := instance.Verify(t.Context(), "ann", "", secret.New("before it stops")); got != sdk.CannotTell || err == nil {
			t.Errorf("Verify while it is away: %v, %v", got, err)
		}
		if err := server.Start(); err != nil {
			t.Fatal(err)
		}
		want(t, instance.Apply(t.Context(), set("ann", "after its start")), "applied")
	})
	t.Run("a replica", func(t *testing.T) {
		server.Stop()
		if err := errors.Join(server.Standby(), server.Start()); err != nil {
			t.Fatal(err)
		}
		replica := open(t, config(server))
		want(t, replica.Apply(t.Context(), set("ann", "of a replica")), "refused ReadOnly")
		want(t, instance.Apply(t.Context(), set("ann", "of what is a replica now")), "refused ReadOnly")
		if found := replica.Check(t.Context()); !slices.ContainsFunc(found, func(one sdk.Finding) bool { return one.Severity == sdk.Bad && one.Code == sdk.ReadOnly }) {
			t.Errorf("Check: %+v, want that it takes no writes", found)
		}
	})
}
