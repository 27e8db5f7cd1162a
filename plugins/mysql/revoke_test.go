package mysql_test

import (
	"context"
	"database/sql"
	"testing"
	"time"

	driver "github.com/go-sql-driver/mysql"

	"github.com/rekey-host/rekey/plugins/internal/reachtest"
	"github.com/rekey-host/rekey/sdk"
	"github.com/rekey-host/rekey/sdk/secret"
)

// session logs a user in, and returns what asks the session whether it is open.
func session(t testing.TB, user, value string) (open func() bool) {
	t.Helper()
	config := driver.NewConfig()
	config.User, config.Passwd, config.Net, config.Addr, config.Logger = user, value, "tcp", server(t).Address, &driver.NopLogger{}
	connector, err := driver.NewConnector(config)
	if err != nil {
		t.Fatal(err)
	}
	db := sql.OpenDB(connector)
	t.Cleanup(func() { _ = db.Close() })
	conn, err := db.Conn(t.Context())
	if err != nil {
		return func() bool { return false }
	}
	return func() bool { return conn.PingContext(t.Context()) == nil }
}

func revoke(account string) sdk.Operation {
	return sdk.Operation{ID: "revoke " + account, Attempt: 1, Verb: sdk.Revoke, Account: account}
}

// TestEverySessionOfAUserEnds: idle ones and one in the middle of a statement, and
// none of a user of another spelling.
func TestEverySessionOfAUserEnds(t *testing.T) {
	accounts(t, map[string]string{"leaked@%": "IDENTIFIED BY 'leaked-0'", "Leaked@%": "IDENTIFIED BY 'other-0'"})
	var sessions []func() bool
	for range 5 {
		sessions = append(sessions, session(t, "leaked", "leaked-0"))
	}
	login := driver.NewConfig()
	login.User, login.Passwd, login.Net, login.Addr, login.Logger = "leaked", "leaked-0", "tcp", server(t).Address, &driver.NopLogger{}
	connector, err := driver.NewConnector(login)
	if err != nil {
		t.Fatal(err)
	}
	busy := sql.OpenDB(connector)
	t.Cleanup(func() { _ = busy.Close() })
	conn, err := busy.Conn(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() {
		_, err := conn.ExecContext(t.Context(), "DO SLEEP(60)")
		ended <- err
	}()
	other := session(t, "Leaked", "other-0")
	instance := open(t, config(server(t)))
	want(t, instance.Apply(t.Context(), set("leaked", "leaked-1")), "applied")
	for number, open := range sessions {
		if !open() {
			t.Errorf("session %d has ended with a set", number)
		}
	}
	want(t, instance.Revoke(t.Context(), revoke("leaked")), "applied")
	if left := query(t, "SELECT COUNT(*) FROM information_schema.PROCESSLIST WHERE BINARY USER = 'leaked'"); left[0] != "0" {
		t.Errorf("%s sessions are left when the answer is there", left[0])
	}
	for number, open := range sessions {
		if open() {
			t.Errorf("session %d is open", number)
		}
	}
	select {
	case err := <-ended:
		if err == nil {
			t.Error("a statement was left to its end")
		}
	case <-time.After(10 * time.Second):
		t.Error("a statement goes on")
	}
	if !other() {
		t.Error("the session of another user has ended")
	}
	want(t, instance.Revoke(t.Context(), revoke("leaked")), "applied")
}

// TestWhoMayNotEndSessionsSaysSo: who does not see them says nothing else than that.
func TestWhoMayNotEndSessionsSaysSo(t *testing.T) {
	accounts(t, map[string]string{"leaked@%": "IDENTIFIED BY 'leaked-0'", "weak@%": "IDENTIFIED BY 'weak-0'", "rotator@localhost": ""})
	query(t, "GRANT CREATE USER ON *.* TO weak@'%'", "GRANT SELECT ON mysql.user TO weak@'%'", "GRANT SELECT ON mysql.global_priv TO weak@'%'")
	leaked := session(t, "leaked", "leaked-0")
	made := config(server(t), "user", "weak")
	made.Secrets["password"] = secret.New("weak-0")
	want(t, open(t, made).Revoke(t.Context(), revoke("leaked")), "refused PermissionDenied")
	query(t, "GRANT PROCESS ON *.* TO weak@'%'")
	want(t, open(t, made).Revoke(t.Context(), revoke("leaked")), "refused PermissionDenied")
	strong := open(t, config(server(t)))
	for _, account := range []string{"rotator", "rotator@localhost", "mariadb.sys@localhost"} {
		want(t, strong.Revoke(t.Context(), revoke(account)), "refused Protected")
	}
	want(t, strong.Revoke(t.Context(), revoke("nobody")), "refused AccountNotFound")
	if !leaked() {
		t.Error("a session has ended all the same")
	}
}

// TestNoSessionEndsByTheNumberOfAnotherServer: behind a proxy nothing is ended, and what
// was ended where another server answers afterwards is not called done.
func TestNoSessionEndsByTheNumberOfAnotherServer(t *testing.T) {
	running := server(t)
	accounts(t, map[string]string{"leaked@%": "IDENTIFIED BY 'leaked-0'"})
	leaked := session(t, "leaked", "leaked-0")
	relay := reachtest.NewRelay(t, running.Address)
	relay.Before("KILL", func() { t.Error("a session was ended by a number that may be another's") })
	want(t, open(t, config(running, "url", "mysql://127.0.0.1:"+relay.Port)).Revoke(t.Context(), revoke("leaked")), "refused Unsupported")
	if !leaked() {
		t.Error("a session has ended all the same")
	}
	want(t, open(t, config(running, "url", running.Socket)).Revoke(t.Context(), revoke("leaked")), "applied")
	session(t, "leaked", "leaked-0")
	relay = reachtest.NewRelay(t, running.Address).Announce()
	relay.Before("KILL", func() { _, _ = running.SQL(context.Background(), "SET GLOBAL server_id = 4713") })
	defer query(t, "SET GLOBAL server_id = 1")
	want(t, open(t, config(running, "url", "mysql://127.0.0.1:"+relay.Port)).Revoke(t.Context(), revoke("leaked")), "unknown TargetError")
}
