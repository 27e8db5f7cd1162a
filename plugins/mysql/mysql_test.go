package mysql_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/rekey-host/rekey/plugins/internal/reachtest"
	"github.com/rekey-host/rekey/plugins/mysql"
	"github.com/rekey-host/rekey/plugins/mysql/mysqltest"
	"github.com/rekey-host/rekey/sdk"
	"github.com/rekey-host/rekey/sdk/secret"
)

// config is what a script would give.
func config(running *mysqltest.Server, more ...any) sdk.Config {
	made := sdk.Config{Label: "mysql", Concurrency: 64, Timeout: 20 * time.Second,
		Values:  map[string]any{"url": running.URL, "insecure": true, "user": running.User},
		Secrets: map[string]secret.Value{"password": secret.New(running.Password)},
	}
	for index := 0; index < len(more); index += 2 {
		made.Values[more[index].(string)] = more[index+1]
	}
	return made
}

func as(made sdk.Config, user, password string) sdk.Config {
	made.Values["user"], made.Secrets = user, map[string]secret.Value{"password": secret.New(password)}
	return made
}

func open(t testing.TB, config sdk.Config) *mysql.Instance {
	t.Helper()
	instance, err := mysql.New().Configure(t.Context(), config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = instance.Close() })
	return instance.(*mysql.Instance)
}

func set(account, value string) sdk.Operation {
	return sdk.Operation{ID: account, Attempt: 1, Verb: sdk.Set, Account: account, Value: secret.New(value)}
}

func must(op sdk.Operation) sdk.Operation {
	yes := true
	op.MustChange = &yes
	return op
}

// say is a receipt in a few words.
func say(receipt sdk.Receipt) string {
	text := receipt.Outcome.String()
	if receipt.Err != nil {
		text += " " + string(receipt.Err.Code)
	}
	return text
}

func want(t *testing.T, receipt sdk.Receipt, want string) {
	t.Helper()
	if got := say(receipt); got != want {
		t.Errorf("got %s (%v), want %s", got, receipt.Err, want)
	}
}

func wantVerdict(t *testing.T, instance *mysql.Instance, account, value string, want sdk.Verdict, code sdk.Code) {
	t.Helper()
	got, err := instance.Verify(t.Context(), account, "", secret.New(value))
	have := sdk.Code("")
	if err != nil {
		have = sdk.AsError(err, sdk.Internal).Code
	}
	if got != want || have != code {
		t.Errorf("Verify(%q, %q) = %v, %v, want %v %s", account, value, got, err, want, code)
	}
}

// One account is read without the view from which a list comes: both tell the same.
func TestOneAccountIsToldAsInAList(t *testing.T) {
	running := server(t)
	made := map[string]string{
		"told": "IDENTIFIED BY 'a'", "told locked": "IDENTIFIED BY 'a' ACCOUNT LOCK", "told expired": "IDENTIFIED BY 'a' PASSWORD EXPIRE",
		"told by key": "IDENTIFIED VIA ed25519 USING PASSWORD('a')", "told elsewhere": "IDENTIFIED VIA unix_socket", "told twice": "IDENTIFIED VIA unix_socket OR mysql_native_password USING PASSWORD('a')",
		"told nothing": "",
	}
	for name, words := range made {
		if _, err := running.SQL(t.Context(), "CREATE USER `"+name+"` "+words); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _, _ = running.SQL(context.Background(), "DROP USER `"+name+"`") })
	}
	instance, count := open(t, config(running)), 0
	err := instance.List(t.Context(), "User LIKE 'told%'", nil, func(listed sdk.Account) error {
		listed.Attributes = nil
		found, err := instance.Find(t.Context(), listed.Account)
		if diff := cmp.Diff(listed, found); err != nil || diff != "" {
			t.Errorf("%s: %v (-listed +found):\n%s", listed.Account, err, diff)
		}
		count++
		return nil
	})
	if err != nil || count != len(made) {
		t.Errorf("List: %d, %v, want %d", count, err, len(made))
	}
}

const many = 2000

func TestTwoThousandAccountsAreSetAndLogIn(t *testing.T) {
	running := server(t)
	db, err := running.Open()
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	var names []string
	for number := range many {
		names = append(names, fmt.Sprintf("`bulk-%d`", number))
	}
	if _, err := db.Exec("CREATE USER " + strings.Join(names, ", ")); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _, _ = running.SQL(context.Background(), "DROP USER "+strings.Join(names, ", ")) })
	instance := open(t, config(running))
	var logons []mysqltest.Logon
	for first := 0; first < many; first += 64 {
		var ops []sdk.Operation
		for number := first; number < min(first+64, many); number++ {
			ops = append(ops, set(fmt.Sprint("bulk-", number), fmt.Sprint("Valüe $", number)))
			logons = append(logons, mysqltest.Logon{User: fmt.Sprint("bulk-", number), Value: fmt.Sprint("Valüe $", number)})
		}
		for index, receipt := range instance.ApplyBatch(t.Context(), ops) {
			if receipt.Outcome != sdk.Applied {
				t.Errorf("%s: %v", ops[index].Account, receipt.Err)
			}
		}
	}
	for number, name := range running.Logons(t, logons) {
		if name != logons[number].User+"@%" {
			t.Fatalf("PyMySQL as %s: %s", logons[number].User, name)
		}
	}
	for filter, want := range map[string]int{"User LIKE 'bulk-%'": many, "User LIKE 'bulk-1%' AND Host = '%' -- no": 1111} {
		count := 0
		err := instance.List(t.Context(), filter, []string{"plugin", "host"}, func(account sdk.Account) error {
			count++
			if account.Status != sdk.StatusActive || account.Attributes["plugin"] != "mysql_native_password" || account.Attributes["host"] != "%" {
				t.Fatalf("%+v", account)
			}
			return nil
		})
		if err != nil || count != want {
			t.Errorf("List(%s): %d, %v, want %d", filter, count, err, want)
		}
	}
	for _, filter := range []string{"no such column", "sleep(", "1=1; DROP USER root"} {
		if err := instance.List(t.Context(), filter, nil, func(sdk.Account) error { return nil }); err == nil || sdk.AsError(err, "").Code != sdk.InvalidOperation {
			t.Errorf("List(%s): %v", filter, err)
		}
	}
	if err := instance.List(t.Context(), "", []string{"authentication_string"}, func(sdk.Account) error { return nil }); err == nil {
		t.Error("List gives hashes away")
	}
}

func TestEachRefusalIsToldByItsCode(t *testing.T) {
	running := server(t)
	accounts(t, map[string]string{
		"plain@%": "", "weak@%": "IDENTIFIED BY 'weak-secret'", "blind@%": "IDENTIFIED BY 'blind-secret'", "rival@%": "IDENTIFIED BY 'rival-secret'",
		"socket@%": "IDENTIFIED VIA unix_socket", "both@%": "IDENTIFIED VIA mysql_native_password USING PASSWORD('x') OR unix_socket", "boss@%": "", "second@%": "IDENTIFIED BY 'second-secret'",
		"secure@%": "IDENTIFIED BY 'secure-secret' REQUIRE SSL", "locked@%": "IDENTIFIED BY 'locked-secret' ACCOUNT LOCK", "expired@%": "IDENTIFIED BY 'expired-secret' PASSWORD EXPIRE",
	})
	query(t, "GRANT SUPER ON *.* TO boss@'%'", "GRANT SELECT ON mysql.user TO weak@'%'", "GRANT SELECT ON mysql.global_priv TO weak@'%'", "GRANT CREATE USER ON *.* TO blind@'%'", "CREATE ROLE staff")
	defer query(t, "DROP ROLE staff")
	rotator := open(t, config(running))
	edit := func(change func(*sdk.Operation)) sdk.Operation {
		op := set("plain", "a new value")
		change(&op)
		return op
	}
	for _, test := range []struct {
		name     string
		instance *mysql.Instance
		op       sdk.Operation
		want     string
	}{
		{"good", rotator, set("plain", "a new value"), "applied"},
		{"good, with its host", rotator, set("plain@%", "a new value"), "applied"},
		{"unknown", rotator, set("nobody", "a new value"), "refused AccountNotFound"},
		{"unknown host", rotator, set("plain@localhost", "a new value"), "refused AccountNotFound"},
		{"other case", rotator, set("Plain", "a new value"), "refused AccountNotFound"},
		{"with a space", rotator, set("plain @%", "a new value"), "refused InvalidOperation"},
		{"no user", rotator, set("@%", "a new value"), "refused InvalidOperation"},
		{"no host", rotator, set("plain@", "a new value"), "refused InvalidOperation"},
		{"a character that is replaced", rotator, set("plain🔑", "a new value"), "refused InvalidOperation"},
		{"a role", rotator, set("staff", "a new value"), "refused AccountNotFound"},
		{"itself", rotator, set("rotator", "a new value"), "refused Protected"},
		{"one of the server's own", rotator, set("mariadb.sys@localhost", "a new value"), "refused Protected"},
		{"with SUPER", rotator, set("boss", "a new value"), "refused Protected"},
		{"root", rotator, set("root@localhost", "a new value"), "refused Protected"},
		{"by the socket", rotator, set("socket", "a new value"), "refused NoCredential"},
		{"by two ways", rotator, set("both", "a new value"), "refused Unsupported"},
		{"locked", rotator, set("locked", "a new value"), "applied"},
		{"no right to set", open(t, as(config(running), "weak", "weak-secret")), set("plain", "a new value"), "refused PermissionDenied"},
		{"no right to read", open(t, as(config(running), "blind", "blind-secret")), set("plain", "a new value"), "refused PermissionDenied"},
		{"wrong password of rekey", open(t, as(config(running), "rotator", "wrong")), set("plain", "a new value"), "refused LoginExpired"},
		{"rekey is locked", open(t, as(config(running), "locked", "a new value")), set("plain", "a new value"), "refused LoginExpired"},
		{"rekey has to change it", open(t, as(config(running), "expired", "expired-secret")), set("plain", "a new value"), "refused LoginExpired"},
		{"without TLS where it is wanted", open(t, as(config(running), "secure", "secure-secret")), set("plain", "a new value"), "refused LoginExpired"},
		{"empty", rotator, set("plain", ""), "refused PolicyViolation"},
		{"NUL", rotator, set("plain", "a\x00b"), "refused PolicyViolation"},
		{"retained", rotator, edit(func(op *sdk.Operation) { op.Options = map[string]any{"retain_current": true} }), "refused Unsupported"},
		{"malformed hash", rotator, edit(func(op *sdk.Operation) { op.HashFormat = "mysql_native_password" }), "refused InvalidOperation"},
		{"a hash of MySQL", rotator, edit(func(op *sdk.Operation) {
			op.HashFormat, op.Value = "caching_sha2_password", secret.New("$A$005$"+strings.Repeat("s", 20)+strings.Repeat("h", 43))
		}), "refused Unsupported"},
		{"unknown hash", rotator, edit(func(op *sdk.Operation) { op.HashFormat = "bcrypt" }), "refused Unsupported"},
	} {
		t.Run(test.name, func(t *testing.T) { want(t, test.instance.Apply(t.Context(), test.op), test.want) })
	}
	if got := running.Logons(t, []mysqltest.Logon{{User: "plain", Value: "a new value"}}); got[0] != "plain@%" {
		t.Errorf("PyMySQL: %s", got)
	}
}

func TestVerifyTellsWhyAnAccountCannotLogIn(t *testing.T) {
	running := server(t)
	const value = "the right value"
	accounts(t, map[string]string{
		"active@%": "", "locked@%": "ACCOUNT LOCK", "far@10.%": "", "twice@%": "", "twice@127.0.0.1": "", "thrice@%": "", "thrice@127.%": "", "curve@%": "IDENTIFIED VIA ed25519 USING PASSWORD('x')",
	})
	instance := open(t, config(running))
	for _, name := range []string{"active", "locked", "far@10.%", "twice@127.0.0.1", "thrice@127.%", "curve"} {
		want(t, instance.Apply(t.Context(), set(name, value)), "applied")
	}
	for _, name := range []string{"twice", "thrice"} {
		want(t, instance.Apply(t.Context(), set(name, value+" of any host")), "applied")
	}
	wantVerdict(t, instance, "active", value, sdk.Accepted, "")
	wantVerdict(t, instance, "active@%", value, sdk.Accepted, "")
	wantVerdict(t, instance, "active", "another", sdk.Rejected, "")
	wantVerdict(t, instance, "curve", value, sdk.Accepted, "")
	wantVerdict(t, instance, "curve", "another", sdk.Rejected, "")
	wantVerdict(t, instance, "locked", value, sdk.Blocked, "")
	wantVerdict(t, instance, "nobody", value, sdk.CannotTell, sdk.AccountNotFound)
	wantVerdict(t, instance, "far@10.%", value, sdk.CannotTell, sdk.Unsupported)
	wantVerdict(t, instance, "twice@127.0.0.1", value, sdk.Accepted, "")
	wantVerdict(t, instance, "twice@127.0.0.1", "another", sdk.Rejected, "")
	wantVerdict(t, instance, "twice", value+" of any host", sdk.CannotTell, sdk.Unsupported)
	wantVerdict(t, instance, "twice", value, sdk.CannotTell, sdk.Unsupported)
	wantVerdict(t, instance, "thrice", value+" of any host", sdk.CannotTell, sdk.Unsupported)
	want(t, instance.Apply(t.Context(), must(set("active", value))), "applied")
	wantVerdict(t, instance, "active", value, sdk.AcceptedMustChange, "")
	wantVerdict(t, instance, "active", "another", sdk.Rejected, "")
	if found, err := instance.Find(t.Context(), "active"); err != nil || found.MustChange == nil || !*found.MustChange || found.Account != "active@%" {
		t.Errorf("Find: %+v, %v", found, err)
	}
}

// What an account has beside its password stays as it was.
func TestASetLeavesTheRestAsItWas(t *testing.T) {
	accounts(t, map[string]string{"kept@%": "REQUIRE SSL WITH MAX_USER_CONNECTIONS 7 ACCOUNT LOCK PASSWORD EXPIRE INTERVAL 90 DAY", "curve@%": "IDENTIFIED VIA ed25519 USING PASSWORD('x')"})
	instance := open(t, config(server(t)))
	shape := func(name string) string {
		return query(t, "SELECT JSON_REMOVE(Priv, '$.authentication_string', '$.password_last_changed') FROM mysql.global_priv WHERE User = '"+name+"'")[0]
	}
	for _, name := range []string{"kept", "curve"} {
		before := shape(name)
		want(t, instance.Apply(t.Context(), set(name, "a new value")), "applied")
		if after := shape(name); name == "curve" && after != before || name == "kept" && !strings.Contains(after, `"account_locked": true`) {
			t.Errorf("%s: %s before, %s after", name, before, after)
		}
	}
	if got := query(t, "SHOW CREATE USER kept@'%'")[0]; !strings.Contains(got, "REQUIRE SSL") || !strings.Contains(got, "MAX_USER_CONNECTIONS 7") || !strings.Contains(got, "ACCOUNT LOCK") || !strings.Contains(got, "PASSWORD EXPIRE INTERVAL 90 DAY") {
		t.Error(got)
	}
	if receipt := instance.Unlock(t.Context(), sdk.Operation{Verb: sdk.Unlock, Account: "kept"}); receipt.Outcome != sdk.Applied {
		t.Errorf("Unlock: %v", receipt.Err)
	}
	if got := query(t, "SHOW CREATE USER kept@'%'")[0]; strings.Contains(got, "ACCOUNT LOCK") {
		t.Error(got)
	}
}

// A statement for many is not atomic: where it fails, each account gets the
// answer that is true of it.
func TestABatchTellsFailuresApart(t *testing.T) {
	running := server(t)
	accounts(t, map[string]string{"first@%": "", "gone@%": "", "last@%": ""})
	instance := open(t, config(running))
	// The account is removed after it was read, and before it is changed.
	relay := reachtest.NewRelay(t, running.Address)
	slow := open(t, config(running, "url", "mysql://127.0.0.1:"+relay.Port))
	want(t, slow.Apply(t.Context(), set("first", "warm")), "applied")
	relay.Before("ALTER USER", func() { _, _ = running.SQL(context.Background(), "DROP USER gone@'%'") })
	got := slow.ApplyBatch(t.Context(), []sdk.Operation{set("first", "value 1"), set("gone", "value 2"), set("nobody", "value 3"), set("last@%", "value 4"), set("last", "value 5")})
	for index, wanted := range []string{"applied", "refused AccountNotFound", "refused AccountNotFound", "applied", "applied"} {
		want(t, got[index], wanted)
	}
	wantVerdict(t, instance, "first", "value 1", sdk.Accepted, "")
	wantVerdict(t, instance, "last", "value 5", sdk.Accepted, "")
}

// A statement whose answer is lost may have been done: it is never told as
// refused.
func TestALostAnswerIsUnknown(t *testing.T) {
	running := server(t)
	accounts(t, map[string]string{"cut@%": ""})
	relay := reachtest.NewRelay(t, running.Address)
	instance := open(t, config(running, "url", "mysql://127.0.0.1:"+relay.Port))
	for fault, value := range map[reachtest.Fault]string{reachtest.CutRequest: "the first", reachtest.CutAnswer: "the second"} {
		want(t, instance.Apply(t.Context(), set("cut", "the first")), "applied")
		relay.Next(fault, "ALTER USER")
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
	}
	relay.Drop()
	want(t, instance.Apply(t.Context(), set("cut", "over a new connection")), "applied")
	relay.Stop()
	want(t, instance.Apply(t.Context(), set("cut", "nowhere")), "refused Unreachable")
}

// Where a statement is cut off at its deadline the server is asked what became
// of it. Behind a proxy the session has no number that is known to be its own, and
// on another server the number is another's: nothing is ended by it, and nothing is
// said.
func TestAStatementThatIsCutOffIsSettled(t *testing.T) {
	running := server(t)
	accounts(t, map[string]string{"slow@%": ""})
	relay := reachtest.NewRelay(t, running.Address)
	for _, way := range []struct {
		name, url, want string
		moved           bool // the next connection is to another server
	}{
		{"direct", "mysql://" + running.Address, "refused Timeout", false},
		{"by the socket", running.Socket, "refused Timeout", false},
		{"behind a proxy", "mysql://127.0.0.1:" + relay.Port, "unknown Timeout", false},
		{"another server", "mysql://" + running.Address, "unknown Timeout", true},
	} {
		t.Run(way.name, func(t *testing.T) {
			instance := open(t, config(running, "url", way.url))
			want(t, instance.Apply(t.Context(), set("slow", "the first")), "applied")
			db, err := running.Open()
			if err != nil {
				t.Fatal(err)
			}
			defer db.Close()
			db.SetMaxOpenConns(1)
			if _, err := db.Exec("FLUSH TABLES WITH READ LOCK"); err != nil {
				t.Fatal(err)
			}
			if way.moved {
				defer query(t, "SET GLOBAL server_id = 1")
			}
			relay.Before("KILL", func() { t.Error("a session was ended by a number that may be another's") })
			ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
			defer cancel()
			if way.moved {
				time.AfterFunc(100*time.Millisecond, func() { query(t, "SET GLOBAL server_id = 4712") })
			}
			want(t, instance.Apply(ctx, set("slow", "the second")), way.want)
			if _, err := db.Exec("UNLOCK TABLES"); err != nil {
				t.Fatal(err)
			}
			if way.want == "refused Timeout" {
				wantVerdict(t, instance, "slow", "the first", sdk.Accepted, "")
			}
		})
	}
}

func TestCheckSaysWhatIsMissing(t *testing.T) {
	running := server(t)
	accounts(t, map[string]string{"weak@%": "IDENTIFIED BY 'weak-secret'", "blind@%": "IDENTIFIED BY 'blind-secret'",
		"ending@%": "IDENTIFIED BY 'ending-secret' PASSWORD EXPIRE INTERVAL 3 DAY", "lasting@%": "IDENTIFIED BY 'lasting-secret' PASSWORD EXPIRE INTERVAL 90 DAY"})
	query(t, "GRANT ALL PRIVILEGES ON *.* TO ending@'%'", "GRANT ALL PRIVILEGES ON *.* TO lasting@'%'",
		"GRANT SELECT ON mysql.user TO weak@'%'", "GRANT SELECT ON mysql.global_priv TO weak@'%'", "GRANT CREATE USER ON *.* TO blind@'%'")
	for _, test := range []struct {
		name   string
		config sdk.Config
		code   sdk.Code
		want   string // "": nothing is found
	}{
		{"good", config(running), "", ""},
		{"good by TLS", config(running, "insecure", false, "ca_file", running.CAFile), "", "the server's certificate ends in "},
		{"a password that ends", as(config(running), "ending", "ending-secret"), "", "user: the password of ending@% ends in "},
		{"a password that ends much later", as(config(running), "lasting", "lasting-secret"), "", ""},
		{"no right to set", as(config(running), "weak", "weak-secret"), "", "has CREATE USER by no grant"},
		{"no right to read", as(config(running), "blind", "blind-secret"), sdk.PermissionDenied, "SELECT command denied"},
		{"wrong password", as(config(running), "rotator", "wrong"), sdk.LoginExpired, "refuses the logon"},
		{"nothing there", config(running, "url", "mysql://127.0.0.1:9"), sdk.Unreachable, "nothing listens"},
		{"TLS of a stranger", config(running, "insecure", false), sdk.InvalidConfig, "ca_file names the authority"},
		{"values in the log", config(running, "send", "value"), "", "the server's log will hold every value"},
	} {
		t.Run(test.name, func(t *testing.T) {
			found := open(t, test.config).Check(t.Context())
			switch {
			case test.want == "" && len(found) == 0:
			case len(found) == 1 && test.want != "" && found[0].Code == test.code && strings.Contains(found[0].Message, test.want):
			default:
				t.Errorf("%+v, want %s: …%s", found, test.code, test.want)
			}
		})
	}
}

// A server that validates passwords, without TLS, and stopped and started.
func TestAnotherServer(t *testing.T) {
	running := mysqltest.Start(t, mysqltest.Options{Args: []string{"--plugin-load-add=simple_password_check", "--plugin-load-add=auth_ed25519"}})
	t.Cleanup(running.Remove)
	if _, err := running.SQL(t.Context(), "CREATE USER ann IDENTIFIED BY 'Str0ng-enough'", "CREATE USER eve IDENTIFIED VIA ed25519 USING PASSWORD('Str0ng-enough')"); err != nil {
		t.Fatal(err)
	}
	hashing, sending := open(t, config(running)), open(t, config(running, "send", "value"))
	t.Run("hashes are refused", func(t *testing.T) {
		want(t, hashing.Apply(t.Context(), set("ann", "Str0ng-enough-2")), "refused InvalidConfig")
		if found := hashing.Check(t.Context()); len(found) != 1 || found[0].Severity != sdk.Bad || found[0].Code != sdk.InvalidConfig {
			t.Errorf("Check: %+v", found)
		}
	})
	t.Run("policy", func(t *testing.T) {
		for value, wanted := range map[string]string{"Sh0rt-1": "refused PolicyViolation", "no digit-in-It": "refused PolicyViolation", "n0-capital-letter": "refused PolicyViolation", "N0SYMBOLatall": "refused PolicyViolation", `Str0ng-'quoted' \"`: "applied"} {
			want(t, sending.Apply(t.Context(), set("ann", value)), wanted)
		}
		wantVerdict(t, sending, "ann", `Str0ng-'quoted' \"`, sdk.Accepted, "")
		want(t, sending.Apply(t.Context(), set("eve", "Str0ng-enough-3")), "applied")
		wantVerdict(t, sending, "eve", "Str0ng-enough-3", sdk.Accepted, "")
		rules, err := sending.Policy(t.Context(), "ann", "")
		if err != nil || rules.MinLength != 8 || rules.Digits != 1 || rules.Symbols != 1 || rules.Lower != 1 || rules.Upper != 1 {
			t.Errorf("Policy: %+v, %v", rules, err)
		}
	})
	t.Run("no TLS", func(t *testing.T) {
		if found := open(t, config(running, "insecure", false)).Check(t.Context()); len(found) != 1 || found[0].Code != sdk.InsecureTransport {
			t.Errorf("%+v, want InsecureTransport", found)
		}
	})
	t.Run("read-only", func(t *testing.T) {
		if _, err := running.SQL(t.Context(), "SET GLOBAL read_only = ON"); err != nil {
			t.Fatal(err)
		}
		want(t, sending.Apply(t.Context(), set("ann", "Str0ng-enough-4")), "refused ReadOnly")
		if found := sending.Check(t.Context()); len(found) != 1 || found[0].Code != sdk.ReadOnly {
			t.Errorf("Check: %+v", found)
		}
		if _, err := running.SQL(t.Context(), "SET GLOBAL read_only = OFF"); err != nil {
			t.Fatal(err)
		}
	})
	t.Run("stopped and started", func(t *testing.T) {
		running.Stop()
		want(t, sending.Apply(t.Context(), set("ann", "Str0ng-enough-5")), "refused Unreachable")
		if got, err := sending.Verify(t.Context(), "ann", "", secret.New("x")); got != sdk.CannotTell || err == nil {
			t.Errorf("Verify while it is away: %v, %v", got, err)
		}
		if err := running.Start(); err != nil {
			t.Fatal(err)
		}
		want(t, sending.Apply(t.Context(), set("ann", "Str0ng-enough-6")), "applied")
	})
}
