package postgres_test

import (
	"context"
	"fmt"
	"net/url"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/rekey-host/rekey/sdk"
	"github.com/rekey-host/rekey/sdk/secret"
)

// session logs a role in, and returns what asks the session whether it is open.
func session(t testing.TB, role, value string) (open func() bool) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), fmt.Sprintf("postgres://%s@%s/postgres?sslmode=disable", url.UserPassword(role, value), cluster(t).Address))
	if err != nil {
		return func() bool { return false }
	}
	t.Cleanup(func() { _ = conn.Close(context.Background()) })
	return func() bool {
		_, err := conn.Exec(t.Context(), "SELECT 1")
		return err == nil
	}
}

func revoke(account string) sdk.Operation {
	return sdk.Operation{ID: "revoke " + account, Attempt: 1, Verb: sdk.Revoke, Account: account}
}

// TestEverySessionOfARoleEnds: idle ones, one in the middle of a statement, and one
// that waits for a lock.
func TestEverySessionOfARoleEnds(t *testing.T) { each(t, everySessionOfARoleEnds) }

func everySessionOfARoleEnds(t *testing.T) {
	roles(t, map[string]string{"leaked": "LOGIN PASSWORD 'leaked-0'", "other": "LOGIN PASSWORD 'other-0'"})
	var sessions []func() bool
	for range 5 {
		sessions = append(sessions, session(t, "leaked", "leaked-0"))
	}
	busy, err := pgx.Connect(t.Context(), fmt.Sprintf("postgres://leaked:leaked-0@%s/postgres?sslmode=disable", cluster(t).Address))
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() {
		_, err := busy.Exec(t.Context(), "SELECT pg_sleep(60)")
		ended <- err
	}()
	other := session(t, "other", "other-0")
	instance := open(t, config(cluster(t)))
	want(t, instance.Apply(t.Context(), set("leaked", "leaked-1")), "applied")
	for number, open := range sessions {
		if !open() {
			t.Errorf("session %d has ended with a set", number)
		}
	}
	want(t, instance.Revoke(t.Context(), revoke("leaked")), "applied")
	if left := sql(t, "SELECT count(*) FROM pg_stat_activity WHERE usename = 'leaked'"); left[0] != "0" {
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
	if !other() || !logsOn(t, "leaked", "leaked-1") || logsOn(t, "leaked", "leaked-0") {
		t.Error("another role's session has ended, or the role has another password")
	}
	want(t, instance.Revoke(t.Context(), revoke("leaked")), "applied")
}

// TestWhoMayNotEndSessionsSaysSo, and ends none.
func TestWhoMayNotEndSessionsSaysSo(t *testing.T) { each(t, whoMayNotEndSessionsSaysSo) }

func whoMayNotEndSessionsSaysSo(t *testing.T) {
	roles(t, map[string]string{"weak": "LOGIN CREATEROLE PASSWORD 'weak-0'", "leaked": "LOGIN PASSWORD 'leaked-0'", "boss": "LOGIN SUPERUSER PASSWORD 'boss-0'"})
	made := config(cluster(t), "user", "weak")
	made.Secrets["password"] = secret.New("weak-0")
	weak, strong := open(t, made), open(t, config(cluster(t)))
	leaked, boss := session(t, "leaked", "leaked-0"), session(t, "boss", "boss-0")
	want(t, weak.Revoke(t.Context(), revoke("leaked")), "refused PermissionDenied")
	want(t, strong.Revoke(t.Context(), revoke("boss")), "refused Protected")
	for _, account := range []string{"rotator", "pg_monitor"} {
		want(t, strong.Revoke(t.Context(), revoke(account)), "refused Protected")
	}
	want(t, strong.Revoke(t.Context(), revoke("nobody")), "refused AccountNotFound")
	if !leaked() || !boss() {
		t.Error("a session has ended all the same")
	}
}
