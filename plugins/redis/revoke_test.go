package redis_test

import (
	"errors"
	"fmt"
	"sync"
	"testing"

	"github.com/gomodule/redigo/redis"

	"github.com/rekey-host/rekey/sdk"
)

// session logs a user in, and returns what asks the session whether it is open.
func session(t testing.TB, user, value string) (open func() bool) {
	t.Helper()
	conn, err := redis.Dial("tcp", server(t).Address, redis.DialUsername(user), redis.DialPassword(value))
	if err != nil {
		return func() bool { return false }
	}
	t.Cleanup(func() { _ = conn.Close() })
	return func() bool {
		_, err := conn.Do("PING")
		_, answered := errors.AsType[redis.Error](err) // of a user who may not ask
		return err == nil || answered
	}
}

func revoke(account string) sdk.Operation {
	return sdk.Operation{ID: "revoke " + account, Attempt: 1, Verb: sdk.Revoke, Account: account}
}

// TestEverySessionOfAUserEnds, and none of others.
func TestEverySessionOfAUserEnds(t *testing.T) {
	running := server(t)
	users(t, running, map[string]string{"leaked": "on >leaked-0 +@all", "other": "on >other-0 +@all"})
	var sessions []func() bool
	for range 5 {
		sessions = append(sessions, session(t, "leaked", "leaked-0"))
	}
	other := session(t, "other", "other-0")
	instance := open(t, config(running))
	want(t, instance.Apply(t.Context(), set("leaked", "leaked-1")), "applied")
	for number, open := range sessions {
		if !open() {
			t.Errorf("session %d has ended with a set", number)
		}
	}
	want(t, instance.Revoke(t.Context(), revoke("leaked")), "applied")
	for number, open := range sessions {
		if open() {
			t.Errorf("session %d is open", number)
		}
	}
	if !other() || session(t, "leaked", "leaked-0")() || !session(t, "leaked", "leaked-1")() {
		t.Error("the session of another user has ended, or the user has another password")
	}
	want(t, instance.Revoke(t.Context(), revoke("leaked")), "applied")
	want(t, instance.Revoke(t.Context(), revoke("rotator")), "refused Protected")
	want(t, instance.Revoke(t.Context(), revoke("nobody")), "refused AccountNotFound")
}

// TestWhoMayNotEndSessionsSaysSo, and ends none.
func TestWhoMayNotEndSessionsSaysSo(t *testing.T) {
	running := server(t)
	users(t, running, map[string]string{"leaked": "on >leaked-0 +@all"})
	leaked := session(t, "leaked", "leaked-0")
	if said, err := running.CLI("ACL SETUSER rotator -client|kill"); err != nil {
		t.Fatal(err, said)
	}
	defer func() { _, _ = running.CLI("ACL SETUSER rotator +client|kill") }()
	want(t, open(t, config(running)).Revoke(t.Context(), revoke("leaked")), "refused PermissionDenied")
	if !leaked() {
		t.Error("a session has ended all the same")
	}
}

// TestSessionsEndWhileOthersAreSet: what the saver keeps for itself, a revoke leaves
// alone, which the race detector shows.
func TestSessionsEndWhileOthersAreSet(t *testing.T) {
	running := server(t)
	words := map[string]string{"leaked": "on >leaked-0 +@all"}
	for number := range 16 {
		words[fmt.Sprint("app-", number)] = "on >old"
	}
	users(t, running, words)
	instance := open(t, config(running))
	var all sync.WaitGroup
	for number := range 16 {
		all.Go(func() { want(t, instance.Apply(t.Context(), set(fmt.Sprint("app-", number), "new")), "applied") })
		all.Go(func() { want(t, instance.Revoke(t.Context(), revoke("leaked")), "applied") })
	}
	all.Wait()
}
