package sqltable_test

import (
	"strings"
	"testing"

	"github.com/rekey-host/rekey/sdk"
)

// TestSessionsOfHostileNamesEndAlone: a name is a parameter of the statement,
// whatever stands in it, on each engine.
func TestSessionsOfHostileNamesEndAlone(t *testing.T) {
	names := []string{"ann", "' OR '1'='1", `x\' OR 1=1 -- `[:12], `"; DELETE FROM sessions`, "$1", "?", "{account}", "ännä 漢"}
	for _, b := range bases(t) {
		t.Run(b.engine, func(t *testing.T) {
			statement, session := b.sessions(t)
			instance := open(t, b.config(b.table(t, names...), "sessions", statement))
			open := map[string]func() bool{}
			for _, name := range names {
				open[name] = session(name)
			}
			for index, name := range names {
				want(t, instance.Revoke(t.Context(), sdk.Operation{ID: name, Attempt: 1, Verb: sdk.Revoke, Account: name}), "applied")
				for later, other := range names {
					if is := open[other](); is != (later > index) {
						t.Errorf("after a revoke of %q the session of %q is open: %v", name, other, is)
					}
				}
			}
			want(t, instance.Revoke(t.Context(), sdk.Operation{ID: "n", Attempt: 1, Verb: sdk.Revoke, Account: "nobody"}), "refused AccountNotFound")
		})
	}
}

// TestAStatementThatFailsEndsNoSession, and says that it is the statement's fault.
func TestAStatementThatFailsEndsNoSession(t *testing.T) {
	for _, b := range bases(t) {
		t.Run(b.engine, func(t *testing.T) {
			statement, session := b.sessions(t)
			instance := open(t, b.config(b.table(t, "ann"), "sessions", strings.ReplaceAll(statement, "who", "no_such_column")))
			ann := session("ann")
			want(t, instance.Revoke(t.Context(), sdk.Operation{ID: "r", Attempt: 1, Verb: sdk.Revoke, Account: "ann"}), "refused InvalidConfig")
			if !ann() {
				t.Error("a session has ended")
			}
		})
	}
}
